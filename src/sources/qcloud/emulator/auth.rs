//! Who asks, and whether the request is what was signed, recent, and new.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::EmulatorConfig;
use super::api::Refusal;
use crate::core::time::Time;
use crate::sources::qcloud::signature::{HttpMethod, SignatureMethod, sign, string_to_sign};

/// A request may be this old, or this far ahead.
const TOLERANCE: Duration = Duration::from_secs(300);
/// More nonces than this are not remembered: further requests are over the quota until some expire.
const MAX_NONCES: usize = 1_000_000;
/// The host of the real API, as vendors' clients sign it whatever address they are pointed at.
const REAL_HOST: &str = "ccs.api.qcloud.com";

/// A request, decoded.
pub(super) struct Asked<'a> {
    pub(super) method: HttpMethod,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) params: &'a [(String, String)],
}

impl Asked<'_> {
    /// The value of a parameter that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    pub(super) fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::new(4000, format!("missing parameter {name}")))
    }

    fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.need(name)?.parse().map_err(|_| Refusal::new(4000, format!("parameter {name} is not a number")))
    }
}

/// Checks everything that the real API checks. The nonce comes last: only requests of somebody who
/// knows the key take memory.
pub(super) fn check(
    asked: &Asked<'_>,
    config: &EmulatorConfig,
    nonces: &std::sync::Mutex<Nonces>,
    now: Time,
) -> Result<(), Refusal> {
    let (timestamp, nonce) = (asked.number("Timestamp")?, asked.number("Nonce")?);
    let (secret_id, signature) = (asked.need("SecretId")?, asked.need("Signature")?);
    if !same(secret_id, config.secret_id.expose_secret()) {
        return Err(Refusal::new(4104, "SecretId not found"));
    }
    if !is_signed(asked, config, signature) {
        return Err(Refusal::new(4100, "signature does not match"));
    }
    if let Some(token) = &config.token
        && !asked.get("Token").is_some_and(|given| same(given, token.expose_secret()))
    {
        return Err(Refusal::new(4105, "token does not match"));
    }
    let time = Time::from_seconds(i64::try_from(timestamp).unwrap_or(i64::MAX));
    if now.since(time).max(time.since(now)) > TOLERANCE {
        return Err(Refusal::new(4200, "Timestamp is more than 5 minutes off"));
    }
    super::lock(nonces).take(nonce, now)
}

fn is_signed(asked: &Asked<'_>, config: &EmulatorConfig, signature: &str) -> bool {
    let method = SignatureMethod::of(asked.get("SignatureMethod"));
    let params = || asked.params.iter().map(|(name, value)| (&**name, &**value));
    [asked.host, REAL_HOST].into_iter().fold(false, |signed, host| {
        let text = string_to_sign(asked.method, host, asked.path, params());
        signed | same(signature, &sign(&text, &config.secret_key, method))
    })
}

/// Takes the same time wherever they differ.
fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

/// The nonces of requests that would still be recent enough.
#[derive(Default)]
pub(super) struct Nonces {
    seen: BTreeSet<u64>,
    order: VecDeque<(Time, u64)>,
}

impl Nonces {
    fn take(&mut self, nonce: u64, now: Time) -> Result<(), Refusal> {
        // A request may be signed ahead, so that it can be repeated for twice the tolerance.
        let oldest = now.minus(TOLERANCE * 2);
        while let Some((at, nonce)) = self.order.front().copied()
            && at < oldest
        {
            self.order.pop_front();
            self.seen.remove(&nonce);
        }
        if self.seen.len() >= MAX_NONCES {
            return Err(Refusal::new(4400, "too many requests in 10 minutes"));
        }
        if !self.seen.insert(nonce) {
            return Err(Refusal::new(4500, "Nonce was used before"));
        }
        self.order.push_back((now, nonce));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_forgotten_when_its_request_would_be_too_old_anyway() {
        let mut nonces = Nonces::default();
        let start = Time::from_seconds(1_000_000);
        assert!(nonces.take(7, start).is_ok());
        assert_eq!(nonces.take(7, start.plus(TOLERANCE * 2)).unwrap_err().code, 4500);
        assert!(nonces.take(7, start.plus(TOLERANCE * 2 + Duration::from_secs(1))).is_ok());
        assert_eq!(nonces.order.len(), 1);
    }
}
