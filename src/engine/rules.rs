//! Taking over other rules: whole, within one commit, and told where a file was refused.

use super::{Batch, Engine, Mirror, NewRules};
use podbell_core::rules::in_force::InForce;
use podbell_core::step::{Input, step};
use podbell_core::time::Time;
use podbell_store::StoreError;

/// What a refusal of podbell.yaml's rules is told under.
const CONFIGURATION: &str = "podbell.yaml";

impl Engine {
    /// Takes rules over. Done twice it changes nothing more.
    pub(super) fn take_over(
        &mut self,
        rules: &NewRules,
        mirror: &mut Mirror,
        now: Time,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        let (state, writes) = (&mut mirror.state, &mut batch.writes);
        let known = self.store.good_rules()?;
        let (good, refused) = match rules {
            NewRules::Refused(error) => {
                tracing::error!(
                    why = error.text,
                    "podbell.yaml cannot be used as it is now; the rules stay as they were"
                );
                let refused = Input::RuleFile { name: CONFIGURATION, error: Some(error) };
                step(state, &self.setup, refused, now, writes);
                return Ok(());
            }
            NewRules::AsMade { good, refused } => (good.clone(), refused.clone()),
            NewRules::Files(files) => {
                let InForce { rules, good, refused } = files.in_force(&known);
                let (before, after, count) = (self.setup.rules.generation(), rules.generation(), rules.len());
                self.setup.rules = rules;
                if let Some(tell) = &self.on_rules {
                    tell(&self.setup.rules);
                }
                if before != after {
                    let generation = format_args!("{after:016x}");
                    tracing::info!(rules = count, generation, "other rules hold from now on");
                    batch.generation = Some(after);
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
        batch.good_rules = good.into_iter().filter(|(name, text)| known.get(name) != Some(text)).collect();
        Ok(())
    }
}
