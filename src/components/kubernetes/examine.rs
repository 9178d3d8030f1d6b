//! Examines a cluster: its server, what podbell's account may do there, and whether events can be read. Judging is
//! pure.

use std::collections::BTreeSet;
use std::time::Duration;

use super::KubernetesConfig;
use super::fault::Fault;
use super::inspect::{Inspection, Missing, NamespaceRights, inspect};
use super::resource::Purpose;
use crate::clock;
use crate::examine::{Checked, Finding, Group, count, span};
use podbell_core::time::Time;

/// The deadline of one answer; less than that of the whole check.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Asks the API server.
pub(super) async fn examine(source: &KubernetesConfig) -> Checked {
    let mut config = source.clone();
    config.timing.patience = TIMEOUT;
    match inspect(&config).await {
        Err(fault) => failed(&source.name, &fault).into(),
        Ok(inspection) => {
            let clocks = inspection.clocks.map(|clocks| (source.name.to_string(), clocks)).into_iter().collect();
            Checked { findings: judge(&source.name, &inspection, clock::now()), clocks, arrived: None }
        }
    }
}

fn failed(subject: &str, fault: &Fault) -> Finding {
    let error = &fault.error;
    let found = format!("the API server cannot be asked: {} ({})", error.text, error.code);
    Finding::fail(Group::Sources, subject, found, &error.advice)
}

/// What was seen of a cluster.
fn judge(name: &str, inspection: &Inspection, now: Time) -> Vec<Finding> {
    let mut findings = vec![Finding::ok(Group::Sources, name, format!("the API server is {}", inspection.version))];
    for place in &inspection.places {
        let subject = match &place.namespace {
            Some(namespace) => format!("{name}: {namespace}"),
            None => format!("{name}: every namespace"),
        };
        findings.extend(rights(&subject, place));
        findings.extend(place.logs.as_ref().map(|logs| may_read_logs(&subject, place, logs)));
        findings.push(events(&subject, place, now));
    }
    if inspection.left_out > 0 {
        let found = format!("{} more not looked at", count(inspection.left_out, "namespace"));
        findings.push(Finding::ok(Group::Sources, name, found));
    }
    findings
}

/// What the account may do: first what events need, then what only adds to what is told of them.
fn rights(subject: &str, place: &NamespaceRights) -> Vec<Finding> {
    let missing = match &place.missing {
        Ok(missing) => missing,
        Err(fault) => {
            let found = format!("the API server does not say what the account may do: {}", fault.error.text);
            let advice = "look at the rights by hand: docs/kubernetes.md lists what is needed";
            return vec![Finding::warn(Group::Sources, subject, found, advice)];
        }
    };
    let for_what = |purpose: Purpose| missing.iter().copied().filter(move |one| one.resource.serves() == purpose);
    let needed: Vec<Missing> = for_what(Purpose::Events).chain(for_what(Purpose::Owners)).collect();
    let kind = if place.namespace.is_some() { "Role" } else { "ClusterRole" };
    let advice = |missing: &[Missing]| format!("add to the {kind} of podbell's account: {}", rules(missing));
    let may_not = |missing: &[Missing]| {
        let words: Vec<String> = missing.iter().map(|one| format!("{} {}", one.verb, one.resource.name())).collect();
        format!("may not {}", words.join(", "))
    };
    let events = if needed.is_empty() {
        let found = "may list and watch events, pods, services, replicasets and jobs";
        Finding::ok(Group::Sources, subject, found)
    } else if needed.iter().any(|one| one.resource.serves() == Purpose::Events) {
        Finding::fail(Group::Sources, subject, may_not(&needed), advice(&needed))
    } else {
        let found = format!("{}: which service an event belongs to is then taken from names", may_not(&needed));
        Finding::warn(Group::Sources, subject, found, advice(&needed))
    };
    // What only adds to what is told: with the right, and without it.
    let added = |purpose: Purpose, may: &str, without: &str| {
        let missing: Vec<Missing> = for_what(purpose).collect();
        match missing.is_empty() {
            true => Finding::ok(Group::Sources, subject, format!("may list and watch {may}")),
            false => {
                let found = format!("{}: {without}", may_not(&missing));
                Finding::warn(Group::Sources, subject, found, advice(&missing))
            }
        }
    };
    let health = added(
        Purpose::Health,
        "deployments, statefulsets and daemonsets: an incident ends when its pods are ready",
        "incidents of such workloads end when their events stop",
    );
    let nodes = added(
        Purpose::Nodes,
        "nodes: trouble in a node's conditions is told",
        "only events tell of nodes that are down",
    );
    let autoscalers = added(
        Purpose::Autoscalers,
        "horizontalpodautoscalers: an incident ends at once when the autoscaler works again or is deleted",
        "incidents of autoscalers end when their events stop",
    );
    let described = if place.namespace.is_some() { "cronjobs" } else { "cronjobs and namespaces" };
    let labels = added(
        Purpose::Labels,
        &format!("{described}: rules see their labels and annotations"),
        "rules see none of their labels and annotations",
    );
    // Nodes belong to no namespace.
    [events, health]
        .into_iter()
        .chain(place.namespace.is_none().then_some(nodes))
        .chain([autoscalers, labels])
        .collect()
}

/// Whether `enrich: logs` gets any.
fn may_read_logs(subject: &str, place: &NamespaceRights, may: &Result<bool, Fault>) -> Finding {
    let kind = if place.namespace.is_some() { "Role" } else { "ClusterRole" };
    match may {
        Ok(true) => Finding::ok(Group::Sources, subject, "may get pods/log: messages quote logs (`enrich: logs`)"),
        Ok(false) => {
            let found = "may not get pods/log: messages quote no logs, though `enrich: logs` asks for them";
            let rule = "{apiGroups: [\"\"], resources: [pods/log], verbs: [get]}";
            Finding::warn(Group::Sources, subject, found, format!("add to the {kind} of podbell's account: {rule}"))
        }
        Err(fault) => {
            let found = format!("the API server does not say whether the account may read logs: {}", fault.error.text);
            Finding::warn(
                Group::Sources,
                subject,
                found,
                "look at the right by hand: {resources: [pods/log], verbs: [get]}",
            )
        }
    }
}

/// The missing permissions, as rules of a role.
fn rules(missing: &[Missing]) -> String {
    let resources: BTreeSet<(&str, &str)> =
        missing.iter().map(|one| (one.resource.group(), one.resource.name())).collect();
    let groups: BTreeSet<&str> = resources.iter().map(|(group, _)| *group).collect();
    let rule = |group: &str| {
        let of: Vec<&str> = resources.iter().filter(|(other, _)| *other == group).map(|(_, name)| *name).collect();
        let group = if group.is_empty() { "\"\"" } else { group };
        format!("{{apiGroups: [{group}], resources: [{}], verbs: [list, watch]}}", of.join(", "))
    };
    groups.into_iter().map(rule).collect::<Vec<_>>().join(", ")
}

fn events(subject: &str, place: &NamespaceRights, now: Time) -> Finding {
    match &place.event {
        Ok(None) => Finding::ok(Group::Sources, subject, "events can be read; there are none now"),
        Ok(Some(seen)) => {
            let found = format!("events can be read; one was last seen {} ago", span(now.since(*seen).as_secs()));
            Finding::ok(Group::Sources, subject, found)
        }
        Err(fault) => {
            let found = format!("events cannot be read: {} ({})", fault.error.text, fault.error.code);
            Finding::fail(Group::Sources, subject, found, &fault.error.advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::kubernetes::resource::Resource;
    use crate::examine::FindingLevel;

    fn place(missing: Vec<Missing>) -> NamespaceRights {
        NamespaceRights { namespace: None, missing: Ok(missing), logs: None, event: Ok(None) }
    }

    #[test]
    fn missing_rights_are_named_as_the_rules_that_would_give_them() {
        let lacks = |resource, verb| Missing { resource, verb };
        let verdicts = |missing| rights("prod", &place(missing)).iter().map(|one| one.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(Vec::new()), [FindingLevel::Ok; 5]);
        let only =
            |at: usize| std::array::from_fn::<_, 5, _>(|n| if n == at { FindingLevel::Warn } else { FindingLevel::Ok });
        assert_eq!(verdicts(vec![lacks(Resource::DaemonSets, "list")]), only(1));
        assert_eq!(verdicts(vec![lacks(Resource::Nodes, "list")]), only(2));
        assert_eq!(verdicts(vec![lacks(Resource::Autoscalers, "watch")]), only(3));
        assert_eq!(verdicts(vec![lacks(Resource::Namespaces, "watch"), lacks(Resource::CronJobs, "list")]), only(4));
        let jobs = &rights("prod", &place(vec![lacks(Resource::Jobs, "watch"), lacks(Resource::Pods, "list")]))[0];
        assert_eq!(jobs.verdict, FindingLevel::Warn);
        let wanted = "add to the ClusterRole of podbell's account: {apiGroups: [\"\"], resources: [pods], verbs: [list, \
                      watch]}, {apiGroups: [batch], resources: [jobs], verbs: [list, watch]}";
        assert_eq!(jobs.advice.as_deref(), Some(wanted));
        let events = &rights("prod", &place(vec![lacks(Resource::Events, "watch")]))[0];
        assert_eq!((events.verdict, events.found.as_str()), (FindingLevel::Fail, "may not watch events"));
    }
}
