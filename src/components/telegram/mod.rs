//! Telegram: notifies through a bot, and answers questions through it ([`chat`]).
//!
//! `kind: telegram` of `notifiers:`: a chat of Telegram, through a bot. One message an incident: what follows answers it, its
//! end changes it. <https://core.telegram.org/bots/api>

pub mod chat;
mod html;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::examine::{Checked, Finding, Group, not_well};
use crate::notifiers::buttons::{Button, Pressable};
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;
use crate::notifiers::reply::{self, Reply};
use crate::notifiers::thread::{Act, Request};
use crate::notifiers::{
    Attempt, Audience, ConfiguredChats, ExamineContext, Notifier, NotifierForm, NotifierKind, People, Rendering,
    fingerprint,
};
use crate::settings::keys::{Address, HTTP};
use crate::settings::{Draft, Secret, SecretKind};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy, ThreadPolicy, Upkeep};
use podbell_core::translations::Language;
use podbell_core::yaml::key::{Bool, Custom, Key};
use podbell_core::yaml::{MapReader, Node, Reader};

/// The Bot API.
const API: &str = "https://api.telegram.org";
/// 20 a minute are allowed in a group, 5 of them reserved for critical; one second of reserve for the network.
const PACE: Pace = Pace { limit: 20, per: Duration::from_secs(61), kept_for_critical: 5 };
/// The pace of changes.
const CHANGES: Pace = Pace { limit: 15, per: Duration::from_secs(61), kept_for_critical: 0 };

const TOKEN: Key<Secret> =
    Key::required("token", Secret(SecretKind::Any), "The bot's token, 123456:ABC-…, from @BotFather.");
const CHAT: Key<Custom<String>> = Key::required(
    "chat",
    Custom { read: read_chat, schema: chat_schema },
    "The chat's number such as -1001234567890, or the @name of a channel or public group; `/` and the number of a topic after it.",
);
const BUTTONS: Key<Bool> = Key::optional(
    "buttons",
    Bool,
    "Whether messages have buttons [default: when chats has a bot of Telegram, which hears of them].",
);
const BOT_API: Key<Address> = Key::with_default("api", HTTP, API, "The Bot API.");

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "telegram",
    audience: Audience::People,
    forms: &[NotifierForm { about: "A chat of Telegram, through a bot.", keys: &[&TOKEN, &CHAT, &BOT_API, &BUTTONS] }],
    read,
    elsewhere: |_| None,
    people: Some(People {
        platform: "Telegram",
        help: "write the person's @name, or the number of the user",
        read: |written| {
            let id = written.trim().trim_start_matches('@');
            let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            ((4..=32).contains(&id.len()) && id.bytes().all(fits)).then(|| id.to_owned())
        },
    }),
    preview: |url| Arc::new(Chat::new(SecretString::from(url.path().to_owned()), "0", url, false)),
};

fn read(map: &mut MapReader<'_>, chats: &ConfiguredChats, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    let (token, chat, api) = (TOKEN.take(map, reader), CHAT.take(map, reader), BOT_API.take(map, reader));
    let buttons = BUTTONS.take(map, reader).unwrap_or_else(|| chats.kinds.contains(&chat::CHAT.name));
    let (token, chat, api) = (token?, chat?, api?);
    Some(Draft::<dyn Notifier>::new(move |secrets| {
        let token = secrets.get(&token)?;
        Some(Arc::new(Chat::new(token, &chat, api, buttons)))
    }))
}

fn read_chat(node: &Node, reader: &mut Reader) -> Option<String> {
    let text = reader.text(node, "a chat's number such as \"-1001234567890\"")?;
    let (chat, topic) = text.split_once('/').map_or((text, None), |(chat, topic)| (chat, Some(topic)));
    let is_number = |text: &str| (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let is_name =
        |text: &str| (4..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let known = is_number(chat.strip_prefix('-').unwrap_or(chat)) || chat.strip_prefix('@').is_some_and(is_name);
    if !known || !topic.is_none_or(is_number) {
        let help = "add the bot to the chat and look for `chat` in https://api.telegram.org/bot<token>/getUpdates; write it in quotes";
        reader.error_help(&node.span, format!("`{text}` is not a chat of Telegram"), help);
        return None;
    }
    Some(text.to_owned())
}

fn chat_schema() -> serde_json::Value {
    json!({"type": "string", "pattern": "^(-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32})(/[0-9]{1,20})?$"})
}

struct Chat {
    token: SecretString,
    /// As podbell.yaml writes it.
    chat: String,
    api: Url,
    place: Arc<str>,
    /// Whether messages have buttons.
    buttons: bool,
}

impl fmt::Debug for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NOTIFIER.name)
    }
}

impl Chat {
    fn new(token: SecretString, chat: &str, api: Url, buttons: bool) -> Self {
        let place = fingerprint([api.as_str(), chat]);
        Self { token, chat: chat.to_owned(), api, place, buttons }
    }

    /// A method of the Bot API, whose address holds the token.
    async fn call(&self, client: &reqwest::Client, method: &str, request: HttpRequest) -> Result<Reply, Outcome> {
        let bot = format!("bot{}", self.token.expose_secret());
        let redactor = Redactor::new(bot.as_str(), std::slice::from_ref(&self.token), &[]);
        request.below(&[&bot, method]).send(client, &self.api, &redactor).await
    }

    async fn send(&self, attempt: Attempt<'_>) -> Outcome {
        let request = match Request::read(&attempt.body, &self.place) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        let mut arguments = request.arguments.clone();
        let (chat, topic) = self.chat.split_once('/').map_or((&*self.chat, None), |(chat, topic)| (chat, Some(topic)));
        arguments["chat_id"] = json!(chat);
        let number = |id: &str| id.parse::<i64>().unwrap_or_default();
        let method = match &request.act {
            Act::Change(message) => {
                arguments["message_id"] = json!(number(message));
                "editMessageText"
            }
            Act::Answer(message) => {
                arguments["reply_parameters"] =
                    json!({"message_id": number(message), "allow_sending_without_reply": true});
                "sendMessage"
            }
            Act::Post => "sendMessage",
        };
        if let Some(topic) = topic.filter(|_| method == "sendMessage") {
            arguments["message_thread_id"] = json!(number(topic));
        }
        let post = HttpRequest::post(arguments.to_string(), attempt.now);
        match self.call(attempt.client, method, post).await {
            Ok(reply) => classify(&request, &reply),
            Err(outcome) => outcome,
        }
    }
}

impl Notifier for Chat {
    fn policy(&self) -> Policy {
        let api = self.api.as_str();
        let token = self.token.expose_secret();
        let threads = ThreadPolicy {
            place: self.place.clone(),
            endpoint: fingerprint([api, self.chat.split('/').next().unwrap_or_default(), "changes"]),
            pace: CHANGES,
            upkeep: Upkeep::Changes,
        };
        // The platform counts a group with all of its topics.
        let group = self.chat.split('/').next().unwrap_or_default();
        let policy = Policy::of(fingerprint([api, group]), fingerprint([api, &self.chat, token]));
        Policy { pace: Some(PACE), threads: Some(threads), ..policy }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let mentions = rendering.mentioned(NOTIFIER.name);
        let mut arguments = html::arguments(&rendering.message, rendering.content, &mentions);
        if let Some(pressable) = Pressable::of(rendering).filter(|_| self.buttons) {
            keyboard(&mut arguments, pressable, rendering.message.language);
        }
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
            let body = json!({"chat_id": self.chat.split('/').next()}).to_string().into_bytes();
            let group = Group::Destinations;
            let finding = match self.call(&net.client, "getChat", HttpRequest::post(body, now)).await {
                Err(outcome) => not_well(group, subject, "Telegram", &outcome),
                Ok(reply) => match Answer::of(&reply) {
                    Some(answer) if answer.ok => Finding::ok(group, subject, "the bot is in the chat"),
                    _ => not_well(group, subject, "the bot", &refused(None, &reply)),
                },
            };
            finding.into()
        })
    }
}

/// Puts buttons under a message. A changed message without them loses those that it had.
fn keyboard(arguments: &mut Value, pressable: Pressable, language: Language) {
    let button =
        |button: Button| json!({"text": button.say(language), "callback_data": button.command(pressable.incident)});
    let row: Vec<Value> = pressable.buttons().into_iter().map(button).collect();
    arguments["reply_markup"] = json!({"inline_keyboard": [row]});
}

/// What Telegram answers.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    description: String,
    result: Option<Posted>,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Posted {
    #[serde(default)]
    message_id: i64,
}

#[derive(Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

impl Answer {
    fn of(reply: &Reply) -> Option<Self> {
        serde_json::from_str(&reply.body).ok()
    }
}

fn classify(request: &Request, reply: &Reply) -> Outcome {
    match Answer::of(reply) {
        Some(Answer { ok: true, result, .. }) if reply.status == 200 => {
            let message = result.filter(|posted| posted.message_id != 0).map(|posted| posted.message_id.to_string());
            request.arrived("", &message.unwrap_or_default())
        }
        _ => refused(Some(request), reply),
    }
}

/// What a refusal means. Its words say more than its status.
fn refused(request: Option<&Request>, reply: &Reply) -> Outcome {
    let Some(Answer { ok: false, description, parameters, .. }) = Answer::of(reply) else {
        return reply::not_of(reply, "Telegram");
    };
    let why = reply.summary();
    let says = |words: &[&str]| words.iter().any(|word| description.contains(word));
    let invalid = |advice: String| reply.invalid_destination(reply.status, advice);
    let changes = request.filter(|request| request.needs_a_message());
    match reply.status {
        429 => {
            let seconds = parameters.and_then(|parameters| parameters.retry_after).map(Duration::from_secs);
            Outcome::Refused {
                retry_after: seconds.map(|wait| wait.min(reply::LONGEST_WAIT)).or(reply.retry_after),
                why,
            }
        }
        // It shows that already.
        400 if says(&["message is not modified"]) => Outcome::Delivered,
        400 if says(&["message to edit not found", "MESSAGE_ID_INVALID"]) && changes.is_some() => {
            Outcome::Orphaned { why }
        }
        400 if says(&["message can't be edited"]) => {
            changes.map_or(Outcome::ContentRejected { why: why.clone() }, |one| one.too_late(why))
        }
        400 if let Some(chat) = parameters.as_ref().and_then(|parameters| parameters.migrate_to_chat_id) => invalid(
            format!("the group became a supergroup: its number is {chat} now; put that into podbell.yaml (`chat`)"),
        ),
        400 if says(&[
            "chat not found",
            "thread not found",
            "have no rights",
            "not enough rights",
            "need administrator rights",
            "group chat is deactivated",
            "the chat is not a forum",
            "CHAT_WRITE_FORBIDDEN",
            "CHAT_RESTRICTED",
            "PEER_ID_INVALID",
            "TOPIC_CLOSED",
            "MESSAGE_THREAD_NOT_FOUND",
        ]) =>
        {
            invalid(
                "the bot is not in the chat or may not write there: add it, and check `chat` in podbell.yaml"
                    .to_owned(),
            )
        }
        403 => invalid("the bot was removed from the chat or blocked: add it again".to_owned()),
        401 | 404 => invalid(
            "the token is not valid any more: ask @BotFather for the bot's token and put it into podbell.yaml"
                .to_owned(),
        ),
        400 | 413 => Outcome::ContentRejected { why },
        _ => reply::by_status(reply),
    }
}
