//! Slack through the real binary: what people type reaches the engine and the store, and comes back.

use podbell::clock;
use serde_json::{Value, json};

use crate::support::emulated::{ONE_EVENT, emulator};
use crate::support::process::PATIENCE;
use crate::support::receiver::{Receiver, client};
use crate::support::site::{QUICK_RULES, Running, Site};
use crate::support::slack::{SECRET, signature};

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
    let (body, time) = (form(channel, command, text), clock::now().seconds().to_string());
    let request = client().post(format!("http://{}/slack/ops", running.listen)).timeout(PATIENCE);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("x-slack-request-timestamp", &time);
    let request = request.header("x-slack-signature", signature(SECRET, &time, &body));
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_else(|_| json!({}));
    (said["response_type"].as_str().unwrap_or_default().to_owned(), said.to_string())
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
