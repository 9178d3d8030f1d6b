//! How soon people hear after a receiver was away: podbell beside Prometheus' Alertmanager, in one run, each with a
//! receiver of its own that behaves in the same way from the first request on.
//!
//! `cargo bench --bench outage` (`apt-get install prometheus-alertmanager`, or `ALERTMANAGER=/path/to/alertmanager`)
//!
//! The real binaries. Podbell plays a recording in which so many workloads fail at one moment; Alertmanager is sent as
//! many alerts, each a group of its own. Both wait for nothing before the first notice (`group_wait: 0s`). Alertmanager takes a 429
//! of a webhook for good and asks again with the next flush of the group, so that `group_interval` is 10 s here, not 5 min.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use podbell::clock;
use serde_json::{Value, json};
use support::median;

const RUNS: usize = 3;
/// How long a receiver is away.
const AWAY: Duration = Duration::from_secs(5);
/// A run that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a receiver behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    /// It answers this status for [`AWAY`], then takes everything.
    Away(u16),
    /// It answers 503 to half of the requests, at random, for ever.
    Half,
}

fn main() {
    let alertmanager = std::env::var("ALERTMANAGER").unwrap_or_else(|_| "prometheus-alertmanager".into());
    if Command::new(&alertmanager).arg("--version").output().is_err() {
        println!("{alertmanager} is not there: apt-get install prometheus-alertmanager, or set ALERTMANAGER");
        std::process::exit(1);
    }
    println!(
        "the receiver                due  requests            told after, s: median, last   (medians of {RUNS} runs)"
    );
    println!("                                 podbell  Alertm.    podbell          Alertmanager    last/last");
    let scenes = [
        ("503 for 5 s", Behaviour::Away(503), 8),
        ("503 for 5 s", Behaviour::Away(503), 50),
        ("429, no Retry-After, 5 s", Behaviour::Away(429), 50),
        ("503 to half of them", Behaviour::Half, 200),
    ];
    for (words, behaviour, due) in scenes {
        let (mut ours, mut theirs): (Vec<Arrivals>, Vec<Arrivals>) =
            (0..RUNS as u64).map(|run| play(&alertmanager, behaviour, due, run)).unzip();
        let of = |told: &mut Vec<Arrivals>, figure: fn(&Arrivals) -> f64| {
            median(&mut told.iter().map(figure).collect::<Vec<_>>())
        };
        let [middle, last, tries] =
            [|told: &Arrivals| told.median, |told: &Arrivals| told.last, |told: &Arrivals| told.requests]
                .map(|figure| of(&mut ours, figure));
        let [am_middle, am_last, am_tries] =
            [|told: &Arrivals| told.median, |told: &Arrivals| told.last, |told: &Arrivals| told.requests]
                .map(|figure| of(&mut theirs, figure));
        println!(
            "{words:26} {due:4} {tries:8.0} {am_tries:8.0}  {middle:9.2} {last:6.2}  {am_middle:9.2} {am_last:6.2}   {:8.2}",
            last / am_last
        );
    }
}

/// What came of one run, counted from the first request on.
struct Arrivals {
    median: f64,
    last: f64,
    requests: f64,
}

/// One run of both, side by side.
fn play(alertmanager: &str, behaviour: Behaviour, due: usize, run: u64) -> (Arrivals, Arrivals) {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Receiver::start(behaviour, run), Receiver::start(behaviour, run));
    let operator = Receiver::start(Behaviour::Away(200), run);
    let _podbell = podbell(folder.path(), ours.address, operator.address, due);
    let _alertmanager = self::alertmanager(folder.path(), alertmanager, theirs.address, due);
    let begun = clock::monotonic();
    while begun.elapsed() < PATIENCE && [&ours, &theirs].iter().any(|receiver| receiver.taken() < due) {
        std::thread::sleep(Duration::from_millis(50));
    }
    (ours.told(due), theirs.told(due))
}

/// A process that ends with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn podbell(folder: &Path, hook: SocketAddr, operator: SocketAddr, due: usize) -> Running {
    let event = |n: usize| {
        json!({"firstSeen": "2026-01-01 10:00:04", "lastSeen": "2026-01-01 10:00:04", "count": 1, "level": "Warning",
            "objType": "Pod", "objName": format!("w{n}x"), "reason": "FailedMount", "message": "no such volume"})
    };
    let events: Vec<Value> = (0..due).map(event).collect();
    let poll = |at: &str, events: Value| {
        json!({"at": at, "cluster": "c", "namespace": "shop", "service": "web", "eventList": events}).to_string()
    };
    let recording = [poll("2026-01-01 10:00:00", json!([])), poll("2026-01-01 10:00:05", json!(events))].join("\n");
    std::fs::write(folder.join("recording.jsonl"), recording + "\n").unwrap();
    let yaml = format!(
        "sources:\n  - {{name: file, kind: file, path: recording.jsonl}}\nnotifiers:\n  \
         - {{name: hook, kind: webhook, url: \"http://{hook}/\"}}\n  \
         - {{name: operator, kind: webhook, url: \"http://{operator}/\"}}\n\
         operator: {{notify: [operator]}}\nrules: [rules.yaml]\nstore: sqlite:podbell.db\nserver: {{listen: \"{}\"}}\n",
        free()
    );
    std::fs::write(folder.join("podbell.yaml"), yaml).unwrap();
    let rules = "version: 1\nrules:\n  - {name: all, match: {reason: \"*\"}, notify: [hook], group_wait: 0s}\n";
    std::fs::write(folder.join("rules.yaml"), rules).unwrap();
    start(folder, Command::new(env!("CARGO_BIN_EXE_podbell")).arg("run"), "podbell")
}

fn alertmanager(folder: &Path, program: &str, hook: SocketAddr, due: usize) -> Running {
    let yaml = format!(
        "route: {{receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 10s, repeat_interval: 4h}}\n\
         receivers:\n  - name: hook\n    webhook_configs:\n      - {{url: \"http://{hook}/\", send_resolved: false}}\n"
    );
    std::fs::write(folder.join("alertmanager.yaml"), yaml).unwrap();
    let listen = free();
    let mut command = Command::new(program);
    command.args(["--config.file=alertmanager.yaml", "--storage.path=alerts", "--cluster.listen-address="]);
    let running = start(folder, command.arg(format!("--web.listen-address={listen}")), "alertmanager");
    let begun = clock::monotonic();
    while post(listen, "/api/v2/alerts", "[]").is_none() {
        assert!(begun.elapsed() < PATIENCE, "Alertmanager does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
    let alerts: Vec<Value> = (0..due).map(|n| json!({"labels": {"alertname": format!("w{n}x")}})).collect();
    assert!(post(listen, "/api/v2/alerts", &json!(alerts).to_string()).is_some_and(|answer| answer.contains(" 200 ")));
    running
}

fn start(folder: &Path, command: &mut Command, name: &str) -> Running {
    let log = std::fs::File::create(folder.join(format!("{name}.log"))).unwrap();
    let command = command.current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Running(command.spawn().unwrap())
}

/// Free a moment ago; nothing else on the machine asks for ports in the meantime.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn post(to: SocketAddr, path: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(to).ok()?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Takes webhooks, or does not.
struct Receiver {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
}

struct Heard {
    behaviour: Behaviour,
    /// When the first request came.
    first: Option<Instant>,
    requests: usize,
    /// When each workload was told.
    told: BTreeMap<String, Duration>,
    chance: u64,
}

impl Heard {
    /// Judges a request: its status.
    fn take(&mut self, body: &Value) -> u16 {
        let first = *self.first.get_or_insert_with(clock::monotonic);
        self.requests += 1;
        // xorshift: the same for both.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let status = match self.behaviour {
            Behaviour::Away(status) if first.elapsed() < AWAY => status,
            Behaviour::Half if self.chance.is_multiple_of(2) => 503,
            Behaviour::Away(_) | Behaviour::Half => 200,
        };
        if status == 200 {
            let ours = body["data"]["incident"]["workload"].as_str();
            let name = ours.or_else(|| body["groupLabels"]["alertname"].as_str()).unwrap_or_default();
            self.told.entry(name.to_owned()).or_insert_with(|| first.elapsed());
        }
        status
    }
}

impl Receiver {
    fn start(behaviour: Behaviour, run: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let chance = 0x9E37_79B9_7F4A_7C15 ^ (run + 1);
        let heard = Heard { behaviour, first: None, requests: 0, told: BTreeMap::new(), chance };
        let heard = Arc::new(Mutex::new(heard));
        let shared = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heard = shared.clone();
                std::thread::spawn(move || connection(stream, &heard));
            }
        });
        Self { address, heard }
    }

    fn taken(&self) -> usize {
        self.heard.lock().unwrap().told.len()
    }

    fn told(&self, due: usize) -> Arrivals {
        let heard = self.heard.lock().unwrap();
        let mut times: Vec<f64> = heard.told.values().map(Duration::as_secs_f64).collect();
        // What was never told counts as that.
        times.resize(due.max(times.len()), f64::INFINITY);
        times.sort_by(f64::total_cmp);
        Arrivals { median: times[times.len() / 2], last: *times.last().unwrap(), requests: heard.requests as f64 }
    }
}

/// One kept-alive connection.
fn connection(stream: TcpStream, heard: &Mutex<Heard>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim_end().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let status = heard.lock().unwrap().take(&serde_json::from_slice(&body).unwrap_or_default());
        let mut answer = String::new();
        let _ = write!(answer, "HTTP/1.1 {status} bench\r\ncontent-length: 0\r\n\r\n");
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
