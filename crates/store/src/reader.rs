//! The reading side of a store: readers beside the writer, and what can be asked of them.
//!
//! A reader never writes, never waits for the writer, and knows nothing of what the person who asks may see: whoever
//! asks says which services.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::StoreError;
use podbell_core::ask::events::Seen;
use podbell_core::ask::show::ToldOnce;
use podbell_core::ask::{Kept, Logged};
use podbell_core::event::{self, Target};
use podbell_core::history::Observation;
use podbell_core::incident::Incident;
use podbell_core::mute::Mute;
use podbell_core::notice::Notice;
use podbell_core::outbox::Health;
use podbell_core::rules::rule::Destination;
use podbell_core::step::TroubleState;
use podbell_core::step::decision::Decision;
use podbell_core::time::Time;
use podbell_core::timeline::Timeline;

/// How long the history of changes is kept.
pub const HISTORY: Duration = Duration::from_secs(24 * 3600);
/// So many decisions are kept: about 20 MB.
pub const KEPT_DECISIONS: u64 = 50_000;

/// Whether a service is wanted in an answer.
pub type Wanted<'a> = &'a dyn Fn(event::Names<'_>) -> bool;

/// How many deliveries of a destination are in which state: destination, state, count.
pub type Queue = (String, String, u64);

/// Ends what a reader reads at that moment; may be called from another thread, and when nothing is read.
pub type Cancel = Box<dyn Fn() + Send>;

/// A connection that only reads.
pub trait Reader: Send {
    /// All that is read from one snapshot is of one moment.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn snapshot(&mut self) -> Result<Box<dyn Snapshot + '_>, StoreError>;

    /// Whether it still reads what the store's owner writes.
    fn is_current(&self) -> bool;

    /// What ends a query of this reader early.
    fn canceller(&self) -> Cancel;
}

/// The store at one moment; ends when it is dropped.
pub trait Snapshot: IncidentQueries + ServiceQueries + EventQueries + DeliveryQueries + ServiceState {}

/// Which incidents a page is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incidents {
    /// Those that are open.
    Open,
    /// All that are kept, those that are over included.
    All,
}

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// How many are skipped.
    pub skip: u32,
    /// How many follow at most.
    pub most: u32,
}

/// A service that is watched.
#[derive(Clone, Debug)]
pub struct Service {
    /// Which.
    pub target: Target,
    /// When it was last read, as far as that is stored.
    pub read_at: Option<Time>,
    /// Since when it cannot be read.
    pub failing_since: Option<Time>,
}

/// Which decisions are asked for; a field that is `None` restricts nothing.
#[derive(Clone, Debug, Default)]
pub struct DecisionFilter {
    /// That joined this incident.
    pub incident: Option<u64>,
    /// Of this namespace.
    pub namespace: Option<String>,
    /// Of this workload or service.
    pub workload: Option<String>,
    /// With this reason.
    pub reason: Option<String>,
}

impl DecisionFilter {
    /// Whether a decision is asked for, apart from its incident.
    pub(crate) fn wants(&self, decision: &Decision) -> bool {
        let is = |asked: &Option<String>, fact: &str| asked.as_ref().is_none_or(|asked| asked == fact);
        is(&self.namespace, &decision.target.namespace)
            && (is(&self.workload, &decision.workload) || is(&self.workload, &decision.target.service))
            && is(&self.reason, &decision.reason)
    }
}

/// What the store knows of its own past.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order of time.
    pub observations: Vec<Observation>,
    /// Changes whose episode is no longer known: they are missing.
    pub lost: u64,
    /// When the first of it was observed.
    pub from: Option<Time>,
}

/// Which deliveries `podbell outbox list` shows.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Of one destination only.
    pub destination: Option<String>,
    /// Sent and folded ones, too.
    pub all: bool,
    /// At most so many, the newest.
    pub limit: u32,
}

/// A delivery with its notice.
#[derive(Clone, Debug, Serialize)]
pub struct ListedDelivery {
    /// Its number.
    pub id: u64,
    /// To whom.
    pub destination: String,
    /// due, claimed, sent, folded or dead.
    pub state: String,
    /// When it was sent, folded or given up.
    pub done_at: Option<Time>,
    /// The delivery that told it, if it was folded.
    pub folded_into: Option<u64>,
    /// Why it was given up.
    pub why: Option<String>,
    /// How many incidents the request told that carries or carried it; more than one: a digest.
    pub together: u64,
    /// How often its open request was tried.
    pub attempts: Option<u32>,
    /// What it says.
    pub notice: Notice,
}

/// Incidents, what people said of them, and what was decided and told.
///
/// # Errors
/// Each returns an error when the store cannot be read, or a row in it is damaged.
#[allow(clippy::missing_errors_doc)]
pub trait IncidentQueries {
    /// The numbers of a page of incidents, the newest first, and how many there are in all.
    fn incidents(
        &self,
        which: Incidents,
        page: Paging,
        wanted: Option<Wanted<'_>>,
    ) -> Result<(Vec<u64>, u64), StoreError>;

    /// The numbers of incidents below one, descending.
    fn incidents_below(&self, below: u64, most: u32, which: Incidents) -> Result<Vec<u64>, StoreError>;

    /// The open incidents that a service shows, the newest first.
    fn open_of_service(&self, cluster: &str, namespace: &str, service: &str) -> Result<Vec<u64>, StoreError>;

    /// The open incidents of a workload, the newest first.
    fn open_of_workload(&self, cluster: &str, namespace: &str, workload: &str) -> Result<Vec<u64>, StoreError>;

    /// The numbers of incidents of which it was told since then that they got worse, the newest first.
    fn escalated_since(&self, since: Time) -> Result<Vec<u64>, StoreError>;

    /// An incident that somebody was told of, or may be.
    fn kept(&self, id: u64) -> Result<Option<Kept>, StoreError>;

    /// An incident, also one that only gathers, or is over.
    fn incident(&self, id: u64) -> Result<Option<Incident>, StoreError>;

    /// The mutes in force, the first to end first.
    fn mutes(&self, now: Time) -> Result<Vec<Mute>, StoreError>;

    /// What people did to an incident, the oldest first.
    fn actions(&self, incident: u64) -> Result<Vec<Logged>, StoreError>;

    /// What was told of an incident, the oldest first.
    fn told(&self, incident: u64) -> Result<Vec<ToldOnce>, StoreError>;

    /// The newest decisions that are asked for, at most so many, oldest first.
    fn decisions(&self, filter: &DecisionFilter, most: usize) -> Result<Vec<Decision>, StoreError>;

    /// Decisions since a moment that led to no incident, the newest first.
    fn without_incident(&self, since: Time) -> Result<Vec<Decision>, StoreError>;
}

/// Watched services.
///
/// # Errors
/// Each returns an error when the store cannot be read.
#[allow(clippy::missing_errors_doc)]
pub trait ServiceQueries {
    /// The services of this name, wherever they are.
    fn services_named(&self, name: &str) -> Result<Vec<Service>, StoreError>;

    /// Services whose names begin like this, in the order of their names.
    fn services_like(&self, beginning: &str) -> Result<Vec<Service>, StoreError>;

    /// One service, once for each source that shows it.
    fn service_at(&self, cluster: &str, namespace: &str, service: &str) -> Result<Vec<Service>, StoreError>;

    /// The services that show the incidents of a workload of this name.
    fn services_of_workload(&self, name: &str) -> Result<Vec<Target>, StoreError>;

    /// The services that are wanted, of all: a small table.
    fn services(&self, wanted: Wanted<'_>) -> Result<Vec<Service>, StoreError>;

    /// Services whose rows follow one, with the numbers of the rows.
    fn services_after(&self, after: u64, most: u32) -> Result<Vec<(u64, Service)>, StoreError>;

    /// How many services are watched.
    fn service_count(&self) -> Result<u64, StoreError>;

    /// A service's last day.
    fn timeline(&self, target: &Target, now: Time) -> Result<Timeline, StoreError>;
}

/// Events: those of a service, the silent baseline, and what changed from poll to poll.
///
/// # Errors
/// Each returns an error when the store cannot be read.
#[allow(clippy::missing_errors_doc)]
pub trait EventQueries {
    /// What a service shows, and what it showed within the last day.
    fn seen(&self, target: &Target) -> Result<Vec<Seen>, StoreError>;

    /// Warnings that were there before podbell came and did not happen again, the newest first: of all services, or
    /// of these.
    fn baseline(&self, of: Option<&[Target]>, most: u32) -> Result<Vec<Seen>, StoreError>;

    /// What was observed since then; at most [`HISTORY`] of it is kept.
    fn history(&self, since: Time) -> Result<History, StoreError>;
}

/// Deliveries and their destinations.
///
/// # Errors
/// Each returns an error when the store cannot be read.
#[allow(clippy::missing_errors_doc)]
pub trait DeliveryQueries {
    /// How many deliveries wait, and how many were given up.
    fn deliveries(&self) -> Result<(u64, u64), StoreError>;

    /// How many deliveries wait, leave and were given up, by destination.
    fn queues(&self) -> Result<Vec<Queue>, StoreError>;

    /// Deliveries, oldest first.
    fn list_deliveries(&self, listing: &Listing) -> Result<Vec<ListedDelivery>, StoreError>;

    /// Deliveries below one, descending, of a destination and in a state if these are given.
    fn deliveries_below(
        &self,
        below: u64,
        most: u32,
        destination: Option<&str>,
        state: Option<&str>,
    ) -> Result<Vec<ListedDelivery>, StoreError>;

    /// Every delivery of an incident's notices, oldest first.
    fn deliveries_of(&self, incident: u64) -> Result<Vec<ListedDelivery>, StoreError>;

    /// How the destinations are: what their deliveries wait for.
    fn destinations(&self) -> Result<Vec<(Destination, Health)>, StoreError>;
}

/// How the service itself is.
///
/// # Errors
/// Each returns an error when the store cannot be read.
#[allow(clippy::missing_errors_doc)]
pub trait ServiceState {
    /// When the service was last alive.
    fn heartbeat(&self) -> Result<Option<Time>, StoreError>;

    /// Podbell's own troubles: a handful.
    fn own_troubles(&self) -> Result<Vec<TroubleState>, StoreError>;

    /// The last good text of each rule file, by name.
    fn good_rules(&self) -> Result<BTreeMap<String, String>, StoreError>;
}
