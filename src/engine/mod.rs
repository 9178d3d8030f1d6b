//! The engine: takes in what happened, decides, persists that with one commit, and dispatches what may leave.
//!
//! It owns the store's writer and all state in memory. It does no I/O but the store's, reads no clock and starts no
//! task, so that tests and the demo drive it in virtual time; [`crate::app`] feeds it and carries out its jobs.

mod commands;
mod decide;
mod event;
mod load;
mod log;
mod log_throttle;
mod memory;
mod persist;
mod requests;
mod rules;
mod take_in;
mod unrecorded;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

pub use self::event::{ActionRequest, EngineEvent, NewRules};
use self::log_throttle::LogThrottle;
use self::memory::InMemoryState;
use self::unrecorded::Unrecorded;
use crate::sources::{SourceEvent, bounds};
use podbell_core::enrichment::PodQuestion;
use podbell_core::notice::Notice;
use podbell_core::outbox::{Outbox, OutboxWrites, Outcome, Policy, SendContent, SendId};
use podbell_core::rule::Destination;
use podbell_core::rules::Rules;
use podbell_core::step::decision::Decision;
use podbell_core::step::{Setup, State, Tally, Workloads, Writes};
use podbell_core::time::{Jump, Time};
use podbell_core::user_action::ActionResult;
use podbell_store::{InboxItem, LEASE_RENEWAL, LEASE_TTL, Lease, Recovery, StoreError, Writer, crash_point};

/// How often an idle service stores a heartbeat: after a crash, this much of its past is unknown.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often the inbox is read.
pub(crate) const INBOX: Duration = Duration::from_secs(1);
/// How often old data is deleted.
pub const DELETE_OLD: Duration = Duration::from_secs(3600);

/// Renders notices into the body of a request, which is stored and never rendered again. Pure.
pub trait Renderer: Send {
    /// The body for `destination`; empty if there is nothing to send.
    fn render(&self, destination: &Destination, content: &SendContent<'_>, message_id: &str, now: Time) -> Vec<u8>;
}

/// A request that may leave: its claim is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendJob {
    /// The send.
    pub send: SendId,
    /// Its destination.
    pub destination: Destination,
    /// The same for every attempt.
    pub message_id: String,
    /// The same for every attempt, never empty.
    pub body: Vec<u8>,
}

/// The parts of an engine.
pub struct EngineParts {
    /// The store's writer.
    pub store: Box<dyn Writer>,
    /// Rules, sources, operator.
    pub setup: Setup,
    /// The destinations.
    pub policies: BTreeMap<Destination, Policy>,
    /// Their renderer.
    pub renderer: Box<dyn Renderer>,
    /// Random numbers between 0 and 1.
    pub chance: Box<dyn FnMut() -> f64 + Send>,
}

/// See the module.
pub struct Engine {
    store: Box<dyn Writer>,
    setup: Setup,
    policies: BTreeMap<Destination, Policy>,
    renderer: Box<dyn Renderer>,
    chance: Box<dyn FnMut() -> f64 + Send>,
    /// `None` while the store cannot be read.
    memory: Option<InMemoryState>,
    /// Sends whose answer is outstanding in this process.
    in_flight: HashSet<SendId>,
    /// What failed turns did not record and nobody sends again.
    unrecorded: Unrecorded,
    /// Rules that are not in force yet, or whose commit failed: at most one set, and one refusal that came after it.
    new_rules: Vec<NewRules>,
    totals: Totals,
    throttle: LogThrottle,
    last_heartbeat: Time,
    last_inbox: Time,
    last_delete_old: Time,
    claiming: bool,
    /// From when until when podbell did not run before this start; `None` once that is written.
    down: Option<(Time, Time)>,
    on_rules: Option<OnRules>,
    on_questions: Option<OnQuestions>,
    on_committed: Option<OnCommitted>,
    /// What happened to the store and is not written yet.
    recoveries: Vec<Recovery>,
    /// What sources reported of workloads, while memory is read again: the store does not hold it.
    workloads: Workloads,
    /// The moment of the last turn.
    last_turn: Time,
    /// By how much the clock was set since the last turn.
    jump: Jump,
    /// By how much the clock was set since the last commit: stored times lag by this.
    uncommitted_jump: Jump,
}

/// Called with the rules that come into force.
type OnRules = Box<dyn Fn(&Rules) + Send>;

/// Called with questions about pods whose incidents have opened.
type OnQuestions = Box<dyn Fn(Vec<PodQuestion>) + Send>;

/// Called with the changes of Warnings and the notices that were committed.
type OnCommitted = Box<dyn Fn(Vec<Decision>, &[Notice]) + Send>;

/// The events of a turn, by kind.
#[derive(Default)]
struct Inputs {
    events: Vec<SourceEvent>,
    answers: Vec<(SendId, Outcome)>,
    asked: Vec<ActionRequest>,
}

/// What one turn has decided so far.
#[derive(Default)]
struct TurnResult {
    now: Time,
    writes: Writes,
    outbox: OutboxWrites,
    /// Commands of the inbox, with their answers.
    answered: Vec<(InboxItem, String)>,
    /// What became of [`Inputs::asked`], in their order.
    done: Vec<ActionResult>,
    /// How many of `writes.notices` are in the outbox already.
    posted: usize,
    rules_generation: Option<u64>,
    good_rules: Vec<(String, String)>,
    /// The bodies of the sends that were claimed.
    bodies: HashMap<SendId, Vec<u8>>,
    jobs: Vec<SendJob>,
    totals: Totals,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// What went through the steps.
    pub steps: Tally,
    /// Polls that failed.
    pub failed_polls: u64,
    /// Notices made.
    pub notices: u64,
    /// Messages that arrived.
    pub delivered: u64,
    /// Requests whose message did not arrive.
    pub undelivered: u64,
    /// Deliveries that were given up.
    pub given_up: u64,
    /// Commits.
    pub commits: u64,
    /// Commits that failed.
    pub failed_commits: u64,
    /// Commits whose outcome was unknown at first, because the store's answer was lost.
    pub unknown_commits: u64,
}

impl TurnResult {
    fn is_empty(&self) -> bool {
        self.writes.is_empty()
            && self.outbox.is_empty()
            && self.answered.is_empty()
            && self.rules_generation.is_none()
            && self.good_rules.is_empty()
    }
}

impl Engine {
    /// An engine that continues where the store's last owner ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(parts: EngineParts, now: Time) -> Result<Self, StoreError> {
        let EngineParts { mut store, setup, policies, renderer, chance } = parts;
        let loaded = store.load()?;
        let heartbeat = loaded.state.heartbeat;
        let mut engine = Self {
            store,
            setup,
            policies,
            renderer,
            chance,
            memory: None,
            in_flight: HashSet::new(),
            unrecorded: Unrecorded::default(),
            new_rules: Vec::new(),
            totals: Totals::default(),
            throttle: LogThrottle::default(),
            last_heartbeat: Time::default(),
            last_inbox: Time::default(),
            last_delete_old: now,
            claiming: true,
            down: heartbeat.filter(|beat| *beat < now).map(|beat| (beat, now)),
            on_rules: None,
            on_questions: None,
            on_committed: None,
            recoveries: Vec::new(),
            workloads: Workloads::default(),
            last_turn: now,
            jump: Jump::NONE,
            // A heartbeat in the future means that the clock was set back meanwhile.
            uncommitted_jump: heartbeat.filter(|beat| *beat > now).map_or(Jump::NONE, |beat| Jump::between(beat, now)),
        };
        engine.memory = Some(engine.rebuild(loaded, now));
        Ok(engine)
    }

    /// Takes in what happened, decides, commits, and hands out what may leave.
    ///
    /// # Errors
    /// When the store cannot be read or the commit fails. Then the turn has no effect, and memory equals the store
    /// again. Answers are kept and recorded with the next turn.
    pub fn turn(&mut self, events: Vec<EngineEvent>, now: Time) -> Result<Vec<SendJob>, StoreError> {
        let now = self.notice_a_clock_set_back(now);
        // Before the turn, so that what the last one claimed did not wait for it.
        if self.memory.is_some() {
            self.delete_old(now);
        }
        let mut inputs = self.sort(events);
        let turned = match self.memory.take() {
            Some(memory) => Ok(memory),
            None => self.read_again(now),
        }
        .and_then(|mut memory| match self.try_turn(&mut memory, &mut inputs, now) {
            Ok(jobs) => {
                self.memory = Some(memory);
                Ok(jobs)
            }
            Err(error) => {
                self.totals.failed_commits += 1;
                self.workloads = memory.state.take_workloads();
                // Memory is ahead of the store. If this fails, too, the next turn tries it again.
                if !error.is_final() {
                    self.memory = self.read_again(now).ok();
                }
                Err(error)
            }
        });
        self.jump = Jump::NONE;
        match turned {
            Ok(jobs) => {
                for (send, _) in inputs.answers {
                    self.in_flight.remove(&send);
                }
                self.in_flight.extend(jobs.iter().map(|job| job.send));
                Ok(jobs)
            }
            Err(error) => {
                self.keep_for_later(inputs);
                Err(error)
            }
        }
    }

    fn try_turn(
        &mut self,
        memory: &mut InMemoryState,
        inputs: &mut Inputs,
        now: Time,
    ) -> Result<Vec<SendJob>, StoreError> {
        let loaded = self.load(memory, inputs, now)?;
        let mut turn = TurnResult { now, totals: self.totals, ..std::mem::take(&mut memory.pending) };
        self.take_in(memory, inputs, loaded, &mut turn);
        self.decide(memory, &mut turn)?;
        self.persist(memory, &mut turn)?;
        Ok(self.dispatch(memory, inputs, turn))
    }

    /// Sorts the events, together with what earlier turns left over.
    fn sort(&mut self, events: Vec<EngineEvent>) -> Inputs {
        let (kept, answers) = self.unrecorded.take();
        let mut inputs = Inputs { events: kept, answers, asked: Vec::new() };
        for event in events {
            match event {
                EngineEvent::Source(event) => inputs.events.push(event.bounded()),
                EngineEvent::Answered(send, outcome) => inputs.answers.push((send, outcome)),
                EngineEvent::Rules(rules) => self.take_rules(*rules),
                // Read with this turn.
                EngineEvent::Inbox => self.last_inbox = Time::default(),
                EngineEvent::Action(mut asked) => {
                    bounds::user_action(&mut asked.action);
                    inputs.asked.push(asked);
                }
            }
        }
        inputs
    }

    /// After a failed turn: keeps what nobody sends again, and people hear that nothing was done.
    fn keep_for_later(&mut self, inputs: Inputs) {
        self.unrecorded.keep_answers(inputs.answers);
        inputs.events.into_iter().for_each(|event| self.unrecorded.keep(event));
        inputs.asked.into_iter().for_each(|asked| (asked.answer)(None));
    }

    /// Answers people, counts, and returns the requests. Everything needed is in memory, so nothing here can fail.
    fn dispatch(&mut self, memory: &mut InMemoryState, inputs: &mut Inputs, turn: TurnResult) -> Vec<SendJob> {
        for (asked, done) in inputs.asked.drain(..).zip(turn.done) {
            log::user_action(&asked.action, &done);
            (asked.answer)(Some(done));
        }
        if !turn.jobs.is_empty() {
            crash_point!("claim.after");
        }
        self.new_rules.clear();
        self.recoveries.clear();
        self.totals = turn.totals;
        self.totals.steps.add(turn.writes.tally);
        self.totals.notices += turn.writes.notices.len() as u64;
        log::notices(&turn.writes.notices);
        if let Some(ask) = self.on_questions.as_ref().filter(|_| !turn.writes.questions.is_empty()) {
            ask(turn.writes.questions);
        }
        if let Some(export) = &self.on_committed {
            export(turn.writes.decisions, &turn.writes.notices);
        }
        memory.notices.remember(turn.writes.notices);
        turn.jobs
    }

    /// Rules that come into force with the next turn. Also called with the rules that the engine was created with, so
    /// that their texts are stored and refusals are reported.
    pub fn take_rules(&mut self, rules: NewRules) {
        let refused = matches!(rules, NewRules::Refused(_));
        // A refusal leaves the set before it; a new set replaces everything before it.
        self.new_rules.retain(|other| refused && !matches!(other, NewRules::Refused(_)));
        self.new_rules.push(rules);
    }

    /// Calls `tell` with the rules in force now, and with others as soon as they come into force.
    pub fn on_rules(&mut self, tell: impl Fn(&Rules) + Send + 'static) {
        tell(&self.setup.rules);
        self.on_rules = Some(Box::new(tell));
    }

    /// Calls `ask` with questions about pods, once the incidents that they are for are stored.
    pub(crate) fn on_questions(&mut self, ask: impl Fn(Vec<PodQuestion>) + Send + 'static) {
        self.on_questions = Some(Box::new(ask));
    }

    /// Calls `export` with the changes of Warnings and the notices of each turn, once they are stored. It must not wait.
    pub(crate) fn on_committed(&mut self, export: impl Fn(Vec<Decision>, &[Notice]) + Send + 'static) {
        self.on_committed = Some(Box::new(export));
    }

    /// When the next turn is due, if nothing happens before.
    pub(crate) fn next_wake(&mut self, now: Time) -> Time {
        let periodic = self.last_heartbeat.plus(HEARTBEAT).min(self.last_inbox.plus(INBOX));
        self.next_timer(now).map_or(periodic, |timer| timer.min(periodic))
    }

    /// The same without heartbeat and inbox: when something is due that people can see.
    pub fn next_timer(&mut self, now: Time) -> Option<Time> {
        let memory = self.memory.as_mut()?;
        [memory.state.next_wake(&self.setup), memory.outbox.next_wake(now)].into_iter().flatten().min()
    }

    /// Sets how many episodes may be known in all.
    pub fn limit_episodes(&mut self, most: usize) {
        if let Some(memory) = &mut self.memory {
            memory.state.limit_episodes(most);
        }
    }

    /// The core's state; none while the store cannot be read.
    pub fn state(&self) -> Option<&State> {
        self.memory.as_ref().map(|memory| &memory.state)
    }

    /// The outbox; none while the store cannot be read.
    pub fn outbox(&self) -> Option<&Outbox> {
        self.memory.as_ref().map(|memory| &memory.outbox)
    }

    /// The names of the configured sources.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.setup.sources.keys().map(|name| &**name)
    }

    /// Counts since the start.
    pub fn totals(&self) -> Totals {
        Totals { unknown_commits: self.store.unknown_commits(), ..self.totals }
    }

    /// The process is about to end: sends that are due leave after the next start.
    pub(crate) fn claim_nothing_more(&mut self) {
        self.claiming = false;
    }

    /// The lease by which this engine owns the store; `None` where it has no other owner.
    pub(crate) fn lease(&self) -> Option<Lease> {
        self.store.lease()
    }

    /// Renews the lease if no commit did for a while.
    ///
    /// # Errors
    /// When the lease is lost, or the store cannot be reached. Then memory is void and read again with the next turn.
    pub(crate) fn keep_lease(&mut self) -> Result<(), StoreError> {
        if self.store.lease().is_none_or(|lease| lease.left() + LEASE_RENEWAL > LEASE_TTL) {
            return Ok(());
        }
        self.store.renew().inspect_err(|_| self.throw_memory_away())
    }

    /// Lets another replica own the store at once. Nothing can be written any more.
    pub(crate) fn give_store_up(&mut self) {
        if let Err(error) = self.store.release() {
            tracing::warn!(%error, "the store could not be given up; another replica takes it over when the lease ends");
        }
    }

    fn throw_memory_away(&mut self) {
        if let Some(mut memory) = self.memory.take() {
            self.workloads = memory.state.take_workloads();
        }
    }

    /// How many answers are outstanding.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    fn delete_old(&mut self, now: Time) {
        if now < self.last_delete_old.plus(DELETE_OLD) {
            return;
        }
        match self.store.delete_old(now) {
            Ok(true) => {}
            Ok(false) => self.last_delete_old = now,
            Err(error) => {
                tracing::warn!(%error, "old data could not be deleted; trying again in an hour, if the store is still owned");
                self.last_delete_old = now;
            }
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("store", &self.store).field("totals", &self.totals).finish_non_exhaustive()
    }
}
