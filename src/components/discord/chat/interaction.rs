//! Interactions: what Discord posts when somebody uses a command or presses a button. Pure.
//!
//! Sources: "Receiving and responding to interactions", "Setting up an endpoint: validating security request headers"
//! (ed25519 over the timestamp and the raw body).

use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

use crate::chat::access::DIRECT;
use crate::chat::asker::{Incoming, command};
use crate::chat::replays::{Proof, Unproved, fresh, seconds};
use crate::hex::unhex;
use podbell_core::time::Time;

/// What begins the id of a button of podbell's.
pub(super) const BUTTON: &str = "podbell:";

/// The key with which an application proves its requests.
pub type PublicKey = [u8; 32];

/// Checks the signature of a request over its raw body.
///
/// # Errors
/// When the request is not verified.
pub(super) fn verify(
    key: &PublicKey,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: Time,
) -> Result<Proof, Unproved> {
    let at = seconds(timestamp).ok_or(Unproved::Unsigned)?;
    let signature: [u8; 64] = unhex(signature).ok_or(Unproved::Unsigned)?;
    fresh(at, now)?;
    let signed = [timestamp.as_bytes(), body].concat();
    UnparsedPublicKey::new(&ED25519, key).verify(&signed, &signature).map_err(|_| Unproved::Forged)?;
    let hash = digest(&SHA256, &signature);
    Ok(Proof { timestamp: at, signature: hash.as_ref().try_into().map_err(|_| Unproved::Forged)? })
}

/// What is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Interaction {
    /// Discord asks whether podbell is there.
    Ping,
    /// Somebody asks or presses.
    Asked(Box<Asked>),
    /// Something that podbell offers nowhere.
    Other,
}

/// A question.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub incoming: Incoming,
    /// The application that it is for.
    pub application: String,
    /// With this the answer can be changed later.
    pub token: String,
    /// Whether it is a press of a button in an answer of podbell's, which nothing else changes.
    pub in_answer: bool,
}

#[derive(Deserialize)]
struct Raw {
    r#type: i64,
    #[serde(default)]
    id: String,
    #[serde(default)]
    application_id: String,
    #[serde(default)]
    token: String,
    guild_id: Option<String>,
    channel_id: Option<String>,
    member: Option<Member>,
    user: Option<User>,
    #[serde(default)]
    data: Value,
    /// The message that a pressed button stands in.
    #[serde(default)]
    message: Value,
}

#[derive(Deserialize)]
struct Member {
    user: User,
}

#[derive(Deserialize)]
struct User {
    id: String,
    username: Option<String>,
}

/// Reads a body. `None` if it is not an interaction.
pub(super) fn read(body: &[u8]) -> Option<Interaction> {
    let raw: Raw = serde_json::from_slice(body).ok()?;
    let typed = match raw.r#type {
        1 => return Some(Interaction::Ping),
        2 => typed(&raw.data)?,
        3 => raw.data["custom_id"].as_str()?.strip_prefix(BUTTON).map(str::to_owned).unwrap_or_default(),
        _ => return Some(Interaction::Other),
    };
    if raw.r#type == 3 && typed.is_empty() {
        return Some(Interaction::Other);
    }
    let user = raw.member.map(|member| member.user).or(raw.user)?;
    let short = |text: &str| (1..=512).contains(&text.len());
    if !short(&raw.id) || !short(&raw.token) || !short(&user.id) {
        return None;
    }
    let channel = match raw.guild_id {
        Some(_) => raw.channel_id?,
        None => DIRECT.to_owned(),
    };
    let (entry, text) = command(&typed);
    let incoming = Incoming {
        ids: vec![format!("interaction {}", raw.id)],
        teams: raw.guild_id.into_iter().collect(),
        user: user.id,
        name: user.username,
        channel,
        entry,
        text,
    };
    let in_answer = ["interaction_metadata", "interaction"].iter().any(|key| raw.message[*key].is_object());
    Some(Interaction::Asked(Box::new(Asked { incoming, application: raw.application_id, token: raw.token, in_answer })))
}

/// A command with its options, as a person would type it.
fn typed(data: &Value) -> Option<String> {
    let mut typed = format!("/{}", data["name"].as_str()?);
    for option in data["options"].as_array().into_iter().flatten() {
        let value = &option["value"];
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        typed = format!("{typed} {value}");
    }
    Some(typed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use podbell_core::ask::Entry;

    #[test]
    fn signatures_are_judged_as_the_vectors_say() {
        let vectors = include_str!("../../../../tests/fixtures/vectors/discord_interactions.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let text = |key: &str| case[key].as_str().unwrap();
            let key = unhex(text("public_key_hex")).unwrap();
            let judged = |at: i64, body: &str| {
                verify(&key, text("timestamp"), text("signature_hex"), body.as_bytes(), Time::from_seconds(at))
            };
            let at = 1_700_000_000;
            assert_eq!(judged(at, text("body")).is_ok(), case["valid"].as_bool().unwrap(), "{}", case["name"]);
            assert_eq!(judged(at, "{}"), Err(Unproved::Forged));
            assert_eq!(judged(at + 301, text("body")), Err(Unproved::Stale));
            assert_eq!(judged(at - 301, text("body")), Err(Unproved::Stale));
        }
        let Some(Interaction::Asked(asked)) = read(vectors["cases"][1]["body"].as_str().unwrap().as_bytes()) else {
            panic!()
        };
        assert_eq!((asked.incoming.entry, asked.incoming.text.as_str()), (Entry::Events, "web-service"));
        assert_eq!((asked.incoming.user.as_str(), asked.incoming.channel.as_str()), ("5", "4"));
        assert_eq!((asked.incoming.teams, asked.application.as_str()), (vec!["3".to_owned()], "2"));
    }
}
