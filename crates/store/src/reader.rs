//! The reading side of a store: readers beside the writer, and what can be asked of them.
//!
//! A reader never writes and never waits for the writer. It does not know what the person who asks may see: the caller
//! says which services.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::StoreError;
use podbell_core::ask::events::Seen;
use podbell_core::ask::show::NotificationRecord;
use podbell_core::ask::{Logged, StoredIncident};
use podbell_core::event::{self, Target};
use podbell_core::history::{ObjectReport, Observation};
use podbell_core::incident::Incident;
use podbell_core::mute::Mute;
use podbell_core::notice::Notice;
use podbell_core::outbox::{DeliveryPhase, DestinationHealth};
use podbell_core::rollout::RolloutOf;
use podbell_core::rule::Destination;
use podbell_core::step::TroubleState;
use podbell_core::step::decision::Decision;
use podbell_core::time::Time;
use podbell_core::timeline::Timeline;

/// How long the history of changes is kept.
pub const HISTORY: Duration = Duration::from_secs(24 * 3600);
/// How many decisions are kept: about 20 MB.
pub const KEPT_DECISIONS: u64 = 50_000;

/// Selects the services of an answer.
pub type Wanted<'a> = &'a dyn Fn(event::Names<'_>) -> bool;

/// How many deliveries a destination has that are not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The destination.
    pub destination: String,
    /// Those that are due or on their way.
    pub waiting: u64,
    /// Those that were given up.
    pub dead: u64,
}

/// Cancels the query that a reader is running. May be called from another thread, also when no query runs.
pub(crate) type Cancel = Box<dyn Fn() + Send>;

/// A connection that only reads.
pub trait Reader: Send {
    /// A consistent view: everything that is read from one snapshot is of one moment.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn snapshot(&mut self) -> Result<Box<dyn Snapshot + '_>, StoreError>;

    /// Whether it still reads what the store's owner writes.
    fn is_current(&self) -> bool;

    /// Cancels a query of this reader.
    fn canceller(&self) -> Cancel;
}

/// The store at one moment; ends when it is dropped.
pub trait Snapshot: IncidentQueries + ServiceQueries + EventQueries + DeliveryQueries + ServiceState {
    /// The services of this name, as [`ServiceQueries::services_named`] reads them, for a caller that asks
    /// [`Snapshot::at_place`] about one of them next: a store that is far away reads both at once.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn services_to_show(&self, name: &str, _now: Time) -> Result<Vec<Service>, StoreError> {
        self.services_named(name)
    }

    /// What there is about a service or a workload, which these targets show.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn at_place(&self, place: PlaceName<'_>, targets: &[&Target], now: Time) -> Result<AtPlace, StoreError> {
        let PlaceName { cluster, namespace, name } = place;
        Ok(AtPlace {
            of_service: self.stored_incidents(&self.open_of_service(cluster, namespace, name)?)?,
            of_workload: self.stored_incidents(&self.open_of_workload(cluster, namespace, name)?)?,
            mutes: self.mutes(now)?,
            seen: self.seen(targets)?,
            rollouts: self.rollouts(targets, now)?,
        })
    }
}

/// Where a service or a workload lies.
#[derive(Clone, Copy, Debug)]
pub struct PlaceName<'a> {
    /// The cluster's id.
    pub cluster: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// The service or the workload.
    pub name: &'a str,
}

/// See [`Snapshot::at_place`].
#[derive(Debug, Default)]
pub struct AtPlace {
    /// The newest open incidents of a service of this name, in no order.
    pub of_service: Vec<StoredIncident>,
    /// Those of a workload of this name.
    pub of_workload: Vec<StoredIncident>,
    /// The mutes in force, wherever.
    pub mutes: Vec<Mute>,
    /// The events of the targets, as [`EventQueries::seen`] reads them.
    pub seen: Vec<Seen>,
    /// Their rollouts, as [`EventQueries::rollouts`] reads them.
    pub rollouts: Vec<RolloutOf>,
}

/// Which incidents a page lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incidents {
    /// Those that are open.
    Open,
    /// All that are stored, ended ones included.
    All,
}

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// How many are skipped.
    pub skip: u32,
    /// How many follow at most.
    pub limit: u32,
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
    /// Whether a decision matches. The incident is not compared: the query does that.
    pub(crate) fn wants(&self, decision: &Decision) -> bool {
        let is = |asked: &Option<String>, fact: &str| asked.as_ref().is_none_or(|asked| asked == fact);
        is(&self.namespace, &decision.target.namespace)
            && (is(&self.workload, &decision.workload) || is(&self.workload, &decision.target.service))
            && is(&self.reason, &decision.reason)
    }
}

/// The stored history of observations.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Oldest first.
    pub observations: Vec<Observation>,
    /// What sources said of objects, oldest first: first what was known when the history begins.
    pub reports: Vec<(Time, ObjectReport)>,
    /// How many entries are left out because their target or episode is no longer stored.
    pub lost: u64,
    /// When the oldest entry was observed.
    pub from: Option<Time>,
}

/// Which deliveries `podbell outbox list` shows.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Of one destination only.
    pub destination: Option<String>,
    /// Sent and folded ones, too.
    pub all: bool,
    /// The newest ones, at most this many.
    pub limit: u32,
}

/// A delivery with its notice.
#[derive(Clone, Debug, Serialize)]
pub struct ListedDelivery {
    /// Its number.
    pub id: u64,
    /// To whom.
    pub destination: String,
    /// How far it is.
    pub state: DeliveryPhase,
    /// When it was sent, folded or given up.
    pub done_at: Option<Time>,
    /// The delivery that it was folded into.
    pub folded_into: Option<u64>,
    /// Why it was given up.
    pub why: Option<String>,
    /// How many incidents the request that carries it reports; more than one means a digest.
    pub together: u64,
    /// How often its open request was tried.
    pub attempts: Option<u32>,
    /// Its notice.
    pub notice: Notice,
}

/// Incidents, user actions on them, decisions, and what was sent.
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

    /// The numbers of incidents below a number, descending.
    fn incidents_below(&self, below: u64, most: u32, which: Incidents) -> Result<Vec<u64>, StoreError>;

    /// The open incidents that a service shows, the newest first.
    fn open_of_service(&self, cluster: &str, namespace: &str, service: &str) -> Result<Vec<u64>, StoreError>;

    /// The open incidents of a workload, the newest first.
    fn open_of_workload(&self, cluster: &str, namespace: &str, workload: &str) -> Result<Vec<u64>, StoreError>;

    /// The numbers of incidents with an escalation notice after `since`, the newest first.
    fn escalated_since(&self, since: Time) -> Result<Vec<u64>, StoreError>;

    /// The open incidents of each of these services, as [`Self::open_of_service`] finds them.
    fn open_of_services(&self, services: &[&Target]) -> Result<Vec<Vec<u64>>, StoreError>;

    /// Incidents with their acknowledgements, in the order of the numbers; without those that only gather or are not there.
    fn stored_incidents(&self, ids: &[u64]) -> Result<Vec<StoredIncident>, StoreError>;

    /// An incident in any phase, also one that only gathers or has ended.
    fn incident(&self, id: u64) -> Result<Option<Incident>, StoreError>;

    /// The mutes in force, the first to end first.
    fn mutes(&self, now: Time) -> Result<Vec<Mute>, StoreError>;

    /// User actions on an incident, the oldest first.
    fn actions(&self, incident: u64) -> Result<Vec<Logged>, StoreError>;

    /// What was sent about an incident, the oldest first.
    fn told(&self, incident: u64) -> Result<Vec<NotificationRecord>, StoreError>;

    /// The newest matching decisions, at most `most`, oldest first.
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

    /// One service, once for each source that shows it.
    fn service_at(&self, cluster: &str, namespace: &str, service: &str) -> Result<Vec<Service>, StoreError>;

    /// The services that show the incidents of a workload of this name.
    fn services_of_workload(&self, name: &str) -> Result<Vec<Target>, StoreError>;

    /// The selected services. Scans all rows: the table is small.
    fn services(&self, wanted: Wanted<'_>) -> Result<Vec<Service>, StoreError>;

    /// Services whose row numbers are above `after`, with their row numbers.
    fn services_after(&self, after: u64, most: u32) -> Result<Vec<(u64, Service)>, StoreError>;

    /// How many services are watched.
    fn service_count(&self) -> Result<u64, StoreError>;

    /// The timeline of each service's last day.
    fn timelines(&self, targets: &[&Target], now: Time) -> Result<Vec<Timeline>, StoreError>;
}

/// Events: those of a service, the silent baseline, and what changed from poll to poll.
///
/// # Errors
/// Each returns an error when the store cannot be read.
#[allow(clippy::missing_errors_doc)]
pub trait EventQueries {
    /// The events that services show, and those that they showed within the last day; one service after the other.
    fn seen(&self, targets: &[&Target]) -> Result<Vec<Seen>, StoreError>;

    /// The rollouts of the services' workloads within the last day: one service after the other, of each the oldest first.
    fn rollouts(&self, targets: &[&Target], now: Time) -> Result<Vec<RolloutOf>, StoreError>;

    /// Warnings that were there when podbell first read their service and did not happen again, the newest first: of
    /// all services, or of these.
    fn baseline(&self, of: Option<&[Target]>, most: u32) -> Result<Vec<Seen>, StoreError>;

    /// What was observed since then. The store keeps [`HISTORY`] of it.
    fn history(&self, since: Time) -> Result<History, StoreError>;
}

/// Deliveries and their destinations.
///
/// # Errors
/// Each returns an error when the store cannot be read.
#[allow(clippy::missing_errors_doc)]
pub trait DeliveryQueries {
    /// How many deliveries wait and how many were given up, of each destination that has any.
    fn queues(&self) -> Result<Vec<Queue>, StoreError>;

    /// Deliveries, oldest first.
    fn list_deliveries(&self, listing: &Listing) -> Result<Vec<ListedDelivery>, StoreError>;

    /// Deliveries with numbers below `below`, descending; of a destination and in a state if these are given.
    fn deliveries_below(
        &self,
        below: u64,
        most: u32,
        destination: Option<&str>,
        state: Option<DeliveryPhase>,
    ) -> Result<Vec<ListedDelivery>, StoreError>;

    /// Every delivery of an incident's notices, oldest first.
    fn deliveries_of(&self, incident: u64) -> Result<Vec<ListedDelivery>, StoreError>;

    /// The destinations' health: what their deliveries wait for.
    fn destinations(&self) -> Result<Vec<(Destination, DestinationHealth)>, StoreError>;
}

/// The state of the service itself.
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
