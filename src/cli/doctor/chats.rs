//! Chats, without opening a connection: it would take the place of a running podbell's, or part of its
//! questions.

use secrecy::SecretString;
use url::Url;

use super::finding::{Checked, Finding, Group};
use super::net::Net;
use crate::config::{ChatConfig, ChatKind, SlackChat, WecomBotChat};

/// Looks at one chat.
pub(super) async fn check(chat: &ChatConfig, public_url: Option<&Url>, net: &Net) -> Checked {
    match &chat.kind {
        ChatKind::Slack(slack) => of_slack(&chat.name, slack, public_url, net).await,
        ChatKind::WecomBot(bot) => of_bot(&chat.name, bot, net).await,
        ChatKind::WecomApp(_) => called(&chat.name, "WeCom", "wecom", public_url).into(),
    }
}

async fn of_slack(name: &str, slack: &SlackChat<SecretString>, public_url: Option<&Url>, net: &Net) -> Checked {
    let mut checked = match &slack.bot_token {
        Some(token) => super::slack::token(Group::Chats, name, net, &slack.api, token, &["chat:write"]).await.0,
        None => {
            Finding::ok(Group::Chats, name, "no `bot_token`: slash commands and buttons are answered, mentions are not")
                .into()
        }
    };
    if slack.app_token.is_some() {
        let found = "Socket Mode: not tried, a further connection would take questions from the running podbell";
        checked.findings.push(Finding::ok(Group::Chats, name, found));
    }
    if slack.signing_secret.is_some() {
        checked.findings.push(called(name, "Slack", "slack", public_url));
    }
    checked
}

async fn of_bot(name: &str, bot: &WecomBotChat<SecretString>, net: &Net) -> Checked {
    let mut findings = Vec::new();
    // The handshake of TLS only, not that of the WebSocket.
    if let Ok(url) = Url::parse(&bot.endpoint.as_str().replacen("ws", "http", 1)) {
        findings.push(net.reached(Group::Chats, name, "WeCom's endpoint", url).await);
    }
    let found = "the bot: not tried, a second connection would take the running one's place";
    findings.push(Finding::ok(Group::Chats, name, found));
    findings.into()
}

/// What the platform must reach.
fn called(name: &str, platform: &str, path: &str, public_url: Option<&Url>) -> Finding {
    match public_url {
        Some(url) => {
            let url = url.as_str().trim_end_matches('/');
            Finding::ok(Group::Chats, name, format!("{platform} must reach {url}/{path}/{name}"))
        }
        None => Finding::warn(
            Group::Chats,
            name,
            format!("{platform} calls /{path}/{name}, and `server.public_url` does not say where that is"),
            format!("put the address at which {platform} reaches podbell into `server.public_url`"),
        ),
    }
}
