//! The real binary as a child: its output line by line, its end, and what a signal does to it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Long enough for anything on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks every few milliseconds until there is something, or fails after `patience`.
pub async fn eventually<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    within(patience, &mut look).await.unwrap_or_else(|| panic!("not within {patience:?}: {what}"))
}

/// The same, but nothing is an answer, too.
pub async fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let looking = async {
        let mut turns = tokio::time::interval(Duration::from_millis(5));
        loop {
            turns.tick().await;
            if let Some(found) = look() {
                return found;
            }
        }
    };
    tokio::time::timeout(patience, looking).await.ok()
}

/// A podbell command in a folder, without the surroundings of the test.
pub fn podbell(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podbell"));
    command.current_dir(folder).args(args).env_clear().stdin(Stdio::null());
    command
}

/// The end of a command that ends by itself. Off the runtime: receivers of the test go on.
pub async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// What a command printed, on both ways.
pub fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A running command. It is killed when it is dropped.
pub struct Process {
    child: Child,
    stdout: Collected,
    stderr: Collected,
}

impl Process {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Standard output so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout.bytes.lock().unwrap()).into_owned()
    }

    /// Standard error so far: the log.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.bytes.lock().unwrap()).into_owned()
    }

    /// What follows `mark` in a line of its output, once there is one.
    pub async fn word_after(&self, mark: &str) -> String {
        let look = || {
            let all = self.stdout() + &self.stderr();
            let (_, rest) = all.split_once(mark)?;
            rest.contains(char::is_whitespace).then(|| rest.split_whitespace().next().unwrap_or_default().to_owned())
        };
        match within(PATIENCE, look).await {
            Some(word) => word,
            None => panic!("no {mark:?} in\n{}\n{}", self.stdout(), self.stderr()),
        }
    }

    /// Its end, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Its end and the last line it printed, however long that takes.
    pub async fn end(&mut self, patience: Duration) -> ExitStatus {
        let look = || {
            let ended = self.child.try_wait().unwrap()?;
            (self.stdout.whole() && self.stderr.whole()).then_some(ended)
        };
        match within(patience, look).await {
            Some(status) => status,
            None => panic!("did not end within {patience:?}:\n{}", self.stderr()),
        }
    }

    /// SIGTERM, and the end that follows.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.end(Duration::from_secs(12)).await
    }

    /// Sends a signal to a process that runs.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        // It may just have ended.
        let _ = kill_process(pid, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether it ended by SIGKILL.
pub fn killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

/// What a pipe has said so far, and the thread that reads it until the pipe is closed.
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Collected {
    /// Whether nothing more can come: a process ends before the last of its pipe is read.
    fn whole(&self) -> bool {
        self.reader.is_finished()
    }
}

fn collect(pipe: impl Read + Send + 'static) -> Collected {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let shared = bytes.clone();
    let reader = std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            shared.lock().unwrap().append(&mut line);
        }
    });
    Collected { bytes, reader }
}
