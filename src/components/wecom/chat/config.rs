//! The kinds `wecom-bot` and `wecom-app` of `chats:`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use url::Url;

use super::{Access, App, AppConfig, AppTiming, Bot, BotConfig, BotTiming, ChatSettings, Crypto, ENDPOINT};
use crate::chat::access::{AllowList, Channels};
use crate::chat::endpoint;
use crate::chat::websocket;
use crate::chat::{Chat, ChatDeps, ChatHead, ChatKind, ExclusiveConnection, Served};
use crate::examine::{Checked, Finding, Group, Net};
use crate::http::{ClientError, HttpOptions};
use crate::settings::keys::Address;
use crate::settings::{Draft, Id, Secret, SecretKind, SecretRef};
use podbell_core::translations::Language;
use podbell_core::yaml::key::Key;
use podbell_core::yaml::{MapReader, Reader};

const BOT_ID: Key<Id> = Key::required("bot_id", id("the bot", "aib-1a2b3c"), "As the bot's page shows it.");
const SECRET: Key<Secret> =
    Key::required("secret", Secret(SecretKind::Any), "As the bot's page shows it, for long connections.");
const WEBSOCKET: Key<Address> =
    Key::with_default("endpoint", Address(&["wss", "ws"]), ENDPOINT, "Where WeCom listens.");
const CORP_ID: Key<Id> = Key::required("corp_id", id("the company", "ww1a2b3c4d5e6f"), "The company's id.");
const TOKEN: Key<Secret> =
    Key::required("token", Secret(SecretKind::Any), "The Token of the page 接收消息: it proves WeCom's calls.");
const AES_KEY: Key<Secret> = Key::required(
    "encoding_aes_key",
    Secret(SecretKind::Any),
    "The EncodingAESKey of the page 接收消息: 43 letters and digits.",
);
const AGENT_ID: Key<Id> =
    Key::optional("agent_id", id("the app", "1000002"), "Only this app's messages are answered [default: any].");
const USERS: Key<AllowList<Id>> =
    Key::optional("users", AllowList(id("a user", "zhangsan")), "Userids of who may ask [default: any].");
const CHANNELS: Key<Channels<Id>> = Key::optional(
    "channels",
    Channels(Key::required(
        "id",
        id("a channel", "wrkSFfCgAAxxxxxx (a group) or 1000002 (an app)"),
        "The group's chatid or the app's AgentID.",
    )),
    "Chatids of groups (of an app: AgentIDs), `direct` for one person with the bot, or `{id, cluster, namespace, service, read_only}` [default: any, everything].",
);

/// The registry row of an AI bot: podbell opens a connection to WeCom.
pub(crate) const BOT: ChatKind = ChatKind {
    name: "wecom-bot",
    about: "An AI bot of WeCom, over a long connection.",
    language: Language::Zh,
    time_zone: "Asia/Shanghai",
    keys: &[&BOT_ID, &SECRET, &WEBSOCKET, &USERS, &CHANNELS],
    read: read_bot,
    elsewhere: |key| match key {
        "corp_id" | "token" | "encoding_aes_key" | "agent_id" => Some("that belongs to a chat of `kind: wecom-app`"),
        _ => notifier_s(key),
    },
};

/// The registry row of an app: WeCom calls podbell.
pub(crate) const APP: ChatKind = ChatKind {
    name: "wecom-app",
    about: "An app of WeCom, called over HTTP.",
    language: Language::Zh,
    time_zone: "Asia/Shanghai",
    keys: &[&CORP_ID, &TOKEN, &AES_KEY, &AGENT_ID, &USERS, &CHANNELS],
    read: read_app,
    elsewhere: |key| match key {
        "bot_id" | "secret" | "endpoint" => Some("that belongs to a chat of `kind: wecom-bot`"),
        _ => notifier_s(key),
    },
};

fn notifier_s(key: &str) -> Option<&'static str> {
    (key == "url").then_some("a chat is asked, a notifier tells: a group robot belongs to `notifiers`")
}

fn settings(map: &mut MapReader<'_>, head: &ChatHead, reader: &mut Reader) -> ChatSettings {
    let access = Access { teams: None, users: USERS.take(map, reader), channels: CHANNELS.take(map, reader) };
    head.settings(access)
}

fn read_bot(map: &mut MapReader<'_>, head: &ChatHead, reader: &mut Reader) -> Option<Draft<dyn Chat>> {
    let (bot_id, secret) = (BOT_ID.take(map, reader), SECRET.take(map, reader));
    let endpoint = WEBSOCKET.take(map, reader);
    let settings = settings(map, head, reader);
    let (bot_id, secret, endpoint) = (bot_id?, secret?, endpoint?);
    Some(Draft::<dyn Chat>::new(move |secrets| {
        Some(Arc::new(BotConfig {
            settings,
            bot_id,
            secret: secrets.get(&secret)?,
            endpoint,
            timing: BotTiming::default(),
        }))
    }))
}

fn read_app(map: &mut MapReader<'_>, head: &ChatHead, reader: &mut Reader) -> Option<Draft<dyn Chat>> {
    let (corp_id, token) = (CORP_ID.take(map, reader), TOKEN.take(map, reader));
    let (key, agent_id) = (AES_KEY.take(map, reader), AGENT_ID.take(map, reader));
    let settings = settings(map, head, reader);
    let written = key.as_ref().and_then(SecretRef::written_out);
    if written.is_some_and(|written| Crypto::new(String::new().into(), &written, String::new()).is_err()) {
        let help = "copy it from the app's page \"Receive messages\" in WeCom; it has 43 letters and digits";
        let message = format!("the `encoding_aes_key` of `{}` is not a key", head.name);
        reader.error_help(&map.head(), message, help);
    }
    let (corp_id, token, key) = (corp_id?, token?, key?);
    Some(Draft::<dyn Chat>::new(move |secrets| {
        let (proof, aes_key) = (secrets.get(&token), secrets.get(&key));
        let (proof, aes_key): (SecretString, SecretString) = (proof?, aes_key?);
        let Ok(crypto) = Crypto::new(proof, &aes_key, corp_id.clone()) else {
            secrets.refuse(&key, "is not an EncodingAESKey: it has 43 letters and digits");
            return None;
        };
        Some(Arc::new(AppConfig { settings, corp_id, agent_id, crypto, timing: AppTiming::default() }))
    }))
}

impl Chat for BotConfig {
    fn serve(&self, deps: &ChatDeps, _: &HttpOptions) -> Result<Served, ClientError> {
        let bot = Bot::new(self.clone(), deps.clone());
        // A newer connection of the same bot takes the place of an older one.
        let connection: ExclusiveConnection =
            Arc::new(move |stop| Box::pin(bot.clone().connect(stop)) as BoxFuture<'static, ()>);
        Ok(Served { exclusive: vec![connection], ..Served::default() })
    }

    fn examine<'a>(&'a self, net: &'a Net, _: Option<&'a Url>) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            let name = &self.settings.name;
            let mut findings = Vec::new();
            // Only the handshake of TLS, not that of the WebSocket.
            if let Some(url) = websocket::http_url(self.endpoint.clone()) {
                findings.push(net.reached(Group::Chats, name, "WeCom's endpoint", url).await);
            }
            let found = "the bot: not tried, a second connection would take the running one's place";
            findings.push(Finding::ok(Group::Chats, name, found));
            findings.into()
        })
    }
}

impl Chat for AppConfig {
    fn serve(&self, deps: &ChatDeps, _: &HttpOptions) -> Result<Served, ClientError> {
        let routes = App::new(self.clone(), deps.clone()).routes();
        Ok(Served { routes, ..Served::default() })
    }

    fn examine<'a>(&'a self, _: &'a Net, public_url: Option<&'a Url>) -> BoxFuture<'a, Checked> {
        let finding = endpoint::examine(&self.settings.name, "WeCom", "wecom", public_url);
        Box::pin(std::future::ready(finding.into()))
    }
}

/// An id of WeCom's: letters, digits and a few signs, never blanks.
const fn id(what: &'static str, example: &'static str) -> Id {
    Id { what, example, found_in: "WeCom", fits: is_id, pattern: "^[A-Za-z0-9_.@-]{1,128}$" }
}

fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.@".contains(&b))
}
