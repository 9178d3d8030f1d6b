//! WeCom's AI bot over its long connection, against a WeCom that enforces what WeCom documents.

use std::sync::Arc;
use std::time::Duration;

use podbell::chat::Entry;
use podbell::components::wecom::chat::{Bot, BotConfig};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::process::{PATIENCE, eventually};
use crate::support::slack::FakeQueries;
use crate::support::wecom::{BOT_SECRET, FakeWecom, bot, bound};

struct Running {
    wecom: FakeWecom,
    queries: Arc<FakeQueries>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn listen(bot: Arc<Bot>) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    let task = tokio::spawn(bot.connect(stop.clone()));
    (stop, task)
}

async fn start(change: impl FnOnce(&mut BotConfig)) -> Running {
    let (wecom, queries) = (FakeWecom::start().await, FakeQueries::new());
    let (stop, task) = listen(bot(&wecom, queries.clone(), change));
    let running = Running { wecom, queries, stop, task };
    running.subscribed().await;
    running
}

impl Running {
    async fn subscribed(&self) {
        eventually(PATIENCE, "a subscription", || self.wecom.is_subscribed().then_some(())).await;
    }

    async fn finished(&self, req_id: &str) -> String {
        eventually(PATIENCE, "an answer", || self.wecom.finished(req_id)).await
    }

    async fn asked(&self, count: usize) {
        eventually(PATIENCE, "a question", || (self.queries.asked().len() >= count).then_some(())).await;
    }
}

#[tokio::test]
async fn a_question_is_answered_in_one_stream_and_the_connection_is_kept_alive() {
    let run = start(|_| {}).await;
    run.wecom.say("r1", "m1", "ann", "@RobotA /events web-service");
    assert!(run.finished("r1").await.contains("You said web-service"));
    let asked = run.queries.asked();
    assert_eq!((asked[0].entry, asked[0].speaker.author.name.as_str()), (Entry::Events, "ann"));
    eventually(PATIENCE, "pings", || (run.wecom.pings() >= 3).then_some(())).await;
    assert_eq!((run.wecom.connections(), run.wecom.refused()), (1, Vec::new()));
}

#[tokio::test]
async fn a41_a_slow_answer_begins_with_a_word_and_ends_in_the_same_stream() {
    let run = start(|config| config.timing.inline = Duration::from_millis(10)).await;
    run.queries.open(false);
    run.wecom.say("r1", "m1", "ann", "@RobotA help");
    eventually(PATIENCE, "a first word", || (!run.wecom.answers("r1").is_empty()).then_some(())).await;
    run.queries.open(true);
    run.finished("r1").await;
    let answers = run.wecom.answers("r1");
    assert_eq!(answers.len(), 2);
    assert!(answers[0].0.starts_with("Working on it") && !answers[0].1 && answers[1].1);
    assert_eq!(run.wecom.refused(), Vec::<String>::new());
}

#[tokio::test]
async fn a45_what_comes_twice_late_and_out_of_order_runs_once() {
    let run = start(|_| {}).await;
    for (req_id, id) in [("r2", "m2"), ("r1", "m1"), ("r2b", "m2"), ("r1b", "m1")] {
        run.wecom.say(req_id, id, "ann", &format!("@RobotA ack {id}"));
    }
    run.wecom.say("r3", "m3", "ann", "@RobotA ack m3");
    run.finished("r3").await;
    // Each has one answer, to one of its requests.
    for (first, again) in [("r1", "r1b"), ("r2", "r2b")] {
        let one = || {
            let both = [run.wecom.finished(first), run.wecom.finished(again)];
            (both.iter().flatten().count() == 1).then_some(())
        };
        eventually(PATIENCE, "one answer", one).await;
    }
    let mut texts = run.queries.texts();
    texts.sort();
    assert_eq!(texts, ["ack m1", "ack m2", "ack m3"]);
    assert_eq!(run.wecom.refused(), Vec::<String>::new());
}

#[tokio::test]
async fn a45_an_answer_survives_the_connection_that_its_question_came_over() {
    let run = start(|_| {}).await;
    run.queries.open(false);
    run.wecom.say("r1", "m1", "ann", "@RobotA ack 1");
    run.asked(1).await;
    run.wecom.cut();
    eventually(PATIENCE, "another connection", || (run.wecom.current() == Some(1)).then_some(())).await;
    // It is said again over the new one, and is not run again.
    run.wecom.say("r2", "m1", "ann", "@RobotA ack 1");
    run.wecom.say("r3", "m3", "ann", "@RobotA ack 3");
    run.asked(2).await;
    run.queries.open(true);
    run.finished("r2").await;
    run.finished("r3").await;
    assert_eq!(run.queries.texts(), ["ack 1", "ack 3"]);
    assert_eq!(run.wecom.finished("r1"), None, "one answer, to the newest request");
}

#[tokio::test]
async fn a45_an_answer_that_was_not_confirmed_goes_over_the_next_connection() {
    let run = start(|_| {}).await;
    run.wecom.lose(2);
    run.wecom.say("r1", "m1", "ann", "@RobotA ack 1");
    run.finished("r1").await;
    assert_eq!((run.queries.texts().len(), run.wecom.connections()), (1, 3));
}

#[tokio::test]
async fn a_busy_wecom_is_asked_again_and_a_definite_refusal_is_not() {
    let run = start(|_| {}).await;
    run.wecom.codes(&[45009, -1, 0]);
    run.wecom.say("r1", "m1", "ann", "@RobotA help");
    run.finished("r1").await;
    run.wecom.codes(&[846_608]);
    run.wecom.say("r2", "m2", "ann", "@RobotA help");
    run.asked(2).await;
    run.wecom.say("r3", "m3", "ann", "@RobotA help");
    run.finished("r3").await;
    assert_eq!((run.wecom.finished("r2"), run.wecom.connections()), (None, 1));
}

#[tokio::test]
async fn a45_a_bot_whose_place_was_taken_does_not_push_back() {
    let run = start(|_| {}).await;
    let (other_desk, wecom) = (FakeQueries::new(), run.wecom.clone());
    let (_stop, _task) = listen(bot(&wecom, other_desk.clone(), |_| {}));
    eventually(PATIENCE, "the newer one", || (wecom.current() == Some(1)).then_some(())).await;
    wecom.say("r1", "m1", "ann", "@RobotA help");
    run.finished("r1").await;
    // Many times the wait after any other end.
    let pings = wecom.pings();
    eventually(PATIENCE, "some time", || (wecom.pings() > pings + 10).then_some(())).await;
    assert_eq!((wecom.connections(), other_desk.asked().len(), run.queries.asked().len()), (2, 1, 0));
    // It ends at once all the same.
    run.stop.cancel();
    tokio::time::timeout(PATIENCE, run.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_wrong_secret_subscribes_nothing_and_is_tried_again_later() {
    let (wecom, queries) = (FakeWecom::start().await, FakeQueries::new());
    let (stop, task) = listen(bot(&wecom, queries.clone(), |config| config.secret = "wrong".into()));
    eventually(PATIENCE, "two attempts", || (wecom.connections() >= 2).then_some(())).await;
    assert!(!wecom.is_subscribed());
    stop.cancel();
    tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
    let mut shown = String::new();
    bot(&wecom, queries, |config| shown = format!("{config:?}"));
    assert!(shown.contains("bot_id") && !shown.contains(BOT_SECRET), "{shown}");
}

#[tokio::test]
async fn strange_frames_are_left_alone() {
    let run = start(|_| {}).await;
    for text in
        ["", "{", "[]", "{\"cmd\":1}", "{\"cmd\":\"aibot_msg_callback\",\"headers\":{\"req_id\":\"x\"},\"body\":{}}"]
    {
        run.wecom.text(text);
    }
    run.wecom.frame(&json!({"cmd": "aibot_event_callback", "headers": {"req_id": "e"}, "body": {"event": {"eventtype": "enter_chat"}}}));
    run.wecom.say("r1", "m1", "ann", "@RobotA help");
    run.finished("r1").await;
    assert_eq!((run.wecom.connections(), run.queries.asked().len()), (1, 1));
    // One that is too large ends the connection; the next one works.
    run.wecom.text(&"x".repeat(300 * 1024));
    eventually(PATIENCE, "another connection", || (run.wecom.current() == Some(1)).then_some(())).await;
    run.wecom.say("r2", "m2", "ann", "@RobotA help");
    run.finished("r2").await;
}

#[tokio::test]
async fn a42_people_and_groups_are_allowed_and_bound_as_configured() {
    let run = start(|config| {
        config.settings.access.users = Some(["ann".to_owned()].into());
        config.settings.access.channels = Some([("group-1".to_owned(), bound("shop"))].into());
    })
    .await;
    run.wecom.say("r1", "m1", "bob", "@RobotA help");
    assert!(run.finished("r1").await.starts_with("You are not on"));
    run.wecom.say("r2", "m2", "ann", "@RobotA help");
    run.finished("r2").await;
    let asked = run.queries.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].speaker.scope.clone(), asked[0].speaker.may_write), (bound("shop").scope, false));
}

#[tokio::test]
async fn what_is_in_hand_is_answered_before_podbell_ends() {
    let run = start(|config| config.timing.end = PATIENCE).await;
    run.queries.open(false);
    run.wecom.say("r1", "m1", "ann", "@RobotA ack 1");
    run.asked(1).await;
    run.stop.cancel();
    run.queries.open(true);
    run.finished("r1").await;
    tokio::time::timeout(PATIENCE, run.task).await.unwrap().unwrap();
}
