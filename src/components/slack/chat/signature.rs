//! Verifies that a request is Slack's, in constant time. Pure.
//!
//! Source: "Verifying requests from Slack", signature version v0: `v0=` and the hex of HMAC-SHA256
//! over `v0:TIMESTAMP:BODY`, where the body is the raw bytes: parsed and written again they may
//! differ.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::chat::replays::{Proof, Unproved, fresh, seconds};
use crate::hex::unhex;
use podbell_core::time::Time;

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
    fresh(seconds, now)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).map_err(|_| Unproved::Forged)?;
    for part in [b"v0:".as_slice(), timestamp.as_bytes(), b":", body] {
        mac.update(part);
    }
    mac.verify_slice(&signature).map_err(|_| Unproved::Forged)?;
    Ok(Proof { timestamp: seconds, signature })
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
}
