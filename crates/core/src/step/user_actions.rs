//! User actions inside the core: mutes and acknowledgements, their notices and their end.
//!
//! Also decides who may do what, by the scope that came with the action: what lies outside of the scope does not exist
//! for its author.

use std::collections::BTreeSet;

use super::incidents::rule_of;
use super::{ActionRecord, Setup, State, StepContext, Writes};
use crate::event::Target;
use crate::incident::{Incident, Phase};
use crate::mute::{Acknowledged, Author, LONGEST_MUTE, Mute, Muted};
use crate::notice::Info;
use crate::rule::{Destination, Severity};
use crate::scope::Scope;
use crate::time::Time;
use crate::user_action::{Act, ActionResult, Refusal, UserAction};

/// Bound on the mutes in force: every notice is checked against all of them.
const MAX_MUTES: usize = 500;
/// How many characters are kept of a user's reason, and of a name.
const MAX_WHY: usize = 300;
const MAX_NAME: usize = 253;
/// Bound on the services named by a mute whose rules are searched for destinations.
const MAX_ASKED: usize = 50;

impl State {
    /// Carries out a user action at `now`.
    pub fn act(&mut self, setup: &Setup, action: &UserAction, now: Time, writes: &mut Writes) -> ActionResult {
        let cx = &mut StepContext { setup, now, writes };

        let by = Author { name: in_one_line(&action.by.name, MAX_NAME), via: in_one_line(&action.by.via, MAX_NAME) };
        let done = match &action.act {
            Act::Mute { what, lasts, why } => {
                if lasts.as_secs() == 0 || *lasts > LONGEST_MUTE {
                    return ActionResult::Refused { because: Refusal::Length };
                }
                let mute = Mute {
                    id: self.next_mute,
                    what: what.clone(),
                    scope: action.scope.clone(),
                    by: by.clone(),
                    why: why.as_deref().map(|why| in_one_line(why, MAX_WHY)),
                    from: cx.now,
                    until: cx.now.plus(*lasts),
                };
                self.mute(mute, cx)
            }
            Act::Unmute { what } => self.unmute(what, &action.scope, cx),
            Act::Acknowledge { id } => self.acknowledge(*id, &action.scope, &by, cx),
        };
        if !matches!(done, ActionResult::Refused { .. }) {
            let incident = match &action.act {
                Act::Acknowledge { id }
                | Act::Mute { what: Muted::Incident { id }, .. }
                | Act::Unmute { what: Muted::Incident { id } } => Some(*id),
                _ => None,
            };
            cx.writes.recorded.push(ActionRecord { at: cx.now, incident, by, act: action.act.clone() });
        }
        done
    }

    fn mute(&mut self, mute: Mute, cx: &mut StepContext<'_>) -> ActionResult {
        if let Err(because) = self.may_mute(cx.setup, &mute) {
            return ActionResult::Refused { because };
        }
        // A repeated mute counts from now: it replaces the old one, and nobody is notified that the old one ended.
        let same = self.mutes.values().filter(|other| other.what == mute.what && other.scope == mute.scope);
        for id in same.map(|other| other.id).collect::<Vec<_>>() {
            self.mutes.remove(&id);
            cx.writes.mutes_over.insert(id);
        }
        if self.mutes.len() >= MAX_MUTES {
            return ActionResult::Refused { because: Refusal::TooMany };
        }
        self.next_mute += 1;
        let held: Vec<u64> = self.held_by(&mute);
        let open = |id: &&u64| self.incidents.get(id).is_some_and(|incident| incident.phase == Phase::Open);
        let holds = held.iter().filter(open).count() as u64;
        let info = Info::Muted {
            what: self.in_words(cx.setup, &mute.what),
            by: mute.by.clone(),
            why: mute.why.clone(),
            until: mute.until,
            holds,
        };
        let to = self.affected(cx.setup, &mute, &held);
        self.inform(Severity::Info, to.into_iter().collect(), info, cx);
        cx.writes.mutes.insert(mute.id);
        self.mutes.insert(mute.id, mute.clone());
        for id in held {
            // Whoever mutes it knows of it.
            if let Some(incident) = self.incidents.get_mut(&id).filter(|one| one.phase == Phase::Open) {
                incident.end_steps();
                cx.writes.incidents.insert(id);
            }
            self.schedule(id, cx.setup, cx.now);
        }
        ActionResult::Muted { mute, holds }
    }

    /// Whether what is muted exists as far as the author may see, and the author's scope covers it.
    fn may_mute(&self, setup: &Setup, mute: &Mute) -> Result<(), Refusal> {
        match &mute.what {
            Muted::Incident { id } => {
                let seen = self
                    .incidents
                    .get(id)
                    .filter(|incident| incident.phase != Phase::Gathering && mute.scope.sees_any(&incident.targets));
                let incident = seen.ok_or(Refusal::Unknown)?;
                if mute.scope.covers(&incident.targets) { Ok(()) } else { Err(Refusal::NotYours) }
            }
            Muted::Rule { rule } => setup.rules.find(rule).map(|_| ()).ok_or(Refusal::Unknown),
            what @ Muted::Service { .. } => {
                let sees = |target: &&Target| mute.scope.sees(target);
                let watched = self.targets.keys().filter(|target| what.is_service(target)).any(|target| sees(&target));
                let shown = || {
                    self.incidents
                        .values()
                        .any(|incident| incident.is_meant_by(what) && mute.scope.covers(&incident.targets))
                };
                if watched || shown() { Ok(()) } else { Err(Refusal::Unknown) }
            }
        }
    }

    fn held_by(&self, mute: &Mute) -> Vec<u64> {
        self.incidents.values().filter(|incident| incident.is_muted_by(mute)).map(|incident| incident.id).collect()
    }

    /// The destinations of what is muted: of present incidents and of future ones.
    fn affected(&self, setup: &Setup, mute: &Mute, held: &[u64]) -> BTreeSet<Destination> {
        let mut to = BTreeSet::new();
        for incident in held.iter().filter_map(|id| self.incidents.get(id)) {
            let rule = rule_of(setup, incident).into_iter();
            // Whom a label will choose is not known before the event.
            let rule = rule.filter(|rule| rule.routing.is_none()).flat_map(|rule| &rule.notify);
            to.extend(rule.chain(incident.notifications.keys()).cloned());
        }
        match &mute.what {
            Muted::Incident { .. } => {}
            Muted::Rule { rule } => {
                let rule = setup.rules.find(rule).map(|id| &setup.rules.get(id).settings.notify);
                to.extend(rule.into_iter().flatten().cloned());
            }
            Muted::Service { .. } => {
                let named = self.targets.keys().filter(|target| mute.what.is_service(target));
                for target in named.filter(|target| mute.scope.sees(target)).take(MAX_ASKED) {
                    let rules = setup.rules.notifying_rules(target).map(|rule| &rule.settings);
                    let sure = rules.filter(|rule| rule.routing.is_none());
                    to.extend(sure.flat_map(|rule| &rule.notify).cloned());
                }
            }
        }
        to.retain(|name| setup.destinations.contains(name));
        to
    }

    fn in_words(&self, setup: &Setup, what: &Muted) -> String {
        match what {
            Muted::Incident { id } => {
                let words = self.incidents.get(id).map(|incident| super::held::words(incident)).unwrap_or_default();
                format!("#{id} {words}")
            }
            Muted::Rule { rule } => format!("rule {}", rule.name),
            Muted::Service { cluster, namespace, service } => {
                let alias = |id: &String| setup.sources.values().find_map(|source| source.aliases.get(id.as_str()));
                let cluster = cluster.as_ref().map(|id| alias(id).unwrap_or(id));
                let parts = [cluster.map(String::as_str), namespace.as_deref(), Some(service.as_str())];
                parts.into_iter().flatten().collect::<Vec<_>>().join("/")
            }
        }
    }

    fn unmute(&mut self, what: &Muted, scope: &Scope, cx: &mut StepContext<'_>) -> ActionResult {
        let may = |mute: &&Mute| scope.is_everything() || mute.scope == *scope;
        let over: Vec<Mute> =
            self.mutes.values().filter(|mute| what.includes(&mute.what)).filter(may).cloned().collect();
        if over.is_empty() {
            return ActionResult::Refused { because: Refusal::NotMuted };
        }
        for mute in &over {
            self.end_mute(mute, cx);
        }
        ActionResult::Unmuted { mutes: over }
    }

    fn acknowledge(&mut self, id: u64, scope: &Scope, by: &Author, cx: &mut StepContext<'_>) -> ActionResult {
        let seen = self
            .incidents
            .get_mut(&id)
            .filter(|incident| incident.phase != Phase::Gathering && scope.sees_any(&incident.targets));
        let Some(incident) = seen else { return ActionResult::Refused { because: Refusal::Unknown } };
        if incident.phase != Phase::Open {
            return ActionResult::Refused { because: Refusal::Over };
        }
        incident.end_steps();
        let before = incident.acknowledged.replace(Acknowledged { by: by.clone(), at: cx.now });
        cx.writes.incidents.insert(id);
        cx.writes.acknowledged.insert(id);
        self.schedule(id, cx.setup, cx.now);
        ActionResult::Acknowledged { id, before }
    }

    /// Ends the mutes whose time is over.
    pub(super) fn wake_mutes(&mut self, cx: &mut StepContext<'_>) {
        let over: Vec<Mute> = self.mutes.values().filter(|mute| mute.until <= cx.now).cloned().collect();
        for mute in over {
            self.end_mute(&mute, cx);
        }
    }

    /// Ends a mute: notifies of the incidents that it held and that are still open, unless another mute holds them.
    fn end_mute(&mut self, mute: &Mute, cx: &mut StepContext<'_>) {
        self.mutes.remove(&mute.id);
        cx.writes.mutes_over.insert(mute.id);
        for id in self.held_by(mute) {
            let Some(incident) = self.incidents.get(&id) else { continue };
            if self.muted(incident).is_some() {
                continue;
            }
            let Some(incident) = self.incidents.get_mut(&id) else { continue };
            if let Some(rule) = rule_of(cx.setup, incident)
                && incident.mute_over(rule, &mute.by, cx.now)
            {
                cx.writes.incidents.insert(id);
            }
            self.evaluate(id, cx);
        }
    }

    /// Drops the mutes of an incident that is over for good.
    pub(super) fn forget_mutes_of(&mut self, id: u64, writes: &mut Writes) {
        let of = Muted::Incident { id };
        let over: Vec<u64> = self.mutes.values().filter(|mute| mute.what == of).map(|mute| mute.id).collect();
        for mute in over {
            self.mutes.remove(&mute);
            writes.mutes_over.insert(mute);
        }
    }

    /// The mute that holds an incident; of several, the one that ends last.
    pub(super) fn muted(&self, incident: &Incident) -> Option<(u64, Time)> {
        let holding = self.mutes.values().filter(|mute| incident.is_muted_by(mute));
        holding.map(|mute| (mute.id, mute.until)).max_by_key(|(_, until)| *until)
    }

    /// A mute that has not ended.
    pub fn mute_in_force(&self, id: u64) -> Option<&Mute> {
        self.mutes.get(&id)
    }

    /// All mutes that have not ended, in the order of creation.
    pub fn mutes(&self) -> impl Iterator<Item = &Mute> {
        self.mutes.values()
    }
}

/// Joins a user's text into one line, and cuts it.
fn in_one_line(text: &str, most: usize) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(most).collect()
}
