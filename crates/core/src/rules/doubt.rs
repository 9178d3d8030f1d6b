//! Patterns that are valid but cannot match, or hardly mean what was intended: the syntax of another tool, a name that
//! nothing can have, a state that is never a reason. Says what to write instead.

use crate::diagnostic::meant_or;
use crate::health::{ROLLOUT_STALLED, UNAVAILABLE};
use crate::rule::Field;
use crate::rule::pattern::Pattern;

/// What is odd about a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// In words.
    pub message: String,
    /// What to write instead.
    pub help: String,
    /// Whether it is certainly wrong: then it is an error.
    pub certain: bool,
}

impl Doubt {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into(), certain: false }
    }
}

/// States of pods and containers, with the reason that an event about them has.
const STATES: &[(&str, &str)] = &[
    ("CrashLoopBackOff", "the event's reason is `BackOff`"),
    (
        "ContainerCreating",
        "what keeps a pod there is told as `FailedMount`, `FailedAttachVolume` or `FailedCreatePodSandBox`",
    ),
    ("PodInitializing", "what keeps a pod there is told as `BackOff` or `FailedMount`"),
    ("CreateContainerConfigError", "the event's reason is `Failed`, its message begins with `Error:`"),
    ("CreateContainerError", "the event's reason is `Failed`, its message begins with `Error:`"),
    ("RunContainerError", "the event's reason is `Failed`, its message begins with `Error:`"),
    ("ContainerCannotRun", "the event's reason is `Failed`"),
    ("InvalidImageName", "the event's reason is `InspectFailed` or `Failed`"),
    ("Unschedulable", "the event's reason is `FailedScheduling`"),
    ("Terminating", "what keeps a pod there is told as `FailedKillPod`"),
    ("Pending", "what keeps a pod there is told as `FailedScheduling` or `FailedMount`"),
    ("Completed", "a container that ends well is told of by no Warning"),
    ("Running", "a pod that runs is told of by no Warning"),
    ("Error", "the event's reason is `BackOff` or `Failed`"),
    ("NotReady", "the event's reason is `NodeNotReady`; of a pod it is `Unhealthy`"),
    ("Init:Error", "the event's reason is `BackOff`"),
    ("Init:CrashLoopBackOff", "the event's reason is `BackOff`"),
    ("MemoryPressure", "the event's reason is `NodeHasInsufficientMemory`"),
    ("DiskPressure", "the event's reason is `NodeHasDiskPressure`"),
    ("PIDPressure", "the event's reason is `NodeHasInsufficientPID`"),
];

/// States whose names others use as reasons of their own: odd only as exact patterns.
const PLAIN: &[&str] = &["Terminating", "Pending", "Completed", "Running", "Error", "NotReady"];

/// States that some sources do write as reasons: odd only if the key has no other pattern.
const STATES_OF_IMAGES: &[(&str, &str)] = &[
    ("ImagePullBackOff", "the event's reason is `BackOff` (or `Failed`), its message names the image"),
    ("ErrImagePull", "the event's reason is `Failed`, its message is `Error: ErrImagePull`"),
];

/// Reasons that events have, to tell one in wrong case from a custom reason.
const REASONS: &[&str] = &[
    "BackOff",
    "BackoffLimitExceeded",
    "DeadlineExceeded",
    "Evicted",
    "EvictionThresholdMet",
    "Failed",
    "FailedAttachVolume",
    "FailedBinding",
    "FailedCreate",
    "FailedCreatePodSandBox",
    "FailedDelete",
    "FailedGetResourceMetric",
    "FailedKillPod",
    "FailedMapVolume",
    "FailedMount",
    "FailedPostStartHook",
    "FailedPreStopHook",
    "FailedScheduling",
    "FailedSync",
    "FreeDiskSpaceFailed",
    "HostPortConflict",
    "ImageGCFailed",
    "InspectFailed",
    "InvalidDiskCapacity",
    "Killing",
    "NetworkNotReady",
    "NodeHasDiskPressure",
    "NodeHasInsufficientMemory",
    "NodeHasInsufficientPID",
    "NodeNotReady",
    "NodeNotSchedulable",
    "NodeReady",
    "OOMKilled",
    "OOMKilling",
    "Preempted",
    "ProbeWarning",
    "ProvisioningFailed",
    "Pulled",
    "Pulling",
    "Rebooted",
    ROLLOUT_STALLED,
    "Scheduled",
    "Started",
    "SuccessfulCreate",
    "SystemOOM",
    "TaintManagerEviction",
    UNAVAILABLE,
    "Unhealthy",
    "VolumeResizeFailed",
];

/// Kinds of objects, with the names that `kubectl` accepts for them.
const KINDS: &[(&str, &[&str])] = &[
    ("Pod", &["pods", "po", "container", "containers"]),
    ("Node", &["nodes", "no"]),
    ("Deployment", &["deployments", "deploy"]),
    ("ReplicaSet", &["replicasets", "rs"]),
    ("StatefulSet", &["statefulsets", "sts"]),
    ("DaemonSet", &["daemonsets", "ds"]),
    ("Job", &["jobs"]),
    ("CronJob", &["cronjobs", "cj"]),
    ("Service", &["services", "svc"]),
    ("Ingress", &["ingresses", "ing"]),
    ("PersistentVolumeClaim", &["persistentvolumeclaims", "pvc"]),
    ("PersistentVolume", &["persistentvolumes", "pv"]),
    ("HorizontalPodAutoscaler", &["horizontalpodautoscalers", "hpa"]),
    ("ReplicationController", &["replicationcontrollers", "rc"]),
    ("Namespace", &["namespaces", "ns"]),
    ("ConfigMap", &["configmaps", "cm"]),
    ("Endpoints", &["endpoint", "ep"]),
    ("EndpointSlice", &["endpointslices"]),
];

/// What is odd about one pattern of a key. `alone`: the key has no other.
pub(super) fn doubt(field: Field, pattern: &Pattern, alone: bool) -> Option<Doubt> {
    let text = pattern.as_str();
    if text.starts_with('/') && !pattern.is_expression() && text[1..].contains(['|', '(', '[', '^', '$', '\\']) {
        return Some(Doubt::new(
            format!("`{text}` begins with a slash but does not end with one"),
            format!("for a regular expression close it: {}/", text.trim_end_matches('/')),
        ));
    }
    if let (Field::Level, Some(exact)) = (field, pattern.exact()) {
        return level(exact);
    }
    if !pattern.is_expression()
        && let Some(doubt) = other_syntax(field, text)
    {
        return Some(doubt);
    }
    match field {
        Field::Message => {
            let exact = pattern.exact()?;
            let help = format!("to find it anywhere in the message write \"*{exact}*\"");
            Some(Doubt::new("this matches only messages that are exactly this text", help))
        }
        Field::Reason => reason(pattern, alone),
        Field::ObjType => kind(pattern),
        Field::Namespace | Field::Service | Field::Workload => capitals(field, pattern),
        Field::Level | Field::Source | Field::Cluster | Field::ObjName | Field::Node | Field::Metadata(_) => None,
    }
    .or_else(|| {
        let slow = pattern.is_expression() && pattern.requirements().is_empty();
        let help = "add a word that must occur, so that it is tried on fewer events";
        slow.then(|| Doubt::new(format!("`{text}` has no fixed text, so it is slow"), help))
    })
}

fn level(exact: &str) -> Option<Doubt> {
    if ["Normal", "Warning"].contains(&exact) {
        return None;
    }
    let help = meant_or(exact, ["Normal", "Warning"], || "a level is `Normal` or `Warning`".into());
    Some(Doubt { certain: true, ..Doubt::new(format!("no event has the level `{exact}`"), help) })
}

/// Finds regular expressions, lists and negations in the syntax of other tools. Here only `*` means anything.
fn other_syntax(field: Field, text: &str) -> Option<Doubt> {
    let free = field == Field::Message;
    let never = |what: &str, help: String| {
        let whose = if free { "a message hardly has" } else { "no such name has" };
        Some(Doubt::new(format!("`{text}` is a text or a glob here, and {whose} {what}"), help))
    };
    if let Some(inner) = text.strip_prefix('!').filter(|inner| !inner.is_empty() && !free) {
        let help = format!("to leave it out write `except: [{{{field}: {inner:?}}}]`");
        return never("`!`", help);
    }
    if let Some(inner) =
        text.strip_prefix('%').and_then(|rest| rest.strip_suffix('%')).filter(|inner| !inner.is_empty())
    {
        return never("`%` at both ends", format!("write \"*{inner}*\""));
    }
    if let Some(inner) = text.strip_prefix("(?").and_then(|rest| rest.split_once(')')) {
        let flag = if inner.0.contains('i') { "/i" } else { "/" };
        return never("`(?`", format!("for a regular expression write /{}{flag}", inner.1));
    }
    let anchored = text.starts_with('^') || (text.ends_with('$') && !free);
    if anchored || text.contains(".*") || text.contains(".+") {
        let what = if anchored { "`^` or `$`" } else { "`.*`" };
        let glob = text.trim_start_matches('^').trim_end_matches('$').replace(".*", "*").replace(".+", "*");
        let simple = !glob.contains(['|', '(', ')', '[', ']', '?', '+', '\\', '^', '$', '{']);
        let expression = format!("for a regular expression write /{text}/");
        return never(what, if simple { format!("write \"{glob}\"; {expression}") } else { expression });
    }
    let alternatives = text.contains('|') && (!free || text.contains("*|*") || !text.contains(char::is_whitespace));
    if alternatives {
        let pieces: Vec<String> =
            text.trim_matches(['(', ')']).split('|').map(|piece| format!("{:?}", piece.trim())).collect();
        return never("`|`", format!("a list means any of them: [{}]", pieces.join(", ")));
    }
    if free {
        return None;
    }
    if text.contains(',') {
        let pieces: Vec<String> =
            text.trim_matches(['[', ']']).split(',').map(|piece| format!("{:?}", piece.trim())).collect();
        return never(
            "a comma",
            format!("a list means any of them, without quotes around it: [{}]", pieces.join(", ")),
        );
    }
    let special = text.contains(['?', '[', ']', '{', '}', '(', ')', '+', '$', '^'])
        || text.contains('\\') && !text.contains("\\*");
    if special {
        let expression = text.replace('*', ".*");
        let expression = if text.contains('[') || text.contains('(') || text.contains('\\') {
            expression
        } else {
            expression.replace('?', ".")
        };
        return never(
            "such characters",
            format!("`*` is the only special character; for a regular expression write /^{expression}$/"),
        );
    }
    let blank = matches!(field, Field::Namespace | Field::Service | Field::Workload | Field::ObjName | Field::ObjType);
    if blank && text.contains(char::is_whitespace) {
        let pieces: Vec<&str> = text.split_whitespace().collect();
        return never("a blank", format!("a list means any of them: [{}]", pieces.join(", ")));
    }
    None
}

fn reason(pattern: &Pattern, alone: bool) -> Option<Doubt> {
    let text = pattern.as_str();
    let soft = if alone { STATES_OF_IMAGES } else { &[] };
    let is_meant = |state: &str| match pattern.exact() {
        Some(exact) => exact.eq_ignore_ascii_case(state),
        None => pattern.matches(state) && !PLAIN.contains(&state),
    };
    if let Some((state, help)) = STATES.iter().chain(soft).find(|(state, _)| is_meant(state)) {
        let otherwise = REASONS.iter().any(|reason| pattern.matches(reason)) || pattern.matches("XyzAnyReason");
        if !otherwise {
            return Some(Doubt::new(format!("`{state}` is a state, and never the reason of an event"), *help));
        }
        return None;
    }
    let known = |name: &str| REASONS.iter().find(|reason| reason.eq_ignore_ascii_case(name)).copied();
    let meant = pattern.exact().and_then(known).filter(|meant| *meant != text)?;
    Some(Doubt::new(format!("no event has the reason `{text}`: capitals count"), format!("did you mean `{meant}`?")))
}

fn kind(pattern: &Pattern) -> Option<Doubt> {
    let exact = pattern.exact()?;
    let named = |(kind, others): &&(&str, &[&str])| {
        kind.eq_ignore_ascii_case(exact) || others.iter().any(|other| other.eq_ignore_ascii_case(exact))
    };
    let (meant, _) = KINDS.iter().find(named).filter(|(kind, _)| *kind != exact)?;
    let why = if meant.eq_ignore_ascii_case(exact) {
        "capitals count"
    } else {
        "it is the kind, in full and in the singular"
    };
    Some(Doubt::new(format!("no event is about a `{exact}`: {why}"), format!("did you mean `{meant}`?")))
}

fn capitals(field: Field, pattern: &Pattern) -> Option<Doubt> {
    let text = pattern.as_str();
    if pattern.is_expression() || !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let message = format!("no {field} is called `{text}`: names in a cluster have no capitals");
    Some(Doubt::new(message, format!("write \"{}\"", text.to_ascii_lowercase())))
}
