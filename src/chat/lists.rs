//! Lists for programs: what there is, page by page, within what the reader may see.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

use super::answer_context::Answers;
use podbell_core::ask::Brief;
use podbell_core::ask::events::Seen;
use podbell_core::event::{Level, Target};
use podbell_core::mute::Mute;
use podbell_core::notice::NoticeKind;
use podbell_core::outbox::DeliveryPhase;
use podbell_core::rule::Severity;
use podbell_core::time::Time;
use podbell_core::workload;
use podbell_store::{Incidents, ListedDelivery, Service, StoreError};

/// The largest page, and the default.
const MAX: u32 = 200;
const USUAL: u32 = 50;
/// At most this many are read for one page. For a team that sees few of them the page may be short; `next` goes on.
const MAX_LOOKED_AT: usize = 2_000;
/// How many of them are read together at least.
const TOGETHER: usize = 100;

/// Where things are. What is `None` is not asked.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Filter {
    /// The cluster's id or alias.
    pub cluster: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The service.
    pub service: Option<String>,
    /// Whether to list incidents that are over, too.
    pub over: bool,
    /// Normal or Warning.
    pub level: Option<Level>,
    /// Exactly this reason.
    pub reason: Option<String>,
    /// Only deliveries to this destination.
    pub destination: Option<String>,
    /// Only deliveries in this state.
    pub state: Option<DeliveryPhase>,
    /// The `next` of the page before.
    pub after: Option<String>,
    /// The most items on a page; 50 by default.
    #[schemars(range(min = 1, max = MAX))]
    pub limit: Option<u32>,
}

/// One page of a list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The `after` of the next page; none: this was the last.
    pub next: Option<String>,
}

/// A watched service.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Target")]
pub(crate) struct ListedService {
    /// The source's name.
    pub source: String,
    /// The cluster's id.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// Its name.
    pub service: String,
    /// When it was last read, as far as that is stored: unchanged polls are not.
    pub read_at: Option<Time>,
    /// Since when it cannot be read.
    pub failing_since: Option<Time>,
}

/// An event of a service.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub(crate) struct EventRow {
    /// The cluster's id.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// The service that shows it.
    pub service: String,
    /// Normal or Warning.
    pub level: Level,
    /// Kind of object.
    pub obj_type: String,
    /// Its name.
    pub obj_name: String,
    /// The name without generated suffixes.
    pub workload: String,
    /// Short machine word.
    pub reason: String,
    /// Text of the cluster.
    pub message: String,
    /// How often the cluster counted it, in all.
    pub count: u64,
    /// When the cluster first saw it.
    pub first_seen: Time,
    /// When the cluster last saw it.
    pub last_seen: Time,
    /// Whether it was there before podbell's first poll and has not happened again.
    pub silent: bool,
}

/// A delivery.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Delivery")]
pub(crate) struct DeliveryRow {
    /// Its number.
    pub id: u64,
    /// The destination.
    pub destination: String,
    /// What became of it.
    pub state: DeliveryPhase,
    /// The incident that it tells of.
    pub incident: Option<u64>,
    /// What the notice says of the incident.
    pub notice: NoticeKind,
    /// How urgent.
    pub severity: Severity,
    /// When the notice was made.
    pub made_at: Time,
    /// When it was settled.
    pub done_at: Option<Time>,
    /// The delivery that told it instead.
    pub folded_into: Option<u64>,
    /// Why it was given up.
    pub why: Option<String>,
    /// How often its open request was tried.
    pub attempts: Option<u32>,
}

/// Error: `after` is not a key that podbell issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidCursor;

/// A page, or the error that its key is invalid.
pub(crate) type Listed<T> = Result<Result<Page<T>, InvalidCursor>, StoreError>;

impl Filter {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(USUAL).clamp(1, MAX) as usize
    }

    fn number(&self, first: u64) -> Result<u64, InvalidCursor> {
        self.after.as_deref().map_or(Ok(first), |key| key.parse().map_err(|_| InvalidCursor))
    }

    /// Whether the filter names no place.
    fn is_anywhere(&self) -> bool {
        self.cluster.is_none() && self.namespace.is_none() && self.service.is_none()
    }

    fn wants(&self, target: &Target, alias: Option<&str>) -> bool {
        let is = |asked: &Option<String>, fact: &str| asked.as_deref().is_none_or(|asked| asked == fact);
        (is(&self.cluster, &target.cluster) || self.cluster.as_deref().is_some_and(|asked| Some(asked) == alias))
            && is(&self.namespace, &target.namespace)
            && is(&self.service, &target.service)
    }
}

impl Answers<'_> {
    fn sees(&self, filter: &Filter, target: &Target) -> bool {
        self.scope.sees(target) && filter.wants(target, self.known.alias(&target.cluster))
    }

    /// Incidents, the newest first.
    pub(super) fn incident_page(&self, filter: &Filter) -> Listed<Brief> {
        let Ok(mut key) = filter.number(u64::MAX) else { return Ok(Err(InvalidCursor)) };
        let everything = self.scope.is_everything() && filter.is_anywhere();
        let mutes = self.store.mutes(self.now)?;
        let which = if filter.over { Incidents::All } else { Incidents::Open };
        let mut items = Vec::new();
        let mut looked_at = 0;
        while looked_at < MAX_LOOKED_AT {
            let ids = self.store.incidents_below(key, MAX, which)?;
            let last = ids.len() < MAX as usize;
            for some in ids.chunks(filter.limit().max(TOGETHER)) {
                for kept in self.stored_incidents(some)? {
                    if everything || kept.incident.targets.iter().any(|target| self.sees(filter, target)) {
                        items.push(Brief::of(&kept, self.scope, self.known, &mutes, self.now));
                    }
                    if items.len() == filter.limit() {
                        return Ok(Ok(Page { items, next: Some(kept.incident.id.to_string()) }));
                    }
                }
            }
            key = ids.last().copied().unwrap_or(key);
            looked_at += ids.len();
            if last {
                return Ok(Ok(Page { items, next: None }));
            }
        }
        Ok(Ok(Page { items, next: Some(key.to_string()) }))
    }

    /// Watched services, in no particular order.
    pub(super) fn target_page(&self, filter: &Filter) -> Listed<ListedService> {
        let Ok(mut key) = filter.number(0) else { return Ok(Err(InvalidCursor)) };
        let mut items = Vec::new();
        loop {
            let rows = self.store.services_after(key, MAX)?;
            let last = rows.len() < MAX as usize;
            for (row, service) in rows {
                key = row;
                if self.sees(filter, &service.target) {
                    items.push(ListedService::of(service));
                }
                if items.len() == filter.limit() {
                    return Ok(Ok(Page { items, next: Some(key.to_string()) }));
                }
            }
            if last {
                return Ok(Ok(Page { items, next: None }));
            }
        }
    }

    /// The events of a service by its exact name, wherever it is, the newest first.
    pub(super) fn event_page(&self, service: &str, filter: &Filter) -> Listed<EventRow> {
        let after = filter.after.as_deref().map(EventKey::read).transpose();
        let Ok(after) = after else { return Ok(Err(InvalidCursor)) };
        let mut rows: Vec<(EventKey, Seen)> = Vec::new();
        for found in self.store.services_named(service)? {
            if self.sees(filter, &found.target) {
                rows.extend(self.store.seen(&[&found.target])?.into_iter().map(|seen| (EventKey::of(&seen), seen)));
            }
        }
        let wanted = |seen: &Seen| {
            filter.level.is_none_or(|level| seen.event.level == level)
                && filter.reason.as_deref().is_none_or(|reason| seen.event.reason.trim() == reason)
        };
        rows.retain(|(key, seen)| after.is_none_or(|after| *key < after) && wanted(seen));
        rows.sort_unstable_by_key(|(key, _)| std::cmp::Reverse(*key));
        let next = rows.get(filter.limit() - 1).filter(|_| rows.len() > filter.limit()).map(|(key, _)| key.to_string());
        let items = rows.into_iter().take(filter.limit()).map(|(_, seen)| EventRow::of(seen)).collect();
        Ok(Ok(Page { items, next }))
    }

    /// Deliveries, newest first. They belong to all teams: only for readers who may see everything.
    pub(super) fn delivery_page(&self, filter: &Filter) -> Listed<DeliveryRow> {
        let Ok(key) = filter.number(u64::MAX) else { return Ok(Err(InvalidCursor)) };
        let (most, to) = (u32::try_from(filter.limit()).unwrap_or(MAX), filter.destination.as_deref());
        let rows = self.store.deliveries_below(key, most, to, filter.state)?;
        let next = rows.last().filter(|_| rows.len() == filter.limit()).map(|row| row.id.to_string());
        Ok(Ok(Page { items: rows.into_iter().map(DeliveryRow::of).collect(), next }))
    }

    /// Mutes in force, the earliest end first. There are never many, so this is always one page.
    pub(super) fn mute_page(&self) -> Listed<Mute> {
        Ok(Ok(Page { items: self.own_mutes()?, next: None }))
    }
}

impl ListedService {
    fn of(service: Service) -> Self {
        let Target { source, cluster, namespace, service: name } = service.target;
        Self {
            source: source.to_string(),
            cluster: cluster.to_string(),
            namespace: namespace.to_string(),
            service: name.to_string(),
            read_at: service.read_at,
            failing_since: service.failing_since,
        }
    }
}

impl EventRow {
    fn of(seen: Seen) -> Self {
        let (target, event) = (seen.target, seen.event);
        Self {
            cluster: target.cluster.to_string(),
            namespace: target.namespace.to_string(),
            service: target.service.to_string(),
            level: event.level,
            workload: workload::of(&event.obj_type, &event.obj_name).to_owned(),
            obj_type: event.obj_type.into_owned(),
            obj_name: event.obj_name.into_owned(),
            reason: event.reason.into_owned(),
            message: event.message.into_owned(),
            count: event.count,
            first_seen: event.first_seen,
            last_seen: event.last_seen,
            silent: seen.silent,
        }
    }
}

impl DeliveryRow {
    fn of(listed: ListedDelivery) -> Self {
        Self {
            id: listed.id,
            destination: listed.destination,
            state: listed.state,
            incident: listed.notice.body.incident(),
            notice: listed.notice.kind,
            severity: listed.notice.severity,
            made_at: listed.notice.made_at,
            done_at: listed.done_at,
            folded_into: listed.folded_into,
            why: listed.why,
            attempts: listed.attempts,
        }
    }
}

/// The position of an event among those of its service: its date, and a hash to order equal dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EventKey(i64, u64);

impl EventKey {
    fn of(seen: &Seen) -> Self {
        let (target, event) = (&seen.target, &seen.event);
        let mut hash = Xxh3Default::new();
        let texts =
            [&*target.cluster, &*target.namespace, &event.obj_type, &event.obj_name, &event.reason, &event.message];
        for text in texts {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.update(&event.first_seen.millis().to_le_bytes());
        Self(event.last_seen.millis(), hash.digest())
    }

    fn read(text: &str) -> Result<Self, InvalidCursor> {
        let (date, hash) = text.rsplit_once('.').ok_or(InvalidCursor)?;
        Ok(Self(date.parse().map_err(|_| InvalidCursor)?, u64::from_str_radix(hash, 16).map_err(|_| InvalidCursor)?))
    }
}

impl std::fmt::Display for EventKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:016x}", self.0, self.1)
    }
}
