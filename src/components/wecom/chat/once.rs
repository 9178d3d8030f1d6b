//! Remembers what was heard already, with its answer. WeCom repeats what was not answered in time, and a command
//! must run once and have one answer. Pure except for its channels.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use podbell_core::time::Time;

/// Longer than a recorded request is let in (5 min before and after), and longer than WeCom repeats it.
const KEPT: Duration = Duration::from_secs(15 * 60);
/// People send fewer than this in that time.
const MOST: usize = 5_000;

/// An answer, once it is there.
pub(crate) type Answered = Option<Arc<str>>;

/// Whether something was heard before.
#[derive(Debug)]
pub(crate) enum Came {
    /// For the first time: the caller puts the answer here.
    First(watch::Sender<Answered>, watch::Receiver<Answered>),
    /// Again: the answer is here, or comes.
    Again(watch::Receiver<Answered>),
    /// Nothing more can be remembered, so nothing more is run.
    Full,
}

/// What was heard in the last quarter of an hour.
#[derive(Debug, Default)]
pub(crate) struct Once {
    known: HashMap<String, watch::Receiver<Answered>>,
    order: VecDeque<(Time, String)>,
}

impl Once {
    /// Whether that was heard before. It is known from now on.
    pub(crate) fn came(&mut self, id: &str, now: Time) -> Came {
        while self.order.front().is_some_and(|(at, _)| now.since(*at) > KEPT) {
            if let Some((_, id)) = self.order.pop_front() {
                self.known.remove(&id);
            }
        }
        if let Some(answer) = self.known.get(id) {
            return Came::Again(answer.clone());
        }
        if self.known.len() >= MOST {
            return Came::Full;
        }
        let (put, answer) = watch::channel(None);
        self.known.insert(id.to_owned(), answer.clone());
        self.order.push_back((now, id.to_owned()));
        Came::First(put, answer)
    }

    /// Forgets a message that nothing was done about: it may come again.
    pub(crate) fn forget(&mut self, id: &str) {
        self.known.remove(id);
        self.order.retain(|(_, known)| known != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_seconds(seconds)
    }

    #[test]
    fn what_comes_again_has_the_first_one_s_answer() {
        let mut once = Once::default();
        let Came::First(put, _) = once.came("1", at(0)) else { panic!() };
        let Came::Again(answer) = once.came("1", at(5)) else { panic!() };
        assert_eq!(*answer.borrow(), None);
        put.send_replace(Some("done".into()));
        assert_eq!(answer.borrow().as_deref(), Some("done"));
        assert!(matches!(once.came("1", at(900)), Came::Again(_)));
        assert!(matches!(once.came("1", at(901)), Came::First(..)));
        once.forget("1");
        assert!(matches!(once.came("1", at(901)), Came::First(..)));
    }

    #[test]
    fn memory_is_bounded_and_what_is_remembered_is_never_run_again() {
        let mut once = Once::default();
        for n in 0..2 * MOST {
            let came = once.came(&n.to_string(), at(0));
            assert_eq!(matches!(came, Came::First(..)), n < MOST);
        }
        assert_eq!((once.known.len(), once.order.len()), (MOST, MOST));
        assert!(matches!(once.came("0", at(1)), Came::Again(_)));
        assert!(matches!(once.came("new", at(901)), Came::First(..)));
        assert_eq!((once.known.len(), once.order.len()), (1, 1));
    }
}
