//! A real PostgreSQL server, and PgBouncer before it: `scripts/postgres` runs them. The store's own tests use it, too.
#![allow(dead_code, reason = "some of it only one of the two binaries uses")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A server of its own. It ends with this value, or with the process.
pub struct Postgres {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// `HOST:PORT` of the server.
    pub direct: String,
    /// `HOST:PORT` of PgBouncer, in transaction mode.
    pub pooled: String,
}

impl Postgres {
    pub fn start() -> Self {
        let root = env!("CARGO_MANIFEST_DIR").trim_end_matches("/crates/store");
        let script = format!("{root}/scripts/postgres");
        let mut child = Command::new(script)
            .arg("--pooler")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/postgres runs");
        let (commands, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut server = Self { child, commands, answers, direct: String::new(), pooled: String::new() };
        server.direct = host(&server.line());
        server.pooled = host(&server.line());
        server
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "PostgreSQL cannot be started: see above, and scripts/postgres");
        line.trim().to_owned()
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.commands.as_ref().unwrap(), "{command}").unwrap();
        self.line();
    }

    /// A new database, as `postgres://…/NAME` without options.
    pub fn database(&mut self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.tell(&format!("database {name}"));
        format!("postgres://podbell@{}/{name}", self.direct)
    }

    /// Ends the server as `kill -9` does and starts it again.
    pub fn crash(&mut self) {
        self.tell("crash");
    }

    pub fn stop(&mut self) {
        self.tell("stop");
    }

    pub fn go_on(&mut self) {
        self.tell("start");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.child.wait();
    }
}

fn host(url: &str) -> String {
    url.split(['@', '/']).nth(3).expect("an address").to_owned()
}

/// A new database of the server that all tests of this process share.
pub fn database() -> String {
    shared().database()
}

/// A new database of that server, through PgBouncer in transaction mode.
pub fn pooled_database() -> String {
    let mut shared = shared();
    shared.database().replace(&shared.direct.clone(), &shared.pooled)
}

/// `HOST:PORT` of that server.
pub fn shared_address() -> String {
    shared().direct.clone()
}

fn shared() -> std::sync::MutexGuard<'static, Postgres> {
    static SHARED: OnceLock<Mutex<Postgres>> = OnceLock::new();
    SHARED.get_or_init(|| Mutex::new(Postgres::start())).lock().unwrap_or_else(PoisonError::into_inner)
}
