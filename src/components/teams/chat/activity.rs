//! What an outgoing webhook posts: a message that mentions it. Pure.
//!
//! Source: "Create an outgoing webhook" (`Authorization: HMAC …`: HMAC-SHA256 over the raw body, with the token's bytes as key).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox};
use serde::Deserialize;
use sha2::Sha256;

use crate::chat::asker::{Incoming, command};
use crate::chat::replays::Unproved;

/// The bytes of a security token.
pub type SecurityToken = SecretBox<Vec<u8>>;

/// Checks the header of a request over its raw body, in constant time.
///
/// # Errors
/// When the request is not verified.
pub(super) fn verify(token: &SecurityToken, header: &str, body: &[u8]) -> Result<[u8; 32], Unproved> {
    let code = header.strip_prefix("HMAC ").and_then(|code| STANDARD.decode(code).ok()).ok_or(Unproved::Unsigned)?;
    let code: [u8; 32] = code.try_into().map_err(|_| Unproved::Unsigned)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(token.expose_secret()).map_err(|_| Unproved::Forged)?;
    mac.update(body);
    mac.verify_slice(&code).map_err(|_| Unproved::Forged)?;
    Ok(code)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    r#type: Option<String>,
    id: String,
    timestamp: String,
    from: Sender,
    conversation: Named,
    #[serde(default)]
    channel_data: ChannelData,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sender {
    id: String,
    name: Option<String>,
    aad_object_id: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Default, Deserialize)]
struct ChannelData {
    tenant: Option<Named>,
    team: Option<Named>,
}

/// A message, and when it was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Activity {
    /// In seconds.
    pub at: i64,
    /// What was said; nothing if it is no message.
    pub incoming: Option<Incoming>,
}

/// Reads a body. `None` if it is not Teams'.
pub(super) fn read(body: &[u8]) -> Option<Activity> {
    let raw: Raw = serde_json::from_slice(body).ok()?;
    let at = raw.timestamp.parse::<jiff::Timestamp>().ok()?.as_second();
    if raw.r#type.as_deref() != Some("message") {
        return Some(Activity { at, incoming: None });
    }
    // The conversation of a thread is that of its channel, and the message that began it.
    let channel = raw.conversation.id.split(';').next().unwrap_or_default().to_owned();
    let (entry, text) = command(&plain(&raw.text));
    let incoming = Incoming {
        ids: vec![format!("message {} of {}", raw.id, raw.conversation.id)],
        teams: [raw.channel_data.tenant, raw.channel_data.team].into_iter().flatten().map(|one| one.id).collect(),
        user: raw.from.aad_object_id.unwrap_or(raw.from.id),
        name: raw.from.name,
        channel,
        entry,
        text,
    };
    Some(Activity { at, incoming: Some(incoming) })
}

/// The words of a text in HTML, without who is mentioned.
fn plain(html: &str) -> String {
    let mut words = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        words.push_str(before);
        let Some((tag, after)) = tag.split_once('>') else {
            // No tag: it is what it looks like.
            words.push('<');
            rest = tag;
            break;
        };
        let mention = tag == "at" || tag.starts_with("at ");
        rest = match mention {
            true => after.split_once("</at>").map_or("", |(_, after)| after),
            false => after,
        };
        words.push(' ');
    }
    words.push_str(rest);
    let words = words.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    let words = words.replace("&#39;", "'").replace("&amp;", "&");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use podbell_core::ask::Entry;
    use serde_json::Value;

    #[test]
    fn signatures_are_judged_as_the_vectors_say() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../../tests/fixtures/vectors/teams_outgoing.json")).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let text = |key: &str| case[key].as_str().unwrap();
            let token = SecretBox::new(Box::new(STANDARD.decode(text("token_b64")).unwrap()));
            let judged = |header: &str, body: &str| verify(&token, header, body.as_bytes());
            assert!(judged(text("authorization"), text("body")).is_ok());
            assert_eq!(judged(text("authorization"), "{}"), Err(Unproved::Forged));
            for header in ["", "HMAC", "HMAC x", "HMAC AAAA", &text("authorization")[5..]] {
                assert_eq!(judged(header, text("body")), Err(Unproved::Unsigned), "{header}");
            }
        }
        let read = read(vectors["cases"][0]["body"].as_str().unwrap().as_bytes()).unwrap();
        let incoming = read.incoming.unwrap();
        assert_eq!(
            (read.at, incoming.entry, incoming.text.as_str()),
            (1_767_323_045, Entry::Podbell, "events web-service")
        );
        assert_eq!((incoming.channel.as_str(), incoming.user.as_str()), ("19:abc@thread.skype", "29:1"));
    }

    #[test]
    fn a_text_is_its_words() {
        for (html, words) in [
            ("<at>kubebot</at> events web-service\n", "events web-service"),
            ("<at id=\"0\">bot</at>&nbsp;<p>mute&nbsp;12 1h a &lt;b&gt; &amp;lt;</p>", "mute 12 1h a <b> &lt;"),
            ("<at>bot", ""),
            ("a < b", "a < b"),
        ] {
            assert_eq!(plain(html), words);
        }
    }
}
