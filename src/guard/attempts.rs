//! Wrong secrets, counted by caller. One bound covers all places that take a secret: the page, the API, the proxy's
//! proof, reloads.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Caller;
use crate::clock;

/// After this many wrong secrets within a minute, a caller waits for the rest of the minute.
pub(super) const MAX_WRONG: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);
/// How many callers are remembered.
const MAX_CALLERS: usize = 10_000;

/// How many wrong secrets each caller sent lately.
#[derive(Debug, Default)]
struct WrongSecrets {
    wrong: HashMap<IpAddr, (Instant, u32)>,
    /// Proxies that have proved themselves: wrong tokens of some people behind them must not lock out the others.
    proved: HashSet<IpAddr>,
}

impl WrongSecrets {
    fn may_try(&mut self, caller: IpAddr, now: Instant) -> bool {
        let in_force = |since: &Instant| now.saturating_duration_since(*since) < MINUTE;
        if self.wrong.len() >= MAX_CALLERS {
            self.wrong.retain(|_, (since, _)| in_force(since));
        }
        match self.wrong.get(&caller) {
            Some((since, n)) => *n < MAX_WRONG || !in_force(since),
            None => self.wrong.len() < MAX_CALLERS,
        }
    }

    fn was_wrong(&mut self, caller: IpAddr, now: Instant) {
        let (since, n) = self.wrong.entry(caller).or_insert((now, 0));
        if now.saturating_duration_since(*since) >= MINUTE {
            (*since, *n) = (now, 0);
        }
        *n += 1;
    }
}

/// The attempts of one caller: an extension of every request that passes the guard.
#[derive(Clone, Debug)]
pub(crate) struct CallerSecrets {
    known: Arc<Mutex<WrongSecrets>>,
    caller: IpAddr,
}

/// The memory that all callers share.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedWrongSecrets(Arc<Mutex<WrongSecrets>>);

impl SharedWrongSecrets {
    /// The attempts of one caller.
    pub(crate) fn of(&self, caller: Caller) -> CallerSecrets {
        CallerSecrets { known: self.0.clone(), caller: caller.0 }
    }
}

impl CallerSecrets {
    fn known(&self) -> MutexGuard<'_, WrongSecrets> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a secret of this caller is checked at all.
    pub(crate) fn may_try(&self) -> bool {
        self.known().may_try(self.caller, clock::monotonic())
    }

    /// Counts a wrong secret.
    pub(crate) fn was_wrong(&self) {
        self.known().was_wrong(self.caller, clock::monotonic());
    }

    /// Whether a proxy's proof is checked.
    pub(crate) fn may_prove(&self) -> bool {
        let mut known = self.known();
        known.proved.contains(&self.caller) || known.may_try(self.caller, clock::monotonic())
    }

    /// Records that a proxy's proof was right.
    pub(crate) fn proved(&self) {
        let mut known = self.known();
        if known.proved.len() < MAX_CALLERS {
            known.proved.insert(self.caller);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_with_many_wrong_secrets_waits_for_the_rest_of_a_minute() {
        let mut known = WrongSecrets::default();
        let [a, b]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let start = clock::monotonic();
        let at = |seconds| start + Duration::from_secs(seconds);
        for _ in 0..MAX_WRONG {
            assert!(known.may_try(a, at(100)));
            known.was_wrong(a, at(100));
        }
        assert!(!known.may_try(a, at(159)) && known.may_try(b, at(159)) && known.may_try(a, at(160)));
        known.was_wrong(a, at(160));
        assert!(known.may_try(a, at(161)));
        for n in 0..30_000_u32 {
            known.was_wrong(std::net::Ipv4Addr::from(n).into(), at(200));
            known.may_try(b, at(200));
            if known.wrong.len() > MAX_CALLERS {
                break;
            }
        }
        let stranger = "198.51.100.7".parse().unwrap();
        assert!(!known.may_try(stranger, at(200)), "strangers wait while there are too many");
        assert!(known.may_try(stranger, at(300)));
    }
}
