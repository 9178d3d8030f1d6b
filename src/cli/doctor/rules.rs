//! What rules will tell, and whom. Pure.

use std::collections::BTreeSet;

use super::configuration;
use crate::examine::{Finding, Group, count};
use podbell_core::diagnostic::Diagnostic;
use podbell_core::rule::{Action, Destination};
use podbell_core::rules::Located;

/// The rules of podbell.yaml.
pub(super) struct RulesFacts<'a> {
    /// Whether there is a `rules:` key.
    pub given: bool,
    pub files: usize,
    pub rules: &'a [Located],
    /// What is wrong with rule files.
    pub diagnostics: &'a [Diagnostic],
    /// Every destination, and whether the built-in rules notify it.
    pub destinations: &'a [(Destination, bool)],
    /// Those that `operator.notify` names, if it is set.
    pub operators: &'a [Destination],
    /// The command that shows more.
    pub check: &'a str,
}

/// Judges the rules: compiled, linted, and whom they notify.
pub(super) fn judge(known: &RulesFacts<'_>) -> Vec<Finding> {
    if !known.given {
        let told = known.destinations.iter().filter(|(_, told)| *told).map(|(name, _)| &**name);
        let told = told.collect::<Vec<_>>().join(", ");
        let found = format!("no `rules:`, so the built-in ones apply: Warnings of any reason are told to {told}");
        let mut findings = vec![Finding::ok(Group::Rules, "built-in", found)];
        findings.extend(untold(known, |_, is_chat| is_chat));
        return findings;
    }
    let files = count(known.files, "file");
    let all_well = format!("{} in {files} compile", count(known.rules.len(), "rule"));
    let mut findings =
        configuration::of_diagnostics(Group::Rules, "rule files", all_well, known.diagnostics, known.check);
    if known.rules.is_empty() {
        let advice = "name rule files, or leave `rules:` out: then the built-in rules apply";
        findings.push(Finding::fail(Group::Rules, "rule files", "no rule is there, so nothing is told", advice));
        return findings;
    }
    let notify = known.rules.iter().filter(|located| located.rule.action == Action::Notify);
    let told: BTreeSet<&Destination> = notify.flat_map(|located| located.rule.settings.destinations()).collect();
    findings.extend(untold(known, |name, _| told.contains(name)));
    findings
}

fn untold(known: &RulesFacts<'_>, told: impl Fn(&Destination, bool) -> bool) -> Vec<Finding> {
    let silent = known.destinations.iter().filter(|(name, is_chat)| !told(name, *is_chat));
    let finding = |(name, _): &(Destination, bool)| {
        if known.operators.contains(name) {
            let found = "told of podbell's own trouble only";
            return Finding::ok(Group::Rules, name.to_string(), found);
        }
        let advice = format!("name {name} in a rule's `notify`, or take it out of `notifiers:`");
        Finding::warn(Group::Rules, name.to_string(), "no rule tells this destination", advice)
    };
    silent.map(finding).collect()
}
