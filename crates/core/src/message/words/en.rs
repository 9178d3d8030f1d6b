//! English.

use super::super::digest::Cause;
use super::super::help::Help;
use super::super::text::number;
use super::{About, Label, Words};
use crate::notice::{NoticeKind, StoreFate};
use crate::rules::rule::Severity;

pub(super) struct English;

fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

impl Words for English {
    fn status(&self, kind: NoticeKind, severity: Severity) -> String {
        let severity = match severity {
            Severity::Critical => "Critical",
            Severity::Warning => "Warning",
            Severity::Info => "Info",
        };
        match kind {
            NoticeKind::Opened | NoticeKind::Info => severity.to_owned(),
            NoticeKind::Escalated => format!("{severity}, worse"),
            NoticeKind::Reminded => format!("{severity}, still there"),
            NoticeKind::Reopened => format!("{severity}, back again"),
            NoticeKind::Resolved => "Resolved".to_owned(),
            NoticeKind::Closed => "Closed".to_owned(),
        }
    }

    fn label(&self, label: Label) -> &'static str {
        match label {
            Label::Where => "Where",
            Label::Since => "Since",
            Label::HowOften => "How often",
            Label::Objects => "Objects",
            Label::Reasons => "Reasons",
            Label::New => "New",
            Label::Blind => "Note",
            Label::Runbook => "Runbook",
            Label::Labels => "Labels",
            Label::Code => "Code",
            Label::Affected => "Affected",
            Label::ToDo => "What to do",
            Label::Usually => "Usually",
            Label::Page => "Status page",
        }
    }

    fn times(&self, n: u64) -> String {
        if n == 1 { "once".to_owned() } else { format!("{} times", number(n)) }
    }

    fn new_in_all(&self, new: u64, all: u64) -> String {
        format!("{} new, {} in all", number(new), number(all))
    }

    fn added(&self, n: u64, at: &str) -> String {
        format!("+{} since {at}", number(n))
    }

    fn objects(&self, n: u64, kind: &str) -> String {
        match kind {
            "Pod" => count(n, "pod", "pods"),
            "Node" => count(n, "node", "nodes"),
            "Job" => count(n, "job", "jobs"),
            _ => count(n, "object", "objects"),
        }
    }

    fn more(&self, n: u64) -> String {
        format!("+{} more", number(n))
    }

    fn services(&self, n: u64) -> String {
        count(n, "service", "services")
    }

    fn duration(&self, seconds: u64) -> String {
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => format!("{seconds} s"),
            (0, 0, m) => format!("{m} min"),
            (0, h, 0) => format!("{h} h"),
            (0, h, m) => format!("{h} h {m} min"),
            (d, 0, _) => format!("{d} d"),
            (d, h, _) => format!("{d} d {h} h"),
        }
    }

    fn ago(&self, age: Option<&str>) -> String {
        age.map_or_else(|| "just now".to_owned(), |age| format!("{age} ago"))
    }

    fn via(&self, via: &str) -> String {
        match via {
            "page" => "status page".to_owned(),
            via => via.to_owned(),
        }
    }

    fn comma(&self) -> &'static str {
        ", "
    }

    fn colon(&self) -> &'static str {
        ": "
    }

    fn stop(&self) -> &'static str {
        ". "
    }

    fn last(&self, at: &str) -> String {
        format!("last {at}")
    }

    fn seen_by_cluster(&self, at: &str) -> String {
        format!("in the cluster since {at}")
    }

    fn quiet(&self, how_long: Option<&str>) -> String {
        how_long.map_or("Quiet: ".to_owned(), |how_long| format!("Quiet for {how_long}: "))
    }

    fn over_by(&self, at: &str) -> String {
        format!("Over since {at} ({{}} of {{}}): ")
    }

    fn over_deleted(&self, at: &str) -> String {
        format!("Over since {at} ({{}} was deleted): ")
    }

    fn nothing_since(&self, how_long: &str) -> String {
        format!("Nothing new for {how_long}; pod health was not checked.")
    }

    fn quiet_is_not_healthy(&self) -> &'static str {
        "Events stopped; pod health was not checked."
    }

    fn never_told(&self) -> &'static str {
        "This is the first message about it: it was over before one could be sent."
    }

    fn closed(&self, because: &str) -> String {
        match because {
            "" => "Closed: ".to_owned(),
            because => format!("Closed, {because}: "),
        }
    }

    fn came_back(&self, n: u32) -> String {
        if n == 1 { "came back once".to_owned() } else { format!("came back {n} times") }
    }

    fn flapping(&self, severity: Severity, n: u32) -> String {
        format!("{}, flapping: {}", self.status(NoticeKind::Opened, severity), self.came_back(n))
    }

    fn flapping_note(&self) -> &'static str {
        "From now on you hear when it gets worse and when it is over for good."
    }

    fn late(&self, happened: &str, sent: &str) -> String {
        format!("Late: happened {happened}, sent {sent}.")
    }

    fn blind(&self, from: &str, until: &str) -> String {
        format!("blind from {from} to {until}, events may be missing")
    }

    fn rule(&self) -> &'static str {
        "rule {}"
    }

    fn trouble_title(&self, about: About, over: bool) -> &'static str {
        match (about, over) {
            (About::Source, false) => "podbell cannot read {}",
            (About::Source, true) => "podbell reads {} again",
            (About::Destination, false) => "podbell cannot deliver to {}",
            (About::Destination, true) => "podbell delivers to {} again",
            (About::Rules, false) => "podbell refuses what {} says now",
            (About::Rules, true) => "podbell does what {} says again",
        }
    }

    fn trouble(&self, since: &str) -> String {
        format!("Since {since}: {{}}")
    }

    fn trouble_over(&self, span: &str, how_long: &str) -> String {
        format!("Over after {how_long} ({span}). It was: {{}}")
    }

    fn affected(&self, about: About, n: u64) -> String {
        match about {
            About::Source => count(n, "service", "services"),
            About::Destination => count(n, "destination", "destinations"),
            About::Rules => count(n, "file", "files"),
        }
    }

    fn watching_title(&self, services: u64) -> String {
        match services {
            // A source that finds services by their events has none before the first.
            0 => "Watching {}; its services appear with their first events.".to_owned(),
            services => format!("Watching {} of {{}}.", self.services(services)),
        }
    }

    fn already_there(&self, problems: u64) -> String {
        format!("Already there, not alerted: {} (/events).", count(problems, "problem", "problems"))
    }

    fn clock_hint(&self, hours: u64) -> String {
        format!("Events look {} h off: ", number(hours))
    }

    fn clock_hint_zone(&self) -> &'static str {
        "is time_zone {}?"
    }

    fn blind_title(&self) -> &'static str {
        "podbell was blind: {}"
    }

    fn blind_source(&self, from: &str, until: &str, services: u64) -> String {
        format!("{{}}: {}; {}.", self.blind(from, until), self.services(services))
    }

    fn held_title(&self, over: u64) -> String {
        format!("Held back and over by now: {}", count(over, "problem", "problems"))
    }

    fn held_outside(&self) -> &'static str {
        "Outside of {}, "
    }

    fn held_during(&self) -> &'static str {
        "Maintenance {}, "
    }

    fn held_open(&self, n: u64) -> String {
        let (are, told) = if n == 1 { ("is", "it is told by itself") } else { ("are", "they are told by themselves") };
        format!("{} {are} still there; {told}.", count(n, "problem", "problems"))
    }

    fn hours(&self, hours: u64) -> String {
        format!("{hours} h")
    }

    fn daily(&self, span: &str, [events, messages, incidents, untold]: [u64; 4]) -> String {
        let untold = if untold == 0 { String::new() } else { format!("; untold: {}", count(untold, "kind", "kinds")) };
        let (events, messages) = (count(events, "event", "events"), count(messages, "message", "messages"));
        format!("{span}: {events}, {messages}, {}{untold}", count(incidents, "incident", "incidents"))
    }

    fn daily_untold(&self) -> &'static str {
        "Unmatched Warnings, and why: {}"
    }

    fn muted_title(&self) -> &'static str {
        "Muted: {}"
    }

    fn muted(&self) -> &'static str {
        "{} muted it"
    }

    fn muted_until(&self, at: &str) -> String {
        format!(" until {at}")
    }

    fn muted_holds(&self, n: u64) -> String {
        let is = if n == 1 { "is" } else { "are" };
        format!("{} {is} open now and will be told at its end.", count(n, "problem", "problems"))
    }

    fn muted_how_to_end(&self) -> &'static str {
        "said in {}; what is over meanwhile is told where it was told before"
    }

    fn mute_over_status(&self, severity: Severity) -> String {
        format!("{}, mute over", self.status(NoticeKind::Opened, severity))
    }

    fn mute_over(&self, more: u64) -> String {
        match more {
            0 => "Mute over: still open. ".to_owned(),
            more => format!("Mute over: still open, {} more. ", number(more)),
        }
    }

    fn acknowledged(&self, at: &str) -> String {
        format!("acknowledged by {{}} at {at}")
    }

    fn store_title(&self, fate: &StoreFate) -> &'static str {
        match fate {
            StoreFate::WentBack { .. } => "podbell's store went back",
            StoreFate::Replaced { .. } => "podbell has another store",
            StoreFate::Lost { .. } => "podbell's store was lost",
            StoreFate::Damaged { .. } => "podbell's store is damaged: a new one was begun",
            StoreFate::Mended { .. } => "podbell's store is damaged: what can be read goes on",
            StoreFate::Rewritten => "podbell's store was deleted, and written again",
            StoreFate::Unsure => "podbell's store may have gone back",
        }
    }

    fn store_went_back(&self, commits: u64, from: Option<&str>, until: &str) -> String {
        let from = from.map_or_else(|| "before".to_owned(), |from| format!("after {from}, until"));
        format!(
            "The last {} of it, made {from} {until}, {} missing. After a backup was put in its place, this is as it should be; otherwise its log was damaged or deleted. What happened in that time may be told again, or not at all, and what people said then (mutes, acknowledgements) is forgotten.",
            count(commits, "commit", "commits"),
            if commits == 1 { "is" } else { "are" },
        )
    }

    fn store_replaced(&self, until: &str) -> String {
        format!(
            "The file in its place is another podbell's, or was begun anew; the last commit to the one before was made at {until}. What happened since that file was written may be told again, or not at all."
        )
    }

    fn store_lost(&self, until: Option<&str>) -> String {
        let until = until.map_or_else(String::new, |until| format!(" (last written at {until})"));
        format!(
            "Its file was gone or empty{until}, and podbell began a new one: open incidents, mutes and messages that waited are forgotten, and what is going on now is not told again. If you did not want this, stop podbell and put a backup in its place."
        )
    }

    fn store_damaged(&self, until: Option<&str>) -> String {
        let until = until.map_or_else(String::new, |until| format!(" (last written at {until})"));
        format!(
            "Nothing of it could be read{until}, and podbell began a new one: open incidents, mutes and messages that waited are forgotten, and what is going on now is not told again. Look at the disk; if you have a backup, stop podbell and put it in its place."
        )
    }

    fn store_mended(&self, rows: u64) -> String {
        format!(
            "{} could be read and podbell goes on with them; what was in the others (open incidents, mutes, messages that waited) may be missing. Look at the disk; if you have a backup that is better, stop podbell and put it in its place.",
            count(rows, "row", "rows")
        )
    }

    fn store_rewritten(&self) -> &'static str {
        "Its file or its log was deleted while podbell ran. podbell had it open and wrote all of it again: nothing is lost. Look who deletes files in that folder."
    }

    fn store_unsure(&self) -> &'static str {
        "The stamp beside it, which says how far it had come, is damaged or gone, so nobody can say whether newer commits were lost with it. After the store was moved or a backup put in its place without its stamp, this is as it should be; otherwise look at the disk."
    }

    fn store_kept(&self) -> &'static str {
        "The files as they were are kept in {}; delete that folder when you need it no more."
    }

    fn test_title(&self) -> &'static str {
        "A test message of podbell"
    }

    fn test(&self) -> &'static str {
        "Notices for {} arrive here. This is only a test; it says nothing of any cluster."
    }

    fn dead_title(&self, n: u64) -> String {
        format!("{} to {{}} given up", count(n, "message", "messages"))
    }

    fn dead(&self, n: u64) -> String {
        format!("{} could not be delivered to {{}}: {{}}.", count(n, "message", "messages"))
    }

    fn dead_list(&self) -> &'static str {
        "See what it was and send it again: {}"
    }

    fn digest_title(&self, standing: u64, over: u64) -> String {
        match (standing, over) {
            (0, over) => format!("Many at once: {} over", count(over, "problem", "problems")),
            (standing, 0) => format!("Many at once: {}", count(standing, "problem", "problems")),
            (standing, over) => {
                format!("Many at once: {}, {} over", count(standing, "problem", "problems"), number(over))
            }
        }
    }

    fn digest(&self, since: &str, notices: u64, about: Option<u64>) -> String {
        let about = about.map(|n| format!(" about {}", count(n, "problem", "problems"))).unwrap_or_default();
        format!("{}{about} since {since}, too many to tell one by one.", count(notices, "notice", "notices"))
    }

    fn digest_cause(&self, cause: Cause, n: u64, of: u64) -> String {
        let what = match cause {
            Cause::Node => "the node",
            Cause::Image => "the image",
            Cause::Reason => "the reason",
        };
        format!("Likely one cause: {what} {{}} ({} of {})", number(n), number(of))
    }

    fn digest_over(&self) -> &'static str {
        "Over"
    }

    fn template_failed(&self) -> &'static str {
        "The template failed, so these are podbell's own words ({})."
    }

    fn help(&self, help: Help) -> &'static str {
        match help {
            Help::ImageAbsent => {
                "the registry has no such image or tag: check the name, and whether the build pushed it."
            }
            Help::ImageDenied => {
                "the registry refuses the node: check imagePullSecrets, their credentials, and the rights on the repository."
            }
            Help::ImageLimit => {
                "the registry limits how often images are pulled: log in (imagePullSecrets), use a mirror, or wait."
            }
            Help::ImageUnreachable => {
                "the node cannot reach the registry: look at DNS, proxy, firewall and certificates of the node."
            }
            Help::ConfigMissing => {
                "a ConfigMap or Secret that the pod wants, or a key in it, does not exist in its namespace: create it or mend the name."
            }
            Help::NoExecutable => {
                "the command is not in the image or cannot run there: compare command and args with the image and its processor type."
            }
            Help::VolumeElsewhere => {
                "its volume can be used on certain nodes only (a zone, a host), and none of those takes the pod: look at the volume and these nodes."
            }
            Help::NodesUnwell => {
                "nodes are not ready or short of disk or memory, so nothing new may run there: look at the nodes first."
            }
            Help::EvictedOwn => {
                "the pod wrote more to local disk than its own limit allows (ephemeral-storage, sizeLimit): find what it writes, or raise the limit."
            }
            Help::SandboxImage => {
                "the node cannot pull the sandbox (pause) image that every pod needs: look at the container runtime's setting and the registry."
            }
            Help::ImageName => {
                "the image's name cannot be read or the image cannot be looked at: check its spelling and its tag."
            }
            Help::ImagePull => {
                "the image or its tag does not exist, the registry wants a login (imagePullSecrets), or the node cannot reach it."
            }
            Help::CrashLoop => {
                "the container starts and ends again: its log from before the restart says why (configuration, a dependency, memory)."
            }
            Help::ContainerStart => {
                "the container cannot be started: a ConfigMap, Secret or key that is missing, or a command that is not in the image."
            }
            Help::NoRoom => {
                "no node has enough unreserved CPU, memory or places for pods: lower the requests or add nodes."
            }
            Help::NoFit => {
                "no node fits: compare the pod's nodeSelector, affinity and tolerations with the labels and taints of the nodes."
            }
            Help::UnboundVolume => {
                "a PersistentVolumeClaim of the pod has no volume yet: look at the claim and its StorageClass."
            }
            Help::Readiness => {
                "the container runs but does not answer its readiness probe, so it gets no traffic: it is still starting, overloaded, or waits for something."
            }
            Help::Liveness => {
                "the container does not answer its liveness probe and is restarted: it hangs, is overloaded, or the probe is too impatient."
            }
            Help::Startup => {
                "the container needs longer to start than its startup probe allows, or fails while starting."
            }
            Help::Mount => {
                "a volume cannot be mounted: a Secret, ConfigMap or claim that is missing, or storage that does not answer."
            }
            Help::Attach => "the disk is still attached to another node, or the cloud refuses to attach it.",
            Help::Quota => "the namespace's quota is used up: raise it, or lower what the workload asks for.",
            Help::Create => {
                "the controller may not create pods: quota, admission webhook, security policy or service account."
            }
            Help::Evicted => {
                "the node ran short of memory, disk or PIDs and threw the pod out: set requests and limits, look at the node."
            }
            Help::OutOfMemory => {
                "a process used more memory than its limit or the node allows: raise the limit, or look for a leak."
            }
            Help::NodeNotReady => {
                "the node's kubelet does not report any more: the machine is down, overloaded, or cut off."
            }
            Help::NodePressure => "the node runs short of memory, disk or PIDs and will soon evict pods.",
            Help::Rebooted => "the node was restarted, and with it everything that ran there.",
            Help::Sandbox => {
                "the pod's network or sandbox cannot be set up: look at the CNI plugin, free addresses and the container runtime of the node."
            }
            Help::Sync => "the kubelet cannot bring the pod to the state it should have; the text says at which step.",
            Help::KillPod => "the container runtime does not end the pod: it hangs, or the node is overloaded.",
            Help::JobFailed => {
                "the job's pods failed as often as backoffLimit allows: the log of the last one says why."
            }
            Help::Deadline => "it took longer than activeDeadlineSeconds or progressDeadlineSeconds allows.",
            Help::MissedSchedules => {
                "the cron job missed many starts: look at its schedule, startingDeadlineSeconds, and whether the controller was down."
            }
            Help::Metrics => {
                "the autoscaler gets no metrics: metrics-server does not answer, or the containers have no resource requests."
            }
            Help::Provisioning => {
                "no volume can be made for the claim: check its StorageClass, the provisioner, and the cloud's quota."
            }
            Help::ImageGc => "the node's disk is full and removing unused images freed too little.",
            Help::Dns => "the pod would get more DNS servers or search domains than allowed, so some are left out.",
            Help::HostPort => "the host port is taken on every node that fits: two pods want the same one.",
            Help::Network => "the network plugin (CNI) of the node is not running yet, or is broken.",
            Help::Hook => "the command or request of a lifecycle hook (preStop, postStart) failed.",
            Help::Preempted => "a pod of higher priority took its place.",
            Help::LoadBalancer => {
                "the cloud did not set up the load balancer: quota, permissions, or an annotation it does not understand."
            }
            Help::ClusterIp => {
                "the control plane could not update the service's addresses; when it repeats, look at the controller manager."
            }
        }
    }
}
