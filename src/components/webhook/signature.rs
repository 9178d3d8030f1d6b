//! Signatures of Standard Webhooks (<https://www.standardwebhooks.com>), made for each attempt over the stored
//! body.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

/// The key of a webhook's signatures.
#[derive(Clone)]
pub(super) struct SigningKey(SecretSlice<u8>);

impl SigningKey {
    /// Reads a secret: base64, with or without `whsec_`. `None` if it is not a key.
    pub(super) fn read(secret: &SecretString) -> Option<Self> {
        let secret = secret.expose_secret().trim();
        let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
        let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let key = GeneralPurpose::new(&STANDARD, lenient).decode(encoded).ok()?;
        (!key.is_empty()).then(|| Self(SecretSlice::from(key)))
    }

    /// `v1,` and the signature of one attempt.
    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).ok()?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        Some(format!("v1,{signature}"))
    }
}

/// The value of `webhook-signature`: one signature per key, so that keys can be rotated without a gap. `None`
/// without keys.
pub(super) fn signature(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let signatures: Vec<String> = keys.iter().filter_map(|key| key.sign(id, timestamp, body)).collect();
    (!signatures.is_empty()).then(|| signatures.join(" "))
}
