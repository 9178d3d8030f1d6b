//! Finds windows that are too short for how often reporters repeat themselves, or podbell polls: such a rule may never
//! open an incident.

use std::time::Duration;

use super::compile::Located;
use crate::diagnostic::Diagnostic;
use crate::reports::{KUBELET, SERIES};
use crate::rule::{Action, EndsBy, Field, RuleSettings};
use crate::yaml::write_duration;

/// Reasons that the kubelet repeats about a pod.
const KUBELETS: [&str; 14] = [
    "BackOff",
    "ErrImageNeverPull",
    "ErrImagePull",
    "Failed",
    "FailedAttachVolume",
    "FailedCreatePodSandBox",
    "FailedKillPod",
    "FailedMapVolume",
    "FailedMount",
    "FailedPodSandBoxStatus",
    "FailedPostStartHook",
    "FailedSync",
    "InspectFailed",
    "Unhealthy",
];
/// Reasons that are kept as a series.
const IN_SERIES: [&str; 1] = ["FailedScheduling"];

/// Looks at each rule. `poll_every`: the slowest of the sources, if they are known.
pub fn check(rules: &[Located], poll_every: Option<Duration>) -> Vec<Diagnostic> {
    let sound = rules.iter().filter(|located| located.sound && located.rule.action == Action::Notify);
    sound.flat_map(|located| doubts(located, poll_every)).collect()
}

fn doubts(located: &Located, poll_every: Option<Duration>) -> impl Iterator<Item = Diagnostic> {
    let settings = &located.rule.settings;
    let warn = |(message, help): (String, String)| {
        Diagnostic::warning(&located.source, located.at.clone(), message).help(help)
    };
    let found = [rare_words(located), coarse_polls(settings, poll_every), short_silence(located)];
    found.into_iter().flatten().map(warn).collect::<Vec<_>>().into_iter()
}

/// The first of these reasons that the rule names.
fn names<'r>(located: &Located, reasons: &[&'r str]) -> Option<&'r str> {
    let patterns = located.rule.matching.key(Field::Reason)?;
    let named =
        |reason: &&&str| patterns.iter().any(|pattern| !pattern.matches_everything() && pattern.matches(reason));
    reasons.iter().find(named).copied()
}

/// `count: n` within less than n times the interval of the reporter.
fn rare_words(located: &Located) -> Option<(String, String)> {
    let RuleSettings { key, open_when, .. } = &located.rule.settings;
    let count = open_when.count.filter(|count| *count > 1 && open_when.lasts.is_none())?;
    let (reason, every, says) = match (names(located, &KUBELETS), names(located, &IN_SERIES)) {
        (Some(reason), _) => {
            (reason, KUBELET, "after its first 25 words about a pod the kubelet says one in 5 minutes")
        }
        (None, Some(reason)) => (reason, SERIES, "the scheduler says it twice, then once in half an hour"),
        (None, None) => return None,
    };
    let needed = every.saturating_mul(count);
    if open_when.within >= needed {
        return None;
    }
    let message = format!(
        "the rule `{}` may never open for what lasts: {says}, so {count} of `{reason}` need {}",
        key.name,
        write_duration(needed)
    );
    let help =
        format!("write `within: {}`, or add `lasts: 5m` to open when it is there for so long", write_duration(needed));
    Some((message, help))
}

/// A window that is shorter than the time between two polls.
fn coarse_polls(settings: &RuleSettings, poll_every: Option<Duration>) -> Option<(String, String)> {
    let open_when = settings.open_when;
    let every =
        poll_every.filter(|every| open_when.count.is_some_and(|count| count > 2) && open_when.within < *every)?;
    let message = format!(
        "the rule `{}` has a window of {}, but podbell reads every {}: of what happens in between only the first and the \
         last are dated",
        settings.key.name,
        write_duration(open_when.within),
        write_duration(every)
    );
    Some((message, format!("write `within: {}` or more, or read more often (`poll_every`)", write_duration(every))))
}

/// A silence that is shorter than the kubelet's own.
fn short_silence(located: &Located) -> Option<(String, String)> {
    let RuleSettings { key, resolve_after, until, .. } = &located.rule.settings;
    let (reason, every) = match (names(located, &KUBELETS), names(located, &IN_SERIES)) {
        (_, Some(reason)) if *until == EndsBy::Silence => (reason, SERIES),
        (Some(reason), _) => (reason, KUBELET),
        _ => return None,
    };
    if *resolve_after >= every {
        return None;
    }
    let message = format!(
        "the rule `{}` calls what lasts over: its `resolve_after` is {}, and `{reason}` may be said once in {}",
        key.name,
        write_duration(*resolve_after),
        write_duration(every)
    );
    Some((message, format!("write `resolve_after: {}` or more", write_duration(every + Duration::from_secs(300)))))
}
