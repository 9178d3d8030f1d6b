//! How fast a chat posts answers into one conversation: the same window that the outbox keeps for messages.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use podbell_core::outbox::pace::{Pace, RateWindow};
use podbell_core::rule::Severity;
use podbell_core::time::Time;

/// How many conversations are remembered.
const MAX: usize = 1_000;

/// The windows of a chat's conversations.
#[derive(Debug)]
pub(crate) struct Rate {
    pace: Pace,
    windows: Mutex<HashMap<String, RateWindow>>,
}

impl Rate {
    /// One with this pace for each conversation.
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, windows: Mutex::default() }
    }

    /// Takes the next place in a conversation if it is free, else says how long that will take.
    pub(crate) fn take(&self, conversation: &str, now: Time) -> Result<(), Duration> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= MAX && !windows.contains_key(conversation) {
            windows.retain(|_, window| !window.is_free(self.pace, now));
        }
        let window = windows.entry(conversation.to_owned()).or_default();
        let free_at = window.free_at(self.pace, Severity::Warning, now);
        if free_at > now {
            return Err(free_at.since(now));
        }
        window.note(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn each_conversation_has_its_own_window() {
        let rate = Rate::new(Pace { limit: 2, per: Duration::from_secs(1), kept_for_critical: 0 });
        assert_eq!([rate.take("a", at(0)), rate.take("a", at(100))], [Ok(()), Ok(())]);
        assert_eq!(rate.take("a", at(300)), Err(Duration::from_millis(700)));
        assert_eq!(rate.take("b", at(300)), Ok(()));
        assert_eq!(rate.take("a", at(1000)), Ok(()));
        assert_eq!(rate.take("a", at(1050)), Err(Duration::from_millis(50)));
    }

    #[test]
    fn conversations_that_are_over_are_forgotten() {
        let rate = Rate::new(Pace::ONE_A_SECOND);
        for n in 0..10 * i64::try_from(MAX).unwrap() {
            assert_eq!(rate.take(&n.to_string(), at(n * 10)), Ok(()));
        }
        assert!(rate.windows.lock().unwrap().len() <= MAX);
    }
}
