//! Handles a clock that was set: shifts every time that podbell took from its own clock, so that what was due in five
//! minutes stays due in five minutes. Ends of windows and daily lines follow the calendar and stay, and so do the
//! cluster's dates.

use super::deletions::Deletions;
use super::lag::Lag;
use super::{Failing, Setup, State, StepContext, TargetState, Writes};
use crate::time::{Jump, Time};

impl State {
    /// Shifts the times of podbell's own clock by `by`; `now` is the time after the clock was set.
    pub fn clock_set(&mut self, by: Jump, setup: &Setup, now: Time, writes: &mut Writes) {
        let mut cx = StepContext { setup, now, writes };
        self.carry_rollouts(by, &mut cx);
        for (target, state) in &mut self.targets {
            let TargetState { last_good, failing, discovered: _, readings, ages: _, absences: _, unusable: _ } = state;
            if let Some(last_good) = last_good {
                last_good.carry(by);
            }
            if let Some(Failing { since, trouble: _, other }) = failing {
                since.carry(by);
                if let Some((_, since)) = other {
                    since.carry(by);
                }
            }
            if let Some(readings) = readings {
                readings.clock_set(by);
            }
            cx.writes.targets.insert(target.clone());
        }
        self.carry_workloads(by);
        self.incidents.values_mut().for_each(|incident| incident.clock_set(by));
        cx.writes.incidents.extend(self.incidents.keys());
        for trouble in self.troubles.values_mut() {
            let affected = trouble.members.values_mut().chain(trouble.targets.values_mut());
            let told = trouble.told.iter_mut().map(|(at, _)| at);
            for at in affected.chain([&mut trouble.since, &mut trouble.tell_at]).chain(told) {
                at.carry(by);
            }
            cx.writes.troubles.insert(trouble.id);
        }
        for (name, source) in &mut self.sources {
            let blind = source.blind.iter_mut();
            let blind =
                blind.flat_map(|blind| [&mut blind.from, &mut blind.until, &mut blind.tell_at, &mut blind.tell_by]);
            let own = [&mut source.first_good, &mut source.watched_since, &mut source.expired_at].into_iter().flatten();
            // The lag was measured by the old clock: measure it anew.
            source.lag = Lag::default();
            for at in own.chain(blind).chain(source.watched.values_mut()) {
                at.carry(by);
            }
            cx.writes.sources.insert(name.clone());
        }
        for (key, held) in &mut self.held {
            held.from.carry(by);
            cx.writes.held.insert(key.clone());
        }
        self.nodes_back.clear();
        self.deletions = Deletions::default();
        for mute in self.mutes.values_mut() {
            mute.from.carry(by);
            mute.until.carry(by);
            cx.writes.mutes.insert(mute.id);
        }
        for day in self.days.values_mut() {
            day.clock_set(by);
        }
        let ids: Vec<u64> = self.incidents.keys().copied().collect();
        for id in ids {
            self.schedule(id, cx.setup, cx.now);
        }
    }
}
