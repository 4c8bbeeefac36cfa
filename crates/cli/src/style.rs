//! Colour, where someone looks: on a terminal, and not where `NO_COLOR` asks for none.

use std::io::IsTerminal;

fn paint(text: &str, code: &str, coloured: bool) -> String {
    if coloured {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

fn wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn on_stderr(text: &str, code: &str) -> String {
    paint(text, code, wanted() && std::io::stderr().is_terminal())
}

fn on_stdout(text: &str, code: &str) -> String {
    paint(text, code, wanted() && std::io::stdout().is_terminal())
}

pub(crate) fn error(text: &str) -> String {
    on_stderr(text, "1;31")
}

pub(crate) fn hint(text: &str) -> String {
    on_stderr(text, "1;36")
}

/// Among data, what is wrong for sure.
pub(crate) fn severe(text: &str) -> String {
    on_stdout(text, "1;31")
}

/// Among data, what may be wrong.
pub(crate) fn doubtful(text: &str) -> String {
    on_stdout(text, "1;33")
}

pub(crate) fn bold(text: &str) -> String {
    on_stdout(text, "1")
}

/// A status in its colour, padded to `width` first, so that columns stay straight.
pub(crate) fn status(status: &str, width: usize) -> String {
    let code = match status {
        "SUCCEEDED" | "closed" => "32",
        "FAILED" | "TIMED_OUT" | "ABORTED" | "REJECTED" => "31",
        "RUNNING" | "ACTIVE" | "open" => "34",
        _ => "2",
    };
    on_stdout(&format!("{status:width$}"), code)
}

/// What was expected, or is as it should be.
pub(crate) fn good(text: &str) -> String {
    on_stdout(text, "32")
}

pub(crate) fn bad(text: &str) -> String {
    on_stdout(text, "31")
}

pub(crate) fn dim(text: &str) -> String {
    on_stdout(text, "2")
}
