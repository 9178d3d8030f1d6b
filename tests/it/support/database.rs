//! A database on a real PostgreSQL of its own, and what is in its tables.

use std::process::Command;
use std::sync::{Arc, Mutex};

use super::postgres::Postgres;
use super::reckoning::Ledger;

/// A running server with one database. It ends when it is dropped.
pub struct Database {
    server: Arc<Mutex<Postgres>>,
    pub port: u16,
    /// The port of PgBouncer in transaction mode before it.
    pub pooled: u16,
}

impl Database {
    /// Starts one with an empty database `podbell`.
    pub async fn start() -> Self {
        let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
        let port = |address: &str| address.rsplit(':').next().unwrap().parse().unwrap();
        Self { port: port(&server.direct), pooled: port(&server.pooled), server: Arc::new(Mutex::new(server)) }
    }

    /// The address of the database for podbell, through a port in front of the server.
    pub fn address(port: u16) -> String {
        format!("postgres://podbell@127.0.0.1:{port}/podbell?sslmode=disable")
    }

    /// The server dies and starts again.
    pub async fn crash(&self) {
        let server = self.server.clone();
        tokio::task::spawn_blocking(move || server.lock().unwrap().crash()).await.unwrap();
    }

    /// Runs statements.
    pub fn run(&self, sql: &str) {
        self.rows(sql);
    }
}

impl Ledger for Database {
    fn rows(&self, sql: &str) -> Vec<String> {
        let mut command = Command::new("psql");
        let port = self.port.to_string();
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "podbell", "-d", "podbell", "-qXAt", "-F", " ", "-c", sql]);
        command.env("PGOPTIONS", "-c search_path=podbell,public -c client_min_messages=error");
        // Proxies and receivers of the test go on meanwhile.
        let output = tokio::task::block_in_place(|| command.output().unwrap());
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    fn hex(&self, column: &str) -> String {
        format!("encode({column}, 'hex')")
    }
}
