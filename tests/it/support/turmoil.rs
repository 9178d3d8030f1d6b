//! A cluster in constant trouble, and receivers of every mood, both by seed: what the crash tests
//! run podbell against.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use podbell::clock;
use podbell::components::file::recording::{RecordedOutcome, RecordedPoll, Scope};
use podbell::components::qcloud::emulator::{Emulator, EmulatorConfig, Play};
use podbell_core::event::{Event, Level};
use podbell_core::time::Time;
use secrecy::SecretString;
use tokio::net::TcpListener;

use super::emulated::{SECRET_ID, SECRET_KEY};
use super::receiver::{Answer, Received, Receiver};
use super::site::{Site, WEBHOOK_SECRET, config};

/// How many services there are. At one poll a second each, one is read every 31 ms.
const SERVICES: u64 = 32;
/// How often the cluster changes.
const STEP: Duration = Duration::from_millis(250);

/// A service in which nothing ever happens: what is done about it changes no message.
pub const CALM: &str = "calm";

/// The receivers' paths, which are the destinations' names.
pub const DESTINATIONS: [&str; 3] = ["good", "moody", "slow"];

const RULES: &str = "version: 1
defaults:
  notify: [good, moody, slow]
  group_wait: 0s
  min_gap: 0s
  resolve_after: 1s
  until: silence
  escalate: {counts: [2, 4, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50], objects: [2]}
rules:
  - {name: comes-back, match: {service: \"s0*\"}}
  - {name: comes-anew, match: {service: \"s1*\"}, reopen_within: 0s}
  - {name: waits, match: {service: \"s2*\"}, group_wait: 1s, min_gap: 1s}
  - {name: critical, match: {reason: \"*\"}, severity: critical}
";

/// Numbers by seed, the same for ever (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    /// The next number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

/// The cluster, its receivers, and a podbell.yaml that connects them.
pub struct Turmoil {
    pub site: Site,
    pub receiver: Receiver,
    /// When nothing changes any more.
    pub calm_at: Time,
    /// How often each object failed in the end.
    pub counts: BTreeMap<String, u64>,
    _emulator: Emulator,
}

impl Turmoil {
    /// Starts everything; the trouble lasts for so long.
    pub async fn start(seed: u64, lasts: Duration) -> Self {
        let mut dice = Dice(seed);
        let start = clock::now();
        let (polls, counts) = trouble(&mut dice, start, lasts);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let emulator = EmulatorConfig {
            secret_id: SecretString::from(SECRET_ID),
            secret_key: SecretString::from(SECRET_KEY),
            token: None,
            play: Play::new(polls, start, NonZeroU32::MIN),
        };
        let emulator = Emulator::start(listener, emulator).unwrap();
        let receiver = Receiver::start().await;
        let names: Vec<String> = (0..SERVICES).map(service).chain([CALM.to_owned()]).collect();
        let services = format!("{{cluster: c, namespace: n, names: [{}]}}", names.join(", "));
        let notifiers = DESTINATIONS.map(|name| {
            let url = receiver.url(&format!("/{name}"));
            format!("  - {{name: {name}, kind: webhook, url: \"{url}\", secret: \"{WEBHOOK_SECRET}\"}}")
        });
        let config = config(&emulator.endpoint(), &services, &notifiers.join("\n"));
        let site = Site::new(&[("podbell.yaml", &config), ("rules.yaml", RULES)]);
        receiver.behave(moods(dice));
        Self { site, receiver, calm_at: start.plus(lasts), counts, _emulator: emulator }
    }
}

fn service(number: u64) -> String {
    format!("s{number:02}")
}

/// Two pods per service fail on and off; counts only grow.
fn trouble(dice: &mut Dice, start: Time, lasts: Duration) -> (Vec<RecordedPoll>, BTreeMap<String, u64>) {
    let mut polls = Vec::new();
    let mut counts: BTreeMap<String, (u64, Time, Time)> = BTreeMap::new();
    let mut failing = vec![false; usize::try_from(SERVICES).unwrap()];
    let steps = u32::try_from(lasts.as_millis() / STEP.as_millis()).unwrap();
    for step in 0..steps {
        let at = start.plus(STEP * step);
        for (number, failing) in (0..SERVICES).zip(&mut failing) {
            // Some start at once, the others one by one; all are quiet now and then.
            *failing ^= dice.below(6) == 0 || step == 0 && number % 3 == 0;
            let name = service(number);
            if *failing {
                let pod = format!("{name}-6d4cf56db6-{}", ["x2x7v", "8fjzk"][usize::try_from(dice.below(2)).unwrap()]);
                let (count, _, last) = counts.entry(pod).or_insert((0, at, at));
                *count += 1 + dice.below(2);
                *last = at;
            }
            let scope = Scope { cluster: Some("c".into()), namespace: Some("n".into()), service: Some(name.clone()) };
            let of_service = counts.range(name.clone()..format!("{name}~"));
            let events = of_service.map(|(pod, (count, first, last))| event(pod, *count, *first, *last)).collect();
            polls.push(RecordedPoll { at, scope, outcome: RecordedOutcome::List(events) });
        }
        let scope = Scope { cluster: Some("c".into()), namespace: Some("n".into()), service: Some(CALM.into()) };
        polls.push(RecordedPoll { at, scope, outcome: RecordedOutcome::List(Vec::new()) });
    }
    (polls, counts.into_iter().map(|(pod, (count, ..))| (pod, count)).collect())
}

fn event(pod: &str, count: u64, first_seen: Time, last_seen: Time) -> Event<'static> {
    Event {
        first_seen,
        last_seen,
        count,
        level: Level::Warning,
        obj_type: "Pod".into(),
        obj_name: pod.to_owned().into(),
        reason: "BackOff".into(),
        message: "Back-off restarting failed container 操作重试".into(),
        ..Event::default()
    }
}

/// `good` takes everything, `slow` needs a moment, `moody` has failures, but never two in a row.
fn moods(mut dice: Dice) -> impl FnMut(&Received) -> Answer + Send + 'static {
    let mut failed = false;
    move |received| {
        let late = Duration::from_millis(dice.below(120));
        match received.uri.path() {
            "/slow" => Answer::new(200, "ok").late(late),
            "/moody" if !failed && dice.below(4) == 0 => {
                failed = true;
                match dice.below(3) {
                    0 => Answer::new(429, "slow down").with("retry-after", "1"),
                    1 => Answer::new(500, "oops").late(late),
                    _ => Answer::new(503, "not now"),
                }
            }
            "/moody" => {
                failed = false;
                Answer::new(200, "ok")
            }
            _ => Answer::new(200, "ok"),
        }
    }
}
