//! DynamoDB's condition expressions, as far as the guards use them.

use std::collections::BTreeMap;

/// Attributes or values by name; all that guards compare are numbers and statuses, here numbers as well.
pub(super) type Named = BTreeMap<&'static str, u64>;

/// Whether `condition` holds for an item, which may not be there.
pub(super) fn holds(condition: &str, item: Option<&Named>, values: &Named) -> bool {
    let spaced = condition.replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser {
        tokens: &tokens,
        item,
        values,
    };
    let holds = parser.any();
    assert!(
        parser.tokens.is_empty(),
        "{condition}: {:?} is left over",
        parser.tokens
    );
    holds
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    item: Option<&'a Named>,
    values: &'a Named,
}

impl Parser<'_> {
    fn next(&mut self) -> &str {
        let (first, rest) = self.tokens.split_first().expect("the condition goes on");
        self.tokens = rest;
        first
    }

    fn take(&mut self, token: &str) -> bool {
        let is_next = self.tokens.first() == Some(&token);
        if is_next {
            self.next();
        }
        is_next
    }

    fn any(&mut self) -> bool {
        let mut holds = self.all();
        while self.take("OR") {
            holds |= self.all();
        }
        holds
    }

    fn all(&mut self) -> bool {
        let mut holds = self.one();
        while self.take("AND") {
            holds &= self.one();
        }
        holds
    }

    fn one(&mut self) -> bool {
        if self.take("(") {
            let holds = self.any();
            assert!(self.take(")"));
            return holds;
        }
        if self.take("attribute_not_exists") {
            assert!(self.take("("));
            let attribute = self.next().strip_prefix('#').expect("an alias").to_owned();
            assert!(self.take(")"));
            return match self.item {
                None => true,
                Some(item) => attribute != "pk" && !item.contains_key(attribute.as_str()),
            };
        }
        let attribute = self.next().strip_prefix('#').expect("an alias").to_owned();
        let left = self.item.and_then(|item| item.get(attribute.as_str())).copied();
        let operator = self.next().to_owned();
        let value = self.next().strip_prefix(':').expect("a value").to_owned();
        let right = *self
            .values
            .get(value.as_str())
            .unwrap_or_else(|| panic!("no value {value}"));
        // A comparison with an attribute that is not there is false.
        left.is_some_and(|left| match operator.as_str() {
            "<" => left < right,
            "<=" => left <= right,
            "=" => left == right,
            other => panic!("no operator {other}"),
        })
    }
}

#[test]
fn conditions_mean_what_dynamodb_says() {
    let item = Named::from([("a", 1), ("b", 2)]);
    let values = Named::from([("one", 1), ("two", 2)]);
    let check = |condition, expected| assert_eq!(holds(condition, Some(&item), &values), expected, "{condition}");
    check("#a = :one", true);
    check("#a < :one", false);
    check("#a <= :one AND #b <= :one", false);
    check("#a = :two OR #b = :two AND #a = :one", true);
    check("(#a = :two OR #b = :two) AND #a = :two", false);
    check("attribute_not_exists(#pk)", false);
    check("attribute_not_exists(#c) AND #a = :one", true);
    check("#c <= :one", false);
    assert!(holds("attribute_not_exists(#pk)", None, &values));
    assert!(!holds("#a <= :one", None, &values));
}
