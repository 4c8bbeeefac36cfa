//! Speaking on standard output and standard error, one of which may be closed by then.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Prints a line of data.
macro_rules! say {
    ($($what:tt)*) => { $crate::output::data(format_args!($($what)*)) };
}

/// Prints a line about the program itself.
macro_rules! note {
    ($($what:tt)*) => { $crate::output::remark(format_args!($($what)*)) };
}

pub(crate) use {note, say};

pub(crate) fn data(line: Arguments<'_>) {
    let written = writeln!(io::stdout(), "{line}");
    match written {
        // Whoever read has seen enough, as `head` has.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            remark(format_args!("error: could not write to standard output: {error}"));
            std::process::exit(1);
        }
        Ok(()) => {}
    }
}

/// What cannot be said on standard error cannot be said at all.
pub(crate) fn remark(line: Arguments<'_>) {
    let _ = writeln!(Quiet, "{line}");
}

/// Standard error, of which nobody needs to hear that it is closed or full: work never stops for its log.
pub(crate) struct Quiet;

impl Write for Quiet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
