//! `kind: telegram` of `chats:`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::json;
use url::Url;

use super::super::{BOT_API, TOKEN};
use super::api::{Api, DISPLACED};
use super::{Telegram, TelegramConfig, Timing};
use crate::chat::access::{Access, AllowList, Channels, DIRECT};
use crate::chat::reconnect::Disconnect;
use crate::chat::{Chat, ChatDeps, ChatHead, ChatKind, ExclusiveConnection, Served};
use crate::clock;
use crate::examine::{Checked, Finding, Group, Net};
use crate::http::{ClientError, HttpOptions};
use crate::settings::Draft;
use crate::settings::Id;
use podbell_core::translations::Language;
use podbell_core::yaml::key::Key;
use podbell_core::yaml::{MapReader, Reader};

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (1..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

const USER: Id = Id {
    what: "a user",
    example: "123456789",
    found_in: "Telegram",
    fits: |text| is_number(text) && !text.starts_with('-'),
    pattern: "^[0-9]{1,20}$",
};
const CHANNEL: Id = Id {
    what: "a chat",
    example: "-1001234567890",
    found_in: "Telegram",
    fits: |text| text == DIRECT || is_number(text),
    pattern: "^(direct|-?[0-9]{1,20})$",
};
const USERS: Key<AllowList<Id>> =
    Key::optional("users", AllowList(USER), "Numbers of people who may ask [default: any who find the bot].");
const CHANNELS: Key<Channels<Id>> = Key::optional(
    "channels",
    Channels(Key::required("id", CHANNEL, "The group's number.")),
    "Numbers of groups, `direct` for one person with the bot, or `{id, cluster, namespace, service, read_only}` [default: any, everything].",
);

/// Its registry row.
pub const CHAT: ChatKind = ChatKind {
    name: "telegram",
    about: "A bot of Telegram, over long polling: commands, buttons, direct messages.",
    language: Language::En,
    time_zone: "UTC",
    keys: &[&TOKEN, &BOT_API, &USERS, &CHANNELS],
    read,
    elsewhere: |key| (key == "chat").then_some("a chat is asked, a notifier tells: which groups may ask is `channels`"),
};

fn read(map: &mut MapReader<'_>, head: &ChatHead, reader: &mut Reader) -> Option<Draft<dyn Chat>> {
    let (token, api) = (TOKEN.take(map, reader), BOT_API.take(map, reader));
    let access = Access { teams: None, users: USERS.take(map, reader), channels: CHANNELS.take(map, reader) };
    if access.users.is_none() && access.channels.is_none() {
        let help = "list the numbers of people (`users`) or groups (`channels`) that may ask";
        let message = format!("anybody who finds the bot of `{}` may ask it and acknowledge", head.name);
        reader.warning_help(&map.head(), message, help);
    }
    let settings = head.settings(access);
    let (token, api) = (token?, api?);
    Some(Draft::<dyn Chat>::new(move |secrets| {
        let token = secrets.get(&token)?;
        Some(Arc::new(TelegramConfig { settings, token, api, timing: Timing::default() }))
    }))
}

impl Chat for TelegramConfig {
    fn serve(&self, deps: &ChatDeps, _: &HttpOptions) -> Result<Served, ClientError> {
        let telegram = Telegram::new(self.clone(), deps.clone());
        // Telegram refuses a second poller.
        let connection: ExclusiveConnection =
            Arc::new(move |stop| Box::pin(telegram.clone().connect(stop)) as BoxFuture<'static, ()>);
        Ok(Served { exclusive: vec![connection], ..Served::default() })
    }

    fn examine<'a>(&'a self, net: &'a Net, _: Option<&'a Url>) -> BoxFuture<'a, Checked> {
        Box::pin(async move { self.examine_bot(net).await.into() })
    }
}

impl TelegramConfig {
    /// Asks who the bot is and whether something else hears for it, and for no update.
    async fn examine_bot(&self, net: &Net) -> Finding {
        let (group, subject) = (Group::Chats, self.settings.name.as_str());
        let (client, token) = (net.client.clone(), self.token.clone());
        let api = Api { client, url: self.api.clone(), token, now: Arc::new(clock::now) };
        let asked = async {
            let me = api.result("getMe", &json!({})).await?;
            Ok((me, api.result("getWebhookInfo", &json!({})).await?))
        };
        match asked.await {
            Ok((_, webhook)) if webhook["url"].as_str().is_some_and(|url| !url.is_empty()) => {
                let found = "the bot has a webhook: Telegram answers getUpdates with 409 as long as it is set";
                Finding::fail(
                    group,
                    subject,
                    found,
                    "remove it: call deleteWebhook with the bot's token, or use another bot",
                )
            }
            Ok((me, _)) => {
                let name = me["username"].as_str().unwrap_or_default();
                let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
                let found = format!(
                    "the bot @{name} is known and has no webhook; its updates are not asked for, that would interrupt a running \
                     podbell, whose log says if another program asks for them (409)"
                );
                Finding::ok(group, subject, found)
            }
            Err(Disconnect::Displaced(_)) => {
                Finding::fail(group, subject, DISPLACED, "stop the other program, or use another bot")
            }
            Err(Disconnect::Refused(why)) => {
                Finding::fail(group, subject, why, "ask @BotFather for the bot's token and put it into podbell.yaml")
            }
            Err(Disconnect::Lost { why, .. }) => {
                Finding::fail(group, subject, why, "check `api`, the proxy and the firewall")
            }
            Err(Disconnect::Stopped) => Finding::ok(group, subject, "not looked at"),
        }
    }
}
