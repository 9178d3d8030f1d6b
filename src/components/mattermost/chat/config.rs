//! `kind: mattermost` of `chats:`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use url::Url;

use super::api::Api;
use super::event::BotIdentity;
use super::{Mattermost, MattermostConfig, Timing};
use crate::chat::access::{Access, AllowList, Channels, DIRECT};
use crate::chat::endpoint;
use crate::chat::reconnect::Disconnect;
use crate::chat::{Chat, ChatDeps, ChatHead, ChatKind, ExclusiveConnection, Served};
use crate::clock;
use crate::examine::{Checked, Finding, Group, Net};
use crate::http::{ClientError, HttpOptions};
use crate::settings::Id;
use crate::settings::keys::{Address, HTTP};
use crate::settings::{Draft, Secret, SecretKind, SecretRef};
use podbell_core::translations::Language;
use podbell_core::yaml::key::Key;
use podbell_core::yaml::{MapReader, Reader};

const EVENTS_TOKEN: Key<Secret> = Key::optional(
    "events_token",
    Secret(SecretKind::Any),
    "The token of the slash command `/events`; its Request URL is `/mattermost/NAME` [default: no such command].",
);
const PODBELL_TOKEN: Key<Secret> = Key::optional(
    "podbell_token",
    Secret(SecretKind::Any),
    "The token of the slash command `/podbell`, at the same URL [default: no such command].",
);
const TOKEN: Key<Secret> = Key::optional(
    "token",
    Secret(SecretKind::Any),
    "The token of a bot account: with it, podbell answers mentions and direct messages over the bot's websocket, and presses of buttons [default: none; they are not answered].",
);
const SERVER: Key<Address> = Key::optional("server", HTTP, "Where Mattermost is; needed with `token`.");
const ACTIONS_URL: Key<Address> = Key::optional(
    "actions_url",
    HTTP,
    "Gives answers buttons: where Mattermost reaches this chat, such as https://podbell.example.com/mattermost/NAME [default: no buttons].",
);

fn is_id(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

pub(in crate::components::mattermost) const fn id(what: &'static str) -> Id {
    Id { what, example: "4xp9fdt77pncbef59f4k1qe83o", found_in: "Mattermost", fits: is_id, pattern: "^[a-z0-9]{26}$" }
}

const CHANNEL: Id =
    Id { fits: |text| text == DIRECT || is_id(text), pattern: "^(direct|[a-z0-9]{26})$", ..id("a channel") };
const TEAMS: Key<AllowList<Id>> = Key::optional(
    "teams",
    AllowList(id("a team")),
    "Ids of teams that may ask; direct messages to the bot belong to none [default: any].",
);
const USERS: Key<AllowList<Id>> =
    Key::optional("users", AllowList(id("a user")), "Ids of people who may ask [default: any].");
const CHANNELS: Key<Channels<Id>> = Key::optional(
    "channels",
    Channels(Key::required("id", CHANNEL, "The channel's id.")),
    "Ids of channels, `direct` for messages to the bot, or `{id, cluster, namespace, service, read_only}` [default: any, everything].",
);

/// Its registry row.
pub const CHAT: ChatKind = ChatKind {
    name: "mattermost",
    about: "A server of Mattermost: slash commands, buttons, and a bot's mentions and direct messages.",
    language: Language::En,
    time_zone: "UTC",
    keys: &[&EVENTS_TOKEN, &PODBELL_TOKEN, &TOKEN, &SERVER, &ACTIONS_URL, &TEAMS, &USERS, &CHANNELS],
    read,
    elsewhere: |key| match key {
        "url" => Some("a chat is asked, a notifier tells: incoming webhooks belong to `notifiers`"),
        "channel" => Some("which channels may ask is `channels`"),
        _ => None,
    },
};

fn read(map: &mut MapReader<'_>, head: &ChatHead, reader: &mut Reader) -> Option<Draft<dyn Chat>> {
    let (events, podbell) = (EVENTS_TOKEN.take(map, reader), PODBELL_TOKEN.take(map, reader));
    let (bot, server, actions_url) = (TOKEN.take(map, reader), SERVER.take(map, reader), ACTIONS_URL.take(map, reader));
    let access =
        Access { teams: TEAMS.take(map, reader), users: USERS.take(map, reader), channels: CHANNELS.take(map, reader) };
    if events.is_none() && podbell.is_none() && bot.is_none() {
        let help = "give `events_token` and `podbell_token` of slash commands (Integrations), or `token` and `server` of a bot";
        reader.error_help(&map.head(), format!("nothing reaches the chat `{}`: it has no token", head.name), help);
    }
    if bot.is_some() && server.is_none() {
        let message = format!("the bot of `{}` has no `server`", head.name);
        reader.error_help(&map.head(), message, "write where Mattermost is, such as https://mattermost.example.com");
    }
    let settings = head.settings(access);
    Some(Draft::<dyn Chat>::new(move |secrets| {
        let mut get = |secret: &Option<SecretRef>| secret.as_ref().and_then(|secret| secrets.get(secret));
        Some(Arc::new(MattermostConfig {
            settings,
            tokens: [&events, &podbell].into_iter().filter_map(&mut get).collect(),
            bot_token: get(&bot),
            server,
            actions_url,
            timing: Timing::default(),
        }))
    }))
}

impl Chat for MattermostConfig {
    fn serve(&self, deps: &ChatDeps, _: &HttpOptions) -> Result<Served, ClientError> {
        let chat = Mattermost::new(self.clone(), deps.clone());
        let routes = chat.routes();
        // Each websocket of a bot gets every post.
        let exclusive: Vec<ExclusiveConnection> = match self.bot_token {
            Some(_) => vec![Arc::new(move |stop| Box::pin(chat.clone().connect(stop)) as BoxFuture<'static, ()>)],
            None => Vec::new(),
        };
        Ok(Served { routes, exclusive, ..Served::default() })
    }

    fn examine<'a>(&'a self, net: &'a Net, public_url: Option<&'a Url>) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            let subject = self.settings.name.as_str();
            let mut findings = Vec::new();
            if let (Some(server), Some(token)) = (&self.server, &self.bot_token) {
                let api = Api { server: server.clone(), token: token.clone(), client: net.client.clone() };
                findings.push(known(subject, api.me(clock::now()).await));
            }
            if !self.tokens.is_empty() || self.actions_url.is_some() {
                findings.push(endpoint::examine(subject, "Mattermost", "mattermost", public_url));
            }
            findings.into()
        })
    }
}

fn known(subject: &str, me: Result<BotIdentity, Disconnect>) -> Finding {
    match me {
        Ok(_) => Finding::ok(Group::Chats, subject, "the bot's token is good; its websocket is not tried"),
        Err(Disconnect::Refused(why)) => {
            Finding::fail(Group::Chats, subject, why, "make a new token for the bot (Integrations, Bot Accounts)")
        }
        Err(Disconnect::Lost { why, .. } | Disconnect::Displaced(why)) => {
            Finding::fail(Group::Chats, subject, why, "check `server`, the proxy and the firewall")
        }
        Err(Disconnect::Stopped) => Finding::ok(Group::Chats, subject, "not looked at"),
    }
}
