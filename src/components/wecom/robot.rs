//! `kind: wecom` of `notifiers:`: a group robot. <https://developer.work.weixin.qq.com/document/path/91770>, and
//! WeCom's "global error codes".

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::markdown;
use crate::notifiers::hook::{HookForm, HookNotifier, Replies};
use crate::notifiers::reply::{self, Reply};
use crate::notifiers::{Audience, Notifier, NotifierForm, NotifierKind, People};
use crate::settings::{Draft, Secret, SecretKind};
use podbell_core::outbox::Outcome;
use podbell_core::outbox::pace::Pace;
use podbell_core::yaml::key::Key;

const PATH: &str = "/cgi-bin/webhook/send";
const FORM: HookForm = HookForm {
    replies: Replies {
        what: "WeCom robot",
        public: &["webhook", "cgi-bin", PATH],
        is_own: |url| url.path().ends_with(PATH),
        classify,
        is_about_content,
    },
    // 20 in any 60 s, 5 of them reserved for critical; one second of reserve for the network.
    pace: Pace { limit: 20, per: Duration::from_secs(61), kept_for_critical: 5 },
    query: None,
    body: |rendering| {
        let mentions = rendering.mentioned(NOTIFIER.name);
        markdown::body(&rendering.message, rendering.content, &mentions)
    },
};
const URL: Key<Secret> = Key::required("url", Secret(SecretKind::Url), "The address of a group robot.");

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "wecom",
    audience: Audience::People,
    forms: &[NotifierForm { about: "A group of WeCom, through a robot.", keys: &[&URL] }],
    read: |map, _, reader| {
        let url = URL.take(map, reader)?;
        Some(Draft::<dyn Notifier>::new(move |secrets| Some(Arc::new(HookNotifier::new(secrets.url(&url)?, &FORM)))))
    },
    elsewhere: |_| None,
    people: Some(People {
        platform: "WeCom",
        help: "write the user id of the address book, such as zhangsan, or all",
        read: read_user,
    }),
    preview: |url| Arc::new(HookNotifier::new(url, &FORM)),
};

/// Reads a user id as people write it, or everybody; an `@` before it belongs to the mention.
fn read_user(written: &str) -> Option<String> {
    let bare = written.trim();
    let bare = bare.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(bare);
    let bare = bare.trim_start_matches('@');
    is_user(bare).then(|| bare.to_owned())
}

/// Whether podbell.yaml may name this user: letters, digits and `_-.@`.
pub(crate) fn is_user(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.@".contains(&b))
}

/// Whether a reply refuses a message for its content. The key is checked before the message. Codes beyond these are
/// about who asks (48002, 60020), how often (45009), or how WeCom is (-1), and would refuse a message, too.
fn is_about_content(reply: &Reply) -> bool {
    errcode(reply).is_some_and(|code| matches!(code, 40_000..=44_999 | 47_000..=47_999))
}

#[derive(Deserialize)]
struct Answer {
    errcode: i64,
}

/// The code of an answer, if it is WeCom's.
pub(crate) fn errcode(reply: &Reply) -> Option<i64> {
    let answer: Answer = serde_json::from_str(&reply.body).ok()?;
    (reply.status == 200).then_some(answer.errcode)
}

/// What a reply means. The robot always answers 200; the code is in the body.
pub(crate) fn classify(reply: &Reply) -> Outcome {
    if reply.status != 200 {
        return reply::not_of(reply, "WeCom");
    }
    let Ok(Answer { errcode }) = serde_json::from_str(&reply.body) else {
        return reply::success_not_of(reply, "WeCom");
    };
    match errcode {
        0 => Outcome::Delivered,
        // Over 20 in a minute: the window must pass.
        45009 | 45033 => Outcome::Refused {
            retry_after: Some(reply.retry_after.unwrap_or(Duration::from_secs(60))),
            why: reply.summary(),
        },
        40001 | 40014 | 42001 | 40013 | 93000..=93999 => reply.invalid_destination(errcode, advice(errcode)),
        // Errors of the content: its type, a parameter, its length, empty.
        40004..=40063 | 44001..=45008 | 47001 => reply.content_rejected(),
        _ => reply::unclear(reply, "an error"),
    }
}

fn advice(errcode: i64) -> &'static str {
    match errcode {
        93000 => {
            "the robot was removed or its URL is wrong: add a group robot in WeCom and put its new webhook URL into podbell.yaml"
        }
        _ => "check the group robot in WeCom and its webhook URL in podbell.yaml; then run `podbell send-test`",
    }
}
