//! The life of incidents inside a step: joining, settling, waking, ending.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Ended, Made, Setup, State, Writes};
use crate::core::event::{Subject, Target};
use crate::core::incident::hold::Holds;
use crate::core::incident::standing::Shows;
use crate::core::incident::telling::Due;
use crate::core::incident::{Incident, Joining, Phase};
use crate::core::notice::{Notice, NoticeBody, NoticeKind};
use crate::core::reports::{self, Deleted, End, Of};
use crate::core::rules::RuleId;
use crate::core::rules::rule::{Destination, Field, OpenWhen, RuleKey, RuleSettings};
use crate::core::series::ProblemId;
use crate::core::source::ObjectName;
use crate::core::time::Time;
use crate::core::{topic, workload};

/// So long a word of a deletion may be under way.
const UNDER_WAY: Duration = Duration::from_secs(2);
/// So many workloads of one shape of name are told one by one; the next are runs of one thing.
const MAKER_RUNS: usize = 2;
/// The same where only the beginning of the names is the same.
const UNSURE_RUNS: usize = 6;
/// What is heard of for less than this, and not any more for as long, was short-lived.
const SHORT_LIVED: Duration = Duration::from_secs(150);
/// How long ago they may have been heard of.
const MAKER_MEMORY: Duration = Duration::from_secs(3600);

/// What became of a change.
pub(super) struct Joined {
    /// The incident.
    pub(super) id: u64,
    /// Its phase before.
    pub(super) before: Phase,
    /// Whether what it tells was over when it was written.
    pub(super) over: bool,
}

impl State {
    /// A change joins the incident of its rule and group, a new one if there is none. Says which, and
    /// its phase before that.
    pub(super) fn join(
        &mut self,
        setup: &Setup,
        rule: RuleId,
        subject: &Subject<'_>,
        joining: &Joining<'_>,
        now: Time,
        writes: &mut Writes,
    ) -> Option<Joined> {
        let group = setup.rules.group_key(rule, subject);
        let own = self.by_problem.get(&self.identities.problem(&setup.rules.get(rule).settings.key, &group)).copied();
        let (rule, own) = self.place(setup, rule, own, &group, joining);
        let settings = &setup.rules.get(rule).settings;
        let own = own.filter(|id| !self.is_another_trouble(*id, joining, now, writes));
        let id = match own {
            Some(id) => id,
            // Another service showed all of it before, to an incident that is over or gathers; or it is over itself.
            None if joining.new == 0 || joining.over => return None,
            None if let Some(id) = self.runs_of_one_maker(&settings.key, &group, joining, now) => id,
            None => self.create(setup, settings.key.clone(), group, joining, now),
        };
        let incident = self.incidents.get_mut(&id)?;
        let mut times = joining.times;
        if joining.late {
            let OpenWhen { within, lasts, .. } = settings.open_when;
            times.not_before = Some(now.minus(within.max(lasts.unwrap_or_default())));
        }
        let over = joining.over || incident.tells_of_the_past(joining.event, times.last, joining.late);
        let open = incident.phase == Phase::Open;
        let end_is_shown = self.sources.get(&joining.target.source).is_some_and(|source| {
            let of_node = reports::of(joining.event).is_some_and(|report| report.trouble.is_of_a_node());
            if of_node { source.shows_nodes } else { source.shows_ends }
        });
        let joining = &Joining { times, over, open, end_is_shown, ..*joining };
        let (before, had) = (incident.phase, incident.acknowledged.is_some());
        incident.join(settings, joining, now);
        if had && incident.acknowledged.is_none() {
            writes.acknowledged.insert(id);
        }
        if incident.targets.contains(joining.target) {
            note(&mut self.by_target, joining.target, id);
        }
        writes.incidents.insert(id);
        self.schedule(id, setup, now);
        Some(Joined { id, before, over: joining.over })
    }

    /// What the source of an incident shows of ends.
    fn shows(&self, incident: &Incident) -> Shows {
        let source = incident.targets.first().and_then(|target| self.sources.get(&target.source));
        source.map_or(Shows::default(), |source| Shows { ends: source.shows_ends, nodes: source.shows_nodes })
    }

    /// An event that ends troubles, at `at` by podbell's clock.
    pub(super) fn end_troubles(
        &mut self,
        setup: &Setup,
        subject: &Subject<'_>,
        at: Time,
        now: Time,
        writes: &mut Writes,
    ) {
        let event = subject.event;
        let (end, deleted) = (reports::ended_by(event), reports::deleted(event));
        if end.is_none() && deleted.is_none() {
            return;
        }
        let target = subject.target;
        if end.is_some_and(|end| end.of == Of::Node) {
            let cluster = (target.source.clone(), target.cluster.clone());
            let newest = self.nodes_back.entry(cluster).or_insert(event.last_seen);
            *newest = (*newest).max(event.last_seen);
        }
        let ids: Vec<u64> = match end {
            // What ran on a node is everywhere in its cluster.
            Some(End { of: Of::Node, .. }) => {
                let same = |of: &Target| of.source == target.source && of.cluster == target.cluster;
                let stands = |incident: &&Incident| incident.signs.nodes && incident.targets.iter().any(same);
                self.incidents.values().filter(stands).map(|incident| incident.id).collect()
            }
            _ => self.by_target.get(target).cloned().unwrap_or_default(),
        };
        for id in ids {
            let Some(incident) = self.incidents.get_mut(&id) else { continue };
            let mut ended = false;
            if let Some(end) = end {
                ended |= incident.end_by(event, end, at);
            }
            if let Some(gone) = deleted {
                ended |= incident.deleted(gone, at);
            }
            if ended {
                writes.incidents.insert(id);
                self.schedule(id, setup, now);
            }
        }
    }

    /// Where a change belongs: to the incident of its rule, or to an open one of the rule's family, of which every
    /// listener of the change hears.
    fn place(
        &mut self,
        setup: &Setup,
        rule: RuleId,
        own: Option<u64>,
        group: &[(Field, String)],
        joining: &Joining<'_>,
    ) -> (RuleId, Option<u64>) {
        let open = |state: &Self, id: u64| state.incidents.get(&id).is_some_and(|one| one.phase == Phase::Open);
        if own.is_some_and(|id| open(self, id)) {
            return (rule, own);
        }
        for relative in setup.rules.relatives(rule) {
            let settings = &setup.rules.get(*relative).settings;
            let hears = joining.destinations.iter().all(|to| settings.notify.contains(to));
            let known = self.by_problem.get(&self.identities.problem(&settings.key, group)).copied();
            if let Some(id) = known.filter(|id| hears && open(self, *id)) {
                return (*relative, Some(id));
            }
        }
        (rule, own)
    }

    /// Whether every target of an incident that can be read was read at or after a moment: any of them may show its end.
    fn was_read_since(&self, id: u64, at: Time) -> bool {
        let Some(incident) = self.incidents.get(&id) else { return false };
        let mut readable = incident.targets.iter().filter_map(|target| self.targets.get(target));
        let mut readable = readable.by_ref().filter(|state| state.failing.is_none()).peekable();
        readable.peek().is_some() && readable.all(|state| state.last_good.is_some_and(|read| read >= at))
    }

    /// Whether an open incident of the same family and group tells of an incident that gathers.
    fn is_told_by_a_relative(&mut self, id: u64, setup: &Setup) -> bool {
        let Some(incident) = self.incidents.get(&id).filter(|one| one.phase == Phase::Gathering) else { return false };
        let Some(rule) = setup.rules.find(&incident.rule) else { return false };
        let group = incident.group.clone();
        let hearers: Vec<Destination> = incident.telling.keys().cloned().collect();
        setup.rules.relatives(rule).iter().any(|relative| {
            let settings = &setup.rules.get(*relative).settings;
            let known = self.by_problem.get(&self.identities.problem(&settings.key, &group));
            let open = known.and_then(|id| self.incidents.get(id)).is_some_and(|one| one.phase == Phase::Open);
            open && hearers.iter().all(|to| settings.notify.contains(to))
        })
    }

    /// The incident of the first of many workloads with generated names that say the same within an hour: runs of one
    /// thing, told once.
    fn runs_of_one_maker(
        &mut self,
        rule: &RuleKey,
        group: &[(Field, String)],
        joining: &Joining<'_>,
        now: Time,
    ) -> Option<u64> {
        // Whose pods have the hash of a template has a name that somebody gave.
        if joining.event.obj_type.trim() == "Pod" && workload::is_of_a_template(&joining.event.obj_name) {
            return None;
        }
        let (shape, sure) = self.shape_of(rule, group)?;
        let topic = topic::of(joining.event, joining.workload);
        let same = |incident: &&Incident| {
            let age = now.since(incident.last_at);
            // Where only the beginning of the names is the same, they must have been heard of shortly.
            let of_a_run = sure || incident.is_of_many_names() || age >= SHORT_LIVED && incident.lived() < SHORT_LIVED;
            age < MAKER_MEMORY && of_a_run && incident.details.topics.first().is_some_and(|first| first.key == topic)
        };
        let ids = self.by_shape.get(&shape)?;
        let mut known = ids.iter().rev().filter_map(|id| self.incidents.get(id)).filter(same);
        let id = known.clone().map(|incident| incident.id).min()?;
        let first = self.incidents.get(&id)?;
        let runs = if sure { MAKER_RUNS } else { UNSURE_RUNS };
        (first.is_of_many_names() || known.nth(runs - 1).is_some()).then_some(id)
    }

    /// The identity of a group whose workload has a generated name, with the shape of the name in its place.
    fn shape_of(&mut self, rule: &RuleKey, group: &[(Field, String)]) -> Option<(ProblemId, bool)> {
        let at = group.iter().position(|(field, _)| *field == Field::Workload)?;
        let shape = workload::shape(&group.get(at)?.1)?;
        let mut of_shape = group.to_vec();
        of_shape.get_mut(at)?.1 = shape.text;
        Some((self.identities.problem(rule, &of_shape), shape.sure))
    }

    /// Whether an incident was about something else and is over: what comes now is no return of it. It ends for good.
    fn is_another_trouble(&mut self, id: u64, joining: &Joining<'_>, now: Time, writes: &mut Writes) -> bool {
        let Some(incident) = self.incidents.get(&id) else { return false };
        let other = matches!(incident.phase, Phase::Resolved { .. })
            && joining.new > 0
            && !incident.owes_end()
            && !incident.is_about(joining.event);
        if other {
            self.end(id, now, writes);
        }
        other
    }

    /// Objects are deleted: what stood of them does so no longer.
    pub(super) fn deleted(
        &mut self,
        setup: &Setup,
        source: &Arc<str>,
        objects: &[ObjectName],
        now: Time,
        writes: &mut Writes,
    ) {
        // Another object of that name may have begun to fail while the word was under way.
        let at = now.minus(UNDER_WAY);
        let stands = |incident: &&Incident| incident.signs.standing > 0;
        let ids: Vec<u64> = self.incidents.values().filter(stands).map(|incident| incident.id).collect();
        for id in ids {
            let Some(incident) = self.incidents.get_mut(&id) else { continue };
            let here = |object: &&ObjectName| {
                let of = |target: &Target| target.source == *source && *target.namespace == *object.namespace;
                incident.targets.iter().any(of)
            };
            let gone: Vec<&ObjectName> = objects.iter().filter(here).collect();
            let gone = gone.iter().map(|one| Deleted::One(&one.kind, &one.name));
            let ended = gone.filter(|one| incident.deleted(*one, at)).count();
            if ended > 0 {
                writes.incidents.insert(id);
                self.schedule(id, setup, now);
            }
        }
    }

    fn create(
        &mut self,
        setup: &Setup,
        rule: RuleKey,
        group: Vec<(Field, String)>,
        joining: &Joining<'_>,
        now: Time,
    ) -> u64 {
        let id = self.next_incident;
        self.next_incident += 1;
        let incident = Incident::new(id, rule, group, joining, now);
        self.index(&incident);
        self.incidents.insert(id, incident);
        self.note_inhibiting(setup, id);
        id
    }

    /// An event that is no occurrence keeps open what it is about.
    pub(super) fn sustain(&mut self, setup: &Setup, subject: &Subject<'_>, now: Time, writes: &mut Writes) {
        let ids: Vec<u64> = self.by_target.get(subject.target).into_iter().flatten().copied().collect();
        for id in ids {
            let Some(incident) = self.incidents.get_mut(&id) else { continue };
            let Some(rule) = setup.rules.find(&incident.rule) else { continue };
            if setup.rules.sustains(rule, subject) && incident.sustain(subject.event, now) {
                writes.incidents.insert(id);
                self.schedule(id, setup, now);
            }
        }
    }

    /// After a good poll: what was waiting for it to be over, and what is due at once.
    pub(super) fn settle(&mut self, setup: &Setup, target: &Target, now: Time, writes: &mut Writes) {
        let ids: Vec<u64> = self.by_target.get(target).into_iter().flatten().copied().collect();
        for id in ids {
            self.attend(id, setup, now, writes);
        }
    }

    /// Carries out what time has brought.
    pub(super) fn wake_incidents(&mut self, setup: &Setup, now: Time, writes: &mut Writes) {
        let due: Vec<u64> = self.wakes.range(..=(now, u64::MAX)).map(|(_, id)| *id).collect();
        for id in due {
            self.attend(id, setup, now, writes);
        }
    }

    /// Tells what is due, ends what is over, and sets the next timer.
    pub(super) fn attend(&mut self, id: u64, setup: &Setup, now: Time, writes: &mut Writes) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let Some(rule) = rule_of(setup, incident) else {
            self.close(id, "rule removed", setup, now, writes);
            return;
        };
        let (holds, shows) = (self.holds(setup, incident, now), self.shows(incident));
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if let Some(at) = incident.expires_at(rule).filter(|at| *at <= now) {
            if incident.owes_end() {
                let mut dues = incident.take_end(NoticeKind::Resolved, Some(rule), &holds, at, now);
                dues.retain(|due| due.kind == NoticeKind::Resolved);
                self.note_windows(id, true, now, writes);
                self.tell(id, Some(rule), dues, setup, None, now, writes);
            }
            self.end(id, now, writes);
            return;
        }
        if let Some(at) = incident.lasts_at(rule, shows).filter(|at| *at <= now) {
            if self.is_told_by_a_relative(id, setup) {
                self.end(id, now, writes);
                return;
            }
            if self.was_read_since(id, at)
                && let Some(incident) = self.incidents.get_mut(&id)
            {
                incident.open_by_lasting(rule, now);
                writes.incidents.insert(id);
            }
        }
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if incident.note_held(rule, &holds, now) {
            writes.incidents.insert(id);
            self.note_windows(id, false, now, writes);
        }
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if incident.drop_outdated(now) {
            writes.incidents.insert(id);
        }
        let dues = incident.take_due(rule, &holds, now);
        self.tell(id, Some(rule), dues, setup, None, now, writes);
        self.resolve_if_quiet(id, rule, &holds, setup, now, writes);
        self.schedule(id, setup, now);
    }

    /// Quiet for long enough, and every target of it was read at or after that moment.
    fn resolve_if_quiet(
        &mut self,
        id: u64,
        rule: &RuleSettings,
        holds: &Holds,
        setup: &Setup,
        now: Time,
        writes: &mut Writes,
    ) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let quiet_at = incident.quiet_at(rule, self.shows(incident));
        let over = incident.phase == Phase::Open
            && quiet_at <= now
            && !incident.owes_opened(holds)
            && incident.targets.iter().all(|target| self.last_good(target).is_some_and(|read| read >= quiet_at));
        if !over {
            return;
        }
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        let dues = incident.take_end(NoticeKind::Resolved, Some(rule), holds, quiet_at, now);
        incident.resolve(quiet_at);
        if incident.acknowledged.take().is_some() {
            writes.acknowledged.insert(id);
        }
        let key = incident.rule.clone();
        writes.incidents.insert(id);
        self.note_windows(id, true, now, writes);
        self.tell(id, Some(rule), dues, setup, None, now, writes);
        self.release(setup, &key);
    }

    /// Its rule or its targets are gone: whoever knows of it hears so, and it is over for good.
    pub(super) fn close(&mut self, id: u64, because: &str, setup: &Setup, now: Time, writes: &mut Writes) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let (was_open, key) = (incident.phase == Phase::Open, incident.rule.clone());
        if was_open {
            let (rule, holds) = (rule_of(setup, incident), self.holds(setup, incident, now));
            let Some(incident) = self.incidents.get_mut(&id) else { return };
            let dues = incident.take_end(NoticeKind::Closed, rule, &holds, now, now);
            self.note_windows(id, true, now, writes);
            self.tell(id, rule, dues, setup, Some(because), now, writes);
        }
        self.end(id, now, writes);
        if was_open {
            self.release(setup, &key);
        }
    }

    /// Over for good: out of the mirror.
    fn end(&mut self, id: u64, now: Time, writes: &mut Writes) {
        let Some(incident) = self.incidents.remove(&id) else { return };
        self.by_problem.remove(&self.identities.problem(&incident.rule, &incident.group));
        if let Some((shape, _)) = self.shape_of(&incident.rule, &incident.group)
            && let Some(ids) = self.by_shape.get_mut(&shape)
        {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_shape.remove(&shape);
            }
        }
        if let Some(ids) = self.inhibiting.get_mut(&incident.rule) {
            ids.remove(&id);
        }
        for target in &incident.targets {
            if let Some(ids) = self.by_target.get_mut(target) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.by_target.remove(target);
                }
            }
        }
        if let Some(at) = self.wake_at.remove(&id) {
            self.wakes.remove(&(at, id));
        }
        self.forget_mutes_of(id, writes);
        if incident.acknowledged.is_some() {
            writes.acknowledged.insert(id);
        }
        writes.incidents.remove(&id);
        let known = incident.phase != Phase::Gathering;
        writes.ended.push(Ended { incident, at: now, known });
    }

    /// A target is gone: its incidents lose it, and end with the last one.
    pub(super) fn leave(&mut self, target: &Target, because: &str, setup: &Setup, now: Time, writes: &mut Writes) {
        for id in self.by_target.remove(target).unwrap_or_default() {
            let Some(incident) = self.incidents.get_mut(&id) else { continue };
            // The last target stays with the story: it says where the problem was.
            if incident.targets.len() > 1 {
                incident.targets.retain(|other| other != target);
                writes.incidents.insert(id);
                self.attend(id, setup, now, writes);
            } else {
                self.close(id, because, setup, now, writes);
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn tell(
        &mut self,
        id: u64,
        rule: Option<&RuleSettings>,
        dues: Vec<Due>,
        setup: &Setup,
        closed_because: Option<&str>,
        now: Time,
        writes: &mut Writes,
    ) {
        for due in dues {
            let Some(incident) = self.incidents.get(&id) else { return };
            writes.incidents.insert(id);
            let mut story = incident.story(&due, rule, alias(setup, incident), now);
            story.closed_because = closed_because.map(str::to_owned);
            let made = Made {
                kind: due.kind,
                caused_at: due.caused_at,
                severity: rule.map(|rule| rule.severity).unwrap_or_default(),
                to: due.to,
                body: NoticeBody::Incident(Box::new(story)),
            };
            self.notice(made, now, writes);
        }
    }

    /// An incident as it is, for a message that is brought up to date: whoever reads it hears the whole
    /// story, and nobody is called. `None` if it is over for good, or nobody was told of it.
    pub fn portrait(&self, setup: &Setup, id: u64, now: Time) -> Option<Notice> {
        let incident = self.incidents.get(&id)?;
        let rule = rule_of(setup, incident);
        let (kind, caused_at) = match incident.phase {
            Phase::Gathering => return None,
            Phase::Open if incident.reopened > 0 => (NoticeKind::Reopened, incident.last_at),
            Phase::Open => (NoticeKind::Opened, incident.first_at),
            Phase::Resolved { at } => (NoticeKind::Resolved, at),
        };
        let due = Due { kind, caused_at, told: None, topics: 0, after_mute: None, to: Vec::new() };
        let mut story = incident.story(&due, rule, alias(setup, incident), now);
        story.mentions.clear();
        let severity = rule.map(|rule| rule.severity).unwrap_or_default();
        let body = NoticeBody::Incident(Box::new(story));
        Some(Notice { id: 0, kind, caused_at, made_at: now, severity, to: Vec::new(), body })
    }

    /// Sets the timer of an incident.
    pub(super) fn schedule(&mut self, id: u64, setup: &Setup, now: Time) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let next = match rule_of(setup, incident) {
            // The next tick closes it.
            None => Some(now),
            Some(rule) => {
                // Past its quiet moment it waits for a good poll, not for a timer.
                let quiet = (incident.phase == Phase::Open).then(|| incident.quiet_at(rule, self.shows(incident)));
                // Likewise past the moment at which it has lasted for long enough.
                let lasts = incident.lasts_at(rule, self.shows(incident));
                let later = |at: &Time| *at > now;
                let (quiet, lasts) = (quiet.filter(later), lasts.filter(later));
                [incident.tell_at(rule, &self.holds(setup, incident, now)), quiet, lasts, incident.expires_at(rule)]
                    .into_iter()
                    .flatten()
                    .min()
            }
        };
        let before = match next {
            Some(next) => self.wake_at.insert(id, next),
            None => self.wake_at.remove(&id),
        };
        if let Some(before) = before {
            self.wakes.remove(&(before, id));
        }
        if let Some(next) = next {
            self.wakes.insert((next, id));
        }
    }

    pub(super) fn index(&mut self, incident: &Incident) {
        self.by_problem.insert(self.identities.problem(&incident.rule, &incident.group), incident.id);
        if let Some((shape, _)) = self.shape_of(&incident.rule, &incident.group) {
            self.by_shape.entry(shape).or_default().push(incident.id);
        }
        for target in &incident.targets {
            note(&mut self.by_target, target, incident.id);
        }
    }

    pub(super) fn last_good(&self, target: &Target) -> Option<Time> {
        self.targets.get(target).and_then(|state| state.last_good)
    }
}

/// Notes that a target shows an incident.
fn note(by_target: &mut HashMap<Target, Vec<u64>>, target: &Target, id: u64) {
    match by_target.get_mut(target) {
        // Most targets show one incident, most new ones have the highest number.
        None => drop(by_target.insert(target.clone(), vec![id])),
        Some(ids) => {
            if let Err(place) = ids.binary_search(&id) {
                ids.insert(place, id);
            }
        }
    }
}

/// The rule of an incident, if it is still there and groups the same way.
pub(super) fn rule_of<'s>(setup: &'s Setup, incident: &Incident) -> Option<&'s RuleSettings> {
    let settings = &setup.rules.get(setup.rules.find(&incident.rule)?).settings;
    let same = settings.group_by.iter().eq(incident.group.iter().map(|(field, _)| field));
    same.then_some(settings)
}

fn alias<'s>(setup: &'s Setup, incident: &Incident) -> Option<&'s str> {
    let target = incident.targets.first()?;
    setup.sources.get(&target.source)?.aliases.get(target.cluster.as_ref()).map(String::as_str)
}
