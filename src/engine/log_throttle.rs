//! Logs failures at once, but not repeatedly: chats hear of a failure only when it lasts, and whoever sets podbell up
//! looks at the log first.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sources::SourceEvent;
use podbell_core::outbox::Outcome;
use podbell_core::time::{Jump, Time};

/// The same line is logged no more often than this.
const AGAIN: Duration = Duration::from_secs(600);

/// When each line was logged last.
#[derive(Debug, Default)]
pub(super) struct LogThrottle {
    logged: BTreeMap<(String, String), Time>,
}

impl LogThrottle {
    /// Failed polls and discoveries: a line for each source and code, with one target as an example.
    pub(crate) fn of_source(&mut self, event: &SourceEvent, now: Time) {
        let (source, target, error) = match event {
            SourceEvent::Failed { target, error, .. } => (&target.source, target.to_string(), error),
            SourceEvent::DiscoveryFailed { source, error, .. } => (source, "discovery".to_owned(), error),
            SourceEvent::WatchFailed { covers, error, .. } => (&covers.source, covers.name(), error),
            _ => return,
        };
        if self.is_news(source, &error.code, now) {
            let (code, text, advice) = (&error.code, &error.text, &error.advice);
            tracing::warn!(%source, target, code, text, advice, "a source cannot be read");
        }
    }

    /// Logs requests that are tried again. The outbox reports what needs the operator.
    pub(crate) fn of_destination(&mut self, destination: &str, outcome: &Outcome, now: Time) {
        let (Outcome::Refused { why, .. } | Outcome::Unclear { why, .. }) = outcome else { return };
        if self.is_news(destination, "request", now) {
            tracing::warn!(destination, why, "a request failed and is tried again; nothing is lost");
        }
    }

    /// Shifts the remembered times after the wall clock was set.
    pub(super) fn clock_set(&mut self, by: Jump) {
        self.logged.values_mut().for_each(|at| at.carry(by));
    }

    fn is_news(&mut self, about: &str, code: &str, now: Time) -> bool {
        self.logged.retain(|_, at| now.since(*at) < AGAIN);
        let key = (about.to_owned(), code.to_owned());
        let news = !self.logged.contains_key(&key);
        self.logged.entry(key).or_insert(now);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_logged_at_once_and_again_after_ten_minutes_but_another_code_is_news() {
        let mut throttle = LogThrottle::default();
        let at = |seconds: i64| Time::from_millis(seconds * 1000);
        assert!(throttle.is_news("prod", "4100", at(0)));
        assert!(!throttle.is_news("prod", "4100", at(599)));
        assert!(throttle.is_news("prod", "connect", at(599)));
        assert!(throttle.is_news("prod", "4100", at(600)));
    }
}
