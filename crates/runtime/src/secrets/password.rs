//! Values made up as `GenerateSecretString` asks.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::template::GenerateSecretString;

const LOWERCASE: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPERCASE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const NUMBERS: &str = "0123456789";
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
const SPACE: &str = " ";

/// The longest password that AWS makes.
const MAX_LENGTH: u32 = 4096;

/// What was asked for cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("GenerateSecretString leaves no characters, or more kinds of them than the password is long")]
pub struct NoCharacters;

/// Makes a value up, with the operating system's randomness behind it.
pub(super) fn generate(how: &GenerateSecretString) -> Result<String, NoCharacters> {
    let password = password(how, &mut rand::rng())?;
    Ok(match &how.template {
        None => password,
        Some(template) => {
            let mut object = template.object.clone();
            object.insert(template.key.clone(), password.into());
            serde_json::Value::Object(object).to_string()
        }
    })
}

fn password(how: &GenerateSecretString, random: &mut impl Rng) -> Result<String, NoCharacters> {
    let kinds = [
        (!how.exclude_lowercase, LOWERCASE),
        (!how.exclude_uppercase, UPPERCASE),
        (!how.exclude_numbers, NUMBERS),
        (!how.exclude_punctuation, PUNCTUATION),
        (how.include_space, SPACE),
    ];
    let kinds: Vec<Vec<char>> = kinds
        .iter()
        .filter(|(included, _)| *included)
        .map(|(_, characters)| {
            characters
                .chars()
                .filter(|character| !how.exclude_characters.contains(*character))
                .collect()
        })
        .filter(|characters: &Vec<char>| !characters.is_empty())
        .collect();
    let all: Vec<char> = kinds.concat();
    let length = how.password_length.min(MAX_LENGTH) as usize;
    let mut password: Vec<char> = Vec::with_capacity(length);
    if how.require_each_included_type {
        password.extend(kinds.iter().filter_map(|kind| kind.choose(random)));
    }
    if all.is_empty() || length < password.len() || length == 0 {
        return Err(NoCharacters);
    }
    while password.len() < length {
        password.extend(all.choose(random));
    }
    password.shuffle(random);
    Ok(password.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::{GenerateSecretString, NoCharacters, generate};
    use crate::template::SecretTemplate;

    fn plain() -> GenerateSecretString {
        GenerateSecretString {
            password_length: 32,
            exclude_characters: String::new(),
            exclude_lowercase: false,
            exclude_uppercase: false,
            exclude_numbers: false,
            exclude_punctuation: false,
            include_space: false,
            require_each_included_type: true,
            template: None,
        }
    }

    #[test]
    fn a_password_has_each_kind_and_nothing_excluded() {
        let how = GenerateSecretString {
            password_length: 4,
            exclude_characters: "abc\"\\".to_owned(),
            ..plain()
        };
        for _ in 0..200 {
            let password = generate(&how).unwrap();
            assert_eq!(password.chars().count(), 4);
            assert!(password.contains(|c: char| c.is_ascii_lowercase()), "{password}");
            assert!(password.contains(|c: char| c.is_ascii_uppercase()), "{password}");
            assert!(password.contains(|c: char| c.is_ascii_digit()), "{password}");
            assert!(password.contains(|c: char| c.is_ascii_punctuation()), "{password}");
            assert!(!password.contains(['a', 'b', 'c', '"', '\\']), "{password}");
        }
        assert_ne!(generate(&plain()), generate(&plain()));
    }

    #[test]
    fn a_template_gets_the_password_under_its_key() {
        let object = serde_json::json!({"user": "jira"}).as_object().unwrap().clone();
        let template = Some(SecretTemplate {
            object,
            key: "password".to_owned(),
        });
        let value: serde_json::Value =
            serde_json::from_str(&generate(&GenerateSecretString { template, ..plain() }).unwrap()).unwrap();
        assert_eq!(value["user"], "jira");
        assert_eq!(value["password"].as_str().unwrap().chars().count(), 32);
    }

    #[test]
    fn what_cannot_be_made_is_said() {
        let short = GenerateSecretString {
            password_length: 3,
            ..plain()
        };
        assert_eq!(generate(&short), Err(NoCharacters));
        let none = GenerateSecretString {
            exclude_lowercase: true,
            exclude_uppercase: true,
            exclude_numbers: true,
            exclude_punctuation: true,
            ..plain()
        };
        assert_eq!(generate(&none), Err(NoCharacters));
    }
}
