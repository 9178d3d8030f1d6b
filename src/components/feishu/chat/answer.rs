//! What is heard over either way, and the answers: at once to whoever pressed a button, and below the message.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::super::api::{code, refused_code};
use super::Feishu;
use super::event::{Origin, Received};
use crate::chat::adapter_notice::AdapterNotice;
use crate::chat::answer_delivery::{AnswerDelivery, Posted};
use crate::chat::asker::{ChatAnswer, Incoming, Rejection, Submitted};
use crate::chat::rate::Rate;
use crate::notifiers::{budget, fingerprint};
use podbell_core::outbox::Content;

/// How long an answer is tried.
const POSTS_WITHIN: Duration = Duration::from_secs(10 * 60);
/// The longest text of a toast, in bytes.
const TOAST: usize = 300;

/// Something that was heard.
pub(super) struct PendingAnswer {
    pub taken: Submitted,
    how: Origin,
    to: AnswerTarget,
    /// A press that changes the answer which the button stands in.
    press: Option<Incoming>,
}

/// Where an answer goes.
struct AnswerTarget {
    /// The answer's id: the platform posts it once.
    id: String,
    /// The message that it answers.
    message: String,
    /// The conversation that this is in.
    conversation: String,
    /// The chat, if it is a conversation of one person with the bot.
    direct: Option<String>,
}

/// Asks what somebody said, once.
///
/// # Errors
/// When it is not taken.
pub(super) fn submit(chat: &Feishu, said: Received) -> Result<PendingAnswer, Rejection> {
    let Received { incoming, how, at, message, direct, changes_answer } = said;
    let to = AnswerTarget {
        id: fingerprint(incoming.ids.iter().map(String::as_str)).to_string(),
        message,
        conversation: incoming.conversation(),
        direct,
    };
    let press = changes_answer.then(|| incoming.clone());
    let taken = chat.asker.submit_written(incoming, Some(at), chat.timing.stale)?;
    Ok(PendingAnswer { taken, how, to, press })
}

impl PendingAnswer {
    /// Waits for the answer, as long as the platform waits for podbell. What the person who pressed a button sees at once; `None`
    /// for what was written.
    pub(super) async fn ready(&self, chat: &Feishu) -> Option<Value> {
        let said = timeout(chat.timing.reply, chat.asker.answered(self.taken.answer.clone())).await.ok();
        (self.how == Origin::Pressed).then(|| toast(chat, said.as_deref()))
    }

    /// Posts the answer until it is taken, and changes the one that a pressed button stands in.
    pub(super) async fn follow(self, chat: Arc<Feishu>) {
        let _permit = self.taken.permit;
        let said = chat.asker.answered(self.taken.answer).await;
        post(&chat, &said, &self.to).await;
        if let Some(press) = self.press
            && let Some(anew) = chat.asker.shown_anew(&press, &said).await
        {
            change(&chat, ChatAnswer::Reply(anew), &self.to).await;
        }
    }
}

fn toast(chat: &Feishu, said: Option<&ChatAnswer>) -> Value {
    let language = chat.asker.settings.language;
    let (kind, text) = match said {
        Some(ChatAnswer::Reply(reply)) => (if reply.good { "success" } else { "error" }, reply.message.title.clone()),
        Some(ChatAnswer::Notice(own)) => ("error", own.say(language).to_owned()),
        None => ("info", AdapterNotice::Working.say(language).to_owned()),
    };
    json!({"toast": {"type": kind, "content": budget::fit(&text, TOAST, budget::bytes)}})
}

async fn post(chat: &Feishu, said: &ChatAnswer, to: &AnswerTarget) {
    let body = |content| {
        let mut body = chat.content(said, content, to.direct.as_deref());
        body["uuid"] = json!(to.id);
        body["reply_in_thread"] = json!(to.direct.is_none());
        body
    };
    let send = |body: Value| {
        let message = &to.message;
        async move {
            match chat.api.answer(&chat.asker.deps.client, chat.asker.now(), message, body).await {
                Ok(reply) if code(&reply) == Some(0) => Posted::Done,
                Ok(reply) => Posted::from(refused_code(&reply)),
                Err(outcome) => Posted::from(outcome),
            }
        }
    };
    delivery(chat, Some((&chat.rate, &*to.conversation))).post(body(Content::Full), body(Content::Minimal), send).await;
}

/// Puts an answer in the place of the one that was pressed.
async fn change(chat: &Feishu, said: ChatAnswer, to: &AnswerTarget) {
    let body = |content| chat.content(&said, content, to.direct.as_deref());
    let send = |body: Value| async move {
        match chat.api.change(&chat.asker.deps.client, chat.asker.now(), &to.message, &body).await {
            Ok(reply) if code(&reply) == Some(0) => Posted::Done,
            Ok(reply) => Posted::from(refused_code(&reply)),
            Err(outcome) => Posted::from(outcome),
        }
    };
    delivery(chat, None).post(body(Content::Full), body(Content::Minimal), send).await;
}

fn delivery<'a>(chat: &'a Feishu, rate: Option<(&'a Rate, &'a str)>) -> AnswerDelivery<'a> {
    AnswerDelivery { rate, ..chat.asker.delivery(chat.timing.answers.again, POSTS_WITHIN) }
}
