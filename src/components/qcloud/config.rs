//! `kind: qcloud` of `sources:`.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{ApiConfig, DEFAULT_ENDPOINT, MEMORY, QcloudSource, ServiceSelection, SignatureMethod};
use crate::settings::keys::{ALIASES, Address, FIRST_POLL_WINDOW, HTTP, POLL_EVERY};
use crate::settings::{Draft, Secret, SecretKind};
use crate::sources::poller::{self, PaceVerdict};
use crate::sources::{Rhythm, Source, SourceFacts, SourceKind};
use podbell_core::source::Extent;
use podbell_core::yaml::key::{Bool, Custom, Key, Number, OneOf, OneOrMany, Text, ValueType as _, Zone, map_schema};
use podbell_core::yaml::{MapReader, Node, Reader};

const ENDPOINT: Key<Address> = Key::with_default("endpoint", HTTP, DEFAULT_ENDPOINT, "Where the API answers.");
const REGION: Key<Text> = Key::required("region", Text("a region"), "Such as `ap-guangzhou`.");
const SECRET_ID: Key<Secret> = Key::required("secret_id", Secret(SecretKind::Any), "The public half of the key pair.");
const SECRET_KEY: Key<Secret> = Key::required("secret_key", Secret(SecretKind::Any), "The half that signs.");
const TOKEN: Key<Secret> =
    Key::optional("token", Secret(SecretKind::Any), "The Token of temporary credentials [default: none].");
const SIGNATURE_METHOD: Key<OneOf<SignatureMethod>> = Key::with_default(
    "signature_method",
    OneOf(
        "a signature method",
        &[("HmacSHA256", SignatureMethod::HmacSha256), ("HmacSHA1", SignatureMethod::HmacSha1)],
    ),
    "HmacSHA256",
    "How requests are signed.",
);
const TIME_ZONE: Key<Zone> =
    Key::with_default("time_zone", Zone, "Asia/Shanghai", "The zone of the times in event lists.");
const RATE: Key<Number> = Key::with_default(
    "requests_per_second",
    Number(1, 1000),
    "10",
    "The most requests a second, retries and discovery included. If that is too few for `poll_every`, `check` and `run` say the real interval, and call it an error if it is longer than the hour for which the API shows events. From 20 on, requests leave in groups, 10 times a second.",
);
const SERVICES: Key<Custom<Vec<ServiceSelection>>> = Key::required(
    "services",
    Custom { read: read_services, schema: services_schema },
    "What is polled: `{cluster, namespace, names: […]}` or `{cluster, discover: true}`.",
);

const CLUSTER: Key<Text> = Key::required("cluster", Text("a cluster's id"), "The cluster's id.");
const DISCOVER: Key<Bool> = Key::optional("discover", Bool, "Every namespace and service of the cluster.");
const NAMESPACE: Key<Text> = Key::optional("namespace", Text("a namespace"), "The namespace.");
const NAMES: Key<OneOrMany<Text>> = Key::optional("names", OneOrMany(Text("a service's name")), "The services' names.");

/// Its registry row.
pub(crate) const SOURCE: SourceKind = SourceKind {
    name: "qcloud",
    about: "The legacy container-service API.",
    keys: &[
        &ENDPOINT,
        &REGION,
        &SECRET_ID,
        &SECRET_KEY,
        &TOKEN,
        &SIGNATURE_METHOD,
        &TIME_ZONE,
        &POLL_EVERY,
        &RATE,
        &FIRST_POLL_WINDOW,
        &ALIASES,
        &SERVICES,
    ],
    is_built: true,
    read,
};

fn read(map: &mut MapReader<'_>, name: &str, reader: &mut Reader) -> Option<(SourceFacts, Draft<dyn Source>)> {
    let (endpoint, region) = (ENDPOINT.take(map, reader), REGION.take(map, reader));
    let (id, key, token) = (SECRET_ID.take(map, reader), SECRET_KEY.take(map, reader), TOKEN.take(map, reader));
    let method = SIGNATURE_METHOD.take(map, reader);
    let time_zone = TIME_ZONE.take(map, reader);
    let every = POLL_EVERY.take(map, reader);
    let rate = RATE.take(map, reader).and_then(|rate| NonZeroU32::new(u32::try_from(rate).ok()?));
    let first_poll_window = FIRST_POLL_WINDOW.take(map, reader);
    let aliases = ALIASES.take(map, reader).unwrap_or_default();
    let node = SERVICES.node(map, reader);
    let services = node.and_then(|node| SERVICES.read(node, reader)).unwrap_or_default();
    let (every, rate) = (every?, rate?);
    let named = services.iter().map(ServiceSelection::named).sum();
    if let Some(node) = node {
        check_pace(named, rate, every, node, reader);
    }
    let facts = SourceFacts {
        time_zone: time_zone?,
        rhythm: Rhythm::Polls { every, really: poller::real_interval(named, rate, every) },
        first_poll_window: first_poll_window?,
        memory: MEMORY,
        aliases,
        extent: if services.iter().any(|one| matches!(one, ServiceSelection::Discover { .. })) {
            Extent::Found
        } else {
            Extent::Named
        },
        is_dated: true,
    };
    let (endpoint, region, id, key, method) = (endpoint?, region?, id?, key?, method?);
    let (name, zone, aliases) = (name.to_owned(), facts.time_zone.clone(), facts.aliases.clone());
    let draft = Draft::new(move |secrets| {
        let (id, key) = (secrets.get(&id), secrets.get(&key));
        let token = token.as_ref().map(|token| secrets.get(token));
        let config = ApiConfig {
            region,
            token: token.flatten(),
            signature_method: method,
            time_zone: zone,
            poll_every: every,
            requests_per_second: rate,
            aliases,
            services,
            ..ApiConfig::new(&name, endpoint, id?, key?)
        };
        Some(Arc::new(QcloudSource(config)) as Arc<dyn Source>)
    });
    Some((facts, draft))
}

fn read_services(node: &Node, reader: &mut Reader) -> Option<Vec<ServiceSelection>> {
    let items = reader.list(node, "a list of services");
    if items.is_empty() {
        reader.error_help(&node.span, "no services to poll", "such as {cluster: cls-1, discover: true}");
    }
    let mut seen = HashSet::new();
    Some(items.iter().filter_map(|item| selection(item, &mut seen, reader)).collect())
}

fn services_schema() -> Json {
    let about = "Services of a cluster: discover: true, or namespace and names.";
    let item = map_schema(about, &[&CLUSTER, &DISCOVER, &NAMESPACE, &NAMES]);
    json!({"type": "array", "items": item, "minItems": 1})
}

fn selection(node: &Node, seen: &mut HashSet<[String; 3]>, reader: &mut Reader) -> Option<ServiceSelection> {
    let mut map = reader.map(node, "a map such as {cluster: cls-1, namespace: shop, names: [web]}")?;
    let cluster = CLUSTER.take(&mut map, reader);
    let discover = DISCOVER.take(&mut map, reader);
    let (namespace, names) = (NAMESPACE.node(&mut map, reader), NAMES.node(&mut map, reader));
    let head = map.head();
    map.finish(reader);
    let cluster = cluster?;
    if discover == Some(true) {
        if let Some(node) = namespace.or(names) {
            let help = "leave `namespace` and `names` out, or leave `discover` out";
            reader.error_help(&node.span, "`discover: true` finds every namespace and service", help);
        }
        return Some(ServiceSelection::Discover { cluster: Some(cluster) });
    }
    let (Some(namespace), Some(names)) = (namespace, names) else {
        let help = "name them, or write `discover: true` for every service of the cluster";
        reader.error_help(&head, "`namespace` and `names` are missing", help);
        return None;
    };
    let namespace = NAMESPACE.read(namespace, reader)?;
    let mut chosen = Vec::new();
    for item in reader.one_or_many(names) {
        let Some(name) = Text("a service's name").read(item, reader) else { continue };
        if seen.insert([cluster.clone(), namespace.clone(), name.clone()]) {
            chosen.push(name);
        } else {
            reader.error(&item.span, format!("the service {cluster}/{namespace}/{name} is there twice"));
        }
    }
    Some(ServiceSelection::Named { cluster, namespace, names: chosen })
}

/// Checks whether the allowed rate can hold the wanted interval for `count` known services.
fn check_pace(count: usize, rate: NonZeroU32, poll_every: Duration, node: &Node, reader: &mut Reader) {
    let help = "raise `requests_per_second` if the API allows it, or `poll_every`, or poll fewer services";
    let slower = |round: Duration| {
        format!(
            "{count} services at {rate} requests a second take {} a round, not {} as `poll_every` says",
            human(round),
            human(poll_every)
        )
    };
    match PaceVerdict::of(count, rate, poll_every, MEMORY) {
        PaceVerdict::Holds => {}
        PaceVerdict::Slower(round) => reader.warning_help(&node.span, slower(round), help),
        PaceVerdict::BlindAfter(round) if round <= poll_every => {
            let message = format!(
                "`poll_every` of {} is longer than the API shows events; events older than an hour are lost",
                human(poll_every)
            );
            reader.error_help(&node.span, message, "poll at least once an hour, better once a minute");
        }
        PaceVerdict::BlindAfter(round) => {
            let message = format!("{}; events older than an hour are lost", slower(round));
            reader.error_help(&node.span, message, help);
        }
    }
}

fn human(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_secs() {
        0..120 => format!("{} s", seconds.ceil()),
        120..7200 => format!("{} min", (seconds / 60.0).ceil()),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}
