//! The robot of an application of DingTalk: its questions over Stream mode and its messages, against a server that enforces what
//! DingTalk documents.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::dingtalk::{FakeDingTalk, GROUP, KEY, SECRET, chat};
use crate::support::notices::{incident, story};
use crate::support::platform::platform;
use crate::support::process::{PATIENCE, eventually, within};
use crate::support::receiver::client;
use crate::support::slack::FakeQueries;
use crate::support::wecom::bound;
use podbell::chat::Entry;
use podbell::components::dingtalk::chat::DingTalkConfig;
use podbell::notifiers::{NamedNotifier, Notifiers};
use podbell_core::notice::NoticeKind;
use podbell_core::outbox::{Outcome, SendContent};
use podbell_core::time::Time;
use podbell_core::translations::Language;

struct Running {
    server: FakeDingTalk,
    queries: Arc<FakeQueries>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start(change: impl FnOnce(&mut DingTalkConfig)) -> Running {
    let (server, queries) = (FakeDingTalk::start().await, FakeQueries::new());
    let stop = CancellationToken::new();
    let task = tokio::spawn(chat(&server, queries.clone(), change).connect(stop.clone()));
    let running = Running { server, queries, stop, task };
    running.connected(1).await;
    running
}

impl Running {
    async fn connected(&self, count: usize) {
        let connected = || (self.server.connections() >= count && self.server.is_connected()).then_some(());
        eventually(PATIENCE, "a connection", connected).await;
    }

    async fn answers(&self, count: usize) -> Vec<(String, Value)> {
        eventually(PATIENCE, "answers", || Some(self.server.answers()).filter(|answers| answers.len() >= count)).await
    }

    async fn acknowledged(&self) {
        eventually(PATIENCE, "acknowledgements", || self.server.is_all_acknowledged().then_some(())).await;
    }

    /// The answer to a message, as text.
    fn answer_to(&self, id: &str) -> String {
        let session = format!("session-of-{id}");
        let answers = self.server.answers();
        answers.iter().find(|(of, _)| *of == session).map(|(_, body)| body.to_string()).unwrap_or_default()
    }
}

#[tokio::test]
async fn mentions_and_direct_messages_are_answered_at_their_own_address_and_nothing_else_is() {
    let run = start(|_| {}).await;
    run.server.say("m1", " /events web-service ");
    let with = |id: &str, changed: Value| {
        let mut message = run.server.message(id, "help");
        changed.as_object().unwrap().iter().for_each(|(key, value)| message[key] = value.clone());
        run.server.deliver(&message);
    };
    with("m2", json!({"conversationType": "1", "text": {"content": "incidents"}}));
    with("m3", json!({"isInAtList": false}));
    with("m4", json!({"msgtype": "picture", "content": {"downloadCode": "x"}}));
    with("m5", json!({"msgtype": "richText", "content": {"richText": [{"text": "@podbell "}, {"text": "ack 1"}]}}));
    with("m6", json!({"sessionWebhook": run.server.base.replace("127.0.0.1", "localhost")}));
    let answers = run.answers(3).await;
    run.acknowledged().await;
    let mut said: Vec<(Entry, String)> = run.queries.asked().into_iter().map(|one| (one.entry, one.text)).collect();
    said.sort_by(|a, b| a.1.cmp(&b.1));
    let expected = [(Entry::Podbell, "ack 1"), (Entry::Podbell, "incidents"), (Entry::Events, "web-service")];
    assert_eq!(said, expected.map(|(entry, text)| (entry, text.to_owned())));
    assert_eq!(run.queries.asked()[0].speaker.author.name, "Ann (manager4220)");
    assert!(answers.iter().all(|(_, body)| body["msgtype"] == "markdown"), "{answers:?}");
    assert!(run.answer_to("m1").contains("You said web-service"), "{answers:?}");
    assert_eq!((answers.len(), run.server.refused()), (3, Vec::<String>::new()));
    run.stop.cancel();
    run.task.await.unwrap();
}

#[tokio::test]
async fn what_was_said_while_the_connection_was_cut_is_heard_and_what_comes_twice_runs_once() {
    let run = start(|_| {}).await;
    run.server.say("m1", "ack 1");
    run.answers(1).await;
    run.server.cut();
    run.server.say("m2", "ack 2");
    run.connected(2).await;
    run.answers(2).await;
    // The same message in another frame.
    run.server.say("m2", "ack 2");
    run.server.say("m3", "ack 3");
    run.answers(3).await;
    run.acknowledged().await;
    assert_eq!(run.queries.texts(), ["ack 1", "ack 2", "ack 3"]);
    assert_eq!((run.server.answers().len(), run.server.refused()), (3, Vec::<String>::new()));
}

#[tokio::test]
async fn a_connection_whose_end_is_announced_is_replaced_and_then_closed() {
    let run = start(|_| {}).await;
    run.server.disconnect();
    run.server.say("m1", "ack 1");
    run.connected(2).await;
    run.answers(1).await;
    eventually(PATIENCE, "the end of the first", || (run.server.closed() == 1).then_some(())).await;
    assert_eq!((run.queries.texts(), run.server.connections()), (vec!["ack 1".to_owned()], 2));
}

#[tokio::test]
async fn a_connection_that_is_half_dead_is_replaced() {
    let run = start(|_| {}).await;
    run.server.freeze();
    run.server.say("m1", "ack 1");
    run.connected(2).await;
    run.answers(1).await;
    assert_eq!(run.queries.texts(), ["ack 1"]);
}

#[tokio::test]
async fn pings_are_answered_foreign_frames_are_left_alone_and_an_answer_is_posted_until_it_is_taken() {
    let run = start(|_| {}).await;
    for text in ["", "{", "[]", "{}", r#"{"type": "SYSTEM"}"#, r#"{"type": 1, "headers": {}, "data": "{"}"#] {
        run.server.text(text);
    }
    run.server.ping(r#"{"opaque":"0ff4"}"#);
    run.server.codes(&[-1, -1]);
    run.server.say("m1", "help");
    run.answers(1).await;
    assert_eq!(run.server.pongs(), [r#"{"opaque":"0ff4"}"#]);
    assert_eq!((run.server.connections(), run.queries.asked().len()), (1, 1));
    assert_eq!(run.server.refused(), Vec::<String>::new());
}

#[tokio::test]
async fn who_may_not_ask_is_told_so_and_what_is_too_old_is_not_carried_out() {
    let run = start(|config| {
        config.settings.access.teams = Some(["dingcorp".to_owned()].into());
        config.settings.access.users = Some(["manager4220".to_owned()].into());
        config.settings.access.channels = Some([(GROUP.to_owned(), bound("shop"))].into());
    })
    .await;
    let with = |id: &str, key: &str, value: Value| {
        let mut message = run.server.message(id, "help");
        message[key] = value;
        run.server.deliver(&message);
    };
    with("m1", "senderStaffId", json!("somebody"));
    with("m2", "conversationId", json!("cidElsewhere=="));
    with("m3", "conversationType", json!("1"));
    with("m4", "senderCorpId", json!("dingother"));
    with("m5", "createAt", json!(podbell::clock::now().millis() - 3_600_000));
    run.server.say("m6", "incidents");
    run.answers(5).await;
    run.acknowledged().await;
    assert_eq!(run.queries.texts(), ["incidents"]);
    assert_eq!(run.queries.asked()[0].speaker.scope, bound("shop").scope);
    assert!(run.answer_to("m1").contains("not on podbell's list"));
    assert!(
        run.answer_to("m2").contains("does not answer here") && run.answer_to("m3").contains("does not answer here")
    );
    assert!(run.answer_to("m4").is_empty(), "a stranger learns nothing");
    assert!(run.answer_to("m5").contains("while podbell was away"));
}

#[tokio::test]
async fn a_refused_secret_opens_nothing() {
    let (server, queries) = (FakeDingTalk::start().await, FakeQueries::new());
    let chat = chat(&server, queries, |config| config.app_secret = "wrong".into());
    let _task = tokio::spawn(chat.connect(CancellationToken::new()));
    let opened = within(Duration::from_millis(300), || (server.connections() > 0).then_some(())).await;
    assert_eq!(opened, None);
}

#[tokio::test]
async fn a_pressed_button_is_its_command_and_the_robot_answers_in_the_group() {
    let run = start(|config| config.settings.access.channels = Some([(GROUP.to_owned(), bound("shop"))].into())).await;
    let press = run.server.pressed("card-1", &json!({"command": "ack 7", "robot": "dingrobot"}));
    run.server.press(&press);
    let with = |key: &str, value: Value| {
        let mut press = press.clone();
        press[key] = value;
        run.server.press(&press);
    };
    with("spaceId", json!("cidElsewhere=="));
    // Not podbell's, or not of a group.
    with("content", json!("{}"));
    with("content", json!("no JSON"));
    with("content", json!({"cardPrivateData": {"params": {"command": 7}}}).to_string().into());
    with("spaceType", json!("IM_ROBOT"));
    run.acknowledged().await;
    let sent = eventually(PATIENCE, "answers", || Some(run.server.sent()).filter(|sent| sent.len() == 2)).await;
    assert_eq!(run.queries.texts(), ["ack 7"]);
    assert_eq!(run.queries.asked()[0].speaker.scope, bound("shop").scope);
    assert_eq!(run.queries.asked()[0].speaker.author.name, "manager4220");
    let place = |conversation: &str| {
        let sent = sent.iter().find(|body| body["openConversationId"] == conversation).unwrap();
        (sent["robotCode"].clone(), sent["msgParam"].to_string())
    };
    let (here, elsewhere) = (place(GROUP), place("cidElsewhere=="));
    assert_eq!((&here.0, &elsewhere.0), (&json!("dingrobot"), &json!("dingrobot")));
    assert!(here.1.contains("You said ack 7"), "{here:?}");
    assert!(elsewhere.1.contains("does not answer here"), "{elsewhere:?}");
}

#[tokio::test]
async fn a_press_that_comes_again_is_carried_out_once_and_an_old_one_or_a_strangers_never() {
    let run = start(|config| {
        config.settings.access.teams = Some(["dingcorp".to_owned()].into());
        config.settings.access.users = Some(["manager4220".to_owned()].into());
    })
    .await;
    let press = |command: &str| run.server.pressed("card-1", &json!({"command": command, "robot": KEY}));
    run.server.press(&press("mute 7 1h"));
    run.acknowledged().await;
    run.server.repeat();
    run.server.press_at(&press("ack 8"), podbell::clock::now().millis() - 3_600_000);
    let with = |key: &str, value: &str| {
        let mut press = press("ack 9");
        press[key] = json!(value);
        run.server.press(&press);
    };
    with("userId", "somebody");
    with("corpId", "dingother");
    run.server.press(&press("ack 10"));
    run.acknowledged().await;
    let sent = eventually(PATIENCE, "answers", || Some(run.server.sent()).filter(|sent| sent.len() == 4)).await;
    assert_eq!(run.queries.texts(), ["mute 7 1h", "ack 10"]);
    let said = |words: &str| sent.iter().filter(|body| body["msgParam"].to_string().contains(words)).count();
    assert_eq!((said("while podbell was away"), said("not on podbell's list")), (1, 1), "{sent:?}");
}

fn notifiers(server: &FakeDingTalk) -> Notifiers {
    let keys = format!(
        "kind: dingtalk-app, api: \"{}\", app_key: {KEY}, app_secret: \"{SECRET}\", conversation: \"{GROUP}\"",
        server.base
    );
    let config = NamedNotifier {
        name: "team".into(),
        platform: platform(&keys),
        language: Language::En,
        time_zone: jiff::tz::TimeZone::UTC,
        digest_after: None,
        template: Default::default(),
        logs: false,
    };
    Notifiers::new(vec![config], Default::default(), client())
}

#[tokio::test]
async fn an_access_token_is_kept_until_shortly_before_it_expires_and_replaced_when_it_is_refused() {
    let server = FakeDingTalk::start().await;
    let notifiers = notifiers(&server);
    let notices = [incident(1, NoticeKind::Opened, story())];
    let body = notifiers.render("team", &SendContent::full(&notices), "m", Time::from_seconds(0));
    for (seconds, granted) in [(0, 1), (6_800, 1), (7_000, 2), (7_100, 2)] {
        let outcome = notifiers.deliver("team", "m", body.clone(), Time::from_seconds(seconds)).await;
        assert_eq!((outcome, server.granted()), (Outcome::Delivered, granted), "after {seconds} s");
    }
    server.revoke();
    let outcome = notifiers.deliver("team", "m", body, Time::from_seconds(7_200)).await;
    assert_eq!((outcome, server.granted(), server.sent().len()), (Outcome::Delivered, 3, 5));
    let sent = &server.sent()[4];
    assert_eq!([&sent["robotCode"], &sent["openConversationId"], &sent["msgKey"]], [KEY, GROUP, "sampleMarkdown"]);
    let parameters: Value = serde_json::from_str(sent["msgParam"].as_str().unwrap()).unwrap();
    assert!(parameters["title"].is_string() && parameters["text"].as_str().unwrap().contains("web"), "{parameters}");
}
