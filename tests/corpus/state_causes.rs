//! Trouble that the states of objects tell: no event does, or events alone do not tell how it ends.

use podbell_core::event::Level;

use super::causes::Stage;
use super::day::Cause;
use super::fleet::{Fleet, Made, NODE, PODS_OF_NODE, Workload, hash};
use super::writer::{Component, Occurrence, Signal};

use Component::{Controllers, Scheduler};

/// The deadline of a rollout's progress, and for how long no pod is ready before that is a signal.
const DEADLINE: i64 = 600;
const UNAVAILABLE_AFTER: i64 = 300;

/// A signal's object, word and text.
type Said<'a> = (&'static str, &'a str, &'static str, String);

impl Stage {
    /// From a second on, the state of an object says something.
    fn signal(&mut self, at: i64, of: &Workload, signal: Signal, said: Said<'_>, problem: Option<usize>) {
        let (obj_type, obj_name, reason, message) = said;
        let node = match obj_type {
            "Node" => Some(obj_name.to_owned()),
            "Pod" => self.nodes.as_ref().and_then(|nodes| nodes.get(obj_name)).cloned(),
            _ => None,
        };
        let level = if reason == "NodeReady" { Level::Normal } else { Level::Warning };
        self.occurrences.push(Occurrence {
            at,
            targets: of.targets.clone(),
            workload: of.place(),
            by: Controllers,
            level,
            obj_type,
            obj_name: obj_name.to_owned(),
            reason,
            message,
            problem,
            node,
            signal: Some(signal),
        });
        if let Some(problem) = problem {
            self.lasts(problem, of, at);
        }
    }

    /// A container is killed for its memory, again and again, and started again without a word: it ran for longer than the
    /// kubelet remembers.
    pub fn oom_kills(&mut self, of: &Workload, cause: Cause, at: i64, until: i64) {
        let problem = self.problem(cause);
        let pod = of.pod(0, &mut self.dice);
        self.placed(of, &pod, at - 7200);
        self.started(of, &pod, at - 7198);
        let mut kills = vec![at];
        while let Some(next) = kills.last().map(|at| at + self.dice.between(660, 1800)).filter(|next| *next < until) {
            kills.push(next);
        }
        for (n, at) in kills.iter().enumerate() {
            // A pod shows the last end of each container, and no older one.
            let shown = Signal { since: *at, until: kills.get(n + 1).copied().unwrap_or(i64::MAX) };
            let times = if n > 0 { format!(", for the {}th time", n + 1) } else { String::new() };
            let message = format!("Container app was killed at its memory limit of 256Mi (exit code 137){times}");
            self.states.misses(of, (*at, at + 8), 1);
            self.signal(*at, of, shown, ("Pod", &pod, "OOMKilled", message), Some(problem));
        }
    }

    /// A rollout whose pods start, say nothing, and never become ready.
    pub fn stalled(&mut self, of: &Workload, at: i64, until: i64) {
        let problem = self.problem(Cause::Stalled);
        let mut after = of.clone();
        after.hash = hash(&mut self.dice);
        self.scaled_up(of, &after, at);
        let pod = after.pod(0, &mut self.dice);
        self.made(&after, &pod, at);
        self.placed(&after, &pod, at);
        self.started(&after, &pod, at + 2);
        self.states.rolls(of, (at, until));
        let message = format!("ReplicaSet \"{}-{}\" has timed out progressing.", of.name, after.hash);
        let signal = Signal { since: at + DEADLINE, until };
        self.signal(at + DEADLINE, of, signal, (kind(of), &of.name, "RolloutStalled", message), Some(problem));
        self.lasts(problem, of, until);
    }

    /// No pod of a workload is ready any more, and nothing says so.
    pub fn unavailable(&mut self, of: &Workload, at: i64, until: i64) {
        let problem = self.problem(Cause::Unavailable);
        self.states.misses(of, (at, until), of.replicas);
        self.no_pod_is_ready(of, at, until, problem);
        self.lasts(problem, of, until);
    }

    fn no_pod_is_ready(&mut self, of: &Workload, since: i64, until: i64, problem: usize) {
        if since + UNAVAILABLE_AFTER < until {
            let said = (kind(of), of.name.as_str(), "Unavailable", "No pod is ready".to_owned());
            self.signal(since + UNAVAILABLE_AFTER, of, Signal { since, until }, said, Some(problem));
        }
    }

    /// The registry answers nobody: of all services that are rolled out, and of all jobs, no pod starts.
    pub fn registry_down(&mut self, hit: &[&Workload], jobs: &[&Workload], at: i64, until: i64) {
        let problem = self.problem(Cause::RegistryDown);
        for of in hit {
            let mut after = (*of).clone();
            after.hash = hash(&mut self.dice);
            let begin = at + self.dice.between(0, 600);
            // The back-off ends up to five minutes after the registry is back.
            let end = until + self.dice.between(5, 300);
            self.scaled_up(of, &after, begin);
            self.states.rolls(of, (begin, end + 20));
            for n in 0..(of.replicas + 3) / 4 {
                let pod = after.pod(n, &mut self.dice);
                self.made(&after, &pod, begin);
                self.placed(&after, &pod, begin);
                self.pulls(&after, &pod, begin + 2, until, problem);
                self.started(&after, &pod, end);
            }
            self.lasts(problem, of, end);
        }
        for of in jobs {
            let begin = at + self.dice.between(0, 900);
            self.runs_not(of, at, until + 400);
            let pod = of.pod(begin / 60, &mut self.dice);
            self.placed(of, &pod, begin);
            self.pulls(of, &pod, begin + 2, until, problem);
            let end = until + self.dice.between(5, 300);
            self.started(of, &pod, end);
            let job = pod.rsplit_once('-').map_or(pod.as_str(), |(job, _)| job).to_owned();
            self.normal(end + 60, of, (Controllers, "Job", &job), "Completed", "Job completed".to_owned());
        }
    }

    /// A node is gone with its pods. Their successors start elsewhere after five minutes, or find no place until it is back.
    pub fn node_with_states(&mut self, fleet: &Fleet, at: i64, until: i64) {
        let (problem, node) = (self.problem(Cause::NodeDown), fleet.node());
        let status = |word: &str| format!("Node {NODE} status is now: {word}");
        let down = Signal { since: at, until };
        self.normal(at, &node, (Controllers, "Node", NODE), "NodeNotReady", status("NodeNotReady"));
        let words = format!("Node {NODE}: Kubelet stopped posting node status.");
        self.signal(at, &node, down, ("Node", NODE, "NodeNotReady", words), Some(problem));
        self.normal(until, &node, (Controllers, "Node", NODE), "NodeReady", status("NodeReady"));
        let up = Signal { since: until, until: i64::MAX };
        self.signal(until, &node, up, ("Node", NODE, "NodeReady", status("NodeReady")), None);
        self.lasts(problem, &node, until);
        let long_lived: Vec<&Workload> = fleet.workloads.iter().filter(|of| of.made != Made::CronJob).collect();
        for (n, of) in long_lived.iter().enumerate() {
            let each = PODS_OF_NODE / i64::try_from(long_lived.len()).unwrap() + 1;
            let ready: Vec<i64> = (0..each).map(|m| self.moves(of, (n, m), (at, until), problem)).collect();
            if of.replicas == each {
                let first = ready.iter().min().copied().unwrap_or(until);
                self.no_pod_is_ready(of, at, first, problem);
            }
            self.lasts(problem, of, ready.iter().max().copied().unwrap_or(until));
        }
    }

    /// A pod of the node is gone. Returns when its successor is ready.
    fn moves(&mut self, of: &Workload, (n, m): (usize, i64), (at, until): (i64, i64), problem: usize) -> i64 {
        let pod = of.pod(m, &mut self.dice);
        if let Some(nodes) = &mut self.nodes {
            nodes.insert(pod.clone(), NODE.to_owned());
        }
        let said = ("NodeNotReady", "Node is not ready".to_owned());
        self.warn(at, of, (Controllers, "Pod", &pod), said, Some(problem));
        let evicted = at + 300;
        let message = format!("Marking for deletion Pod {}/{pod}", of.namespace);
        self.normal(evicted, of, (Controllers, "Pod", &pod), "TaintManagerEviction", message);
        let mut next = of.clone();
        next.replicas += 1;
        let successor = next.pod(m + 100, &mut self.dice);
        self.made(of, &successor, evicted + 1);
        let mut placed = evicted + 2;
        if (n + usize::try_from(m).unwrap()).is_multiple_of(3) {
            for wait in [0, 12, 60, 300, 600, 900, 1200, 1500, 1800, 2100, 2400] {
                if evicted + 2 + wait >= until {
                    break;
                }
                let message = "0/12 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }, 11 Insufficient cpu.".to_owned();
                let object = (Scheduler, "Pod", successor.as_str());
                self.unplaced(evicted + 2 + wait, of, object, message, problem);
            }
            placed = until + 3;
        }
        self.placed(of, &successor, placed);
        self.started(of, &successor, placed + 2);
        self.states.misses(of, (at, placed + 15), 1);
        placed + 15
    }

    /// The scheduler finds no node for a pod, so that nobody knows one.
    fn unplaced(
        &mut self,
        at: i64,
        of: &Workload,
        object: (Component, &'static str, &str),
        message: String,
        problem: usize,
    ) {
        self.warn(at, of, object, ("FailedScheduling", message), Some(problem));
        if let Some(last) = self.occurrences.last_mut() {
            last.node = None;
        }
    }
}

fn kind(of: &Workload) -> &'static str {
    match of.made {
        Made::Deployment => "Deployment",
        Made::StatefulSet => "StatefulSet",
        Made::DaemonSet => "DaemonSet",
        Made::CronJob => "CronJob",
    }
}
