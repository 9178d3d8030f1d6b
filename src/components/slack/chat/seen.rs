//! Remembers what was heard already. Slack repeats what was not acknowledged in time, on this connection or
//! another, and a command must run once. Pure.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use podbell_core::time::Time;

/// Slack gives up sending an event again after some minutes.
const KEPT: Duration = Duration::from_secs(3600);
/// People send fewer than this in an hour; beyond it the oldest are forgotten.
const MOST: usize = 20_000;

/// Identities that were heard in the last hour.
#[derive(Debug, Default)]
pub(super) struct Seen {
    known: HashSet<String>,
    order: VecDeque<(Time, String)>,
}

impl Seen {
    /// Whether none of these was heard before. Remembers all of them: an event keeps its id in another envelope,
    /// and an envelope keeps its own on another connection.
    pub(crate) fn first_time(&mut self, ids: &[String], now: Time) -> bool {
        while self.order.len() > MOST || self.order.front().is_some_and(|(at, _)| now.since(*at) > KEPT) {
            if let Some((_, id)) = self.order.pop_front() {
                self.known.remove(&id);
            }
        }
        let first = !ids.iter().any(|id| self.known.contains(id));
        for id in ids {
            if self.known.insert(id.clone()) {
                self.order.push_back((now, id.clone()));
            }
        }
        first
    }

    /// Whether one of these was heard before.
    pub(crate) fn knows(&self, ids: &[String]) -> bool {
        ids.iter().any(|id| self.known.contains(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn what_shares_one_identity_is_the_same() {
        let (mut seen, now) = (Seen::default(), Time::from_seconds(0));
        assert!(seen.first_time(&ids(&["envelope 1", "event 1"]), now));
        assert!(!seen.first_time(&ids(&["envelope 2", "event 1"]), now));
        assert!(!seen.first_time(&ids(&["envelope 2"]), now), "known through its event");
        assert!(seen.first_time(&ids(&["envelope 3"]), now));
        assert!(seen.knows(&ids(&["event 1"])) && !seen.knows(&ids(&["event 2"])));
    }

    #[test]
    fn memory_ends_after_an_hour_and_at_a_number() {
        let mut seen = Seen::default();
        assert!(seen.first_time(&ids(&["a"]), Time::from_seconds(0)));
        assert!(!seen.first_time(&ids(&["a"]), Time::from_seconds(3600)));
        assert!(seen.first_time(&ids(&["a"]), Time::from_seconds(3601)));
        for n in 0..3 * MOST {
            seen.first_time(&[n.to_string()], Time::from_seconds(3601));
        }
        assert!(seen.order.len() <= MOST + 1 && seen.known.len() == seen.order.len());
    }
}
