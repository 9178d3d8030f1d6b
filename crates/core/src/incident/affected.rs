//! What the cause of an incident reaches: the nodes that it is about, and the workloads whose pods suffer from it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::details::OBJECT_MEMORY;
use super::{Details, Incident, Joining, Phase};
use crate::event::Event;
use crate::reports;
use crate::rule::RuleKey;
use crate::time::Time;

/// Most nodes kept per incident.
const MAX_NODES: usize = 100;

/// The trouble of a possible cause, as far as it may explain another incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CauseState {
    /// It does not explain the incident.
    Unrelated,
    /// It explains the incident, and goes on.
    Ongoing,
    /// It explains the incident, and ended then.
    EndedAt(Time),
}

/// A rule that inhibits others, and whose changes joined an incident of another rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedRule {
    /// The rule.
    pub rule: RuleKey,
    /// On which node; empty where that is not known.
    pub node: String,
    /// When its newest change joined the incident.
    pub at: Time,
}

impl Details {
    /// Notes where an event's object is, and the pod if it suffers from its node.
    pub(super) fn record_place(&mut self, event: &Event<'_>, joining: &Joining<'_>, now: Time) {
        // An empty name says that the node is not known: then no node explains the incident.
        let node = super::clipped(event.node(), super::MAX_NAME_CHARS).into_boxed_str();
        if self.nodes.len() >= MAX_NODES && !self.nodes.contains_key(&node) {
            self.nodes.retain(|_, seen| now.since(*seen) < OBJECT_MEMORY);
        }
        if self.nodes.len() < MAX_NODES || self.nodes.contains_key(&node) {
            self.nodes.insert(node, now);
        }
        let of_its_node = reports::of(event).is_some_and(|report| report.trouble.is_of_a_node());
        if of_its_node && event.obj_type.trim() == "Pod" && !joining.over {
            let place = place(&joining.target.namespace, joining.workload);
            self.affected.add(&place, event.obj_name.trim());
        }
    }
}

impl Incident {
    /// The nodes that it was last about; with an empty name where one is not known. What is reported once, such as that
    /// a workload is not available, stays on its nodes however long that lasts.
    pub(crate) fn last_nodes(&self) -> BTreeSet<&str> {
        let newest = self.details.nodes.values().max().copied().unwrap_or_default();
        let recent = self.details.nodes.iter().filter(|(_, seen)| newest.since(**seen) < OBJECT_MEMORY);
        recent.map(|(node, _)| &**node).collect()
    }

    /// The rules whose `inhibit` counts for it.
    pub(crate) fn inhibiting_rules(&self) -> impl Iterator<Item = &RuleKey> {
        std::iter::once(&self.rule).chain(self.joined.iter().map(|joined| &joined.rule))
    }

    /// Notes that a change of a rule that inhibits others joined it. Returns whether it did not know the rule and the node.
    pub(crate) fn note_joined(&mut self, rule: &RuleKey, event: &Event<'_>, now: Time) -> bool {
        let node = super::clipped(event.node(), super::MAX_NAME_CHARS);
        if let Some(known) = self.joined.iter_mut().find(|joined| joined.rule == *rule && joined.node == node) {
            known.at = now;
            return false;
        }
        self.joined.retain(|joined| now.since(joined.at) < OBJECT_MEMORY);
        let has_room = self.joined.len() < MAX_NODES;
        if has_room {
            self.joined.push(JoinedRule { rule: rule.clone(), node, at: now });
        }
        has_room
    }

    /// Whether a change of this rule joined it lately, on each of these nodes.
    pub(crate) fn was_joined(&self, rule: &RuleKey, nodes: &BTreeSet<&str>, now: Time) -> bool {
        let lately = |joined: &&JoinedRule| joined.rule == *rule && now.since(joined.at) < OBJECT_MEMORY;
        let known: BTreeSet<&str> = self.joined.iter().filter(lately).map(|joined| &*joined.node).collect();
        !known.is_empty() && nodes.is_subset(&known)
    }

    /// Whether it explains what happens on a node.
    pub(crate) fn cause_state_on(&self, node: &str) -> CauseState {
        if node.is_empty() || !self.details.nodes.contains_key(node) {
            return CauseState::Unrelated;
        }
        let seen = self.details.objects.get(format!("Node/{node}").as_str());
        let standing = seen.map_or(&[][..], |seen| &seen.standing);
        let ended = standing.iter().map(|one| one.ended).max();
        match (self.phase, ended) {
            (Phase::Gathering, _) => CauseState::Unrelated,
            (Phase::Open, Some(_)) if standing.iter().any(|one| one.ended.is_none()) => CauseState::Ongoing,
            (Phase::Open, Some(Some(ended))) => CauseState::EndedAt(ended),
            (Phase::Open, _) => CauseState::Ongoing,
            (Phase::Resolved { at }, Some(ended)) if self.ended_by.is_some() => {
                CauseState::EndedAt(ended.unwrap_or(at))
            }
            // No failure is recorded: it was over when podbell first heard of it.
            (Phase::Resolved { at }, None) => CauseState::EndedAt(self.ended_by_event().map_or(at, |end| end.at)),
            (Phase::Resolved { at }, _) => CauseState::EndedAt(at),
        }
    }

    /// Lists the objects of another incident, which this one explains. Returns whether any of them is new.
    pub(crate) fn affect(&mut self, other: &Incident) -> bool {
        let Some(target) = other.targets.first() else { return false };
        // A node is no workload: what is said of it only says the same again.
        if other.details.objects.keys().all(|key| key.starts_with("Node/")) {
            return false;
        }
        let place = place(&target.namespace, &other.workload);
        let pods = other.details.objects.keys().filter_map(|key| key.strip_prefix("Pod/"));
        let missing: Vec<&str> = pods.filter(|pod| !self.details.affected.knows(&place, pod)).collect();
        if missing.is_empty() && self.details.affected.has(&place) {
            return false;
        }
        let before = self.details.affected.clone();
        self.details.change(|details| {
            for pod in &missing {
                details.affected.add(&place, pod);
            }
            if missing.is_empty() {
                details.affected.add_workload(&place);
            }
        });
        self.note_affected();
        self.details.affected != before
    }

    /// Keeps the number of affected workloads at hand.
    pub(super) fn note_affected(&mut self) {
        self.affected = u32::try_from(self.details.affected.workloads()).unwrap_or(u32::MAX);
    }
}

/// `shop/web`.
fn place(namespace: &str, workload: &str) -> String {
    super::clipped(&format!("{namespace}/{workload}"), super::MAX_NAME_CHARS)
}
