//! An app of Feishu's over its long connection, against a server that sends each event until it is answered.

use std::sync::Arc;
use std::time::Duration;

use podbell::chat::Entry;
use podbell::chat::access::{Access, Channel, DIRECT};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::feishu::{FakeFeishu, SECRET, app};
use crate::support::process::{PATIENCE, eventually, within};
use crate::support::slack::FakeQueries;

struct Running {
    server: FakeFeishu,
    queries: Arc<FakeQueries>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start_with(queries: Arc<FakeQueries>, access: Access) -> Running {
    let server = FakeFeishu::start().await;
    let stop = CancellationToken::new();
    let task = tokio::spawn(app(&server, queries.clone(), SECRET, access).connect(stop.clone()));
    let running = Running { server, queries, stop, task };
    running.connected(1).await;
    running
}

async fn start() -> Running {
    start_with(FakeQueries::new(), Access::default()).await
}

impl Running {
    async fn connected(&self, count: usize) {
        let connected = || (self.server.connections() >= count && self.server.is_connected()).then_some(());
        eventually(PATIENCE, "a connection", connected).await;
    }

    async fn posts(&self, count: usize) -> Vec<(String, Value)> {
        eventually(PATIENCE, "posts", || Some(self.server.posts()).filter(|posts| posts.len() >= count)).await
    }

    async fn answers(&self, count: usize) -> Vec<(String, Value)> {
        eventually(PATIENCE, "answers", || Some(self.server.answers()).filter(|all| all.len() >= count)).await
    }
}

#[tokio::test]
async fn a_mention_is_answered_in_its_thread_and_chatter_is_not() {
    let run = start().await;
    for (id, text) in [("1", "good morning"), ("2", "thanks @_user_1"), ("3", "@_user_2 help"), ("4", "@_user_12 help")]
    {
        run.server.say(id, text);
    }
    run.server.say("5", "@_user_1 /events web-service @_user_2");
    run.server.request("6", &run.server.message("6", "p2p", "incidents", Duration::ZERO), 1);
    let posts = run.posts(2).await;
    run.answers(6).await;
    let mut said: Vec<(Entry, String)> = run.queries.asked().into_iter().map(|one| (one.entry, one.text)).collect();
    said.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(said, [(Entry::Podbell, "incidents".to_owned()), (Entry::Events, "web-service @ann".to_owned())]);
    for (message, body) in posts {
        assert_eq!(body["reply_in_thread"], message == "om_5", "{message}: {body}");
        assert_eq!(body["msg_type"], "interactive");
    }
    assert_eq!((run.server.unanswered(), run.server.late()), (0, 0));
    assert_eq!(run.server.refused(), Vec::<String>::new());
    run.stop.cancel();
    run.task.await.unwrap();
}

#[tokio::test]
async fn a_press_types_its_command_and_is_answered_at_once_and_below_the_card() {
    let run = start_with(FakeQueries::like(true, Some(12)), Access::default()).await;
    run.server.press("1", &json!({"command": "ack 12"}));
    let answers = run.answers(1).await;
    assert_eq!(
        answers[0].1,
        json!({"code": 200, "data": {"toast": {"type": "success", "content": "You said ack 12"}}})
    );
    let posts = run.posts(1).await;
    assert_eq!((posts[0].0.as_str(), run.queries.texts()), ("om_card", vec!["ack 12".to_owned()]));
    assert_eq!(carried(&posts[0].1)[0], json!({"command": "mute 12 1h"}));
    // A button of another's making.
    run.server.press("2", &json!({"key": "x"}));
    assert_eq!(run.answers(2).await[1].1, json!({"code": 200}));
    assert_eq!(run.queries.asked().len(), 1);
}

/// What the buttons of a card carry.
fn carried(request: &Value) -> Vec<Value> {
    let card: Value = serde_json::from_str(request["content"].as_str().unwrap()).unwrap();
    let row = card["elements"].as_array().unwrap().iter().find(|one| one["tag"] == "action").unwrap();
    row["actions"].as_array().unwrap().iter().map(|button| button["value"].clone()).collect()
}

#[tokio::test]
async fn an_acknowledgement_takes_the_button_from_the_answer_that_was_pressed() {
    let run = start_with(FakeQueries::with_incident(12), Access::default()).await;
    run.server.say("1", "@_user_1 show 12");
    let buttons = carried(&run.posts(1).await[0].1);
    let rest = [json!({"command": "mute 12 1h"}), json!({"command": "show 12"})];
    assert_eq!(buttons[0], json!({"command": "ack 12", "changes_answer": true}));
    assert_eq!(buttons[1..], rest);
    run.server.press("2", &buttons[0]);
    let (message, change) = eventually(PATIENCE, "a change", || run.server.changes().pop()).await;
    assert_eq!((message.as_str(), &carried(&change)[..]), ("om_card", &rest[..]));
    assert!(change["content"].as_str().unwrap().contains("You said show 12"), "{change}");
    assert_eq!(run.server.posts().len(), 2, "the answer came before");
    // In the message of an incident, which changes by itself, nothing is replaced.
    run.server.press("3", &json!({"command": "ack 12"}));
    run.posts(3).await;
    run.stop.cancel();
    run.task.await.unwrap();
    assert_eq!((run.server.changes().len(), run.queries.texts().len()), (1, 4));
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_the_platform_waits_follows() {
    let run = start().await;
    run.queries.open(false);
    run.server.press("1", &json!({"command": "show 12"}));
    let toast = &run.answers(1).await[0].1["data"]["toast"];
    assert_eq!(toast["type"], "info");
    assert_eq!((run.server.posts().len(), run.server.unanswered()), (0, 0));
    run.queries.open(true);
    run.posts(1).await;
    assert_eq!(run.server.late(), 0);
}

#[tokio::test]
async fn what_is_sent_again_over_another_connection_runs_once_and_is_answered() {
    let run = start().await;
    run.queries.open(false);
    run.server.say("1", "@_user_1 ack 1");
    eventually(PATIENCE, "a question", || (run.queries.asked().len() == 1).then_some(())).await;
    run.server.cut();
    run.connected(2).await;
    run.queries.open(true);
    // It was never answered; it may have been, though, on the way.
    run.server.say("1", "@_user_1 ack 1");
    run.server.say("2", "@_user_1 ack 2");
    run.posts(2).await;
    eventually(PATIENCE, "every answer", || (run.server.unanswered() == 0).then_some(())).await;
    assert_eq!(run.queries.texts(), ["ack 1", "ack 2"]);
    assert_eq!(run.server.posts().len(), 2);
}

#[tokio::test]
async fn a_half_dead_connection_is_replaced_and_what_it_swallowed_comes_again() {
    let run = start().await;
    run.server.freeze();
    run.server.say("1", "@_user_1 ack 1");
    run.connected(2).await;
    assert_eq!(run.queries.asked().len(), 0);
    run.server.again();
    run.posts(1).await;
    assert_eq!((run.queries.texts(), run.server.connections()), (vec!["ack 1".to_owned()], 2));
    assert!(run.server.pings() > 0);
}

#[tokio::test]
async fn a_request_in_pieces_is_one_request_and_frames_that_cannot_be_read_are_left_alone() {
    let run = start().await;
    for bytes in [&b""[..], b"x", b"\xff\xff\xff", b"\x08\x00"] {
        run.server.bytes(bytes);
    }
    run.server.request("0", "{\"no\": \"event\"}", 1);
    let text = format!("@_user_1 {}", "支付".repeat(200));
    run.server.request("1", &run.server.message("1", "group", &text, Duration::ZERO), 7);
    run.posts(1).await;
    assert_eq!(run.queries.texts(), ["支付".repeat(200)]);
    assert_eq!((run.server.unanswered(), run.server.connections()), (0, 1));
}

#[tokio::test]
async fn an_answer_is_posted_until_it_is_taken_and_in_its_plainest_form_if_the_other_is_refused() {
    let run = start().await;
    let error = |code: i64| json!({"code": code, "msg": "x"});
    run.server.replies(&[error(230_020), error(230_071), error(230_020), error(230_099)]);
    run.server.say("1", "@_user_1 help");
    let posts = run.posts(1).await;
    let card: Value = serde_json::from_str(posts[0].1["content"].as_str().unwrap()).unwrap();
    assert!(card.get("header").is_none(), "{card}");
    assert_eq!(run.queries.asked().len(), 1);
}

#[tokio::test]
async fn who_may_not_ask_is_told_a_stranger_is_not_and_what_is_old_is_not_carried_out() {
    let only = |id: &str| Some([id.to_owned()].into());
    let channels = Some([(DIRECT.to_owned(), Channel::default())].into());
    let run = start_with(FakeQueries::new(), Access { teams: only("t1"), users: None, channels }).await;
    // Not in this group.
    run.server.say("1", "@_user_1 ack 1");
    let told = run.posts(1).await;
    assert!(told[0].1["content"].as_str().unwrap().contains("does not answer here"));
    // A button of a conversation counts there, and not in the group that it was taken to.
    run.server.press("2", &json!({"command": "ack 2", "direct": "oc_1"}));
    run.posts(2).await;
    run.server.press("3", &json!({"command": "ack 3", "direct": "oc_other"}));
    run.posts(3).await;
    let stranger = run.server.message("4", "p2p", "ack 4", Duration::ZERO).replace("\"t1\"", "\"t2\"");
    run.server.request("4", &stranger, 1);
    run.answers(4).await;
    run.server.request("5", &run.server.message("5", "p2p", "ack 5", Duration::from_secs(16 * 60)), 1);
    let told = run.posts(4).await;
    assert!(told[3].0 == "om_5" && told[3].1["content"].as_str().unwrap().contains("while podbell was away"));
    assert_eq!((run.queries.texts(), run.server.unanswered()), (vec!["ack 2".to_owned()], 0));
}

#[tokio::test]
async fn an_end_waits_for_what_is_in_hand_and_tells_the_platform() {
    let run = start().await;
    run.queries.open(false);
    run.server.say("1", "@_user_1 ack 1");
    eventually(PATIENCE, "a question", || (run.queries.asked().len() == 1).then_some(())).await;
    run.stop.cancel();
    run.queries.open(true);
    run.task.await.unwrap();
    assert_eq!((run.server.posts().len(), run.server.unanswered()), (1, 0));
}

#[tokio::test]
async fn a_refused_secret_opens_nothing_and_too_many_connections_are_tried_again() {
    let (server, queries) = (FakeFeishu::start().await, FakeQueries::new());
    let _task =
        tokio::spawn(app(&server, queries.clone(), "wrong", Access::default()).connect(CancellationToken::new()));
    let opened = within(Duration::from_millis(300), || (server.connections() > 0).then_some(())).await;
    assert_eq!(opened, None);
    let elsewhere = json!({"code": 0, "data": {"URL": "http://127.0.0.1:1/ws/v2?service_id=7"}});
    server.endpoints(&[
        json!({"code": 1_000_040_350, "msg": "exceed"}),
        json!({"code": 1}),
        json!({"code": 0}),
        elsewhere,
    ]);
    let _task = tokio::spawn(app(&server, queries, SECRET, Access::default()).connect(CancellationToken::new()));
    eventually(PATIENCE, "a connection", || server.is_connected().then_some(())).await;
}
