//! The query service's answers, as Slack's JSON. Pure.

use serde_json::{Value, json};

use super::super::blocks::{self, Presses};
use crate::chat::Reply;
use crate::chat::adapter_notice::AdapterNotice;
use crate::chat::asker::ChatAnswer;
use podbell_core::outbox::Content;
use podbell_core::translations::Language;

/// The body of an answer. `content` is how much of it.
pub(super) fn answer_body(said: &ChatAnswer, content: Content, language: Language) -> Value {
    match said {
        ChatAnswer::Notice(notice) => own(*notice, language),
        ChatAnswer::Reply(reply) => body(reply, content),
    }
}

/// An answer in place of the one that the pressed button stands in.
pub(super) fn anew(reply: &Reply) -> Value {
    let mut body = body(reply, Content::Full);
    if let Some(map) = body.as_object_mut() {
        // Who sees it does not change.
        map.remove("response_type");
        map.insert("replace_original".into(), json!(true));
    }
    body
}

/// An adapter's own notice, as an answer that only its reader sees.
pub(super) fn own(own: AdapterNotice, language: Language) -> Value {
    json!({"response_type": "ephemeral", "replace_original": false, "text": own.say(language)})
}

/// An answer of the query service.
fn body(reply: &Reply, content: Content) -> Value {
    let mut body = blocks::body(&reply.message, content, &[], Presses::AreReceived);
    body["response_type"] = json!(if reply.public { "in_channel" } else { "ephemeral" });
    // Keep the message of a button: it is a notice that others still need.
    body["replace_original"] = json!(false);
    let blocks = body.get_mut("blocks").and_then(Value::as_array_mut);
    if let (Some(incident), Some(blocks)) = (reply.incident, blocks) {
        blocks::add_buttons(blocks, blocks::buttons(incident.into(), reply.message.language));
    }
    body
}
