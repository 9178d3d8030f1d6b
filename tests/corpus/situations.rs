//! Situations that made noise or silence where people tried podbell out: each a recording of one service, made up.

use podbell_core::event::{Event, Level};
use podbell_core::time::Time;

/// A list, polled once a minute; nothing of a poll that failed.
pub type Polls = Vec<(Time, Option<Vec<Event<'static>>>)>;

/// A situation and how it must be told.
pub struct Situation {
    pub name: &'static str,
    pub polls: Polls,
    /// Parts of titles of which each must be told.
    pub told: Vec<&'static str>,
}

const START: i64 = 1_767_323_040;

fn at(second: i64) -> Time {
    Time::from_seconds(START + second)
}

struct Row {
    event: Event<'static>,
    /// The seconds at which it occurs, ascending.
    occurs: Vec<i64>,
}

fn row(level: Level, kind: &str, name: &str, reason: &str, message: &str, occurs: Vec<i64>) -> Row {
    let event = Event {
        first_seen: Time::UNKNOWN,
        last_seen: Time::UNKNOWN,
        count: 0,
        series: false,
        metadata: None,
        level,
        obj_type: kind.to_owned().into(),
        obj_name: name.to_owned().into(),
        reason: reason.to_owned().into(),
        message: message.to_owned().into(),
    };
    Row { event, occurs }
}

fn warning(name: &str, reason: &str, message: &str, occurs: Vec<i64>) -> Row {
    row(Level::Warning, "Pod", name, reason, message, occurs)
}

fn normal(kind: &str, name: &str, reason: &str, message: &str, at: i64) -> Row {
    row(Level::Normal, kind, name, reason, message, vec![at])
}

/// What a list shows at each poll: what occurred within the last hour.
fn polls(rows: &[Row], until: i64, read: impl Fn(i64) -> bool) -> Polls {
    let shown = |second: i64| {
        let rows = rows.iter().filter_map(|row| {
            let so_far = row.occurs.partition_point(|at| *at <= second);
            let last = *row.occurs.get(so_far.checked_sub(1)?)?;
            let event = || Event {
                first_seen: at(row.occurs[0]),
                last_seen: at(last),
                count: so_far as u64,
                ..row.event.clone()
            };
            (second - last < 3600).then(event)
        });
        rows.collect()
    };
    (0..=until / 60).map(|minute| minute * 60).map(|second| (at(second), read(second).then(|| shown(second)))).collect()
}

/// Five characters as Kubernetes draws them.
fn random(n: u64) -> String {
    let letters = b"bcdfghjklmnpqrstvwxz2456789";
    let mut seed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d;
    let mut draw = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(letters[usize::try_from(seed >> 33).unwrap_or(0) % letters.len()])
    };
    (0..5).map(|_| draw()).collect()
}

/// All of them.
pub fn all() -> Vec<Situation> {
    let mut all =
        vec![rolling_update(), steady_crash_loop(), gaps(), spot_nodes(), node_under_pods(), pending_for_hours()];
    all.extend(ci_pods());
    all
}

/// A normal rolling update of 20 replicas in 10 minutes.
fn rolling_update() -> Situation {
    let mut rows = Vec::new();
    for n in 0..20_u64 {
        let begin = 60 + i64::try_from(n).unwrap_or(0) * 30;
        let (new, old) = (format!("cart-7d4b9c6f5d-{}", random(n)), format!("cart-5f6d4c7b8b-{}", random(n + 50)));
        rows.push(normal("Pod", &new, "Scheduled", "Successfully assigned", begin));
        rows.push(warning(
            &new,
            "Unhealthy",
            "Readiness probe failed: connection refused",
            vec![begin + 5, begin + 15],
        ));
        rows.push(normal("Pod", &new, "Started", "Started container app", begin + 3));
        rows.push(normal("Pod", &old, "Killing", "Stopping container app", begin + 20));
        rows.push(warning(&old, "FailedPreStopHook", "Exec lifecycle hook failed", vec![begin + 21]));
    }
    Situation { name: "a rolling update of 20 replicas", polls: polls(&rows, 3600, |_| true), told: Vec::new() }
}

/// A crash loop that began long before podbell: one word in 300 to 315 s.
fn steady_crash_loop() -> Situation {
    let occurs = (0..48).map(|n| -200 + n * 305).collect();
    let rows = [
        warning("cart-7d4b9c6f5d-k2x9p", "BackOff", "Back-off restarting failed container app", occurs),
        normal("Pod", "db-0", "Started", "Started container db", -50),
    ];
    Situation { name: "a crash loop in its steady state", polls: polls(&rows, 4 * 3600, |_| true), told: vec!["cart"] }
}

/// A recording of a week of which only an hour a day was read, with a critical problem that stays.
fn gaps() -> Situation {
    let day = 86_400;
    let occurs = (0..7 * 144).map(|n| 120 + n * 600).collect();
    let down =
        warning("cart-7d4b9c6f5d-k2x9p", "OOMKilling", "Memory cgroup out of memory: Killed process 4711", occurs);
    let crash = (0..7 * 144).map(|n| 200 + n * 600).collect();
    let rows = [down, warning("web-7d4b9c6f5d-x2x7v", "BackOff", "Back-off restarting failed container", crash)];
    let mut polls = polls(&rows, 7 * day, |_| true);
    polls.retain(|(time, _)| (time.seconds() - START) % day < 3600);
    Situation { name: "a week with gaps of 23 hours", polls, told: vec!["cart: OOMKilling", "web: BackOff"] }
}

/// Spot nodes join and go all day; pods move.
fn spot_nodes() -> Situation {
    let mut rows = Vec::new();
    for n in 0..24_i64 {
        let (name, join) = (format!("spot-{}", random(n.unsigned_abs())), 300 + n * 3400);
        let status = |word: &str| format!("Node {name} status is now: {word}");
        rows.push(normal("Node", &name, "NodeNotReady", &status("NodeNotReady"), join));
        rows.push(normal("Node", &name, "NodeReady", &status("NodeReady"), join + 40));
        let go = join + 3000;
        rows.push(row(Level::Normal, "Node", &name, "NodeNotReady", &format!("{} ", status("NodeNotReady")), vec![go]));
        let pod = format!("cart-7d4b9c6f5d-{}", random(n.unsigned_abs() + 99));
        rows.push(warning(&pod, "NodeNotReady", "Node is not ready", vec![go + 1]));
        rows.push(normal(
            "Node",
            &name,
            "DeletingNode",
            "Deleting node: it does not exist in the cloud provider",
            go + 50,
        ));
    }
    Situation { name: "a day of spot nodes", polls: polls(&rows, 86_400, |_| true), told: Vec::new() }
}

/// A node is away for half an hour under 30 pods.
fn node_under_pods() -> Situation {
    let mut rows: Vec<Row> = (0..30)
        .map(|n| {
            let workload = ["cart", "web", "search", "api", "ledger", "queue"][usize::try_from(n % 6).unwrap_or(0)];
            warning(&format!("{workload}-7d4b9c6f5d-{}", random(n)), "NodeNotReady", "Node is not ready", vec![601])
        })
        .collect();
    rows.push(normal("Node", "node-1", "NodeNotReady", "Node node-1 status is now: NodeNotReady", 600));
    rows.push(normal("Node", "node-1", "NodeReady", "Node node-1 status is now: NodeReady", 2400));
    Situation { name: "a node away under 30 pods", polls: polls(&rows, 7200, |_| true), told: vec!["NodeNotReady"] }
}

/// A pod that fits nowhere, as a scheduler with series writes it.
fn pending_for_hours() -> Situation {
    let mut occurs = vec![61, 366];
    occurs.extend((1..12).map(|n| 366 + n * 1800));
    let mut rows = vec![warning("cart-0", "FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.", occurs)];
    rows.push(normal("Pod", "db-0", "Scheduled", "Successfully assigned shop/db-0", 30));
    Situation { name: "a pod that waits for six hours", polls: polls(&rows, 6 * 3600, |_| true), told: vec!["cart"] }
}

/// The name of a maker's nth pod.
type PodName = fn(u64) -> String;

/// One broken image of a pipeline, a new pod every three minutes, by every maker of names.
fn ci_pods() -> Vec<Situation> {
    let makers: [(&'static str, PodName); 6] = [
        ("GitLab runners", |n| format!("runner-kxwgpzt2-project-4711-concurrent-{}-{}", n % 4, random(n))),
        ("Tekton tasks", |n| format!("build-{}7-unit-tests-pod", &random(n)[..4])),
        ("Argo workflows", |n| format!("nightly-{}-{}", random(n), 2_093_482_734 + n)),
        ("Airflow tasks", |n| format!("etl-load-k4gz{}7p2", &random(n)[..1])),
        ("Jenkins agents", |n| format!("shop-main-{n}-{}-{}-{}", random(n), random(n + 31), random(n + 47))),
        ("an unknown maker", |n| format!("sandbox-{}4{}-step", random(n), random(n + 3))),
    ];
    let situation = |(name, maker): (&'static str, PodName)| {
        let rows: Vec<Row> = (0..100_i64)
            .map(|n| {
                let begin = 60 + n * 180;
                let occurs = vec![begin, begin + 60, begin + 120];
                warning(&maker(n.unsigned_abs()), "Failed", "Error: ImagePullBackOff", occurs)
            })
            .collect();
        Situation { name, polls: polls(&rows, 100 * 180 + 3600, |_| true), told: vec!["Failed"] }
    };
    makers.into_iter().map(situation).collect()
}
