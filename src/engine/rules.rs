//! Replaces the rules: as a whole, within one commit, with a report of refused files.

use std::collections::BTreeMap;

use super::{Engine, InMemoryState, NewRules, TurnResult};
use podbell_core::rules::in_force::InForce;
use podbell_core::step::{Input, step};

/// The name under which a refusal of podbell.yaml's rules is reported.
const CONFIGURATION: &str = "podbell.yaml";

impl Engine {
    /// Replaces the rules; `known` are the rule files that were good last. Idempotent.
    pub(super) fn replace_rules(
        &mut self,
        rules: &NewRules,
        known: &BTreeMap<String, String>,
        memory: &mut InMemoryState,
        turn: &mut TurnResult,
    ) {
        let (state, writes, now) = (&mut memory.state, &mut turn.writes, turn.now);
        let (good, refused) = match rules {
            NewRules::Refused(error) => {
                tracing::error!(
                    why = error.text,
                    "podbell.yaml cannot be used as it is now; the rules stay as they were"
                );
                let refused = Input::RuleFile { name: CONFIGURATION, error: Some(error) };
                step(state, &self.setup, refused, now, writes);
                return;
            }
            NewRules::AsMade { good, refused } => (good.clone(), refused.clone()),
            NewRules::Files(files) => {
                let InForce { rules, good, refused } = files.in_force(known);
                let (before, after, count) = (self.setup.rules.generation(), rules.generation(), rules.count());
                self.setup.rules = rules;
                if let Some(tell) = &self.on_rules {
                    tell(&self.setup.rules);
                }
                if before != after {
                    let generation = format_args!("{after:016x}");
                    tracing::info!(rules = count, generation, "other rules apply from now on");
                    turn.rules_generation = Some(after);
                    step(state, &self.setup, Input::RulesChanged, now, writes);
                }
                (good, refused)
            }
        };
        for (name, error) in &refused {
            tracing::error!(file = name, why = error.text, advice = error.advice, "a rule file is refused");
            step(state, &self.setup, Input::RuleFile { name, error: Some(error) }, now, writes);
        }
        for name in state.refused_rule_files() {
            if !refused.iter().any(|(refused, _)| *refused == name) {
                tracing::info!(file = name, "a rule file is good again");
                step(state, &self.setup, Input::RuleFile { name: &name, error: None }, now, writes);
            }
        }
        turn.good_rules = good.into_iter().filter(|(name, text)| known.get(name) != Some(text)).collect();
    }
}
