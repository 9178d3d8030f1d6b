//! What a replica does that is not active.

use std::time::Duration;

use podbell::clock;

use super::fleet::{BANK, Fleet, WRITE, command, readiness};
use crate::support::chat_servers;
use crate::support::emulated::{ONE_EVENT, emulator};
use crate::support::process::{PATIENCE, eventually};
use crate::support::receiver::{self, Receiver, client};
use crate::support::reckoning::Ledger;
use crate::support::site::{QUICK_RULES, Running, Site};
use crate::support::slack::{SECRET, signature};
use crate::support::telegram::FakeTelegram;

const CHATS: &str = "chats:
  - {name: ops, kind: slack, signing_secret: 8f742231b10e8888abcd99yyyzzz85a5, teams: T1, channels: [C0OPS]}
rules: [rules.yaml]";

/// A service with one open incident, and two replicas that watch it, the first of them active.
struct World {
    fleet: Fleet,
    /// Its number, as people type it. The podbell that made the tables has used others.
    incident: String,
    site: Site,
    _emulator: podbell::components::qcloud::emulator::Emulator,
    _receiver: Receiver,
}

async fn world() -> World {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    site.edit("rules: [rules.yaml]", CHATS);
    site.write("rules.yaml", &QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 1h"));
    let mut fleet = Fleet::new(&site, 2).await;
    fleet.start(&site, 0, 0).await;
    fleet.running(0).reaches("podbell_open_incidents ", |open| open == 1).await;
    fleet.start(&site, 1, 0).await;
    ready(&fleet, 1).await;
    let incident = format!("#{}", fleet.database.rows("SELECT id FROM incident")[0]);
    World { fleet, incident, site, _emulator: emulator, _receiver: receiver }
}

async fn ready(fleet: &Fleet, replica: usize) {
    let ready = async {
        let mut turns = tokio::time::interval(Duration::from_millis(50));
        while readiness(fleet.running(replica)).await.is_none_or(|(status, _)| status != 200) {
            turns.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("it becomes ready");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_answers_and_what_it_is_told_is_done_within_two_seconds_and_survives_the_active_one() {
    let mut world = world().await;
    let standby = world.fleet.running(1);
    let (said, _) = command(standby, WRITE, "events").await.unwrap();
    let incident = &world.incident;
    assert!(said["text"].as_str().unwrap().contains(incident), "{said}");
    let mut longest = Duration::ZERO;
    for n in 0..5 {
        let (said, took) = command(standby, WRITE, &format!("mute {incident} {}h known {n}", n + 1)).await.unwrap();
        assert!(said["good"] == true, "{said}");
        longest = longest.max(took);
    }
    let (said, took) = command(standby, WRITE, &format!("ack {incident}")).await.unwrap();
    assert!(said["good"] == true, "{said}");
    longest = longest.max(took);
    println!("the slowest command of a standby took {longest:?}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    assert_eq!(world.fleet.database.rows("SELECT count(*) FROM action"), ["6"]);

    world.fleet.kill(0).await;
    assert_eq!(world.fleet.active().await, 1);
    let (said, _) = command(world.fleet.running(1), WRITE, &format!("show {}", world.incident)).await.unwrap();
    assert!(said["text"].as_str().unwrap().contains("zhang"), "{said}");
    let (said, _) = command(world.fleet.running(1), WRITE, "mutes").await.unwrap();
    assert!(said["text"].as_str().unwrap().contains("known 4"), "{said}");
}

/// A message of a chat, as its platform delivers it to a replica: for whom the answer is, and all its words.
async fn deliver(running: &Running, trigger: &str, text: &str) -> (String, String) {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("team_id", "T1").append_pair("channel_id", "C0OPS").append_pair("user_id", "U1");
    form.append_pair("user_name", "zhang").append_pair("command", "/podbell").append_pair("text", text);
    form.append_pair("response_url", "https://hooks.slack.com/commands/T1/2/3");
    let (body, time) = (form.append_pair("trigger_id", trigger).finish(), clock::now().seconds().to_string());
    let request = client().post(format!("http://{}/slack/ops", running.listen)).timeout(PATIENCE);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("x-slack-request-timestamp", &time);
    let request = request.header("x-slack-signature", signature(SECRET, &time, &body));
    let said = request.body(body).send().await.unwrap().text().await.unwrap();
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    (said["response_type"].as_str().unwrap_or_default().to_owned(), said.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_a_platform_delivers_to_two_replicas_is_done_once_and_answered_alike() {
    let world = world().await;
    let (active, standby) = (world.fleet.running(0), world.fleet.running(1));
    let incident = &world.incident;
    let texts = [format!("mute {incident} 2h known"), format!("unmute {incident}"), format!("ack {incident}")];
    for (trigger, text) in ["1.1", "1.2", "1.3"].into_iter().zip(&texts) {
        let first = deliver(standby, trigger, text).await;
        assert_eq!(first.0, "in_channel", "{text}: {}", first.1);
        assert_eq!(deliver(active, trigger, text).await, first, "{text}");
    }
    assert_eq!(world.fleet.database.rows("SELECT count(*) FROM action"), ["3"]);
    // Another message with the same words is another wish.
    let again = deliver(active, "1.4", &texts[1]).await;
    assert_eq!(again.0, "ephemeral", "nothing is muted: {}", again.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_platform_with_one_connection_the_active_replica_has_it() {
    let telegram = FakeTelegram::start().await;
    let chat = format!(
        "chats:\n  - {{name: tg, kind: telegram, token: \"{}\", api: \"{}\"}}\nrules: [rules.yaml]",
        chat_servers::TOKEN,
        telegram.base
    );
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = Site::quick(&emulator.endpoint(), &receiver::nobody().await);
    site.edit("rules: [rules.yaml]", &chat);
    let mut fleet = Fleet::new(&site, 2).await;
    // The podbell that made the tables has asked, too.
    let refused = telegram.refused();
    fleet.start(&site, 0, 0).await;
    assert_eq!(fleet.active().await, 0);
    fleet.start(&site, 1, 0).await;
    ready(&fleet, 1).await;
    let before = telegram.posts().len();
    telegram.say(5, "/podbell help");
    eventually(PATIENCE, "an answer", || (telegram.posts().len() > before).then_some(())).await;
    fleet.kill(0).await;
    assert_eq!(fleet.active().await, 1);
    telegram.say(5, "/podbell help");
    eventually(PATIENCE, "another answer", || (telegram.posts().len() > before + 1).then_some(())).await;
    assert_eq!((telegram.posts().len(), telegram.refused()), (before + 2, refused), "one poller, one answer each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_hold_on_a_standby_as_on_the_active_one() {
    let world = world().await;
    for replica in 0..2 {
        let running = world.fleet.running(replica);
        let (said, _) = command(running, BANK, "events").await.unwrap();
        assert!(!said["text"].as_str().unwrap().contains(&world.incident), "{said}");
        let (said, _) = command(running, BANK, &format!("ack {}", world.incident)).await.unwrap();
        assert!(said["good"] != true, "{said}");
    }
    assert_eq!(world.fleet.database.rows("SELECT count(*) FROM action"), ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_ready_through_a_short_loss_of_the_store_and_not_through_a_long_one() {
    let world = world().await;
    let cut = |cut: bool| {
        for replica in &world.fleet.replicas {
            if cut { replica.proxy.cut(true, true) } else { replica.proxy.mend(false) }
        }
    };
    cut(true);
    let begun = podbell::clock::monotonic();
    let unready = async {
        let mut turns = tokio::time::interval(Duration::from_millis(200));
        loop {
            turns.tick().await;
            let statuses = [readiness(world.fleet.running(0)).await, readiness(world.fleet.running(1)).await];
            let failing = statuses.iter().flatten().filter(|(status, _)| *status == 503).count();
            assert!(
                failing == 0 || begun.elapsed() > Duration::from_secs(25),
                "after {:?}: {statuses:?}",
                begun.elapsed()
            );
            if failing == 2 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), unready).await.expect("both become unready");
    cut(false);
    ready(&world.fleet, 0).await;
    ready(&world.fleet, 1).await;
    world.fleet.active().await;
    assert!(world.site.path("r0.yaml").exists());
}
