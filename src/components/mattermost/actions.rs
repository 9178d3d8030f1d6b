//! Buttons of messages. Mattermost keeps what a button carries to itself and hands it back when somebody presses it; a
//! code over it proves that podbell made it. Pure.
//!
//! Source: "Interactive messages": `integration.url` and `integration.context`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use crate::chat::replays::unhex;
use crate::notifiers::buttons::{Button, Pressable};
use podbell_core::message::Language;

/// What the code is about: nothing else that is signed with the token can pass for it.
const PURPOSE: &[u8] = b"podbell action\n";

/// The buttons of an open incident. A press goes to `url`; `token` is the bot's.
pub(super) fn buttons(pressable: Pressable, language: Language, url: &Url, token: &SecretString) -> Value {
    let button = |button: Button| {
        let command = button.command(pressable.incident);
        let context = json!({"command": command, "code": code(&command, token)});
        json!({
            "id": button.name(), "name": button.label(language), "type": "button",
            "integration": {"url": url.as_str(), "context": context},
        })
    };
    pressable.buttons().into_iter().map(button).collect()
}

/// The command of a button that podbell made, checked in constant time.
pub(super) fn pressed(context: &Value, token: &SecretString) -> Option<String> {
    let (command, code) = (context["command"].as_str()?, context["code"].as_str()?);
    mac(command, token)?.verify_slice(&unhex::<32>(code)?).ok()?;
    Some(command.to_owned())
}

fn code(command: &str, token: &SecretString) -> String {
    let Some(mac) = mac(command, token) else { return String::new() };
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(command: &str, token: &SecretString) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.expose_secret().as_bytes()).ok()?;
    mac.update(PURPOSE);
    mac.update(command.as_bytes());
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_press_is_podbell_s_or_nothing() {
        let (token, other) = (SecretString::from("a"), SecretString::from("b"));
        let url = Url::parse("https://podbell.example.com/mattermost/ask").unwrap();
        let all = buttons(Pressable { incident: 12, acknowledged: true, below: false }, Language::En, &url, &token);
        let context = &all[0]["integration"]["context"];
        assert_eq!(pressed(context, &token).as_deref(), Some("mute 12 1h"));
        assert_eq!(pressed(context, &other), None);
        let mut forged = context.clone();
        forged["command"] = "mute 13 1h".into();
        assert_eq!(pressed(&forged, &token), None);
        for broken in [json!({}), json!({"command": "x", "code": ""}), json!({"command": "x", "code": 1}), json!(null)]
        {
            assert_eq!(pressed(&broken, &token), None);
        }
    }
}
