//! `kind: feishu-app` of `notifiers:`: a chat of Feishu or Lark, through an app's bot. One card an incident: what follows
//! answers it, its end changes it. <https://open.feishu.cn/document/server-docs/im-v1/message/create>

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Api, code, refused_code};
use super::{card, people};
use crate::examine::{Checked, Finding, Group, not_well};
use crate::notifiers::buttons::{Button, Pressable};
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::reply::{self, Reply};
use crate::notifiers::thread::{Act, Request};
use crate::notifiers::{
    Attempt, Audience, ConfiguredChats, ExamineContext, Notifier, NotifierForm, NotifierKind, Rendering, fingerprint,
};
use crate::settings::keys::{Address, HTTP};
use crate::settings::{Draft, Id, Secret, SecretKind};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy, ThreadPolicy, Upkeep};
use podbell_core::translations::Language;
use podbell_core::yaml::key::{Bool, Key};
use podbell_core::yaml::{MapReader, Reader};

/// All bots of a chat share 5 messages a second.
pub(super) const PACE: Pace = Pace { limit: 1, per: Duration::from_millis(500), kept_for_critical: 0 };
/// The pace of changes: a message can be changed 5 times a second.
const CHANGES: Pace = Pace { limit: 1, per: Duration::from_millis(250), kept_for_critical: 0 };

pub(super) const APP_ID: Key<Id> = Key::required(
    "app_id",
    Id {
        what: "an app",
        example: "cli_a1b2c3d4e5f6",
        found_in: "the app's page in the developer console",
        fits: |text| is_id(text, "cli_"),
        pattern: "^cli_[A-Za-z0-9]{1,64}$",
    },
    "The App ID, cli_….",
);
pub(super) const APP_SECRET: Key<Secret> =
    Key::required("app_secret", Secret(SecretKind::Any), "The secret of the app.");
const CHAT: Key<Id> = Key::required(
    "chat",
    Id {
        what: "a chat",
        example: "oc_a0553eda9014c201e6969b478895c230",
        found_in: "the chat's settings (设置, at the bottom: 会话 ID)",
        fits: |text| is_id(text, "oc_"),
        pattern: "^oc_[A-Za-z0-9]{1,64}$",
    },
    "The chat's id, oc_…; the bot must be in it.",
);
const BUTTONS: Key<Bool> = Key::optional(
    "buttons",
    Bool,
    "Whether cards have buttons [default: when chats has a `feishu-app`, which hears of them].",
);
pub(super) const API: Key<Address> =
    Key::with_default("api", HTTP, "https://open.feishu.cn", "The API; of Lark, https://open.larksuite.com.");

/// Its registry row.
pub(crate) const APP: NotifierKind = NotifierKind {
    name: super::APP_KIND,
    audience: Audience::People,
    forms: &[NotifierForm {
        about: "A chat of Feishu or Lark, through an app's bot: a card an incident, its course in the thread.",
        keys: &[&APP_ID, &APP_SECRET, &CHAT, &API, &BUTTONS],
    }],
    read,
    elsewhere: |key| match key {
        "url" | "secret" => Some("for `kind: feishu`, a custom robot; an app has `app_id`, `app_secret` and `chat`"),
        _ => None,
    },
    people: Some(people("a Feishu app")),
    preview: |url| Arc::new(Chat::new(Api::new(url, String::new(), SecretString::from("")), String::new(), false)),
};

fn read(map: &mut MapReader<'_>, chats: &ConfiguredChats, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    let (app, secret) = (APP_ID.take(map, reader), APP_SECRET.take(map, reader));
    let (chat, api) = (CHAT.take(map, reader), API.take(map, reader));
    let buttons = BUTTONS.take(map, reader).unwrap_or_else(|| chats.kinds.contains(&super::APP_KIND));
    let (app, secret, chat, api) = (app?, secret?, chat?, api?);
    Some(Draft::<dyn Notifier>::new(move |secrets| {
        let api = Api::new(api, app, secrets.get(&secret)?);
        Some(Arc::new(Chat::new(api, chat, buttons)))
    }))
}

/// Whether a text is such a prefix and letters and digits.
pub(super) fn is_id(text: &str, prefix: &str) -> bool {
    let rest = text.strip_prefix(prefix).unwrap_or_default();
    (1..=64).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric())
}

struct Chat {
    api: Api,
    chat: String,
    place: Arc<str>,
    /// Whether cards have buttons.
    buttons: bool,
}

impl fmt::Debug for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(APP.name)
    }
}

impl Chat {
    fn new(api: Api, chat: String, buttons: bool) -> Self {
        // A message belongs to the app that posted it.
        let place = fingerprint([api.url.as_str(), &api.app, &chat]);
        Self { api, chat, place, buttons }
    }

    async fn send(&self, attempt: Attempt<'_>) -> Outcome {
        let request = match Request::read(&attempt.body, &self.place) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        let mut body = request.arguments.clone();
        let (client, now) = (attempt.client, attempt.now);
        // The platform posts one message for an id, within an hour.
        let id = fingerprint([attempt.message_id, &self.place]);
        let reply = match &request.act {
            Act::Post => {
                (body["receive_id"], body["uuid"]) = (json!(self.chat), json!(&*id));
                self.api.post(client, now, &body).await
            }
            Act::Answer(message) => {
                (body["reply_in_thread"], body["uuid"]) = (json!(true), json!(&*id));
                self.api.answer(client, now, message, body).await
            }
            Act::Change(message) => self.api.change(client, now, message, &body).await,
        };
        match reply {
            Ok(reply) => classify(&request, &reply),
            Err(outcome) => outcome,
        }
    }
}

impl Notifier for Chat {
    fn policy(&self) -> Policy {
        let endpoint = fingerprint([self.api.url.as_str(), &self.api.app, &self.chat, "changes"]);
        let threads = ThreadPolicy { place: self.place.clone(), endpoint, pace: CHANGES, upkeep: Upkeep::Changes };
        let secret = self.api.secret.expose_secret();
        let policy = Policy::of(self.place.clone(), fingerprint([&self.place, secret]));
        Policy { pace: Some(PACE), threads: Some(threads), ..policy }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let mentions = rendering.mentioned(APP.name);
        let pressable = Pressable::of(rendering).filter(|_| self.buttons);
        let buttons = pressable.map(|pressable| buttons(pressable, rendering.message.language, None));
        let arguments = card::content(&rendering.message, rendering.content, &mentions, buttons.as_ref());
        Request::new(rendering, &self.place, arguments).stored()
    }

    fn shown_body<'a>(&self, stored: &'a [u8]) -> Cow<'a, [u8]> {
        Request::shown_body(stored)
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(self.send(attempt))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            let ExamineContext { subject, net, now, .. } = context;
            let group = Group::Destinations;
            let asked = HttpRequest::get(now).below(&["open-apis", "im", "v1", "chats", &self.chat]);
            let finding = match self.api.call(&net.client, asked).await {
                Err(outcome) => not_well(group, subject, "Feishu", &outcome),
                Ok(reply) => match code(&reply) {
                    Some(0) => Finding::ok(group, subject, "the bot sees the chat"),
                    // Posting needs no right to read chats.
                    Some(99_991_672 | 99_991_679 | 230_027) => {
                        Finding::ok(group, subject, "the app's id and secret are good; it may not look at chats")
                    }
                    _ => not_well(group, subject, "the bot", &refused_code(&reply)),
                },
            };
            finding.into()
        })
    }
}

/// The buttons of an open incident. What a button carries comes back from the platform only: people cannot change it.
/// `direct` is the chat, if it is a conversation of one person with the bot.
pub(super) fn buttons(pressable: Pressable, language: Language, direct: Option<&str>) -> Value {
    let button = |button: Button| {
        let mut value = json!({"command": button.command(pressable.incident)});
        if let Some(direct) = direct {
            value["direct"] = json!(direct);
        }
        if pressable.changes_answer(button) {
            value["changes_answer"] = json!(true);
        }
        json!({
            "tag": "button", "text": {"tag": "plain_text", "content": button.say(language)}, "value": value,
        })
    };
    pressable.buttons().into_iter().map(button).collect()
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Posted>,
}

#[derive(Deserialize)]
struct Posted {
    #[serde(default)]
    message_id: String,
}

fn classify(request: &Request, reply: &Reply) -> Outcome {
    match code(reply) {
        Some(0) if reply.status == 200 => {
            let posted = serde_json::from_str::<Answer>(&reply.body).ok().and_then(|answer| answer.data);
            request.arrived("", &posted.map(|posted| posted.message_id).unwrap_or_default())
        }
        Some(0) => reply::unclear(reply, "a success with another status"),
        // Recalled, deleted, of another sender, its thread gone.
        Some(230_011 | 230_012 | 230_019 | 230_050 | 230_110) if request.needs_a_message() => {
            Outcome::Orphaned { why: reply.summary() }
        }
        // Older than 14 days, changed too often, or of a kind that does not change.
        Some(230_031 | 230_054 | 230_072) if request.needs_a_message() => request.too_late(reply.summary()),
        _ => refused_code(reply),
    }
}
