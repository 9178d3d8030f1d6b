//! What rules made of a change.

use super::decision::{Effect, RuleDecision};
use super::joining::Joined;
use super::{Setup, State};
use crate::incident::{Joining, Phase};
use crate::rules::RuleId;
use crate::time::Time;

impl State {
    /// What a rule made of a change. `joined` is the incident that the change joined, if any.
    pub(super) fn claimed(
        &self,
        setup: &Setup,
        rule: RuleId,
        joining: &Joining<'_>,
        joined: Option<Joined>,
        now: Time,
    ) -> RuleDecision {
        let settings = &setup.rules.get(rule).settings;
        let incident = joined.as_ref().and_then(|joined| Some((self.incidents.get(&joined.id)?, joined)));
        let effect = match incident {
            Some((incident, joined)) if joining.new > 0 => match (joined.before, incident.phase) {
                (Phase::Open, Phase::Open) => Effect::Counted,
                (Phase::Resolved { .. }, Phase::Open) => Effect::Reopened,
                (Phase::Gathering, Phase::Open) => Effect::Opened,
                _ if joined.over => Effect::Over,
                _ if let Some(until) = joined.counts_from => Effect::TooYoung { until },
                _ => match settings.open_when.count {
                    Some(need) => Effect::Gathers { have: incident.gathered(), need: need.into() },
                    None => Effect::Waits,
                },
            },
            None if joining.over => Effect::Over,
            _ => Effect::SeenElsewhere,
        };
        let to = joining.destinations.to_vec();
        let holds = incident.map(|(incident, _)| self.holds(setup, incident, now)).unwrap_or_default();
        let held = to.iter().filter_map(|name| Some((name.clone(), holds.of(name)?))).collect();
        RuleDecision { rule: settings.key.clone(), to, incident: joined.map(|joined| joined.id), effect, held }
    }
}
