//! Checks who asks, and whether the request is signed, recent and new.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};

use super::super::signature::{SignatureMethod, sign, string_to_sign};
use super::{ApiRequest, PATH, Refusal};
use podbell_core::time::Time;

/// How old a request may be, or how far ahead.
const TOLERANCE: Duration = Duration::from_secs(300);
/// The host of the real API: vendors' clients sign it, whatever address they call.
const REAL_HOST: &str = "ccs.api.qcloud.com";

/// Somebody who may ask.
#[derive(Clone)]
pub(crate) struct Key {
    /// The `SecretId`.
    pub(crate) id: SecretString,
    /// Its key.
    pub(crate) key: SecretString,
    /// The `Token` that requests must carry, if any.
    pub(crate) token: Option<SecretString>,
}

/// Everybody who may ask, and their recent requests.
pub(crate) struct Keys {
    all: Vec<(Key, Mutex<Nonces>)>,
    /// Hosts that may be signed beside the request's own and the real API's.
    hosts: Vec<String>,
    most_nonces: usize,
}

impl Keys {
    /// Checks requests against these keys. At most `most_nonces` nonces are remembered for each: further requests
    /// exceed the quota until some expire.
    pub(crate) fn new(keys: impl IntoIterator<Item = Key>, hosts: Vec<String>, most_nonces: usize) -> Self {
        Self { all: keys.into_iter().map(|key| (key, Mutex::default())).collect(), hosts, most_nonces }
    }

    /// Checks everything that the real API checks, and returns whose request it is. The nonce is checked last, so
    /// that only requests of somebody who knows the key take memory.
    pub(crate) fn check(&self, asked: &ApiRequest, now: Time) -> Result<usize, Refusal> {
        let (timestamp, nonce) = (asked.number("Timestamp")?, asked.number("Nonce")?);
        let (secret_id, signature) = (asked.need("SecretId")?, asked.need("Signature")?);
        // Compares with every key, in the same time whichever it is.
        let mut found = None;
        for (place, (key, _)) in self.all.iter().enumerate() {
            if bool::from(same(secret_id, key.id.expose_secret())) {
                found = Some(place);
            }
        }
        let known = found.and_then(|place| Some((place, self.all.get(place)?)));
        let Some((place, (key, nonces))) = known else { return Err(Refusal::new(4104, "SecretId not found")) };
        if !self.is_signed(asked, key, signature) {
            return Err(Refusal::new(4100, "signature does not match"));
        }
        if let Some(token) = &key.token
            && !asked.get("Token").is_some_and(|given| bool::from(same(given, token.expose_secret())))
        {
            return Err(Refusal::new(4105, "token does not match"));
        }
        let time = Time::from_seconds(i64::try_from(timestamp).unwrap_or(i64::MAX));
        if now.since(time).max(time.since(now)) > TOLERANCE {
            return Err(Refusal::new(4200, "Timestamp is more than 5 minutes off"));
        }
        // A panic while the lock was held leaves the set valid.
        nonces.lock().unwrap_or_else(PoisonError::into_inner).take((timestamp, nonce), self.most_nonces, now)?;
        Ok(place)
    }

    fn is_signed(&self, asked: &ApiRequest, key: &Key, signature: &str) -> bool {
        let method = SignatureMethod::of(asked.get("SignatureMethod"));
        let params = || asked.params.iter().map(|(name, value)| (&**name, &**value));
        let hosts = [asked.host.as_str(), REAL_HOST].into_iter().chain(self.hosts.iter().map(String::as_str));
        let signed = hosts.fold(Choice::from(0), |signed, host| {
            let text = string_to_sign(asked.method, host, PATH, params());
            signed | same(signature, &sign(&text, &key.key, method))
        });
        signed.into()
    }
}

/// Compares in constant time.
fn same(left: &str, right: &str) -> Choice {
    left.as_bytes().ct_eq(right.as_bytes())
}

/// Timestamp and nonce of requests that would still count as recent. The vendor's JavaScript client draws its
/// nonces from 65,536 values: nonces alone would often be equal.
#[derive(Default)]
struct Nonces {
    seen: BTreeSet<(u64, u64)>,
    order: VecDeque<(Time, (u64, u64))>,
}

impl Nonces {
    fn take(&mut self, nonce: (u64, u64), most: usize, now: Time) -> Result<(), Refusal> {
        // A request may be dated ahead, so it can be repeated for twice the tolerance.
        let oldest = now.minus(TOLERANCE * 2);
        while let Some((at, nonce)) = self.order.front().copied()
            && at < oldest
        {
            self.order.pop_front();
            self.seen.remove(&nonce);
        }
        if self.seen.len() >= most {
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
        assert!(nonces.take((1, 7), 10, start).is_ok());
        assert_eq!(nonces.take((1, 7), 10, start.plus(TOLERANCE * 2)).unwrap_err().code, 4500);
        assert!(nonces.take((1, 7), 10, start.plus(TOLERANCE * 2 + Duration::from_secs(1))).is_ok());
        assert_eq!(nonces.order.len(), 1);
    }

    #[test]
    fn more_nonces_than_are_remembered_are_over_the_quota() {
        let mut nonces = Nonces::default();
        let start = Time::from_seconds(1_000_000);
        assert!((0..3).all(|nonce| nonces.take((1, nonce), 3, start).is_ok()));
        assert_eq!(nonces.take((1, 3), 3, start).unwrap_err().code, 4400);
    }
}
