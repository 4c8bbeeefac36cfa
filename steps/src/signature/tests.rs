use super::verify;

const SECRET: &str = "It's a Secret to Everybody";
const BODY: &[u8] = b"Hello World!";
/// The example of Atlassian's documentation.
const SIGNATURE: &str = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9";

#[test]
fn the_documented_example_verifies_with_either_of_two_secrets() {
    assert!(verify(SIGNATURE, BODY, [SECRET]));
    assert!(verify(SIGNATURE, BODY, ["newer", SECRET]));
    assert!(verify(SIGNATURE, BODY, [SECRET, "older"]));
    assert!(verify(&SIGNATURE.replace("a477", "A477"), BODY, [SECRET]));
}

#[test]
fn anything_else_does_not() {
    assert!(!verify(SIGNATURE, BODY, ["another"]));
    assert!(!verify(SIGNATURE, BODY, []));
    assert!(!verify(SIGNATURE, b"Hello World", [SECRET]));
    let hex = SIGNATURE.strip_prefix("sha256=").unwrap();
    let wrong = [
        String::new(),
        "sha256=".to_owned(),
        hex.to_owned(),
        format!("sha1={hex}"),
        format!("sha512={hex}"),
        format!("SHA256={hex}"),
        format!("sha256={}", &hex[..62]),
        format!("sha256={hex}00"),
        format!("sha256={}zz", &hex[..62]),
        format!("sha256={}ü", &hex[..62]),
        format!("sha256=+{}", &hex[..63]),
    ];
    for header in wrong {
        assert!(!verify(&header, BODY, [SECRET]), "{header}");
    }
}

#[test]
fn every_single_bit_counts() {
    let digits = SIGNATURE.strip_prefix("sha256=").unwrap();
    for at in 0..digits.len() {
        for bit in 0..4 {
            let digit = char::from(digits.as_bytes()[at]).to_digit(16).unwrap() ^ (1 << bit);
            let digit = char::from_digit(digit, 16).unwrap();
            let header = format!("sha256={}{digit}{}", &digits[..at], &digits[at + 1..]);
            assert!(!verify(&header, BODY, [SECRET]), "{header}");
        }
    }
}
