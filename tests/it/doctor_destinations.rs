//! What the doctor finds out about each destination without posting anything.

use serde_json::json;

use crate::doctor::Examined;
use crate::support::receiver::{Answer, Received, Receiver};
use crate::support::site::Site;

/// A destination: its keys, what a good place answers to the doctor's question and what the finding says then; the same for a
/// place that refuses it.
struct Destination {
    name: &'static str,
    /// What is in the path of its requests.
    at: &'static str,
    keys: &'static str,
    good: (u16, &'static str, &'static str),
    bad: (u16, &'static str, &'static str),
}

const DESTINATIONS: &[Destination] = &[
    Destination {
        name: "discord",
        at: "/api/webhooks/",
        keys: "kind: discord, url: \"BASE/api/webhooks/1/marker\"",
        good: (400, r#"{"message": "Cannot send an empty message", "code": 50006}"#, "refused an empty message"),
        bad: (404, r#"{"message": "Unknown Webhook", "code": 10015}"#, "the webhook was deleted"),
    },
    Destination {
        name: "discord-bot",
        at: "/discord-bot/",
        keys: "kind: discord, api: \"BASE/discord-bot\", token: marker, channel: \"7\"",
        good: (200, r#"{"id": "7", "name": "ops"}"#, "the bot sees the channel"),
        bad: (403, r#"{"message": "Missing Access", "code": 50001}"#, "View Channel"),
    },
    Destination {
        name: "discord-forum",
        at: "/discord-forum/",
        keys: "kind: discord, api: \"BASE/discord-forum\", token: marker, channel: \"7\"",
        good: (200, r#"{"id": "7", "type": 11}"#, "the bot sees the channel"),
        bad: (200, r#"{"id": "7", "type": 15}"#, "copy the id of a text channel"),
    },
    Destination {
        name: "discord-token",
        at: "/discord-token/",
        keys: "kind: discord, api: \"BASE/discord-token\", token: marker, channel: \"7\"",
        good: (200, r#"{"id": "7", "name": "ops"}"#, "the bot sees the channel"),
        bad: (401, r#"{"message": "401: Unauthorized", "code": 0}"#, "Reset Token"),
    },
    Destination {
        name: "mattermost-bot",
        at: "/mattermost-bot/",
        keys: "kind: mattermost, server: \"BASE/mattermost-bot\", token: marker, channel: abcdefghijklmnopqrstuvwxyz",
        good: (200, r#"{"id": "abcdefghijklmnopqrstuvwxyz", "name": "ops"}"#, "the bot sees the channel"),
        bad: (
            403,
            r#"{"id": "api.context.permissions.app_error", "status_code": 403}"#,
            "the bot is not in the channel",
        ),
    },
    Destination {
        name: "telegram",
        at: "/telegram/",
        keys: "kind: telegram, api: \"BASE/telegram\", token: marker, chat: \"-1001\", buttons: true",
        good: (200, r#"{"ok": true, "result": {"id": -1001}}"#, "the bot is in the chat"),
        bad: (
            400,
            r#"{"ok": false, "error_code": 400, "description": "Bad Request: chat not found"}"#,
            "chat not found",
        ),
    },
    Destination {
        name: "feishu",
        at: "/open-apis/bot/",
        keys: "kind: feishu, url: \"BASE/open-apis/bot/v2/hook/marker\"",
        good: (200, r#"{"code": 9499, "msg": "Bad Request"}"#, "refused an empty message"),
        bad: (200, r#"{"code": 19001, "msg": "param invalid: incoming webhook access token invalid"}"#, "19001"),
    },
    Destination {
        name: "dingtalk",
        at: "/robot/send",
        keys: "kind: dingtalk, url: \"BASE/robot/send?access_token=marker\"",
        good: (200, r#"{"errcode": 40035, "errmsg": "缺少参数 json"}"#, "refused an empty message"),
        bad: (200, r#"{"errcode": 300005, "errmsg": "token is not exist"}"#, "300005"),
    },
    Destination {
        name: "googlechat",
        at: "/v1/spaces/",
        keys: "kind: googlechat, url: \"BASE/v1/spaces/S/messages?key=k&token=marker\"",
        good: (400, r#"{"error": {"code": 400, "status": "INVALID_ARGUMENT"}}"#, "refused an empty message"),
        bad: (404, r#"{"error": {"code": 404, "status": "NOT_FOUND"}}"#, "make one in the space"),
    },
    // Their questions would be messages.
    Destination {
        name: "teams",
        at: "/teams/",
        keys: "kind: teams, url: \"BASE/teams/workflows/marker\"",
        good: (202, "", "can be reached"),
        bad: (404, "{}", "can be reached"),
    },
    Destination {
        name: "mattermost",
        at: "/mattermost/",
        keys: "kind: mattermost, url: \"BASE/mattermost/hooks/marker\"",
        good: (200, "ok", "can be reached"),
        bad: (404, "{}", "can be reached"),
    },
    Destination {
        name: "pagerduty",
        at: "/pagerduty/",
        keys: "kind: pagerduty, api: \"BASE/pagerduty/v2/enqueue\", routing_key: marker",
        good: (202, "{}", "can be reached"),
        bad: (400, "{}", "can be reached"),
    },
];

async fn examined(receiver: &Receiver, good: bool) -> Examined {
    receiver.behave(move |request| {
        let one = DESTINATIONS.iter().find(|one| request.uri.path().contains(one.at));
        let (status, body, _) = one.map_or((200, "ok", ""), |one| if good { one.good } else { one.bad });
        Answer::new(status, body)
    });
    let base = receiver.url("");
    let notifiers: String = DESTINATIONS
        .iter()
        .map(|one| format!("  - {{name: {}, {}}}\n", one.name, one.keys.replace("BASE", base.trim_end_matches('/'))))
        .collect();
    let config = format!(
        "sources: [{{name: file, kind: file, path: live.json}}]\nnotifiers:\n{notifiers}store: sqlite:podbell.db\n"
    );
    let site = Site::new(&[("podbell.yaml", &config), ("live.json", "[]")]);
    Examined::of(&site, &["doctor", "--output", "json"]).await
}

/// What podbell asked that could show anything to people.
fn posted(all: &[Received]) -> Vec<String> {
    let harmless = |one: &&Received| {
        one.method == "GET" || one.method == "HEAD" || one.body == b"{}" || one.uri.path().ends_with("/getChat")
    };
    all.iter().filter(|one| !harmless(one)).map(|one| format!("{} {}", one.method, one.uri)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_destination_is_looked_at_without_posting_and_what_refuses_podbell_is_told_with_what_to_do() {
    let receiver = Receiver::start().await;
    for good in [true, false] {
        let examined = examined(&receiver, good).await;
        for one in DESTINATIONS {
            let found =
                examined.findings.iter().find(|found| found["subject"] == one.name && found["group"] == "destinations");
            let found = found.unwrap_or_else(|| panic!("{}: {:?}", one.name, examined.findings));
            let words = if good { one.good.2 } else { one.bad.2 };
            assert!(found.to_string().contains(words), "{}: {found}", one.name);
            let fails = !good && !words.contains("can be reached");
            assert_eq!(found["verdict"], json!(if fails { "fail" } else { "ok" }), "{}: {found}", one.name);
            assert!(!found.to_string().contains("marker"), "{found}");
        }
        assert_eq!(posted(&receiver.received()), Vec::<String>::new());
    }
}
