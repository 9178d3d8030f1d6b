//! A day: what runs, what happens, and what each poll of each service shows.

use std::collections::{BTreeMap, HashMap};

use podbell_core::event::Target;
use podbell_core::time::Time;

use super::causes::Stage;
use super::dice::Dice;
use super::fleet::{Fleet, Made, Workload};
use super::states::States;
use super::writer::{Component, Entry, Occurrence, write};

/// 2026-03-02 00:00:00 UTC, a Monday.
const MONDAY: i64 = 1_772_409_600;
/// Seconds between two polls of a service.
pub const EVERY: i64 = 60;

/// What kind of day it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rolling updates, jobs, autoscaling: nothing is wrong.
    Quiet,
    /// Releases, some of them with an image that is not there or a program that crashes.
    Releases,
    /// A bit of everything.
    Mixed,
    /// What comes back again and again.
    Slow,
    /// A node is gone.
    NodeDown,
    /// One cause with 10,000 events.
    Avalanche,
    /// Each service is rolled out, half of them roughly; a few pods really do not answer.
    Rollouts,
    /// Trouble that no event tells, beside rollouts and trouble that events tell, too. The source knows states, as on the
    /// two days below.
    States,
    /// No image can be pulled.
    Registry,
    /// A node is gone.
    NodeStates,
    /// Not one day but six, of which only some hours were recorded.
    Gaps,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Quiet,
        Self::Releases,
        Self::Mixed,
        Self::Slow,
        Self::NodeDown,
        Self::Avalanche,
        Self::Rollouts,
        Self::States,
        Self::Registry,
        Self::NodeStates,
        Self::Gaps,
    ];

    /// Whether one cause floods the cluster with events, beside which everything looks quiet.
    pub fn is_a_flood(self) -> bool {
        matches!(self, Self::NodeDown | Self::Avalanche | Self::NodeStates)
    }

    /// Whether the source knows the health of workloads, signals, and the nodes of pods.
    pub fn knows_states(self) -> bool {
        matches!(self, Self::States | Self::Registry | Self::NodeStates)
    }

    fn fleet(self, services: usize, dice: &mut Dice) -> Fleet {
        let fleet = Fleet::new(services, dice);
        match self {
            Self::NodeStates => fleet.with_node().crowded(),
            Self::States | Self::Registry => fleet.with_node(),
            _ => fleet,
        }
    }
}

/// What was injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    BadImage,
    CrashLoop,
    Quota,
    Mount,
    Probes,
    Drip,
    Cron,
    Flapping,
    NodeDown,
    Avalanche,
    NeverReady,
    SettledProbes,
    OomOnce,
    OomKills,
    Stalled,
    Unavailable,
    RegistryDown,
}

/// A label: what was injected where, and from when to when it really lasted.
#[derive(Clone, Debug)]
pub struct Problem {
    pub cause: Cause,
    /// Where it was, by namespace and workload.
    pub places: BTreeMap<(&'static str, String), Span>,
}

/// The seconds of the first and the last Warning, written or not.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub first: i64,
    pub last: i64,
}

/// How large a day is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub services: usize,
    pub hours: i64,
}

/// See the module.
#[derive(Debug)]
pub struct Day {
    pub name: String,
    pub kind: Kind,
    pub start: Time,
    pub end: i64,
    pub targets: Vec<Target>,
    pub problems: Vec<Problem>,
    pub occurrences: Vec<Occurrence>,
    pub lists: Vec<Vec<Entry>>,
    pub states: States,
    pub workloads: Vec<Workload>,
    /// What was recorded, from which second to which.
    recorded: Vec<std::ops::Range<i64>>,
    dice: Dice,
}

impl Day {
    /// The day of this seed.
    pub fn new(kind: Kind, seed: u64, size: Size) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(31).wrapping_add(kind as u64));
        let fleet = kind.fleet(size.services, &mut dice);
        let mut stage = Stage::new(dice.fork());
        stage.nodes = kind.knows_states().then(HashMap::new);
        let recorded = recorded(kind, size.hours);
        let end = recorded.last().unwrap().end;
        routine(&mut stage, &fleet, end);
        trouble(&mut stage, &fleet, kind, end);
        let restarts = restarts(&mut dice, end);
        let mut occurrences = stage.occurrences;
        occurrences.retain(|occurrence| occurrence.at < end);
        let lists = write(occurrences.clone(), fleet.targets.len(), &restarts);
        Self {
            name: format!("{kind:?} {seed}"),
            kind,
            start: Time::from_seconds(MONDAY),
            end,
            targets: fleet.targets,
            problems: stage.problems,
            occurrences,
            lists,
            states: stage.states,
            workloads: fleet.workloads,
            recorded,
            dice,
        }
    }

    /// Events as the cluster writes them, one write each, that belong to a problem: with quiet
    /// background, all Warnings of an avalanche.
    pub fn written_about_problems(&self) -> usize {
        let mut once: Vec<&Entry> = self.lists.iter().flatten().filter(|entry| entry.is_warning()).collect();
        // Two services may show the same.
        once.sort_by_key(|entry| entry.object());
        once.dedup_by_key(|entry| entry.object());
        once.iter().map(|entry| entry.writes()).sum()
    }

    /// Which second each poll is at, of which service, and whether it succeeds. Half a percent of
    /// the polls fail on their own, and once a day the API is away for a few minutes.
    pub fn polls(&self) -> impl Iterator<Item = (i64, usize, bool)> {
        let mut dice = self.dice.clone();
        let away = dice.between(0, self.end);
        let back = away + dice.between(60, 240);
        let services = i64::try_from(self.targets.len()).unwrap();
        // The services of a source are read one after another, the same one at the same second.
        (0..self.end / EVERY)
            .flat_map(move |round| (0..services).map(move |service| (round, service)))
            .map(move |(round, service)| {
                let at = round * EVERY + service * EVERY / services;
                let good = !(away..back).contains(&at) && !dice.once_in(250);
                (at, usize::try_from(service).unwrap(), good || round == 0)
            })
            .filter(|(at, ..)| self.recorded.iter().any(|hours| hours.contains(at)))
    }
}

impl Day {
    /// Whether a poll that would have shown a workload failed between a second and a time.
    pub fn poll_failed(&self, (namespace, workload): &(&str, String), from: i64, until: Time) -> bool {
        let until = until.seconds() - self.start.seconds();
        let shows = |service: usize| {
            let target = &self.targets[service];
            &*target.namespace == *namespace && *target.service == **workload
        };
        let mut between = self.polls().filter(|(at, service, _)| (from..until).contains(at) && shows(*service));
        between.any(|(_, _, good)| !good)
    }
}

const DAY: i64 = 86_400;

/// The seconds of which there are polls.
fn recorded(kind: Kind, hours: i64) -> Vec<std::ops::Range<i64>> {
    match kind {
        Kind::Gaps => [0, 2 * DAY, 5 * DAY].map(|from| from..from + hours.min(8) * 3600).to_vec(),
        _ => std::iter::once(0..hours * 3600).collect(),
    }
}

/// What happens on every day.
fn routine(stage: &mut Stage, fleet: &Fleet, end: i64) {
    for of in &fleet.workloads {
        let mut dice = stage.dice.fork();
        if of.made == Made::CronJob {
            let minute = dice.between(0, 59) * 60;
            (minute..end).step_by(3600).for_each(|at| stage.job_run(of, at));
            continue;
        }
        // A release in a day and a half.
        for _ in 0..end / 3600 {
            if dice.once_in(36) {
                stage.rolling_update(of, dice.between(0, end));
            }
            if dice.once_in(120) {
                stage.scale_up(of, dice.between(0, end));
            }
        }
    }
}

/// What is wrong on this one; in a large cluster more of it.
fn trouble(stage: &mut Stage, fleet: &Fleet, kind: Kind, end: i64) {
    let mut lots = Lots::new(stage.dice.fork(), fleet, end);
    match kind {
        Kind::Quiet => {}
        Kind::NodeDown => {
            let (at, until) = lots.span(20, 60);
            stage.node_down(&fleet.workloads, 200, at, until);
        }
        Kind::Avalanche => {
            let (at, until) = lots.span(20, 40);
            stage.avalanche(&fleet.workloads, 400, at, until);
        }
        Kind::Releases => (0..fleet.targets.len().div_ceil(15)).for_each(|_| releases(stage, &mut lots)),
        Kind::Mixed => (0..fleet.targets.len().div_ceil(15)).for_each(|_| mixed(stage, &mut lots)),
        Kind::Rollouts => rollouts(stage, &mut lots, fleet, end),
        Kind::States => (0..fleet.targets.len().div_ceil(15)).for_each(|_| states(stage, &mut lots)),
        Kind::Registry => {
            let (at, until) = lots.span(25, 60);
            let (jobs, hit) = (std::mem::take(&mut lots.jobs), lots.workloads.split_off(lots.workloads.len() / 2));
            stage.registry_down(&hit, &jobs, at, until);
        }
        Kind::NodeStates => {
            let (at, until) = lots.span(20, 60);
            stage.node_with_states(fleet, at, until);
        }
        Kind::Gaps => (0..fleet.targets.len().div_ceil(15)).for_each(|_| gaps(stage, &mut lots)),
        Kind::Slow => (0..fleet.targets.len().div_ceil(15)).for_each(|_| slow(stage, &mut lots, end)),
    }
}

fn releases(stage: &mut Stage, lots: &mut Lots<'_>) {
    for (least, most) in [(125, 180), (15, 60), (20, 120)] {
        let (of, (at, until)) = (lots.workload(), lots.span(least, most));
        stage.bad_image(of, at, until);
    }
    let (of, (at, until)) = (lots.workload(), lots.span(15, 240));
    stage.crash_loop(of, at, until);
}

fn mixed(stage: &mut Stage, lots: &mut Lots<'_>) {
    let (of, (at, until)) = (lots.workload(), lots.span(30, 300));
    stage.crash_loop(of, at, until);
    let (of, (at, until)) = (lots.workload(), lots.span(20, 120));
    stage.quota(of, at, until);
    let (of, (at, until)) = (lots.workload(), lots.span(10, 120));
    stage.mount(of, at, until);
    let (of, (at, until)) = (lots.workload(), lots.span(20, 120));
    stage.probes(of, at, until);
    // A second cause joins while the first is still there.
    let (of, (at, until)) = (lots.workload(), lots.span(90, 180));
    stage.bad_image(of, at, until);
    stage.mount(of, at + 1200, at + 4200);
}

fn rollouts(stage: &mut Stage, lots: &mut Lots<'_>, fleet: &Fleet, end: i64) {
    let long_lived = fleet.workloads.iter().filter(|of| of.made != Made::CronJob);
    for (n, of) in long_lived.enumerate() {
        let at = lots.dice.between(0, end);
        if n % 2 == 0 { stage.rough_rollout(of, at) } else { stage.rolling_update(of, at) }
    }
    for _ in 0..fleet.targets.len().div_ceil(15) {
        let (of, (at, until)) = (lots.workload(), lots.span(20, 120));
        stage.never_ready(of, at, until);
        let (of, (at, until)) = (lots.workload(), lots.span(20, 120));
        stage.settled_probes(of, at, until);
    }
}

fn states(stage: &mut Stage, lots: &mut Lots<'_>) {
    let (of, (at, _)) = (lots.workload(), lots.span(0, 0));
    stage.oom_kills(of, Cause::OomOnce, at, at + 1);
    let (of, (at, until)) = (lots.workload(), lots.span(60, 180));
    stage.oom_kills(of, Cause::OomKills, at, until);
    let (of, (at, until)) = (lots.workload(), lots.span(30, 120));
    stage.stalled(of, at, until);
    let (of, (at, until)) = (lots.workload(), lots.span(15, 60));
    stage.unavailable(of, at, until);
    let (of, (at, until)) = (lots.workload(), lots.span(20, 120));
    stage.settled_probes(of, at, until);
    let (of, (at, until)) = (lots.workload(), lots.span(30, 120));
    stage.crash_loop(of, at, until);
    for rough in [true, false] {
        let (of, (at, _)) = (lots.workload(), lots.span(0, 0));
        if rough { stage.rough_rollout(of, at) } else { stage.rolling_update(of, at) }
    }
}

/// Trouble over each gap, within one, and within the hours that were recorded.
fn gaps(stage: &mut Stage, lots: &mut Lots<'_>) {
    let [second, third] = [2 * DAY, 5 * DAY];
    let [image, crash, mount, quota, probes] = [0; 5].map(|_| lots.dice.between(1200, 6000));
    stage.bad_image(lots.workload(), image, second + image);
    stage.crash_loop(lots.workload(), crash, DAY);
    stage.mount(lots.workload(), mount, mount + 3600);
    stage.quota(lots.workload(), second + quota, third + quota);
    stage.probes(lots.workload(), third + probes, third + probes + 3600);
}

fn slow(stage: &mut Stage, lots: &mut Lots<'_>, end: i64) {
    let (of, (at, until)) = (lots.workload(), lots.span(180, 720));
    stage.drip(of, at, until);
    let (of, (at, until)) = (lots.workload(), lots.span(180, 360));
    stage.flapping(of, at, until);
    if let Some(of) = lots.job() {
        let runs = lots.dice.between(end / 7200, end / 3600);
        stage.cron(of, 900, 900 + runs * 3600);
    }
}

/// Who is hit, and when. Each workload once, so that labels say what they mean.
struct Lots<'a> {
    dice: Dice,
    workloads: Vec<&'a Workload>,
    jobs: Vec<&'a Workload>,
    end: i64,
}

impl<'a> Lots<'a> {
    fn new(dice: Dice, fleet: &'a Fleet, end: i64) -> Self {
        let (jobs, workloads) = fleet.workloads.iter().partition(|of| of.made == Made::CronJob);
        Self { dice, workloads, jobs, end }
    }

    fn workload(&mut self) -> &'a Workload {
        let place = self.dice.next() % self.workloads.len() as u64;
        self.workloads.swap_remove(usize::try_from(place).unwrap())
    }

    fn job(&mut self) -> Option<&'a Workload> {
        self.jobs.pop()
    }

    /// From when to when, by how many minutes it lasts at least and at most.
    fn span(&mut self, least: i64, most: i64) -> (i64, i64) {
        let lasts = self.dice.between(least * 60, most * 60).min(self.end - 1800);
        let at = self.dice.between(600, (self.end - lasts - 1200).max(601));
        (at, at + lasts)
    }
}

/// Components restart now and then, and forget what they counted.
fn restarts(dice: &mut Dice, end: i64) -> Vec<(Component, i64)> {
    let components = [Component::Kubelet, Component::Scheduler, Component::Controllers];
    (0..end / (8 * 3600)).map(|_| (*dice.pick(&components), dice.between(0, end))).collect()
}
