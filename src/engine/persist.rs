//! One commit of all that a turn decided.

use super::{Engine, HEARTBEAT, InMemoryState, TurnResult};
use podbell_core::time::Jump;
use podbell_store::{Batch, Changes, StoreError, crash_point};

impl Engine {
    /// Commits what was decided, if there is anything to commit.
    ///
    /// # Errors
    /// When the store does not take it.
    pub(super) fn persist(&mut self, memory: &InMemoryState, turn: &mut TurnResult) -> Result<(), StoreError> {
        if !turn.jobs.is_empty() {
            crash_point!("claim.before");
        }
        let beats = turn.now >= self.last_heartbeat.plus(HEARTBEAT) || !self.uncommitted_jump.is_none();
        if !beats && turn.is_empty() {
            return Ok(());
        }
        let changes = Changes {
            state: &memory.state,
            writes: &mut turn.writes,
            outbox: &memory.outbox,
            outbox_writes: &turn.outbox,
            bodies: &turn.bodies,
            down: self.down,
        };
        let mut batch = Batch::of(changes, turn.now)?;
        batch.answered = std::mem::take(&mut turn.answered);
        batch.rules_generation = turn.rules_generation;
        batch.good_rules = std::mem::take(&mut turn.good_rules);
        if beats {
            batch.heartbeat = Some(turn.now);
            batch.add_days(&memory.state)?;
        }
        self.store.commit(&batch)?;
        if beats {
            self.last_heartbeat = turn.now;
        }
        self.down = None;
        self.uncommitted_jump = Jump::NONE;
        turn.totals.commits += 1;
        Ok(())
    }
}
