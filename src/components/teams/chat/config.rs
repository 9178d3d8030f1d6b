//! `kind: teams` of `chats:`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use url::Url;

use super::{SecurityToken, Teams, TeamsConfig};
use crate::chat::access::{Access, AllowList, Channels};
use crate::chat::endpoint;
use crate::chat::{Chat, ChatDeps, ChatHead, ChatKind, Served};
use crate::examine::{Checked, Net};
use crate::http::{ClientError, HttpOptions};
use crate::settings::Id;
use crate::settings::{Draft, Secret, SecretKind, SecretRef};
use podbell_core::translations::Language;
use podbell_core::yaml::key::Key;
use podbell_core::yaml::{MapReader, Reader};

const REPLY: Duration = Duration::from_millis(4500);
const NO_TOKEN: &str = "Teams shows it once, when the webhook is created; it is base64 and ends in =";

fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:@".contains(&b))
}

const fn id(what: &'static str, example: &'static str) -> Id {
    Id { what, example, found_in: "Teams", fits: is_id, pattern: "^[A-Za-z0-9_.:@-]{1,128}$" }
}

const SECURITY_TOKEN: Key<Secret> = Key::required(
    "security_token",
    Secret(SecretKind::Any),
    "As Teams shows it when the webhook is created; its Callback URL is `/teams/NAME`.",
);
const TEAMS: Key<AllowList<Id>> = Key::optional(
    "teams",
    AllowList(id("a tenant or team", "19:abc@thread.tacv2")),
    "Ids of tenants and teams; a call must name none but these [default: any that has the token].",
);
const USERS: Key<AllowList<Id>> = Key::optional(
    "users",
    AllowList(id("a user", "6a2b0e4e-7e0c-4d1b-9d0f-1f2e3d4c5b6a")),
    "Object ids (Microsoft Entra) of people who may ask [default: any].",
);
const CHANNELS: Key<Channels<Id>> = Key::optional(
    "channels",
    Channels(Key::required("id", id("a channel", "19:abc@thread.tacv2"), "The channel's id.")),
    "Ids of channels (`19:…@thread…`), or `{id, cluster, namespace, service, read_only}` [default: any, everything].",
);

/// Its registry row.
pub const CHAT: ChatKind = ChatKind {
    name: "teams",
    about: "An outgoing webhook of a team in Microsoft Teams: it answers whoever mentions it.",
    language: Language::En,
    time_zone: "UTC",
    keys: &[&SECURITY_TOKEN, &TEAMS, &USERS, &CHANNELS],
    read,
    elsewhere: |key| match key {
        "url" => Some("a chat is asked, a notifier tells: workflows belong to `notifiers`"),
        "token" | "secret" => Some("did you mean `security_token`?"),
        _ => None,
    },
};

fn decoded(token: &SecretString) -> Option<SecurityToken> {
    let bytes = STANDARD.decode(token.expose_secret().trim()).ok().filter(|bytes| bytes.len() >= 16)?;
    Some(SecretBox::new(Box::new(bytes)))
}

fn read(map: &mut MapReader<'_>, head: &ChatHead, reader: &mut Reader) -> Option<Draft<dyn Chat>> {
    let token = SECURITY_TOKEN.take(map, reader);
    let access =
        Access { teams: TEAMS.take(map, reader), users: USERS.take(map, reader), channels: CHANNELS.take(map, reader) };
    if token.as_ref().and_then(SecretRef::written_out).is_some_and(|written| decoded(&written).is_none()) {
        let message = format!("the `security_token` of `{}` is not one", head.name);
        reader.error_help(&map.head(), message, NO_TOKEN);
    }
    let settings = head.settings(access);
    let token = token?;
    Some(Draft::<dyn Chat>::new(move |secrets| {
        let secret = secrets.get(&token)?;
        let Some(token) = decoded(&secret) else {
            secrets.refuse(&token, "is not a security token of Teams: that is base64 and ends in =");
            return None;
        };
        Some(Arc::new(TeamsConfig { settings, token: Arc::new(token), reply: REPLY }))
    }))
}

impl Chat for TeamsConfig {
    fn serve(&self, deps: &ChatDeps, _: &HttpOptions) -> Result<Served, ClientError> {
        let routes = Teams::new(self.clone(), deps.clone()).routes();
        Ok(Served { routes, ..Served::default() })
    }

    fn examine<'a>(&'a self, _: &'a Net, public_url: Option<&'a Url>) -> BoxFuture<'a, Checked> {
        let finding = endpoint::examine(&self.settings.name, "Teams", "teams", public_url);
        Box::pin(std::future::ready(finding.into()))
    }
}
