//! Which event of an incident a message quotes: the one that names the cause, not the newest one about its
//! consequences.
//!
//! A kubelet says "Failed to pull image …: not found" and right after it "Error: ErrImagePull"; it reports a command
//! that is not in the image by `Failed`, and then by `BackOff`. Pure: a table of texts.

use std::time::Duration;

use super::Incident;
use crate::event::Event;
use crate::health::UNAVAILABLE;
use crate::notice::Newest;
use crate::time::Time;
use crate::workload::template_of;

/// How long a cause is quoted rather than its consequences. A kubelet that still fails says the cause again within its
/// own 5 minutes; after three of them it may be another one.
pub(super) const HOLDS: Duration = Duration::from_secs(15 * 60);

/// What an event's text is about, whatever its reason. Of two texts about the same, the more informative one is quoted; of
/// two about different things, the newer, but for a workload that lacks pods: why they do not run is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Image,
    /// A container that does not start, or does not go on.
    Container,
    Mount,
    Sandbox,
    Metrics,
    /// A node, or what it does to a pod.
    Node,
    /// A job or another controller whose pods fail.
    Pods,
    /// How many pods of a workload run.
    Workload,
}

/// How far an event's text leads towards the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// How many pods of a workload run, not why.
    Outcome,
    /// What the cluster does or sees because something failed.
    Consequence,
    /// A container was killed or asked to end: its exit code does not say why.
    Killed,
    /// A probe failed for which the kubelet kills the container; where the program ends by itself, probes fail, too.
    Probe,
    Cause,
}

impl Depth {
    /// Whether it may be why something else fails.
    fn is_cause(self) -> bool {
        self >= Self::Probe
    }
}

/// Whether an event replaces the quoted one. `anew`: nothing of the present trouble was quoted yet.
pub(super) fn replaces(event: &Event<'_>, old: &Newest, old_seen: Time, anew: bool) -> bool {
    let newer = event.last_seen >= old_seen;
    let (new_about, new_depth) = of(&event.reason, &event.message);
    let (old_about, old_depth) = of(&old.reason, &old.message);
    let of_same = new_about == old_about || follows(new_about, old_about) || follows(old_about, new_about);
    let as_deep = new_depth == old_depth || (new_depth.is_cause() && old_depth.is_cause());
    if anew || new_about.is_none() || !of_same || as_deep {
        return newer;
    }
    let (first, last) = if newer { (old_seen, event.last_seen) } else { (event.last_seen, old_seen) };
    let near = last.since(first) < HOLDS;
    if new_depth > old_depth { newer || near } else { newer && !near }
}

/// Whether the one is about a workload, the other about why its pods do not run.
fn follows(one: Option<About>, other: Option<About>) -> bool {
    one == Some(About::Workload) && other.is_some_and(About::keeps_pods_from_running)
}

/// The event that explains `quoted`, among those that other incidents of the same workload quote; `None` if `quoted`
/// names a cause itself.
pub(super) fn cause_among<'a>(
    others: impl Iterator<Item = (&'a Newest, Time)>,
    (quoted, quoted_seen): (&Newest, Time),
) -> Option<(&'a Newest, Time)> {
    let (about, depth) = of(&quoted.reason, &quoted.message);
    if depth.is_cause() || quoted_seen.is_unknown() {
        return None;
    }
    let explains = |(other, seen): &(&Newest, Time)| {
        let (other_about, other_depth) = of(&other.reason, &other.message);
        let of_same = other_about.is_some() && other_about == about && are_same_pods(other, quoted);
        (of_same || follows(about, other_about)) && other_depth > depth && quoted_seen.since(*seen) < HOLDS
    };
    others.filter(explains).max_by_key(|(other, seen)| (of(&other.reason, &other.message).1, *seen))
}

/// Whether both are about the same pod, or pods of the same template.
fn are_same_pods(one: &Newest, other: &Newest) -> bool {
    let same_template = || template_of(&one.obj_name).is_some_and(|name| Some(name) == template_of(&other.obj_name));
    (&*one.obj_type, &*other.obj_type) == ("Pod", "Pod") && (one.obj_name == other.obj_name || same_template())
}

impl About {
    fn keeps_pods_from_running(self) -> bool {
        matches!(self, Self::Image | Self::Container | Self::Mount | Self::Sandbox)
    }
}

/// What an event is about, and how far its text leads towards the cause.
fn of(reason: &str, message: &str) -> (Option<About>, Depth) {
    let message = message.trim();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let cause_if = |is_cause: bool| if is_cause { Depth::Cause } else { Depth::Consequence };
    let image = says(&["ImagePullBackOff", "ErrImagePull", "ull image", "ulling image", "ErrImageNeverPull"]);
    // "Error: ErrImagePull" is a state, not a cause; "…: ErrImagePull: rpc error: …" includes the cause.
    let cause = says(&["rpc error", "ErrImagePull: ", "ErrImagePull: \"", "CrashLoopBackOff: \"rpc"]);
    let state = message.strip_prefix("Error: ").is_some_and(|state| state.chars().all(char::is_alphanumeric));
    let (about, depth) = match reason.trim() {
        "ErrImagePull" | "ImagePullBackOff" if message.is_empty() => (About::Image, Depth::Consequence),
        "Failed" | "BackOff" | "FailedSync" | "ErrImagePull" | "ImagePullBackOff" | "pod启动失败" | "操作重试"
            if image =>
        {
            (About::Image, cause_if(cause || !(state || says(&["ack-off", "BackOff"]))))
        }
        "Failed" | "FailedPostStartHook" | "OOMKilled" => (About::Container, cause_if(!state && !message.is_empty())),
        "BackOff" | "CrashLoopBackOff" | "pod启动失败" | "操作重试" => (About::Container, Depth::Consequence),
        "ContainerCrashed" => (About::Container, depth_of_crash(message)),
        "FailedSync" => (About::Container, cause_if(cause)),
        "Unhealthy" | "ProbeError" if says(&["Liveness", "Startup"]) => (About::Container, Depth::Probe),
        "Unhealthy" | "ProbeError" => (About::Container, Depth::Consequence),
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => {
            let again = says(&["timed out waiting for the condition", "context deadline exceeded", "failed to sync"]);
            (About::Mount, cause_if(!again))
        }
        "FailedCreatePodSandBox" | "FailedPodSandBoxStatus" => (About::Sandbox, Depth::Cause),
        "SandboxChanged" => (About::Sandbox, Depth::Consequence),
        UNAVAILABLE => (About::Workload, Depth::Outcome),
        "NodeNotReady" => (About::Node, cause_if(message != "Node is not ready")),
        "FailedComputeMetricsReplicas" => (About::Metrics, Depth::Consequence),
        "FailedGetResourceMetric"
        | "FailedGetContainerResourceMetric"
        | "FailedGetPodsMetric"
        | "FailedGetExternalMetric"
        | "FailedGetObjectMetric" => (About::Metrics, Depth::Cause),
        "FailedCreate" | "FailedDelete" => (About::Pods, Depth::Cause),
        "RecreatingFailedPod" | "ReplicaFailure" => (About::Pods, Depth::Consequence),
        _ => return (None, Depth::Cause),
    };
    (Some(about), depth)
}

/// `Failed` says more of a container that was never started than the container's state does. Exit codes 137 and 143 (128 and
/// the signal's number) say that it was killed or asked to end.
fn depth_of_crash(message: &str) -> Depth {
    const NOT_STARTED: [&str; 2] = ["(StartError)", "(ContainerCannotRun)"];
    const KILLED: [&str; 2] = ["ended with exit code 137", "ended with exit code 143"];
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&NOT_STARTED) {
        if message.contains("): ") || message.contains(" time: ") { Depth::Cause } else { Depth::Consequence }
    } else if says(&KILLED) {
        Depth::Killed
    } else {
        Depth::Cause
    }
}

impl Incident {
    /// The incident opens: quotes the event that one of `others` quotes, if that explains the event quoted so far.
    pub(crate) fn quote_cause_of<'a>(&mut self, others: impl Iterator<Item = &'a Self>) {
        let quoted = (&self.details.newest, self.details.newest_seen);
        let others: Vec<&Self> = others.filter(|one| !one.signs.is_over()).collect();
        let quotes = others.iter().map(|one| (&one.details.newest, one.details.newest_seen));
        let Some((cause, seen)) = cause_among(quotes, quoted) else { return };
        let metadata = others.iter().find(|one| std::ptr::eq(&one.details.newest, cause));
        let metadata = metadata.and_then(|one| one.details.metadata.clone());
        let cause = cause.clone();
        self.details.change(|details| {
            (details.newest, details.newest_seen) = (cause, seen);
            details.metadata = metadata.or_else(|| details.metadata.take());
        });
        let (event, workload) = (self.newest_event().into_owned(), self.workload.clone());
        // The first message shows this event: note its topic, so that the topic is not news later.
        self.details.change(|details| details.record_topic(&event, &workload));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Level;

    const MISSING: &str = "Failed to pull image \"shop/cart:v5\": rpc error: code = NotFound desc = not found";
    const NO_COMMAND: &str =
        "Error: failed to create containerd task: exec: \"/usr/bin/invoiced\": no such file or directory: unknown";

    fn event(reason: &str, message: &str, seen: i64) -> Event<'static> {
        Event {
            first_seen: Time::default(),
            last_seen: Time::from_millis(seen * 1000),
            count: 1,
            level: Level::Warning,
            obj_type: "Pod".into(),
            obj_name: "web-1".into(),
            reason: reason.to_owned().into(),
            message: message.to_owned().into(),
            ..Event::default()
        }
    }

    /// What is quoted after these events.
    fn quoted<'a>(events: &[(&'a str, &'a str, i64)]) -> &'a str {
        let mut quoted = events[0];
        for one in &events[1..] {
            let old = super::super::newest(&event(quoted.0, quoted.1, quoted.2));
            if replaces(&event(one.0, one.1, one.2), &old, Time::from_millis(quoted.2 * 1000), false) {
                quoted = *one;
            }
        }
        quoted.1
    }

    #[test]
    fn the_cause_is_quoted_and_not_what_follows_from_it_in_whatever_order_they_are_read() {
        let image = [
            ("Failed", MISSING, 0),
            ("Failed", "Error: ErrImagePull", 0),
            ("BackOff", "Back-off pulling image \"x\"", 1),
        ];
        let command = [("Failed", NO_COMMAND, 0), ("BackOff", "Back-off restarting failed container", 9)];
        let mount = [
            ("FailedMount", "MountVolume.SetUp failed for volume \"key\" : secret \"vault-key\" not found", 0),
            ("FailedMount", "Unable to attach or mount volumes: timed out waiting for the condition", 120),
        ];
        // What a pod's state says of a container that was never started.
        let never_started = [
            ("Failed", NO_COMMAND, 0),
            ("ContainerCrashed", "Container web ended with exit code 128 (StartError)", 1),
            ("BackOff", "Back-off restarting failed container", 9),
        ];
        let crash = [
            ("ContainerCrashed", "Container web ended with exit code 1, for the 2nd time", 0),
            ("BackOff", "Back-off restarting failed container", 1),
        ];
        // The kubelet kills a container that does not answer; `Unavailable` is what podbell says of its workload.
        let liveness = [
            ("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404", 0),
            ("ContainerCrashed", "Container web ended with exit code 137", 2),
            ("BackOff", "Back-off restarting failed container", 30),
            ("Unavailable", "No pod is ready", 300),
        ];
        // In the words of the signals of pods.
        let says_why = [
            ("ContainerCrashed", "Container web ended with exit code 128 (StartError): no such file or directory", 0),
            ("BackOff", "Back-off restarting failed container", 9),
        ];
        let says_why_again = [
            (
                "ContainerCrashed",
                "Container web ended with exit code 128 (StartError), for the 2nd time: no such file",
                0,
            ),
            ("BackOff", "Back-off restarting failed container", 9),
        ];
        let all = [&image[..], &command[..], &mount[..], &never_started, &crash, &liveness, &says_why, &says_why_again];
        for events in all {
            let mut backwards = events.to_vec();
            backwards.reverse();
            assert_eq!(quoted(events), events[0].1);
            assert_eq!(quoted(&backwards), events[0].1);
        }
    }

    #[test]
    fn a_newer_cause_another_trouble_and_a_cause_that_is_not_said_again_make_room() {
        let forbidden = "Failed to pull image \"shop/cart:v5\": rpc error: 403 Forbidden";
        assert_eq!(quoted(&[("Failed", MISSING, 0), ("Failed", forbidden, 60)]), forbidden);
        let crash = "Back-off restarting failed container";
        assert_eq!(quoted(&[("Failed", MISSING, 0), ("BackOff", crash, 60)]), crash, "the image is there now");
        assert_eq!(quoted(&[("Failed", NO_COMMAND, 0), ("BackOff", crash, 16 * 60)]), crash);
        let old = super::super::newest(&event("Failed", NO_COMMAND, 0));
        assert!(replaces(&event("BackOff", crash, 60), &old, Time::default(), true), "of what goes on now");
    }

    #[test]
    fn what_other_incidents_quote_explains_what_does_not_say_why_itself() {
        let at = |reason: &str, message: &str, seen| (super::super::newest(&event(reason, message, seen)), seen);
        let probe = at("Unhealthy", "Startup probe failed: connection refused", 30);
        let killed = at("ContainerCrashed", "Container web ended with exit code 137", 40);
        let exit = at("ContainerCrashed", "Container web ended with exit code 1", 10);
        let missing = at("Failed", MISSING, 20);
        let mut elsewhere = at("Failed", NO_COMMAND, 20);
        elsewhere.0.obj_name = "web-2".to_owned();
        let all = [&probe, &killed, &exit, &missing, &elsewhere];
        let seconds = |at: i64| Time::from_millis(at * 1000);
        let cause = |quoted: &(Newest, i64), others: &[&(Newest, i64)]| {
            let others = others.iter().map(|(other, seen)| (other, seconds(*seen)));
            let of_others = cause_among(others.collect::<Vec<_>>().into_iter(), (&quoted.0, seconds(quoted.1)));
            of_others.map(|(other, _)| other.message.clone())
        };
        let backs_off = at("BackOff", "Back-off restarting failed container", 60);
        // In whatever order the rules stand.
        let mut backwards = all;
        backwards.reverse();
        for others in [all, backwards] {
            assert_eq!(cause(&backs_off, &others), Some(exit.0.message.clone()), "the program ended by itself");
        }
        assert_eq!(cause(&backs_off, &[&probe, &killed]), Some(probe.0.message.clone()));
        assert_eq!(cause(&backs_off, &[&killed, &missing, &elsewhere]), Some(killed.0.message.clone()));
        let mut down = at("Unavailable", "No pod is ready", 300);
        (down.0.obj_type, down.0.obj_name) = ("Deployment".to_owned(), "web".to_owned());
        assert_eq!(cause(&down, &[&probe, &killed]), Some(probe.0.message.clone()));
        assert_eq!(cause(&probe, &all), None, "it says why itself");
        let late = at("BackOff", "Back-off restarting failed container", 16 * 60);
        assert_eq!(cause(&late, &[&probe, &exit]), None, "that was another trouble");
    }

    #[test]
    fn only_pods_of_one_template_are_the_same() {
        let of = |name: &str| Newest { obj_name: name.to_owned(), ..super::super::newest(&event("Unhealthy", "", 0)) };
        let same = |one: &str, other: &str| are_same_pods(&of(one), &of(other));
        assert!(same("db-0", "db-0") && same("web-6ddcdcc9b9-pgl84", "web-6ddcdcc9b9-g4484"));
        assert!(!same("db-0", "db-1") && !same("web-6ddcdcc9b9-pgl84", "web-6498dc999b-ns5wz"));
    }

    #[test]
    fn newer_kubelets_say_the_cause_within_the_back_off() {
        let says = "Back-off pulling image \"x:1\": ErrImagePull: failed to pull and unpack image \"x:1\": not found";
        assert_eq!(of("BackOff", says).1, Depth::Cause);
        let follows = [
            ("BackOff", "Back-off pulling image \"x:1\""),
            ("Failed", "Error: ImagePullBackOff"),
            ("Failed", "Error: ErrImagePull"),
        ];
        for (reason, message) in follows {
            assert_eq!(of(reason, message).1, Depth::Consequence, "{message}");
        }
    }
}
