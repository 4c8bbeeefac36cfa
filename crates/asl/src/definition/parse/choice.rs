//! Reads Choice Rules.

use serde_json::{Map, Value};

use super::{At, Parser};
use crate::choice::{Comparison, Kind, Operand, Rule, Test, Type};
use crate::definition::{Branch, Kind as StateKind, QueryLanguage};

/// How deep `And`, `Or` and `Not` may nest; the reader and the evaluation recurse that deep.
const MAX_DEPTH: usize = 64;

/// What a Choice Rule of either language has beside its condition.
const RULE: [&str; 3] = ["Next", "Comment", "Assign"];

impl Parser {
    pub(super) fn choice(&mut self, at: At<'_>, flow: &Map<String, Value>) -> Option<StateKind> {
        if !self.require(at.document, at.pointer, &["Choices"]) {
            return None;
        }
        let pointer = format!("{}/Choices", at.pointer);
        let choices = match at.document["Choices"].as_array() {
            Some(choices) if !choices.is_empty() => choices,
            _ => {
                self.schema(&pointer, "Choices must be an array of at least one Choice Rule");
                return None;
            }
        };
        let mut rules = Vec::with_capacity(choices.len());
        for (index, choice) in choices.iter().enumerate() {
            let pointer = format!("{pointer}[{index}]");
            let Some(document) = choice.as_object() else {
                self.schema(&pointer, "A Choice Rule must be an object");
                continue;
            };
            let at = At {
                document,
                pointer: &pointer,
                ..at
            };
            let rule = self.rule(at);
            self.require(document, &pointer, &["Next"]);
            let next = self.target(document, &pointer, "Next", flow);
            let assign = self.assign(at);
            let output = match at.language {
                QueryLanguage::Jsonata => self.template(at, "Output"),
                QueryLanguage::JsonPath => None,
            };
            if let (Some(rule), Some(next)) = (rule, next) {
                rules.push(Branch {
                    rule,
                    next,
                    assign,
                    output,
                });
            }
        }
        let default = match at.document.contains_key("Default") {
            true => self.target(at.document, at.pointer, "Default", flow),
            false => None,
        };
        Some(StateKind::Choice { rules, default })
    }

    fn rule(&mut self, at: At<'_>) -> Option<Rule> {
        match at.language {
            QueryLanguage::Jsonata => {
                self.unsupported(at.document, at.pointer, |field| {
                    RULE.contains(&field) || ["Condition", "Output"].contains(&field)
                });
                if !self.require(at.document, at.pointer, &["Condition"]) {
                    return None;
                }
                if let Some(holds) = at.document["Condition"].as_bool() {
                    return Some(Rule::Constant(holds));
                }
                let computed = self.computed(at, "Condition");
                if computed.is_none() {
                    let pointer = format!("{}/Condition", at.pointer);
                    self.schema(&pointer, "Condition must be a JSONata expression or true or false");
                }
                computed.map(Rule::Condition)
            }
            QueryLanguage::JsonPath => self.jsonpath_rule(at, &RULE, 0),
        }
    }

    /// `beside` are the fields that do not belong to the condition.
    fn jsonpath_rule(&mut self, at: At<'_>, beside: &[&str], depth: usize) -> Option<Rule> {
        if depth > MAX_DEPTH {
            self.schema(at.pointer, format!("Choice Rules may nest {MAX_DEPTH} deep at most"));
            return None;
        }
        for (field, combine) in [("And", Rule::And as fn(Vec<Rule>) -> Rule), ("Or", Rule::Or)] {
            let Some(rules) = at.document.get(field) else {
                continue;
            };
            self.unsupported(at.document, at.pointer, |other| {
                other == field || beside.contains(&other)
            });
            let pointer = format!("{}/{field}", at.pointer);
            let rules = match rules.as_array() {
                Some(rules) if !rules.is_empty() => rules,
                _ => {
                    self.schema(
                        &pointer,
                        format!("{field} must be an array of at least one Choice Rule"),
                    );
                    return None;
                }
            };
            let mut combined = Vec::with_capacity(rules.len());
            for (index, rule) in rules.iter().enumerate() {
                combined.extend(self.nested(at, &format!("{pointer}[{index}]"), rule, depth));
            }
            return Some(combine(combined));
        }
        if let Some(rule) = at.document.get("Not") {
            self.unsupported(at.document, at.pointer, |other| {
                other == "Not" || beside.contains(&other)
            });
            let pointer = format!("{}/Not", at.pointer);
            let rule = self.nested(at, &pointer, rule, depth)?;
            return Some(Rule::Not(Box::new(rule)));
        }
        self.test(at, beside)
    }

    fn nested(&mut self, at: At<'_>, pointer: &str, rule: &Value, depth: usize) -> Option<Rule> {
        let Some(document) = rule.as_object() else {
            self.schema(pointer, "A Choice Rule must be an object");
            return None;
        };
        let at = At {
            document,
            pointer,
            ..at
        };
        self.jsonpath_rule(at, &["Comment"], depth + 1)
    }

    fn test(&mut self, at: At<'_>, beside: &[&str]) -> Option<Rule> {
        if !self.require(at.document, at.pointer, &["Variable"]) {
            return None;
        }
        let pointer = format!("{}/Variable", at.pointer);
        let Some(variable) = at.document["Variable"].as_str() else {
            self.schema(&pointer, "Variable must be a path");
            return None;
        };
        let variable = self.path(&pointer, variable);
        let mut operators = at
            .document
            .iter()
            .filter(|(field, _)| *field != "Variable" && !beside.contains(&field.as_str()));
        let Some((operator, operand)) = operators.next() else {
            self.schema(at.pointer, "A Choice Rule needs a comparison, such as StringEquals");
            return None;
        };
        if let Some((second, _)) = operators.next() {
            let message = format!("A Choice Rule has one comparison, not both {operator} and {second}");
            self.schema(at.pointer, message);
            return None;
        }
        let pointer = format!("{}/{operator}", at.pointer);
        let test = self.comparison(&pointer, operator, operand)?;
        Some(Rule::Test {
            variable: variable?,
            test,
        })
    }

    fn comparison(&mut self, pointer: &str, operator: &str, operand: &Value) -> Option<Test> {
        let of_type = match operator {
            "IsNull" => Some(Type::Null),
            "IsBoolean" => Some(Type::Boolean),
            "IsNumeric" => Some(Type::Numeric),
            "IsString" => Some(Type::String),
            "IsTimestamp" => Some(Type::Timestamp),
            _ => None,
        };
        if of_type.is_some() || operator == "IsPresent" {
            let Some(expected) = operand.as_bool() else {
                self.schema(pointer, format!("{operator} must be true or false"));
                return None;
            };
            return Some(match of_type {
                Some(of_type) => Test::Is(of_type, expected),
                None => Test::IsPresent(expected),
            });
        }
        if operator == "StringMatches" {
            let Some(pattern) = operand.as_str() else {
                self.schema(pointer, "StringMatches must be a string");
                return None;
            };
            return Some(Test::StringMatches(pattern.to_owned()));
        }
        let (name, by_path) = match operator.strip_suffix("Path") {
            Some(name) => (name, true),
            None => (operator, false),
        };
        let Some((kind, comparison)) = kind_and_comparison(name) else {
            let rule = pointer.strip_suffix(&format!("/{operator}")).unwrap_or(pointer);
            self.schema_of(rule, operator, format!("Field '{operator}' is not supported"));
            return None;
        };
        let operand = match (by_path, operand) {
            (true, Value::String(path)) => Operand::Path(self.path(pointer, path)?),
            (false, value) if fits(kind, value) => Operand::Given(value.clone()),
            _ => {
                self.schema(pointer, format!("{operator} does not take the value {operand}"));
                return None;
            }
        };
        Some(Test::Compare(kind, comparison, operand))
    }
}

fn kind_and_comparison(name: &str) -> Option<(Kind, Comparison)> {
    let (kind, comparison) = if let Some(rest) = name.strip_prefix("String") {
        (Kind::String, rest)
    } else if let Some(rest) = name.strip_prefix("Numeric") {
        (Kind::Numeric, rest)
    } else if let Some(rest) = name.strip_prefix("Timestamp") {
        (Kind::Timestamp, rest)
    } else {
        (Kind::Boolean, name.strip_prefix("Boolean")?)
    };
    let comparison = match comparison {
        "Equals" => Comparison::Equals,
        "LessThan" => Comparison::LessThan,
        "LessThanEquals" => Comparison::LessThanEquals,
        "GreaterThan" => Comparison::GreaterThan,
        "GreaterThanEquals" => Comparison::GreaterThanEquals,
        _ => return None,
    };
    let ordered = !matches!(kind, Kind::Boolean) || matches!(comparison, Comparison::Equals);
    ordered.then_some((kind, comparison))
}

fn fits(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Boolean => value.is_boolean(),
        Kind::Numeric => value.is_number(),
        Kind::String | Kind::Timestamp => value.is_string(),
    }
}
