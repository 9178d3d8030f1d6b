//! Slack through the real binary: what people type reaches the engine and the store, and comes back.

use podbell::clock;
use serde_json::{Value, json};

use crate::support::emulated::{ONE_EVENT, emulator};
use crate::support::process::{PATIENCE, eventually};
use crate::support::receiver::{Receiver, client};
use crate::support::site::{QUICK_RULES, Running, Site};
use crate::support::slack::{SECRET, signature};
use crate::support::slack_channel::{TOKEN, Workspace};

const CHATS: &str = "chats:
  - name: ops
    kind: slack
    signing_secret: 8f742231b10e8888abcd99yyyzzz85a5
    teams: T1
    channels: [C0OPS, {id: C0BANK, namespace: bank}]
rules: [rules.yaml]";

fn form(channel: &str, command: &str, text: &str) -> String {
    let nonce = clock::monotonic();
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("team_id", "T1").append_pair("channel_id", channel).append_pair("user_id", "U1");
    form.append_pair("user_name", "zhang").append_pair("command", command).append_pair("text", text);
    form.append_pair("response_url", "https://hooks.slack.com/commands/T1/2/3");
    // Every command has its own.
    form.append_pair("trigger_id", &format!("{nonce:?}")).finish()
}

/// The answer to a slash command: for whom, and all its words.
async fn say(running: &Running, channel: &str, command: &str, text: &str) -> (String, String) {
    let (status, said) = post(running, &form(channel, command, text)).await;
    assert_eq!(status, 200);
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| json!({}));
    (said["response_type"].as_str().unwrap_or_default().to_owned(), said.to_string())
}

/// One of Slack's calls, signed: the status and what was answered.
async fn post(running: &Running, body: &str) -> (u16, String) {
    let time = clock::now().seconds().to_string();
    let request = client().post(format!("http://{}/slack/ops", running.listen)).timeout(PATIENCE);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("x-slack-request-timestamp", &time);
    let request = request.header("x-slack-signature", signature(SECRET, &time, body));
    let answer = request.body(body.to_owned()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn what_people_type_in_slack_is_done_and_seen_by_the_next_question() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    site.edit("rules: [rules.yaml]", CHATS);
    site.write("rules.yaml", &QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 1h"));
    let mut running = site.run().await;
    running.reaches("podbell_open_incidents ", |open| open == 1).await;
    let (to, events) = say(&running, "C0OPS", "/events", "web").await;
    assert!(to == "ephemeral" && events.contains("BackOff") && events.contains("#1"), "{events}");
    let (to, muted) = say(&running, "C0OPS", "/podbell", "mute #1 1h known").await;
    assert!(to == "in_channel" && muted.contains("zhang"), "{muted}");
    let (_, shown) = say(&running, "C0OPS", "/podbell", "show 1").await;
    assert!(shown.contains("known") && shown.contains("\"ack 1\""), "with buttons: {shown}");
    // Another team's channel sees nothing of it, and cannot end it.
    let (_, events) = say(&running, "C0BANK", "/events", "").await;
    assert!(!events.contains("#1"), "{events}");
    let (to, _) = say(&running, "C0BANK", "/podbell", "unmute #1").await;
    assert_eq!(to, "ephemeral");
    assert_eq!(site.rows("SELECT count(*) FROM mute WHERE ended_at IS NULL"), ["1"]);
    assert!(running.process.stop().await.success());
}

/// What Slack posts when somebody presses a button.
fn pressed(value: &str) -> String {
    let nonce = format!("{:?}", clock::monotonic());
    let payload = json!({
        "type": "block_actions", "team": {"id": "T1"}, "user": {"id": "U1", "username": "zhang", "team_id": "T1"},
        "channel": {"id": "C0OPS", "name": "ops"}, "trigger_id": nonce,
        "response_url": "https://hooks.slack.com/actions/T1/2/3",
        "actions": [{"action_id": "podbell.ack", "type": "button", "value": value, "action_ts": nonce}],
    });
    url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish()
}

#[test]
fn a_channel_gets_one_message_whose_button_says_who_has_it_in_the_message_itself() {
    let workspace = Workspace::in_real_time();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let emulator = emulator(ONE_EVENT, 1, None).await;
        let receiver = Receiver::start().await;
        let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
        let notifiers = format!(
            "notifiers:\n  - {{name: ops, kind: slack, token: {TOKEN}, channel: \"#ops\", api: \"{}\"}}",
            workspace.api()
        );
        site.edit("notifiers:", &notifiers);
        site.edit("rules: [rules.yaml]", CHATS);
        let rules = QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 1h").replace("audit", "ops");
        site.write("rules.yaml", &rules);
        let mut running = site.run().await;
        let message = || workspace.channel("C0OPS").into_iter().find(|seen| !seen.buttons().is_empty());
        let first = eventually(PATIENCE, "a message with buttons", message).await;
        assert_eq!(first.buttons(), ["ack 1", "mute 1 1h", "show 1"]);
        let (status, said) = post(&running, &pressed(&first.buttons()[0])).await;
        assert!(status == 200, "{said}");
        let changed = || message().filter(|seen| seen.versions.len() > 1);
        let changed = eventually(PATIENCE, "a message that says who has it", changed).await;
        assert!(changed.versions[1].to_string().contains("zhang"), "{changed:?}");
        assert_eq!(changed.buttons(), ["mute 1 1h", "show 1"]);
        assert_eq!((changed.ts, changed.thread), (first.ts, None));
        assert_eq!(workspace.limited(), Vec::<String>::new());
        assert!(running.process.stop().await.success());
    });
}
