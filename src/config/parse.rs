//! podbell.yaml as a whole: its top-level keys and the small sections.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{
    Config, Heartbeat, HttpConfig, OperatorConfig, PageConfig, ServerConfig, StoreConfig, TokenConfig, Unresolved,
    chats, export, gateway, kind_schemas, notifiers, page, sources, store,
};
use crate::notifiers::ConfiguredChats;
use crate::settings::keys::{
    Address, HTTP, Name, RIGHTS, SCOPE_CLUSTER, SCOPE_NAMESPACE, SCOPE_SERVICE, is_given, named, scope,
};
use crate::settings::{Secret, SecretKind, SecretRef};
use podbell_core::rule::{Conditions, Destination};
use podbell_core::rules::notify::check_destination;
use podbell_core::rules::quiet::{self, Planned};
use podbell_core::rules::{Names, conditions, keys};
use podbell_core::yaml::key::{
    AtLeast, Custom, Key, Row, SchemaOnly, Text, ValueType, file_schema, map_schema, one_or_many_schema,
};
use podbell_core::yaml::{self, MAY_SAY_VERSION, Node, Reader, Value};

const SOURCES: Key<SchemaOnly> =
    Key::required("sources", SchemaOnly(kind_schemas::sources), "Where event lists come from.");
const NOTIFIERS: Key<SchemaOnly> = Key::required("notifiers", SchemaOnly(kind_schemas::notifiers), "Where notices go.");
const CHATS: Key<SchemaOnly> =
    Key::optional("chats", SchemaOnly(kind_schemas::chats), "Where people ask, and who may.");
const MENTIONS: Key<SchemaOnly> = Key::optional(
    "mentions",
    SchemaOnly(notifiers::mentions_schema),
    "The people that rules can name in `mention`: their ids on each platform.",
);
const RULES: Key<SchemaOnly> = Key::optional(
    "rules",
    SchemaOnly(entries_schema),
    "Rule files in reading order; without this key the built-in rules tell Warnings of any reason to every chat.",
);
const MAINTENANCE: Key<SchemaOnly> = Key::optional(
    "maintenance",
    SchemaOnly(keys::maintenance_schema),
    "Planned work: nothing is told of it before its end; what is over by then is summed up.",
);
const OPERATOR: Key<SchemaOnly> =
    Key::optional("operator", SchemaOnly(|| map_schema("", &OPERATOR_KEYS)), "What podbell tells about itself.");
const STORE: Key<Custom<StoreConfig>> = Key::with_default(
    "store",
    Custom { read: store::read, schema: store::schema },
    "sqlite:podbell.db",
    "`sqlite:` and one file, whose folder must be writable and local; or `postgres://USER@HOST/DATABASE`, which several replicas may share, see docs/postgresql.md.",
);
const SERVER: Key<SchemaOnly> =
    Key::optional("server", SchemaOnly(|| map_schema("", &SERVER_KEYS)), "What podbell serves.");
const GATEWAY: Key<SchemaOnly> =
    Key::optional("gateway", SchemaOnly(gateway::schema), "Who may ask through the legacy API; without it nobody may.");
const EXPORT: Key<SchemaOnly> =
    Key::optional("export", SchemaOnly(export::schema), "Where records of events and notices go; without it nowhere.");
const HTTP_SECTION: Key<SchemaOnly> =
    Key::optional("http", SchemaOnly(|| map_schema("", &HTTP_KEYS)), "How podbell reaches the network.");

/// The keys of podbell.yaml.
pub(super) const ROWS: [&dyn Row; 13] = [
    &MAY_SAY_VERSION,
    &SOURCES,
    &NOTIFIERS,
    &CHATS,
    &MENTIONS,
    &RULES,
    &MAINTENANCE,
    &OPERATOR,
    &STORE,
    &SERVER,
    &GATEWAY,
    &EXPORT,
    &HTTP_SECTION,
];

const OPERATOR_KEYS: [&dyn Row; 2] = [&NOTIFY, &HEARTBEAT];
const HEARTBEAT_KEYS: [&dyn Row; 2] = [&HEARTBEAT_URL, &EVERY];
const SERVER_KEYS: [&dyn Row; 4] = [&LISTEN, &PUBLIC_URL, &TOKENS, &PAGE];
const TOKEN_KEYS: [&dyn Row; 6] = [&TOKEN_NAME, &TOKEN, &RIGHTS, &SCOPE_CLUSTER, &SCOPE_NAMESPACE, &SCOPE_SERVICE];
const HTTP_KEYS: [&dyn Row; 2] = [&PROXY, &CA_FILE];
const RULE_ENTRY_KEYS: [&dyn Row; 3] = [&FILES, &SCOPE, &MAY_NOTIFY];

/// The keys of podbell.yaml that no component and no rule has, by where they stand.
pub const SECTIONS: [(&str, &[&dyn Row]); 13] = [
    ("", &ROWS),
    ("rules[].", &RULE_ENTRY_KEYS),
    ("operator.", &OPERATOR_KEYS),
    ("operator.heartbeat.", &HEARTBEAT_KEYS),
    ("gateway.", &gateway::GATEWAY_KEYS),
    ("gateway.keys[].", &gateway::KEY_KEYS),
    ("export.", &export::EXPORT_KEYS),
    ("export.otlp.", &export::OTLP_KEYS),
    ("server.", &SERVER_KEYS),
    ("server.tokens[].", &TOKEN_KEYS),
    ("server.page.", &page::PAGE_KEYS),
    ("server.page.proxy.", &page::PROXY_KEYS),
    ("http.", &HTTP_KEYS),
];

const FILES: Key<SchemaOnly> = Key::required("files", SchemaOnly(texts_schema), "Files or globs.");
const SCOPE: Key<Custom<Conditions>> = Key::optional(
    "scope",
    Custom { read: |node, reader| conditions::read(node, reader, "`scope`"), schema: keys::conditions_schema },
    "The only events that rules of these files see.",
);
const MAY_NOTIFY: Key<SchemaOnly> = Key::optional(
    "may_notify",
    SchemaOnly(texts_schema),
    "The only destinations that rules of these files may notify.",
);
const NOTIFY: Key<SchemaOnly> =
    Key::optional("notify", SchemaOnly(texts_schema), "Where podbell's own trouble goes [default: every chat].");
const HEARTBEAT: Key<SchemaOnly> = Key::optional(
    "heartbeat",
    SchemaOnly(|| map_schema("", &HEARTBEAT_KEYS)),
    "An address to call while all is well: a dead man's switch.",
);
const HEARTBEAT_URL: Key<Secret> = Key::required("url", Secret(SecretKind::Url), "The address that is called.");
const EVERY: Key<AtLeast> =
    Key::with_default("every", AtLeast(Duration::from_secs(1)), "1m", "How often the address is called.");
const LISTEN: Key<Custom<SocketAddr>> = Key::with_default(
    "listen",
    Custom { read: listen, schema: || json!({"type": "string", "pattern": "^.+:[0-9]{1,5}$"}) },
    "127.0.0.1:8080",
    "Where `/healthz`, `/readyz`, `/metrics`, `POST /-/reload`, chats that are called over HTTP, the API and the status page answer.",
);
const PUBLIC_URL: Key<Address> = Key::optional(
    "public_url",
    HTTP,
    "Where people reach the server: messages link to the status page; with https its cookies are `Secure`.",
);
const TOKENS: Key<SchemaOnly> = Key::optional(
    "tokens",
    SchemaOnly(tokens_schema),
    "Who may use the API and sign in to the status page, see docs/api.md; without one nobody may.",
);
const PAGE: Key<SchemaOnly> = Key::optional("page", SchemaOnly(page::schema), "The status page, see docs/page.md.");
/// Read by [`named`].
const TOKEN_NAME: Key<Name> =
    Key::required("name", Name, "The name of whoever has the token, recorded as the author of changes.");
const TOKEN: Key<Secret> = Key::required("token", Secret(SecretKind::Token), "The token, at least 16 characters.");
const PROXY: Key<NonNull<Secret>> = Key::optional(
    "proxy",
    NonNull(Secret(SecretKind::Url)),
    "A proxy for every request but those to a Kubernetes API server; the environment's proxy variables are not read.",
);
const CA_FILE: Key<NonNull<Text>> = Key::optional(
    "ca_file",
    NonNull(Text("the path of a file")),
    "Certificates in PEM, trusted beside the system's authorities: of an authority, or of one server that signed its own (`openssl req -x509`).",
);

/// Reads a value with `S`; `null` counts as absent.
#[derive(Clone, Copy, Debug)]
struct NonNull<S>(S);

impl<S: ValueType> ValueType for NonNull<S> {
    type Value = S::Value;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<S::Value> {
        if is_given(node) { self.0.read(node, reader) } else { None }
    }

    fn schema(&self) -> Json {
        json!({"anyOf": [self.0.schema(), {"type": "null"}]})
    }
}

fn texts_schema() -> Json {
    one_or_many_schema(&json!({"type": ["string", "number", "boolean"]}), 0)
}

fn entries_schema() -> Json {
    let whole = map_schema("", &RULE_ENTRY_KEYS);
    json!({"type": "array", "items": {"anyOf": [{"type": ["string", "number", "boolean"]}, whole]}})
}

fn tokens_schema() -> Json {
    json!({"type": "array", "items": map_schema("", &TOKEN_KEYS)})
}

/// One item of `rules:`.
#[derive(Debug)]
pub(crate) struct RuleEntry {
    /// Globs and where they are written.
    pub files: Vec<(String, Range<usize>)>,
    /// The scope of its rules.
    pub scope: Option<Conditions>,
    /// The destinations that its rules may notify.
    pub may_notify: Option<Vec<Destination>>,
}

/// What podbell.yaml says, secrets not yet put in.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// `None` if a part of it is so wrong that nothing can run with it.
    pub config: Option<Config<Unresolved>>,
    /// The rule files to read.
    pub entries: Vec<RuleEntry>,
    /// The names rule files may use.
    pub names: Names,
    /// Planned work, and where it is written.
    pub planned: Vec<Planned>,
}

/// Reads podbell.yaml.
pub(super) fn read(root: &Node, reader: &mut Reader) -> Parsed {
    let Some(mut map) = reader.map(root, "podbell.yaml: a map with `sources:` and `notifiers:`") else {
        return Parsed::default();
    };
    if !yaml::version(&mut map, yaml::VersionKey::Optional, reader) {
        return Parsed::default();
    }
    let sources = section(&SOURCES, &mut map, reader, sources::read).unwrap_or_default();
    let notifiers_node = NOTIFIERS.node(&mut map, reader);
    let chats = section(&CHATS, &mut map, reader, chats::read).unwrap_or_default();
    let configured_chats = ConfiguredChats { kinds: chats.kinds };
    let read = |node| reader.within("notifiers", |reader| notifiers::read(node, &configured_chats, reader));
    let notifiers = notifiers_node.map(read).unwrap_or_default();
    let mentions = section(&MENTIONS, &mut map, reader, notifiers::mentions).unwrap_or_default();
    let destinations = notifiers_node.map(notifiers::names).unwrap_or_default();
    let names = Names {
        destinations: Some(destinations.iter().map(|name| name.as_str().into()).collect()),
        mentions: Some(mentions.keys().cloned().collect()),
        may_notify: None,
    };
    let rules = RULES.node(&mut map, reader);
    let entries = rules.map(|node| entries(node, &names, reader)).unwrap_or_default();
    let maintenance = MAINTENANCE.node(&mut map, reader);
    let planned = maintenance.map(|node| quiet::maintenance(node, reader, &[], None)).unwrap_or_default();
    let operator = section(&OPERATOR, &mut map, reader, |node, reader| operator(node, &names, reader)).flatten();
    let store = STORE.take(&mut map, reader);
    let server = section(&SERVER, &mut map, reader, server).flatten();
    let gateway = section(&GATEWAY, &mut map, reader, gateway::read).unwrap_or_default();
    let otlp = section(&EXPORT, &mut map, reader, export::read).flatten();
    let http = section(&HTTP_SECTION, &mut map, reader, http).flatten();
    map.finish(reader);
    let mut config = Config {
        sources,
        notifiers,
        chats: chats.chats,
        mentions,
        has_rules: rules.is_some(),
        maintenance: planned.iter().map(|planned| planned.maintenance.clone()).collect(),
        operator: operator.unwrap_or(OperatorConfig { notify: Vec::new(), heartbeat: None }),
        store: store.unwrap_or_else(|| StoreConfig::beside(&reader.folder)),
        server: server.unwrap_or_else(|| ServerConfig {
            listen: default_listen(),
            public_url: None,
            tokens: Vec::new(),
            page: PageConfig::default(),
        }),
        gateway,
        otlp,
        http: http.unwrap_or(HttpConfig { proxy: None, ca_file: None }),
    };
    if config.operator.notify.is_empty() {
        config.operator.notify = config.default_operators();
    }

    Parsed { config: Some(config), entries, names, planned }
}

/// Reads a section. Findings in it name the section.
fn section<T>(
    key: &Key<SchemaOnly>,
    map: &mut yaml::MapReader<'_>,
    reader: &mut Reader,
    read: impl FnOnce(&Node, &mut Reader) -> T,
) -> Option<T> {
    let node = key.node(map, reader)?;
    Some(reader.within(key.name(), |reader| read(node, reader)))
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

fn entries(node: &Node, names: &Names, reader: &mut Reader) -> Vec<RuleEntry> {
    let items = reader.list(node, "a list of rule files such as [rules/*.yaml]");
    items.iter().filter_map(|item| entry(item, names, reader)).collect()
}

fn entry(node: &Node, names: &Names, reader: &mut Reader) -> Option<RuleEntry> {
    if !matches!(node.value, Value::Map(_)) {
        let text = reader.text(node, "a file, a glob, or a map with `files:`")?;
        return Some(RuleEntry { files: vec![(text.to_owned(), node.span.clone())], scope: None, may_notify: None });
    }
    let mut map = reader.map(node, "a map with `files:`")?;
    let files = FILES.node(&mut map, reader).map(|node| texts(node, "a file or a glob", reader)).unwrap_or_default();
    let scope = SCOPE.take(&mut map, reader);
    let may_notify = MAY_NOTIFY.node(&mut map, reader).map(|node| destinations(node, names, reader));
    map.finish(reader);
    Some(RuleEntry { files, scope, may_notify })
}

fn texts(node: &Node, what: &str, reader: &mut Reader) -> Vec<(String, Range<usize>)> {
    let items = reader.one_or_many(node);
    items.iter().filter_map(|item| Some((reader.text(item, what)?.to_owned(), item.span.clone()))).collect()
}

fn destinations(node: &Node, names: &Names, reader: &mut Reader) -> Vec<Destination> {
    let mut chosen: Vec<Destination> = Vec::new();
    for item in reader.one_or_many(node) {
        let Some(name) = reader.text(item, "the name of a notifier") else { continue };
        check_destination(name, item, reader, names);
        if !chosen.iter().any(|other| **other == *name) {
            chosen.push(name.into());
        }
    }
    chosen
}

fn operator(node: &Node, names: &Names, reader: &mut Reader) -> Option<OperatorConfig<Unresolved>> {
    let mut map = reader.map(node, "a map such as {notify: [team-chat]}")?;
    let notify = NOTIFY.node(&mut map, reader).map(|node| destinations(node, names, reader)).unwrap_or_default();
    let heartbeat = section(&HEARTBEAT, &mut map, reader, heartbeat).flatten();
    map.finish(reader);
    Some(OperatorConfig { notify, heartbeat })
}

fn heartbeat(node: &Node, reader: &mut Reader) -> Option<Heartbeat<Unresolved>> {
    let mut map = reader.map(node, "a map such as {url: https://…, every: 1m}")?;
    let (url, every) = (HEARTBEAT_URL.take(&mut map, reader), EVERY.take(&mut map, reader));
    map.finish(reader);
    Some(Heartbeat { url: url?, every: every? })
}

fn listen(node: &Node, reader: &mut Reader) -> Option<SocketAddr> {
    let text = reader.text(node, "an address and a port")?;
    let address = text.parse().ok();
    if address.is_none() {
        let help = "write an IP address and a port, such as \"127.0.0.1:8080\" or \"0.0.0.0:8080\"";
        reader.error_help(&node.span, format!("`{text}` is not an address to listen on"), help);
    }
    address
}

fn server(node: &Node, reader: &mut Reader) -> Option<ServerConfig<Unresolved>> {
    let mut map = reader.map(node, "a map such as {listen: \"127.0.0.1:8080\"}")?;
    let listen = LISTEN.take(&mut map, reader).unwrap_or_else(default_listen);
    let public_url = PUBLIC_URL.take(&mut map, reader);
    let tokens = section(&TOKENS, &mut map, reader, tokens).unwrap_or_default();
    let page = section(&PAGE, &mut map, reader, page::read).flatten().unwrap_or_default();
    map.finish(reader);
    Some(ServerConfig { listen, public_url, tokens, page })
}

fn tokens(node: &Node, reader: &mut Reader) -> Vec<TokenConfig<Unresolved>> {
    let mut names = HashSet::new();
    let items = reader.list(node, "a list of tokens");
    items.iter().filter_map(|item| token(item, &mut names, reader)).collect()
}

fn token(node: &Node, names: &mut HashSet<String>, reader: &mut Reader) -> Option<TokenConfig<Unresolved>> {
    let mut map = reader.map(node, "a token such as {name: bot, token: \"${PODBELL_TOKEN}\", rights: write}")?;
    let name = named(&mut map, names, reader);
    let token = reader.within(&name, |reader| TOKEN.take(&mut map, reader));
    let rights = RIGHTS.take(&mut map, reader);
    let scope = scope(&mut map, reader);
    map.finish(reader);
    Some(TokenConfig { name, token: token?, rights: rights.unwrap_or_default(), scope })
}

fn http(node: &Node, reader: &mut Reader) -> Option<HttpConfig<Unresolved>> {
    let mut map = reader.map(node, "a map such as {proxy: http://proxy:3128}")?;
    let proxy: Option<SecretRef> = PROXY.take(&mut map, reader);
    let node = CA_FILE.node(&mut map, reader);
    let ca_file = node.and_then(|node| Some((node, CA_FILE.read(node, reader)?)));
    map.finish(reader);
    let ca_file = ca_file.map(|(node, path)| (node, reader.folder.join(path)));
    if let Some((node, path)) = &ca_file
        && let Err(error) = crate::http::check_ca_file(path)
    {
        let help = "podbell does not start without it: give a readable PEM file, or leave `ca_file` out";
        reader.error_help(&node.span, error.to_string(), help);
    }
    let ca_file: Option<PathBuf> = ca_file.map(|(_, path)| path);
    Some(HttpConfig { proxy, ca_file })
}

/// The JSON Schema of podbell.yaml.
pub fn schema() -> Json {
    file_schema("podbell.yaml", "The operator's configuration. See docs/configuration.md.", &ROWS)
}
