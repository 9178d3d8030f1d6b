//! A Slack app that posts with its own token: one message per incident, its follow-ups in a thread, and updates of
//! the message instead of further ones. <https://docs.slack.dev/reference/methods/chat.postMessage>,
//! <https://docs.slack.dev/reference/methods/chat.update>.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::blocks::{self, Presses};
use super::error_class::ErrorClass;
use crate::notifiers::buttons::Pressable;
use crate::notifiers::reply::{self, Reply};
use podbell_core::message::Message;
use podbell_core::outbox::{Content, Outcome, Parent, is_end};

/// A request, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// What is asked of Slack.
    pub method: Method,
    /// Whether the message that it posts represents an incident from then on.
    stands: bool,
    /// The channel that podbell.yaml named when the request was made.
    #[serde(default)]
    channel: String,
    /// Whether it only updates a message.
    #[serde(default)]
    refresh: bool,
    /// What is sent.
    pub arguments: Value,
}

/// A method of Slack's Web API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Method {
    /// A new message, or an answer in a thread.
    #[serde(rename = "chat.postMessage")]
    Post,
    /// A message is changed.
    #[serde(rename = "chat.update")]
    Update,
}

impl Method {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Post => "chat.postMessage",
            Self::Update => "chat.update",
        }
    }
}

/// What a request is made of.
pub(super) struct RequestFacts<'a> {
    /// The channel of podbell.yaml.
    pub channel: &'a str,
    /// The message that represents the incident.
    pub parent: Option<&'a Parent>,
    /// Whether only to update that message.
    pub refresh: bool,
    /// The open incident of a cluster that the message is about, if it is about one.
    pub pressable: Option<Pressable>,
    /// Whether the message is about one incident, of whatever kind.
    pub about_one: bool,
    /// Whether anything receives what people press.
    pub buttons: bool,
}

/// The request that sends a message.
pub(crate) fn request(message: &Message, content: Content, mentions: &[String], facts: &RequestFacts<'_>) -> Request {
    let presses = if facts.buttons { Presses::AreReceived } else { Presses::AreNot };
    let mut arguments = blocks::body(message, content, mentions, presses);
    let blocks = arguments.get_mut("blocks").and_then(Value::as_array_mut);
    if let (Some(blocks), Some(pressable)) = (blocks, facts.pressable.filter(|_| facts.buttons)) {
        blocks::add_buttons(blocks, blocks::buttons(pressable, message.language));
    }
    let method = match facts.parent {
        Some(parent) if facts.refresh || is_end(message.kind) => {
            arguments["channel"] = json!(parent.channel);
            arguments["ts"] = json!(parent.message);
            if arguments.get("blocks").is_none() {
                // Without this the old blocks would stay.
                arguments["blocks"] = json!([]);
            }
            Method::Update
        }
        Some(parent) => {
            arguments["channel"] = json!(parent.channel);
            arguments["thread_ts"] = json!(parent.message);
            // Also post the reply to the channel: people read channels, not threads.
            arguments["reply_broadcast"] = json!(true);
            Method::Post
        }
        None => {
            arguments["channel"] = json!(facts.channel);
            Method::Post
        }
    };
    let (channel, refresh) = (facts.channel.to_owned(), facts.refresh);
    Request { method, stands: facts.about_one && method == Method::Post, channel, refresh, arguments }
}

/// The outcome of a request that was made for another channel: what it carries goes to the channel that
/// podbell.yaml names now.
pub(crate) fn outdated(request: &Request, channel: &str) -> Option<Outcome> {
    let other = !request.channel.is_empty() && request.channel != channel;
    other.then(|| Outcome::Orphaned { why: "podbell.yaml names another channel now".into() })
}

/// What Slack answers.
#[derive(Debug, Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    ts: String,
    #[serde(default)]
    message: Posted,
}

#[derive(Debug, Default, Deserialize)]
struct Posted {
    #[serde(default)]
    thread_ts: Option<String>,
}

/// What a reply means. Slack answers 200 and says in the body whether it did anything.
pub(crate) fn classify(request: &Request, reply: &Reply) -> Outcome {
    let answer: Answer = match serde_json::from_str(&reply.body) {
        Ok(answer) if (200..300).contains(&reply.status) || reply.status == 429 => answer,
        _ if (200..300).contains(&reply.status) => {
            return reply::success_not_of(reply, "Slack");
        }
        // These are not Slack's words: something in between answers, which says nothing about the token.
        _ if matches!(reply.status, 300..=399 | 401 | 403 | 404 | 410) => {
            return reply::answer_not_of(reply, "Slack");
        }
        _ => return reply::of_platform(reply),
    };
    match answer.ok {
        true => arrived(request, answer),
        false => refused(request, &answer.error, reply),
    }
}

/// The parent of a reply may have been deleted meanwhile. Slack then posts the reply as a message of its own,
/// without a `thread_ts`; that message represents the incident from now on.
fn arrived(request: &Request, answer: Answer) -> Outcome {
    let wanted = request.arguments.get("thread_ts").and_then(Value::as_str);
    let answered = wanted.is_some() && answer.message.thread_ts.as_deref() == wanted;
    if !request.stands || answered || answer.ts.is_empty() || answer.channel.is_empty() {
        return Outcome::Delivered;
    }
    Outcome::Posted(Parent { channel: answer.channel.into(), message: answer.ts.into() })
}

fn refused(request: &Request, code: &str, reply: &Reply) -> Outcome {
    let to_a_message = request.method == Method::Update || request.arguments.get("thread_ts").is_some();
    match code {
        "message_not_found"
        | "thread_not_found"
        | "cant_update_message"
        | "edit_window_closed"
        | "cannot_reply_to_message"
        | "restricted_action_thread_locked"
            if to_a_message =>
        {
            match (request.refresh, code) {
                // The message exists, and replies in its thread still work: only this update is given up.
                (true, "cant_update_message" | "edit_window_closed") => reply.content_rejected(),
                _ => Outcome::Orphaned { why: reply.summary() },
            }
        }
        code => match ErrorClass::of(code) {
            ErrorClass::RateLimited => reply.refused(),
            ErrorClass::Transient => Outcome::Unclear { retry_after: reply.retry_after, why: reply.summary() },
            ErrorClass::Content => reply.content_rejected(),
            ErrorClass::Other => match advice(code) {
                Some(advice) => reply.invalid_destination(code.to_owned(), advice),
                // Only this update is given up: people who read the channel must not wait for it.
                None if request.refresh => reply.content_rejected(),
                // An unknown error, but a definite no: nothing was posted, so it is tried again, and reported after a
                // while.
                None => reply.refused(),
            },
        },
    }
}

/// What the operator can do about an error that does not pass by itself.
pub(crate) fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "not_in_channel" => "invite the app into the channel: type `/invite @` and its name there",
        "channel_not_found" => {
            "there is no such channel, or it is private: put the channel's id (C…) into podbell.yaml and invite the app into it"
        }
        "is_archived" | "channel_is_archived" => {
            "the channel is archived: restore it, or put another one into podbell.yaml"
        }
        "missing_scope" | "no_permission" | "not_allowed_token_type" => {
            "the token lacks a right: give the app the scope chat:write (OAuth & Permissions), reinstall it, and put the new token (xoxb-…) into podbell.yaml"
        }
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            "the token is no longer valid: reinstall the app and put its bot token (xoxb-…) into podbell.yaml"
        }
        "access_denied"
        | "ekm_access_denied"
        | "org_login_required"
        | "team_access_not_granted"
        | "accesslimited"
        | "two_factor_setup_required"
        | "team_not_found" => "the workspace refuses the app: ask an administrator of the workspace",
        "restricted_action"
        | "restricted_action_read_only_channel"
        | "restricted_action_non_threadable_channel"
        | "restricted_action_thread_only_channel"
        | "no_dual_broadcast_content_update"
        | "as_user_not_supported"
        | "is_inactive"
        | "cannot_post_to_channel" => {
            "the channel does not let the app post: change who may post there, or put another channel into podbell.yaml"
        }
        _ => return None,
    })
}
