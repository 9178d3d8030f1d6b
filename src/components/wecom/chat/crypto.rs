//! Verifies that a callback is WeCom's, and decrypts and encrypts messages. Pure; no input makes it panic.
//!
//! Source: "Encryption and decryption scheme" of WeCom's callbacks: the signature is the hex of SHA-1
//! over token, timestamp, nonce and cipher text, sorted and joined. The cipher is AES-256-CBC, its key
//! from the EncodingAESKey, its IV the key's first 16 bytes. The plain text is 16 random bytes, a
//! length of 4 bytes (the highest first), the message and the receiver's id, padded to blocks of 32
//! bytes as PKCS #7 says.

use std::fmt;

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;

use crate::hex::hex;

/// The block size of WeCom's padding; AES itself has blocks of 16.
const BLOCK: usize = 32;
/// The bytes before the message: 16 random ones and the length.
const HEAD: usize = 20;
/// 43 characters carry 258 bits for 256: WeCom's generator leaves the last two arbitrary.
const KEY_TEXT: GeneralPurpose = GeneralPurpose::new(&ALPHABET, NO_PAD.with_decode_allow_trailing_bits(true));

/// Error: not an EncodingAESKey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an EncodingAESKey has 43 letters and digits")]
pub struct BadKey;

/// Why a message is rejected. Nobody outside learns the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The signature does not match.
    #[error("a wrong signature")]
    Forged,
    /// It cannot be decrypted.
    #[error("a cipher text that is broken")]
    Broken,
    /// It is for another company.
    #[error("a message for another receiver")]
    Elsewhere,
}

/// The secrets of one callback.
pub struct Crypto {
    token: SecretString,
    key: SecretBox<[u8; 32]>,
    receiver: String,
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypto").finish_non_exhaustive()
    }
}

impl Clone for Crypto {
    fn clone(&self) -> Self {
        let key = SecretBox::new(Box::new(*self.key.expose_secret()));
        Self { token: self.token.clone(), key, receiver: self.receiver.clone() }
    }
}

impl Crypto {
    /// From the values on WeCom's page of the callback. `receiver` is the company's id (an AI bot has an empty
    /// one).
    ///
    /// # Errors
    /// When the key is invalid.
    pub fn new(token: SecretString, encoding_aes_key: &SecretString, receiver: String) -> Result<Self, BadKey> {
        let key = KEY_TEXT.decode(encoding_aes_key.expose_secret()).map_err(|_| BadKey)?;
        let key: [u8; 32] = key.try_into().map_err(|_| BadKey)?;
        Ok(Self { token, key: SecretBox::new(Box::new(key)), receiver })
    }

    /// The signature over a cipher text, in hex.
    pub fn sign(&self, timestamp: &str, nonce: &str, encrypted: &str) -> String {
        let mut parts = [self.token.expose_secret(), timestamp, nonce, encrypted];
        parts.sort_unstable();
        let mut sha = Sha1::new();
        for part in parts {
            sha.update(part);
        }
        hex(&sha.finalize())
    }

    /// Compares a signature, in constant time.
    ///
    /// # Errors
    /// When it does not match.
    pub fn verify(&self, signature: &str, timestamp: &str, nonce: &str, encrypted: &str) -> Result<(), Rejected> {
        let own = self.sign(timestamp, nonce, encrypted);
        match bool::from(own.as_bytes().ct_eq(signature.as_bytes())) {
            true => Ok(()),
            false => Err(Rejected::Forged),
        }
    }

    /// Decrypts a message. Only for a cipher text whose signature was verified.
    ///
    /// # Errors
    /// When it is broken, or for another receiver.
    pub fn decrypt(&self, encrypted: &str) -> Result<Vec<u8>, Rejected> {
        let mut bytes = STANDARD.decode(encrypted).map_err(|_| Rejected::Broken)?;
        let key = self.key.expose_secret();
        let cipher = cbc::Decryptor::<Aes256>::new_from_slices(key, &key[..16]).map_err(|_| Rejected::Broken)?;
        let plain = cipher.decrypt_padded::<NoPadding>(&mut bytes).map_err(|_| Rejected::Broken)?;
        let padding = usize::from(*plain.last().ok_or(Rejected::Broken)?);
        let (plain, pads) = plain
            .len()
            .checked_sub(padding)
            .filter(|_| (1..=BLOCK).contains(&padding))
            .and_then(|end| plain.split_at_checked(end))
            .ok_or(Rejected::Broken)?;
        if pads.iter().any(|pad| usize::from(*pad) != padding) {
            return Err(Rejected::Broken);
        }
        let (head, rest) = plain.split_at_checked(HEAD).ok_or(Rejected::Broken)?;
        let length = head.last_chunk::<4>().map(|length| u32::from_be_bytes(*length)).ok_or(Rejected::Broken)?;
        let length = usize::try_from(length).map_err(|_| Rejected::Broken)?;
        let (message, receiver) = rest.split_at_checked(length).ok_or(Rejected::Broken)?;
        match receiver == self.receiver.as_bytes() {
            true => Ok(message.to_vec()),
            false => Err(Rejected::Elsewhere),
        }
    }

    /// Encrypts a message. The 16 bytes must be random, so that two equal messages look different.
    ///
    /// # Errors
    /// Never for a message that fits into memory.
    pub fn encrypt(&self, message: &str, random: &[u8; 16]) -> Result<String, Rejected> {
        let length = u32::try_from(message.len()).map_err(|_| Rejected::Broken)?;
        let mut plain = Vec::with_capacity(HEAD + message.len() + self.receiver.len() + BLOCK);
        plain.extend_from_slice(random);
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(message.as_bytes());
        plain.extend_from_slice(self.receiver.as_bytes());
        let padding = BLOCK - plain.len() % BLOCK;
        // At most 32, so it fits.
        plain.resize(plain.len() + padding, u8::try_from(padding).map_err(|_| Rejected::Broken)?);
        let key = self.key.expose_secret();
        let cipher = cbc::Encryptor::<Aes256>::new_from_slices(key, &key[..16]).map_err(|_| Rejected::Broken)?;
        let all = plain.len();
        let encrypted = cipher.encrypt_padded::<NoPadding>(&mut plain, all).map_err(|_| Rejected::Broken)?;
        Ok(STANDARD.encode(encrypted))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn vectors() -> Vec<Value> {
        let app = include_str!("../../../../tests/fixtures/vectors/wecom_callback.json");
        let bot = include_str!("../../../../tests/fixtures/vectors/wecom_aibot_json.json");
        let cases = |text: &str| serde_json::from_str::<Value>(text).unwrap()["cases"].as_array().unwrap().clone();
        [cases(app), cases(bot)].concat()
    }

    fn crypto(case: &Value) -> Crypto {
        let text = |key: &str| case[key].as_str().unwrap().to_owned();
        Crypto::new(text("token").into(), &text("encoding_aes_key").into(), text("receiveid")).unwrap()
    }

    fn some() -> Crypto {
        crypto(&vectors()[1])
    }

    #[test]
    fn every_vector_is_signed_decrypted_and_encrypted_as_it_says() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 23);
        for case in &vectors {
            let text = |key: &str| case[key].as_str();
            let crypto = crypto(case);
            let (time, nonce) = (text("timestamp").unwrap(), text("nonce").unwrap());
            let (Some(encrypted), Some(signature)) = (text("msg_encrypt").or(text("echostr")), text("msg_signature"))
            else {
                // The reply: encrypted below.
                assert_eq!(text("kind"), Some("reply"));
                let random: [u8; 16] = text("random16").unwrap().as_bytes().try_into().unwrap();
                let encrypted = crypto.encrypt(text("plain").unwrap(), &random).unwrap();
                let envelope = text("expected_envelope_xml").unwrap();
                assert!(envelope.contains(&encrypted) && envelope.contains(&crypto.sign(time, nonce, &encrypted)));
                continue;
            };
            let read = crypto.verify(signature, time, nonce, encrypted).and_then(|()| crypto.decrypt(encrypted));
            if case["valid"] == false {
                let why = match text("name").unwrap() {
                    "bad-signature" => Rejected::Forged,
                    "wrong-receiveid" => Rejected::Elsewhere,
                    _ => Rejected::Broken,
                };
                // The corrupt block may still end in something that looks like padding.
                let corrupt = text("name") == Some("corrupt-last-block") && read == Err(Rejected::Elsewhere);
                assert!(corrupt || read == Err(why), "{}: {read:?}", case["name"]);
                continue;
            }
            let plain = text("plain").or(text("expected_plain")).unwrap();
            assert_eq!(read.as_deref(), Ok(plain.as_bytes()), "{}", case["name"]);
            if let Some(random) = text("random16") {
                let random: [u8; 16] = random.as_bytes().try_into().unwrap();
                assert_eq!(crypto.encrypt(plain, &random).as_deref(), Ok(encrypted), "{}", case["name"]);
            }
        }
    }

    #[test]
    fn keys_of_another_length_or_alphabet_are_none() {
        for key in ["", "short", &"a".repeat(42), &"a".repeat(44), &format!("{}-", "a".repeat(42))] {
            assert_eq!(Crypto::new("t".into(), &key.into(), String::new()).unwrap_err(), BadKey, "{key}");
        }
        assert!(!format!("{:?}", some()).contains("QDG6eK"));
    }

    #[test]
    fn a_length_beyond_the_text_is_refused() {
        let crypto = some();
        let mut plain = vec![0_u8; 16];
        plain.extend_from_slice(&u32::MAX.to_be_bytes());
        plain.resize(32, 12);
        let key = crypto.key.expose_secret();
        let cipher = cbc::Encryptor::<Aes256>::new_from_slices(key, &key[..16]).unwrap();
        let encrypted = STANDARD.encode(cipher.encrypt_padded::<NoPadding>(&mut plain, 32).unwrap());
        assert_eq!(crypto.decrypt(&encrypted), Err(Rejected::Broken));
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(text in ".*", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let crypto = some();
            let _ = crypto.verify(&text, &text, &text, &text);
            let _ = crypto.decrypt(&text);
            let _ = crypto.decrypt(&STANDARD.encode(bytes));
        }

        #[test]
        fn what_is_encrypted_is_decrypted(text in ".{0,200}", random in any::<[u8; 16]>()) {
            let crypto = some();
            let encrypted = crypto.encrypt(&text, &random).unwrap();
            prop_assert_eq!(crypto.decrypt(&encrypted).unwrap(), text.into_bytes());
        }
    }
}
