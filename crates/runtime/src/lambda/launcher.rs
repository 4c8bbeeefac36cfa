//! Ties a function's process to the life of the host that started it.
//!
//! Linux can kill a child when the thread that started it ends (`PR_SET_PDEATHSIG`), but the child must ask for it itself.
//! So the host starts its own program again, which asks, makes sure that the host has not died in between, and then
//! becomes the function's binary: the request survives `exec`. [`super::process`] has the thread that never ends early.
//!
//! What a function itself has started is in its process group, which the host kills, but nobody does that for a host that
//! was killed: such a process keeps running, though nothing it says reaches anyone.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The hidden first argument that makes the program a launcher.
pub const COMMAND: &str = "lambda-launcher";

/// The exit status of a launcher that could not become the function: a shell's for "found, but cannot be executed".
pub(super) const CANNOT_EXECUTE: u8 = 126;

/// The running program, also after its file was replaced or deleted by the next build.
pub(super) fn this_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return PathBuf::from("/proc/self/exe");
    }
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("ticketflow"))
}

/// Becomes the function's binary, as the host asked; returns only if that failed.
///
/// To be called first thing in `main`, with the arguments after [`COMMAND`]: the process id of the host and the binary.
pub fn launch(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let host = arguments.next().and_then(|pid| pid.to_str()?.parse().ok());
    let (Some(host), Some(program)) = (host, arguments.next()) else {
        return ExitCode::from(2);
    };
    if !bind_to(host) {
        return ExitCode::FAILURE;
    }
    execute(program)
}

/// Has this process killed when the host ends; `false` if it has ended already.
#[cfg(target_os = "linux")]
fn bind_to(host: i32) -> bool {
    use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::KILL)).is_ok()
        && getppid().map(Pid::as_raw_nonzero).map(i32::from) == Some(host)
}

/// Elsewhere a function ends when its next call to the Runtime API finds nobody.
#[cfg(not(target_os = "linux"))]
fn bind_to(_host: i32) -> bool {
    true
}

#[expect(clippy::print_stderr, reason = "the host reads it into its log")]
fn execute(program: OsString) -> ExitCode {
    if !matches!((head(Path::new(&program)), head(&this_program())), (Ok(program), Ok(own)) if is_executable(&program, &own))
    {
        eprintln!("{} is not a program for this machine", program.display());
        return ExitCode::from(CANNOT_EXECUTE);
    }
    let error = std::process::Command::new(&program).exec();
    eprintln!("cannot execute {}: {error}", program.display());
    ExitCode::from(CANNOT_EXECUTE)
}

/// How much of a file tells for which machine it is: an ELF header up to `e_machine`.
const HEAD_BYTES: usize = 20;

fn head(program: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    File::open(program)?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Whether a file that begins with `head` runs where a program that begins with `own` does, or is a script that says by what.
///
/// The C library hands all that the kernel refuses to `/bin/sh`, which makes strange errors of a binary for ARM.
fn is_executable(head: &[u8], own: &[u8]) -> bool {
    const MACHINE: std::ops::Range<usize> = 18..20;
    let is_elf = own.starts_with(b"\x7fELF");
    !is_elf || head.starts_with(b"#!") || head.get(..5) == own.get(..5) && head.get(MACHINE) == own.get(MACHINE)
}
