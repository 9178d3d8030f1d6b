//! Keys that occur in more than one section of podbell.yaml.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};
use url::Url;

use podbell_core::rule::Field;
use podbell_core::rules::conditions::patterns;
use podbell_core::rules::keys;
use podbell_core::scope::{Rights, Scope};
use podbell_core::translations::Language;
use podbell_core::yaml::key::{AtLeast, Custom, Key, OneOf, Text, TextMap, ValueType, Zone};
use podbell_core::yaml::{MapReader, Node, Reader, Value};

/// What people and rules call something. Unique within its section, see [`named`].
pub const NAME: Key<Name> =
    Key::required("name", Name, "What rules and messages call it: letters, digits, `-`, `_` and `.`");
/// The language of what people read there.
pub const LANGUAGE: Key<OneOf<Language>> = Key::with_default("language", LANGUAGES, "en", "The language of messages.");
/// The languages, for keys with another default.
pub(crate) const LANGUAGES: OneOf<Language> = OneOf("a language", &[("en", Language::En), ("zh", Language::Zh)]);
/// The zone of times that people read there.
pub const TIME_ZONE: Key<Zone> = Key::with_default("time_zone", Zone, "UTC", "The zone of times in messages.");
/// How often something is read.
pub const POLL_EVERY: Key<AtLeast> = Key::with_default(
    "poll_every",
    AtLeast(Duration::from_secs(1)),
    "60s",
    "Time between two polls of a service, at least `1s`.",
);
/// What counts as news at the first contact.
pub const FIRST_POLL_WINDOW: Key<AtLeast> = Key::with_default(
    "first_poll_window",
    AtLeast(Duration::ZERO),
    "10m",
    "When a service is read for the first time, events older than this are not told.",
);
/// What people call clusters.
pub const ALIASES: Key<TextMap> = Key::optional(
    "aliases",
    TextMap("a map such as {cls-1: prod}", "what people read"),
    "What people read instead of a cluster's id [default: none].",
);
/// What somebody may do.
pub const RIGHTS: Key<OneOf<Rights>> = Key::with_default(
    "rights",
    OneOf("a kind of rights", &[("read", Rights::Read), ("write", Rights::Write)]),
    "read",
    "Whether they may also acknowledge and mute.",
);

type Patterns = Key<Custom<Vec<podbell_core::rule::Pattern>>>;
/// The clusters that somebody may see.
pub const SCOPE_CLUSTER: Patterns = Key::optional(
    "cluster",
    Custom { read: |node, reader| Some(patterns(Field::Cluster, node, reader)), schema: keys::patterns_schema },
    "Only these clusters.",
);
/// The namespaces that somebody may see.
pub const SCOPE_NAMESPACE: Patterns = Key::optional(
    "namespace",
    Custom { read: |node, reader| Some(patterns(Field::Namespace, node, reader)), schema: keys::patterns_schema },
    "Only these namespaces.",
);
/// The services that somebody may see.
pub const SCOPE_SERVICE: Patterns = Key::optional(
    "service",
    Custom { read: |node, reader| Some(patterns(Field::Service, node, reader)), schema: keys::patterns_schema },
    "Only these services.",
);

/// What somebody may see: the keys `cluster`, `namespace` and `service` of their map.
pub fn scope(map: &mut MapReader<'_>, reader: &mut Reader) -> Scope {
    Scope {
        cluster: SCOPE_CLUSTER.take(map, reader).unwrap_or_default(),
        namespace: SCOPE_NAMESPACE.take(map, reader).unwrap_or_default(),
        service: SCOPE_SERVICE.take(map, reader).unwrap_or_default(),
    }
}

/// Reads a name that is unique among `names`. Empty after a mistake.
pub fn named(map: &mut MapReader<'_>, names: &mut HashSet<String>, reader: &mut Reader) -> String {
    let Some(node) = NAME.node(map, reader) else { return String::new() };
    let Some(name) = Name.read(node, reader) else { return node.text().unwrap_or_default().trim().to_owned() };
    if !names.insert(name.clone()) {
        reader.error_help(&node.span, format!("the name `{name}` is there twice"), "give each its own name");
    }
    name
}

/// A short name that can stand in addresses and messages.
#[derive(Clone, Copy, Debug)]
pub struct Name;

impl ValueType for Name {
    type Value = String;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<String> {
        let name = reader.text(node, "a name")?;
        let fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !name.chars().all(fine) || name.len() > 64 {
            let help = "use letters, digits, `-`, `_` and `.`, at most 64";
            reader.error_help(&node.span, format!("`{name}` cannot be a name"), help);
            return None;
        }
        Some(name.to_owned())
    }

    fn schema(&self) -> Json {
        json!({"type": ["string", "integer"], "pattern": "^[^\\s!-,/:-@\\[-\\^`{-~]{1,64}$"})
    }
}

/// An address that is not secret, with one of these schemes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address(pub &'static [&'static str]);

/// An http(s) address that is not secret.
pub(crate) const HTTP: Address = Address(&["https", "http"]);

impl ValueType for Address {
    type Value = Url;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<Url> {
        let usual = self.0.first().copied().unwrap_or_default();
        let text = reader.text(node, &format!("an address such as {usual}://podbell.example.com"))?;
        match Url::parse(text) {
            Ok(url) if self.0.contains(&url.scheme()) && url.host().is_some() => Some(url),
            _ => {
                let begins: Vec<String> = self.0.iter().map(|scheme| format!("{scheme}://")).collect();
                let message = format!("`{text}` is not an address that begins with {}", begins.join(" or "));
                reader.error_help(&node.span, message, format!("begin it with {usual}://"));
                None
            }
        }
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": format!("^({})://.+$", self.0.join("|"))})
    }
}

/// The path of a file that need not exist yet; `-` is standard input if `stdin` is true.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilePath {
    /// What messages call it.
    pub what: &'static str,
    /// Whether `-` means standard input.
    pub stdin: bool,
}

impl ValueType for FilePath {
    type Value = PathBuf;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<PathBuf> {
        let text = reader.text(node, self.what)?;
        if self.stdin && text == "-" {
            return Some(PathBuf::from(text));
        }
        let path = reader.folder.join(text);
        if !path.exists() {
            let help = "paths are relative to the folder of podbell.yaml; until it is there, podbell tells of trouble";
            reader.warning_help(&node.span, format!("there is no file {text} yet"), help);
        }
        Some(path)
    }

    fn schema(&self) -> Json {
        Text(self.what).schema()
    }
}

/// Whether the node has a value; `null` counts as absent.
pub(crate) fn is_given(node: &Node) -> bool {
    !matches!(node.value, Value::Null)
}

/// The zone of this name, from the database that podbell carries; UTC if the database lacks it.
pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}
