//! New rules: what becomes of the existing incidents.
//!
//! If file, name and `group_by` stay the same, the incident goes on, and steps that it has already passed are not sent
//! under the new rule. Otherwise it moves to the rule that claims its newest event now, if that rule groups it by the
//! same values; else it closes with the next tick. New rules see only changes that come after them.

use super::incidents::rule_of;
use super::state::note_inhibiting;
use super::{HeldKey, Setup, State, StepContext, Writes};
use crate::event::Subject;
use crate::incident::Incident;
use crate::rule::Destination;
use crate::rules::RuleId;

impl State {
    /// Renames a destination in notification states, in its trouble and in windows, so that nothing is sent again.
    pub fn rename_destination(&mut self, from: &str, to: &Destination, writes: &mut Writes) {
        for incident in self.incidents.values_mut() {
            if crate::incident::notification_state::rename(&mut incident.notifications, from, to) {
                writes.incidents.insert(incident.id);
            }
        }
        for trouble in self.troubles.values_mut() {
            if trouble.rename(from, to) {
                writes.troubles.insert(trouble.id);
            }
        }
        let held: Vec<HeldKey> = self.held.keys().filter(|(name, _)| **name == *from).cloned().collect();
        for key in held {
            let new = (to.clone(), key.1.clone());
            if let Some(held) = self.held.remove(&key) {
                self.held.insert(new.clone(), held);
                writes.held.extend([key, new]);
            }
        }
    }

    /// Brings incidents in line with the setup's rules.
    pub(super) fn adopt_rules(&mut self, cx: &mut StepContext<'_>) {
        self.end_removed_windows(cx);
        self.inhibiting.clear();
        let ids: Vec<u64> = self.incidents.keys().copied().collect();
        for id in ids {
            let Some(incident) = self.incidents.get(&id) else { continue };
            if rule_of(cx.setup, incident).is_none()
                && let Some(successor_rule) = successor_rule(cx.setup, incident)
            {
                self.move_to(id, successor_rule, cx);
            }
            let Some(incident) = self.incidents.get_mut(&id) else { continue };
            if let Some(rule) = rule_of(cx.setup, incident)
                && incident.pass_steps(rule, cx.now)
            {
                cx.writes.incidents.insert(id);
            }
            if let Some(incident) = self.incidents.get(&id) {
                note_inhibiting(&mut self.inhibiting, cx.setup, incident);
            }
            self.schedule(id, cx.setup, cx.now);
        }
    }

    /// Moves an incident to another rule, unless that rule has an incident of this group already.
    fn move_to(&mut self, id: u64, rule: RuleId, cx: &mut StepContext<'_>) {
        let key = cx.setup.rules.get(rule).settings.key.clone();
        let Some(incident) = self.incidents.get_mut(&id) else { return };
        if self.index.give_to(incident, &key) {
            incident.rule = key;
            cx.writes.incidents.insert(id);
        }
    }
}

/// The rule that claims the incident's newest event now and groups it by the same values.
fn successor_rule(setup: &Setup, incident: &Incident) -> Option<RuleId> {
    let target = incident.targets.first()?;
    let event = incident.newest_event();
    let subject = Subject { target, event: &event, workload: &incident.workload };
    let claims = setup.rules.claims(&subject).into_iter().map(|claim| claim.rule);
    claims.into_iter().find(|rule| setup.rules.group_key(*rule, &subject) == incident.group)
}
