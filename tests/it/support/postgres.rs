//! A real PostgreSQL in a temporary folder, on a port of this machine.

use std::path::PathBuf;
use std::process::{Command, Output};

use super::reckoning::Ledger;

/// A running server. It ends when it is dropped.
pub struct Postgres {
    folder: tempfile::TempDir,
    pub port: u16,
}

impl Postgres {
    /// Starts one with an empty database `podbell`.
    pub async fn start() -> Self {
        tokio::task::spawn_blocking(Self::start_now).await.unwrap()
    }

    fn start_now() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = good(script(["start".as_ref(), folder.path().as_os_str()]).output().unwrap());
        let port = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        Self { folder, port }
    }

    /// The address of the database for podbell, through a port in front of the server.
    pub fn address(&self, port: u16) -> String {
        format!("postgres://podbell@127.0.0.1:{port}/podbell?sslmode=disable")
    }

    /// The server dies and starts again.
    pub async fn crash(&self) {
        let mut command = script(["crash".as_ref(), self.folder.path().as_os_str()]);
        good(tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap());
    }

    /// Runs statements.
    pub fn run(&self, sql: &str) {
        self.rows(sql);
    }
}

impl Ledger for Postgres {
    fn rows(&self, sql: &str) -> Vec<String> {
        let mut command = Command::new("psql");
        let port = self.port.to_string();
        let arguments =
            ["-h", "127.0.0.1", "-p", &port, "-U", "podbell", "-d", "podbell", "-qXAt", "-F", " ", "-c", sql];
        command.args(arguments).env("PGOPTIONS", "-c search_path=podbell,public -c client_min_messages=error");
        let output = good(command.output().unwrap());
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    fn hex(&self, column: &str) -> String {
        format!("encode({column}, 'hex')")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = script(["stop".as_ref(), self.folder.path().as_os_str()]).output();
    }
}

fn script<const N: usize>(arguments: [&std::ffi::OsStr; N]) -> Command {
    let mut command = Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres"));
    command.args(arguments);
    command
}

fn good(output: Output) -> Output {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
