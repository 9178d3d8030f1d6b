//! `notifiers:` and `mentions:` of podbell.yaml.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use jiff::tz::TimeZone;
use secrecy::ExposeSecret as _;
use url::Url;

use super::secret::SecretRef;
use super::sources::{address, name, time_zone};
use super::{Language, MentionIds, NotifierConfig, NotifierKind};
use crate::chat::slack::API;
use crate::notifiers::is_signing_secret;
use podbell_core::rules::quiet::read::minute;
use podbell_core::template;
use podbell_core::yaml::{MapReader, Node, Reader, Value};

#[derive(Clone, Copy)]
enum Kind {
    Slack,
    Wecom,
    Webhook,
    Console,
}

/// As many messages within a minute as people can read.
const DIGEST_AFTER: usize = 3;

const KINDS: [(&str, Kind); 4] =
    [("slack", Kind::Slack), ("wecom", Kind::Wecom), ("webhook", Kind::Webhook), ("console", Kind::Console)];

/// Reads `notifiers:`. `heard`: there is a chat that hears of buttons in Slack.
pub fn read(node: &Node, folder: &Path, heard: bool, reader: &mut Reader) -> Vec<NotifierConfig<SecretRef>> {
    let mut names = HashSet::new();
    let items = reader.list(node, "a list of notifiers");
    items.iter().filter_map(|item| notifier(item, folder, heard, &mut names, reader)).collect()
}

/// The names alone, of notifiers that are otherwise wrong too: a mistake in one must not make
/// every rule that notifies it wrong as well.
pub fn names(node: &Node) -> Vec<String> {
    let podbell_core::yaml::Value::List(items) = &node.value else { return Vec::new() };
    let name = |item: &Node| {
        match &item.value {
            podbell_core::yaml::Value::Map(pairs) => {
                pairs.iter().find(|(key, _)| key.text() == Some("name")).and_then(|(_, value)| value.text())
            }
            _ => None,
        }
        .map(|name| name.trim().to_owned())
    };
    items.iter().filter_map(name).collect()
}

fn notifier(
    node: &Node,
    folder: &Path,
    heard: bool,
    names: &mut HashSet<String>,
    reader: &mut Reader,
) -> Option<NotifierConfig<SecretRef>> {
    let mut map = reader.map(node, "a notifier: a map with `name:` and `kind:`")?;
    let name = name(&mut map, names, reader);
    let kind = map.need("kind", reader).and_then(|node| reader.word(node, "a kind of notifier", &KINDS));
    let languages = [("en", Language::En), ("zh", Language::Zh)];
    let language = map.take("language").and_then(|node| reader.word(node, "a language", &languages));
    let zone = map.take("time_zone").map_or(Some(TimeZone::UTC), |node| time_zone(node, reader));
    let url = |map: &mut MapReader<'_>, reader: &mut Reader| {
        let node = map.need("url", reader)?;
        SecretRef::read_url(node, format!("notifiers: {name}: url"), folder, reader)
    };
    let template = map.take("template").and_then(|node| template::read::read(node, &BTreeMap::new(), reader));
    let kind = kind?;
    // A program reads every notice.
    let is_chat = !matches!(kind, Kind::Webhook);
    let digest_after = if is_chat { digest_after(&mut map, reader) } else { None };
    let daily = if is_chat { daily(&mut map, reader) } else { None };
    let kind = match kind {
        Kind::Slack => match ["token", "channel"].iter().any(|key| map.has(key)) {
            true => slack_app(&mut map, &name, folder, heard, reader),
            false => url(&mut map, reader).map(|url| NotifierKind::Slack { url }),
        },
        Kind::Wecom => url(&mut map, reader).map(|url| NotifierKind::Wecom { url }),
        Kind::Console => Some(NotifierKind::Console),
        Kind::Webhook => {
            let url = url(&mut map, reader);
            let secrets = map.take("secret").map(|node| match &node.value {
                Value::List(items) => items.iter().collect(),
                _ => vec![node],
            });
            let read = |node: &Node| {
                let secret = SecretRef::read(node, format!("notifiers: {name}: secret"), folder, reader)?;
                if secret.written_out().is_some_and(|secret| !is_signing_secret(&secret)) {
                    let help = "make one with `openssl rand -base64 32`";
                    reader.error_help(&node.span, "a webhook's secret is base64, with or without whsec_", help);
                }
                Some(secret)
            };
            let secrets = secrets.unwrap_or_default().into_iter().filter_map(read).collect();
            url.map(|url| NotifierKind::Webhook { url, secrets })
        }
    };
    map.finish_with(reader, |key| match key {
        "url" => Some("an incoming webhook has `url`, an app `token` and `channel`: one of both"),
        "token" | "channel" | "api" | "buttons" => Some("for `kind: slack` with an app's `token` and `channel`"),
        "daily" => Some("a line a day is for people; a webhook gets every notice"),
        "digest" | "digest_after" => Some("a webhook gets every notice; only chats get digests"),
        _ => None,
    });
    Some(NotifierConfig {
        name: name.into(),
        language: language.unwrap_or_default(),
        time_zone: zone?,
        digest_after,
        daily,
        template: template.unwrap_or_default(),
        kind: kind?,
    })
}

/// An app's token and a channel: threads, and changes of messages.
fn slack_app(
    map: &mut MapReader<'_>,
    name: &str,
    folder: &Path,
    heard: bool,
    reader: &mut Reader,
) -> Option<NotifierKind<SecretRef>> {
    let token = map.need("token", reader);
    let token = token.and_then(|node| {
        let token = SecretRef::read(node, format!("notifiers: {name}: token"), folder, reader)?;
        if token.written_out().is_some_and(|token| !token.expose_secret().starts_with("xox")) {
            let help = "copy the Bot User OAuth Token (xoxb-…) from OAuth & Permissions";
            reader.error_help(&node.span, "this is no token of a Slack bot", help);
        }
        Some(token)
    });
    let channel = map.need("channel", reader).and_then(|node| channel(node, reader));
    let api = map.take("api").map_or_else(|| Url::parse(API).ok(), |node| address(node, reader));
    let buttons = map.take("buttons").map_or(Some(heard), |node| reader.truth(node));
    Some(NotifierKind::SlackApp { token: token?, channel: channel?, api: api?, buttons: buttons? })
}

/// A channel's id, or `#` and its name.
fn channel(node: &Node, reader: &mut Reader) -> Option<String> {
    let text = reader.text(node, "a channel's id such as C0123ABC")?;
    let id = text.starts_with(['C', 'G', 'D']) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let name = text.strip_prefix('#').is_some_and(|name| !name.is_empty() && !name.contains(char::is_whitespace));
    if !(id || name) || text.len() > 100 {
        let help = "copy the channel's id from the end of its details in Slack, or write \"#name\", in quotes";
        reader.error_help(&node.span, format!("`{text}` is no channel of Slack"), help);
        return None;
    }
    Some(text.to_owned())
}

/// `daily: "09:00"`, on the destination's clock.
fn daily(map: &mut MapReader<'_>, reader: &mut Reader) -> Option<u16> {
    let node = map.take("daily")?;
    let text = reader.text(node, "a time of day such as \"09:00\"")?;
    let minute = minute(text).filter(|minute| *minute < 24 * 60);
    if minute.is_none() {
        reader.error_help(&node.span, format!("`{text}` is no time of day"), "write \"09:00\", in quotes");
    }
    minute
}

/// `digest: false`, or after how many notices within a minute the rest becomes one.
fn digest_after(map: &mut MapReader<'_>, reader: &mut Reader) -> Option<usize> {
    let wanted = map.take("digest").and_then(|node| reader.truth(node)).unwrap_or(true);
    let after = map.take("digest_after").and_then(|node| reader.number(node, 1..101));
    wanted.then_some(after.and_then(|after| usize::try_from(after).ok()).unwrap_or(DIGEST_AFTER))
}

/// Reads `mentions:`.
pub fn mentions(node: &Node, reader: &mut Reader) -> BTreeMap<String, MentionIds> {
    let Some(map) = reader.map(node, "a map such as {\"@oncall\": {slack: S0123ABC}}") else { return BTreeMap::new() };
    let mut mentions = BTreeMap::new();
    for (key, value) in map.pairs() {
        let Some(name) = key.text() else { continue };
        let mut mention = MentionIds::default();
        if let Some(mut map) = reader.map(value, "a map such as {slack: S0123ABC, wecom: zhangsan}") {
            mention = MentionIds {
                slack: map.take("slack").and_then(|node| mentioned(node, SLACK, MentionIds::slack, reader)),
                wecom: map.take("wecom").and_then(|node| mentioned(node, WECOM, MentionIds::wecom, reader)),
            };
            map.finish(reader);
        }
        // Kept even if it is wrong: its name exists.
        mentions.insert(name.to_owned(), mention);
    }
    mentions
}

/// A platform, and what its ids look like.
type Ids = (&'static str, &'static str);

const SLACK: Ids = (
    "Slack",
    "copy the member id (U0123ABC) from a profile, or a user group's (S0123ABC); or write here, channel, everyone. \
     Names can be taken by others, ids cannot",
);
const WECOM: Ids = ("WeCom", "write the user id of the address book, such as zhangsan, or all");

/// An id of a platform, as it goes into messages.
fn mentioned(
    node: &Node,
    (platform, help): Ids,
    read: fn(&str) -> Option<String>,
    reader: &mut Reader,
) -> Option<String> {
    let text = reader.text(node, "an id")?;
    let id = read(text);
    if id.is_none() {
        reader.error_help(&node.span, format!("`{text}` is no id of {platform}"), help);
    }
    id
}
