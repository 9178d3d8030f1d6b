//! What the status page shows, from one snapshot of the store and within what the reader may see: facts, no words.

use std::time::Duration;

use super::answer_context::Answers;
use super::queries::{ListError, QueryService};
use super::viewer::Viewer;
use podbell_core::ask::events::{Ask, Events};
use podbell_core::ask::show::Shown;
use podbell_core::ask::why::Why;
use podbell_core::ask::{Answer, Brief, Named, Query};
use podbell_core::event::{Names, Target};
use podbell_core::incident::Incident;
use podbell_core::mute::Mute;
use podbell_core::outbox::DestinationHealth;
use podbell_core::rollout::RolloutOf;
use podbell_core::rule::Destination;
use podbell_core::step::TroubleState;
use podbell_core::time::Time;
use podbell_core::timeline::Timeline;
use podbell_store::{Incidents, Paging, Queue, Service, StoreError, Wanted};

/// Incidents per page.
pub(crate) const PAGE: u32 = 25;
/// Only this many open incidents, the newest, are sorted by need. Later pages have older ones, by time.
const MAX_SORTED: u32 = 1000;
/// How many incidents are read together.
const TOGETHER: usize = 100;
/// Services per page.
pub(crate) const SERVICES: usize = 40;
/// An incident that escalated within this time is worsening.
const LATELY: Duration = Duration::from_secs(3600);
/// At most this many worsening incidents are shown.
const MAX_WORSENING: usize = 25;
/// At most this many timelines are shown with one incident.
const MAX_TIMELINES: usize = 6;
/// At most this many services that cannot be read are named.
const MAX_FAILING: usize = 50;

/// An incident on a list.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub brief: Brief,
    /// The first service that shows it, among those that the reader may see.
    pub target: Option<Target>,
    /// That service's last day.
    pub timeline: Option<Timeline>,
    /// Whether it got worse within the last hour.
    pub worsening: bool,
}

/// What is going on.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    /// How many incidents are open.
    pub open: u64,
    /// The page of `incidents`, counted from 1.
    pub page: u32,
    /// Those of this page: first those neither acknowledged nor muted, then the most urgent, then the newest.
    pub incidents: Vec<Row>,
    /// Open incidents that got worse within the last hour, including those on other pages.
    pub worsening: Vec<Row>,
    pub mutes: Vec<Mute>,
    /// How many services are watched.
    pub services: u64,
    /// How many of them cannot be read.
    pub unreadable: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Detail {
    /// Its story, its notices, and what people did.
    pub shown: Shown,
    pub why: Why,
    /// The services that show it, with their last day and its rollouts.
    pub timelines: Vec<(Target, Timeline, Vec<RolloutOf>)>,
}

/// A service on a list.
#[derive(Clone, Debug)]
pub(crate) struct ServiceRow {
    /// Which, and when it was read.
    pub service: Service,
    /// What people call its cluster.
    pub alias: Option<String>,
    pub timeline: Timeline,
    /// How many incidents it has open.
    pub open: u64,
}

/// A page of services.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    /// Those of this page.
    pub rows: Vec<ServiceRow>,
    /// The key that asks for the next page.
    pub next: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct ServiceDetail {
    /// Its incidents and events.
    pub events: Events,
    pub timeline: Timeline,
}

/// A source, as far as the reader may see it.
#[derive(Clone, Debug)]
pub(crate) struct SourceRow {
    pub name: String,
    /// How many services are watched through it.
    pub services: u64,
    /// How many of them cannot be read.
    pub unreadable: u64,
    /// When the newest successful read was, as far as that is stored.
    pub read_at: Option<Time>,
}

#[derive(Clone, Debug)]
pub(crate) struct Sources {
    pub sources: Vec<SourceRow>,
    /// The first services that cannot be read.
    pub failing: Vec<Service>,
    /// Podbell's own troubles. They concern all teams: only for readers who may see everything.
    pub troubles: Vec<TroubleState>,
}

/// How delivering goes. It concerns all teams: only for readers who may see everything.
#[derive(Clone, Debug)]
pub(crate) struct Destinations {
    pub health: Vec<(Destination, DestinationHealth)>,
    /// What waits and what was given up.
    pub queues: Vec<Queue>,
}

impl Answers<'_> {
    fn home(&self, page: u32) -> Result<Home, StoreError> {
        let everything = self.scope.is_everything();
        let sees = |names: Names<'_>| self.scope.sees_names(names);
        let wanted: Option<Wanted<'_>> = if everything { None } else { Some(&sees) };
        let page = page.max(1);
        let skipped = (page - 1).saturating_mul(PAGE);
        let (ids, open) = match skipped.checked_add(PAGE).filter(|until| *until <= MAX_SORTED) {
            Some(_) => {
                let (ids, open) =
                    self.store.incidents(Incidents::Open, Paging { skip: 0, limit: MAX_SORTED }, wanted)?;
                let sorted = self.by_need(ids)?;
                (sorted.into_iter().skip(skipped as usize).take(PAGE as usize).collect(), open)
            }
            None => self.store.incidents(Incidents::Open, Paging { skip: skipped, limit: PAGE }, wanted)?,
        };
        let escalated = self.store.escalated_since(self.now.minus(LATELY))?;
        let mutes = self.store.mutes(self.now)?;
        let incidents = self.rows(&ids, &escalated, &mutes, usize::MAX)?;
        let worsening = self.rows(&self.by_need(escalated.clone())?, &escalated, &mutes, MAX_WORSENING)?;
        let services = self.store.services(&sees)?;
        let unreadable = services.iter().filter(|service| service.failing_since.is_some()).count() as u64;
        // `services` is capped at 20,000, so the total is counted by itself.
        let watched = if everything { self.store.service_count()? } else { services.len() as u64 };
        Ok(Home { open, page, incidents, worsening, mutes: self.own_mutes()?, services: watched, unreadable })
    }

    /// Sorts by need: first those neither acknowledged nor muted, in each group the most urgent first. Equal ones
    /// keep their order.
    fn by_need(&self, ids: Vec<u64>) -> Result<Vec<u64>, StoreError> {
        let mutes = self.store.mutes(self.now)?;
        let mut sorted = Vec::with_capacity(ids.len());
        for some in ids.chunks(TOGETHER) {
            for kept in self.store.stored_incidents(some)? {
                let rule = self.known.rule(&kept.incident.rule);
                let severity = rule.map(|rule| rule.severity).unwrap_or_default();
                let held = kept.acknowledged.is_some() || mutes.iter().any(|mute| kept.incident.is_muted_by(mute));
                sorted.push(((held, std::cmp::Reverse(severity)), kept.incident.id));
            }
        }
        sorted.sort_by_key(|(need, _)| *need);
        Ok(sorted.into_iter().map(|(_, id)| id).collect())
    }

    /// Rows of those incidents that are open and that the reader may see.
    fn rows(&self, ids: &[u64], escalated: &[u64], mutes: &[Mute], most: usize) -> Result<Vec<Row>, StoreError> {
        let mut shown = Vec::new();
        for some in ids.chunks(TOGETHER) {
            let own = self.stored_incidents(some)?.into_iter().map(|kept| {
                (Brief::of(&kept, self.scope, self.known, mutes, self.now), self.first_seen(&kept.incident))
            });
            shown.extend(own.filter(|(brief, _)| brief.resolved_at.is_none()).take(most - shown.len()));
            if shown.len() == most {
                break;
            }
        }
        let targets: Vec<&Target> = shown.iter().filter_map(|(_, target)| target.as_ref()).collect();
        let mut timelines = self.store.timelines(&targets, self.now)?.into_iter();
        let row = |(brief, target): (Brief, Option<Target>)| {
            let timeline = target.as_ref().and_then(|_| timelines.next());
            Row { worsening: escalated.contains(&brief.id), brief, target, timeline }
        };
        Ok(shown.into_iter().map(row).collect())
    }

    /// The first target of an incident that the reader may see.
    fn first_seen(&self, incident: &Incident) -> Option<Target> {
        incident.targets.iter().find(|target| self.scope.sees(target)).cloned()
    }

    fn detail(&self, id: u64, page: u32) -> Result<Option<Detail>, StoreError> {
        let (Answer::Shown(shown), Answer::Why(why)) =
            (self.answer(Query::Show { id })?, self.answer(Query::Why { id, page })?)
        else {
            return Ok(None);
        };
        let mut timelines = Vec::new();
        if let Some(kept) = self.stored_incident(id)? {
            let own = kept.incident.targets.iter().filter(|target| self.scope.sees(target));
            let own: Vec<&Target> = own.take(MAX_TIMELINES).collect();
            for (target, line) in own.iter().zip(self.store.timelines(&own, self.now)?) {
                timelines.push(((*target).clone(), line, self.store.rollouts(&[target], self.now)?));
            }
        }
        Ok(Some(Detail { shown: *shown, why: *why, timelines }))
    }

    fn service_rows(&self, after: u64, beginning: &str) -> Result<Services, StoreError> {
        let mut own = Vec::new();
        let mut next = None;
        let (mut key, at_once) = (after, if beginning.is_empty() { 500 } else { 2_000 });
        'pages: loop {
            let rows = self.store.services_after(key, at_once)?;
            let last = (rows.len() as u64) < u64::from(at_once);
            for (row, service) in rows {
                if service.target.service.starts_with(beginning) && self.scope.sees(&service.target) {
                    if own.len() == SERVICES {
                        next = Some(key);
                        break 'pages;
                    }
                    own.push(service);
                }
                key = row;
            }
            if last {
                break;
            }
        }
        let targets: Vec<&Target> = own.iter().map(|service| &service.target).collect();
        let (open, timelines) = (self.store.open_of_services(&targets)?, self.store.timelines(&targets, self.now)?);
        let row = |(service, (open, timeline)): (Service, (Vec<u64>, Timeline))| {
            let alias = self.known.alias(&service.target.cluster).map(str::to_owned);
            ServiceRow { timeline, alias, open: open.len() as u64, service }
        };
        Ok(Services { rows: own.into_iter().zip(open.into_iter().zip(timelines)).map(row).collect(), next })
    }

    fn service_detail(
        &self,
        (cluster, namespace): (&str, &str),
        name: &str,
        page: u32,
    ) -> Result<Option<ServiceDetail>, StoreError> {
        let all = self.store.service_at(cluster, namespace, name)?;
        let Some(first) = all.iter().find(|service| self.scope.sees(&service.target)) else { return Ok(None) };
        let named =
            Named { cluster: Some(cluster.to_owned()), namespace: Some(namespace.to_owned()), name: name.to_owned() };
        let ask = Ask { named, since: None, all: true, reason: None, label: None, page: page.max(1) };
        let Answer::Events(events) = self.answer(Query::Events(ask))? else { return Ok(None) };
        let timelines = self.store.timelines(&[&first.target], self.now)?;
        Ok(timelines.into_iter().next().map(|timeline| ServiceDetail { events: *events, timeline }))
    }

    fn source_rows(&self) -> Result<Sources, StoreError> {
        let mut sources: Vec<SourceRow> = Vec::new();
        let mut failing = Vec::new();
        for service in self.store.services(&|names| self.scope.sees_names(names))? {
            let name = &*service.target.source;
            let place = sources.iter().position(|row| row.name == name).unwrap_or_else(|| {
                sources.push(SourceRow { name: name.to_owned(), services: 0, unreadable: 0, read_at: None });
                sources.len() - 1
            });
            if let Some(row) = sources.get_mut(place) {
                row.services += 1;
                row.unreadable += u64::from(service.failing_since.is_some());
                row.read_at = row.read_at.max(service.read_at);
            }
            if service.failing_since.is_some() && failing.len() < MAX_FAILING {
                failing.push(service);
            }
        }
        let troubles = if self.scope.is_everything() { self.store.own_troubles()? } else { Vec::new() };
        Ok(Sources { sources, failing, troubles })
    }
}

impl QueryService {
    /// What is going on now.
    pub(crate) async fn home(&self, reader: Viewer, page: u32) -> Result<Home, ListError> {
        self.view(reader, move |answers| answers.home(page)).await
    }

    /// One incident with a page of its changes; `None` if the reader may see no such incident.
    pub(crate) async fn detail(&self, reader: Viewer, id: u64, page: u32) -> Result<Option<Detail>, ListError> {
        self.view(reader, move |answers| answers.detail(id, page)).await
    }

    /// Services: those after a key, or those whose names start with `beginning`.
    pub(crate) async fn services(&self, reader: Viewer, after: u64, beginning: String) -> Result<Services, ListError> {
        self.view(reader, move |answers| answers.service_rows(after, &beginning)).await
    }

    /// One service; `None` if the reader may see no such service. `place`: cluster and namespace.
    pub(crate) async fn service(
        &self,
        reader: Viewer,
        place: (String, String),
        name: String,
        page: u32,
    ) -> Result<Option<ServiceDetail>, ListError> {
        self.view(reader, move |answers| answers.service_detail((&place.0, &place.1), &name, page)).await
    }

    /// How reading goes.
    pub(crate) async fn sources(&self, reader: Viewer) -> Result<Sources, ListError> {
        self.view(reader, |answers| answers.source_rows()).await
    }

    /// How delivering goes.
    ///
    /// # Errors
    /// [`ListError::NotYours`] for whoever does not see everything.
    pub(crate) async fn destinations(&self, reader: Viewer) -> Result<Destinations, ListError> {
        if !reader.scope.is_everything() {
            return Err(ListError::NotYours);
        }
        self.view(reader, |answers| {
            let store = answers.store;
            Ok(Destinations { health: store.destinations()?, queues: store.queues()? })
        })
        .await
    }
}
