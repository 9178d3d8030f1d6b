//! What runs in the cluster, and how its pods are named.

use podbell_core::event::Target;

use super::dice::Dice;

const RANDOM: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const HASH: &[u8] = b"456789bcdf";
const NAMESPACES: [&str; 5] = ["shop", "pay", "search", "data", "legacy"];
const NAMES: [&str; 12] = [
    "web",
    "api",
    "cart",
    "checkout",
    "catalog",
    "billing",
    "mailer",
    "images",
    "search-index",
    "web-api",
    "queue",
    "user-profile",
];

/// What makes the pods of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    Deployment,
    StatefulSet,
    DaemonSet,
    CronJob,
}

/// One workload.
#[derive(Clone, Debug)]
pub struct Workload {
    pub name: String,
    pub namespace: &'static str,
    /// The services whose lists show it.
    pub targets: Vec<usize>,
    pub made: Made,
    pub replicas: i64,
    pub containers: i64,
    /// Its reasons are told in the API's own Chinese words.
    pub chinese: bool,
    /// The hash of its pod template.
    pub hash: String,
}

/// Everything that runs.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    pub targets: Vec<Target>,
    pub workloads: Vec<Workload>,
}

impl Fleet {
    /// So many services, each with a workload of its own.
    pub fn new(services: usize, dice: &mut Dice) -> Self {
        let mut fleet = Self::default();
        for n in 0..services {
            let namespace = NAMESPACES[n % NAMESPACES.len()];
            let nth = n / NAMESPACES.len();
            let name = match nth / NAMES.len() {
                0 => NAMES[nth].to_owned(),
                more => format!("{}-{}", NAMES[nth % NAMES.len()], ["blue", "green", "north", "south"][(more - 1) % 4]),
            };
            let made = match dice.between(0, 9) {
                0 => Made::StatefulSet,
                1 => Made::DaemonSet,
                2 => Made::CronJob,
                _ => Made::Deployment,
            };
            fleet.targets.push(Target::new(&super::source(), "cls-1", namespace, &name));
            let mut targets = vec![n];
            // Two services of a namespace may select the same pods.
            if dice.once_in(8) && n >= NAMESPACES.len() {
                targets.push(n - NAMESPACES.len());
            }
            fleet.workloads.push(Workload {
                name,
                namespace,
                targets,
                made,
                replicas: if made == Made::CronJob { 1 } else { dice.between(1, 8) },
                containers: if dice.once_in(5) { 1 } else { 2 },
                chinese: namespace == "legacy",
                hash: hash(dice),
            });
        }
        fleet
    }
}

/// The node that goes down; the others are `node-2` to `node-12`.
pub const NODE: &str = "node-1";
/// How many pods it has.
pub const PODS_OF_NODE: i64 = 200;

impl Fleet {
    /// The same as a Kubernetes source shows it: each workload belongs to one service, and a node has a list of its own.
    pub fn with_node(mut self) -> Self {
        for of in &mut self.workloads {
            of.targets.truncate(1);
            of.chinese = false;
        }
        self.targets.push(Target::new(&super::source(), "cls-1", "", &format!("node/{NODE}")));
        self
    }

    /// Makes services so large that the node has its pods of them, and a few of them have no others.
    pub fn crowded(mut self) -> Self {
        let long_lived = self.workloads.iter_mut().filter(|of| of.made != Made::CronJob);
        let mut long_lived: Vec<&mut Workload> = long_lived.collect();
        let each = PODS_OF_NODE / i64::try_from(long_lived.len()).unwrap() + 1;
        for (n, of) in long_lived.iter_mut().enumerate() {
            of.replicas = if n % 8 == 0 { each } else { each + of.replicas };
        }
        self
    }

    /// The node, as the one whom its events are about.
    pub fn node(&self) -> Workload {
        Workload {
            name: NODE.to_owned(),
            namespace: "",
            targets: vec![self.targets.len() - 1],
            made: Made::Deployment,
            replicas: 0,
            containers: 0,
            chinese: false,
            hash: String::new(),
        }
    }
}

impl Workload {
    /// Its namespace and name.
    pub fn place(&self) -> (&'static str, String) {
        (self.namespace, self.name.clone())
    }

    /// The name of one of its pods.
    pub fn pod(&self, ordinal: i64, dice: &mut Dice) -> String {
        let (name, random) = (&self.name, dice.word(RANDOM, 5));
        match self.made {
            Made::Deployment => format!("{name}-{}-{random}", self.hash),
            Made::StatefulSet => format!("{name}-{ordinal}"),
            Made::DaemonSet => format!("{name}-{random}"),
            // The minute of its schedule.
            Made::CronJob => format!("{name}-{}-{random}", 29_453_760 + ordinal),
        }
    }

    /// The name of its ReplicaSet, or of what else makes its pods.
    pub fn maker(&self) -> (&'static str, String) {
        match self.made {
            Made::Deployment => ("ReplicaSet", format!("{}-{}", self.name, self.hash)),
            Made::StatefulSet => ("StatefulSet", self.name.clone()),
            Made::DaemonSet => ("DaemonSet", self.name.clone()),
            Made::CronJob => ("CronJob", self.name.clone()),
        }
    }

    pub fn image(&self) -> String {
        format!("registry.example.com/{}/{}:v{}", self.namespace, self.name, self.hash.len())
    }
}

/// A pod-template hash.
pub fn hash(dice: &mut Dice) -> String {
    let length = usize::try_from(dice.between(8, 10)).unwrap();
    dice.word(HASH, length)
}
