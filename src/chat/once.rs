//! Remembers what was heard already, with its answer. Platforms send again what was not acknowledged in time, over
//! this connection or another one; a command must run once and have one answer. Pure except for its channels.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::watch;

use podbell_core::time::Time;

/// Longer than a recorded request is let in (5 min before and after), and longer than platforms repeat an event.
const KEPT: Duration = Duration::from_secs(3600);
/// People send fewer than this in that time.
const MAX: usize = 20_000;

/// An answer, once it is there.
pub(crate) type Answered<T> = Option<T>;

/// Whether something was heard before.
#[derive(Debug)]
pub(crate) enum Registered<T> {
    /// For the first time: the caller puts the answer here.
    First(watch::Sender<Answered<T>>, watch::Receiver<Answered<T>>),
    /// Again: the answer is here, or comes.
    Again(watch::Receiver<Answered<T>>),
    /// Nothing more can be remembered, so nothing more is run.
    Full,
}

/// What was heard in the last hour.
#[derive(Debug)]
pub(crate) struct Deduplicator<T> {
    known: HashMap<String, watch::Receiver<Answered<T>>>,
    order: VecDeque<(Time, String)>,
}

impl<T> Default for Deduplicator<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T> Deduplicator<T> {
    /// Whether one of these identities was heard before. All of them, as far as there is room, are known from now on: an
    /// event keeps its id in another envelope, and an envelope keeps its own on another connection.
    pub(crate) fn register(&mut self, ids: &[String], now: Time) -> Registered<T> {
        while self.order.front().is_some_and(|(at, _)| now.since(*at) > KEPT) {
            if let Some((_, id)) = self.order.pop_front() {
                self.known.remove(&id);
            }
        }
        if let Some(answer) = ids.iter().find_map(|id| self.known.get(id)).cloned() {
            self.remember(ids, &answer, now);
            return Registered::Again(answer);
        }
        if self.known.len() >= MAX {
            return Registered::Full;
        }
        let (put, answer) = watch::channel(None);
        self.remember(ids, &answer, now);
        Registered::First(put, answer)
    }

    /// Forgets what was registered last, because nothing was done about it: it may come again.
    pub(crate) fn forget_last(&mut self, ids: &[String]) {
        while let Some((_, id)) = self.order.pop_back_if(|(_, id)| ids.contains(id)) {
            self.known.remove(&id);
        }
    }

    fn remember(&mut self, ids: &[String], answer: &watch::Receiver<Answered<T>>, now: Time) {
        for id in ids {
            if !self.known.contains_key(id) && self.known.len() < MAX {
                self.known.insert(id.clone(), answer.clone());
                self.order.push_back((now, id.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_seconds(seconds)
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn what_comes_again_has_the_first_one_s_answer() {
        let mut once = Deduplicator::default();
        let Registered::First(put, _) = once.register(&ids(&["1"]), at(0)) else { panic!() };
        let Registered::Again(answer) = once.register(&ids(&["1"]), at(5)) else { panic!() };
        assert_eq!(*answer.borrow(), None);
        put.send_replace(Some("done"));
        assert_eq!(*answer.borrow(), Some("done"));
        assert!(matches!(once.register(&ids(&["1"]), at(3600)), Registered::Again(_)));
        assert!(matches!(once.register(&ids(&["1"]), at(3601)), Registered::First(..)));
        once.forget_last(&ids(&["1"]));
        assert!(matches!(once.register(&ids(&["1"]), at(3601)), Registered::First(..)));
    }

    #[test]
    fn what_shares_one_identity_is_the_same() {
        let mut once = Deduplicator::<()>::default();
        assert!(matches!(once.register(&ids(&["envelope 1", "event 1"]), at(0)), Registered::First(..)));
        assert!(matches!(once.register(&ids(&["envelope 2", "event 1"]), at(0)), Registered::Again(_)));
        assert!(matches!(once.register(&ids(&["envelope 2"]), at(0)), Registered::Again(_)), "known through its event");
        assert!(matches!(once.register(&ids(&["envelope 3"]), at(0)), Registered::First(..)));
    }

    #[test]
    fn memory_is_bounded_and_what_is_remembered_is_never_run_again() {
        let mut once = Deduplicator::<()>::default();
        for n in 0..2 * MAX {
            let registered = once.register(&[n.to_string()], at(0));
            assert_eq!(matches!(registered, Registered::First(..)), n < MAX);
        }
        assert_eq!((once.known.len(), once.order.len()), (MAX, MAX));
        assert!(matches!(once.register(&ids(&["0"]), at(1)), Registered::Again(_)));
        assert!(matches!(once.register(&ids(&["new"]), at(3601)), Registered::First(..)));
        assert_eq!((once.known.len(), once.order.len()), (1, 1));
    }
}
