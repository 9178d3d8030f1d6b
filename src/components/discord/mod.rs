//! Discord: notifies through a webhook, and answers questions ([`chat`]).
//!
//! `kind: discord` of `notifiers:`: a channel of Discord, through a webhook or an application's bot. One message an incident: its
//! end changes it.
//! <https://docs.discord.com/developers/resources/webhook>

mod bot;
pub mod chat;
mod embed;
mod reply;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use self::bot::Bot;
use self::webhook::Webhook;
use crate::notifiers::hook::Replies;
use crate::notifiers::{Audience, ConfiguredChats, Notifier, NotifierForm, NotifierKind, People};
use crate::settings::Id;
use crate::settings::keys::{Address, HTTP};
use crate::settings::{Draft, Secret, SecretKind};
use podbell_core::outbox::pace::Pace;
use podbell_core::yaml::key::{Bool, Key};
use podbell_core::yaml::{MapReader, Reader};

/// 5 in 2 s and 30 in a minute are allowed: one each 2.1 s satisfies both. Whoever ignores refusals is banned by address.
const PACE: Pace = Pace { limit: 1, per: Duration::from_millis(2100), kept_for_critical: 0 };
/// The pace of changes, which have a limit of their own.
const CHANGES: Pace = Pace { limit: 20, per: Duration::from_secs(61), kept_for_critical: 0 };
const REPLIES: Replies = Replies {
    what: "Discord webhook",
    public: &["api", "webhooks"],
    is_own: |url| url.path().starts_with("/api/") && url.path().contains("/webhooks/"),
    classify: |reply| reply::of_webhook(None, reply),
    is_about_content: |_| false,
};
const URL: Key<Secret> = Key::required("url", Secret(SecretKind::Url), "The address of a webhook of the channel.");
const TOKEN: Key<Secret> = Key::required("token", Secret(SecretKind::Any), "The token of the application's bot.");
const CHANNEL: Key<Id> = Key::required("channel", id("a channel"), "For a bot: the channel's id.");
const API: Key<Address> = Key::with_default("api", HTTP, "https://discord.com/api/v10", "Discord's API.");
const BUTTONS: Key<Bool> = Key::optional(
    "buttons",
    Bool,
    "Whether a bot's messages have buttons [default: when chats has an application of Discord, which hears of them].",
);

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "discord",
    audience: Audience::People,
    forms: &[
        NotifierForm { about: "A channel of Discord, through a webhook.", keys: &[&URL] },
        NotifierForm {
            about: "A channel of Discord, through an application's bot: what follows answers the first message, which has buttons.",
            keys: &[&TOKEN, &CHANNEL, &API, &BUTTONS],
        },
    ],
    read,
    elsewhere: |key| match key {
        "url" => Some("a webhook has `url`, a bot `token` and `channel`: give one of the two"),
        "token" | "channel" | "api" | "buttons" => Some("for `kind: discord` with a bot"),
        _ => None,
    },
    people: Some(People {
        platform: "Discord",
        help: "write the id of a user such as 80351110224678912, or &id of a role (developer mode shows them)",
        read: read_id,
    }),
    preview: |url| Arc::new(Webhook::new(url)),
};

fn read(map: &mut MapReader<'_>, chats: &ConfiguredChats, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    if ["token", "channel"].iter().any(|key| map.has(key)) {
        let (token, channel, api) = (TOKEN.take(map, reader), CHANNEL.take(map, reader), API.take(map, reader));
        let buttons = BUTTONS.take(map, reader).unwrap_or_else(|| chats.kinds.contains(&chat::CHAT.name));
        let (token, channel, api) = (token?, channel?, api?);
        return Some(Draft::<dyn Notifier>::new(move |secrets| {
            Some(Arc::new(Bot { token: secrets.get(&token)?, channel, api, buttons }))
        }));
    }
    let url = URL.take(map, reader)?;
    Some(Draft::<dyn Notifier>::new(move |secrets| Some(Arc::new(Webhook::new(secrets.url(&url)?)))))
}

fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// An id of Discord's, of this.
const fn id(what: &'static str) -> Id {
    Id { what, example: "80351110224678912", found_in: "Discord", fits: is_id, pattern: "^[0-9]{1,20}$" }
}

/// Reads the id of a user, or `&` and the id of a role, with or without the marks of a mention.
fn read_id(written: &str) -> Option<String> {
    let bare = written.trim();
    let bare = bare.strip_prefix("<@").and_then(|rest| rest.strip_suffix('>')).unwrap_or(bare).trim_start_matches('!');
    let digits = bare.strip_prefix('&').unwrap_or(bare);
    ((15..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())).then(|| bare.to_owned())
}
