//! The story of an incident: its facts, frozen for a notice.

use super::details::{OBJECT_MEMORY, controls_pods};
use super::notification_state::Due;
use super::{Details, Incident, ObjectState, Topic};
use crate::health::Status;
use crate::notice::{FollowedRollout, NoticeKind, Story};
use crate::rule::{Field, RuleSettings};
use crate::time::Time;

/// How many object names a story lists.
const MAX_NAMES: usize = 5;
/// How many nodes stand in for the workload.
const MAX_NODES: usize = 2;
/// How many affected workloads a story lists.
const MAX_AFFECTED: usize = 10;
/// How many services a story lists.
const MAX_SERVICES: usize = 50;

impl Incident {
    /// The whole story at `now`, with what is new since the last notice to the destinations.
    pub fn story(&self, due: &Due, rule: Option<&RuleSettings>, alias: Option<&str>, now: Time) -> Story {
        let target = self.targets.first();
        let severity = rule.map(|rule| rule.severity).unwrap_or_default();
        Story {
            incident: self.id,
            rule: self.rule.clone(),
            group: self.group.iter().cloned().collect(),
            source: target.map(|t| t.source.to_string()).unwrap_or_default(),
            cluster: target.map(|t| t.cluster.to_string()).unwrap_or_default(),
            cluster_alias: alias.map(str::to_owned),
            namespace: target.map(|t| t.namespace.to_string()).unwrap_or_default(),
            workload: self.workload_for_people(),
            services: self.services(),
            reasons: self.reasons_by_weight(due),
            occurrences: self.occurrences,
            in_all: self.occurrences.saturating_add(self.older),
            objects: match due.kind {
                // At its end, all objects that it was about.
                NoticeKind::Resolved | NoticeKind::Closed => self.objects_for_people(|_| true),
                _ => self.objects_for_people(|seen| now.since(seen.occurred) < OBJECT_MEMORY),
            },
            object_names: self.newest_objects(),
            newest: self.details.newest.clone(),
            first_at: self.first_at,
            last_at: self.last_at,
            first_seen: self.first_seen,
            reopened: self.reopened,
            told: due.told,
            news: self.news(due),
            quiet_seconds: match due.kind {
                NoticeKind::Resolved => due.caused_at.since(self.quiet_since()).as_secs(),
                _ => 0,
            },
            status: self.status,
            ready: None,
            rollout: self
                .follows
                .as_ref()
                .map(|(after, rollout)| FollowedRollout { after_seconds: after.as_secs(), rollout: rollout.clone() }),
            ended_by: self.ended_by_event().filter(|_| due.kind == NoticeKind::Resolved).cloned(),
            affected: self.details.affected.named(MAX_AFFECTED),
            affected_count: self.affected.into(),
            pod: self.details.pod.clone().filter(|_| due.told.is_none() && !due.kind.is_end()),
            closed_because: None,
            mute_over: due.after_mute.clone(),
            unacknowledged_seconds: due.unacknowledged.filter(|_| !due.kind.is_end()),
            acknowledged: self.acknowledged.clone(),
            blind: self.blind.clone(),
            mentions: rule.and_then(|rule| rule.mention.get(&severity)).cloned().unwrap_or_default(),
            runbook: rule.and_then(|rule| rule.runbook.clone()),
            labels: rule.map(|rule| rule.labels.clone()).unwrap_or_default(),
            metadata: self.details.metadata.clone(),
            template: rule.map(|rule| rule.template.clone()).unwrap_or_default(),
        }
    }

    /// How many objects a story counts. Pods that suffer from their node are told by workload.
    fn objects_for_people(&self, counts: impl Fn(&ObjectState) -> bool) -> u64 {
        (self.named_objects().filter(|(_, seen)| counts(seen)).count() as u64).max(1)
    }

    /// The objects that people are told of: not the pods that suffer from a node, and while nodes are in trouble, not
    /// those that are well again since it last resolved. Beside pods, what controls them is no object of its own.
    fn named_objects(&self) -> impl Iterator<Item = (&str, &ObjectState)> {
        let is_node = |key: &str| key.starts_with("Node/");
        let stands = |seen: &ObjectState| seen.standing.iter().any(|one| one.ended.is_none());
        let names_pods = self.affected == 0 && self.details.names_pods();
        let nodes_stand = self.details.objects.iter().any(|(key, seen)| is_node(key) && stands(seen));
        self.details.objects.iter().map(|(key, seen)| (&**key, seen)).filter(move |(key, seen)| {
            let suffers = self.affected > 0 && key.starts_with("Pod/");
            let is_well = nodes_stand && is_node(key) && !stands(seen);
            !(suffers || is_well || names_pods && controls_pods(key))
        })
    }

    /// Since when nothing has been wrong.
    fn quiet_since(&self) -> Time {
        match (self.status, self.ended_by_event()) {
            (Some(Status::Ready { since, .. }), _) => since.max(self.last_sign),
            (_, Some(end)) => end.at,
            (_, None) => self.last_sign,
        }
    }

    /// The workload; where the rule mixes several, the nodes or nothing.
    fn workload_for_people(&self) -> String {
        let one = self.group.iter().any(|(field, _)| matches!(field, Field::Workload | Field::ObjName));
        match (one, &self.shape) {
            (true, Some(shape)) => shape.clone(),
            (true, None) => self.workload.clone(),
            (false, _) => self.nodes_for_people().unwrap_or_default(),
        }
    }

    /// The nodes that it is about, if the rule groups by nothing smaller than a cluster: then the services whose lists
    /// show them say nothing.
    fn nodes_for_people(&self) -> Option<String> {
        let wide = self.group.iter().all(|(field, _)| matches!(field, Field::Source | Field::Cluster | Field::ObjType));
        let mut nodes: Vec<_> = self.named_objects().filter(|(key, _)| key.starts_with("Node/")).collect();
        if !wide || nodes.is_empty() {
            return None;
        }
        nodes.sort_by_key(|(name, seen)| (std::cmp::Reverse(seen.occurred), *name));
        let named: Vec<&str> = nodes.iter().take(MAX_NODES).map(|(key, _)| name_of(key)).collect();
        let more = nodes.len().saturating_sub(MAX_NODES);
        let more = if more > 0 { format!(" +{more}") } else { String::new() };
        Some(format!("{}{more}", named.join(", ")))
    }

    fn services(&self) -> Vec<String> {
        let mut services: Vec<String> = self.targets.iter().map(|target| target.service.to_string()).collect();
        services.sort();
        services.dedup();
        services.truncate(MAX_SERVICES);
        services
    }

    /// The reasons since it last opened: first those that are new to the reader, then by number of occurrences.
    fn reasons_by_weight(&self, due: &Due) -> Vec<crate::notice::ReasonCount> {
        let Details { reasons, current, .. } = &*self.details;
        let new = |reason: &str| due.told.is_some() && self.is_new(reason, due.topics);
        let is_current = |reason: &str| current.is_empty() || current.iter().any(|one| one == reason);
        let mut reasons: Vec<_> = reasons.iter().filter(|one| is_current(&one.reason)).cloned().collect();
        reasons.sort_by_key(|one| (!new(&one.reason), std::cmp::Reverse(one.occurrences)));
        reasons
    }

    /// Whether a reason joined only with the topics after the first `known`.
    fn is_new(&self, reason: &str, known: usize) -> bool {
        let topics = &self.details.topics;
        let of = |topic: &Topic| topic.words.split(':').next() == Some(reason);
        !topics.iter().take(known).any(of) && topics.iter().skip(known).any(of)
    }

    fn newest_objects(&self) -> Vec<String> {
        let mut objects: Vec<_> = self.named_objects().collect();
        objects.sort_by_key(|(name, seen)| (std::cmp::Reverse(seen.occurred), *name));
        objects.into_iter().take(MAX_NAMES).map(|(key, _)| name_of(key).to_owned()).collect()
    }

    /// Topics that joined since the last notice; none for a destination that gets the story for the first time.
    fn news(&self, due: &Due) -> Vec<String> {
        if due.told.is_none() {
            return Vec::new();
        }
        self.details.topics.iter().skip(due.topics).map(|topic| topic.words.clone()).collect()
    }
}

fn name_of(object_key: &str) -> &str {
    object_key.split_once('/').map_or(object_key, |(_, name)| name)
}
