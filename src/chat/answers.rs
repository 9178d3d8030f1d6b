//! Answers to questions that change nothing, from one snapshot of the store. Whatever the reader may not see is
//! left out here, so that later stages never get it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::answer_context::Answers;
use super::find::{self, Found};
use podbell_core::ask::events::{self, Events, Overview};
use podbell_core::ask::incidents::{self, Incidents};
use podbell_core::ask::mutes::Mutes;
use podbell_core::ask::show::{self, Shown};
use podbell_core::ask::status::Status;
use podbell_core::ask::untold::{self, Untold};
use podbell_core::ask::why::{NextStep, Why};
use podbell_core::ask::{Answer, Brief, Kind, Label, PAGE, Query, StoredIncident};
use podbell_core::event::{Names, Target};
use podbell_core::metadata::Metadata;
use podbell_core::mute::{Mute, Muted};
use podbell_core::rollout::RolloutOf;
use podbell_core::step::decision::Decision;
use podbell_core::time::Time;
use podbell_core::workload;
use podbell_store::{AtPlace, DecisionFilter, Incidents as Listed, Paging, PlaceName, StoreError, Wanted};

/// At most this many episodes of the silent baseline are read.
const MAX_BASELINE: u32 = 500;

/// How many of an incident's newest changes are asked for labels.
const MAX_LABELLED: usize = 1000;

/// What has a label.
#[derive(Default)]
struct Labelled {
    incidents: BTreeSet<u64>,
    /// Their kind and name.
    objects: BTreeSet<(String, String)>,
}

impl Labelled {
    fn has(&self, kind: &str, name: &str) -> bool {
        self.objects.contains(&(kind.trim().to_owned(), name.trim().to_owned()))
    }
}

impl Answers<'_> {
    pub(super) fn answer(&self, query: Query) -> Result<Answer, StoreError> {
        match query {
            Query::Overview { page } => self.overview(page),
            Query::Events(ask) => self.events(ask),
            Query::Incidents(ask) => self.incidents(ask),
            Query::Show { id } => self.show(id),
            Query::Why { id, page } => self.why(id, page),
            Query::Mutes => Ok(Answer::Mutes(Mutes { mutes: self.own_mutes()? })),
            Query::Untold(ask) => self.untold(ask),
            Query::Status => self.status(),
        }
    }

    fn overview(&self, page: u32) -> Result<Answer, StoreError> {
        let everything = self.scope.is_everything();
        let sees = |names: Names<'_>| self.scope.sees_names(names);
        let wanted: Option<Wanted<'_>> = if everything { None } else { Some(&sees) };
        let (ids, open) = self.store.incidents(Listed::Open, page_of(page), wanted)?;
        let own = if everything { None } else { Some(self.own_targets()?) };
        let services = match &own {
            Some(own) => own.len() as u64,
            None => self.store.service_count()?,
        };
        let seen = self.store.baseline(own.as_deref(), MAX_BASELINE)?;
        let (baseline, more) = Overview::baseline(&seen, |cluster| self.known.alias(cluster).map(str::to_owned));
        let more_baseline = more || seen.len() >= MAX_BASELINE as usize;
        let incidents = self.briefs(ids)?;
        Ok(Answer::Overview(Overview { incidents, open, page, baseline, more_baseline, services }))
    }

    fn events(&self, ask: events::Ask) -> Result<Answer, StoreError> {
        let (place, services) = match self.find_to_show(&ask.named)? {
            Found::One(place, services) => (place, services),
            Found::Several(places) => {
                let again = |named: &str| events::Ask { page: 1, ..ask.clone() }.typed_as(named);
                return Ok(Answer::Choice(find::which(&ask.named, &places, again)));
            }
            Found::None(near) => {
                let again = |named: &str| events::Ask { page: 1, ..ask.clone() }.typed_as(named);
                return Ok(Answer::Unknown(find::unknown(Kind::Service, ask.named.typed(), &near, again)));
            }
        };
        let targets: Vec<&Target> = find::to_read(&services).map(|service| &service.target).collect();
        let name = PlaceName { cluster: &place.cluster, namespace: &place.namespace, name: &place.name };
        let AtPlace { of_service, of_workload, mutes, mut seen, mut rollouts } =
            self.store.at_place(name, &targets, self.now)?;
        let of_service = if place.workload { Vec::new() } else { of_service };
        let mut briefs: Vec<Brief> = of_service
            .into_iter()
            .chain(of_workload)
            .filter(|kept| self.sees_any(kept))
            .map(|kept| self.brief(&kept, &mutes))
            .collect();
        briefs.sort_by_key(|brief| std::cmp::Reverse((brief.last_at, brief.id)));
        // Most incidents are in both `of_service` and `of_workload`.
        briefs.dedup_by_key(|brief| brief.id);
        seen.retain(|one| !place.workload || workload::of(&one.event.obj_type, &one.event.obj_name) == place.name);
        if let Some(label) = &ask.label {
            let labelled = self.labelled(&briefs, label)?;
            briefs.retain(|brief| labelled.incidents.contains(&brief.id));
            seen.retain(|one| labelled.has(&one.event.obj_type, &one.event.obj_name));
        }
        rollouts.retain(|one| !place.workload || one.workload == place.name);
        rollouts.sort_by_key(|one| one.rollout.at);
        let mut events = Events::new(place, ask, briefs, &seen, self.now);
        events.rollouts = rollouts;
        events.read_at = services.iter().filter_map(|service| service.read_at).max();
        events.failing_since = services.iter().filter_map(|service| service.failing_since).min();
        Ok(Answer::Events(Box::new(events)))
    }

    /// Which of these incidents, and which of their objects, have the label. Read from the stored decisions, because
    /// episodes are stored without labels.
    fn labelled(&self, briefs: &[Brief], label: &Label) -> Result<Labelled, StoreError> {
        let mut labelled = Labelled::default();
        for id in briefs.iter().map(|brief| brief.id) {
            let filter = DecisionFilter { incident: Some(id), ..DecisionFilter::default() };
            let decisions = self.store.decisions(&filter, MAX_LABELLED)?;
            // The newest says how an object is labelled now.
            let newest: BTreeMap<_, _> = decisions
                .into_iter()
                .filter(|decision| self.scope.sees(&decision.target))
                .map(|decision| ((decision.obj_type, decision.obj_name), decision.metadata))
                .collect();
            let has = |metadata: &Option<Arc<Metadata>>| metadata.as_deref().is_some_and(|all| label.is_of(all));
            let objects: Vec<_> = newest.into_iter().filter(|(_, all)| has(all)).map(|(object, _)| object).collect();
            if !objects.is_empty() {
                labelled.incidents.insert(id);
                labelled.objects.extend(objects);
            }
        }
        Ok(labelled)
    }

    fn incidents(&self, ask: incidents::Ask) -> Result<Answer, StoreError> {
        let sees = |names: Names<'_>| self.scope.sees_names(names) && ask.wants(names, self.known.alias(names.cluster));
        let all = self.scope.is_everything() && ask.namespace.is_none() && ask.cluster.is_none();
        let wanted: Option<Wanted<'_>> = if all { None } else { Some(&sees) };
        let which = if ask.all { Listed::All } else { Listed::Open };
        let (ids, all) = self.store.incidents(which, page_of(ask.page), wanted)?;
        Ok(Answer::Incidents(Incidents { incidents: self.briefs(ids)?, all, ask }))
    }

    fn show(&self, id: u64) -> Result<Answer, StoreError> {
        let Some(kept) = self.stored_incident(id)? else { return Ok(no_incident(id)) };
        let brief = self.brief(&kept, &self.store.mutes(self.now)?);
        let (actions, told) = (self.store.actions(id)?, self.store.told(id)?);
        let notice = show::notice(&kept.incident, &brief, self.scope, self.known, self.now);
        let shown = Shown { brief, notice, actions, told };
        Ok(Answer::Shown(Box::new(shown)))
    }

    fn why(&self, id: u64, page: u32) -> Result<Answer, StoreError> {
        let Some(kept) = self.stored_incident(id)? else { return Ok(no_incident(id)) };
        let filter = DecisionFilter { incident: Some(id), ..DecisionFilter::default() };
        let mut decisions = self.store.decisions(&filter, usize::MAX)?;
        decisions.retain(|decision| self.scope.sees(&decision.target));
        let states = kept.incident.notifications.iter();
        let held = states.filter_map(|(to, state)| Some((to.clone(), state.held.clone()?))).collect();
        let brief = self.brief(&kept, &self.store.mutes(self.now)?);
        let rule = self.known.rule(&kept.incident.rule);
        let next_step = rule.and_then(|rule| kept.incident.next_step(&rule.unacknowledged));
        let next_step = next_step.map(|(step, at)| NextStep { at, to: step.notify.clone() });
        let mut why = Why::new(brief, decisions, held, self.store.told(id)?, (page, self.now));
        let (workload, follows) = (&kept.incident.workload, &kept.incident.follows);
        why.next_step = next_step;
        // Only for readers who may see all targets of the incident: the rollout may be that of another team's service.
        why.rollout = follows
            .as_ref()
            .filter(|_| self.scope.covers(&kept.incident.targets))
            .map(|(_, rollout)| RolloutOf { workload: workload.clone(), rollout: rollout.clone() });
        Ok(Answer::Why(Box::new(why)))
    }

    fn untold(&self, ask: untold::Ask) -> Result<Answer, StoreError> {
        let mut decisions = self.store.without_incident(self.now.minus(ask.since))?;
        let wanted = |decision: &Decision| {
            let target = &decision.target;
            self.scope.sees(target) && ask.wants(target, self.known.alias(&target.cluster))
        };
        decisions.retain(wanted);
        let sees = |names: Names<'_>| self.scope.sees_names(names);
        let own = self.store.services(&sees)?;
        let asked = own.iter().map(|service| &service.target);
        let asked = asked.filter(|target| ask.wants(target, self.known.alias(&target.cluster)));
        let unusable = self.unusable(asked)?;
        Ok(Answer::Untold(Untold::new(ask, &decisions, unusable)))
    }

    /// How many of these services have list entries that cannot be understood.
    fn unusable<'t>(&self, targets: impl Iterator<Item = &'t Target>) -> Result<u64, StoreError> {
        let troubles = self.store.own_troubles()?;
        Ok(targets.filter(|target| troubles.iter().any(|trouble| trouble.is_unusable_of(target))).count() as u64)
    }

    fn status(&self) -> Result<Answer, StoreError> {
        let everything = self.scope.is_everything();
        let sees = |names: Names<'_>| self.scope.sees_names(names);
        let own = self.store.services(&sees)?;
        let failing: Vec<Time> = own.iter().filter_map(|service| service.failing_since).collect();
        let wanted: Option<Wanted<'_>> = if everything { None } else { Some(&sees) };
        let (_, open) = self.store.incidents(Listed::Open, Paging { skip: 0, limit: 0 }, wanted)?;
        let queues = self.store.queues()?;
        Ok(Answer::Status(Status {
            heartbeat: self.store.heartbeat()?,
            ended: false,
            services: own.len() as u64,
            unreadable: failing.len() as u64,
            unreadable_since: failing.iter().min().copied(),
            unusable: self.unusable(own.iter().map(|service| &service.target))?,
            open,
            mutes: self.own_mutes()?.len() as u64,
            waiting: everything.then(|| queues.iter().map(|queue| queue.waiting).sum()),
            dead: everything.then(|| queues.iter().map(|queue| queue.dead).sum()),
            destinations: if everything { Some(self.troubled_destinations()?) } else { None },
        }))
    }

    /// Destinations that are paused or whose last sends failed.
    fn troubled_destinations(&self) -> Result<Vec<String>, StoreError> {
        let all = self.store.destinations()?.into_iter();
        let troubled = all.filter(|(_, health)| health.paused.is_some() || health.failures > 0);
        Ok(troubled.map(|(name, _)| name.to_string()).collect())
    }

    /// An incident, if this reader may see any of its targets.
    pub(super) fn stored_incident(&self, id: u64) -> Result<Option<StoredIncident>, StoreError> {
        Ok(self.stored_incidents(&[id])?.pop())
    }

    /// Those of the incidents of which this reader may see any target, in this order.
    pub(super) fn stored_incidents(&self, ids: &[u64]) -> Result<Vec<StoredIncident>, StoreError> {
        let mut all = self.store.stored_incidents(ids)?;
        all.retain(|kept| self.sees_any(kept));
        Ok(all)
    }

    fn sees_any(&self, kept: &StoredIncident) -> bool {
        self.scope.sees_any(&kept.incident.targets)
    }

    fn briefs(&self, ids: Vec<u64>) -> Result<Vec<Brief>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mutes = self.store.mutes(self.now)?;
        Ok(self.stored_incidents(&ids)?.iter().map(|kept| self.brief(kept, &mutes)).collect())
    }

    fn brief(&self, kept: &StoredIncident, mutes: &[Mute]) -> Brief {
        Brief::of(kept, self.scope, self.known, mutes, self.now)
    }

    /// The mutes in force that this reader may see.
    pub(super) fn own_mutes(&self) -> Result<Vec<Mute>, StoreError> {
        let mutes = self.store.mutes(self.now)?;
        if self.scope.is_everything() || mutes.is_empty() {
            return Ok(mutes);
        }
        let own = self.own_targets()?;
        let mut seen = Vec::new();
        for mute in mutes {
            if mute.scope == *self.scope || self.may_see(&mute.what, &own)? {
                seen.push(mute);
            }
        }
        Ok(seen)
    }

    fn may_see(&self, what: &Muted, own: &[Target]) -> Result<bool, StoreError> {
        let found = match what {
            Muted::Incident { id } => self.stored_incident(*id)?.is_some(),
            Muted::Rule { rule } => self.known.rule(rule).is_some_and(|rule| rule.may_notify_of(self.scope, own)),
            Muted::Service { cluster, namespace, service } => {
                let is = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
                let here = |target: &Target| is(cluster, &target.cluster) && is(namespace, &target.namespace);
                own.iter().any(|target| *target.service == **service && here(target)) || {
                    let shown = self.store.services_of_workload(service)?;
                    shown.iter().any(|target| self.scope.sees(target) && here(target))
                }
            }
        };
        Ok(found)
    }
}

/// Pages count from 1.
fn page_of(page: u32) -> Paging {
    Paging { skip: (page.max(1) - 1).saturating_mul(PAGE as u32), limit: PAGE as u32 }
}

/// The answer that there is no such incident. An incident that the reader may not see gets the same answer, so that
/// nobody can tell the two apart.
pub(super) fn no_incident(id: u64) -> Answer {
    Answer::Unknown(find::unknown(Kind::Incident, format!("#{id}"), &[], str::to_owned))
}
