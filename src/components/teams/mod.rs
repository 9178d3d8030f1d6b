//! Microsoft Teams: notifies through a workflow, and answers questions through an outgoing webhook ([`chat`]).
//!
//! `kind: teams` of `notifiers:`: a channel or chat of Microsoft Teams, through a workflow ("When a Teams webhook request is
//! received"). <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>

mod card;
pub mod chat;

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
        what: "Teams workflow",
        public: &[
            "workflows",
            "triggers",
            "manual",
            "paths",
            "invoke",
            "powerautomate",
            "automations",
            "direct",
            "webhookb2",
        ],
        // A probe would start the workflow.
        is_own: |_| false,
        classify,
        is_about_content: |_| false,
    },
    pace: Pace::ONE_A_SECOND,
    query: None,
    body: |rendering| {
        let mentions = rendering.mentioned(NOTIFIER.name);
        card::body(&rendering.message, rendering.content, &mentions, rendering.url)
    },
};
const URL: Key<Secret> =
    Key::required("url", Secret(SecretKind::Url), "The address of a workflow that posts what it receives.");

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "teams",
    audience: Audience::People,
    forms: &[NotifierForm { about: "A channel or chat of Microsoft Teams, through a workflow.", keys: &[&URL] }],
    read: |map, _, reader| {
        let url = URL.take(map, reader)?;
        Some(Draft::<dyn Notifier>::new(move |secrets| Some(Arc::new(HookNotifier::new(secrets.url(&url)?, &FORM)))))
    },
    elsewhere: |_| None,
    people: Some(People {
        platform: "Teams",
        help: "write the address with which the person signs in, such as alice@example.com",
        read: |written| {
            let id = written.trim();
            let (name, domain) = id.split_once('@')?;
            let fits = |part: &str| {
                !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+'#".contains(&b))
            };
            (fits(name) && fits(domain) && id.len() <= 100).then(|| id.to_owned())
        },
    }),
    preview: |url| Arc::new(HookNotifier::new(url, &FORM)),
};

/// What a reply means. A workflow answers 202 when it took the message, which is not yet shown, and 400 also when it is switched
/// off or deleted; an older webhook answers 200 and `1`, or 200 and the words of an error.
fn classify(reply: &Reply) -> Outcome {
    match reply.status {
        200 if reply.body.trim() == "1" => Outcome::Delivered,
        200 if reply.body.contains("error 413") => reply.content_rejected(),
        200 if reply.body.contains("error 429") => {
            reply.refused()
        }
        200 if !reply.body.trim().is_empty() => {
            reply::unclear(reply, "a success that is not that of a workflow (a proxy or a login page in between?)")
        }
        // What a workflow says is JSON.
        400..=499 if reply.is_page() => reply::in_between(reply),
        400 if reply::wants_tls(reply) => reply::by_status(reply),
        400 if !reply.body.contains("WorkflowTriggerIsNotEnabled") => reply.content_rejected(),
        400 | 401 | 403 | 404 | 410 => reply.invalid_destination(reply.status, "the workflow was deleted, switched off, or lets only people of the tenant start it: check it in Teams (Workflows), let anyone start it, and put its URL into podbell.yaml"),
        _ => reply::by_status(reply),
    }
}
