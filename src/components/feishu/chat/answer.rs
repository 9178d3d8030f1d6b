//! What is heard over either way, and the answers: at once to whoever pressed a button, and below the message.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::super::api::{code, refused_code};
use super::event::{How, Said as Utterance};
use super::{Feishu, reply_content};
use crate::chat::adapter_notice::AdapterNotice;
use crate::chat::asker::{Heard, NotTaken, Said, Taken};
use crate::chat::insist::{Insist, Posted};
use crate::notifiers::{budget, fingerprint};
use podbell_core::outbox::Content;

/// How long an answer is tried.
const POSTS_WITHIN: Duration = Duration::from_secs(10 * 60);
/// The longest text of a toast, in bytes.
const TOAST: usize = 300;

/// Something that was heard.
pub(super) struct Hearing {
    pub taken: Taken,
    how: How,
    heard: Heard,
    to: To,
    /// The question of the answer above a pressed button.
    above: Option<String>,
}

/// Where an answer goes.
struct To {
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
pub(super) fn hear(chat: &Feishu, said: Utterance) -> Result<Hearing, NotTaken> {
    let Utterance { heard, how, at, message, direct, question: above } = said;
    let to = To {
        id: fingerprint(heard.ids.iter().map(String::as_str)).to_string(),
        message,
        conversation: heard.conversation(),
        direct,
    };
    let is_late = chat.asker.now().since(at) > chat.timing.stale;
    let asked = heard.clone();
    let taken = if is_late { chat.asker.hear_late(asked)? } else { chat.asker.hear(asked)? };
    Ok(Hearing { taken, how, heard, to, above })
}

impl Hearing {
    /// Waits for the answer, as long as the platform waits for podbell. What the person who pressed a button sees at once; `None`
    /// for what was written.
    pub(super) async fn ready(&self, chat: &Feishu) -> Option<Value> {
        let said = timeout(chat.timing.reply, chat.asker.said(self.taken.answer.clone())).await.ok();
        (self.how == How::Pressed).then(|| toast(chat, said.as_deref()))
    }

    /// Posts the answer until it is taken. One to a press that acknowledges an incident changes the answer above the button first.
    pub(super) async fn follow(self, chat: Arc<Feishu>) {
        let Self { taken, heard, to, above, .. } = self;
        let said = chat.asker.said(taken.answer).await;
        if let Some(question) = above
            && let Some(anew) = chat.asker.anew(&heard, &said, &question).await
        {
            let body = reply_content(&anew, Content::Full, to.direct.as_deref(), &|_| question.clone());
            // As for every change of a card, what was wrong may be right at the next one.
            let _ = chat.api.change(&chat.asker.deps.client, chat.asker.now(), &to.message, &body).await;
        }
        post(chat, said, &heard, to).await;
    }
}

fn toast(chat: &Feishu, said: Option<&Said>) -> Value {
    let language = chat.asker.talk.language;
    let (kind, text) = match said {
        Some(Said::Reply(reply)) => (if reply.good { "success" } else { "error" }, reply.message.title.clone()),
        Some(Said::Own(own)) => ("error", own.say(language).to_owned()),
        None => ("info", AdapterNotice::Working.say(language).to_owned()),
    };
    json!({"toast": {"type": kind, "content": budget::fit(&text, TOAST, budget::bytes)}})
}

async fn post(chat: Arc<Feishu>, said: Arc<Said>, heard: &Heard, to: To) {
    let place = chat.asker.hold();
    let body = |content| {
        let mut body = chat.content(&said, content, to.direct.as_deref(), &|incident| heard.carried(incident));
        body["uuid"] = json!(to.id);
        body["reply_in_thread"] = json!(to.direct.is_none());
        body
    };
    let send = |body: Value| {
        let (chat, message) = (&chat, &to.message);
        async move {
            match chat.api.answer(&chat.asker.deps.client, chat.asker.now(), message, body).await {
                Ok(reply) if code(&reply) == Some(0) => Posted::Done,
                Ok(reply) => Posted::from(refused_code(&reply)),
                Err(outcome) => Posted::from(outcome),
            }
        }
    };
    let (name, again) = (&chat.asker.talk.name, chat.timing.post_again);
    let insist = Insist {
        chat: name,
        deps: &chat.asker.deps,
        rate: Some((&chat.rate, &*to.conversation)),
        again,
        within: POSTS_WITHIN,
        most: None,
    };
    insist.post(body(Content::Full), body(Content::Minimal), send).await;
    drop(place);
}
