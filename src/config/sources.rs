//! `sources:` of podbell.yaml to [`SourceConfig`]s.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use url::Url;

use super::secret::SecretRef;
use super::{FileConfig, KubernetesConfig, QcloudConfig, ServiceSelection, SignatureMethod, SourceConfig};
use crate::sources::poller::PaceVerdict;
use crate::sources::qcloud::MEMORY;
use podbell_core::yaml::{MapReader, Node, Reader};
use podbell_core::zone;

/// Labels that name a service, the first that is there counts. `qcloud-app` is what the old console wrote.
const SERVICE_LABELS: [&str; 4] = ["qcloud-app", "k8s-app", "app.kubernetes.io/name", "app"];

const ENDPOINT: &str = "https://ccs.api.qcloud.com/v2/index.php";

#[derive(Clone, Copy)]
enum Kind {
    Qcloud,
    Kubernetes,
    File,
}

const KINDS: [(&str, Kind); 3] = [("qcloud", Kind::Qcloud), ("kubernetes", Kind::Kubernetes), ("file", Kind::File)];

/// Reads `sources:`.
pub fn read(node: &Node, folder: &Path, reader: &mut Reader) -> Vec<SourceConfig<SecretRef>> {
    let mut names = HashSet::new();
    let items = reader.list(node, "a list of sources");
    items.iter().filter_map(|item| source(item, folder, &mut names, reader)).collect()
}

fn source(
    node: &Node,
    folder: &Path,
    names: &mut HashSet<String>,
    reader: &mut Reader,
) -> Option<SourceConfig<SecretRef>> {
    let mut map = reader.map(node, "a source: a map with `name:` and `kind:`")?;
    let name = name(&mut map, names, reader);
    let kind = map.need("kind", reader).map(|node| (node, reader.word(node, "a kind of source", &KINDS)));
    let (kind_node, kind) = kind?;
    match kind? {
        Kind::Qcloud => qcloud(map, name, folder, reader).map(SourceConfig::Qcloud),
        Kind::File => file(map, name, folder, reader).map(SourceConfig::File),
        Kind::Kubernetes if !cfg!(feature = "kubernetes") => {
            let help = "build podbell with its default features";
            reader.error_help(&kind_node.span, "this podbell was built without `kubernetes`", help);
            None
        }
        Kind::Kubernetes => kubernetes(map, name, folder, reader).map(SourceConfig::Kubernetes),
    }
}

/// The name of a source or notifier: there, short, and no other's.
pub fn name(map: &mut MapReader<'_>, names: &mut HashSet<String>, reader: &mut Reader) -> String {
    let Some(node) = map.need("name", reader) else { return String::new() };
    let name = reader.text(node, "a name").unwrap_or_default().to_owned();
    let fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.chars().all(fine) || name.len() > 64 {
        let help = "use letters, digits, `-`, `_` and `.`, at most 64";
        reader.error_help(&node.span, format!("`{name}` cannot be a name"), help);
    } else if !name.is_empty() && !names.insert(name.clone()) {
        reader.error_help(&node.span, format!("the name `{name}` is there twice"), "give each its own name");
    }
    name
}

/// A time zone by its name in the IANA database.
pub fn time_zone(node: &Node, reader: &mut Reader) -> Option<TimeZone> {
    let name = reader.text(node, "a time zone such as Asia/Shanghai")?;
    match zone::named(name) {
        Ok(zone) => Some(zone),
        Err(help) => {
            reader.error_help(&node.span, format!("unknown time zone `{name}`"), help);
            None
        }
    }
}

/// An http(s) address that is no secret.
pub fn address(node: &Node, reader: &mut Reader) -> Option<Url> {
    let text = reader.text(node, "an address such as https://podbell.example.com")?;
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => Some(url),
        _ => {
            reader.error_help(&node.span, format!("`{text}` is no http(s) address"), "begin it with https://");
            None
        }
    }
}

fn qcloud(mut map: MapReader<'_>, name: String, folder: &Path, reader: &mut Reader) -> Option<QcloudConfig<SecretRef>> {
    let place = |key: &str| format!("sources: {name}: {key}");
    let endpoint = map.take("endpoint").map_or_else(|| Url::parse(ENDPOINT).ok(), |node| address(node, reader));
    let region = map.need("region", reader).and_then(|node| reader.text(node, "a region")).map(str::to_owned);
    let id = map.need("secret_id", reader);
    let id = id.and_then(|node| SecretRef::read(node, place("secret_id"), folder, reader));
    let key = map.need("secret_key", reader);
    let key = key.and_then(|node| SecretRef::read(node, place("secret_key"), folder, reader));
    let token = map.take("token").and_then(|node| SecretRef::read(node, place("token"), folder, reader));
    let methods = [("HmacSHA256", SignatureMethod::HmacSha256), ("HmacSHA1", SignatureMethod::HmacSha1)];
    let method = map.take("signature_method").and_then(|node| reader.word(node, "a signature method", &methods));
    let zone =
        map.take("time_zone").map_or_else(|| TimeZone::get("Asia/Shanghai").ok(), |node| time_zone(node, reader));
    let poll_every = poll_every(&mut map, reader);
    let rate = map.take("requests_per_second").map_or(Some(10), |node| reader.number(node, 1..1001));
    let window = first_poll_window(&mut map, reader);
    let aliases = aliases(&mut map, reader);
    let services_node = map.need("services", reader);
    let services = services_node.map(|node| services(node, reader)).unwrap_or_default();
    map.finish(reader);
    if let (Some(rate), Some(node)) = (rate, services_node) {
        check_pace(&services, rate, poll_every, node, reader);
    }
    Some(QcloudConfig {
        endpoint: endpoint?,
        region: region?,
        secret_id: id?,
        secret_key: key?,
        token,
        signature_method: method.unwrap_or_default(),
        time_zone: zone?,
        poll_every,
        requests_per_second: u32::try_from(rate?).ok()?,
        first_poll_window: window,
        aliases,
        services,
        name,
    })
}

fn kubernetes(mut map: MapReader<'_>, name: String, folder: &Path, reader: &mut Reader) -> Option<KubernetesConfig> {
    let kubeconfig = map.take("kubeconfig").and_then(|node| kubeconfig(node, folder, reader));
    let context = map.take("context").and_then(|node| reader.text(node, "a context of the kubeconfig"));
    let cluster = map.take("cluster").and_then(|node| reader.text(node, "what messages call the cluster"));
    let namespaces = map.take("namespaces").map(|node| namespaces(node, reader)).unwrap_or_default();
    let labels = map.take("service_labels").map(|node| labels(node, reader));
    let watch_for = map.take("watch_for").and_then(|node| reader.duration(node, Duration::from_secs(5)));
    let event_ttl = map.take("event_ttl").and_then(|node| reader.duration(node, Duration::from_secs(60)));
    let watch_list = map.take("watch_list").and_then(|node| reader.truth(node));
    let first_poll_window = first_poll_window(&mut map, reader);
    let aliases = aliases(&mut map, reader);
    map.finish(reader);
    let cluster = cluster.or(context).unwrap_or(&name).to_owned();
    Some(KubernetesConfig {
        cluster,
        kubeconfig,
        context: context.map(str::to_owned),
        namespaces,
        service_labels: labels.unwrap_or_else(|| SERVICE_LABELS.map(str::to_owned).to_vec()),
        watch_for: watch_for.unwrap_or(Duration::from_secs(60)),
        event_ttl: event_ttl.unwrap_or(Duration::from_secs(3600)),
        watch_list: watch_list.unwrap_or_default(),
        first_poll_window,
        aliases,
        name,
    })
}

/// The path of a kubeconfig. It may come later.
fn kubeconfig(node: &Node, folder: &Path, reader: &mut Reader) -> Option<PathBuf> {
    let text = reader.text(node, "the path of a kubeconfig")?;
    let path = folder.join(text);
    if !path.exists() {
        let help = "paths are relative to the folder of podbell.yaml; until it is there, podbell tells of trouble";
        reader.warning_help(&node.span, format!("there is no file {text} yet"), help);
    }
    Some(path)
}

/// Namespaces, each once: they become parts of addresses.
fn namespaces(node: &Node, reader: &mut Reader) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let items = reader.one_or_many(node);
    if items.is_empty() {
        reader.error_help(&node.span, "no namespace to watch", "leave `namespaces` out to watch all of them");
    }
    for item in items {
        let Some(name) = reader.text(item, "a namespace") else { continue };
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 63 || !name.chars().all(fine) {
            let help = "write its whole name; patterns belong into rules";
            reader.error_help(&item.span, format!("`{name}` cannot be the name of a namespace"), help);
        } else if names.iter().any(|known| known == name) {
            reader.error(&item.span, format!("the namespace {name} is there twice"));
        } else {
            names.push(name.to_owned());
        }
    }
    names
}

fn labels(node: &Node, reader: &mut Reader) -> Vec<String> {
    let items = reader.one_or_many(node);
    items.iter().filter_map(|item| reader.text(item, "the key of a label, such as app")).map(str::to_owned).collect()
}

fn file(mut map: MapReader<'_>, name: String, folder: &Path, reader: &mut Reader) -> Option<FileConfig> {
    let path = map.need("path", reader).and_then(|node| recording(node, folder, reader));
    let zone = map.take("time_zone").map_or(Some(TimeZone::UTC), |node| time_zone(node, reader));
    let poll_every = poll_every(&mut map, reader);
    let first_poll_window = first_poll_window(&mut map, reader);
    let aliases = aliases(&mut map, reader);
    map.finish(reader);
    Some(FileConfig { name, path: path?, time_zone: zone?, poll_every, first_poll_window, aliases })
}

/// The path of a recording; `-` is standard input. It may come later.
fn recording(node: &Node, folder: &Path, reader: &mut Reader) -> Option<PathBuf> {
    let text = reader.text(node, "the path of a recording")?;
    if text == "-" {
        return Some(PathBuf::from(text));
    }
    let path = folder.join(text);
    if !path.exists() {
        let help = "paths are relative to the folder of podbell.yaml; until it is there, podbell tells of trouble";
        reader.warning_help(&node.span, format!("there is no file {text} yet"), help);
    }
    Some(path)
}

fn poll_every(map: &mut MapReader<'_>, reader: &mut Reader) -> Duration {
    let said = map.take("poll_every").and_then(|node| reader.duration(node, Duration::from_secs(1)));
    said.unwrap_or(Duration::from_secs(60))
}

fn first_poll_window(map: &mut MapReader<'_>, reader: &mut Reader) -> Duration {
    let said = map.take("first_poll_window").and_then(|node| reader.duration(node, Duration::ZERO));
    said.unwrap_or(Duration::from_secs(600))
}

fn aliases(map: &mut MapReader<'_>, reader: &mut Reader) -> BTreeMap<String, String> {
    let Some(map) = map.take("aliases").and_then(|node| reader.map(node, "a map such as {cls-1: prod}")) else {
        return BTreeMap::new();
    };
    let pairs = map.pairs().iter();
    pairs
        .filter_map(|(key, value)| Some((key.text()?.to_owned(), reader.text(value, "what people read")?.to_owned())))
        .collect()
}

fn services(node: &Node, reader: &mut Reader) -> Vec<ServiceSelection> {
    let items = reader.list(node, "a list of services");
    if items.is_empty() {
        reader.error_help(&node.span, "no services to poll", "such as {cluster: cls-1, discover: true}");
    }
    let mut seen = HashSet::new();
    items.iter().filter_map(|item| selection(item, &mut seen, reader)).collect()
}

fn selection<'n>(node: &'n Node, seen: &mut HashSet<[&'n str; 3]>, reader: &mut Reader) -> Option<ServiceSelection> {
    let mut map = reader.map(node, "a map such as {cluster: cls-1, namespace: shop, names: [web]}")?;
    let cluster = map.need("cluster", reader).and_then(|node| reader.text(node, "a cluster's id"));
    let discover = map.take("discover").map(|node| (node, reader.truth(node)));
    let (namespace, names) = (map.take("namespace"), map.take("names"));
    let head = map.head();
    map.finish(reader);
    let cluster = cluster?;
    if let Some((_, Some(true))) = discover {
        if let Some(node) = namespace.or(names) {
            let help = "leave `namespace` and `names` out, or leave `discover` out";
            reader.error_help(&node.span, "`discover: true` finds every namespace and service", help);
        }
        return Some(ServiceSelection::Discover { cluster: Some(cluster.to_owned()) });
    }
    let (Some(namespace), Some(names)) = (namespace, names) else {
        let help = "name them, or write `discover: true` for every service of the cluster";
        reader.error_help(&head, "`namespace` and `names` are missing", help);
        return None;
    };
    let namespace = reader.text(namespace, "a namespace")?;
    let mut chosen = Vec::new();
    for item in reader.one_or_many(names) {
        let Some(name) = reader.text(item, "a service's name") else { continue };
        if seen.insert([cluster, namespace, name]) {
            chosen.push(name.to_owned());
        } else {
            reader.error(&item.span, format!("the service {cluster}/{namespace}/{name} is there twice"));
        }
    }
    Some(ServiceSelection::Named { cluster: cluster.to_owned(), namespace: namespace.to_owned(), names: chosen })
}

/// Whether the allowed rate can hold the wanted pace, of the services that are known already.
fn check_pace(services: &[ServiceSelection], rate: u64, poll_every: Duration, node: &Node, reader: &mut Reader) {
    let named = services.iter().map(|selection| match selection {
        ServiceSelection::Named { names, .. } => names.len(),
        ServiceSelection::Discover { .. } => 0,
    });
    let count: usize = named.sum();
    let rate_limit = u32::try_from(rate).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let help = "raise `requests_per_second` if the API allows it, or `poll_every`, or poll fewer services";
    let slower = |round: Duration| {
        format!(
            "{count} services at {rate} requests a second take {} a round, not {} as `poll_every` says",
            human(round),
            human(poll_every)
        )
    };
    match PaceVerdict::of(count, rate_limit, poll_every, MEMORY) {
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
