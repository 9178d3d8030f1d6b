//! The engine: what happened -> step -> one commit -> what may leave.
//!
//! It owns the store and both mirrors, and is the only writer. It does no I/O but the store's, reads
//! no clock and starts no task, so that tests and the demo drive it in virtual time; [`crate::app`]
//! feeds it and carries out its jobs.

mod commands;
mod complaints;
mod happened;
mod log;
mod mirror;
mod rules;
mod sends;
mod take_in;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use self::complaints::Complaints;
pub use self::happened::{Asked, Happened, NewRules};
use self::mirror::Mirror;
use crate::sources::{SourceEvent, bounds};
use podbell_core::deed::Done;
use podbell_core::outbox::{Outbox, OutboxWrites, Outcome, Parcel, Policy, SendId, Signal};
use podbell_core::rules::Rules;
use podbell_core::rules::rule::Destination;
use podbell_core::step::{Input, Setup, State, Tally, Writes, step};
use podbell_core::time::{Jump, Time};
use podbell_store::crash_point;
use podbell_store::{Commit, InboxItem, Mishap, Store, StoreError};

/// How often a service without news says that it is alive: what is unknown after a crash.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often the inbox is read.
pub const INBOX: Duration = Duration::from_secs(1);
/// How often old data is deleted.
pub const TIDY: Duration = Duration::from_secs(3600);

/// Renders notices into the body of a request, which is frozen then. Pure.
pub trait Freeze: Send {
    /// The body for `destination`.
    fn freeze(&self, destination: &Destination, parcel: &Parcel<'_>, message_id: &str, now: Time) -> Vec<u8>;
}

/// A request that may leave: its claim is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendJob {
    /// Which send.
    pub send: SendId,
    /// To whom.
    pub destination: Destination,
    /// The same for every repetition.
    pub message_id: String,
    /// Frozen.
    pub body: Vec<u8>,
}

/// What an engine is made of.
pub struct Parts {
    /// The store; the caller owns it.
    pub store: Store,
    /// Rules, sources, operator.
    pub setup: Setup,
    /// The destinations.
    pub policies: BTreeMap<Destination, Policy>,
    /// Their renderer.
    pub freeze: Box<dyn Freeze>,
    /// Numbers between 0 and 1.
    pub chance: Box<dyn FnMut() -> f64 + Send>,
}

/// See the module.
pub struct Engine {
    store: Store,
    setup: Setup,
    policies: BTreeMap<Destination, Policy>,
    freeze: Box<dyn Freeze>,
    chance: Box<dyn FnMut() -> f64 + Send>,
    mirror: Option<Mirror>,
    /// Sends whose answer is outstanding in this process.
    in_flight: HashSet<SendId>,
    /// Answers that a failed commit left unrecorded.
    unrecorded: Vec<(SendId, Outcome)>,
    /// Rules that were not taken over yet, or whose commit failed.
    /// Rules to take over: at most one set, and one refusal that came after it.
    new_rules: Vec<NewRules>,
    /// Rosters that a failed commit left out: a source may say them only once.
    unheard: Vec<SourceEvent>,
    tally: Totals,
    complaints: Complaints,
    last_heartbeat: Time,
    last_inbox: Time,
    last_tidy: Time,
    claiming: bool,
    /// Since when podbell did not run before this start, until that is written.
    down: Option<(Time, Time)>,
    on_rules: Option<TellRules>,
    /// What became of the store, until that is written.
    mishaps: Vec<Mishap>,
    /// The moment of the last turn.
    last_turn: Time,
    /// By how much the clock was set since the last turn,
    jump: Jump,
    /// and since the last commit: so far behind is the store.
    uncommitted_jump: Jump,
}

/// Hears of rules that hold from now on.
type TellRules = Box<dyn Fn(&Rules) + Send>;

/// What one commit will hold.
#[derive(Default)]
struct Batch {
    writes: Writes,
    outbox: OutboxWrites,
    answered: Vec<(InboxItem, String)>,
    bodies: HashMap<SendId, Vec<u8>>,
    /// How many of `writes.notices` are on their way already.
    posted: usize,
    generation: Option<u64>,
    good_rules: Vec<(String, String)>,
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
    /// Requests that did not.
    pub undelivered: u64,
    /// Commits.
    pub commits: u64,
    /// Commits that failed.
    pub failed_commits: u64,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.writes.is_empty()
            && self.outbox.is_empty()
            && self.answered.is_empty()
            && self.generation.is_none()
            && self.good_rules.is_empty()
    }
}

impl Engine {
    /// An engine that goes on where the store's last owner ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(parts: Parts, now: Time) -> Result<Self, StoreError> {
        let Parts { store, setup, policies, freeze, chance } = parts;
        let mut engine = Self {
            store,
            setup,
            policies,
            freeze,
            chance,
            mirror: None,
            in_flight: HashSet::new(),
            unrecorded: Vec::new(),
            new_rules: Vec::new(),
            unheard: Vec::new(),
            tally: Totals::default(),
            complaints: Complaints::default(),
            last_heartbeat: Time::default(),
            last_inbox: Time::default(),
            last_tidy: now,
            claiming: true,
            down: None,
            on_rules: None,
            mishaps: Vec::new(),
            last_turn: now,
            jump: Jump::NONE,
            uncommitted_jump: Jump::NONE,
        };
        let heartbeat = engine.store.heartbeat()?;
        engine.down = heartbeat.filter(|beat| *beat < now).map(|beat| (beat, now));
        // The store knows a later moment than the clock: that was set back meanwhile.
        engine.uncommitted_jump =
            heartbeat.filter(|beat| *beat > now).map_or(Jump::NONE, |beat| Jump::between(beat, now));
        engine.mirror = Some(engine.read_mirror(now)?);
        Ok(engine)
    }

    /// Takes in what happened, commits it, and hands out what may leave.
    ///
    /// # Errors
    /// When the commit fails: then nothing of it happened but for answers, which are recorded
    /// with the next turn, and memory equals the store again.
    pub fn turn(&mut self, happened: Vec<Happened>, now: Time) -> Result<Vec<SendJob>, StoreError> {
        let now = self.notice_a_clock_set_back(now);
        let mut answers = std::mem::take(&mut self.unrecorded);
        let mut events = std::mem::take(&mut self.unheard);
        let mut asked = Vec::new();
        for one in happened {
            match one {
                Happened::Source(event) => events.push(event.bounded()),
                Happened::Answered(send, outcome) => answers.push((send, outcome)),
                Happened::Rules(rules) => self.take_rules(*rules),
                Happened::Asked(mut one) => {
                    bounds::deed(&mut one.deed);
                    asked.push(one);
                }
            }
        }
        let mut mirror = match self.mirror.take() {
            Some(mirror) => mirror,
            None => match self.store.come_back().and_then(|()| self.read_mirror(now)) {
                Ok(mirror) => mirror,
                Err(error) => {
                    self.keep_for_later(events, answers);
                    asked.into_iter().for_each(|one| (one.answer)(None));
                    return Err(error);
                }
            },
        };
        let turned = self.try_turn(&mut mirror, &events, &answers, &mut asked, now);
        self.jump = Jump::NONE;
        match turned {
            Ok(jobs) => {
                self.mirror = Some(mirror);
                for (send, _) in answers {
                    self.in_flight.remove(&send);
                }
                self.in_flight.extend(jobs.iter().map(|job| job.send));
                Ok(jobs)
            }
            Err(error) => {
                self.tally.failed_commits += 1;
                self.keep_for_later(events, answers);
                asked.into_iter().for_each(|one| (one.answer)(None));
                // A mirror of what cannot be read is none; the next turn tries both again.
                let back = if error.is_final() { Ok(()) } else { self.store.come_back() };
                self.mirror = back.and_then(|()| self.read_mirror(now)).ok();
                Err(error)
            }
        }
    }

    /// Polls are read again by themselves, and watches are told to list again; answers and rosters are kept.
    fn keep_for_later(&mut self, events: Vec<SourceEvent>, answers: Vec<(SendId, Outcome)>) {
        self.unrecorded = answers;
        for event in events {
            if let SourceEvent::Seen { receipt, .. } | SourceEvent::Swept { receipt, .. } = &event {
                receipt.lost();
            }
            let SourceEvent::Roster { source, complete, .. } = &event else { continue };
            if *complete {
                // Whatever was said before of that source is outdated.
                self.unheard.retain(|old| !matches!(old, SourceEvent::Roster { source: of, .. } if of == source));
            }
            self.unheard.push(event);
        }
    }

    /// Rules to take over with the next turn: those that the engine was made with, so that their
    /// texts are stored and what was refused is told.
    pub fn take_rules(&mut self, rules: NewRules) {
        let refused = matches!(rules, NewRules::Refused(_));
        // A refusal takes nothing back; a set makes everything before it old.
        self.new_rules.retain(|other| refused && !matches!(other, NewRules::Refused(_)));
        self.new_rules.push(rules);
    }

    /// Who hears of the rules that hold: of those now, and of others as soon as they do.
    pub fn on_rules(&mut self, tell: impl Fn(&Rules) + Send + 'static) {
        tell(&self.setup.rules);
        self.on_rules = Some(Box::new(tell));
    }

    /// When the next turn is due, if nothing happens before.
    pub fn next_wake(&mut self, now: Time) -> Time {
        let periodic = self.last_heartbeat.plus(HEARTBEAT).min(self.last_inbox.plus(INBOX));
        self.next_timer(now).map_or(periodic, |timer| timer.min(periodic))
    }

    /// The same without heartbeat and inbox: when something is due that people can see.
    pub fn next_timer(&mut self, now: Time) -> Option<Time> {
        let mirror = self.mirror.as_mut()?;
        [mirror.state.next_wake(&self.setup), mirror.outbox.next_wake(now)].into_iter().flatten().min()
    }

    /// Sets how many episodes may be known in all.
    pub fn limit_episodes(&mut self, most: usize) {
        if let Some(mirror) = &mut self.mirror {
            mirror.state.limit_episodes(most);
        }
    }

    /// The core's mirror; none while the store cannot be read.
    pub fn state(&self) -> Option<&State> {
        self.mirror.as_ref().map(|mirror| &mirror.state)
    }

    /// The outbox's mirror; none while the store cannot be read.
    pub fn outbox(&self) -> Option<&Outbox> {
        self.mirror.as_ref().map(|mirror| &mirror.outbox)
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Counts since the start.
    pub fn totals(&self) -> Totals {
        self.tally
    }

    /// The process is about to end: what is due leaves after the next start.
    pub fn claim_nothing_more(&mut self) {
        self.claiming = false;
    }

    /// How many answers are outstanding.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    fn try_turn(
        &mut self,
        mirror: &mut Mirror,
        events: &[SourceEvent],
        answers: &[(SendId, Outcome)],
        asked: &mut Vec<Asked>,
        now: Time,
    ) -> Result<Vec<SendJob>, StoreError> {
        let mut batch = std::mem::take(&mut mirror.pending);
        let mut tally = self.tally;
        // Before the polls of this turn: each is judged by one generation.
        for rules in &self.new_rules.clone() {
            self.take_over(rules, mirror, now, &mut batch)?;
        }
        for event in events {
            self.take_in(mirror, event, now, &mut batch)?;
            self.complaints.of_source(event, now);
            tally.failed_polls +=
                u64::from(matches!(event, SourceEvent::Failed { .. } | SourceEvent::Unwatched { .. }));
        }
        for (send, outcome) in answers {
            let delivered = outcome.arrived();
            tally.delivered += u64::from(delivered);
            tally.undelivered += u64::from(!delivered);
            if let Some(destination) = mirror.outbox.receiver_of(*send) {
                self.complaints.of_destination(destination, outcome, now);
                // Bringing a message up to date tells nobody.
                if let Some(destination) = mirror.outbox.listener_of(*send).filter(|_| delivered) {
                    step(&mut mirror.state, &self.setup, Input::Told { destination }, now, &mut batch.writes);
                }
            }
            mirror.outbox.record(*send, outcome.clone(), (self.chance)(), now, &mut batch.outbox);
        }
        if now >= self.last_inbox.plus(INBOX) {
            self.last_inbox = now;
            for item in self.store.inbox()? {
                let answer = commands::carry_out(&self.store, &self.setup, mirror, &item.command, now, &mut batch)?;
                batch.answered.push((item, answer));
            }
        }
        let act = |one: &Asked| mirror.state.act(&self.setup, &one.deed, now, &mut batch.writes);
        let done: Vec<Done> = asked.iter().map(act).collect();
        self.mishaps.extend(self.store.take_mishaps());
        for Mishap { fate, kept } in &self.mishaps {
            let kept = kept.as_ref().map(|kept| kept.display().to_string());
            let input = Input::Store { fate, kept: kept.as_deref() };
            step(&mut mirror.state, &self.setup, input, now, &mut batch.writes);
        }
        step(&mut mirror.state, &self.setup, Input::Tick, now, &mut batch.writes);
        mirror.outbox.tick(now, &mut batch.outbox);
        self.post(mirror, now, &mut batch);
        Self::tell_threads(mirror, &mut batch, now);
        let jobs = if self.claiming { mirror.outbox.claim(now, &mut batch.outbox) } else { Vec::new() };
        self.freeze_bodies(mirror, &mut batch, now)?;
        let beats = now >= self.last_heartbeat.plus(HEARTBEAT) || !self.uncommitted_jump.is_none();
        let heartbeat = beats.then_some(now);
        if !jobs.is_empty() {
            crash_point!("claim.before");
        }
        if heartbeat.is_some() || !batch.is_empty() {
            self.store.commit(&Commit {
                state: &mirror.state,
                writes: &batch.writes,
                outbox: &mirror.outbox,
                outbox_writes: &batch.outbox,
                bodies: &batch.bodies,
                answered: &batch.answered,
                generation: batch.generation,
                good_rules: &batch.good_rules,
                down: self.down,
                heartbeat,
                now,
            })?;
            self.down = None;
            self.uncommitted_jump = Jump::NONE;
            tally.commits += 1;
        }
        for (one, done) in asked.drain(..).zip(done) {
            log::deed(&one.deed, &done);
            (one.answer)(Some(done));
        }
        if !jobs.is_empty() {
            crash_point!("claim.after");
        }
        self.new_rules.clear();
        self.mishaps.clear();
        self.last_heartbeat = heartbeat.unwrap_or(self.last_heartbeat);
        tally.steps.add(batch.writes.tally);
        tally.notices += batch.writes.notices.len() as u64;
        self.tally = tally;
        log::notices(&batch.writes.notices);
        self.tidy(now);
        jobs.into_iter().map(|job| self.send_job(job, &mut batch)).collect()
    }

    /// Puts new notices on their way, and what that leads to: trouble with one destination is told
    /// to the others.
    fn post(&self, mirror: &mut Mirror, now: Time, batch: &mut Batch) {
        loop {
            let new = batch.writes.notices.get(batch.posted..).unwrap_or_default();
            for notice in new {
                log::lost(notice, &self.policies);
                mirror.outbox.add(notice, now, &mut batch.outbox);
            }
            batch.posted = batch.writes.notices.len();
            let signals = std::mem::take(&mut batch.outbox.signals);
            if signals.is_empty() {
                return;
            }
            for signal in &signals {
                let input = match signal {
                    Signal::Trouble(name, error) => {
                        tracing::warn!(destination = %name, code = error.code, text = error.text, "a destination does not take messages");
                        Input::Destination { name, error: Some(error) }
                    }
                    Signal::Recovered(name) => {
                        tracing::info!(destination = %name, "a destination takes messages again");
                        Input::Destination { name, error: None }
                    }
                    Signal::Dead(destination, deliveries, why) => {
                        tracing::error!(destination = %destination, deliveries, why, "deliveries were given up; see podbell outbox list");
                        Input::Dead { destination, deliveries: *deliveries, why }
                    }
                };
                step(&mut mirror.state, &self.setup, input, now, &mut batch.writes);
            }
        }
    }

    fn tidy(&mut self, now: Time) {
        if now < self.last_tidy.plus(TIDY) {
            return;
        }
        match self.store.tidy(now) {
            Ok(true) => {}
            Ok(false) => self.last_tidy = now,
            Err(error) => {
                tracing::warn!(%error, "old data could not be deleted; trying again in an hour");
                self.last_tidy = now;
            }
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("store", &self.store.path()).field("totals", &self.tally).finish_non_exhaustive()
    }
}
