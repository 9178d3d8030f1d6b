//! The engine's copy of the store in memory, and its adjustment when the wall clock is set.

use std::collections::{BTreeMap, HashMap};

use super::{Engine, TurnResult};
use podbell_core::notice::Notice;
use podbell_core::outbox::Outbox;
use podbell_core::step::{Input, Setup, State, step};
use podbell_core::time::{Jump, Time};
use podbell_store::{StoreError, StoredState};

/// State that is dropped and read again when a commit fails.
pub(super) struct InMemoryState {
    pub state: State,
    pub outbox: Outbox,
    /// Notices that may still be on their way.
    pub notices: KnownNotices,
    /// Writes that restoring produced; they go into the first commit.
    pub pending: TurnResult,
}

/// Notices that are rendered without a read of the store.
#[derive(Default)]
pub(super) struct KnownNotices {
    newest: BTreeMap<u64, Notice>,
    /// Older ones, read together with those that the next messages carry: with a read for each message, thousands that wait
    /// for a store that is far away would leave half as fast.
    read: BTreeMap<u64, Notice>,
}

/// How many of the newest notices are kept: some 4 MB. Those that were read are forgotten at the next read once they are more.
const MAX: usize = 1_000;

impl KnownNotices {
    pub(crate) fn get(&self, id: u64) -> Option<&Notice> {
        self.newest.get(&id).or_else(|| self.read.get(&id))
    }

    pub(crate) fn remember(&mut self, notices: Vec<Notice>) {
        self.newest.extend(notices.into_iter().map(|notice| (notice.id, notice)));
        while self.newest.len() > MAX {
            self.newest.pop_first();
        }
    }

    pub(crate) fn keep_read(&mut self, notices: HashMap<u64, Notice>) {
        self.read.extend(notices);
    }

    /// Forgets what was read, if that is much.
    pub(crate) fn make_room(&mut self) {
        if self.read.len() > MAX {
            self.read.clear();
        }
    }
}

impl InMemoryState {
    /// Shifts all times in memory after the wall clock was set. The next commit writes them.
    pub(super) fn clock_set(&mut self, by: Jump, setup: &Setup, now: Time) {
        if !by.is_none() {
            self.state.clock_set(by, setup, now, &mut self.pending.writes);
            self.outbox.clock_set(by, now, &mut self.pending.outbox);
        }
    }
}

impl Engine {
    /// The clock was set since the last turn, and it is `now`: what was due in five minutes is still due in five
    /// minutes. A caller with two clocks reports each jump; without that, the engine only notices a clock that was set
    /// back.
    pub fn clock_set(&mut self, by: Jump, now: Time) {
        if by.is_none() {
            return;
        }
        self.jump = self.jump.and(by);
        self.uncommitted_jump = self.uncommitted_jump.and(by);
        for last in [&mut self.last_turn, &mut self.last_inbox, &mut self.last_heartbeat, &mut self.last_delete_old] {
            last.carry(by);
        }
        self.throttle.clock_set(by);
        self.workloads.clock_set(by);
        if let Some(memory) = &mut self.memory {
            memory.clock_set(by, &self.setup, now);
        }
    }

    /// The time of this turn. When the clock goes back by less than a second, the time stands still until the clock
    /// catches up.
    pub(super) fn notice_a_clock_set_back(&mut self, now: Time) -> Time {
        let back = Jump::between(self.last_turn, now);
        if back.is_back() && back.length() >= Jump::MIN_LENGTH {
            self.clock_set(back, now);
        }
        self.last_turn = self.last_turn.max(now);
        self.last_turn
    }

    /// After an error: makes the store usable again and reads it.
    pub(super) fn read_again(&mut self, now: Time) -> Result<InMemoryState, StoreError> {
        self.store.reconnect()?;
        let loaded = self.store.load()?;
        Ok(self.rebuild(loaded, now))
    }

    /// Rebuilds everything from what the store holds.
    pub(super) fn rebuild(&mut self, loaded: StoredState, now: Time) -> InMemoryState {
        let mut pending = TurnResult::default();
        // Stored times belong to the clock before the jump: restore them by that clock, then shift them.
        let jump = self.uncommitted_jump;
        let then = now.moved(jump.undone());
        let state = State::restore(loaded.state, &self.setup, then);
        let outbox = Outbox::restore(loaded.outbox, self.policies.clone(), then, &mut pending.outbox);
        let mut memory = InMemoryState { state, outbox, notices: KnownNotices::default(), pending };
        memory.clock_set(jump, &self.setup, now);
        let InMemoryState { state, outbox, pending, .. } = &mut memory;
        state.adopt_workloads(std::mem::take(&mut self.workloads));
        // Before anything is told under the old name, and before the rules are adopted: they know the new name only, and would
        // drop what the old one waits for.
        for (from, to) in &pending.outbox.renamed {
            tracing::info!(from = %from, to = %to, "a destination has a new name; its deliveries go there");
            state.rename_destination(from, to, &mut pending.writes);
        }
        state.forget_unwatched(&self.setup, now, &mut pending.writes);
        let generation = self.setup.rules.generation();
        if loaded.rules_generation != Some(generation) {
            pending.rules_generation = Some(generation);
            step(state, &self.setup, Input::RulesChanged, now, &mut pending.writes);
        }
        outbox.still_in_flight(&self.in_flight);
        state.keep_destinations(&self.setup.destinations);
        for incident in outbox.threaded() {
            match state.message_state(incident) {
                Some(message_state) => outbox.want(incident, message_state, now),
                None => outbox.end(incident, now, &mut pending.outbox),
            }
        }
        memory
    }
}
