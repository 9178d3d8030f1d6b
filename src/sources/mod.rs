//! Sources: where event lists come from. Each one polls on its own and says what it saw as
//! [`SourceEvent`]s; it never diffs and never decides what matters.

pub(crate) mod bounds;
pub mod event_list;
pub(crate) mod loose;
pub mod poller;
pub mod receipt;
pub mod wall_clock;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};

pub use self::receipt::Receipt;
use crate::examine::Checked;
use crate::settings::Draft;
use crate::tasks::BoxFuture;
use crate::tasks::Waiting;
use podbell_core::event::{Event, Target};
pub use podbell_core::source::{Covers, ObjectName, PartialObservation, Problem, TargetEntry};
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
    /// The keys of its own.
    pub keys: Rows,
    /// Whether this podbell was built with it.
    pub is_built: bool,
    /// Reads the keys of its own, of the source of this name. The rest of the map belongs to `sources:`.
    pub read: ReadSource,
}

/// Reads the keys of a kind's own; the name is the source's.
pub type ReadSource = fn(&mut MapReader<'_>, &str, &mut Reader) -> Option<(SourceFacts, Draft<dyn Source>)>;

/// What is known of a source without its secrets.
#[derive(Clone, Debug)]
pub struct SourceFacts {
    /// The zone of the times in its lists.
    pub time_zone: TimeZone,
    /// How lists come.
    pub rhythm: Rhythm,
    /// Below this age an event of the first list is news.
    pub first_poll_window: Duration,
    /// How long it shows events.
    pub memory: Duration,
    /// What people call its clusters, by id.
    pub aliases: BTreeMap<String, String>,
    /// Whether its requests carry the time, so that this machine's clock must be right.
    pub is_dated: bool,
}

/// How lists of events come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// Each is read again and again.
    Polls {
        /// As wished.
        every: Duration,
        /// As often as the allowed rate lets it be, of the services that are known already.
        really: Duration,
    },
    /// Changes are watched; a watch ends in order after so long.
    Watches(Duration),
}

impl Rhythm {
    /// The interval as wished, whatever the allowed rate lets it be.
    pub fn wished(self) -> Duration {
        match self {
            Self::Polls { every, .. } => every,
            Self::Watches(period) => period,
        }
    }

    /// How long at most until something new is seen, or known not to be there.
    pub fn interval(self) -> Duration {
        match self {
            Self::Polls { really, .. } => really,
            Self::Watches(period) => period,
        }
    }
}

/// Runs a source until the watch turns true.
pub type SourceTask = Box<dyn FnOnce(mpsc::Sender<SourceEvent>, watch::Receiver<bool>) -> BoxFuture<()> + Send>;

/// A source, ready for use.
pub trait Source: fmt::Debug + Send + Sync {
    /// What reads it, until it is told to stop.
    fn task(self: Arc<Self>, http: reqwest::Client) -> SourceTask;

    /// Whether it can be read.
    fn examine<'a>(&'a self, http: &'a reqwest::Client) -> Waiting<'a, Checked>;
}

/// A target's list, read.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Its events.
    pub events: Vec<Event<'static>>,
    /// How many of its entries could not be understood.
    pub unusable: usize,
}

/// What a source says.
#[derive(Clone, Debug)]
pub enum SourceEvent {
    /// The services that the source watches from now on. Sent once at start for configured
    /// services, and after every discovery.
    TargetList {
        /// The source's name.
        source: Arc<str>,
        /// All of them.
        targets: Vec<TargetEntry>,
        /// Whether this is all there is: a discovery that was cut off is not, and deletes nothing.
        /// The roster of configured services that a discovering source sends at start is not, either.
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
    /// Entries of a target's list that could not be understood, in the poll before this; said again only when
    /// their number changes.
    Unusable {
        /// Of which target.
        target: Target,
        /// When that was clear.
        at: Time,
        /// How many; 0 when all is well again.
        entries: usize,
    },
    /// A target could not be read. Nothing is known of its events.
    Failed {
        /// Which.
        target: Target,
        /// When that was clear.
        at: Time,
        /// Why.
        error: Problem,
    },
    /// A discovery failed, wholly or for some clusters: what it did find is in the roster before
    /// this. A later complete roster ends the trouble.
    DiscoveryFailed {
        /// The source's name.
        source: Arc<str>,
        /// When that was clear.
        at: Time,
        /// Why.
        error: Problem,
    },
    /// A watching source saw events.
    PartialObservation {
        /// When.
        at: Time,
        /// Whether each of these is its target's whole list, else only what changed.
        whole: bool,
        /// By target.
        lists: Vec<PartialObservation>,
        /// What becomes of them.
        receipt: Receipt,
    },
    /// All lists of a watch were handed in.
    ListCompleted {
        /// What it covers.
        covers: Covers,
        /// As of when.
        at: Time,
        /// The targets that had events.
        shown: Vec<Target>,
        /// What becomes of it.
        receipt: Receipt,
    },
    /// A watch has missed nothing so far. Said now and then: silence is only what was watched.
    WatchProgress {
        /// What it covers.
        covers: Covers,
        /// Until when.
        at: Time,
        /// What was handed in before it.
        receipt: Receipt,
    },
    /// Objects are deleted: nothing of them goes on.
    Deleted {
        /// The source's name.
        source: Arc<str>,
        /// When that was clear.
        at: Time,
        /// Which.
        objects: Vec<ObjectName>,
    },
    /// A watch is cut and could not be taken up again.
    WatchFailed {
        /// What it covers.
        covers: Covers,
        /// When that was clear.
        at: Time,
        /// Why.
        error: Problem,
    },
}
