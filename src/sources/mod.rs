//! Sources: where event lists come from. Each one polls on its own and says what it saw as
//! [`SourceEvent`]s; it never diffs and never decides what matters.

pub(crate) mod bounds;
pub mod file;
pub mod kubectl;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
pub mod play_maker;
pub mod poller;
pub mod qcloud;
pub mod receipt;
pub mod recording;
pub mod wall_clock;

use std::sync::Arc;

pub use self::receipt::Receipt;
use podbell_core::event::{Event, Target};
pub use podbell_core::source::{Covers, ObjectName, PollError, RosterEntry, Seen};
use podbell_core::time::Time;

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
    Roster {
        /// The source's name.
        source: Arc<str>,
        /// All of them.
        targets: Vec<RosterEntry>,
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
        error: PollError,
    },
    /// A discovery failed, wholly or for some clusters: what it did find is in the roster before
    /// this. A later complete roster ends the trouble.
    DiscoveryFailed {
        /// The source's name.
        source: Arc<str>,
        /// When that was clear.
        at: Time,
        /// Why.
        error: PollError,
    },
    /// A watching source saw events.
    Seen {
        /// When.
        at: Time,
        /// Whether each of these is its target's whole list, else only what changed.
        whole: bool,
        /// By target.
        lists: Vec<Seen>,
        /// What becomes of them.
        receipt: Receipt,
    },
    /// All lists of a watch were handed in.
    Swept {
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
    Watched {
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
    Unwatched {
        /// What it covers.
        covers: Covers,
        /// When that was clear.
        at: Time,
        /// Why.
        error: PollError,
    },
}
