//! A PostgreSQL server of `scripts/postgres`, perhaps farther away than loopback, and what its processes take.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use podbell::clock;
use podbell_store::{Location, Writer};

use super::service::FILE;

/// Where a store is that is measured, and for PostgreSQL by how many milliseconds its answers are late.
#[derive(Clone, Copy)]
pub struct Place {
    pub name: &'static str,
    later: Option<u64>,
}

const PLACES: [Place; 4] = [
    Place { name: "sqlite", later: None },
    Place { name: "postgres", later: Some(0) },
    Place { name: "postgres+2ms", later: Some(2) },
    Place { name: "postgres+10ms", later: Some(10) },
];

impl Place {
    /// The places that these arguments name; the file if they name none.
    pub fn named(arguments: &[String]) -> Vec<Self> {
        let named = |place: &Self| arguments.iter().any(|one| one == place.name);
        let some: Vec<Self> = PLACES.into_iter().filter(named).collect();
        if some.is_empty() { vec![PLACES[0]] } else { some }
    }

    pub fn is_server(self) -> bool {
        self.later.is_some()
    }

    /// Its server, unless it is a file.
    pub fn start(self) -> Option<Postgres> {
        self.later.map(|later| Postgres::start(Duration::from_millis(later)))
    }
}

/// A running server; it ends when this is dropped.
pub struct Postgres {
    child: Child,
    input: Option<ChildStdin>,
    /// Where podbell reaches it.
    pub address: String,
    /// Servers that ran before.
    others: HashSet<u32>,
}

impl Postgres {
    /// Starts a server whose answers come so much later.
    pub fn start(later: Duration) -> Self {
        let others = servers().into_iter().collect();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres");
        let mut child = Command::new(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim();
        let (user, place) = address.split_once('@').unwrap();
        let (server, database) = place.split_once('/').unwrap();
        let server: SocketAddr = server.parse().unwrap();
        let near = if later.is_zero() { server } else { farther(server, later) };
        let address = format!("{user}@{near}/{database}?sslmode=disable");
        Self { input: child.stdin.take(), child, address, others }
    }

    /// Copies the store that lies in a folder into the database.
    pub fn fill(&self, folder: &Path) {
        let copy = ["store", "copy", FILE, &self.address];
        let copied = Command::new(env!("CARGO_BIN_EXE_podbell")).args(copy).current_dir(folder).status();
        assert!(copied.unwrap().success());
    }

    /// Becomes the owner of the store in the database.
    pub fn writer(&self) -> Box<dyn Writer> {
        let location = Location::parse(&self.address, Path::new("/")).unwrap();
        location.writer(Duration::from_secs(15), clock::now()).unwrap()
    }

    /// The processor time that it has used.
    pub fn cpu(&self) -> Duration {
        let own = servers().into_iter().filter(|pid| !self.others.contains(pid));
        let ticks = |pid: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            // With that of processes that have ended, which the first one has waited for.
            fields.get(11..15)?.iter().map(|ticks| ticks.parse::<u64>().ok()).sum::<Option<u64>>()
        };
        Duration::from_millis(own.filter_map(ticks).sum::<u64>() * 10)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// The processes of all servers.
fn servers() -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_server =
        |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "postgres");
    pids.filter(is_server).collect()
}

/// The address of a proxy whose answers come so much later.
fn farther(server: SocketAddr, later: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(server)) else { continue };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (to_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || pass_on(client, to_server));
            std::thread::spawn(move || pass_on_later(server, to_client, later));
        }
    });
    address
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

fn pass_on_later(mut from: TcpStream, mut to: TcpStream, later: Duration) {
    let (sent, received) = mpsc::channel::<(Instant, Vec<u8>)>();
    let writing = std::thread::spawn(move || {
        for (at, bytes) in received {
            std::thread::sleep((at + later).saturating_duration_since(clock::monotonic()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if sent.send((clock::monotonic(), buffer[..read].to_vec())).is_err() {
            break;
        }
    }
    drop(sent);
    let _ = writing.join();
}
