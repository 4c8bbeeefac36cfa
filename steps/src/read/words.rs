//! What people type to find a ticket: words of its summary, the beginning of its key, or a whole key.

use std::collections::BTreeSet;

use ticket::IssueKey;

/// Words asked for, in lower case; none finds everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words(BTreeSet<String>);

impl Words {
    pub(super) fn of(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_lowercase).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that is asked for, if it is a whole one: a project and a number.
    pub(super) fn key(&self) -> Option<IssueKey> {
        let (only, false) = (self.0.first()?, 1 < self.0.len()) else {
            return None;
        };
        let (project, number) = only.rsplit_once('-')?;
        let is_key = !project.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        // JIRA's keys have no small letters.
        is_key.then(|| only.to_uppercase().parse().ok())?
    }

    /// Whether each word is in the summary, or begins the key.
    pub(super) fn are_in(&self, summary: Option<&str>, key: Option<&IssueKey>) -> bool {
        let summary = summary.map(str::to_lowercase).unwrap_or_default();
        let key = key.map(|key| key.as_str().to_lowercase()).unwrap_or_default();
        self.0
            .iter()
            .all(|word| summary.contains(word) || key.starts_with(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_found_by_its_words_in_any_order_and_case_and_by_its_key() {
        let key = "SHOP-12".parse().unwrap();
        let is_in = |text: &str| Words::of(text).are_in(Some("Größere Körbe für den Laden"), Some(&key));
        for found in [
            "größer",
            "LADEN KÖRBE",
            " shop ",
            "shop-1",
            "Shop-12",
            "laden shop-1",
            "ü",
            "",
        ] {
            assert!(is_in(found), "{found}");
        }
        for lost in ["op-12", "shop-2", "laden kasse", "shop-123"] {
            assert!(!is_in(lost), "{lost}");
        }
        assert!(!Words::of("a").are_in(None, None));
        assert!(Words::of(" \t ").is_empty() && Words::of("").are_in(None, None));
    }

    #[test]
    fn a_whole_key_is_told_from_words() {
        let key = |text: &str| Words::of(text).key().map(String::from);
        assert_eq!(key("shop-12").as_deref(), Some("SHOP-12"));
        assert_eq!(key(" Two-Parts-7 ").as_deref(), Some("TWO-PARTS-7"));
        for text in [
            "",
            "shop",
            "shop-",
            "-12",
            "shop-1x",
            "shop-12 basket",
            "shop-1?2",
            "shop/x-12",
        ] {
            assert_eq!(key(text), None, "{text}");
        }
    }
}
