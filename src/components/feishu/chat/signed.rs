//! Events that the platform posts to podbell: whether they are its own, and what they say. Pure; no input makes it panic.
//!
//! Source: "Configure Encrypt Key": the signature is the hex of SHA-256 over timestamp, nonce, key and raw body. The body is
//! AES-256-CBC, its key the SHA-256 of the Encrypt Key, its IV the first 16 bytes, padded as PKCS #7 says.

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::chat::replays::{Unproved, fresh, seconds};
use crate::hex::unhex;
use podbell_core::time::Time;

/// The block of AES, and the length of an IV.
const BLOCK: usize = 16;

/// The two secrets of an application's event subscription.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Encrypts and signs what the platform posts.
    pub encrypt_key: SecretString,
    /// Stands in each event.
    pub verification_token: SecretString,
}

/// The headers that prove a body.
pub(super) struct Headers<'h> {
    pub timestamp: &'h str,
    pub nonce: &'h str,
    pub signature: &'h str,
}

#[derive(Deserialize)]
struct Encrypted {
    encrypt: String,
}

impl Subscription {
    /// Checks the signature of a raw body.
    ///
    /// # Errors
    /// When the body is not proved to be the platform's, or is too old.
    pub(super) fn verify(&self, headers: &Headers<'_>, body: &[u8], now: Time) -> Result<(), Unproved> {
        let at = seconds(headers.timestamp).ok_or(Unproved::Unsigned)?;
        let signature: [u8; 32] = unhex(headers.signature).ok_or(Unproved::Unsigned)?;
        fresh(at, now)?;
        let mut sha = Sha256::new();
        sha.update(headers.timestamp);
        sha.update(headers.nonce);
        sha.update(self.encrypt_key.expose_secret());
        sha.update(body);
        match bool::from(sha.finalize().as_slice().ct_eq(&signature)) {
            true => Ok(()),
            false => Err(Unproved::Forged),
        }
    }

    /// The plain text of a body; `None` if it is none of the platform's.
    pub(super) fn decrypt(&self, body: &[u8]) -> Option<Vec<u8>> {
        let Encrypted { encrypt } = serde_json::from_slice(body).ok()?;
        let mut bytes = STANDARD.decode(encrypt).ok()?;
        let (iv, text) = bytes.split_at_mut_checked(BLOCK)?;
        let key = Sha256::digest(self.encrypt_key.expose_secret());
        let cipher = cbc::Decryptor::<Aes256>::new_from_slices(&key, iv).ok()?;
        cipher.decrypt_padded::<Pkcs7>(text).ok().map(<[u8]>::to_vec)
    }

    /// Whether this is the token of the subscription.
    pub(super) fn knows(&self, token: &str) -> bool {
        self.verification_token.expose_secret().as_bytes().ct_eq(token.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn subscription(key: &str) -> Subscription {
        Subscription { encrypt_key: key.to_owned().into(), verification_token: "xxxxxx".to_owned().into() }
    }

    #[test]
    fn events_are_proved_and_decrypted_as_the_vectors_say() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../../tests/fixtures/vectors/feishu.json")).unwrap();
        let (mut decrypted, mut proved) = (0, 0);
        for case in vectors["cases"].as_array().unwrap() {
            let text = |key: &str| case[key].as_str().unwrap_or_default();
            let body = match text("kind") {
                "decrypt" => serde_json::json!({"encrypt": text("encrypt")}).to_string(),
                "event_v2" => text("body").to_owned(),
                _ => continue,
            };
            let subscription = subscription(text("encrypt_key"));
            let plain = subscription.decrypt(body.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(plain).unwrap(), text("plain"), "{}", case["name"]);
            decrypted += 1;
            if text("kind") != "event_v2" {
                continue;
            }
            let at = |seconds: i64| Time::from_seconds(text("timestamp").parse::<i64>().unwrap() + seconds);
            let headers = |signature| Headers { timestamp: text("timestamp"), nonce: text("nonce"), signature };
            let good = headers(text("x_lark_signature"));
            assert_eq!(subscription.verify(&good, body.as_bytes(), at(299)), Ok(()));
            assert_eq!(subscription.verify(&good, body.as_bytes(), at(301)), Err(Unproved::Stale));
            assert_eq!(subscription.verify(&good, b"{}", at(0)), Err(Unproved::Forged));
            assert_eq!(subscription.verify(&headers("zz"), body.as_bytes(), at(0)), Err(Unproved::Unsigned));
            proved += 1;
        }
        assert_eq!((decrypted, proved), (3, 2));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(encrypt in "[A-Za-z0-9+/]{0,200}={0,2}", body in prop::collection::vec(any::<u8>(), 0..200)) {
            let subscription = subscription("key");
            let _ = subscription.decrypt(&body);
            let _ = subscription.decrypt(serde_json::json!({"encrypt": encrypt}).to_string().as_bytes());
        }
    }
}
