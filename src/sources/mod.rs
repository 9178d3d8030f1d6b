//! Sources: where event lists come from. Each one reads on its own and reports what it saw as [`SourceEvent`]s; it
//! never diffs and never decides what matters.

pub(crate) mod bounds;
pub mod event_list;
pub(crate) mod loose;
pub(crate) mod poller;
pub mod receipt;
pub mod wall_clock;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use self::receipt::Receipt;
use crate::examine::Checked;
use crate::settings::Draft;
use podbell_core::enrichment::{PodQuestion, PodState};
use podbell_core::event::{Event, Target};
use podbell_core::health::HealthReport;
use podbell_core::metadata::MetadataKey;
use podbell_core::rollout::TemplateReport;
pub use podbell_core::source::{Extent, ObjectName, PartialObservation, Problem, TargetEntry, WatchCoverage};
use podbell_core::time::Time;
use podbell_core::yaml::key::Rows;
use podbell_core::yaml::{MapReader, Reader};

/// How long the API of recordings shows events.
pub const EVENTS_SHOWN: Duration = Duration::from_secs(3600);

/// A kind of source: one row of the registry.
#[derive(Clone, Copy)]
pub struct SourceKind {
    /// `kind:` in podbell.yaml.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// The keys of this kind alone.
    pub keys: Rows,
    /// Whether this podbell was built with it.
    pub is_built: bool,
    /// Reads the keys of this kind, for the source of this name. `sources:` reads the rest of the map.
    pub read: ReadSource,
}

/// Reads the keys of a kind; the name is the source's.
pub type ReadSource = fn(&mut MapReader<'_>, &str, &mut Reader) -> Option<(SourceFacts, Draft<dyn Source>)>;

/// What is known of a source without its secrets.
#[derive(Clone, Debug)]
pub struct SourceFacts {
    /// The zone of the times in its lists.
    pub time_zone: TimeZone,
    /// Whether lists are polled or changes watched, and how often.
    pub rhythm: Rhythm,
    /// In the first list, events younger than this are news.
    pub first_poll_window: Duration,
    /// How long it shows events.
    pub memory: Duration,
    /// What people call its clusters, by id.
    pub aliases: BTreeMap<String, String>,
    /// Which targets it is set up to show.
    pub extent: Extent,
    /// Whether its requests carry the time, so that this machine's clock must be right.
    pub is_dated: bool,
}

/// How lists of events come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// Each is read again and again.
    Polls {
        /// The configured interval.
        every: Duration,
        /// The interval that the allowed rate permits, for the services that are known already.
        really: Duration,
    },
    /// Changes are watched; a watch ends normally after this time.
    Watches(Duration),
}

impl Rhythm {
    /// The configured interval, whatever the allowed rate permits.
    pub(crate) fn wished(self) -> Duration {
        match self {
            Self::Polls { every, .. } => every,
            Self::Watches(period) => period,
        }
    }

    /// The longest time until something new is seen, or known to be absent.
    pub(crate) fn interval(self) -> Duration {
        match self {
            Self::Polls { really, .. } => really,
            Self::Watches(period) => period,
        }
    }
}

/// Runs a source until the token is cancelled.
pub type SourceTask = Box<dyn FnOnce(mpsc::Sender<SourceEvent>, CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// The labels and annotations that the rules in force look at; changes with a reload.
pub type WantedMetadata = watch::Receiver<BTreeSet<MetadataKey>>;

/// A source, ready for use.
pub trait Source: fmt::Debug + Send + Sync {
    /// The task that reads it, until it is told to stop. `wanted`: which labels and annotations of objects it says, if
    /// it knows them.
    fn task(self: Arc<Self>, http: reqwest::Client, wanted: WantedMetadata) -> SourceTask;

    /// Whether it can be read.
    fn examine<'a>(&'a self, http: &'a reqwest::Client) -> BoxFuture<'a, Checked>;

    /// Whether it can say more of a pod, and may.
    fn enriches(&self) -> bool {
        false
    }

    /// How a pod is, if it can say that.
    fn enrich<'a>(&'a self, _: &'a PodQuestion) -> BoxFuture<'a, Option<PodState>> {
        Box::pin(std::future::ready(None))
    }
}

/// A target's list, read.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Its events.
    pub events: Vec<Event<'static>>,
    /// How many of its entries could not be understood.
    pub unusable: usize,
}

/// What a source reports.
#[derive(Clone, Debug)]
pub enum SourceEvent {
    /// The services that the source watches from now on. Sent once at start for configured
    /// services, and after every discovery.
    TargetList {
        /// The source's name.
        source: Arc<str>,
        /// All of them.
        targets: Vec<TargetEntry>,
        /// Whether the list is complete. A discovery that was cut off is not, and deletes nothing. Neither is the
        /// list of configured services that a discovering source sends at start.
        complete: bool,
    },
    /// A target was read.
    Polled {
        /// Which.
        target: Target,
        /// When the answer was complete.
        at: Time,
        /// The whole list.
        events: Vec<Event<'static>>,
    },
    /// Entries of a target's list that could not be understood, in the poll before this. Sent again only when their
    /// number changes.
    Unusable {
        /// Of which target.
        target: Target,
        /// When this became known.
        at: Time,
        /// How many; 0 when all is well again.
        entries: usize,
    },
    /// A target could not be read. Nothing is known of its events.
    Failed {
        /// Which.
        target: Target,
        /// When this became known.
        at: Time,
        /// Why.
        error: Problem,
    },
    /// A discovery failed, wholly or for some clusters. The list of targets before this has what it did find. A
    /// later complete list ends the trouble.
    DiscoveryFailed {
        /// The source's name.
        source: Arc<str>,
        /// When this became known.
        at: Time,
        /// Why.
        error: Problem,
    },
    /// A watching source saw events.
    PartialObservation {
        /// When.
        at: Time,
        /// Whether each of these is its target's whole list, not only what changed.
        whole: bool,
        /// By target.
        lists: Vec<PartialObservation>,
        /// Tells the source whether they were stored.
        receipt: Receipt,
    },
    /// All lists of a watch were handed in.
    ListCompleted {
        /// What it covers.
        covers: WatchCoverage,
        /// As of when.
        at: Time,
        /// The targets that had events.
        shown: Vec<Target>,
        /// Tells the source whether it was stored.
        receipt: Receipt,
    },
    /// A watch has missed nothing so far. Sent now and then, because time without events counts as silence only if
    /// it was watched.
    WatchProgress {
        /// What it covers.
        covers: WatchCoverage,
        /// Up to when nothing was missed.
        at: Time,
        /// What was handed in before it.
        receipt: Receipt,
    },
    /// Objects were deleted: nothing about them continues.
    Deleted {
        /// The source's name.
        source: Arc<str>,
        /// When this became known.
        at: Time,
        /// Which.
        objects: Vec<ObjectName>,
    },
    /// The health of workloads.
    Health {
        /// When this became known.
        at: Time,
        /// Of those that changed. Incidents of workloads without a report, or with one of an unknown state, end by events and
        /// silence.
        reports: Vec<HealthReport>,
    },
    /// What a source said of a pod whose incident had opened.
    Enriched {
        /// The incident's number.
        incident: u64,
        /// When this became known.
        at: Time,
        /// How the pod is.
        state: Box<PodState>,
    },
    /// What workloads run.
    Templates {
        /// When this became known.
        at: Time,
        /// Of those that are new or changed.
        reports: Vec<TemplateReport>,
    },
    /// A watch broke and could not be resumed.
    WatchFailed {
        /// What it covers.
        covers: WatchCoverage,
        /// When this became known.
        at: Time,
        /// Why.
        error: Problem,
    },
}
