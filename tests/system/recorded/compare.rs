//! Whether an answer is what a recording says, variable parts aside.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// Where an answer differs from what was recorded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mismatch(pub(super) String);

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What the marks of a case stand for.
pub(super) type Bound = BTreeMap<String, String>;

/// Members whose value AWS measured on the day, in the steps given here: only that it is such a number can be told.
const MEASURED: &[(&str, u64)] = &[("billedDurationInMilliseconds", 100)];

/// How much of a value a mismatch shows.
const SHOWN: usize = 200;

/// Refuses `actual` unless it is what `expected` describes.
pub(super) fn same(expected: &Value, actual: Option<&Value>, bound: &mut Bound, path: &str) -> Result<(), Mismatch> {
    if let Value::String(text) = expected
        && let [Part::Any] = parts(text)[..]
    {
        return match actual {
            Some(_) => Ok(()),
            None => Err(Mismatch(format!("{path}: absent, expected {expected}"))),
        };
    }
    let actual = actual.unwrap_or(&Value::Null);
    let parsed = match (expected, actual) {
        (Value::String(_), _) => None,
        (_, Value::String(text)) => serde_json::from_str(text).ok(),
        _ => None,
    };
    let actual = parsed.as_ref().unwrap_or(actual);
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (name, wanted) in expected.iter().filter(|(name, _)| !has_mark(name)) {
                let Some(found) = actual.get(name) else {
                    return Err(Mismatch(format!("{path}.{name}: absent, expected {}", shown(wanted))));
                };
                if let Some((_, step)) = MEASURED.iter().find(|(measured, _)| measured == name) {
                    if !found.as_u64().is_some_and(|found| found > 0 && found % step == 0) {
                        return Err(Mismatch(format!(
                            "{path}.{name}: {}, no multiple of {step}",
                            shown(found)
                        )));
                    }
                    continue;
                }
                same(wanted, Some(found), bound, &format!("{path}.{name}"))?;
            }
            let surplus = actual
                .iter()
                .find(|(name, _)| !expected.contains_key(*name) && !has_mark(name));
            match surplus {
                Some((name, found)) => Err(Mismatch(format!("{path}.{name}: not expected, is {}", shown(found)))),
                None => Ok(()),
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            if expected.len() != found.len() {
                let (has, wants) = (found.len(), expected.len());
                return Err(Mismatch(format!(
                    "{path}: {has} items, expected {wants}: {}",
                    shown(actual)
                )));
            }
            for (index, (wanted, found)) in expected.iter().zip(found).enumerate() {
                same(wanted, Some(found), bound, &format!("{path}[{index}]"))?;
            }
            Ok(())
        }
        (Value::String(wanted), Value::String(found)) => {
            let mut tried = bound.clone();
            if !matches(&parts(wanted), found, &mut tried) {
                return Err(Mismatch(format!(
                    "{path}: {}, expected {}",
                    shown(actual),
                    shown(expected)
                )));
            }
            *bound = tried;
            Ok(())
        }
        _ if expected == actual => Ok(()),
        _ => Err(Mismatch(format!(
            "{path}: {}, expected {}",
            shown(actual),
            shown(expected)
        ))),
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A piece of an expected text.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Literal(&'a str),
    /// `{{any:…}}`: anything, nothing too.
    Any,
    /// `{{…}}`: some text, the same wherever the mark stands.
    Mark(&'a str),
}

fn has_mark(text: &str) -> bool {
    parts(text).iter().any(|part| !matches!(part, Part::Literal(_)))
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(open) = rest[from..].find("{{").map(|open| open + from) {
        let Some(length) = rest[open + 2..].find(['{', '}']) else {
            break;
        };
        let (name, after) = rest[open + 2..].split_at(length);
        if name.is_empty() || !after.starts_with("}}") {
            from = open + 1;
            continue;
        }
        if open > 0 {
            parts.push(Part::Literal(&rest[..open]));
        }
        parts.push(if name.starts_with("any:") && name.len() > "any:".len() {
            Part::Any
        } else {
            Part::Mark(name)
        });
        rest = &after[2..];
        from = 0;
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest));
    }
    parts
}

/// Whether the parts match all of `text`, each variable one taking as little as it can.
fn matches(parts: &[Part<'_>], text: &str, bound: &mut Bound) -> bool {
    let Some((part, others)) = parts.split_first() else {
        return text.is_empty();
    };
    let ends = |least: usize| text.char_indices().map(|(at, _)| at).chain([text.len()]).skip(least);
    match part {
        Part::Literal(literal) => text
            .strip_prefix(literal)
            .is_some_and(|rest| matches(others, rest, bound)),
        Part::Any => ends(0).any(|end| matches(others, &text[end..], bound)),
        Part::Mark(name) => match bound.get(*name).cloned() {
            Some(known) => text
                .strip_prefix(&known)
                .is_some_and(|rest| matches(others, rest, bound)),
            None => ends(1).any(|end| {
                bound.insert((*name).to_owned(), text[..end].to_owned());
                let matched = matches(others, &text[end..], bound);
                if !matched {
                    bound.remove(*name);
                }
                matched
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(expected: Value, actual: Value) -> bool {
        same(&expected, Some(&actual), &mut Bound::new(), "$").is_ok()
    }

    #[test]
    fn marks_stand_for_the_same_text_everywhere() {
        let expected = json!(["arn:{{any:region}}:{{name}}", "{{name}}", "{{name}}/{{other}}"]);
        assert!(check(expected.clone(), json!(["arn::x", "x", "x/y"])));
        assert!(!check(expected.clone(), json!(["arn::x", "y", "x/y"])));
        assert!(!check(expected, json!(["arn::x", "x", "x/"])));
    }

    #[test]
    fn a_whole_any_is_of_any_type_but_there() {
        assert!(check(json!({"a": "{{any:a}}"}), json!({"a": 1.5})));
        assert!(!check(json!({"a": "{{any:a}}"}), json!({})));
        assert!(!check(json!({}), json!({"a": 1})));
    }

    #[test]
    fn json_texts_are_parsed_where_the_expected_value_is_no_text() {
        assert!(check(json!({"a": 1}), json!("{ \"a\": 1 }")));
        assert!(!check(json!("{\"a\":1}"), json!("{ \"a\": 1 }")));
    }

    #[test]
    fn a_measured_duration_is_any_in_its_steps() {
        let expected = json!({"billedDurationInMilliseconds": 7600});
        assert!(check(expected.clone(), json!({"billedDurationInMilliseconds": 7100})));
        assert!(!check(expected.clone(), json!({"billedDurationInMilliseconds": 7150})));
        assert!(!check(expected.clone(), json!({"billedDurationInMilliseconds": 0})));
        assert!(!check(expected, json!({})));
    }

    #[test]
    fn numbers_keep_their_type() {
        assert!(!check(json!(1), json!(1.0)));
        assert!(!check(json!(1), json!(true)));
        assert!(check(json!(1.0), json!("1.0")));
    }

    #[test]
    fn braces_that_are_no_marks_are_text() {
        assert_eq!(parts("{{}} {{a{b}}"), [Part::Literal("{{}} {{a{b}}")]);
        assert_eq!(
            parts("{{{a}}}"),
            [Part::Literal("{"), Part::Mark("a"), Part::Literal("}")]
        );
    }
}
