//! podbell.yaml as a whole: its top-level keys and the small sections.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use super::secret::SecretRef;
use super::sources::address;
use super::{
    Config, Heartbeat, HttpConfig, OperatorConfig, PageConfig, Rights, ServerConfig, StoreConfig, TokenConfig, chats,
    gateway, notifiers, sources,
};
use podbell_core::rules::quiet::read::Planned;
use podbell_core::rules::raw::check_destination;
use podbell_core::rules::{Conditions, Destination, Names, quiet, raw};
use podbell_core::yaml::{self, Node, Reader, Value};

/// One item of `rules:`.
#[derive(Debug)]
pub struct RuleEntry {
    /// Globs and where they are written.
    pub files: Vec<(String, Range<usize>)>,
    /// What its rules see.
    pub scope: Option<Conditions>,
    /// Whom its rules may notify.
    pub may_notify: Option<Vec<Destination>>,
}

/// What podbell.yaml says, secrets not yet put in.
#[derive(Debug, Default)]
pub struct Shape {
    /// `None` if a part of it is so wrong that nothing can run with it.
    pub config: Option<Config<SecretRef>>,
    /// The rule files to read.
    pub entries: Vec<RuleEntry>,
    /// The names rule files may use.
    pub names: Names,
    /// Planned work, and where it is written.
    pub planned: Vec<Planned>,
}

/// Reads podbell.yaml.
pub fn read(root: &Node, folder: &Path, reader: &mut Reader) -> Shape {
    let Some(mut map) = reader.map(root, "podbell.yaml: a map with `sources:` and `notifiers:`") else {
        return Shape::default();
    };
    if !yaml::version(&mut map, yaml::Said::Maybe, reader) {
        return Shape::default();
    }
    let sources = map.need("sources", reader).map(|node| sources::read(node, folder, reader)).unwrap_or_default();
    let notifiers_node = map.need("notifiers", reader);
    let chats = map.take("chats").map(|node| chats::read(node, folder, reader)).unwrap_or_default();
    let heard = chats.iter().any(|chat| matches!(chat.kind, super::ChatKind::Slack(_)));
    let notifiers = notifiers_node.map(|node| notifiers::read(node, folder, heard, reader)).unwrap_or_default();
    let mentions = map.take("mentions").map(|node| notifiers::mentions(node, reader)).unwrap_or_default();
    let destinations = notifiers_node.map(notifiers::names).unwrap_or_default();
    let names = Names {
        destinations: Some(destinations.iter().map(|name| name.as_str().into()).collect()),
        mentions: Some(mentions.keys().cloned().collect()),
        may_notify: None,
    };
    let rules = map.take("rules");
    let entries = rules.map(|node| entries(node, &names, reader)).unwrap_or_default();
    let maintenance = map.take("maintenance");
    let planned = maintenance.map(|node| quiet::read::maintenance(node, reader, &[], None)).unwrap_or_default();
    let operator = map.take("operator").and_then(|node| operator(node, folder, &names, reader));
    let store = map.take("store").and_then(|node| store(node, folder, reader));
    let server = map.take("server").and_then(|node| server(node, folder, reader));
    let gateway = map.take("gateway").map(|node| gateway::read(node, folder, reader)).unwrap_or_default();
    let http = map.take("http").and_then(|node| http(node, folder, reader));
    map.finish(reader);
    let mut config = Config {
        sources,
        notifiers,
        chats,
        mentions,
        has_rules: rules.is_some(),
        maintenance: planned.iter().map(|planned| planned.maintenance.clone()).collect(),
        operator: operator.unwrap_or(OperatorConfig { notify: Vec::new(), heartbeat: None }),
        store: store.unwrap_or_else(|| StoreConfig::Sqlite(folder.join("podbell.db"))),
        server: server.unwrap_or_else(|| ServerConfig {
            listen: default_listen(),
            public_url: None,
            tokens: Vec::new(),
            page: PageConfig::default(),
        }),
        gateway,
        http: http.unwrap_or(HttpConfig { proxy: None, ca_file: None }),
    };
    if config.operator.notify.is_empty() {
        config.operator.notify = config.default_operators();
    }

    Shape { config: Some(config), entries, names, planned }
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
    let files = map.need("files", reader).map(|node| texts(node, "a file or a glob", reader)).unwrap_or_default();
    let scope = map.take("scope").and_then(|node| raw::conditions(node, reader, "`scope`"));
    let may_notify = map.take("may_notify").map(|node| destinations(node, names, reader));
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

fn operator(node: &Node, folder: &Path, names: &Names, reader: &mut Reader) -> Option<OperatorConfig<SecretRef>> {
    let mut map = reader.map(node, "a map such as {notify: [team-slack]}")?;
    let notify = map.take("notify").map(|node| destinations(node, names, reader)).unwrap_or_default();
    let heartbeat = map.take("heartbeat").and_then(|node| heartbeat(node, folder, reader));
    map.finish(reader);
    Some(OperatorConfig { notify, heartbeat })
}

fn heartbeat(node: &Node, folder: &Path, reader: &mut Reader) -> Option<Heartbeat<SecretRef>> {
    let mut map = reader.map(node, "a map such as {url: https://…, every: 1m}")?;
    let url = map.need("url", reader);
    let url = url.and_then(|node| SecretRef::read_url(node, "operator: heartbeat: url".into(), folder, reader));
    let every = map.take("every").and_then(|node| reader.duration(node, Duration::from_secs(1)));
    map.finish(reader);
    Some(Heartbeat { url: url?, every: every.unwrap_or(Duration::from_secs(60)) })
}

fn store(node: &Node, folder: &Path, reader: &mut Reader) -> Option<StoreConfig> {
    let text = reader.text(node, "a store such as sqlite:podbell.db")?;
    match text.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Some(StoreConfig::Sqlite(folder.join(path))),
        Some(("postgres" | "postgresql", _)) => {
            let help = "use sqlite:podbell.db, or a later version";
            reader.error_help(&node.span, "PostgreSQL is not supported by this version yet", help);
            None
        }
        _ => {
            reader.error_help(&node.span, "this is no store", "write sqlite: and a path, such as sqlite:podbell.db");
            None
        }
    }
}

fn server(node: &Node, folder: &Path, reader: &mut Reader) -> Option<ServerConfig<SecretRef>> {
    let mut map = reader.map(node, "a map such as {listen: \"127.0.0.1:8080\"}")?;
    let listen = map.take("listen").and_then(|node| {
        let text = reader.text(node, "an address and a port")?;
        let address = text.parse().ok();
        if address.is_none() {
            let help = "write an IP address and a port, such as \"127.0.0.1:8080\" or \"0.0.0.0:8080\"";
            reader.error_help(&node.span, format!("`{text}` is no address to listen on"), help);
        }
        address
    });
    let public_url = map.take("public_url").and_then(|node| address(node, reader));
    let tokens = map.take("tokens").map(|node| tokens(node, folder, reader)).unwrap_or_default();
    let page = map.take("page").and_then(|node| super::page::read(node, folder, reader)).unwrap_or_default();
    map.finish(reader);
    Some(ServerConfig { listen: listen.unwrap_or_else(default_listen), public_url, tokens, page })
}

fn tokens(node: &Node, folder: &Path, reader: &mut Reader) -> Vec<TokenConfig<SecretRef>> {
    let mut names = HashSet::new();
    let items = reader.list(node, "a list of tokens");
    items.iter().filter_map(|item| token(item, folder, &mut names, reader)).collect()
}

fn token(
    node: &Node,
    folder: &Path,
    names: &mut HashSet<String>,
    reader: &mut Reader,
) -> Option<TokenConfig<SecretRef>> {
    let mut map = reader.map(node, "a token such as {name: bot, token: \"${PODBELL_TOKEN}\", rights: write}")?;
    let name = sources::name(&mut map, names, reader);
    let token = map.need("token", reader);
    let place = format!("server: tokens: {name}: token");
    let token = token.and_then(|node| SecretRef::read_token(node, place, folder, reader));
    let rights = [("read", Rights::Read), ("write", Rights::Write)];
    let rights = map.take("rights").and_then(|node| reader.word(node, "a token's rights", &rights));
    let scope = chats::scope(&mut map, reader);
    map.finish(reader);
    Some(TokenConfig { name, token: token?, rights: rights.unwrap_or_default(), scope })
}

fn http(node: &Node, folder: &Path, reader: &mut Reader) -> Option<HttpConfig<SecretRef>> {
    let mut map = reader.map(node, "a map such as {proxy: http://proxy:3128}")?;
    let given = |node: Option<&'_ Node>| node.is_some_and(|node| !matches!(node.value, Value::Null));
    let proxy = map.take("proxy");
    let proxy = proxy
        .filter(|node| given(Some(node)))
        .and_then(|node| SecretRef::read_url(node, "http: proxy".into(), folder, reader));
    let ca_file = map.take("ca_file");
    let ca_file = ca_file
        .filter(|node| given(Some(node)))
        .and_then(|node| Some((node, folder.join(reader.text(node, "the path of a file")?))));
    map.finish(reader);
    if let Some((node, path)) = &ca_file
        && let Err(error) = crate::http::check_ca_file(path)
    {
        let help = "podbell does not start without it: give a readable PEM file, or leave `ca_file` out";
        reader.error_help(&node.span, error.to_string(), help);
    }
    Some(HttpConfig { proxy, ca_file: ca_file.map(|(_, path)| path) })
}
