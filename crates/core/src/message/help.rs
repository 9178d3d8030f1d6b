//! What a known reason usually means, and what to type first: a table.
//!
//! Pure. It looks at the event that the message quotes. The sentences are in [`crate::message::reasons`]; here are the
//! families and their commands.

use super::reasons::Help;
use super::text::{is_object_name, kubectl_describe};
use crate::health::{NO_POD_IS_READY, ROLLOUT_STALLED, UNAVAILABLE};
use crate::notice::Newest;

/// The family of an event; `None` if podbell can add nothing to what the event says.
pub(super) fn of(newest: &Newest) -> Option<Help> {
    let message = newest.message.as_str();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    Some(match newest.reason.trim() {
        "InvalidImageName" | "InspectFailed" => Help::ImageName,
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" => image(message),
        // One reason for many causes: the text decides.
        "Failed" | "BackOff" | "FailedSync" | "pod启动失败" | "操作重试" => by_text(newest)?,
        "CrashLoopBackOff" => Help::CrashLoop,
        "FailedScheduling" | "PodUnschedulable" if says(&["unbound", "persistentvolumeclaim"]) => Help::UnboundVolume,
        "FailedScheduling" | "PodUnschedulable" if says(&["volume node affinity conflict"]) => Help::VolumeElsewhere,
        "FailedScheduling" | "PodUnschedulable" if says(&["Insufficient", "Too many pods"]) => Help::NoRoom,
        "FailedScheduling" | "PodUnschedulable" if says(&UNWELL) => Help::NodesUnwell,
        "FailedScheduling" | "PodUnschedulable" if says(&["free ports"]) => Help::HostPort,
        "FailedScheduling" | "PodUnschedulable" => Help::NoFit,
        "HostPortConflict" => Help::HostPort,
        "Unhealthy" | "ProbeError" if says(&["Readiness"]) => Help::Readiness,
        "Unhealthy" | "ProbeError" if says(&["Liveness"]) => Help::Liveness,
        "Unhealthy" | "ProbeError" if says(&["Startup"]) => Help::Startup,
        "FailedMount" if lacks_config(message) => Help::ConfigMissing,
        "FailedMount" | "FailedMapVolume" => Help::Mount,
        "FailedAttachVolume" => Help::Attach,
        "FailedCreate" if says(&["exceeded quota"]) => Help::Quota,
        "FailedCreate" => Help::Create,
        "Evicted" if says(&OWN_LIMIT) => Help::EvictedOwn,
        "Evicted" | "TaintManagerEviction" => Help::Evicted,
        "OOMKilling" | "SystemOOM" => Help::OutOfMemory,
        "OOMKilled" => Help::OverMemoryLimit,
        "ContainerCrashed" if lacks_executable(message) => Help::NoExecutable,
        "ContainerCrashed" if says(&["(StartError)", "(ContainerCannotRun)"]) => Help::ContainerStart,
        "ContainerCrashed" => Help::CrashLoop,
        ROLLOUT_STALLED => Help::RolloutStalled,
        UNAVAILABLE if newest.message == NO_POD_IS_READY => Help::Unavailable,
        "NodeNotReady" | "NodeNotSchedulable" => Help::NodeNotReady,
        "NodeHasDiskPressure" | "NodeHasInsufficientMemory" | "NodeHasInsufficientPID" | "EvictionThresholdMet" => {
            Help::NodePressure
        }
        "Rebooted" => Help::Rebooted,
        "FailedCreatePodSandBox" if says(&["sandbox image", "/pause"]) => Help::SandboxImage,
        "FailedCreatePodSandBox" | "FailedPodSandBoxStatus" => Help::Sandbox,
        "FailedKillPod" | "FailedPreStopHook" if says(&["PreStop", "preStop"]) => Help::Hook,
        "FailedKillPod" => Help::KillPod,
        "FailedPreStopHook" | "FailedPostStartHook" => Help::Hook,
        "JobFailed" if says(&["DeadlineExceeded"]) => Help::Deadline,
        "BackoffLimitExceeded" | "PodFailurePolicy" | "JobFailed" => Help::JobFailed,
        "DeadlineExceeded" => Help::Deadline,
        "FailedNeedsStart" | "TooManyMissedTimes" => Help::MissedSchedules,
        "FailedGetResourceMetric"
        | "FailedComputeMetricsReplicas"
        | "FailedGetContainerResourceMetric"
        | "FailedGetPodsMetric"
        | "FailedGetExternalMetric"
        | "FailedGetObjectMetric" => Help::Metrics,
        "ProvisioningFailed" | "FailedBinding" => Help::Provisioning,
        "FreeDiskSpaceFailed" | "ImageGCFailed" | "ContainerGCFailed" => Help::ImageGc,
        "DNSConfigForming" => Help::Dns,
        "NetworkNotReady" => Help::Network,
        "Preempted" | "Preempting" => Help::Preempted,
        "CreatingLoadBalancerFailed" | "SyncLoadBalancerFailed" | "UpdateLoadBalancerFailed" => Help::LoadBalancer,
        "ClusterIPNotAllocated" | "ClusterIPOutOfRange" | "FailedToUpdateEndpoint" => Help::ClusterIp,
        _ => return None,
    })
}

/// Taints of nodes on which nothing new may run for the moment.
const UNWELL: [&str; 6] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
];
/// Texts of an eviction because of the pod's own limit, not because its node lacks something.
const OWN_LIMIT: [&str; 3] =
    ["ephemeral local storage usage exceeds", "exceeded its local ephemeral storage limit", "Usage of EmptyDir volume"];

/// The family of an event whose reason is vague, by its text.
fn by_text(newest: &Newest) -> Option<Help> {
    const FAMILIES: [(&[&str], Help); 3] = [
        (&["CrashLoopBackOff", "ack-off restarting failed"], Help::CrashLoop),
        (
            &["CreateContainerConfigError", "CreateContainerError", "RunContainerError", "failed to start container"],
            Help::ContainerStart,
        ),
        (&["CreatePodSandbox", "network is not ready", "SetupNetwork"], Help::Sandbox),
    ];
    let message = newest.message.as_str();
    let fits = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if fits(&["InvalidImageName", "couldn't parse image", "invalid reference format"]) {
        return Some(Help::ImageName);
    }
    if fits(&["ImagePullBackOff", "ErrImagePull", "ull image", "ulling image", "ErrImageNeverPull"]) {
        return Some(image(message));
    }
    if lacks_config(message) {
        return Some(Help::ConfigMissing);
    }
    if lacks_executable(message) {
        return Some(Help::NoExecutable);
    }
    let found = FAMILIES.iter().find(|(words, _)| fits(words)).map(|(_, help)| *help);
    found.or(matches!(newest.reason.trim(), "FailedSync" | "pod启动失败").then_some(Help::Sync))
}

/// Why an image cannot be pulled, as far as the text says it.
fn image(message: &str) -> Help {
    let lower = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    // Docker Hub says this both of images that do not exist and of private ones.
    let unclear = says(&["repository does not exist or may require"]);
    if says(&["toomanyrequests", "too many requests", "rate limit", "429"]) {
        Help::ImageLimit
    } else if unclear {
        Help::ImagePull
    } else if says(&["401", "403", "unauthorized", "forbidden", "denied", "authentication required"]) {
        Help::ImageDenied
    } else if says(&[
        "i/o timeout",
        "no such host",
        "connection refused",
        "connection reset",
        "network is unreachable",
        "deadline exceeded",
        "tls handshake timeout",
        "x509",
        "server misbehaving",
    ]) {
        Help::ImageUnreachable
    } else if says(&["not found", "notfound", "manifest unknown", "does not exist", "404"]) {
        Help::ImageAbsent
    } else {
        Help::ImagePull
    }
}

/// Whether a ConfigMap or Secret, or a key of one, is missing that a container or volume needs.
fn lacks_config(message: &str) -> bool {
    let lower = message.to_ascii_lowercase();
    let of = lower.contains("configmap") || lower.contains("secret");
    of && ["not found", "couldn't find key", "references non-existent"].iter().any(|word| lower.contains(word))
}

/// Whether the container's command is missing from its image or cannot be executed.
fn lacks_executable(message: &str) -> bool {
    let says = |word: &str| message.contains(word);
    let of = says("exec: ") || says("exec failed") || says("unable to start container process") || says("exec /");
    let why = ["no such file or directory", "executable file not found", "permission denied", "exec format error"];
    says("exec format error") || (of && why.into_iter().any(says))
}

/// The command to type first: that of the table, or else `kubectl describe`. `None` unless the names are valid in
/// Kubernetes. `namespace` as for [`kubectl_describe`].
pub(super) fn command(namespace: Option<&str>, newest: &Newest) -> Option<String> {
    let (kind, name) = (newest.obj_type.trim(), newest.obj_name.trim());
    better(namespace, kind, name, newest).or_else(|| kubectl_describe(namespace, kind, name))
}

fn better(namespace: Option<&str>, kind: &str, name: &str, newest: &Newest) -> Option<String> {
    let help = of(newest)?;
    // Commands about the whole cluster need no name.
    match help {
        Help::NoRoom | Help::NoFit | Help::NodesUnwell => return Some("kubectl describe nodes".to_owned()),
        Help::VolumeElsewhere => return Some("kubectl describe pv".to_owned()),
        Help::NodeNotReady if kind != "Node" => return Some("kubectl get nodes".to_owned()),
        Help::Metrics => return Some("kubectl get apiservices v1beta1.metrics.k8s.io".to_owned()),
        _ => {}
    }
    let namespace = namespace.filter(|namespace| is_object_name(namespace))?;
    if !is_object_name(name) {
        return None;
    }
    match (help, kind) {
        (Help::CrashLoop | Help::Liveness, "Pod") => {
            let container = container(&newest.message).map(|container| format!(" -c {container}")).unwrap_or_default();
            Some(format!("kubectl -n {namespace} logs {name}{container} --previous"))
        }
        (Help::Readiness | Help::Startup, "Pod") => Some(format!("kubectl -n {namespace} logs {name} --tail 50")),
        (Help::UnboundVolume, "Pod") => Some(format!("kubectl -n {namespace} get pvc")),
        (Help::Quota, _) => Some(format!("kubectl -n {namespace} describe resourcequota")),
        (Help::JobFailed, "Job") => Some(format!("kubectl -n {namespace} logs job/{name} --tail 50")),
        _ => None,
    }
}

/// The container that a text of the kubelet names: without it `logs` may show another one.
fn container(message: &str) -> Option<&str> {
    let after = ["failed container=", "failed container "].iter().find_map(|word| message.split_once(word))?.1;
    let name = after.split(|c: char| c.is_whitespace() || "\"',;:()".contains(c)).next()?;
    // "restarting failed container" may end the text, or be followed by other words.
    let named = after.get(name.len()..).is_some_and(|rest| rest.starts_with(" in pod") || rest.starts_with(" pod="));
    (named && is_object_name(name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Level;
    use crate::message::translations::MessageTexts;
    use crate::translations::Language;

    fn newest(obj_type: &str, obj_name: &str, reason: &str, message: &str) -> Newest {
        Newest {
            level: Level::Warning,
            obj_type: obj_type.into(),
            obj_name: obj_name.into(),
            reason: reason.into(),
            message: message.into(),
        }
    }

    fn pod(reason: &str, message: &str) -> Newest {
        newest("Pod", "web-1", reason, message)
    }

    #[test]
    fn one_family_is_known_by_all_its_reasons_and_texts() {
        let cases = [
            ("Failed", "Failed to pull image \"x\": rpc error", Some(Help::ImagePull)),
            (
                "Failed",
                "Failed to pull image \"x\": rpc error: code = NotFound desc = x: not found",
                Some(Help::ImageAbsent),
            ),
            ("Failed", "Failed to pull image \"x\": unexpected status: 403 Forbidden", Some(Help::ImageDenied)),
            ("Failed", "Failed to pull image \"x\": toomanyrequests: You have reached", Some(Help::ImageLimit)),
            ("Failed", "Failed to pull image \"x\": dial tcp: i/o timeout", Some(Help::ImageUnreachable)),
            (
                "Failed",
                "Failed to pull image \"x\": pull access denied, repository does not exist or may require authorization",
                Some(Help::ImagePull),
            ),
            ("Failed", "Error: configmap \"ledger\" not found", Some(Help::ConfigMissing)),
            ("Failed", "Error: couldn't find key url in Secret pay/db", Some(Help::ConfigMissing)),
            ("FailedMount", "MountVolume.SetUp failed: secret \"vault-key\" not found", Some(Help::ConfigMissing)),
            ("FailedMount", "Unable to attach or mount volumes: timed out", Some(Help::Mount)),
            (
                "Failed",
                "Error: OCI runtime create failed: unable to start container process: exec: \"/usr/bin/x\": stat /usr/bin/x: no such file or directory",
                Some(Help::NoExecutable),
            ),
            ("Failed", "Error: exec: \"x\": executable file not found in $PATH: unknown", Some(Help::NoExecutable)),
            (
                "Evicted",
                "Pod ephemeral local storage usage exceeds the total limit of containers 20Mi. ",
                Some(Help::EvictedOwn),
            ),
            ("Evicted", "Container x exceeded its local ephemeral storage limit \"1Gi\". ", Some(Help::EvictedOwn)),
            ("Evicted", "Usage of EmptyDir volume \"tmp\" exceeds the limit \"1Gi\". ", Some(Help::EvictedOwn)),
            ("Evicted", "The node was low on resource: ephemeral-storage.", Some(Help::Evicted)),
            (
                "FailedCreatePodSandBox",
                "failed to get sandbox image \"r/pause:3\": failed to pull image",
                Some(Help::SandboxImage),
            ),
            ("FailedCreatePodSandBox", "plugin type=\"bridge\" failed (add)", Some(Help::Sandbox)),
            (
                "FailedScheduling",
                "0/3 nodes are available: 3 node(s) had volume node affinity conflict.",
                Some(Help::VolumeElsewhere),
            ),
            (
                "FailedScheduling",
                "0/1 nodes are available: 1 node(s) had taint {node.kubernetes.io/disk-pressure: }, that the pod didn't tolerate.",
                Some(Help::NodesUnwell),
            ),
            ("BackOff", "Back-off pulling image \"x\"", Some(Help::ImagePull)),
            ("pod启动失败", "failed to \"StartContainer\" for \"php\" with ImagePullBackOff", Some(Help::ImagePull)),
            ("Failed", "Error: InvalidImageName", Some(Help::ImageName)),
            ("BackOff", "Back-off restarting failed container", Some(Help::CrashLoop)),
            ("FailedSync", "Error syncing pod: CrashLoopBackOff", Some(Help::CrashLoop)),
            ("FailedSync", "Error syncing pod", Some(Help::Sync)),
            ("ContainerCrashed", "Container web ended with exit code 1", Some(Help::CrashLoop)),
            // It was never started, so there is no log.
            ("ContainerCrashed", "Container web ended with exit code 128 (StartError)", Some(Help::ContainerStart)),
            (
                "ContainerCrashed",
                "Container web ended with exit code 128 (StartError): exec: \"/web\": stat /web: no such file or directory",
                Some(Help::NoExecutable),
            ),
            ("Failed", "Error: cannot create", None),
            ("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.", Some(Help::NoRoom)),
            ("FailedScheduling", "pod has unbound immediate PersistentVolumeClaims", Some(Help::UnboundVolume)),
            ("FailedScheduling", "0/3 nodes are available: 3 node(s) had taints", Some(Help::NoFit)),
            ("Unhealthy", "Readiness probe failed: HTTP 503", Some(Help::Readiness)),
            ("Unhealthy", "the pod is unwell", None),
            ("FailedCreate", "pods \"x\" is forbidden: exceeded quota: q", Some(Help::Quota)),
            ("Whatever", "", None),
        ];
        for (reason, message, help) in cases {
            assert_eq!(of(&pod(reason, message)), help, "{reason}: {message}");
        }
    }

    #[test]
    fn every_family_has_one_sentence_in_every_language() {
        for language in Language::ALL {
            let stop = MessageTexts::of(language).stop().trim_end();
            let sentences: Vec<&str> = Help::ROWS.iter().map(|(_, en, zh)| language.choose(en, zh)).collect();
            for sentence in &sentences {
                assert!(!sentence.contains('\n') && sentence.chars().count() <= 160, "{sentence}");
                assert!(sentence.ends_with(stop) && sentence.matches(stop).count() == 1, "{sentence}");
            }
            let mut distinct = sentences.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), sentences.len());
        }
    }

    #[test]
    fn a_crash_is_looked_at_in_the_log_of_the_container_that_crashed() {
        let typed = |message: &str| command(Some("shop"), &pod("BackOff", message)).unwrap_or_default();
        assert_eq!(typed("Back-off restarting failed container"), "kubectl -n shop logs web-1 --previous");
        assert_eq!(
            typed("Back-off restarting failed container app in pod web-1_shop(0f3a)"),
            "kubectl -n shop logs web-1 -c app --previous"
        );
        assert_eq!(
            typed("CrashLoopBackOff: \"Back-off 5m0s restarting failed container=app pod=web-1_shop(0f3a)\""),
            "kubectl -n shop logs web-1 -c app --previous"
        );
        for message in ["restarting failed container $(x) in pod y", "restarting failed container quickly"] {
            let typed = command(Some("shop"), &pod("BackOff", &format!("Back-off {message}")));
            assert_eq!(typed.as_deref(), Some("kubectl -n shop logs web-1 --previous"));
        }
    }

    #[test]
    fn names_that_kubernetes_does_not_give_out_are_never_typed() {
        let crash = "Back-off restarting failed container";
        for (namespace, name) in [("shop", "a;reboot"), ("shop", "-n"), ("a b", "web-1"), ("$(x)", "web-1")] {
            assert_eq!(command(Some(namespace), &newest("Pod", name, "BackOff", crash)), None);
        }
        let job = newest("Job", "report", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
        assert_eq!(command(Some("shop"), &job).as_deref(), Some("kubectl -n shop logs job/report --tail 50"));
        assert_eq!(command(None, &pod("BackOff", crash)), None);
        let full = pod("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.");
        assert_eq!(command(None, &full).as_deref(), Some("kubectl describe nodes"));
        assert_eq!(command(Some("shop"), &pod("Other", "")).as_deref(), Some("kubectl -n shop describe pod web-1"));
    }
}
