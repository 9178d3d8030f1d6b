//! The log of refused requests: a line for the first of each kind and caller, then one a minute with a count, so that
//! ten thousand bad requests are not ten thousand lines. It contains nothing of a request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Caller, Refused};
use podbell_core::time::Time;

/// How long repeated refusals are only counted.
const QUIET: Duration = Duration::from_secs(60);
/// How many pairs of kind and caller are tracked.
const MAX: usize = 1000;

/// What was refused lately.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    known: Mutex<HashMap<(u16, &'static str, Caller), Counted>>,
}

#[derive(Debug)]
struct Counted {
    logged: Time,
    since: u64,
}

impl Refusals {
    /// Counts a refusal, and logs it if it is the first of its kind for a minute.
    pub(crate) fn note(&self, refused: &Refused, caller: Caller, now: Time) {
        if let Some(more) = self.count(refused, caller, now) {
            let (status, why, caller) = (refused.status.as_u16(), refused.why, caller.0);
            tracing::warn!(status, why, %caller, more, "requests are refused");
        }
    }

    /// How many more there were since the last line, if it is time for one.
    fn count(&self, refused: &Refused, caller: Caller, now: Time) -> Option<u64> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (refused.status.as_u16(), refused.why, caller);
        if !known.contains_key(&key) && known.len() >= MAX {
            known.retain(|_, counted| now.since(counted.logged) < QUIET);
            if known.len() >= MAX {
                // The log already has a thousand lines about the attack.
                return None;
            }
        }
        match known.get_mut(&key) {
            Some(counted) if now.since(counted.logged) < QUIET => {
                counted.since += 1;
                None
            }
            Some(counted) => Some(std::mem::replace(counted, Counted { logged: now, since: 0 }).since),
            None => {
                known.insert(key, Counted { logged: now, since: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;

    #[test]
    fn a_kind_of_refusal_is_a_line_a_minute_for_each_caller_with_what_was_left_out() {
        let refusals = Refusals::default();
        let forged = Refused::new(StatusCode::UNAUTHORIZED, "forged");
        let [a, b] = ["192.0.2.1", "192.0.2.2"].map(|text| Caller::of(text.parse().unwrap()));
        let at = Time::from_seconds;
        assert_eq!(refusals.count(&forged, a, at(0)), Some(0));
        for _ in 0..10_000 {
            assert_eq!(refusals.count(&forged, a, at(1)), None);
        }
        assert_eq!(refusals.count(&forged, b, at(1)), Some(0));
        assert_eq!(refusals.count(&Refused::new(StatusCode::NOT_FOUND, "x"), a, at(1)), Some(0));
        assert_eq!(refusals.count(&forged, a, at(60)), Some(10_000));
        assert_eq!(refusals.count(&forged, a, at(61)), None);
    }

    #[test]
    fn memory_of_refusals_is_bounded() {
        let refusals = Refusals::default();
        let forged = Refused::new(StatusCode::UNAUTHORIZED, "forged");
        for n in 0..5000_u32 {
            refusals.count(&forged, Caller::of(std::net::Ipv4Addr::from(n).into()), Time::from_seconds(0));
        }
        assert_eq!(refusals.known.lock().unwrap().len(), MAX);
    }
}
