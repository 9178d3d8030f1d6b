//! When each target is read. Pure: time is an argument, counted from the start of the poller.
//!
//! Every target has a phase within the interval that it keeps for life. The k-th phase is k with
//! its bits mirrored (0, 1/2, 1/4, 3/4, 1/8, ...): at any number of targets the phases are spread
//! evenly, and a new one falls into the widest gap without moving the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use podbell_core::event::Target;

/// First reads are spread over at most this time, instead of waiting for their phase.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// The turns of a source's targets.
#[derive(Debug)]
pub(crate) struct Schedule {
    every: Duration,
    slots: BTreeMap<Target, Slot>,
    /// Turns to come. A target that is being read or was removed has no valid one. Turns hold indexes: comparing
    /// names hundreds of times a second would cost as much as signing the requests.
    turns: BinaryHeap<Reverse<(Duration, u64, u32)>>,
    /// By index: the target, and the serial of its valid turn. Turns with other serials are stale.
    current: Vec<Option<(Target, u64)>>,
    free: BTreeSet<u32>,
    next_serial: u64,
}

#[derive(Debug)]
struct Slot {
    index: u32,
    phase: Duration,
}

impl Schedule {
    /// Has no targets yet. `every` is at least a millisecond.
    pub(crate) fn new(every: Duration) -> Self {
        Self {
            every: every.max(Duration::from_millis(1)),
            slots: BTreeMap::new(),
            turns: BinaryHeap::new(),
            current: Vec::new(),
            free: BTreeSet::new(),
            next_serial: 0,
        }
    }

    /// How many targets there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Replaces the targets: new ones are read soon, the others keep their turns.
    pub(crate) fn watch(&mut self, targets: &BTreeSet<Target>, now: Duration) {
        let gone: Vec<_> = self.slots.keys().filter(|target| !targets.contains(*target)).cloned().collect();
        for target in gone {
            if let Some(slot) = self.slots.remove(&target) {
                self.free.insert(slot.index);
                if let Some(current) = self.current_mut(slot.index) {
                    *current = None;
                }
            }
        }
        for target in targets {
            if !self.slots.contains_key(target) {
                self.add(target, now);
            }
        }
    }

    fn add(&mut self, target: &Target, now: Duration) {
        let index = self.free.pop_first().unwrap_or_else(|| {
            self.current.push(None);
            u32::try_from(self.current.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(current) = self.current_mut(index) {
            *current = Some((target.clone(), 0));
        }
        let fraction = f64::from(index.reverse_bits()) / 2_f64.powi(32);
        self.slots.insert(target.clone(), Slot { index, phase: self.every.mul_f64(fraction) });
        self.push(index, now + self.every.min(FIRST_WITHIN).mul_f64(fraction));
    }

    fn current_mut(&mut self, index: u32) -> Option<&mut Option<(Target, u64)>> {
        self.current.get_mut(usize::try_from(index).ok()?)
    }

    fn current(&self, index: u32) -> Option<&(Target, u64)> {
        self.current.get(usize::try_from(index).ok()?)?.as_ref()
    }

    fn push(&mut self, index: u32, due: Duration) {
        let next = self.next_serial + 1;
        let Some(Some((_, serial))) = self.current_mut(index) else { return };
        *serial = next;
        self.next_serial = next;
        self.turns.push(Reverse((due, next, index)));
    }

    /// When the next turn is.
    pub(crate) fn next_turn(&mut self) -> Option<Duration> {
        while let Some(Reverse((due, serial, index))) = self.turns.peek() {
            if self.current(*index).is_some_and(|(_, current)| current == serial) {
                return Some(*due);
            }
            self.turns.pop();
        }
        None
    }

    /// The target that has been due for longest. It gets no other turn until [`Self::done`].
    pub(crate) fn take(&mut self, now: Duration) -> Option<Target> {
        let due = self.next_turn()?;
        if due > now {
            return None;
        }
        let Reverse((_, _, index)) = self.turns.pop()?;
        self.current(index).map(|(target, _)| target.clone())
    }

    /// A target was read, successfully or not: its next turn is its next phase. Turns that came while it waited or
    /// was being read are skipped.
    pub(crate) fn done(&mut self, target: &Target, now: Duration) {
        let Some(slot) = self.slots.get(target) else { return };
        let every = self.every.as_nanos();
        let round = if now < slot.phase { 0 } else { (now - slot.phase).as_nanos() / every + 1 };
        let due = slot.phase + self.every.saturating_mul(u32::try_from(round).unwrap_or(u32::MAX));
        self.push(slot.index, due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(60);

    fn target(n: usize) -> Target {
        Target::new("prod", "cls-1", "default", &format!("s{n:05}"))
    }

    fn targets(range: std::ops::Range<usize>) -> BTreeSet<Target> {
        range.map(target).collect()
    }

    /// Reads everything that is due each 10 ms; every read takes `takes`.
    fn play(schedule: &mut Schedule, from: u64, until: u64, takes: Duration) -> Vec<(Duration, Target)> {
        let mut read = Vec::new();
        let mut running: Vec<(Duration, Target)> = Vec::new();
        for step in from * 100..until * 100 {
            let now = Duration::from_millis(step * 10);
            running.retain(|(end, target)| {
                let over = *end <= now;
                if over {
                    schedule.done(target, now);
                }
                !over
            });
            while let Some(target) = schedule.take(now) {
                assert!(!running.iter().any(|(_, other)| *other == target), "read twice at once");
                read.push((now, target.clone()));
                running.push((now + takes, target));
            }
        }
        read
    }

    #[test]
    fn reads_are_spread_evenly_over_the_interval() {
        for count in [1, 3, 10, 600, 1000] {
            let mut schedule = Schedule::new(EVERY);
            schedule.watch(&targets(0..count), Duration::ZERO);
            play(&mut schedule, 0, 60, Duration::ZERO);
            let read = play(&mut schedule, 60, 120, Duration::ZERO);
            assert_eq!(read.len(), count);
            for window in 0..6_u64 {
                let within = |at: Duration| at.as_secs() / 10 == 6 + window;
                let share = read.iter().filter(|(at, _)| within(*at)).count();
                let fair = count / 6;
                assert!(share <= fair + 12 && share + 12 >= fair, "{count} targets: {share} in window {window}");
            }
        }
    }

    #[test]
    fn every_target_is_read_once_an_interval_and_at_start_soon() {
        let mut schedule = Schedule::new(EVERY);
        schedule.watch(&targets(0..100), Duration::ZERO);
        let read = play(&mut schedule, 0, 600, Duration::from_secs(1));
        for n in 0..100 {
            let times: Vec<_> = read.iter().filter(|(_, one)| *one == target(n)).map(|(at, _)| *at).collect();
            assert!(times[0] <= FIRST_WITHIN);
            // A first read may run into its own first turn, which is then skipped.
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= EVERY + Duration::from_secs(1)));
            assert!(times.windows(2).skip(1).all(|pair| pair[1] - pair[0] + Duration::from_millis(10) >= EVERY));
        }
    }

    #[test]
    fn a_new_target_is_read_soon_and_moves_no_other() {
        let mut schedule = Schedule::new(EVERY);
        schedule.watch(&targets(0..10), Duration::ZERO);
        let before = play(&mut schedule, 0, 120, Duration::ZERO);
        schedule.watch(&targets(0..11), Duration::from_secs(120));
        let after = play(&mut schedule, 120, 180, Duration::ZERO);
        let first = after.iter().find(|(_, one)| *one == target(10)).unwrap();
        assert!(first.0 <= Duration::from_secs(125));
        for n in 0..10 {
            let last = before.iter().rev().find(|(_, one)| *one == target(n)).unwrap();
            let next = after.iter().find(|(_, one)| *one == target(n)).unwrap();
            assert_eq!(next.0 - last.0, EVERY);
        }
    }

    #[test]
    fn a_read_that_runs_into_its_next_turn_skips_it() {
        let mut schedule = Schedule::new(EVERY);
        schedule.watch(&targets(0..1), Duration::ZERO);
        let read = play(&mut schedule, 0, 600, Duration::from_secs(61));
        let times: Vec<_> = read.iter().map(|(at, _)| at.as_secs()).collect();
        assert_eq!(times, [0, 120, 240, 360, 480]);
    }

    #[test]
    fn a_target_that_goes_is_read_no_more_and_leaves_its_place() {
        let mut schedule = Schedule::new(EVERY);
        schedule.watch(&targets(0..4), Duration::ZERO);
        let running = schedule.take(Duration::ZERO).unwrap();
        schedule.watch(&targets(3..5), Duration::ZERO);
        schedule.done(&running, Duration::ZERO);
        let read = play(&mut schedule, 0, 120, Duration::ZERO);
        assert!(read.iter().all(|(_, one)| *one == target(3) || *one == target(4)));
        assert_eq!((schedule.len(), schedule.current.len()), (2, 4));
    }
}
