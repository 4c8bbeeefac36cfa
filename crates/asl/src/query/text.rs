//! JSON text as AWS writes it.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

/// The compact text of a value, as it stands in an event: keys in their order, `1` and `1.0` kept apart, numbers with a
/// fraction or an exponent as Java prints a double (`1.0E10`).
pub fn to_text(value: &Value) -> String {
    let mut text = Vec::with_capacity(128);
    value
        .serialize(&mut Serializer::with_formatter(&mut text, Jackson))
        .expect("a JSON value has string keys and writing to memory does not fail");
    String::from_utf8(text).expect("JSON text is UTF-8")
}

/// How deep JSON may nest. What is deeper could be written into a history but not be read back: serde_json refuses it.
pub const MAX_NESTING: usize = 127;

/// Whether a JSON text nests deeper than [`MAX_NESTING`].
pub fn nests_too_deep(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > MAX_NESTING {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether a value nests deeper than `levels`.
pub(super) fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(fields) => levels == 0 || fields.values().any(|field| is_deeper(field, levels - 1)),
        _ => false,
    }
}

/// How a float prints in Java: the shortest digits that read back the same, plain from 0.001 up to 10,000,000, with an
/// exponent otherwise.
pub(super) fn double(number: f64) -> String {
    let magnitude = number.abs();
    if number == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{number:?}");
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
        Some((digits, exponent)) => format!("{digits}.0E{exponent}"),
        None => text,
    }
}

/// Compact, but for two habits of Jackson's: doubles, and control characters in upper-case hexadecimal.
struct Jackson;

impl Formatter for Jackson {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, number: f64) -> io::Result<()> {
        writer.write_all(double(number).as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04X}"),
            other => CompactFormatter.write_char_escape(writer, other),
        }
    }
}
