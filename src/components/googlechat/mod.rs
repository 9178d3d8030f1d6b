//! `kind: googlechat` of `notifiers:`: a space of Google Chat, through an incoming webhook. What follows a message about an
//! incident comes into its thread. <https://developers.google.com/workspace/chat/quickstart/webhooks>

mod card;

use std::sync::Arc;

use crate::notifiers::hook::{HookForm, HookNotifier, Replies};
use crate::notifiers::reply::{self, Reply};
use crate::notifiers::{Audience, Notifier, NotifierForm, NotifierKind, People};
use crate::settings::{Draft, Secret, SecretKind};
use podbell_core::outbox::Outcome;
use podbell_core::outbox::pace::Pace;
use podbell_core::yaml::key::Key;

const FORM: HookForm = HookForm {
    replies: Replies {
        what: "Google Chat webhook",
        public: &["spaces", "messages"],
        is_own: |url| url.path().starts_with("/v1/spaces/"),
        classify,
        is_about_content: |_| false,
    },
    pace: Pace::ONE_A_SECOND,
    // Without it the thread's key is ignored. Where a space has no threads, messages stand alone.
    query: Some(("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD")),
    body: |rendering| {
        let mentions = rendering.mentioned(NOTIFIER.name);
        let thread = rendering.incident_key().filter(|_| !rendering.is_digest);
        card::body(&rendering.message, rendering.content, &mentions, thread)
    },
};
const URL: Key<Secret> = Key::required("url", Secret(SecretKind::Url), "The address of a webhook of the space.");

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "googlechat",
    audience: Audience::People,
    forms: &[NotifierForm { about: "A space of Google Chat, through a webhook.", keys: &[&URL] }],
    read: |map, _, reader| {
        let url = URL.take(map, reader)?;
        Some(Draft::<dyn Notifier>::new(move |secrets| Some(Arc::new(HookNotifier::new(secrets.url(&url)?, &FORM)))))
    },
    elsewhere: |_| None,
    people: Some(People {
        platform: "Google Chat",
        help: "write the number of the user, such as 123456789012345678901, or all",
        read: |written| {
            let id = written.trim().trim_start_matches('<').trim_end_matches('>').trim_start_matches("users/");
            let is_number = (5..=30).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit());
            (id == "all" || is_number).then(|| id.to_owned())
        },
    }),
    preview: |url| Arc::new(HookNotifier::new(url, &FORM)),
};

/// What a reply means. The platform answers with the message, or with an `error`.
fn classify(reply: &Reply) -> Outcome {
    let is_own = |key: &str| {
        serde_json::from_str::<serde_json::Value>(&reply.body).is_ok_and(|answer| answer.get(key).is_some())
    };
    match reply.status {
        200 if is_own("name") => Outcome::Delivered,
        200 => reply::success_not_of(reply, "Google Chat"),
        401 | 403 | 404 if is_own("error") => reply.invalid_destination(reply.status, "the webhook was deleted or its URL is wrong: make one in the space (Apps & integrations), and put its URL into podbell.yaml"),
        401 | 403 | 404 => reply::answer_not_of(reply, "Google Chat"),
        _ => reply::of_platform(reply),
    }
}
