//! `chats:` of podbell.yaml: where people ask, and who may.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use jiff::tz::TimeZone;
use url::Url;

use super::secret::SecretRef;
use super::sources::{address, name, time_zone};
use super::{ChatConfig, ChatKind, Language, SlackChat, wecom_chats as wecom};
use crate::chat::slack::{API, Access, Channel, MOST_CONNECTIONS};
use podbell_core::rules::{Field, raw};
use podbell_core::scope::Scope;
use podbell_core::yaml::{MapReader, Node, Reader, Value};

#[derive(Clone, Copy)]
enum Kind {
    Slack,
    WecomBot,
    WecomApp,
}

const KINDS: [(&str, Kind); 3] = [("slack", Kind::Slack), ("wecom-bot", Kind::WecomBot), ("wecom-app", Kind::WecomApp)];

/// Reads `chats:`.
pub fn read(node: &Node, folder: &Path, reader: &mut Reader) -> Vec<ChatConfig<SecretRef>> {
    let mut names = HashSet::new();
    let items = reader.list(node, "a list of chats");
    items.iter().filter_map(|item| chat(item, folder, &mut names, reader)).collect()
}

fn chat(node: &Node, folder: &Path, names: &mut HashSet<String>, reader: &mut Reader) -> Option<ChatConfig<SecretRef>> {
    let mut map = reader.map(node, "a chat: a map with `name:` and `kind:`")?;
    let name = name(&mut map, names, reader);
    let kind = map.need("kind", reader).and_then(|node| reader.word(node, "a kind of chat", &KINDS));
    let languages = [("en", Language::En), ("zh", Language::Zh)];
    let language = map.take("language").and_then(|node| reader.word(node, "a language", &languages));
    let zone = map.take("time_zone").map(|node| time_zone(node, reader));
    let kind = kind?;
    // Whoever uses WeCom reads Chinese and lives on China's clock, unless podbell.yaml says otherwise.
    let (own_language, own_zone) = match kind {
        Kind::Slack => (Language::default(), "UTC"),
        Kind::WecomBot | Kind::WecomApp => (Language::Zh, "Asia/Shanghai"),
    };
    let zone = zone.unwrap_or_else(|| TimeZone::get(own_zone).ok());
    let kind = match kind {
        Kind::Slack => slack(map, &name, folder, reader).map(ChatKind::Slack),
        Kind::WecomBot => wecom::bot(map, &name, folder, reader).map(ChatKind::WecomBot),
        Kind::WecomApp => wecom::app(map, &name, folder, reader).map(ChatKind::WecomApp),
    };
    Some(ChatConfig { name, language: language.unwrap_or(own_language), time_zone: zone?, kind: kind? })
}

fn slack(mut map: MapReader<'_>, name: &str, folder: &Path, reader: &mut Reader) -> Option<SlackChat<SecretRef>> {
    let mut given = 0;
    let mut secret = |key: &'static str, map: &mut MapReader<'_>, reader: &mut Reader| {
        let node = map.take(key)?;
        given += usize::from(key != "bot_token");
        SecretRef::read(node, format!("chats: {name}: {key}"), folder, reader)
    };
    let signing_secret = secret("signing_secret", &mut map, reader);
    let app_token = secret("app_token", &mut map, reader);
    let bot_token = secret("bot_token", &mut map, reader);
    let api = map.take("api").map_or_else(|| Url::parse(API).ok(), |node| address(node, reader));
    let connections = map.take("connections").map_or(Some(1), |node| reader.number(node, 1..MOST_CONNECTIONS + 1));
    let teams = map.take("teams").map(|node| ids(node, "a team", "T0123ABC", &['T', 'E'], reader));
    let users = map.take("users").map(|node| ids(node, "a user", "U0123ABC", &['U', 'W'], reader));
    let channels = map
        .take("channels")
        .map(|node| channels(node, reader, |node, reader| id(node, "a channel", "C0123ABC", &CHANNEL, reader)));
    let head = map.head();
    map.finish_with(reader, |key| match key {
        "token" => Some("an app-level token (xapp-…) is `app_token`, a bot's (xoxb-…) is `bot_token`"),
        "secret" => Some("did you mean `signing_secret`?"),
        "url" => Some("a chat is asked, a notifier tells: incoming webhooks belong to `notifiers`"),
        _ => None,
    });
    if given == 0 {
        let help = "give `signing_secret` (Basic Information of the Slack app) to be called over HTTP, or `app_token` \
                    (an app-level token with connections:write) for Socket Mode";
        reader.error_help(&head, format!("nothing reaches the chat `{name}`: it has no secret"), help);
    }
    for (key, token, begins) in [("app_token", &app_token, "xapp-"), ("bot_token", &bot_token, "xoxb-")] {
        if let Some(written) = token.as_ref().and_then(SecretRef::written_out) {
            use secrecy::ExposeSecret as _;
            if !written.expose_secret().starts_with(begins) {
                let help = "Slack shows it on the app's pages: Basic Information, or OAuth & Permissions";
                reader.error_help(&head, format!("the `{key}` of `{name}` does not begin with {begins}"), help);
            }
        }
    }
    let access = Access { teams, users, channels };
    let connections = usize::try_from(connections?).ok()?;
    Some(SlackChat { signing_secret, app_token, bot_token, api: api?, connections, access })
}

/// A list of Slack's ids. An empty one would shut everybody out, which nobody means.
fn ids(node: &Node, what: &str, such: &str, begins: &[char], reader: &mut Reader) -> BTreeSet<String> {
    let items = reader.one_or_many(node);
    if items.is_empty() {
        let help = "list ids, or leave the key out to allow any";
        reader.error_help(&node.span, format!("this list allows nobody: not {what}"), help);
    }
    items.iter().filter_map(|item| id(item, what, such, begins, reader)).collect()
}

fn id(node: &Node, what: &str, such: &str, begins: &[char], reader: &mut Reader) -> Option<String> {
    let text = reader.text(node, &format!("the id of {what}, such as {such}"))?;
    let fine = text.starts_with(begins) && text.len() <= 32;
    if !fine || !text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
        let help = format!("copy it from Slack; it looks like {such}. Names can be taken by others, ids cannot");
        reader.error_help(&node.span, format!("`{text}` is not the id of {what}"), help);
        return None;
    }
    Some(text.to_owned())
}

const CHANNEL: [char; 3] = ['C', 'G', 'D'];

/// The channels that are answered, as a platform writes their ids. An empty list would shut everybody
/// out, which nobody means.
pub fn channels(
    node: &Node,
    reader: &mut Reader,
    id: impl Fn(&Node, &mut Reader) -> Option<String>,
) -> BTreeMap<String, Channel> {
    let items = reader.one_or_many(node);
    if items.is_empty() {
        let help = "list ids, or leave the key out to allow any";
        reader.error_help(&node.span, "this list allows no channel", help);
    }
    let mut channels = BTreeMap::new();
    for item in items {
        let Some((id, channel)) = channel(item, reader, &id) else { continue };
        if channels.insert(id.clone(), channel).is_some() {
            let help = "one item says all that it sees: its keys take lists";
            reader.error_help(&item.span, format!("the channel {id} is there twice"), help);
        }
    }
    channels
}

fn channel(
    node: &Node,
    reader: &mut Reader,
    id: impl Fn(&Node, &mut Reader) -> Option<String>,
) -> Option<(String, Channel)> {
    if !matches!(node.value, Value::Map(_)) {
        return Some((id(node, reader)?, Channel::default()));
    }
    let mut map = reader.map(node, "a channel: its id, or a map with `id:`")?;
    let id = map.need("id", reader).and_then(|node| id(node, reader));
    let channel = sees(&mut map, reader);
    map.finish(reader);
    Some((id?, channel))
}

/// What a channel sees and may do: the other keys of its item.
fn sees(map: &mut MapReader<'_>, reader: &mut Reader) -> Channel {
    let scope = scope(map, reader);
    let read_only = map.take("read_only").and_then(|node| reader.truth(node)).unwrap_or_default();
    Channel { scope, read_only }
}

/// What somebody may see: the keys `cluster`, `namespace` and `service` of their map.
pub fn scope(map: &mut MapReader<'_>, reader: &mut Reader) -> Scope {
    let mut patterns = |field: Field, key: &'static str, reader: &mut Reader| {
        map.take(key).map(|node| raw::patterns(field, node, reader)).unwrap_or_default()
    };
    Scope {
        cluster: patterns(Field::Cluster, "cluster", reader),
        namespace: patterns(Field::Namespace, "namespace", reader),
        service: patterns(Field::Service, "service", reader),
    }
}
