//! A function's process: how it is started, awaited and killed.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};

use super::launcher;

/// How many starts may wait for the spawning thread; it takes a millisecond for one.
const QUEUED_SPAWNS: usize = 64;

/// Starts processes on a thread that lives as long as the host.
///
/// The kernel kills a child when the *thread* that started it ends, and tokio's worker threads come and go.
#[derive(Debug)]
pub(super) struct Spawner {
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
struct Request {
    command: Command,
    reply: oneshot::Sender<std::io::Result<Child>>,
}

impl Spawner {
    pub(super) fn start() -> std::io::Result<Self> {
        let (requests, mut queue) = mpsc::channel::<Request>(QUEUED_SPAWNS);
        let tokio = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("lambda-spawner".to_owned())
            .spawn(move || {
                let _context = tokio.enter();
                while let Some(mut request) = queue.blocking_recv() {
                    // Nobody waits any more: the child that comes back is dropped and thereby killed.
                    let _ = request.reply.send(request.command.spawn());
                }
            })?;
        Ok(Self { requests })
    }

    /// Starts `program` by way of the launcher, in a process group of its own, with nothing but `environment`.
    pub(super) async fn spawn(
        &self,
        launcher: &Path,
        program: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> std::io::Result<Process> {
        let mut command = Command::new(launcher);
        command
            .arg(launcher::COMMAND)
            .arg(std::process::id().to_string())
            .arg(program)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(directory) = program.parent() {
            command.current_dir(directory);
        }
        let (reply, child) = oneshot::channel();
        let gone = || std::io::Error::other("the thread that starts processes has ended");
        self.requests
            .send(Request { command, reply })
            .await
            .map_err(|_| gone())?;
        let child = child.await.map_err(|_| gone())??;
        let group = child.id().and_then(|id| Pid::from_raw(id as i32));
        Ok(Process { child, group })
    }
}

/// A running child and what it started. Dropped, the whole process group is killed.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
}

impl Process {
    pub(super) fn id(&self) -> u32 {
        self.group.map_or(0, |group| group.as_raw_nonzero().get() as u32)
    }

    pub(super) fn output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits for the end. May be dropped and called again.
    pub(super) async fn exited(&mut self) -> Exit {
        match self.child.wait().await {
            Ok(status) => Exit::from(status),
            Err(error) => {
                tracing::error!(target: "lambda", pid = self.id(), %error, "could not wait for a function's process");
                Exit::Unexplained
            }
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It may have ended by itself.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Also after the leader has ended: a group's id is not given away while anyone is left in it.
        self.signal(Signal::KILL);
    }
}

/// How a process ended. `Display` is AWS's wording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// With status 0, or in a way that nobody saw.
    Unexplained,
    Status(i32),
    Signal(i32),
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(0), _) => Exit::Unexplained,
            (Some(code), _) => Exit::Status(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unexplained,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Unexplained => write!(formatter, "Runtime exited without providing a reason"),
            Exit::Status(code) => {
                write!(formatter, "Runtime exited with error: exit status {code}")
            }
            Exit::Signal(signal) => write!(formatter, "Runtime exited with error: signal: {}", signal_name(*signal)),
        }
    }
}

/// The signal as Go's `syscall.Signal` prints it, in which AWS's supervisor is written.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
