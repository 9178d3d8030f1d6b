//! What the replies of Discord mean. An error is JSON with a `code` of its own.

use serde::Deserialize;

use crate::notifiers::reply::{self, Reply};
use crate::notifiers::thread::Request;
use podbell_core::outbox::Outcome;

/// A message, as Discord answers with it.
#[derive(Default, Deserialize)]
struct Posted {
    #[serde(default)]
    id: String,
    #[serde(default)]
    channel_id: String,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl Refusal {
    /// A wrong token has no code.
    fn is_discords(&self) -> bool {
        self.code != 0 || self.message.starts_with("401")
    }
}

/// What a webhook's reply means.
pub(super) fn of_webhook(request: Option<&Request>, reply: &Reply) -> Outcome {
    let code = serde_json::from_str::<Refusal>(&reply.body).unwrap_or_default().code;
    match (reply.status, code) {
        (200..=299, _) => {
            let posted = serde_json::from_str::<Posted>(&reply.body).unwrap_or_default();
            let is_own = reply.status == 204 || !posted.id.is_empty();
            match request {
                _ if !is_own => reply::success_not_of(reply, "Discord"),
                Some(request) => request.arrived(&posted.channel_id, &posted.id),
                None => Outcome::Delivered,
            }
        }
        // The message that was to be changed was deleted.
        (404, 10_008) if request.is_some_and(Request::needs_a_message) => Outcome::Orphaned { why: reply.summary() },
        // It stands in a thread that is archived; a new message brings the thread back.
        (400, 50_083) if request.is_some_and(Request::needs_a_message) => {
            request.map_or(reply.content_rejected(), |one| one.too_late(reply.summary()))
        }
        (400, 220_001) => reply.invalid_destination(code, "the webhook is one of a forum: add `?thread_id=` and the id of a post to its URL"),
        (401 | 403 | 404, _) if code != 0 => reply.invalid_destination(code, "the webhook was deleted or its URL is wrong: make one in the channel's settings (Integrations), and put its URL into podbell.yaml"),
        (401 | 403 | 404 | 405, _) => reply::answer_not_of(reply, "Discord"),
        _ => reply::of_platform(reply),
    }
}

/// What the reply to a bot's request means.
pub(super) fn of_bot(request: &Request, reply: &Reply) -> Outcome {
    let refusal = serde_json::from_str::<Refusal>(&reply.body).unwrap_or_default();
    let is_unknown = reply.body.contains("MESSAGE_REFERENCE_UNKNOWN_MESSAGE");
    match (reply.status, refusal.code) {
        // What it answers was deleted, or may not be answered: for that, a bot must read the history of messages.
        (400, 50_035) if request.needs_a_message() && is_unknown => Outcome::Orphaned { why: reply.summary() },
        (403, 160_002) if request.needs_a_message() => Outcome::Orphaned { why: reply.summary() },
        // What it changes is a message of another bot: the token is that of another application since.
        (403, 50_005) if request.needs_a_message() => Outcome::Orphaned { why: reply.summary() },
        _ => of_access(&refusal, reply).unwrap_or_else(|| of_webhook(Some(request), reply)),
    }
}

/// What the reply to a bot's look at its channel means.
pub(super) fn of_look(reply: &Reply) -> Outcome {
    let refusal = serde_json::from_str::<Refusal>(&reply.body).unwrap_or_default();
    match serde_json::from_str::<ChannelInfo>(&reply.body) {
        Ok(place) if reply.status == 200 && !place.takes_messages() => Outcome::InvalidDestination {
            code: format!("type {}", place.kind),
            text: "the channel takes no messages".to_owned(),
            advice: NO_TEXT.to_owned(),
        },
        _ => of_access(&refusal, reply).unwrap_or_else(|| of_webhook(None, reply)),
    }
}

const NO_TEXT: &str = "the channel is a category, a forum or the like: copy the id of a text channel or of a thread";

/// A channel, as Discord answers with it.
#[derive(Deserialize)]
struct ChannelInfo {
    #[serde(rename = "type")]
    kind: u8,
}

impl ChannelInfo {
    /// Not a category, a directory, a forum or a media channel.
    fn takes_messages(&self) -> bool {
        ![4, 14, 15, 16].contains(&self.kind)
    }
}

/// What keeps a bot from its channel.
fn of_access(refusal: &Refusal, reply: &Reply) -> Option<Outcome> {
    let advice = match (reply.status, refusal.code) {
        // Discord's own edge, which is not well.
        (403, 40_333) => return Some(reply::unclear(reply, "Discord refuses requests for a while")),
        (400 | 403, 50_008 | 50_024) => NO_TEXT,
        (401, _) if refusal.is_discords() => {
            "the bot's token is not valid: make one on the application's page Bot (Reset Token), and put it into podbell.yaml"
        }
        (404, 10_003) => "there is no such channel: copy its id (Developer Mode), and add the bot to its server",
        (401 | 403 | 404, code) if code != 0 && code != 10_008 => {
            "the bot may not see the channel or may not write there: give its role View Channels, Send Messages (in a thread, Send Messages in Threads), Embed Links and Read Message History"
        }
        _ => return None,
    };
    let code = if refusal.code == 0 { reply.status.to_string() } else { refusal.code.to_string() };
    Some(reply.invalid_destination(code, advice))
}
