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
