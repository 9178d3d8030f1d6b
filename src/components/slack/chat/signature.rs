//! Verifies that a request is Slack's, and lets each request in once. Pure.
//!
//! Source: "Verifying requests from Slack", signature version v0: `v0=` and the hex of HMAC-SHA256
//! over `v0:TIMESTAMP:BODY`, where the body is the raw bytes: parsed and written again they may
//! differ.

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use podbell_core::time::Time;

/// How far a request's time may be off, either way. Slack demands it only for the past; a time in the future would
/// let a recorded request in for longer.
pub(crate) const TOLERANCE: i64 = 300;
/// How many requests are remembered: people send fewer in ten minutes.
const MOST_REMEMBERED: usize = 50_000;

/// A verified request, to be let in once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Proof {
    timestamp: i64,
    signature: [u8; 32],
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unproved {
    /// The headers are not there, or not in Slack's form.
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
            Self::Unsigned => "no signature of Slack",
            Self::Stale => "a time more than 5 min off",
            Self::Forged => "a wrong signature",
            Self::Replayed => "the same request again",
            Self::Full => "too many requests to remember",
        }
    }
}

/// Checks the signature of a request over its raw body, in constant time.
///
/// # Errors
/// When the request is not verified.
pub(super) fn verify(
    secret: &SecretString,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: Time,
) -> Result<Proof, Unproved> {
    let seconds = seconds(timestamp).ok_or(Unproved::Unsigned)?;
    let signature = signature.strip_prefix("v0=").and_then(unhex).ok_or(Unproved::Unsigned)?;
    if (now.seconds() - seconds).abs() > TOLERANCE {
        return Err(Unproved::Stale);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).map_err(|_| Unproved::Forged)?;
    for part in [b"v0:".as_slice(), timestamp.as_bytes(), b":", body] {
        mac.update(part);
    }
    mac.verify_slice(&signature).map_err(|_| Unproved::Forged)?;
    Ok(Proof { timestamp: seconds, signature })
}

/// Only digits: a lenient parser could take `NaN` or `1e9` for a time.
fn seconds(text: &str) -> Option<i64> {
    let fine = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fine.then(|| text.parse().ok()).flatten()
}

/// Lower-case hex of exactly 32 bytes.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
    bytes?.try_into().ok()
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
    pub(super) fn admit(&mut self, proof: Proof, now: Time) -> Result<(), Unproved> {
        // Older requests are refused for their time.
        let oldest = now.seconds() - TOLERANCE;
        while self.known.first().is_some_and(|first| first.timestamp < oldest) {
            self.known.pop_first();
        }
        if self.known.contains(&proof) {
            return Err(Unproved::Replayed);
        }
        if self.known.len() >= MOST_REMEMBERED {
            return Err(Unproved::Full);
        }
        self.known.insert(proof);
        Ok(())
    }

    /// Forgets a request that was not taken after all: Slack may send it again.
    pub(crate) fn forget(&mut self, proof: &Proof) {
        self.known.remove(proof);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn cases() -> Vec<Value> {
        let vectors = include_str!("../../../../tests/fixtures/vectors/slack_signing.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        vectors["cases"].as_array().unwrap().clone()
    }

    fn of(case: &Value) -> Result<Proof, Unproved> {
        let text = |key: &str| case[key].as_str().unwrap();
        let secret = SecretString::from(text("secret"));
        let now = Time::from_seconds(case["now"].as_i64().unwrap());
        verify(&secret, text("timestamp"), text("signature"), text("body_utf8").as_bytes(), now)
    }

    #[test]
    fn signatures_are_judged_as_the_vectors_say() {
        let cases = cases();
        assert_eq!(cases.len(), 22);
        for case in cases {
            assert_eq!(of(&case).is_ok(), case["valid"].as_bool().unwrap(), "{}", case["name"]);
        }
    }

    #[test]
    fn a40_nothing_but_plain_digits_is_a_time() {
        let mut case = cases().remove(0);
        for time in ["", "+1531420618", "1531420618.0", " 1531420618", "NaN", "-1", "1e9", "99999999999999999999"] {
            case["timestamp"] = time.into();
            assert_eq!(of(&case), Err(Unproved::Unsigned), "{time}");
        }
    }

    #[test]
    fn a40_a_request_is_let_in_once_and_forgotten_when_its_time_is_over() {
        let proof = of(&cases()[0]).unwrap();
        let (mut replays, start) = (Replays::default(), proof.timestamp);
        let at = |seconds| Time::from_seconds(start + seconds);
        assert_eq!(replays.admit(proof, at(-300)), Ok(()));
        for seconds in [-300, 0, 300] {
            assert_eq!(replays.admit(proof, at(seconds)), Err(Unproved::Replayed));
        }
        let later = Proof { timestamp: start + 301, ..proof };
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
        for n in 0..MOST_REMEMBERED {
            replays.admit(proof(n), Time::from_seconds(1000)).unwrap();
        }
        assert_eq!(replays.admit(proof(MOST_REMEMBERED), Time::from_seconds(1000)), Err(Unproved::Full));
        assert_eq!(replays.admit(proof(0), Time::from_seconds(1000)), Err(Unproved::Replayed));
        assert_eq!(replays.admit(Proof { timestamp: 1301, ..proof(0) }, Time::from_seconds(1301)), Ok(()));
    }
}
