//! `kind: discord` of `chats:`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::json;
use url::Url;

use super::super::{API, id, is_id};
use super::{Discord, DiscordConfig, PublicKey, Timing};
use crate::chat::access::{Access, AllowList, Channels, DIRECT};
use crate::chat::endpoint;
use crate::chat::{Chat, ChatDeps, ChatHead, ChatKind, Served};
use crate::examine::{Checked, Net};
use crate::hex::unhex;
use crate::http::{ClientError, HttpOptions};
use crate::settings::Draft;
use crate::settings::Id;
use podbell_core::translations::Language;
use podbell_core::yaml::key::{Custom, Key};
use podbell_core::yaml::{MapReader, Node, Reader};

const APPLICATION_ID: Key<Id> =
    Key::required("application_id", id("the application"), "As its page General Information shows it.");
const PUBLIC_KEY: Key<Custom<PublicKey>> = Key::required(
    "public_key",
    Custom { read: read_key, schema: || json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}) },
    "As the same page shows it, 64 hex digits; its Interactions Endpoint URL is `/discord/NAME`.",
);
const GUILDS: Key<AllowList<Id>> =
    Key::optional("guilds", AllowList(id("a server")), "Ids of servers that may ask [default: any that adds the app].");
const USERS: Key<AllowList<Id>> =
    Key::optional("users", AllowList(id("a user")), "Ids of people who may ask [default: any].");
const CHANNEL: Id =
    Id { fits: |text| text == DIRECT || is_id(text), pattern: "^(direct|[0-9]{1,20})$", ..id("a channel") };
const CHANNELS: Key<Channels<Id>> = Key::optional(
    "channels",
    Channels(Key::required("id", CHANNEL, "The channel's id.")),
    "Ids of channels, `direct` for direct messages, or `{id, cluster, namespace, service, read_only}` [default: any, everything].",
);

/// Its registry row.
pub const CHAT: ChatKind = ChatKind {
    name: "discord",
    about: "An application of Discord: slash commands and buttons, called over HTTP.",
    language: Language::En,
    time_zone: "UTC",
    keys: &[&APPLICATION_ID, &PUBLIC_KEY, &API, &GUILDS, &USERS, &CHANNELS],
    read,
    elsewhere: |key| match key {
        "url" => Some("a chat is asked, a notifier tells: webhooks belong to `notifiers`"),
        "token" => Some("interactions are proved by `public_key`; no token is needed"),
        _ => None,
    },
};

fn read_key(node: &Node, reader: &mut Reader) -> Option<PublicKey> {
    let text = reader.text(node, "a public key of 64 hex digits")?;
    let key = unhex(&text.to_ascii_lowercase());
    if key.is_none() {
        let help = "copy it from the application's page General Information; it has 64 hex digits";
        reader.error_help(&node.span, format!("`{text}` is not a public key"), help);
    }
    key
}

fn read(map: &mut MapReader<'_>, head: &ChatHead, reader: &mut Reader) -> Option<Draft<dyn Chat>> {
    let (application, public_key, api) =
        (APPLICATION_ID.take(map, reader), PUBLIC_KEY.take(map, reader), API.take(map, reader));
    let access = Access {
        teams: GUILDS.take(map, reader),
        users: USERS.take(map, reader),
        channels: CHANNELS.take(map, reader),
    };
    let settings = head.settings(access);
    let (application, public_key, api) = (application?, public_key?, api?);
    let config = DiscordConfig { settings, application, public_key, api, timing: Timing::default() };
    Some(Draft::<dyn Chat>::new(move |_| Some(Arc::new(config))))
}

impl Chat for DiscordConfig {
    fn serve(&self, deps: &ChatDeps, _: &HttpOptions) -> Result<Served, ClientError> {
        let routes = Discord::new(self.clone(), deps.clone()).routes();
        Ok(Served { routes, ..Served::default() })
    }

    fn examine<'a>(&'a self, _: &'a Net, public_url: Option<&'a Url>) -> BoxFuture<'a, Checked> {
        let finding = endpoint::examine(&self.settings.name, "Discord", "discord", public_url);
        Box::pin(std::future::ready(finding.into()))
    }
}
