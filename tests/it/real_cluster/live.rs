//! podbell as people install it: its image, its manifests, once with the image's rules and once with none, in a real cluster whose
//! workloads and nodes fail.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use podbell::clock;
use podbell_core::time::Time;
use serde_json::Value;

use super::document::Image;
use super::rows::{self, Message, Played, Row};
use super::{Expected, NODES, RESTARTS, Rules, WORKLOADS, document, install, replay, root};
use crate::support::process::{Process, output, podbell, printed};
use crate::support::receiver::Receiver;

/// Where the cluster's network reaches this test.
const ADDRESS: &str = "10.99.0.1:9000";

/// A command of `scripts/cluster`; what it prints.
pub async fn cluster(args: &[&str]) -> String {
    let mut command = Command::new(root().join("scripts/cluster"));
    command.args(args);
    let done = output(command).await;
    assert!(done.status.success(), "{args:?}: {}", printed(&done));
    String::from_utf8(done.stdout).unwrap()
}

/// `podbell record` of the whole cluster, as its administrator.
fn recorder(folder: &Path) -> Process {
    let kubeconfig = std::env::var("KUBECONFIG").unwrap();
    let config = format!(
        "sources: [{{name: recorded, kind: kubernetes, cluster: prod, kubeconfig: \"{kubeconfig}\"}}]\n\
         notifiers: [{{name: none, kind: console}}]\nstore: 'sqlite:unused.db'\n"
    );
    std::fs::write(folder.join("podbell.yaml"), config).unwrap();
    Process::start(podbell(folder, &["record", "--out", "recording.jsonl"]))
}

/// Where an installation's messages arrive.
fn path(rules: Rules) -> &'static str {
    match rules {
        Rules::Shipped => "/shipped",
        Rules::Builtin => "/builtin",
    }
}

/// What was done to the cluster, and what both installations told of it.
struct Run {
    folder: PathBuf,
    begun: Instant,
    image: Image,
    receiver: Receiver,
    played: Played,
    /// What was waited for in vain.
    late: Vec<String>,
}

impl Run {
    /// Installs podbell twice.
    async fn start() -> Self {
        let folder = root().join("target/cluster");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let receiver = Receiver::at(ADDRESS).await;
        let begun = clock::monotonic();
        install::install_all(|rules| format!("http://{ADDRESS}{}", path(rules))).await;
        let mut started_within = Vec::new();
        for rules in Rules::ALL {
            started_within.push(install::started_within(rules).await);
        }
        let archive = std::env::var("PODBELL_IMAGE").unwrap();
        let image = Image { bytes: std::fs::metadata(archive).unwrap().len(), started_within };
        let run = Self { folder, begun, image, receiver, played: Played::default(), late: Vec::new() };
        run.say("both are installed");
        run
    }

    /// For those who wait.
    fn say(&self, what: &str) {
        println!("{:4} s: {what}", self.begun.elapsed().as_secs());
    }

    async fn make(&mut self, troubles: &[Expected]) {
        for Expected { name, .. } in troubles {
            self.played.make(name, clock::now());
            cluster(&["trouble", name]).await;
        }
    }

    async fn mend(&mut self, troubles: &[Expected]) {
        for Expected { name, .. } in troubles {
            self.played.mend(name, clock::now());
            cluster(&["mend", name]).await;
        }
    }

    /// What an installation told so far.
    fn told(&self, rules: Rules) -> Vec<(Time, Value)> {
        let of_it = self.receiver.received().into_iter().filter(|one| one.uri.path() == path(rules));
        of_it.map(|one| (one.at, one.json())).collect()
    }

    fn rows(&self, rules: Rules) -> Vec<Row> {
        let told = self.told(rules);
        let messages: Vec<Message<'_>> = told.iter().filter_map(|(at, body)| Message::of_webhook(*at, body)).collect();
        rows::rows(&messages, &self.played)
    }

    /// What was told without a reason.
    fn strangers(&self) -> Vec<String> {
        let of = |rules: Rules| {
            let told = self.told(rules);
            let messages: Vec<Message<'_>> =
                told.iter().filter_map(|(at, body)| Message::of_webhook(*at, body)).collect();
            rows::strangers(&messages).into_iter().map(move |what| format!("{rules:?}: {what}")).collect::<Vec<_>>()
        };
        Rules::ALL.into_iter().flat_map(of).collect()
    }

    /// Waits until the rows of both are as they should be, or the time is up. Looks once a second: all messages are read for it, and
    /// the cluster needs the processor.
    async fn wait(&mut self, seconds: u64, what: &str, are_so: impl Fn(&[Row]) -> bool) {
        let begun = clock::monotonic();
        let mut turns = tokio::time::interval(Duration::from_secs(1));
        while begun.elapsed() < Duration::from_secs(seconds) {
            turns.tick().await;
            if Rules::ALL.iter().all(|rules| are_so(&self.rows(*rules))) {
                self.say(what);
                return;
            }
        }
        self.say(&format!("waited in vain until {what}"));
        self.late.push(format!("not within {seconds} s: {what}"));
    }

    /// Waits until the recording goes beyond everything that was told, so that a replay of it can tell the same: the recorder
    /// writes down every 30 s that it still watches.
    async fn wait_for_recording(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(180);
        let told = Rules::ALL.into_iter().flat_map(|rules| self.told(rules)).map(|(at, _)| at.seconds()).max();
        let beyond = told.unwrap_or_default() + i64::from(replay::TOLERANCE);
        let recording = self.folder.join("recording.jsonl");
        let reached = || {
            let text = std::fs::read_to_string(&recording).unwrap();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let last: Value = serde_json::from_str(whole.lines().last().unwrap_or_default()).unwrap_or_default();
            let at = last["at"].as_str().and_then(|at| at.parse::<jiff::civil::DateTime>().ok());
            at.is_some_and(|at| at.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second() > beyond)
        };
        let begun = clock::monotonic();
        let mut turns = tokio::time::interval(Duration::from_secs(1));
        while !reached() {
            if begun.elapsed() > PATIENCE {
                self.late
                    .push(format!("the recording does not go beyond what was told within {} s", PATIENCE.as_secs()));
                return;
            }
            turns.tick().await;
        }
        self.say("the recording goes beyond what was told");
    }

    /// Keeps everything that was told, for those who look into it.
    fn write(&self) {
        std::fs::write(self.folder.join("trouble.tsv"), self.played.as_tsv()).unwrap();
        for rules in Rules::ALL {
            let told = self.told(rules);
            let lines: Vec<String> = told.iter().map(|(at, body)| format!("{} {body}", at.timestamp())).collect();
            std::fs::write(self.folder.join(format!("told-{}.jsonl", &path(rules)[1..])), lines.join("\n")).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a cluster: scripts/test --cluster"]
async fn every_trouble_of_a_real_cluster_is_told_by_a_pod_and_so_is_its_end() {
    let for_documentation = std::env::var_os("PODBELL_UPDATE_DOCS").is_some();
    let mut run = Run::start().await;
    let recorder = recorder(&run.folder);
    run.make(&WORKLOADS).await;
    run.wait(480, "all troubles of workloads are told", rows::all_told).await;

    // What was told once is not told again by a podbell that was killed, or whose API server was away.
    let before = install::restarts().await;
    for one in &RESTARTS {
        run.make(std::slice::from_ref(one)).await;
        run.wait(240, &format!("what happens during the restart of {} is told", one.name), rows::all_told).await;
    }
    install::were_restarted(&before).await;

    // Both nodes at once, with everything on them, podbell included; its process goes on.
    run.make(&NODES).await;
    run.wait(300, "the nodes are told", rows::all_told).await;

    for troubles in [&NODES[..], &WORKLOADS, &RESTARTS] {
        run.mend(troubles).await;
    }
    run.wait(900, "all ends are told", rows::all_ended).await;
    run.wait_for_recording().await;

    drop(recorder);
    run.write();
    let rows = Rules::ALL.map(|rules| (rules, run.rows(rules)));
    document::write(&run.folder, &run.image, &rows, clock::now());
    println!("{}\n{}", run.image, document::tables(&rows));
    let of_rows = rows
        .iter()
        .flat_map(|(rules, rows)| rows.iter().map(move |row| (rules, row)))
        .flat_map(|(rules, row)| row.wrong.iter().map(move |what| format!("{rules:?}, {}: {what}", row.trouble)));
    let wrong: Vec<String> = run.late.iter().cloned().chain(of_rows).chain(run.strangers()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if for_documentation {
        // Of the image that people install; another one is larger and slower.
        assert!(run.image.started_within.iter().all(|time| *time < Duration::from_secs(1)), "{}", run.image);
        document::keep(&run.folder);
    }
}
