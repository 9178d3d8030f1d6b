//! Which event of an incident a message quotes: the one that names the cause, not the newest one about its
//! consequences.
//!
//! A kubelet says "Failed to pull image …: not found" and right after it "Error: ErrImagePull"; it reports a command
//! that is not in the image by `Failed`, and then by `BackOff`. Pure: a table of texts.

use std::time::Duration;

use crate::event::Event;
use crate::notice::Newest;
use crate::time::Time;

/// How long a cause is quoted rather than its consequences. A kubelet that still fails says the cause again within its
/// own 5 minutes; after three of them it may be another one.
const HOLDS: Duration = Duration::from_secs(15 * 60);

/// What an event's text is about, whatever its reason. Of two texts about the same, the more informative one is quoted; of
/// two about different things, the newer.
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
}

/// Whether an event replaces the quoted one. `anew`: nothing of the present trouble was quoted yet.
pub(super) fn replaces(event: &Event<'_>, old: &Newest, old_seen: Time, anew: bool) -> bool {
    let newer = event.last_seen >= old_seen;
    let (new_about, new_telling) = of(&event.reason, &event.message);
    let (old_about, old_telling) = of(&old.reason, &old.message);
    if anew || new_about.is_none() || new_about != old_about || new_telling == old_telling {
        return newer;
    }
    let (first, last) = if newer { (old_seen, event.last_seen) } else { (event.last_seen, old_seen) };
    let near = last.since(first) < HOLDS;
    if new_telling { newer || near } else { newer && !near }
}

/// What an event is about, and whether it says more than that something else failed before it.
fn of(reason: &str, message: &str) -> (Option<About>, bool) {
    let message = message.trim();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let image = says(&["ImagePullBackOff", "ErrImagePull", "ull image", "ulling image", "ErrImageNeverPull"]);
    // "Error: ErrImagePull" is a state, not a cause; "…: ErrImagePull: rpc error: …" includes the cause.
    let cause = says(&["rpc error", "ErrImagePull: ", "ErrImagePull: \"", "CrashLoopBackOff: \"rpc"]);
    let state = message.strip_prefix("Error: ").is_some_and(|state| state.chars().all(char::is_alphanumeric));
    match reason.trim() {
        "ErrImagePull" | "ImagePullBackOff" if message.is_empty() => (Some(About::Image), false),
        "Failed" | "BackOff" | "FailedSync" | "ErrImagePull" | "ImagePullBackOff" | "pod启动失败" | "操作重试"
            if image =>
        {
            (Some(About::Image), cause || !(state || says(&["ack-off", "BackOff"])))
        }
        "Failed" | "FailedPostStartHook" | "OOMKilled" => (Some(About::Container), !state && !message.is_empty()),
        "BackOff" | "CrashLoopBackOff" | "pod启动失败" | "操作重试" => (Some(About::Container), false),
        // Of a container that was never started, `Failed` says why.
        "ContainerCrashed" => (Some(About::Container), !says(&["(StartError)", "(ContainerCannotRun)"])),
        "FailedSync" => (Some(About::Container), cause),
        "Unhealthy" | "ProbeError" => (Some(About::Container), says(&["Liveness", "Startup"])),
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => {
            let follows = says(&["timed out waiting for the condition", "context deadline exceeded", "failed to sync"]);
            (Some(About::Mount), !follows)
        }
        "FailedCreatePodSandBox" | "FailedPodSandBoxStatus" => (Some(About::Sandbox), true),
        "SandboxChanged" => (Some(About::Sandbox), false),
        "NodeNotReady" => (Some(About::Node), message != "Node is not ready"),
        "FailedComputeMetricsReplicas" => (Some(About::Metrics), false),
        "FailedGetResourceMetric"
        | "FailedGetContainerResourceMetric"
        | "FailedGetPodsMetric"
        | "FailedGetExternalMetric"
        | "FailedGetObjectMetric" => (Some(About::Metrics), true),
        "FailedCreate" | "FailedDelete" => (Some(About::Pods), true),
        "RecreatingFailedPod" | "ReplicaFailure" => (Some(About::Pods), false),
        _ => (None, true),
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
        for events in [&image[..], &command[..], &mount[..], &never_started, &crash] {
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
    fn newer_kubelets_say_the_cause_within_the_back_off() {
        let says = "Back-off pulling image \"x:1\": ErrImagePull: failed to pull and unpack image \"x:1\": not found";
        assert!(of("BackOff", says).1);
        assert!(!of("BackOff", "Back-off pulling image \"x:1\"").1);
        assert!(!of("Failed", "Error: ImagePullBackOff").1 && !of("Failed", "Error: ErrImagePull").1);
    }
}
