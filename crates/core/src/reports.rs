//! What reporters do: how often they repeat themselves, and by which other event a trouble ends.
//!
//! "Nobody says it any more" is not "it is over": a scheduler writes once in 30 minutes, a node controller once. The
//! table here was read in the sources of Kubernetes, of its autoscaler and of cert-manager; docs/reporters.md shows it
//! with its reasons. Pure; called by incidents.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Event, Level};
use super::workload;

/// Troubles that begin and end by the same events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectFailure {
    /// A node is not ready: its kubelet does not report.
    NodeAway,
    /// A node is short of disk.
    DiskPressure,
    /// A node is short of memory.
    MemoryPressure,
    /// A node is short of process ids.
    PidPressure,
    /// A pod cannot be scheduled.
    Unscheduled,
    /// A volume cannot be attached or mounted.
    Unmounted,
    /// A pod's sandbox or network cannot be set up.
    NoSandbox,
    /// An image cannot be pulled or inspected.
    NoImage,
    /// A container cannot be started.
    NotStarted,
    /// A controller cannot create an object.
    NotCreated,
    /// A PersistentVolumeClaim gets no volume.
    Unprovisioned,
    /// A volume cannot be made larger.
    Unresized,
    /// A pod was evicted or preempted.
    Evicted,
    /// A job failed.
    JobFailed,
    /// A cron job missed its schedule.
    ScheduleMissed,
    /// A HorizontalPodAutoscaler cannot read its metrics or scale its target.
    NoMetrics,
    /// The cluster autoscaler could not add nodes.
    NotScaledUp,
    /// A load balancer is not set up.
    NoLoadBalancer,
    /// A certificate is not issued.
    NoCertificate,
    /// A run of a cron job failed.
    RunFailed,
}

impl ObjectFailure {
    /// Whether it is one of a node.
    pub(crate) fn is_of_a_node(self) -> bool {
        matches!(self, Self::NodeAway | Self::DiskPressure | Self::MemoryPressure | Self::PidPressure)
    }

    /// Whether it goes on when its object is deleted: failed runs of a cron job are deleted sooner or later, and only the
    /// next run tells how the cron job is.
    pub(crate) fn outlives_its_object(self) -> bool {
        self == Self::RunFailed
    }
}

/// What is known of how a trouble is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReportingPattern {
    /// Which trouble.
    pub trouble: ObjectFailure,
    /// Its reporter repeats it at least this often while it lasts; `None`: it is reported once.
    pub repeats: Option<Duration>,
    /// Whether its end is always reported: then silence does not end it.
    pub end_is_reported: bool,
}

/// What an event ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndEffect {
    /// The troubles that it ends.
    pub troubles: &'static [ObjectFailure],
    /// Whose troubles it ends.
    pub of: EndScope,
    /// Whether it ends only troubles of objects of the same kind.
    pub same_kind: bool,
}

/// Whose trouble an event ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndScope {
    /// That of the object it is about.
    Object,
    /// That of every object of its workload.
    Workload,
    /// That of the runs of its job: the jobs, and their pods.
    Runs,
    /// That of the node it is about, and of what ran there.
    Node,
}

/// The kubelet lets 25 events of an object through, then one in 5 minutes.
pub(crate) const KUBELET: Duration = Duration::from_secs(300);
/// A work queue's longest back-off is 1,000 s.
const CONTROLLER: Duration = Duration::from_secs(1000);
/// A series is written at its second occurrence, then every 30 minutes; it is finished 6 minutes after its last one.
pub(crate) const SERIES: Duration = Duration::from_secs(36 * 60);
/// A failed certificate is tried again after an hour, then after two, four and so on.
const CERTIFICATE: Duration = Duration::from_secs(8 * 3600);
/// How much longer than its reporter's interval a silence must be.
const MARGIN: Duration = Duration::from_secs(30);

/// How long an event's reporter may be silent while its trouble lasts; zero if that is unknown.
pub(crate) fn longest_silence(event: &Event<'_>) -> Duration {
    let known = of(event).and_then(|report| report.repeats).or_else(|| is_from_controller(event).then_some(CONTROLLER));
    let series = event.series.then_some(SERIES);
    // A rule that resolves faster than the kubelet repeats itself does so on purpose: by default none does.
    known.max(series).filter(|every| *every > KUBELET).map_or(Duration::ZERO, |every| every + MARGIN)
}

/// How the trouble of an event is reported; `None` if no other event is known to end it.
pub(crate) fn of(event: &Event<'_>) -> Option<ReportingPattern> {
    let report =
        |trouble, repeats: Option<Duration>| Some(ReportingPattern { trouble, repeats, end_is_reported: true });
    // These may end without an event, so that silence ends them, too.
    let silent =
        |trouble, repeats: Option<Duration>| Some(ReportingPattern { trouble, repeats, end_is_reported: false });
    let (reason, kind, message) = (event.reason.trim(), event.obj_type.trim(), event.message.as_ref());
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match reason {
        "NodeNotReady" | "NodeStatusUnknown" => report(ObjectFailure::NodeAway, None),
        "NodeHasDiskPressure" => report(ObjectFailure::DiskPressure, None),
        "NodeHasMemoryPressure" | "NodeHasInsufficientMemory" => report(ObjectFailure::MemoryPressure, None),
        "NodeHasPIDPressure" | "NodeHasInsufficientPID" => report(ObjectFailure::PidPressure, None),
        "EvictionThresholdMet" if says(&["memory"]) => silent(ObjectFailure::MemoryPressure, Some(KUBELET)),
        "EvictionThresholdMet" if says(&["pid"]) => silent(ObjectFailure::PidPressure, Some(KUBELET)),
        "EvictionThresholdMet" => silent(ObjectFailure::DiskPressure, Some(KUBELET)),
        "FailedScheduling" => report(ObjectFailure::Unscheduled, Some(SERIES)),
        "PodUnschedulable" => report(ObjectFailure::Unscheduled, None),
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => report(ObjectFailure::Unmounted, Some(KUBELET)),
        "FailedCreatePodSandBox" | "FailedPodSandBoxStatus" | "NetworkNotReady" => {
            report(ObjectFailure::NoSandbox, Some(KUBELET))
        }
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InspectFailed" => {
            report(ObjectFailure::NoImage, Some(KUBELET))
        }
        "Failed" | "BackOff" | "FailedSync" | "pod启动失败" | "操作重试" if kind == "Pod" && says(&PULL) => {
            report(ObjectFailure::NoImage, Some(KUBELET))
        }
        "Failed" if kind == "Pod" => report(ObjectFailure::NotStarted, Some(KUBELET)),
        "FailedCreate" => report(ObjectFailure::NotCreated, Some(CONTROLLER)),
        // A claim that is bound by hand gets no event.
        "ProvisioningFailed" | "FailedBinding" => silent(ObjectFailure::Unprovisioned, Some(KUBELET)),
        "VolumeResizeFailed" | "FileSystemResizeFailed" => silent(ObjectFailure::Unresized, Some(KUBELET)),
        "Evicted" | "Preempted" | "Preempting" if kind == "Pod" => silent(ObjectFailure::Evicted, None),
        "BackoffLimitExceeded" | "DeadlineExceeded" | "JobFailed" if kind == "Job" => {
            match workload::is_a_scheduled_run(&event.obj_name) {
                true => report(ObjectFailure::RunFailed, None),
                false => silent(ObjectFailure::JobFailed, None),
            }
        }
        "MissSchedule" | "TooManyMissedTimes" | "FailedNeedsStart" => silent(ObjectFailure::ScheduleMissed, None),
        "FailedGetScale" | "FailedRescale" => silent(ObjectFailure::NoMetrics, Some(KUBELET)),
        _ if kind == "HorizontalPodAutoscaler" && reason.starts_with("Failed") => {
            silent(ObjectFailure::NoMetrics, Some(KUBELET))
        }
        "FailedToScaleUpGroup" | "ScaleUpTimedOut" => silent(ObjectFailure::NotScaledUp, Some(SERIES)),
        "SyncLoadBalancerFailed" | "CreatingLoadBalancerFailed" | "UpdateLoadBalancerFailed" => {
            report(ObjectFailure::NoLoadBalancer, Some(KUBELET))
        }
        _ if event.level == Level::Warning && CERTIFICATES.contains(&kind) => {
            report(ObjectFailure::NoCertificate, Some(CERTIFICATE))
        }
        _ => None,
    }
}

/// What texts about pulling an image contain.
pub(crate) const PULL: [&str; 6] =
    ["ImagePullBackOff", "ErrImagePull", "ull image", "ulling image", "ErrImageNeverPull", "InvalidImageName"];
/// The objects of cert-manager.
const CERTIFICATES: [&str; 6] = ["Certificate", "CertificateRequest", "Challenge", "ClusterIssuer", "Issuer", "Order"];
/// Troubles that are over for a pod whose image is being pulled.
const BEFORE_IMAGE: &[ObjectFailure] =
    &[ObjectFailure::Unscheduled, ObjectFailure::Unmounted, ObjectFailure::NoSandbox];

/// Troubles that are over for a job of which a later run has completed.
const OF_RUNS: &[ObjectFailure] = &[
    ObjectFailure::JobFailed,
    ObjectFailure::RunFailed,
    ObjectFailure::Unscheduled,
    ObjectFailure::Unmounted,
    ObjectFailure::NoSandbox,
    ObjectFailure::NoImage,
    ObjectFailure::NotStarted,
];

/// Whether a controller writes it, again at each of its attempts.
fn is_from_controller(event: &Event<'_>) -> bool {
    let kinds = ["CronJob", "DaemonSet", "Deployment", "Endpoints", "Job", "ReplicaSet", "Service", "StatefulSet"];
    event.level == Level::Warning && kinds.contains(&event.obj_type.trim())
}

/// What an event ends, if it ends anything.
pub(crate) fn end_effect(event: &Event<'_>) -> Option<EndEffect> {
    let object = |troubles| Some(EndEffect { troubles, of: EndScope::Object, same_kind: true });
    let workload = |troubles| Some(EndEffect { troubles, of: EndScope::Workload, same_kind: false });
    let runs = Some(EndEffect { troubles: OF_RUNS, of: EndScope::Runs, same_kind: false });
    let message = event.message.as_ref();
    match event.reason.trim() {
        "NodeReady" | "RemovingNode" | "DeletingNode" => {
            Some(EndEffect { troubles: &[ObjectFailure::NodeAway], of: EndScope::Node, same_kind: false })
        }
        "NodeHasNoDiskPressure" => object(&[ObjectFailure::DiskPressure]),
        "NodeHasSufficientMemory" | "NodeHasNoMemoryPressure" => object(&[ObjectFailure::MemoryPressure]),
        "NodeHasSufficientPID" | "NodeHasNoPIDPressure" => object(&[ObjectFailure::PidPressure]),
        "Scheduled" => object(&[ObjectFailure::Unscheduled]),
        "Pulling" => object(BEFORE_IMAGE),
        "Pulled" | "Created" => object(&[
            ObjectFailure::Unscheduled,
            ObjectFailure::Unmounted,
            ObjectFailure::NoSandbox,
            ObjectFailure::NoImage,
        ]),
        "Started" => object(&[
            ObjectFailure::Unscheduled,
            ObjectFailure::Unmounted,
            ObjectFailure::NoSandbox,
            ObjectFailure::NoImage,
            ObjectFailure::NotStarted,
            ObjectFailure::NodeAway,
        ]),
        // Of the same kind only: a cron job that creates a job does not prove that the job can create pods.
        "SuccessfulCreate" => Some(EndEffect {
            troubles: &[ObjectFailure::NotCreated, ObjectFailure::ScheduleMissed],
            of: EndScope::Workload,
            same_kind: true,
        }),
        "ProvisioningSucceeded" => object(&[ObjectFailure::Unprovisioned]),
        "VolumeResizeSuccessful" | "FileSystemResizeSuccessful" => object(&[ObjectFailure::Unresized]),
        "Completed" => runs,
        "SawCompletedJob" if message.contains("Complete") => runs,
        "SuccessfulRescale" | "ScalingActive" => object(&[ObjectFailure::NoMetrics]),
        "EnsuredLoadBalancer" | "UpdatedLoadBalancer" => object(&[ObjectFailure::NoLoadBalancer]),
        "Issuing" if message.contains("successfully issued") => workload(&[ObjectFailure::NoCertificate]),
        "CertificateIssued" | "DomainVerified" | "Complete" | "KeyPairVerified" | "Ready" => {
            object(&[ObjectFailure::NoCertificate])
        }
        _ => None,
    }
}

/// Whether an event ends anything.
pub(crate) fn ends(event: &Event<'_>) -> bool {
    end_effect(event).is_some() || deleted(event).is_some()
}

/// Whether `end`, another event of the same list, ends the trouble of `event`, judged by their dates.
pub(crate) fn is_ended(event: &Event<'_>, end: &Event<'_>) -> bool {
    let Some(report) = of(event) else { return false };
    let (kind, name) = (event.obj_type.trim(), event.obj_name.trim());
    let same = end.obj_type.trim() == kind && end.obj_name.trim() == name;
    if deleted(end).is_some_and(|gone| gone.is(kind, name)) && !report.trouble.outlives_its_object() {
        return end.last_seen >= event.last_seen;
    }
    let Some(by) = end_effect(end).filter(|by| by.troubles.contains(&report.trouble)) else { return false };
    match by.of {
        EndScope::Object => same && end.last_seen >= event.last_seen,
        // In the same second the event may be about another object of the workload, which is well.
        EndScope::Workload => {
            let of = |event: &Event<'_>| workload::of(&event.obj_type, &event.obj_name).to_owned();
            of(end) == of(event) && (!by.same_kind || end.obj_type == event.obj_type) && end.last_seen > event.last_seen
        }
        EndScope::Runs => {
            let of = |event: &Event<'_>| workload::of(&event.obj_type, &event.obj_name).to_owned();
            workload::is_of_a_job(kind, name) && of(end) == of(event) && end.last_seen > event.last_seen
        }
        EndScope::Node => (same || kind != "Node") && end.last_seen >= event.last_seen,
    }
}

/// Whether an event belongs to the normal course of pods: a source that shows such an event also shows those that end
/// troubles. `Pulling` is not one: pulling an image again is part of its trouble.
pub(crate) fn is_pod_lifecycle(event: &Event<'_>) -> bool {
    event.level == Level::Normal
        && event.reason.trim() != "Pulling"
        && (end_effect(event).is_some_and(|end| end.of != EndScope::Node) || deleted(event).is_some())
}

/// Whether an event belongs to the normal course of nodes.
pub(crate) fn is_of_a_node(event: &Event<'_>) -> bool {
    event.level == Level::Normal && event.obj_type.trim() == "Node"
}

/// What an event says is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deleted<'e> {
    /// An object, by its kind and name.
    One(&'e str, &'e str),
    /// Every pod of a replica set of this name.
    PodsOf(&'e str),
}

impl Deleted<'_> {
    /// Whether it includes this object.
    pub(crate) fn is(&self, kind: &str, name: &str) -> bool {
        match self {
            Self::One(of, one) => (*of, *one) == (kind, name),
            Self::PodsOf(set) => {
                kind == "Pod" && name.strip_prefix(set).is_some_and(|rest| rest.starts_with('-') && rest.len() == 6)
            }
        }
    }

    /// Its kind, and what people call it.
    pub(crate) fn object(&self) -> (&str, &str) {
        match self {
            Self::One(kind, name) => (kind, name),
            Self::PodsOf(set) => ("ReplicaSet", set),
        }
    }
}

/// What an event says is deleted. The event of a controller names the pod in its text; that of a removed node is about
/// the node.
pub(crate) fn deleted<'e>(event: &'e Event<'_>) -> Option<Deleted<'e>> {
    let message = event.message.as_ref();
    let name = |from: &str| message.split_once(from).map(|(_, rest)| rest.trim_start());
    let first = |rest: &'e str| rest.split_whitespace().next().filter(|name| !name.is_empty());
    match event.reason.trim() {
        "SuccessfulDelete" => {
            let pod = name("Deleted pod:").or_else(|| name("delete Pod")).and_then(first);
            let job = || name("Deleted job").and_then(first).map(|job| job.trim_start_matches(':'));
            pod.map(|pod| Deleted::One("Pod", pod)).or_else(|| job().map(|job| Deleted::One("Job", job)))
        }
        "ScalingReplicaSet" => {
            let (set, rest) = name("Scaled down replica set")?.split_once(" to ")?;
            (rest.split_whitespace().next() == Some("0")).then(|| Deleted::PodsOf(set.trim()))
        }
        "TaintManagerEviction" if event.obj_type.trim() == "Pod" && !message.contains("Cancelling") => {
            Some(Deleted::One("Pod", event.obj_name.trim()))
        }
        "RemovingNode" | "DeletingNode" => Some(Deleted::One("Node", event.obj_name.trim())),
        _ => None,
    }
}

/// The group of troubles with one cause: how a pod comes to run, what its node does, its probes, and so on. To readers
/// who know one reason of a group, another one is not news.
pub(crate) fn trouble_class<'e>(event: &'e Event<'_>) -> &'e str {
    let reason = event.reason.trim();
    match of(event).map(|report| report.trouble) {
        Some(
            ObjectFailure::Unmounted
            | ObjectFailure::NoSandbox
            | ObjectFailure::NoImage
            | ObjectFailure::NotStarted
            | ObjectFailure::Unscheduled,
        ) => "start",
        Some(ObjectFailure::NodeAway) => "node",
        Some(ObjectFailure::DiskPressure | ObjectFailure::MemoryPressure | ObjectFailure::PidPressure) => "pressure",
        Some(ObjectFailure::NotCreated) => "create",
        Some(ObjectFailure::Unprovisioned | ObjectFailure::Unresized) => "start",
        Some(ObjectFailure::Evicted) => "evicted",
        Some(ObjectFailure::JobFailed | ObjectFailure::RunFailed | ObjectFailure::ScheduleMissed) => "job",
        Some(ObjectFailure::NoMetrics) => "metrics",
        Some(ObjectFailure::NotScaledUp) => "scale",
        Some(ObjectFailure::NoLoadBalancer) => "balancer",
        Some(ObjectFailure::NoCertificate) => "certificate",
        None => match reason {
            // A container that fails its probe is restarted, and one that is restarted fails its probe.
            "BackOff"
            | "FailedSync"
            | "pod启动失败"
            | "操作重试"
            | "FailedPostStartHook"
            | "Unhealthy"
            | "OOMKilled"
            | "ContainerCrashed"
            | "CrashLoopBackOff" => "start",
            "OOMKilling" | "SystemOOM" => "memory",
            reason => reason,
        },
    }
}
