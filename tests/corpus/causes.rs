//! What each cause makes the cluster say, occurrence by occurrence, in the words of Kubernetes and of
//! the legacy API. Retries and back-offs are those of the kubelet and the controllers.

use std::collections::{BTreeMap, HashMap};

use podbell_core::event::Level;

use super::day::{Cause, Problem, Span};
use super::dice::Dice;
use super::fleet::{Workload, hash};
use super::states::States;
use super::writer::{Component, Occurrence};

use Component::{Controllers, Kubelet, Scheduler};

/// What happens on one day.
#[derive(Debug)]
pub struct Stage {
    pub dice: Dice,
    pub occurrences: Vec<Occurrence>,
    pub problems: Vec<Problem>,
    /// How workloads are meanwhile.
    pub states: States,
    /// The nodes of pods, where the source knows them.
    pub nodes: Option<HashMap<String, String>>,
}

/// Who reports, and about which object.
type Object<'a> = (Component, &'static str, &'a str);

impl Stage {
    pub fn new(dice: Dice) -> Self {
        let states = States::default();
        Self { dice, occurrences: Vec::new(), problems: Vec::new(), states, nodes: None }
    }

    /// A problem is injected: what is said with its number belongs to it.
    pub fn problem(&mut self, cause: Cause) -> usize {
        self.problems.push(Problem { cause, places: BTreeMap::new() });
        self.problems.len() - 1
    }

    pub(super) fn normal(&mut self, at: i64, of: &Workload, object: Object<'_>, reason: &'static str, message: String) {
        self.say(at, of, object, (Level::Normal, reason, message), None);
    }

    pub(super) fn warn(
        &mut self,
        at: i64,
        of: &Workload,
        object: Object<'_>,
        said: (&'static str, String),
        problem: Option<usize>,
    ) {
        self.say(at, of, object, (Level::Warning, said.0, said.1), problem);
        if let Some(problem) = problem {
            self.lasts(problem, of, at);
        }
    }

    /// A problem of a workload is there at that second.
    pub(super) fn lasts(&mut self, problem: usize, of: &Workload, at: i64) {
        let span = self.problems[problem].places.entry(of.place()).or_insert(Span { first: at, last: at });
        *span = Span { first: span.first.min(at), last: span.last.max(at) };
    }

    fn say(
        &mut self,
        at: i64,
        of: &Workload,
        (by, obj_type, obj_name): Object<'_>,
        (level, reason, message): (Level, &'static str, String),
        problem: Option<usize>,
    ) {
        let node = self.nodes.as_mut().filter(|_| obj_type == "Pod").map(|nodes| {
            let any = || format!("node-{}", 2 + obj_name.len() % 11);
            nodes.entry(obj_name.to_owned()).or_insert_with(any).clone()
        });
        self.occurrences.push(Occurrence {
            at,
            targets: of.targets.clone(),
            workload: of.place(),
            by,
            level,
            obj_type,
            obj_name: obj_name.to_owned(),
            reason,
            message,
            problem,
            node,
            signal: None,
        });
    }

    /// A pod is placed: what comes before its containers.
    pub(super) fn placed(&mut self, of: &Workload, pod: &str, at: i64) {
        let node = self.dice.between(if self.nodes.is_some() { 2 } else { 1 }, 12);
        if let Some(nodes) = &mut self.nodes {
            nodes.insert(pod.to_owned(), format!("node-{node}"));
        }
        let name = format!("Successfully assigned {}/{pod} to node-{node}", of.namespace);
        self.normal(at, of, (Scheduler, "Pod", pod), "Scheduled", name);
        for volume in ["config", "default-token"] {
            let message = format!("MountVolume.SetUp succeeded for volume \"{volume}\" ");
            self.normal(at + 1, of, (Kubelet, "Pod", pod), "SuccessfulMountVolume", message);
        }
    }

    /// Its containers start.
    pub(super) fn started(&mut self, of: &Workload, pod: &str, at: i64) {
        for container in 0..of.containers {
            let at = at + container;
            let image = of.image();
            if !self.dice.once_in(3) {
                self.normal(at, of, (Kubelet, "Pod", pod), "Pulling", format!("pulling image \"{image}\""));
            }
            let pulled = format!("Successfully pulled image \"{image}\"");
            self.normal(at + 2, of, (Kubelet, "Pod", pod), "Pulled", pulled);
            self.normal(at + 2, of, (Kubelet, "Pod", pod), "Created", "Created container".to_owned());
            self.normal(at + 3, of, (Kubelet, "Pod", pod), "Started", "Started container".to_owned());
        }
    }

    fn killed(&mut self, of: &Workload, pod: &str, at: i64) {
        self.normal(at, of, (Kubelet, "Pod", pod), "Killing", "Stopping container app".to_owned());
    }

    pub(super) fn made(&mut self, of: &Workload, pod: &str, at: i64) {
        let (kind, name) = of.maker();
        self.normal(at, of, (Controllers, kind, &name), "SuccessfulCreate", format!("Created pod: {pod}"));
    }

    /// New pods take the place of the old ones; new and old ones fail a probe or two meanwhile.
    pub fn rolling_update(&mut self, of: &Workload, at: i64) {
        let mut after = of.clone();
        after.hash = hash(&mut self.dice);
        self.scaled_up(of, &after, at);
        self.states.rolls(of, (at, at + of.replicas * 45 + 60));
        for n in 0..of.replicas {
            let at = at + n * self.dice.between(20, 45);
            let pod = after.pod(n, &mut self.dice);
            self.made(&after, &pod, at);
            self.placed(&after, &pod, at);
            self.started(&after, &pod, at + 2);
            let address = self.dice.between(2, 250);
            for failed in 0..self.dice.between(0, 2) {
                let message = format!(
                    "Readiness probe failed: Get http://10.0.3.{address}:8080/healthz: dial tcp 10.0.3.{address}:8080: connect: connection refused"
                );
                self.warn(at + 8 + failed * 10, of, (Kubelet, "Pod", &pod), ("Unhealthy", message), None);
            }
            let old = of.pod(n, &mut self.dice);
            self.killed(of, &old, at + 30);
            if self.dice.once_in(3) {
                let message = "Readiness probe failed: HTTP probe failed with statuscode: 503".to_owned();
                self.warn(at + 34, of, (Kubelet, "Pod", &old), ("Unhealthy", message), None);
            }
        }
    }

    /// A rollout of a program that takes its time: each new pod ends once or twice before what it needs is there, and then
    /// fails its probe for a minute.
    pub fn rough_rollout(&mut self, of: &Workload, at: i64) {
        let mut after = of.clone();
        after.hash = hash(&mut self.dice);
        self.scaled_up(of, &after, at);
        self.states.rolls(of, (at, at + of.replicas * 45 + 150));
        for n in 0..of.replicas {
            let at = at + n * self.dice.between(20, 45);
            let pod = after.pod(n, &mut self.dice);
            self.made(&after, &pod, at);
            self.placed(&after, &pod, at);
            self.started(&after, &pod, at + 2);
            if self.dice.once_in(2) {
                let uid = self.dice.word(b"0123456789abcdef", 8);
                self.started(&after, &pod, at + 10);
                self.crash_waits(&after, &pod, (at + 19, 10), &uid, None);
            }
            self.started(&after, &pod, at + 29);
            for tried in 0..6 {
                self.refuses(of, &pod, at + 36 + tried * 10, None);
            }
            let old = of.pod(n, &mut self.dice);
            self.killed(of, &old, at + 100);
            for tried in 0..self.dice.between(0, 4) {
                self.refuses(of, &old, at + 104 + tried * 10, None);
            }
        }
    }

    /// A rollout whose pods start and never answer.
    pub fn never_ready(&mut self, of: &Workload, at: i64, until: i64) {
        let problem = self.problem(Cause::NeverReady);
        self.states.rolls(of, (at, until + 10));
        let mut after = of.clone();
        after.hash = hash(&mut self.dice);
        self.scaled_up(of, &after, at);
        for n in 0..(of.replicas + 3) / 4 {
            let pod = after.pod(n, &mut self.dice);
            self.made(&after, &pod, at);
            self.placed(&after, &pod, at);
            self.started(&after, &pod, at + 2);
            for at in (at + 10..until).step_by(10) {
                self.refuses(of, &pod, at, Some(problem));
            }
            self.killed(&after, &pod, until + 5);
        }
    }

    /// Pods that started long ago stop answering, one after the other.
    pub fn settled_probes(&mut self, of: &Workload, at: i64, until: i64) {
        let problem = self.problem(Cause::SettledProbes);
        for n in 0..(of.replicas + 1) / 2 {
            let pod = of.pod(n, &mut self.dice);
            let age = self.dice.between(600, 7200);
            self.made(of, &pod, at - age);
            self.placed(of, &pod, at - age);
            self.started(of, &pod, at - age + 2);
            self.states.misses(of, (at + n * 60 + 20, until + 5), 1);
            for at in (at + n * 60..until).step_by(10) {
                self.refuses(of, &pod, at, Some(problem));
            }
        }
    }

    fn refuses(&mut self, of: &Workload, pod: &str, at: i64, problem: Option<usize>) {
        let message = "Readiness probe failed: Get http://10.0.3.7:8080/healthz: dial tcp 10.0.3.7:8080: connect: connection refused";
        self.warn(at, of, (Kubelet, "Pod", pod), ("Unhealthy", message.to_owned()), problem);
    }

    pub(super) fn scaled_up(&mut self, of: &Workload, after: &Workload, at: i64) {
        if of.made == super::fleet::Made::Deployment {
            let message = format!("Scaled up replica set {} to {}", after.maker().1, of.replicas);
            self.normal(at, of, (Controllers, "Deployment", &of.name), "ScalingReplicaSet", message);
        }
    }

    /// A job that ends well.
    pub fn job_run(&mut self, of: &Workload, at: i64) {
        let pod = of.pod(at / 60, &mut self.dice);
        let job = pod.rsplit_once('-').map_or(pod.as_str(), |(job, _)| job).to_owned();
        self.normal(at, of, (Controllers, "CronJob", &of.name), "SuccessfulCreate", format!("Created job {job}"));
        self.placed(of, &pod, at + 1);
        self.started(of, &pod, at + 3);
        self.normal(at + 60, of, (Controllers, "Job", &job), "Completed", "Job completed".to_owned());
    }

    /// Pods wait a minute or two for a node that the autoscaler brings: nobody's problem.
    pub fn scale_up(&mut self, of: &Workload, at: i64) {
        let pod = of.pod(50, &mut self.dice);
        self.states.misses(of, (at, at + 120), 1);
        for again in 0..self.dice.between(1, 3) {
            let message = "0/12 nodes are available: 12 Insufficient cpu.".to_owned();
            self.warn(at + again * 25, of, (Scheduler, "Pod", &pod), ("FailedScheduling", message), None);
        }
        let message = "pod triggered scale-up: [{asg 12->13 (max: 20)}]".to_owned();
        self.normal(at + 10, of, (Controllers, "Pod", &pod), "TriggeredScaleUp", message);
        self.placed(of, &pod, at + 110);
        self.started(of, &pod, at + 112);
    }

    /// An image that is not there: a quarter of the pods never start.
    pub fn bad_image(&mut self, of: &Workload, at: i64, until: i64) {
        let problem = self.problem(Cause::BadImage);
        let mut after = of.clone();
        after.hash = hash(&mut self.dice);
        for n in 0..(of.replicas + 3) / 4 {
            let at = at + self.dice.between(0, 15);
            let pod = after.pod(n, &mut self.dice);
            self.made(&after, &pod, at);
            self.placed(&after, &pod, at);
            self.pulls(&after, &pod, at + 2, until, problem);
            self.killed(&after, &pod, until + 5);
        }
    }

    pub(super) fn pulls(&mut self, of: &Workload, pod: &str, mut at: i64, until: i64, problem: usize) {
        let image = of.image();
        let mut wait = 10;
        while at < until {
            self.normal(at, of, (Kubelet, "Pod", pod), "Pulling", format!("pulling image \"{image}\""));
            at += self.dice.between(1, 12);
            self.pull_fails(of, pod, at, &image, problem);
            let next = at + wait;
            at += 12;
            while at < next.min(until) {
                self.pull_waits(of, pod, at, &image, problem);
                at += self.dice.between(11, 15);
            }
            at = at.max(next);
            wait = (wait * 2).min(300);
        }
    }

    fn pull_fails(&mut self, of: &Workload, pod: &str, at: i64, image: &str, problem: usize) {
        if of.chinese {
            let message = format!(
                "Error syncing pod, skipping: failed to \"StartContainer\" for \"app\" with ErrImagePull: \"Tag not found in repository {image}\"\n"
            );
            return self.warn(at, of, (Kubelet, "Pod", pod), ("pod启动失败", message), Some(problem));
        }
        let message = match self.problems[problem].cause {
            Cause::RegistryDown => format!(
                "Failed to pull image \"{image}\": rpc error: code = Unknown desc = failed to resolve reference \"{image}\": failed to do request: dial tcp 10.0.0.9:443: connect: connection refused"
            ),
            _ => format!(
                "Failed to pull image \"{image}\": rpc error: code = NotFound desc = failed to resolve reference \"{image}\": not found"
            ),
        };
        self.warn(at, of, (Kubelet, "Pod", pod), ("Failed", message), Some(problem));
        self.warn(at, of, (Kubelet, "Pod", pod), ("Failed", "Error: ErrImagePull".to_owned()), Some(problem));
    }

    fn pull_waits(&mut self, of: &Workload, pod: &str, at: i64, image: &str, problem: usize) {
        let waits = format!("Back-off pulling image \"{image}\"");
        let (retry, reason, message) = if of.chinese {
            let message = format!(
                "Error syncing pod, skipping: failed to \"StartContainer\" for \"app\" with ImagePullBackOff: \"Back-off pulling image \\\"{image}\\\"\"\n"
            );
            ("操作重试", "pod启动失败", message)
        } else {
            ("BackOff", "Failed", "Error: ImagePullBackOff".to_owned())
        };
        self.normal(at, of, (Kubelet, "Pod", pod), retry, waits);
        self.warn(at, of, (Kubelet, "Pod", pod), (reason, message), Some(problem));
    }

    /// A program that ends as soon as it has started, in some of the pods.
    pub fn crash_loop(&mut self, of: &Workload, at: i64, until: i64) {
        let problem = self.problem(Cause::CrashLoop);
        for n in 0..self.dice.between(1, of.replicas) {
            let at = at + self.dice.between(0, 30);
            let pod = of.pod(n, &mut self.dice);
            self.placed(of, &pod, at);
            self.crashes(of, &pod, at + 2, until, problem);
        }
    }

    fn crashes(&mut self, of: &Workload, pod: &str, mut at: i64, until: i64, problem: usize) {
        let uid = self.dice.word(b"0123456789abcdef", 8);
        let mut wait = 10;
        while at < until {
            self.started(of, pod, at);
            at += self.dice.between(4, 20);
            let next = at + wait;
            self.states.misses(of, (at, next), 1);
            while at < next.min(until) {
                self.crash_waits(of, pod, (at, wait), &uid, Some(problem));
                at += self.dice.between(11, 15);
            }
            at = at.max(next);
            wait = (wait * 2).min(300);
        }
    }

    fn crash_waits(&mut self, of: &Workload, pod: &str, (at, wait): (i64, i64), uid: &str, problem: Option<usize>) {
        let (name, space) = (&of.name, of.namespace);
        if of.chinese {
            let message = format!(
                "Error syncing pod, skipping: failed to \"StartContainer\" for \"{name}\" with CrashLoopBackOff: \"Back-off {wait}s restarting failed container={name} pod={pod}_{space}({uid})\"\n"
            );
            self.warn(at, of, (Kubelet, "Pod", pod), ("pod启动失败", message), problem);
            let message = "Back-off restarting failed docker container".to_owned();
            return self.warn(at, of, (Kubelet, "Pod", pod), ("操作重试", message), problem);
        }
        let message = format!("Back-off restarting failed container {name} in pod {pod}_{space}({uid})");
        self.warn(at, of, (Kubelet, "Pod", pod), ("BackOff", message), problem);
    }

    /// The quota is used up: the controller tries again, more and more seldom.
    pub fn quota(&mut self, of: &Workload, at: i64, until: i64) {
        let problem = self.problem(Cause::Quota);
        let (kind, maker) = of.maker();
        let (mut at, mut wait) = (at, 1);
        while at < until {
            let pod = of.pod(1, &mut self.dice);
            let message = format!(
                "Error creating: pods \"{pod}\" is forbidden: exceeded quota: compute, requested: limits.cpu=2, used: limits.cpu=20, limited: limits.cpu=20"
            );
            self.warn(at, of, (Controllers, kind, &maker), ("FailedCreate", message), Some(problem));
            at += wait;
            wait = (wait * 2).min(1000);
        }
    }

    /// A volume that cannot be mounted.
    pub fn mount(&mut self, of: &Workload, at: i64, until: i64) {
        let problem = self.problem(Cause::Mount);
        let mut after = of.clone();
        after.hash = hash(&mut self.dice);
        for n in 0..self.dice.between(1, (of.replicas + 1) / 2) {
            let pod = after.pod(n, &mut self.dice);
            let (mut at, mut wait) = (at + self.dice.between(0, 10), 1);
            let (begun, mut told) = (at, 1);
            while at < until {
                let message = format!(
                    "MountVolume.SetUp failed for volume \"config\" : configmap \"{}-config\" not found",
                    of.name
                );
                self.warn(at, &after, (Kubelet, "Pod", &pod), ("FailedMount", message), Some(problem));
                if at - begun > told * 123 {
                    told += 1;
                    let message = "Unable to attach or mount volumes: unmounted volumes=[config], unattached volumes=[config default-token]: timed out waiting for the condition".to_owned();
                    self.warn(at, &after, (Kubelet, "Pod", &pod), ("FailedMount", message), Some(problem));
                }
                at += wait;
                wait = (wait * 2).min(122);
            }
        }
    }

    /// Pods that are up and do not answer.
    pub fn probes(&mut self, of: &Workload, at: i64, until: i64) {
        let problem = self.problem(Cause::Probes);
        for n in 0..self.dice.between(1, of.replicas) {
            let pod = of.pod(n, &mut self.dice);
            let first = at + self.dice.between(0, 9);
            for at in (first..until).step_by(10) {
                let message = "Readiness probe failed: HTTP probe failed with statuscode: 503".to_owned();
                self.warn(at, of, (Kubelet, "Pod", &pod), ("Unhealthy", message), Some(problem));
            }
        }
    }

    /// One Warning every 10 to 20 minutes.
    pub fn drip(&mut self, of: &Workload, at: i64, until: i64) {
        let problem = self.problem(Cause::Drip);
        let pod = of.pod(0, &mut self.dice);
        let (object, said) = match self.dice.between(0, 2) {
            0 => (
                ("HorizontalPodAutoscaler", of.name.as_str()),
                (
                    "FailedGetResourceMetric",
                    "failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API",
                ),
            ),
            1 => (("Pod", pod.as_str()), ("FailedPreStopHook", "PreStopHook failed")),
            _ => (
                ("Service", of.name.as_str()),
                (
                    "SyncLoadBalancerFailed",
                    "Error syncing load balancer: failed to ensure load balancer: quota of listeners is used up",
                ),
            ),
        };
        let mut at = at;
        while at < until {
            self.warn(at, of, (Controllers, object.0, object.1), (said.0, said.1.to_owned()), Some(problem));
            at += self.dice.between(600, 1200);
        }
    }

    /// A job that fails every hour, until it does what it should again.
    pub fn cron(&mut self, of: &Workload, at: i64, until: i64) {
        let problem = self.problem(Cause::Cron);
        self.runs_not(of, at, until);
        for at in (at..until).step_by(3600) {
            let pod = of.pod(at / 60, &mut self.dice);
            let job = pod.rsplit_once('-').map_or(pod.as_str(), |(job, _)| job).to_owned();
            self.normal(at, of, (Controllers, "CronJob", &of.name), "SuccessfulCreate", format!("Created job {job}"));
            self.placed(of, &pod, at + 1);
            self.crashes(of, &pod, at + 3, at + 150, problem);
            let message = "Job has reached the specified backoff limit".to_owned();
            self.warn(at + 152, of, (Controllers, "Job", &job), ("BackoffLimitExceeded", message), Some(problem));
        }
    }

    /// Takes back the runs of a cron job that routine made between two seconds.
    pub(super) fn runs_not(&mut self, of: &Workload, from: i64, until: i64) {
        let runs = |one: &Occurrence| one.workload == of.place() && one.problem.is_none();
        self.occurrences.retain(|one| !(runs(one) && (from - 120..until).contains(&one.at)));
    }

    /// A program that crashes for some minutes, works for half an hour, and crashes again.
    pub fn flapping(&mut self, of: &Workload, at: i64, until: i64) {
        let problem = self.problem(Cause::Flapping);
        let pod = of.pod(0, &mut self.dice);
        let mut at = at;
        while at < until {
            let crashing = self.dice.between(150, 400);
            self.crashes(of, &pod, at, at + crashing, problem);
            at += crashing + self.dice.between(1500, 3000);
        }
    }

    /// A node is gone, with so many pods on it; some of their successors find no place for a while.
    pub fn node_down(&mut self, all: &[Workload], pods: i64, at: i64, until: i64) {
        let problem = self.problem(Cause::NodeDown);
        for n in 0..pods {
            let of = &all[usize::try_from(n).unwrap() % all.len()];
            let pod = of.pod(n, &mut self.dice);
            let said = ("NodeNotReady", "Node is not ready".to_owned());
            self.warn(at, of, (Controllers, "Pod", &pod), said, Some(problem));
            let message = format!("Marking for deletion Pod {}/{pod}", of.namespace);
            self.normal(at + 300, of, (Controllers, "Pod", &pod), "TaintManagerEviction", message);
            let next = of.pod(n, &mut self.dice);
            self.made(of, &next, at + 301);
            let mut placed = at + 302;
            if n % 3 == 0 {
                for wait in [0, 12, 60, 300, 600, 900, 1200, 1500, 1800, 2100, 2400] {
                    placed = at + 302 + wait;
                    if placed >= until {
                        break;
                    }
                    let message = "0/12 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }, 11 Insufficient cpu.".to_owned();
                    self.warn(placed, of, (Scheduler, "Pod", &next), ("FailedScheduling", message), Some(problem));
                }
            }
            self.placed(of, &next, placed);
            self.started(of, &next, placed + 2);
        }
    }

    /// The network plugin is gone: so many pods, each of which tries 25 times in a minute and on.
    pub fn avalanche(&mut self, all: &[Workload], pods: i64, at: i64, until: i64) {
        let problem = self.problem(Cause::Avalanche);
        for n in 0..pods {
            let of = &all[usize::try_from(n).unwrap() % all.len()];
            let pod = of.pod(n, &mut self.dice);
            let mut at = at + self.dice.between(0, 4);
            let mut tries = 0;
            while at < until {
                let sandbox = self.dice.word(b"0123456789abcdef", 16);
                let message = format!(
                    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"{sandbox}\": plugin type=\"calico\" failed (add): connection refused"
                );
                self.warn(at, of, (Kubelet, "Pod", &pod), ("FailedCreatePodSandBox", message), Some(problem));
                tries += 1;
                at += if tries < 25 { 2 } else { 15 };
            }
        }
    }
}
