//! Removes secrets from texts: replies and errors may echo the URL that was called.

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};

use crate::redact::spellings;

/// Shorter pieces are not secret, and removing them would garble ordinary words.
const SHORTEST: usize = 6;

/// Knows what must not be shown of one destination.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// The longest first, so that replacing one piece leaves no part of another.
    pieces: Vec<SecretString>,
}

impl Redactor {
    /// Hides a URL, the pieces of its path and query, and the secrets. `public` are pieces that are no secret:
    /// hiding them would only make errors harder to read.
    pub(crate) fn new(url: &str, secrets: &[SecretString], public: &[&str]) -> Self {
        let mut pieces: Vec<String> = vec![url.to_owned()];
        if let Ok(parsed) = url::Url::parse(url) {
            pieces.push(parsed.path().to_owned());
            pieces.extend(parsed.path_segments().into_iter().flatten().map(str::to_owned));
            pieces.extend(parsed.query().map(str::to_owned));
            pieces.extend(parsed.query_pairs().map(|(_, value)| value.into_owned()));
            pieces.extend(parsed.password().map(str::to_owned));
        }
        for secret in secrets {
            let secret = secret.expose_secret();
            pieces.push(secret.to_owned());
            pieces.extend(secret.strip_prefix("whsec_").map(str::to_owned));
        }
        // The other side may repeat them decoded, or encoded in another way.
        let decoded = pieces.iter().flat_map(|piece| spellings(&percent_decode_str(piece).decode_utf8_lossy()));
        let decoded: Vec<String> = decoded.collect();
        pieces.extend(decoded);
        pieces.retain(|piece| piece.len() >= SHORTEST && !public.contains(&piece.as_str()));
        pieces.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        pieces.dedup();
        Self { pieces: pieces.into_iter().map(SecretString::from).collect() }
    }

    /// The text without secrets.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for piece in &self.pieces {
            if text.contains(piece.expose_secret()) {
                text = text.replace(piece.expose_secret(), "[hidden]");
            }
        }
        text
    }
}
