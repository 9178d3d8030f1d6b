//! The query service's answers, as Slack's JSON. Pure.

use serde_json::{Value, json};

use super::super::blocks::{self, Presses};
use crate::chat::Reply;
use crate::chat::adapter_notice::AdapterNotice;
use crate::chat::asker::{Heard, Said};
use podbell_core::message::Language;
use podbell_core::outbox::Content;

/// The body of an answer. `content` is how much of it.
pub(super) fn said(said: &Said, heard: &Heard, content: Content, language: Language) -> Value {
    match said {
        Said::Own(notice) => own(*notice, language),
        Said::Reply(reply) => body(reply, content, &|incident| heard.carried(incident)),
    }
}

/// The same answer anew, in place of the one to this question.
pub(super) fn anew(reply: &Reply, question: &str) -> Value {
    let mut body = body(reply, Content::Full, &|_| question.to_owned());
    body["replace_original"] = json!(true);
    body
}

/// An adapter's own notice, as an answer that only its reader sees.
pub(super) fn own(own: AdapterNotice, language: Language) -> Value {
    json!({"response_type": "ephemeral", "replace_original": false, "text": own.say(language)})
}

/// An answer of the query service. Says for an incident which question its buttons carry.
fn body(reply: &Reply, content: Content, question: &dyn Fn(u64) -> String) -> Value {
    let mut body = blocks::body(&reply.message, content, &[], Presses::AreReceived);
    body["response_type"] = json!(if reply.public { "in_channel" } else { "ephemeral" });
    // Keep the message of a button: it is a notice that others still need.
    body["replace_original"] = json!(false);
    let blocks = body.get_mut("blocks").and_then(Value::as_array_mut);
    if let (Some(incident), Some(blocks)) = (reply.incident, blocks) {
        let question = question(incident.id);
        blocks::add_buttons(blocks, blocks::buttons(incident.into(), reply.message.language, Some(&question)));
    }
    body
}
