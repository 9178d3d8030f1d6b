//! The real binary in its own process: configured, started, asked, measured from outside.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use podbell::clock;

use super::{fixture, namespace_of, service};

/// Which services podbell.yaml names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Services {
    /// So many, each by its name.
    Named(usize),
    /// None: they are discovered.
    Discovered,
}

/// A running `podbell run`, killed when dropped.
pub struct Service {
    child: Child,
    listen: SocketAddr,
}

/// What podbell is set up to do.
pub struct Plan<'a> {
    pub api: SocketAddr,
    pub hook: SocketAddr,
    pub tls: bool,
    pub services: Services,
    pub every: Duration,
    pub rules: &'a str,
    /// `store:` of podbell.yaml.
    pub store: &'a str,
}

/// Writes podbell.yaml into a folder, with the store beside it.
pub fn configure(folder: &Path, plan: Plan<'_>) -> SocketAddr {
    let Plan { api, hook, tls, services, every, rules, store } = plan;
    // Free a moment ago; nothing else on the machine asks for ports in the meantime.
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scheme = if tls { "https" } else { "http" };
    let mut yaml = format!(
        "sources:\n  - name: prod\n    kind: qcloud\n    endpoint: {scheme}://{api}/v2/index.php\n    \
         secret_id: ${{BENCH_SECRET}}\n    secret_key: ${{BENCH_SECRET}}\n    region: ap-guangzhou\n    requests_per_second: 400\n    poll_every: {}s\n    services:\n",
        every.as_secs()
    );
    match services {
        Services::Discovered => yaml.push_str("      - {cluster: cls-1, discover: true}\n"),
        Services::Named(count) => {
            let all: Vec<usize> = (0..count).collect();
            for team in all.chunks(super::PER_NAMESPACE) {
                let names: Vec<String> = team.iter().map(|i| service(*i)).collect();
                let namespace = namespace_of(team[0]);
                yaml.push_str(&format!(
                    "      - {{cluster: cls-1, namespace: {namespace}, names: [{}]}}\n",
                    names.join(", ")
                ));
            }
        }
    }
    yaml.push_str(&format!("notifiers:\n  - {{name: hook, kind: webhook, url: \"http://{hook}/\"}}\n"));
    yaml.push_str(&format!("operator: {{notify: [hook]}}\nrules: [rules.yaml]\nstore: \"{store}\"\n"));
    yaml.push_str(&format!("server: {{listen: \"{listen}\"}}\n"));
    if tls {
        yaml.push_str(&format!("http: {{ca_file: {}}}\n", fixture("tls/ca.pem").display()));
    }
    std::fs::write(folder.join("podbell.yaml"), yaml).unwrap();
    std::fs::write(folder.join("rules.yaml"), rules).unwrap();
    listen
}

/// A file beside podbell.yaml.
pub const FILE: &str = "sqlite:podbell.db";

/// The built-in rules, told to the webhook.
pub const RULES: &str = "\
version: 1
defaults: {notify: [hook]}
rules:
  - {name: invalid-disk-capacity, match: {reason: InvalidDiskCapacity}, action: ignore}
  - {name: unhealthy, match: {reason: Unhealthy}, open_when: {count: 3, within: 15m}}
  - {name: warnings, match: {level: Warning}}
";

impl Service {
    /// Starts it in a configured folder. Its log goes into the folder.
    pub fn start(folder: &Path, listen: SocketAddr) -> Self {
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_podbell"))
            .arg("run")
            .current_dir(folder)
            .env("BENCH_SECRET", "AKIDbench")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, listen }
    }

    /// Tells it to end, and waits until it has: a shared store is free then.
    pub fn end(mut self) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)
            .unwrap();
        self.child.wait().unwrap();
    }

    /// This benchmark itself in another process, with these arguments, to be measured like the service.
    pub fn bare(arguments: &[String]) -> Self {
        let child =
            Command::new(std::env::current_exe().unwrap()).args(arguments).stdin(Stdio::null()).spawn().unwrap();
        Self { child, listen: SocketAddr::from(([127, 0, 0, 1], 0)) }
    }

    /// Waits until `/readyz` answers 200 and not as a standby, and says for how long.
    pub fn ready(&mut self, patience: Duration) -> Option<Duration> {
        let begun = clock::monotonic();
        while begun.elapsed() < patience {
            if self
                .get("/readyz")
                .is_some_and(|answer| answer.starts_with("HTTP/1.1 200") && !answer.contains("standby"))
            {
                return Some(begun.elapsed());
            }
            if self.child.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        None
    }

    /// A sample of `/metrics`, by its name.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.get("/metrics").unwrap_or_default();
        let values = page.lines().filter(|line| line.split([' ', '{']).next() == Some(name));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.listen).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Processor time so far, of user and system.
    pub fn cpu(&self) -> (Duration, Duration) {
        let stat = std::fs::read_to_string(self.proc("stat")).unwrap();
        let fields: Vec<u64> =
            stat.rsplit(')').next().unwrap().split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        // utime and stime are the 14th and 15th field; two stand before the bracket. A tick is 10 ms.
        (Duration::from_millis(fields[11] * 10), Duration::from_millis(fields[12] * 10))
    }

    /// Resident memory in MiB: now, and at most.
    pub fn memory(&self) -> (f64, f64) {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
        };
        (of("VmRSS"), of("VmHWM"))
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.child.id()))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
