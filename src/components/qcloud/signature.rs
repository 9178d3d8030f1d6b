//! The signature of the legacy API: pure functions from parameters to the string to sign, and from there to the
//! signature. The client signs with them, the emulator verifies with them; they know neither transport nor
//! encoding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::Sha256;

/// The HTTP method; the signature covers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpMethod {
    /// Parameters in the query.
    #[default]
    Get,
    /// Parameters as a form in the body.
    Post,
}

impl HttpMethod {
    /// The word that is signed.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// `SignatureMethod`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureMethod {
    /// What the API assumes when the parameter is absent.
    HmacSha1,
    /// The stronger one.
    #[default]
    HmacSha256,
}

impl SignatureMethod {
    /// The value of the parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HmacSHA1",
            Self::HmacSha256 => "HmacSHA256",
        }
    }

    /// What the API understands by the value of the parameter: SHA-1 unless told otherwise.
    pub fn of(parameter: Option<&str>) -> Self {
        if parameter == Some("HmacSHA256") { Self::HmacSha256 } else { Self::HmacSha1 }
    }
}

/// The string that is signed: raw values (not URL-encoded), sorted by name. `host` carries the port
/// unless it is the scheme's own.
pub fn string_to_sign<'a>(
    method: HttpMethod,
    host: &str,
    path: &str,
    params: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut signed: Vec<_> = params
        .into_iter()
        .filter(|(name, value)| *name != "Signature" && !(method == HttpMethod::Post && value.starts_with('@')))
        .collect();
    signed.sort_unstable();
    let mut text = format!("{}{host}{path}", method.as_str());
    for (index, (name, value)) in signed.into_iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(&name.replace('_', "."));
        text.push('=');
        text.push_str(value);
    }
    text
}

/// The signature of that string, in Base64.
pub fn sign(text: &str, secret_key: &SecretString, method: SignatureMethod) -> String {
    let key = secret_key.expose_secret().as_bytes();
    match method {
        SignatureMethod::HmacSha1 => BASE64.encode(mac::<Hmac<Sha1>>(text, key)),
        SignatureMethod::HmacSha256 => BASE64.encode(mac::<Hmac<Sha256>>(text, key)),
    }
}

fn mac<M: Mac + KeyInit>(text: &str, key: &[u8]) -> Vec<u8> {
    // HMAC accepts keys of every length, so this cannot fail; the empty signature matches nothing.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
