//! `kind: kubernetes` of `sources:`.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::covers;
use crate::settings::Draft;
use crate::settings::keys::{ALIASES, FIRST_POLL_WINDOW, FilePath};
use crate::sources::{Rhythm, Source, SourceFacts, SourceKind};
use podbell_core::source::Extent;
use podbell_core::yaml::key::{AtLeast, Bool, Custom, Key, OneOf, OneOrMany, Text};
use podbell_core::yaml::{MapReader, Node, Reader};

const KUBECONFIG: Key<FilePath> = Key::optional(
    "kubeconfig",
    FilePath { what: "the path of a kubeconfig", stdin: false },
    "A kubeconfig; several clusters are several sources [default: the cluster that podbell runs in, else the user's own kubeconfig].",
);
const CONTEXT: Key<Text> = Key::optional(
    "context",
    Text("a context of the kubeconfig"),
    "One of its contexts [default: its current context].",
);
const CLUSTER: Key<Text> = Key::optional(
    "cluster",
    Text("what messages call the cluster"),
    "What rules and messages call the cluster [default: the context, else the source's name].",
);
const NAMESPACES: Key<Custom<Vec<String>>> = Key::optional(
    "namespaces",
    Custom { read: namespaces, schema: namespaces_schema },
    "What is watched: a name or a list of names [default: every namespace].",
);
const SERVICE_LABELS: Key<OneOrMany<Text>> = Key::optional(
    "service_labels",
    OneOrMany(Text("the key of a label, such as app")),
    "Labels that name a service, the first that is there counts [default: `qcloud-app`, `k8s-app`, `app.kubernetes.io/name`, `app`].",
);
const WATCH_FOR: Key<AtLeast> = Key::with_default(
    "watch_for",
    AtLeast(Duration::from_secs(5)),
    "30s",
    "How long one watch lasts, at least `5s`: its end proves that nothing was missed.",
);
const EVENT_TTL: Key<AtLeast> = Key::with_default(
    "event_ttl",
    AtLeast(Duration::from_secs(60)),
    "1h",
    "How long the API server keeps events (its `--event-ttl`): if podbell could not read them for longer, it says that events may have been missed.",
);
const WATCH_LIST: Key<Bool> = Key::with_default(
    "watch_list",
    Bool,
    "false",
    "Whether the first list comes as a watch, from servers that can (1.32 and later).",
);

const ENRICH: Key<OneOf<Ask>> = Key::with_default(
    "enrich",
    OneOf("what is asked of pods", &[("state", Ask::State), ("logs", Ask::Logs), ("off", Ask::Off)]),
    "state",
    "What a message says of the pod whose incident has opened: `state` (how its containers are), `logs` (and the last 20 lines, secrets masked, for notifiers with `logs: true`), or `off`.",
);

/// What is asked of pods.
#[derive(Clone, Copy, Debug)]
enum Ask {
    State,
    Logs,
    Off,
}

/// Its registry row.
pub const SOURCE: SourceKind = SourceKind {
    name: "kubernetes",
    about: "A Kubernetes cluster.",
    keys: &[
        &KUBECONFIG,
        &CONTEXT,
        &CLUSTER,
        &NAMESPACES,
        &SERVICE_LABELS,
        &WATCH_FOR,
        &EVENT_TTL,
        &WATCH_LIST,
        &ENRICH,
        &FIRST_POLL_WINDOW,
        &ALIASES,
    ],
    is_built: cfg!(feature = "kubernetes"),
    read,
};

fn read(map: &mut MapReader<'_>, name: &str, reader: &mut Reader) -> Option<(SourceFacts, Draft<dyn Source>)> {
    let kubeconfig = KUBECONFIG.take(map, reader);
    let context = CONTEXT.take(map, reader);
    let cluster = CLUSTER.take(map, reader);
    let namespaces = NAMESPACES.take(map, reader).unwrap_or_default();
    let labels = SERVICE_LABELS.take(map, reader);
    let watch_for = WATCH_FOR.take(map, reader);
    let memory = EVENT_TTL.take(map, reader);
    let watch_list = WATCH_LIST.take(map, reader);
    let enrich = ENRICH.take(map, reader);
    let first_poll_window = FIRST_POLL_WINDOW.take(map, reader);
    let facts = SourceFacts {
        time_zone: TimeZone::UTC,
        rhythm: Rhythm::Watches(watch_for?),
        first_poll_window: first_poll_window?,
        memory: memory?,
        aliases: ALIASES.take(map, reader).unwrap_or_default(),
        extent: Extent::Covered(covers(&name.into(), &namespaces)),
        is_dated: false,
    };
    let cluster = cluster.or_else(|| context.clone()).unwrap_or_else(|| name.to_owned());
    let said = KubernetesKeys {
        name: name.to_owned(),
        cluster,
        kubeconfig,
        context,
        namespaces,
        labels,
        watch_list: watch_list?,
        enrich: enrich?,
    };
    let draft = said.draft(&facts);
    Some((facts, draft))
}

/// The keys of this kind, as read.
#[cfg_attr(not(feature = "kubernetes"), expect(dead_code, reason = "read by the source alone"))]
struct KubernetesKeys {
    name: String,
    cluster: String,
    kubeconfig: Option<std::path::PathBuf>,
    context: Option<String>,
    namespaces: Vec<String>,
    labels: Option<Vec<String>>,
    watch_list: bool,
    enrich: Ask,
}

impl KubernetesKeys {
    #[cfg(feature = "kubernetes")]
    fn draft(self, facts: &SourceFacts) -> Draft<dyn Source> {
        use std::sync::Arc;

        use super::settings::{Enrich, KubernetesConfig, Timing};
        use super::watch::KubernetesSource;

        let mut config = KubernetesConfig::new(&self.name);
        config.cluster = self.cluster.into();
        config.kubeconfig = self.kubeconfig;
        config.context = self.context;
        config.namespaces = self.namespaces;
        config.service_labels = self.labels.unwrap_or(config.service_labels);
        config.event_ttl = facts.memory;
        config.watch_list = self.watch_list;
        config.enrich = match self.enrich {
            Ask::State => Enrich::State,
            Ask::Logs => Enrich::Logs,
            Ask::Off => Enrich::Off,
        };
        config.timing = Timing { watch_for: facts.rhythm.interval(), ..Timing::default() };
        Draft::<dyn Source>::new(move |_| Some(Arc::new(KubernetesSource::new(config))))
    }

    /// Reading refuses this kind, see [`SourceKind::is_built`].
    #[cfg(not(feature = "kubernetes"))]
    fn draft(self, _: &SourceFacts) -> Draft<dyn Source> {
        Draft::new(|_| None)
    }
}

fn is_namespace(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len()) && name.chars().all(fine)
}

/// Reads namespaces, each at most once. They become parts of addresses.
fn namespaces(node: &Node, reader: &mut Reader) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    let items = reader.one_or_many(node);
    if items.is_empty() {
        reader.error_help(&node.span, "no namespace to watch", "leave `namespaces` out to watch all of them");
    }
    for item in items {
        let Some(name) = reader.text(item, "a namespace") else { continue };
        if !is_namespace(name) {
            let help = "write its whole name; patterns belong into rules";
            reader.error_help(&item.span, format!("`{name}` cannot be the name of a namespace"), help);
        } else if names.iter().any(|known| known == name) {
            reader.error(&item.span, format!("the namespace {name} is there twice"));
        } else {
            names.push(name.to_owned());
        }
    }
    Some(names)
}

fn namespaces_schema() -> Json {
    let one = json!({"type": ["string", "integer"], "pattern": "^[a-z0-9-]{1,63}$"});
    json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
}
