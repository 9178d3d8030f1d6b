//! A checked rule: every field has its meaning and its default, nothing is left to validate.

pub(crate) mod condition;
pub(crate) mod literals;
pub(crate) mod pattern;
pub mod quiet;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metadata::MetadataKey;
use crate::template::Template;

pub use condition::{Conditions, EventFields};
pub use pattern::{Pattern, PatternError};
use quiet::{Active, Inhibit};

/// The name of a destination, a notifier of podbell.yaml.
pub type Destination = Arc<str>;

/// What a rule is known by across restarts and reloads: its file and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Rule")]
pub struct RuleKey {
    /// The rule file, as podbell.yaml names it after expanding globs.
    pub file: Arc<str>,
    /// The rule's `name`.
    pub name: Arc<str>,
}

impl fmt::Display for RuleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.name)
    }
}

/// How urgent an incident is, from `info` to `critical`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look.
    #[default]
    Warning,
    /// Somebody must look now.
    Critical,
}

impl Severity {
    /// The word of rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What opens an incident: a number of occurrences within a time, or a trouble that lasts; whichever is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OpenWhen {
    /// At least 1, at most 10,000; `None`: occurrences are not counted, and `lasts` is there.
    pub count: Option<u32>,
    /// The sliding window. Meaningless (zero) when `count` is 1 or absent.
    pub within: Duration,
    /// What is counted together.
    pub per: CountScope,
    /// How long a trouble must last. Its end was not reported since the first occurrence or, where ends are not
    /// reported, occurrences of one object went on.
    pub lasts: Option<Duration>,
    /// The age at which an object counts: what happens to a younger one counts only if it is still there by then. Never
    /// there without `count`, at most [`LONGEST_SETTLED`].
    pub settled: Option<Duration>,
}

/// The longest `settled`: how old an object is can be told as long as the events of its start are shown.
pub(crate) const LONGEST_SETTLED: Duration = Duration::from_secs(3600);

impl OpenWhen {
    /// The first occurrence opens.
    pub const AT_ONCE: Self =
        Self { count: Some(1), within: Duration::ZERO, per: CountScope::Group, lasts: None, settled: None };

    /// Whether the first occurrence opens.
    pub fn at_once(&self) -> bool {
        self.count == Some(1) && self.settled.is_none()
    }
}

/// Which occurrences `open_when` counts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum CountScope {
    /// Those of the whole group.
    #[default]
    Group,
    /// Those of one object.
    Object,
}

/// What ends an incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum EndsBy {
    /// The event that ends its trouble, if there is such an event and its source shows it; else silence.
    #[default]
    Event,
    /// Silence alone.
    Silence,
}

/// A fact of an event, which rules match and by which they group changes into incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The source's name.
    Source,
    /// The cluster's id.
    Cluster,
    /// The namespace.
    Namespace,
    /// The service's name.
    Service,
    /// The object's name without generated suffixes.
    Workload,
    /// Kind of object.
    ObjType,
    /// Name of the object.
    ObjName,
    /// The event's reason.
    Reason,
    /// The event's level.
    Level,
    /// The event's message.
    Message,
    /// The node that the object is, or is on.
    Node,
    /// A label or an annotation of the object, its owner or its namespace.
    Metadata(MetadataKey),
}

/// The counts at which an open incident is notified of again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum CountSteps {
    /// 100, 1,000, 10,000 and so on.
    Decades,
    /// Exactly these, ascending.
    Listed(Vec<u64>),
}

/// When an open incident is notified of again because it got worse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Escalate {
    /// Steps of occurrences.
    pub counts: CountSteps,
    /// Steps of distinct objects within the last hour, ascending.
    pub objects: Vec<u64>,
    /// Whether a new reason or kind of message is notified of.
    pub news: bool,
}

/// Destinations that a fact of the event chooses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Routing {
    /// The fact.
    pub by: Field,
    /// The destinations of its values.
    pub map: BTreeMap<String, Vec<Destination>>,
    /// The destinations of every other value, and where the fact is not known.
    pub default: Vec<Destination>,
}

impl Routing {
    /// All destinations that it names, none twice.
    pub(crate) fn destinations(&self) -> Vec<Destination> {
        let mut all: Vec<Destination> = Vec::new();
        for name in self.map.values().flatten().chain(&self.default) {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        all
    }
}

/// Who is told of an open incident that nobody acknowledges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnacknowledgedStep {
    /// How long after it opened or reopened.
    pub after: Duration,
    /// The destinations; never empty, no duplicates.
    pub notify: Vec<Destination>,
}

/// Everything that a checked rule says, except its conditions.
#[derive(Clone, Debug, Serialize)]
pub struct RuleSettings {
    /// Identity.
    pub key: RuleKey,
    /// How urgent its incidents are.
    pub severity: Severity,
    /// When an incident opens (and reopens).
    pub open_when: OpenWhen,
    /// The fields whose values identify an incident; never empty.
    pub group_by: Vec<Field>,
    /// How long changes are collected before the first notice.
    pub group_wait: Duration,
    /// The least time between two notices, except those of opened and resolved.
    pub min_gap: Duration,
    /// When it escalates.
    pub escalate: Escalate,
    /// Observed silence after which an incident is over.
    pub resolve_after: Duration,
    /// How long its workloads must be ready before it is over, where that is known.
    pub recovered_after: Duration,
    /// What ends it.
    pub until: EndsBy,
    /// Rules of one file with the same family share their open incidents.
    pub family: Option<Arc<str>>,
    /// How long after its end it can come back as the same incident.
    pub reopen_within: Duration,
    /// How often there is a reminder of an open incident; `None`: never.
    pub remind_every: Option<Duration>,
    /// Whether its end is sent.
    pub send_resolved: bool,
    /// The hours in which it notifies; `None`: always.
    pub active: Option<Active>,
    /// The rules that are held back while its incidents are open.
    pub inhibits: Vec<Inhibit>,
    /// Its destinations; never empty, no duplicates. With `routing` all that it could choose.
    pub notify: Vec<Destination>,
    /// How a change chooses among its destinations; `None`: it goes to all of them.
    pub routing: Option<Routing>,
    /// Who else is told while nobody acknowledges an incident; `after` grows.
    pub unacknowledged: Vec<UnacknowledgedStep>,
    /// Whom to mention, by severity.
    pub mention: BTreeMap<Severity, Vec<String>>,
    /// The address of the runbook.
    pub runbook: Option<String>,
    /// The team's own facts, which are sent to webhooks and shown in messages.
    pub labels: BTreeMap<String, String>,
    /// The team's own template; what it does not say is left to the destination.
    pub template: Template,
}

impl RuleSettings {
    /// The destinations of an event with these facts.
    pub(crate) fn notify_of(&self, facts: &EventFields<'_>) -> &[Destination] {
        match &self.routing {
            Some(Routing { by, map, default }) => map.get(facts.text(*by)).unwrap_or(default),
            None => &self.notify,
        }
    }

    /// All destinations that may be told of its incidents; some may be there twice.
    pub fn destinations(&self) -> impl Iterator<Item = &Destination> {
        self.notify.iter().chain(self.unacknowledged.iter().flat_map(|step| &step.notify))
    }
}

/// What a rule does with what it matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Action {
    /// Claims its destinations.
    #[default]
    Notify,
    /// Ends the reading within its own entry of podbell.yaml.
    Ignore,
}

/// A checked rule: its settings and what it looks at.
#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    /// What it does when it matches.
    pub action: Action,
    /// How it opens, groups, notifies of and ends incidents. Of an `ignore` rule only the key counts.
    pub settings: RuleSettings,
    /// All must fit. Holds a condition on `level`, unless it is meant to match every level.
    pub matching: Conditions,
    /// None of them may fit.
    pub except: Vec<Conditions>,
    /// What keeps an incident open but never opens one; `None` for nothing.
    pub sustain: Option<Conditions>,
    /// The scopes of its file and of its entry in podbell.yaml: all must fit.
    pub scopes: Vec<Conditions>,
    /// Which item of the `rules:` list of podbell.yaml it belongs to: `ignore` ends there.
    pub entry: u32,
}

impl Rule {
    /// A rule that notifies of every Warning, to be narrowed.
    pub fn new(settings: RuleSettings) -> Self {
        Self {
            action: Action::Notify,
            settings,
            matching: Conditions::any().with(Field::Level, vec![Pattern::exactly("Warning")]),
            except: Vec::new(),
            sustain: Some(Self::default_sustain()),
            scopes: Vec::new(),
            entry: 0,
        }
    }

    /// The kubelet writes "Back-off pulling image" and "Pulling image" as Normal while its Warnings starve
    /// in the spam filter: without this a two-hour image problem reads as resolved after 18 minutes.
    pub(crate) fn default_sustain() -> Conditions {
        Conditions::any()
            .with(Field::Level, vec![Pattern::exactly("Normal")])
            .with(Field::Reason, ["BackOff", "Pulling", "操作重试"].map(Pattern::exactly).to_vec())
    }
}
