//! Slack over Socket Mode, against a Slack that enforces what it documents: whatever happens to
//! connections, every command runs, and runs once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use podbell::components::slack::chat::SlackConfig;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::process::{PATIENCE, eventually, within};
use crate::support::slack::{FakeQueries, FakeSlack, chat, config, quick};

/// A podbell that listens; it ends when it is dropped.
struct Listening {
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Listening {
    async fn end(self) {
        drop(self.stop);
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

fn listen(slack: &FakeSlack, queries: &Arc<FakeQueries>, change: impl FnOnce(&mut SlackConfig)) -> Listening {
    let mut config = config(slack);
    change(&mut config);
    let stop = CancellationToken::new();
    let task = tokio::spawn(chat(config, queries.clone(), None).connect(stop.clone()));
    Listening { stop: stop.drop_guard(), task }
}

/// Waits until exactly these connections are open.
async fn open(slack: &FakeSlack, connections: &[usize]) {
    eventually(PATIENCE, &format!("{connections:?} open"), || (slack.open_now() == connections).then_some(())).await;
}

fn command(slack: &FakeSlack, id: &str, text: &str) -> Value {
    json!({
        "envelope_id": id, "type": "slash_commands", "accepts_response_payload": true,
        "payload": {
            "command": "/events", "text": text, "user_id": "U1", "channel_id": "C1", "team_id": "T1",
            "response_url": slack.response_url(id), "trigger_id": format!("trigger-{text}"),
        },
    })
}

fn mention(envelope: &str, event: &str, text: &str) -> Value {
    json!({
        "envelope_id": envelope, "type": "events_api", "accepts_response_payload": false, "retry_attempt": 1,
        "payload": {
            "type": "event_callback", "event_id": event, "team_id": "T1",
            "event": {"type": "app_mention", "user": "U1", "channel": "C1", "ts": "1.5", "text": format!("<@U0> {text}")},
        },
    })
}

async fn slack() -> FakeSlack {
    FakeSlack::start(Duration::from_millis(100)).await
}

async fn acknowledged(slack: &FakeSlack, id: &str) -> usize {
    let look = || slack.acknowledged().into_iter().find(|(known, _)| known == id);
    eventually(PATIENCE, &format!("{id} is acknowledged"), look).await.1
}

#[tokio::test]
async fn every_frame_of_the_vectors_is_met_as_they_say() {
    let vectors: Value = serde_json::from_str(include_str!("../fixtures/vectors/slack_socket_mode.json")).unwrap();
    let (slack, queries) = (slack().await, FakeQueries::new());
    let podbell = listen(&slack, &queries, |_| {});
    open(&slack, &[0]).await;
    let frames = vectors["frames"].as_array().unwrap();
    let mut newest = 0;
    for case in frames {
        let frame = &case["frame"];
        if let Some(id) = case["expect_ack"]["envelope_id"].as_str() {
            slack.deliver(newest, frame.clone());
            acknowledged(&slack, id).await;
        }
        if frame["type"] == "disconnect" && frame["reason"] != "link_disabled" {
            slack.send(newest, frame);
            if frame["reason"] == "too_many_websockets" {
                // The connection that was too many ends first; then another one is tried.
                open(&slack, &[]).await;
            } else {
                open(&slack, &[newest, newest + 1]).await;
                slack.close(newest);
            }
            newest += 1;
            open(&slack, &[newest]).await;
        }
    }
    eventually(PATIENCE, "the question", || (queries.texts() == ["web-service"]).then_some(())).await;
    slack.send(newest, &frames.last().unwrap()["frame"]);
    open(&slack, &[]).await;
    let opens = slack.opens().len();
    assert_eq!(within(Duration::from_millis(300), || (slack.opens().len() > opens).then_some(())).await, None);
    // Its response_url is Slack's own name, which is this machine for this test: nothing was called.
    assert_eq!((slack.posts(), slack.refused()), (Vec::new(), Vec::new()));
    podbell.end().await;
}

#[tokio::test]
async fn a_command_is_acknowledged_before_its_answer_is_there_and_answered_at_its_address() {
    let (slack, queries) = (slack().await, FakeQueries::new());
    queries.open(false);
    let podbell = listen(&slack, &queries, |_| {});
    open(&slack, &[0]).await;
    slack.deliver(0, command(&slack, "e1", "web"));
    acknowledged(&slack, "e1").await;
    assert_eq!(slack.posts(), []);
    queries.open(true);
    let (to, body) = eventually(PATIENCE, "the answer", || slack.posts().pop()).await;
    assert_eq!((to.as_str(), &body["blocks"][0]["text"]["text"]), ("response/e1", &json!("You said web")));
    // What is in hand when podbell ends is still answered.
    queries.open(false);
    slack.deliver(0, command(&slack, "e2", "api"));
    eventually(PATIENCE, "the other question", || queries.asked().get(1).cloned()).await;
    let ending = tokio::spawn(podbell.end());
    open(&slack, &[]).await;
    queries.open(true);
    ending.await.unwrap();
    assert_eq!(slack.posts().len(), 2);
}

#[tokio::test]
async fn back_off_grows_and_starts_anew_after_a_hello() {
    let (slack, queries) = (slack().await, FakeQueries::new());
    let mut slow = quick();
    slow.connection.pauses.first = Duration::from_millis(40);
    slack.refuse_to_open((0..6).map(|_| (200, json!({"ok": false, "error": "internal_error"}))));
    let podbell = listen(&slack, &queries, |config| config.timing = slow);
    open(&slack, &[0]).await;
    let gaps = |opens: Vec<podbell_core::time::Time>| -> Vec<u128> {
        opens.windows(2).map(|two| two[1].since(two[0]).as_millis()).collect()
    };
    let before = gaps(slack.opens());
    // Half of 40 ms, doubled each time: chance is at its least.
    for (gap, least) in before.iter().zip([20, 40, 80, 160, 320, 640]) {
        assert!(*gap + 2 >= least, "{before:?}");
    }
    slack.cut(0);
    open(&slack, &[1]).await;
    let after = gaps(slack.opens());
    assert!(after[6] < 640, "{after:?}");
    podbell.end().await;
}

#[tokio::test]
async fn a_wait_that_slack_asks_for_is_kept_and_a_wrong_token_is_asked_about_now_and_then() {
    let (slack, queries) = (slack().await, FakeQueries::new());
    slack.refuse_to_open([(429, json!({"ok": false, "error": "ratelimited"}))]);
    let podbell = listen(&slack, &queries, |_| {});
    open(&slack, &[0]).await;
    let opens = slack.opens();
    assert!(opens[1].since(opens[0]) >= Duration::from_millis(1000), "{opens:?}");
    podbell.end().await;

    let podbell = listen(&slack, &queries, |config| config.app_token = Some("xapp-wrong".into()));
    eventually(PATIENCE, "an attempt", || (slack.opens().len() == 3).then_some(())).await;
    assert_eq!(within(Duration::from_millis(300), || (slack.opens().len() > 3).then_some(())).await, None);
    podbell.end().await;
}

#[tokio::test]
async fn a45_a_refreshed_connection_is_heard_until_it_is_closed() {
    let (slack, queries) = (slack().await, FakeQueries::new());
    let podbell = listen(&slack, &queries, |_| {});
    open(&slack, &[0]).await;
    slack.disconnect(0, "warning");
    open(&slack, &[0, 1]).await;
    // Warned twice, it is still replaced once.
    slack.disconnect(0, "refresh_requested");
    slack.deliver(0, command(&slack, "old", "a"));
    slack.deliver(1, command(&slack, "new", "b"));
    assert_eq!((acknowledged(&slack, "old").await, acknowledged(&slack, "new").await), (0, 1));
    slack.close(0);
    open(&slack, &[1]).await;
    slack.deliver(1, command(&slack, "last", "c"));
    acknowledged(&slack, "last").await;
    eventually(PATIENCE, "three questions", || (queries.asked().len() == 3).then_some(())).await;
    assert_eq!((slack.connections(), slack.refused()), ((2, 2), Vec::new()));
    podbell.end().await;
}

#[tokio::test]
async fn an_app_with_too_many_connections_waits_and_never_overlaps() {
    let (slack, queries) = (slack().await, FakeQueries::new());
    let others = listen(&slack, &queries, |config| config.connections = 10);
    open(&slack, &(0..10).collect::<Vec<_>>()).await;
    let one_more = listen(&slack, &queries, |_| {});
    eventually(PATIENCE, "two refusals", || (slack.refused().len() == 2).then_some(())).await;
    let opens = slack.opens();
    assert!(opens[11].since(opens[10]) >= Duration::from_millis(50), "it waited");
    assert_eq!(slack.connections().1, 11, "one too many, never two");
    others.end().await;
    eventually(PATIENCE, "a place", || (slack.open_now().len() == 1).then_some(())).await;
    one_more.end().await;
}

#[tokio::test]
async fn a45_what_comes_again_over_any_connection_runs_once() {
    let (slack, queries) = (slack().await, FakeQueries::new());
    let podbell = listen(&slack, &queries, |config| config.connections = 3);
    open(&slack, &[0, 1, 2]).await;
    // Two acknowledgements are lost: it comes again, over others.
    slack.lose_acknowledgements(2);
    slack.deliver(0, command(&slack, "e1", "lost"));
    acknowledged(&slack, "e1").await;
    // The same event in three envelopes at the same time; the same command in two.
    for connection in 0..3 {
        slack.deliver(connection, mention(&format!("m{connection}"), "Ev1", "doubled"));
    }
    for connection in 0..2 {
        slack.deliver(connection, command(&slack, &format!("c{connection}"), "twin"));
    }
    for id in ["m0", "m1", "m2", "c0", "c1"] {
        acknowledged(&slack, id).await;
    }
    eventually(PATIENCE, "three answers", || (slack.posts().len() >= 3).then_some(())).await;
    let mut texts = queries.texts();
    texts.sort();
    assert_eq!(texts, ["doubled", "lost", "twin"]);
    podbell.end().await;
}

#[tokio::test]
async fn a45_a_connection_that_is_half_dead_is_replaced_and_its_envelope_runs_once() {
    let (slack, queries) = (slack().await, FakeQueries::new());
    let mut impatient = quick();
    impatient.connection.silence = Duration::from_millis(300);
    let podbell = listen(&slack, &queries, |config| config.timing = impatient);
    open(&slack, &[0]).await;
    // Pings and their answers keep it: it is silent otherwise, for three times as long.
    assert_eq!(within(Duration::from_millis(900), || (slack.open_now() != [0]).then_some(())).await, None);
    slack.freeze(0);
    slack.deliver(0, command(&slack, "e1", "web"));
    assert_eq!(acknowledged(&slack, "e1").await, 1);
    eventually(PATIENCE, "the answer", || slack.posts().pop()).await;
    assert_eq!(queries.texts(), ["web"]);
    podbell.end().await;
}

#[tokio::test]
async fn frames_that_are_not_slack_s_end_nothing() {
    let (slack, queries) = (slack().await, FakeQueries::new());
    let podbell = listen(&slack, &queries, |config| config.settings.access.teams = Some(["T1".to_owned()].into()));
    open(&slack, &[0]).await;
    for frame in [json!(1), json!([]), json!({}), json!({"type": "x"}), json!({"type": "slash_commands"})] {
        slack.send(0, &frame);
    }
    slack.deliver(0, json!({"envelope_id": "broken", "type": "slash_commands", "payload": {"command": 1}}));
    let mut stranger = command(&slack, "stranger", "web");
    stranger["payload"]["team_id"] = json!("T2");
    slack.deliver(0, stranger);
    slack.deliver(0, command(&slack, "good", "web"));
    for id in ["broken", "stranger", "good"] {
        assert_eq!(acknowledged(&slack, id).await, 0);
    }
    eventually(PATIENCE, "the answer", || slack.posts().pop()).await;
    assert_eq!((queries.texts().len(), slack.connections()), (1, (1, 1)));
    // One that is too large ends its connection, and no other.
    slack.send(0, &json!({"type": "x", "text": "x".repeat(2_000_000)}));
    open(&slack, &[1]).await;
    podbell.end().await;
}

#[tokio::test]
async fn too_many_questions_are_left_for_slack_to_send_again_and_none_is_lost() {
    let (slack, queries) = (slack().await, FakeQueries::new());
    queries.open(false);
    let podbell = listen(&slack, &queries, |_| {});
    open(&slack, &[0]).await;
    for n in 0..300 {
        slack.deliver(0, command(&slack, &format!("e{n}"), &n.to_string()));
    }
    eventually(PATIENCE, "as many as fit", || (slack.acknowledged().len() >= 256).then_some(())).await;
    assert!(queries.asked().len() <= 16, "not all at once");
    queries.open(true);
    eventually(PATIENCE, "all", || (slack.posts().len() == 300).then_some(())).await;
    assert_eq!(queries.texts().into_iter().collect::<BTreeSet<_>>().len(), 300);
    assert_eq!(queries.asked().len(), 300);
    podbell.end().await;
}

/// Numbers that look like chance and are the same each time.
fn dice(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |sides| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % sides
    }
}

#[tokio::test]
async fn a45_whatever_happens_to_connections_nothing_is_lost_and_nothing_runs_twice() {
    for seed in 0..4 {
        let (slack, queries) = (slack().await, FakeQueries::new());
        let mut impatient = quick();
        impatient.connection.silence = Duration::from_millis(300);
        let podbell = listen(&slack, &queries, |config| {
            config.connections = 2;
            config.timing = impatient;
        });
        let mut dice = dice(seed);
        let mut late = Vec::new();
        for n in 0..60 {
            let some = eventually(PATIENCE, "a connection", || slack.open_now().pop()).await;
            let envelope = match dice(2) {
                0 => command(&slack, &format!("e{n}"), &format!("q{n}")),
                _ => mention(&format!("e{n}"), &format!("Ev{n}"), &format!("q{n}")),
            };
            match dice(4) {
                // Out of order, and in another envelope as well.
                0 => late.push(envelope.clone()),
                1 => {
                    let mut twin = envelope.clone();
                    twin["envelope_id"] = json!(format!("twin{n}"));
                    slack.deliver(some, twin);
                    slack.deliver(some, envelope);
                }
                _ => slack.deliver(some, envelope),
            }
            match dice(8) {
                0 => slack.cut(some),
                1 => slack.close(some),
                2 => slack.disconnect(some, "refresh_requested"),
                3 => slack.lose_acknowledgements(2),
                4 if n % 3 == 0 => slack.freeze(some),
                _ => {}
            }
        }
        late.reverse();
        for envelope in late {
            let some = eventually(PATIENCE, "a connection", || slack.open_now().pop()).await;
            slack.deliver(some, envelope);
        }
        for n in 0..60 {
            acknowledged(&slack, &format!("e{n}")).await;
        }
        let all: BTreeSet<String> = (0..60).map(|n| format!("q{n}")).collect();
        eventually(PATIENCE, "every question", || (queries.asked().len() >= 60).then_some(())).await;
        podbell.end().await;
        let texts = queries.texts();
        assert_eq!((texts.len(), texts.into_iter().collect::<BTreeSet<_>>()), (60, all), "seed {seed}");
        assert_eq!(slack.refused(), Vec::<&str>::new(), "seed {seed}");
    }
}
