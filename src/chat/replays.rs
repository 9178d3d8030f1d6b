//! Lets each signed request in once: whoever records one must not have it carried out again. Pure.

use std::collections::BTreeSet;

use podbell_core::time::Time;

/// How far a request's time may be off, in seconds, either way. Platforms demand it only for the past; a time in the
/// future would let a recorded request in for longer.
pub(crate) const TOLERANCE: i64 = 300;
/// How many requests are remembered: people send fewer in ten minutes.
const MAX_REMEMBERED: usize = 50_000;

/// A verified request, to be let in once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Proof {
    /// When it was signed, in seconds.
    pub timestamp: i64,
    /// Its signature, or a hash of it.
    pub signature: [u8; 32],
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unproved {
    /// The headers are not there, or not in the platform's form.
    Unsigned,
    /// Its time is too far off, either way.
    Stale,
    /// The signature does not match.
    Forged,
    /// It was here before.
    Replayed,
    /// Nothing more can be remembered, so nothing more is let in.
    Full,
}

impl Unproved {
    /// For the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unsigned => "no signature",
            Self::Stale => "a time more than 5 min off",
            Self::Forged => "a wrong signature",
            Self::Replayed => "the same request again",
            Self::Full => "too many requests to remember",
        }
    }
}

impl From<Unproved> for crate::guard::Refused {
    fn from(unproved: Unproved) -> Self {
        use axum::http::StatusCode;
        let status = match unproved {
            Unproved::Full => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::UNAUTHORIZED,
        };
        Self::new(status, unproved.as_str())
    }
}

/// A time in seconds. Only digits: a lenient parser could take `NaN` or `1e9` for a time.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let fine = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fine.then(|| text.parse().ok()).flatten()
}

/// Whether a time is near enough to now.
///
/// # Errors
/// [`Unproved::Stale`].
pub(crate) fn fresh(seconds: i64, now: Time) -> Result<(), Unproved> {
    if (now.seconds().saturating_sub(seconds)).saturating_abs() > TOLERANCE { Err(Unproved::Stale) } else { Ok(()) }
}

/// The requests of the last minutes. Only verified ones are remembered, so that a stranger cannot fill it. When it
/// is full all the same, it refuses requests rather than forgetting any.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    /// By time, so that the oldest are found first.
    known: BTreeSet<Proof>,
}

impl Replays {
    /// Lets a request in if it was not here before.
    ///
    /// # Errors
    /// [`Unproved::Replayed`] or [`Unproved::Full`].
    pub(crate) fn admit(&mut self, proof: Proof, now: Time) -> Result<(), Unproved> {
        // Older requests are refused for their time.
        let oldest = now.seconds() - TOLERANCE;
        while self.known.first().is_some_and(|first| first.timestamp < oldest) {
            self.known.pop_first();
        }
        if self.known.contains(&proof) {
            return Err(Unproved::Replayed);
        }
        if self.known.len() >= MAX_REMEMBERED {
            return Err(Unproved::Full);
        }
        self.known.insert(proof);
        Ok(())
    }

    /// Forgets a request that was not taken after all: the platform may send it again.
    pub(crate) fn forget(&mut self, proof: &Proof) {
        self.known.remove(proof);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a40_a_request_is_let_in_once_and_forgotten_when_its_time_is_over() {
        let proof = Proof { timestamp: 1000, signature: [7; 32] };
        let mut replays = Replays::default();
        let at = |seconds: i64| Time::from_seconds(1000 + seconds);
        assert_eq!(replays.admit(proof, at(-300)), Ok(()));
        for seconds in [-300, 0, 300] {
            assert_eq!(replays.admit(proof, at(seconds)), Err(Unproved::Replayed));
        }
        let later = Proof { timestamp: 1301, ..proof };
        assert_eq!(replays.admit(later, at(301)), Ok(()));
        assert_eq!(replays.known.len(), 1, "the first one is refused by its time now");
        replays.forget(&later);
        assert_eq!(replays.admit(later, at(301)), Ok(()));
    }

    #[test]
    fn a_full_memory_refuses_and_does_not_forget() {
        let mut replays = Replays::default();
        let proof = |n: usize| {
            let mut signature = [0; 32];
            signature[..8].copy_from_slice(&n.to_le_bytes());
            Proof { timestamp: 1000, signature }
        };
        for n in 0..MAX_REMEMBERED {
            replays.admit(proof(n), Time::from_seconds(1000)).unwrap();
        }
        assert_eq!(replays.admit(proof(MAX_REMEMBERED), Time::from_seconds(1000)), Err(Unproved::Full));
        assert_eq!(replays.admit(proof(0), Time::from_seconds(1000)), Err(Unproved::Replayed));
        assert_eq!(replays.admit(Proof { timestamp: 1301, ..proof(0) }, Time::from_seconds(1301)), Ok(()));
    }
}
