//! The life of incidents inside a step: scheduling, evaluating, notifying, ending for good.

use super::held::Held;
use super::{Ended, NoticeDraft, Setup, State, StepContext};
use crate::enrichment::{PodQuestion, PodState};
use crate::event::{Subject, Target};
use crate::incident::hold::Holds;
use crate::incident::notification_state::Due;
use crate::incident::standing::VisibleEnds;
use crate::incident::{Incident, Joining, Phase};
use crate::notice::{CloseReason, Notice, NoticeBody, NoticeKind};
use crate::outbox::MessageState;
use crate::rule::{EndsBy, RuleKey, RuleSettings};
use crate::time::Time;

impl State {
    /// Which ends of troubles the incident's source shows.
    pub(super) fn shows(&self, incident: &Incident) -> VisibleEnds {
        let source = incident.targets.first().and_then(|target| self.sources.get(&target.source));
        source
            .map_or(VisibleEnds::default(), |source| VisibleEnds { ends: source.shows_ends, nodes: source.shows_nodes })
    }

    /// Whether every readable target of an incident was read at or after `at`: any of them may show its end.
    fn was_read_since(&self, id: u64, at: Time) -> bool {
        let Some(incident) = self.incidents.get(&id) else { return false };
        let mut readable = incident.targets.iter().filter_map(|target| self.targets.get(target));
        let mut readable = readable.by_ref().filter(|state| state.failing.is_none()).peekable();
        readable.peek().is_some() && readable.all(|state| state.last_good.is_some_and(|read| read >= at))
    }

    /// Takes in an event that is no occurrence but keeps open the incidents that it is about.
    pub(super) fn sustain(&mut self, subject: &Subject<'_>, cx: &mut StepContext<'_>) {
        let ids: Vec<u64> = self.index.of_target(subject.target).to_vec();
        for id in ids {
            let Some(incident) = self.incidents.get_mut(&id) else { continue };
            let Some(rule) = cx.setup.rules.find(&incident.rule) else { continue };
            if cx.setup.rules.sustains(rule, subject) && incident.sustain(subject.event, cx.now) {
                cx.writes.incidents.insert(id);
                self.schedule(id, cx.setup, cx.now);
            }
        }
    }

    /// An incident opened. What related rules gathered may say why, and a source is asked how its pod is. `joined`: the change
    /// that opened it, if one did.
    pub(super) fn opened(&mut self, id: u64, joined: Option<&Joining<'_>>, cx: &mut StepContext<'_>) {
        self.quote_cause(id, cx.setup);
        let Some(incident) = self.incidents.get(&id) else { return };
        let quoted = &incident.details.newest;
        // Of several workloads, the quoted pod may be of another target.
        let (target, kind, pod) = match joined {
            Some(joining) if incident.is_of_one_workload() => {
                (Some(joining.target), &*quoted.obj_type, &*quoted.obj_name)
            }
            Some(joining) => (Some(joining.target), &*joining.event.obj_type, &*joining.event.obj_name),
            None => (incident.targets.first(), &*quoted.obj_type, &*quoted.obj_name),
        };
        if let Some(target) = target.filter(|_| kind.trim() == "Pod") {
            cx.writes.questions.push(PodQuestion {
                incident: id,
                source: target.source.clone(),
                namespace: target.namespace.clone(),
                pod: pod.trim().to_owned(),
            });
        }
    }

    /// A source said how a pod is: messages that are made from now on say so.
    pub(super) fn handle_enrichment(&mut self, id: u64, pod: &PodState, cx: &mut StepContext<'_>) {
        let Some(incident) = self.incidents.get_mut(&id).filter(|incident| incident.phase == Phase::Open) else {
            return;
        };
        incident.enrich(pod.clone());
        cx.writes.incidents.insert(id);
    }

    /// After a good poll: evaluates the target's incidents, which may have waited for it.
    pub(super) fn after_poll(&mut self, target: &Target, cx: &mut StepContext<'_>) {
        let ids: Vec<u64> = self.index.of_target(target).to_vec();
        for id in ids {
            self.evaluate(id, cx);
        }
    }

    /// Evaluates the incidents whose timer is due.
    pub(super) fn wake_incidents(&mut self, cx: &mut StepContext<'_>) {
        let due: Vec<u64> = self.wakes.range(..=(cx.now, u64::MAX)).map(|(_, id)| *id).collect();
        for id in due {
            self.evaluate(id, cx);
        }
    }

    /// Makes the notices that are due, ends the incident if it is over, and sets its next timer.
    pub(super) fn evaluate(&mut self, id: u64, cx: &mut StepContext<'_>) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let Some(rule) = rule_of(cx.setup, incident) else {
            self.close(id, CloseReason::RuleRemoved, cx);
            return;
        };
        let (holds, shows) = (self.holds(cx.setup, incident, cx.now), self.shows(incident));
        let was_open = incident.phase == Phase::Open;
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if let Some(at) = incident.expires_at(rule).filter(|at| *at <= cx.now) {
            if incident.owes_end() {
                let mut dues = incident.take_end(NoticeKind::Resolved, Some(rule), &holds, at, cx.now);
                dues.retain(|due| due.kind == NoticeKind::Resolved);
                self.note_windows(id, Held::Over, cx);
                self.tell(id, Some(rule), dues, None, cx);
            }
            self.end(id, cx);
            return;
        }
        if let Some(at) = incident.lasts_at(rule, shows).filter(|at| *at <= cx.now) {
            if self.is_covered_by_relative(id, cx.setup) {
                self.end(id, cx);
                return;
            }
            if self.was_read_since(id, at)
                && let Some(incident) = self.incidents.get_mut(&id)
            {
                incident.open_by_lasting(rule, cx.now);
                cx.writes.incidents.insert(id);
            }
        }
        self.count_matured(id, rule, cx);
        if !was_open && self.incidents.get(&id).is_some_and(|one| one.phase == Phase::Open) {
            self.opened(id, None, cx);
        }
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if incident.take_steps(rule, cx.now) {
            cx.writes.incidents.insert(id);
        }
        if incident.note_held(rule, &holds, cx.now) {
            cx.writes.incidents.insert(id);
            self.note_windows(id, Held::Open, cx);
        }
        self.list_in_causes(id, &holds, cx);
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if incident.drop_outdated(cx.now) {
            cx.writes.incidents.insert(id);
        }
        let dues = incident.take_due(rule, &holds, cx.now);
        self.tell(id, Some(rule), dues, None, cx);
        self.resolve_if_quiet(id, rule, &holds, cx);
        self.note_status(id, rule, cx);
        self.schedule(id, cx.setup, cx.now);
    }

    /// Resolves an incident that was quiet for long enough, if all its targets were read at or after that moment.
    fn resolve_if_quiet(&mut self, id: u64, rule: &RuleSettings, holds: &Holds, cx: &mut StepContext<'_>) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let Some(quiet_at) = self.quiet_at(incident, rule) else { return };
        let status = self.status(incident).filter(|_| rule.until == EndsBy::Event);
        let over = incident.phase == Phase::Open
            && quiet_at <= cx.now
            && !incident.owes_opened(holds)
            && incident.targets.iter().all(|target| self.last_good(target).is_some_and(|read| read >= quiet_at));
        if !over {
            return;
        }
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        let dues = incident.take_end(NoticeKind::Resolved, Some(rule), holds, quiet_at, cx.now);
        incident.status = status;
        let rules: Vec<RuleKey> = incident.inhibiting_rules().cloned().collect();
        self.resolve(id, quiet_at, cx);
        self.note_windows(id, Held::Over, cx);
        self.tell(id, Some(rule), dues, None, cx);
        self.release(cx.setup, &rules);
    }

    fn resolve(&mut self, id: u64, at: Time, cx: &mut StepContext<'_>) {
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        incident.resolve(at);
        if incident.acknowledged.take().is_some() {
            cx.writes.acknowledged.insert(id);
        }
        cx.writes.incidents.insert(id);
    }

    /// Ends an incident whose rule or targets are gone, and notifies the destinations that know of it.
    pub(super) fn close(&mut self, id: u64, reason: CloseReason, cx: &mut StepContext<'_>) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let was_open = incident.phase == Phase::Open;
        let rules: Vec<RuleKey> = incident.inhibiting_rules().cloned().collect();
        let mut is_withheld = false;
        if was_open || incident.owes_end() {
            let (rule, holds) = (rule_of(cx.setup, incident), self.holds(cx.setup, incident, cx.now));
            let Some(incident) = self.incidents.get_mut(&id) else { return };
            // Messages that stand for it must still show that it is over, though nobody is told.
            is_withheld = was_open && rule.is_some() && incident.withholds_end(&holds);
            let dues = incident.take_end(NoticeKind::Closed, rule, &holds, cx.now, cx.now);
            self.note_windows(id, Held::Over, cx);
            self.tell(id, rule, dues, Some(reason), cx);
        }
        if is_withheld {
            self.resolve(id, cx.now, cx);
            self.schedule(id, cx.setup, cx.now);
        } else {
            self.end(id, cx);
        }
        if was_open {
            self.release(cx.setup, &rules);
        }
    }

    /// Removes an incident that is over for good.
    pub(super) fn end(&mut self, id: u64, cx: &mut StepContext<'_>) {
        let Some(incident) = self.incidents.remove(&id) else { return };
        self.index.remove(&incident);
        for rule in incident.inhibiting_rules() {
            if let Some(ids) = self.inhibiting.get_mut(rule) {
                ids.remove(&id);
            }
        }
        if let Some(at) = self.wake_at.remove(&id) {
            self.wakes.remove(&(at, id));
        }
        self.forget_mutes_of(id, cx.writes);
        if incident.acknowledged.is_some() {
            cx.writes.acknowledged.insert(id);
        }
        cx.writes.incidents.remove(&id);
        let known = incident.phase != Phase::Gathering;
        cx.writes.ended.push(Ended { incident: *incident, at: cx.now, known });
    }

    /// Removes a target that is gone from its incidents; an incident without another target is closed.
    pub(super) fn leave(&mut self, target: &Target, reason: CloseReason, cx: &mut StepContext<'_>) {
        for id in self.index.forget_target(target) {
            let Some(incident) = self.incidents.get_mut(&id) else { continue };
            // Keep the last target: the story says where the problem was.
            if incident.targets.len() > 1 {
                incident.targets.retain(|other| other != target);
                cx.writes.incidents.insert(id);
                self.evaluate(id, cx);
            } else {
                self.close(id, reason, cx);
            }
        }
    }

    fn tell(
        &mut self,
        id: u64,
        rule: Option<&RuleSettings>,
        dues: Vec<Due>,
        closed_because: Option<CloseReason>,
        cx: &mut StepContext<'_>,
    ) {
        for due in dues {
            self.note_rollout(id, due.kind, due.caused_at);
            let ready = self.incidents.get(&id).and_then(|incident| self.not_ready(incident, due.kind));
            let Some(incident) = self.incidents.get_mut(&id) else { return };
            incident.note_told_readiness(&due.to, ready);
            cx.writes.incidents.insert(id);
            let mut story = incident.story(&due, rule, alias(cx.setup, incident), cx.now);
            story.closed_because = closed_because;
            story.ready = ready;
            let made = NoticeDraft {
                kind: due.kind,
                caused_at: due.caused_at,
                severity: rule.map(|rule| rule.severity).unwrap_or_default(),
                to: due.to,
                body: NoticeBody::Incident(Box::new(story)),
            };
            self.notice(made, cx);
        }
    }

    /// An incident or a trouble as it is, to bring a message up to date: with the whole story, and without mentions. `None` if
    /// it is over for good, or still gathers.
    pub fn current_notice(&self, setup: &Setup, id: u64, now: Time) -> Option<Notice> {
        if let Some(trouble) = self.troubles.get(&id) {
            return Some(trouble.current_notice(now));
        }
        let incident = self.incidents.get(&id)?;
        let rule = rule_of(setup, incident);
        let (kind, caused_at) = match incident.phase {
            Phase::Gathering => return None,
            Phase::Open if incident.reopened > 0 => (NoticeKind::Reopened, incident.last_at),
            Phase::Open => (NoticeKind::Opened, incident.first_at),
            Phase::Resolved { at } => (NoticeKind::Resolved, at),
        };
        let due =
            Due { kind, caused_at, told: None, topics: 0, after_mute: None, unacknowledged: None, to: Vec::new() };
        let mut story = incident.story(&due, rule, alias(setup, incident), now);
        story.mentions.clear();
        story.ready = self.not_ready(incident, kind);
        let severity = rule.map(|rule| rule.severity).unwrap_or_default();
        let body = NoticeBody::Incident(Box::new(story));
        Some(Notice { id: 0, kind, caused_at, made_at: now, severity, to: Vec::new(), body })
    }

    /// What a message that stands for an incident or a trouble should show; `None` if that is over for good.
    pub fn message_state(&self, id: u64) -> Option<MessageState> {
        let trouble = || self.troubles.contains_key(&id).then_some(MessageState::TROUBLE);
        self.incidents.get(&id).map(|incident| MessageState::of(incident)).or_else(trouble)
    }

    /// Sets the timer of an incident.
    pub(super) fn schedule(&mut self, id: u64, setup: &Setup, now: Time) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let next = self.next_of(incident, setup, now);
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

    /// When something is due for an incident without further input.
    pub(super) fn next_of(&self, incident: &Incident, setup: &Setup, now: Time) -> Option<Time> {
        // The rule is gone: the next tick closes the incident.
        let Some(rule) = rule_of(setup, incident) else { return Some(now) };
        // Past its quiet moment it waits for a good poll, not for a timer.
        let shows = self.shows(incident);
        let open = incident.phase == Phase::Open;
        let quiet = open.then(|| self.quiet_at(incident, rule).unwrap_or_else(|| self.silent_at(incident, rule)));
        // The same holds once it has lasted long enough.
        let lasts = incident.lasts_at(rule, shows);
        let later = |at: &Time| *at > now;
        let settles = incident.settles_at();
        let (quiet, lasts, settles) = (quiet.filter(later), lasts.filter(later), settles.filter(later));
        let step = incident.next_step(&rule.unacknowledged).map(|(_, at)| at);
        let told = incident.next_notice_at(rule, &self.holds(setup, incident, now));
        [told, quiet, lasts, settles, incident.expires_at(rule), step].into_iter().flatten().min()
    }

    pub(super) fn last_good(&self, target: &Target) -> Option<Time> {
        self.targets.get(target).and_then(|state| state.last_good)
    }
}

/// The rule of an incident, if it still exists and groups by the same fields.
pub(super) fn rule_of<'s>(setup: &'s Setup, incident: &Incident) -> Option<&'s RuleSettings> {
    let settings = &setup.rules.get(setup.rules.find(&incident.rule)?).settings;
    let same = settings.group_by.iter().eq(incident.group.iter().map(|(field, _)| field));
    same.then_some(settings)
}

fn alias<'s>(setup: &'s Setup, incident: &Incident) -> Option<&'s str> {
    let target = incident.targets.first()?;
    setup.sources.get(&target.source)?.aliases.get(target.cluster.as_ref()).map(String::as_str)
}
