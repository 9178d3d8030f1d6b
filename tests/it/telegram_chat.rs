//! Telegram's chat over long polling, against a Bot API that enforces what Telegram documents.

use std::sync::Arc;
use std::time::Duration;

use podbell::chat::Entry;
use podbell::components::telegram::chat::{Telegram, TelegramConfig};
use podbell_core::outbox::pace::Pace;
use podbell_core::time::Time;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::chat_servers::TOKEN;
use crate::support::endpoint::Log;
use crate::support::process::{PATIENCE, eventually, within};
use crate::support::slack::FakeQueries;
use crate::support::telegram::{FakeTelegram, bot, error};
use crate::support::wecom::bound;

struct Running {
    telegram: FakeTelegram,
    queries: Arc<FakeQueries>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn listen(bot: Arc<Telegram>) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    let task = tokio::spawn(bot.connect(stop.clone()));
    (stop, task)
}

async fn start_with(queries: Arc<FakeQueries>, change: impl FnOnce(&mut TelegramConfig)) -> Running {
    let telegram = FakeTelegram::start().await;
    let (stop, task) = listen(bot(&telegram, queries.clone(), change));
    Running { telegram, queries, stop, task }
}

async fn start(change: impl FnOnce(&mut TelegramConfig)) -> Running {
    start_with(FakeQueries::new(), change).await
}

impl Running {
    async fn posts(&self, count: usize) -> Vec<Value> {
        let posts = || Some(self.telegram.posts()).filter(|posts| posts.len() >= count);
        eventually(PATIENCE, "answers", posts).await
    }

    async fn confirmed(&self) {
        eventually(PATIENCE, "everything confirmed", || (self.telegram.unconfirmed() == 0).then_some(())).await;
    }
}

fn text(post: &Value) -> &str {
    post["text"].as_str().unwrap()
}

#[tokio::test]
async fn a_command_is_answered_below_it_in_its_topic_and_chatter_is_not() {
    let run = start(|_| {}).await;
    run.telegram.say(4, "good morning");
    run.telegram.say(4, "/events@other_bot web");
    run.telegram.say(5, "/events@podbell_bot web-service");
    let posts = run.posts(1).await;
    assert_eq!(posts[0]["chat_id"], -1001);
    assert_eq!(posts[0]["message_thread_id"], 42);
    assert_eq!(posts[0]["reply_parameters"]["message_id"], 505);
    assert!(text(&posts[0]).contains("You said web-service"));
    let asked = run.queries.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].entry, asked[0].speaker.author.name.as_str()), (Entry::Events, "user5 (5)"));
    run.confirmed().await;
    assert_eq!(run.telegram.refused(), Vec::<String>::new());
}

#[tokio::test]
async fn a_press_is_confirmed_once_and_answered_with_buttons() {
    let run = start_with(FakeQueries::like(true, Some(12)), |_| {}).await;
    // The first try to remove the button fails.
    run.telegram.next("editMessageReplyMarkup", 502, None);
    run.telegram.press("p1", 5, "ack 12");
    let posts = run.posts(1).await;
    assert_eq!(run.queries.texts(), ["ack 12"]);
    assert_eq!(run.telegram.confirmed(), ["p1"]);
    assert_eq!(posts[0]["reply_parameters"]["message_id"], 77);
    let row = &posts[0]["reply_markup"]["inline_keyboard"][0];
    let data: Vec<&str> = row.as_array().unwrap().iter().map(|one| one["callback_data"].as_str().unwrap()).collect();
    assert_eq!(data, ["mute 12 1h", "show 12"]);
    // Nor can the message be acknowledged again on which it was pressed.
    let edited =
        eventually(PATIENCE, "a change", || Some(run.telegram.edited()).filter(|edited| !edited.is_empty())).await;
    assert_eq!((edited.len(), &edited[0]["message_id"], &edited[0]["chat_id"]), (1, &json!(77), &json!(-1001)));
    assert_eq!(edited[0]["reply_markup"]["inline_keyboard"][0], *row);
    // The same press comes again under another number.
    run.telegram.press("p1", 5, "ack 12");
    run.telegram.press("p2", 5, "show 12");
    run.posts(2).await;
    run.confirmed().await;
    assert_eq!(run.queries.texts(), ["ack 12", "show 12"]);
}

#[tokio::test]
async fn what_is_handed_out_again_after_a_lost_answer_runs_once() {
    let run = start(|_| {}).await;
    run.queries.open(false);
    let id = run.telegram.say(5, "/ack 1");
    eventually(PATIENCE, "a question", || (!run.queries.asked().is_empty()).then_some(())).await;
    // The poll that would confirm it fails, twice.
    run.telegram.next("getUpdates", 502, None);
    run.telegram.next("getUpdates", 502, Some(json!({"ok": false})));
    run.queries.open(true);
    run.confirmed().await;
    run.telegram.say(5, "/ack 2");
    run.posts(2).await;
    assert!(run.telegram.handed(id) >= 1);
    assert_eq!(run.queries.texts(), ["ack 1", "ack 2"]);
}

#[tokio::test]
async fn a_restart_in_order_confirms_what_was_carried_out_and_a_break_hands_out_what_was_not() {
    let mut run = start(|_| {}).await;
    let first = run.telegram.say(5, "/ack 1");
    run.posts(1).await;
    run.stop.cancel();
    (&mut run.task).await.unwrap();
    assert_eq!((run.telegram.unconfirmed(), run.telegram.handed(first)), (0, 1));

    // The next one is killed while the question is asked.
    run.queries.open(false);
    let (_stop, task) = listen(bot(&run.telegram, run.queries.clone(), |_| {}));
    let second = run.telegram.say(5, "/ack 2");
    eventually(PATIENCE, "a question", || (run.queries.asked().len() == 2).then_some(())).await;
    task.abort();
    run.queries.open(true);
    let queries = FakeQueries::new();
    let (_again, _task) = listen(bot(&run.telegram, queries.clone(), |_| {}));
    run.posts(2).await;
    assert_eq!((queries.texts(), run.telegram.handed(second)), (vec!["ack 2".to_owned()], 2));
    assert_eq!(run.telegram.handed(first), 1);
}

#[tokio::test]
async fn another_poller_is_waited_out_and_told_once_and_nothing_is_lost() {
    let (log, _guard) = Log::listen();
    let run = start(|_| {}).await;
    eventually(PATIENCE, "a poll that is held", || (run.telegram.polls() >= 2).then_some(())).await;
    let (status, _) = run.telegram.poll_elsewhere().await;
    assert_eq!(status, 200, "the newer one is heard");
    let before = run.telegram.polls();
    run.telegram.say(5, "/events web");
    run.posts(1).await;
    assert!(run.telegram.polls() > before);
    assert_eq!(run.queries.texts(), ["web"]);
    let told = log.lines("another program asks for this bot's updates");
    assert!(told.len() == 1 && told[0].contains("409"), "{told:#?}");
    assert!(!log.lines("").join("\n").contains(TOKEN));
}

#[tokio::test]
async fn a_pause_that_telegram_asks_for_is_kept_and_a_refused_form_is_sent_plainly() {
    let run = start(|_| {}).await;
    let (_, mut slow) = error(429, "Too Many Requests: retry after 1");
    slow["parameters"] = json!({"retry_after": 1});
    run.telegram.next("sendMessage", 429, Some(slow));
    let (status, bad) = error(400, "Bad Request: can't parse entities");
    run.telegram.next("sendMessage", status, Some(bad));
    let began = podbell::clock::monotonic();
    run.telegram.say(5, "/events web");
    let posts = run.posts(1).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert!(text(&posts[0]).starts_with("You said web"), "without marks: {}", text(&posts[0]));
}

#[tokio::test]
async fn people_and_groups_are_allowed_and_bound_as_configured() {
    let run = start(|config| {
        config.settings.access.users = Some(["5".to_owned()].into());
        config.settings.access.channels = Some([("-1001".to_owned(), bound("shop"))].into());
    })
    .await;
    run.telegram.say(6, "/ack 1");
    assert!(text(&run.posts(1).await[0]).starts_with("You are not on"));
    run.telegram.say(5, "/ack 1");
    run.posts(2).await;
    let private = json!({"message_id": 9, "date": podbell::clock::now().seconds(), "chat": {"id": 5, "type": "private"},
        "from": {"id": 5, "is_bot": false}, "text": "help"});
    run.telegram.update(json!({"message": private}));
    assert!(text(&run.posts(3).await[2]).starts_with("podbell does not answer here"));
    let asked = run.queries.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].speaker.scope.clone(), asked[0].speaker.may_write), (bound("shop").scope, false));
}

#[tokio::test]
async fn what_is_broken_old_or_too_long_is_passed_over_with_no_effect() {
    let run = start(|_| {}).await;
    for update in [json!({}), json!({"message": 1}), json!({"message": {"text": "/ack 1"}}), json!({"poll": {}})] {
        run.telegram.update(update);
    }
    let old = Time::from_seconds(podbell::clock::now().seconds() - 3600);
    run.telegram.say_at(old, 5, "/mute 1 1h");
    assert!(text(&run.posts(1).await[0]).starts_with("This was written while podbell was away"));
    run.telegram.say(5, &format!("/events {}", "x".repeat(4000)));
    assert!(text(&run.posts(2).await[1]).starts_with("That is too long"));
    run.telegram.say(5, "/events web");
    run.posts(3).await;
    run.confirmed().await;
    assert_eq!(run.queries.texts(), ["web"]);
}

#[tokio::test]
async fn numbers_that_begin_anew_are_heard() {
    let run = start(|_| {}).await;
    run.telegram.count_from(9_000);
    run.telegram.say(5, "/events one");
    run.posts(1).await;
    run.confirmed().await;
    let polls = run.telegram.polls();
    // Only a poll after the confirmation begins without a number.
    run.telegram.next("getUpdates", 200, Some(json!({"ok": true, "result": []})));
    eventually(PATIENCE, "another poll", || (run.telegram.polls() > polls).then_some(())).await;
    run.telegram.count_from(10);
    run.telegram.say(5, "/events two");
    run.posts(2).await;
    assert_eq!(run.queries.texts(), ["one", "two"]);
}

#[tokio::test]
async fn many_answers_in_one_group_wait_for_its_pace_and_all_arrive() {
    let run = start(|config| {
        config.timing.answers.pace = Pace { limit: 2, per: Duration::from_millis(200), kept_for_critical: 0 };
    })
    .await;
    run.telegram.limit(2, Duration::from_millis(150));
    for user in 1..8 {
        run.telegram.say(user, "/events web-service");
    }
    run.posts(7).await;
    run.confirmed().await;
    assert_eq!(run.telegram.refused(), Vec::<String>::new());
}

#[tokio::test]
async fn a_refused_token_is_tried_now_and_then() {
    let run = start(|config| config.token = "wrong".into()).await;
    run.telegram.say(5, "/events web");
    assert_eq!(within(Duration::from_millis(300), || run.telegram.posts().pop()).await, None);
    assert_eq!(run.telegram.polls(), 0);
    run.stop.cancel();
    run.task.await.unwrap();
}
