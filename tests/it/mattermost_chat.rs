//! A bot of Mattermost over its websocket, against a server that enforces what Mattermost documents.

use std::sync::Arc;
use std::time::Duration;

use podbell::chat::Entry;
use podbell::chat::access::{Access, DIRECT};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::endpoint::Endpoint;
use crate::support::mattermost::{FakeMattermost, SLASH, TOKEN, bot, bot_for};
use crate::support::process::{PATIENCE, eventually, within};
use crate::support::slack::FakeQueries;

struct Running {
    server: FakeMattermost,
    queries: Arc<FakeQueries>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start() -> Running {
    let (server, queries) = (FakeMattermost::start().await, FakeQueries::new());
    let stop = CancellationToken::new();
    let task = tokio::spawn(bot(&server, queries.clone(), TOKEN).connect(stop.clone()));
    let running = Running { server, queries, stop, task };
    running.connected(1).await;
    // It looks for what was written before it started.
    eventually(PATIENCE, "a look", || (running.server.looked() > 0).then_some(())).await;
    running
}

impl Running {
    async fn connected(&self, count: usize) {
        let connected = || (self.server.connections() >= count && self.server.is_connected()).then_some(());
        eventually(PATIENCE, "a connection", connected).await;
    }

    async fn posts(&self, count: usize) -> Vec<Value> {
        eventually(PATIENCE, "answers", || Some(self.server.posts()).filter(|posts| posts.len() >= count)).await
    }
}

#[tokio::test]
async fn a_mention_is_answered_in_its_thread_and_chatter_and_programs_are_not() {
    let run = start().await;
    run.server.say("p1", "good morning", false);
    run.server.say("p2", "thanks @podbell", false);
    run.server.say("p3", "@podbell2 help", false);
    let by = |id: &str, user: &str, message: &str, props: Value| json!({"id": id, "user_id": user, "channel_id": "c1", "root_id": "r1", "message": message, "type": "", "props": props});
    run.server.post(&by("p4", "bot1", "@podbell help", json!({})), "O", false);
    run.server.post(&by("p5", "u1", "@podbell help", json!({"from_webhook": "true"})), "O", false);
    run.server.post(&by("p6", "u1", "@Podbell: /events web-service", json!({})), "O", false);
    run.server.post(&by("p7", "u1", "incidents", json!({})), "D", false);
    let posts = run.posts(2).await;
    let asked = run.queries.asked();
    let said: Vec<(Entry, &str)> = asked.iter().map(|one| (one.entry, one.text.as_str())).collect();
    assert_eq!(said, [(Entry::Events, "web-service"), (Entry::Podbell, "incidents")]);
    assert_eq!(asked[0].speaker.author.name, "ann (u1)");
    assert!(posts.iter().all(|post| post["root_id"] == "r1" && post["channel_id"] == "c1"), "{posts:?}");
    run.stop.cancel();
    run.task.await.unwrap();
}

#[tokio::test]
async fn what_was_said_while_the_connection_was_cut_is_heard_once() {
    let run = start().await;
    run.server.say("p1", "@podbell ack 1", false);
    run.posts(1).await;
    run.server.cut();
    run.server.say("p2", "@podbell ack 2", true);
    run.connected(2).await;
    run.posts(2).await;
    // It is sent again all the same.
    run.server.post(&json!({"id": "p2", "user_id": "u1", "channel_id": "c1", "message": "@podbell ack 2"}), "O", false);
    run.server.say("p3", "@podbell ack 3", false);
    run.posts(3).await;
    assert_eq!(run.queries.texts(), ["ack 1", "ack 2", "ack 3"]);
    assert_eq!((run.server.resumed(), run.server.catching_up()), (1, 0), "the connection went on");
    assert_eq!(run.server.refused(), Vec::<String>::new());
}

#[tokio::test]
async fn an_event_that_is_missing_is_asked_for_again() {
    let run = start().await;
    run.server.say("p1", "@podbell ack 1", true);
    run.server.say("p2", "@podbell ack 2", false);
    run.posts(2).await;
    assert_eq!((run.queries.texts(), run.server.connections()), (vec!["ack 1".to_owned(), "ack 2".to_owned()], 2));
}

#[tokio::test]
async fn a_connection_that_is_half_dead_is_replaced_and_one_that_was_forgotten_begins_anew() {
    let run = start().await;
    run.server.freeze();
    run.server.say("p1", "@podbell ack 1", true);
    run.connected(2).await;
    run.posts(1).await;
    run.server.forget();
    run.server.cut();
    run.connected(3).await;
    run.server.say("p2", "@podbell ack 2", false);
    run.posts(2).await;
    assert_eq!(run.queries.texts(), ["ack 1", "ack 2"]);
}

#[tokio::test]
async fn what_was_written_while_mattermost_restarted_is_heard_once_unless_it_is_old() {
    let run = start().await;
    run.server.say("p1", "@podbell ack 1", false);
    run.posts(1).await;
    assert_eq!(run.server.catching_up(), 0, "no channel had a post when it started");
    run.server.say("p2", "@podbell ack 9", true);
    run.server.age();
    run.server.forget();
    run.server.cut();
    run.server.say("p3", "good morning", true);
    run.server.say("p4", "@podbell ack 2", true);
    run.server.say("p5", "@podbell ack 3", true);
    run.posts(3).await;
    run.server.say("p6", "@podbell ack 4", false);
    run.posts(4).await;
    assert_eq!(run.queries.texts(), ["ack 1", "ack 2", "ack 3", "ack 4"]);
    assert_eq!((run.server.catching_up(), run.server.refused()), (1, Vec::<String>::new()));
}

#[tokio::test]
async fn what_was_written_while_podbell_was_down_is_answered_once_and_what_had_an_answer_is_not() {
    let run = start().await;
    run.server.say("p1", "@podbell events web", false);
    run.posts(1).await;
    run.stop.cancel();
    run.task.await.unwrap();
    run.server.forget();
    run.server.say("p3", "good morning", true);
    run.server.say("p4", "@podbell ack 2", true);
    // Another podbell: it remembers nothing of what the first one heard.
    let stop = CancellationToken::new();
    let task = tokio::spawn(bot(&run.server, run.queries.clone(), TOKEN).connect(stop.clone()));
    let posts = eventually(PATIENCE, "answers", || Some(run.server.posts()).filter(|posts| posts.len() >= 2)).await;
    run.server.say("p5", "@podbell ack 3", false);
    eventually(PATIENCE, "answers", || Some(run.server.posts()).filter(|posts| posts.len() >= 3)).await;
    assert_eq!(run.queries.texts(), ["events web", "ack 2", "ack 3"]);
    assert_eq!(posts[1]["root_id"], "p4");
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn what_mattermost_does_not_show_at_first_is_asked_for_until_it_does_and_what_it_hides_deafens_nobody() {
    let run = start().await;
    run.server.say("p1", "@podbell ack 1", true);
    run.server.forget();
    run.server.read_replies(&[503, 429]);
    run.server.cut();
    run.posts(1).await;
    assert_eq!((run.queries.texts(), run.server.catching_up()), (vec!["ack 1".to_owned()], 3));
    run.server.forget();
    run.server.read_replies(&[403]);
    run.server.cut();
    run.connected(5).await;
    run.server.say("p2", "@podbell ack 2", false);
    run.posts(2).await;
    assert_eq!(run.queries.texts(), ["ack 1", "ack 2"]);
    assert_eq!(run.server.connections(), 5, "it was not asked for again");
}

#[tokio::test]
async fn frames_that_are_not_mattermost_s_are_left_alone_and_an_answer_is_posted_until_it_is_taken() {
    let run = start().await;
    for text in ["", "{", "[]", "{}", r#"{"event": 1}"#, r#"{"event": "posted", "seq": 0, "data": {"post": "{"}}"#] {
        run.server.text(text);
    }
    run.server.replies(&[502, 500]);
    run.server.say("p1", "@podbell help", false);
    run.posts(1).await;
    assert_eq!((run.server.connections(), run.queries.asked().len()), (1, 1));
}

#[tokio::test]
async fn a_command_typed_to_the_bot_alone_is_as_direct_as_a_message_to_it() {
    let (server, queries) = (FakeMattermost::start().await, FakeQueries::new());
    let access = Access { channels: Some([(DIRECT.to_owned(), Default::default())].into()), ..Access::default() };
    let chat = bot_for(&server, queries.clone(), TOKEN, access);
    let task = tokio::spawn(chat.clone().connect(CancellationToken::new()));
    eventually(PATIENCE, "a connection", || server.is_connected().then_some(())).await;
    let endpoint = Endpoint::serve(chat.routes()).await;
    let headers =
        [("content-type", "application/x-www-form-urlencoded".to_owned()), ("authorization", format!("Token {SLASH}"))];
    for (number, (channel, name)) in
        [("dm", "bot1__u1"), ("dm", "u1__bot1"), ("c1", "town-square"), ("dm2", "u1__u2"), ("c2", "bot1__u2")]
            .into_iter()
            .enumerate()
    {
        let form = format!(
            "command=%2Fpodbell&text=ack+{number}&user_id=u1&user_name=ann&channel_id={channel}&channel_name={name}&team_id=t1&trigger_id=t{number}"
        );
        assert_eq!(endpoint.post("/mattermost/mm", &headers, &form).await.0, 200, "{name}");
    }
    assert_eq!(queries.texts(), ["ack 0", "ack 1"]);
    task.abort();
}

#[tokio::test]
async fn an_acknowledgement_takes_the_button_from_the_answer_that_was_pressed_which_stays_the_answer_of_its_post() {
    let (server, queries) = (FakeMattermost::start().await, FakeQueries::with_incident(12));
    let chat = bot(&server, queries.clone(), TOKEN);
    let task = tokio::spawn(chat.clone().connect(CancellationToken::new()));
    eventually(PATIENCE, "a connection", || server.is_connected().then_some(())).await;
    server.say("p1", "@podbell show 12", false);
    let answer = eventually(PATIENCE, "an answer", || server.posts().pop()).await;
    let endpoint = Endpoint::serve(chat.routes()).await;
    let press = async |button: &Value, trigger: &str| {
        let context = &button["integration"]["context"];
        let press =
            json!({"user_id": "u1", "channel_id": "c1", "team_id": "t1", "trigger_id": trigger, "context": context});
        endpoint.post("/mattermost/mm", &[("content-type", "application/json".to_owned())], &press.to_string()).await
    };
    let buttons = answer["props"]["attachments"][0]["actions"].as_array().unwrap();
    let (status, pressed) = press(&buttons[0], "t1").await;
    let mut expected = answer["props"].clone();
    expected["attachments"][0]["actions"].as_array_mut().unwrap().remove(0);
    assert_eq!((status, &pressed["update"]), (200, &json!({"message": answer["message"], "props": expected})));
    assert!(pressed["ephemeral_text"].as_str().unwrap().contains("You said ack 12"), "{pressed}");
    let (status, pressed) = press(&buttons[1], "t2").await;
    assert_eq!((status, pressed.get("update")), (200, None), "a mute changes no answer");
    assert_eq!(queries.texts(), ["show 12", "ack 12", "show 12", "mute 12 1h"]);
    task.abort();
}

#[tokio::test]
async fn a_refused_token_opens_nothing() {
    let (server, queries) = (FakeMattermost::start().await, FakeQueries::new());
    let _task = tokio::spawn(bot(&server, queries, "wrong").connect(CancellationToken::new()));
    let opened = within(Duration::from_millis(300), || (server.connections() > 0).then_some(())).await;
    assert_eq!(opened, None);
}
