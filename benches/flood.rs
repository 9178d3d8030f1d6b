//! Strangers: 10,000 bad requests a second for 10 s at the address where chats and the API are served,
//! while the service polls and delivers.
//!
//! `cargo bench --bench flood` (2 minutes)
//!
//! The real `podbell run` in a process of its own, with 1,670 services polled every 10 s (as many polls a
//! second as 10,000 every minute) and a message for each incident every 20 s. The flood is an open loop
//! over 64 connections, of requests that are wrong in different ways. What is compared is the time with
//! and without it: how far apart the polls of a service are, how long after falling due a message
//! arrives, memory.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use podbell::clock;
use support::server::World;
use support::service::{FILE, Plan, Service, Services, configure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const TARGETS: usize = 1_670;
const ROUND: Duration = Duration::from_secs(10);
const SPAN: Duration = Duration::from_secs(10);
const RATE: usize = 10_000;
const CONNECTIONS: usize = 64;
const RULES: &str = "\
version: 1
defaults: {notify: [hook], group_by: [cluster, namespace, service], remind_every: 20s, min_gap: 0s}
rules:
  - {name: warnings, match: {level: Warning}}
";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = World::new(TARGETS);
    let api = runtime.block_on(Arc::clone(&world).serve(false));
    let folder = tempfile::tempdir().unwrap();
    let listen = configure(
        folder.path(),
        Plan {
            api,
            hook: api,
            tls: false,
            services: Services::Named(TARGETS),
            every: ROUND,
            rules: RULES,
            store: FILE,
        },
    );
    let yaml = folder.path().join("podbell.yaml");
    let text = std::fs::read_to_string(&yaml).unwrap();
    let text = text.replace("server: {", "server: {tokens: [{name: bench, token: a-token-of-the-benchmark}], ");
    let chats = "chats: [{name: ops, kind: slack, signing_secret: 8f742231b10e8888abcd99yyyzzz85a5}]\n";
    std::fs::write(&yaml, text + chats).unwrap();
    let mut podbell = Service::start(folder.path(), listen);
    assert!(podbell.ready(Duration::from_secs(10)).is_some(), "it does not start");
    while podbell.metric("podbell_polls_total") < 3.0 * TARGETS as f64 {
        std::thread::sleep(Duration::from_millis(200));
    }
    println!(
        "           requests/s   refused/s  polls/s  apart s (p1, p99, most)   messages/s  after ms (p50, p99, most)  CPU of a core  resident (most)"
    );
    for flooded in [false, true, false, true] {
        measure(&runtime, listen, &podbell, &world, flooded);
    }
}

fn measure(runtime: &tokio::runtime::Runtime, listen: SocketAddr, podbell: &Service, world: &World, flooded: bool) {
    world.gaps.lock().unwrap().clear();
    world.delays.lock().unwrap().clear();
    let counts = || (world.lists.load(Ordering::Relaxed), world.hooks.load(Ordering::Relaxed));
    let ((lists, hooks), (user, system)) = (counts(), podbell.cpu());
    let begun = clock::monotonic();
    let (sent, refused) = match flooded {
        true => runtime.block_on(flood(listen)),
        false => {
            std::thread::sleep(SPAN);
            (0, 0)
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    let (now, cpu) = (counts(), podbell.cpu());
    let (mut gaps, mut delays) = (world.gaps.lock().unwrap().clone(), world.delays.lock().unwrap().clone());
    gaps.sort_by(f64::total_cmp);
    delays.sort_by(f64::total_cmp);
    let share = |times: &[f64], share: f64| {
        times
            .get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or(f64::NAN)
    };
    let (resident, most) = podbell.memory();
    println!(
        "{:10} {:10.0} {:11.0} {:8.1} {:9.2} {:6.2} {:6.2} {:14.1} {:9.1} {:7.1} {:7.1} {:17.1}% {:10.0} MiB ({most:.0})",
        if flooded { "flooded" } else { "calm" },
        sent as f64 / seconds,
        refused as f64 / seconds,
        (now.0 - lists) as f64 / seconds,
        share(&gaps, 0.01) / 1000.0,
        share(&gaps, 0.99) / 1000.0,
        share(&gaps, 1.0) / 1000.0,
        (now.1 - hooks) as f64 / seconds,
        share(&delays, 0.5),
        share(&delays, 0.99),
        share(&delays, 1.0),
        (cpu.0 + cpu.1 - user - system).as_secs_f64() / seconds * 100.0,
        resident,
    );
}

/// Requests that are wrong in different ways.
fn bad(n: usize) -> String {
    let post = |path: &str, headers: &str, body: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
    };
    match n % 5 {
        0 => post("/slack/ops", "x-slack-request-timestamp: 1\r\nx-slack-signature: v0=00\r\n", "command=/events"),
        1 => post("/api/v1/commands", "authorization: Bearer wrong-token-of-nobody\r\n", "{\"text\": \"events\"}"),
        2 => "GET /api/v1/incidents?limit=100 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        3 => post("/slack/nothing", "", &"x".repeat(1000)),
        _ => format!("GET /../../etc/passwd?{n} HTTP/1.1\r\nhost: x\r\n\r\n"),
    }
}

/// Sends them in an open loop. How many, and how many answers came that refuse.
async fn flood(listen: SocketAddr) -> (u64, u64) {
    let (sent, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let begun = clock::monotonic();
    let mut all = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (sent, refused) = (sent.clone(), refused.clone());
        all.spawn(async move {
            let mut n = connection;
            let mut answer = vec![0; 64 * 1024];
            while begun.elapsed() < SPAN {
                // Whoever is shut out comes again.
                let Ok(mut stream) = TcpStream::connect(listen).await else { continue };
                while begun.elapsed() < SPAN {
                    let due = begun
                        + Duration::from_secs(1) * u32::try_from(n / CONNECTIONS).unwrap()
                            / u32::try_from(RATE / CONNECTIONS).unwrap();
                    tokio::time::sleep_until(due.into()).await;
                    if stream.write_all(bad(n).as_bytes()).await.is_err() {
                        break;
                    }
                    n += CONNECTIONS;
                    sent.fetch_add(1, Ordering::Relaxed);
                    match tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await {
                        Ok(Ok(read)) if read > 12 => {
                            let status = String::from_utf8_lossy(&answer[9..12]).into_owned();
                            assert!(status.starts_with('4') || status == "503", "{status}");
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        _ => break,
                    }
                }
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    (sent.load(Ordering::Relaxed), refused.load(Ordering::Relaxed))
}
