//! Buttons of messages. Mattermost keeps what a button carries to itself and hands it back when somebody presses it; a
//! code over it proves that podbell made it. Pure.
//!
//! Source: "Interactive messages": `integration.url` and `integration.context`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use crate::chat::replays::unhex;
use crate::notifiers::buttons::{Button, Pressable};
use podbell_core::message::Language;

/// What the code is about: nothing else that is signed with the token can pass for it.
const PURPOSE: &[u8] = b"podbell action\n";

/// What a press says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Press {
    /// The command that somebody would type.
    pub command: String,
    /// The answer that the button stands below.
    pub below: Option<Below>,
}

/// An answer that buttons stand below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Below {
    /// The question that it answers.
    pub question: String,
    /// The post that this was asked in, if it was no slash command.
    pub post: Option<String>,
}

/// The buttons of an open incident. A press goes to `url`; `token` is the bot's. `below` is the answer that
/// they stand below, which the one that acknowledges changes.
pub(super) fn buttons(
    pressable: Pressable,
    language: Language,
    url: &Url,
    token: &SecretString,
    below: Option<&Below>,
) -> Value {
    let button = |button: Button| {
        let command = button.command(pressable.incident);
        let below = below.filter(|_| button == Button::Acknowledge);
        let mut context = json!({"command": command, "code": code(&command, below, token)});
        if let Some(below) = below {
            context["below"] = json!(below);
        }
        json!({
            "id": button.name(), "name": button.label(language), "type": "button",
            "integration": {"url": url.as_str(), "context": context},
        })
    };
    pressable.buttons().into_iter().map(button).collect()
}

/// What a button says that podbell made, checked in constant time.
pub(super) fn pressed(context: &Value, token: &SecretString) -> Option<Press> {
    let (command, code) = (context["command"].as_str()?, context["code"].as_str()?);
    let below = Option::<Below>::deserialize(&context["below"]).ok()?;
    mac(command, below.as_ref(), token)?.verify_slice(&unhex::<32>(code)?).ok()?;
    Some(Press { command: command.to_owned(), below })
}

fn code(command: &str, below: Option<&Below>, token: &SecretString) -> String {
    let Some(mac) = mac(command, below, token) else { return String::new() };
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(command: &str, below: Option<&Below>, token: &SecretString) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.expose_secret().as_bytes()).ok()?;
    mac.update(PURPOSE);
    mac.update(command.as_bytes());
    if let Some(below) = below {
        // No command has a line end.
        mac.update(b"\n");
        mac.update(&serde_json::to_vec(below).ok()?);
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_press_is_podbell_s_or_nothing() {
        let (token, other) = (SecretString::from("a"), SecretString::from("b"));
        let url = Url::parse("https://podbell.example.com/mattermost/ask").unwrap();
        let answer = |question: &str| Some(Below { question: question.into(), post: Some("p1".into()) });
        for below in [None, answer("show 12")] {
            let pressable = Pressable { incident: 12, acknowledged: false, below: false };
            let all = buttons(pressable, Language::En, &url, &token, below.as_ref());
            let context = &all[0]["integration"]["context"];
            assert_eq!(pressed(context, &token), Some(Press { command: "ack 12".into(), below: below.clone() }));
            assert_eq!(pressed(context, &other), None);
            for (key, other) in [("command", json!("ack 13")), ("below", json!(answer("show 13"))), ("below", json!(1))]
            {
                let mut forged = context.clone();
                forged[key] = other;
                assert_eq!(pressed(&forged, &token), None, "{forged}");
            }
        }
        for broken in [json!({}), json!({"command": "x", "code": ""}), json!({"command": "x", "code": 1}), json!(null)]
        {
            assert_eq!(pressed(&broken, &token), None);
        }
    }
}
