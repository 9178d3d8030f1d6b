//! Buttons of messages. Mattermost keeps what a button carries to itself and hands it back when somebody presses it; a
//! code over it proves that podbell made it. Pure.
//!
//! Source: "Interactive messages": `integration.url` and `integration.context`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use crate::hex::{hex, unhex};
use crate::notifiers::buttons::{Button, Pressable};
use podbell_core::translations::Language;

/// What the code is about: nothing else that is signed with the token can pass for it.
const PURPOSE: &[u8] = b"podbell action\n";

/// What a press says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Press {
    /// The command that somebody would type.
    pub command: String,
    /// If the press changes the post in which the button stands: the post that this one answers.
    pub answers: Option<String>,
}

/// The buttons of an open incident. A press goes to `url`; `token` is the bot's. `answers` is the post that this one answers, if
/// that can be changed.
pub(super) fn buttons(
    pressable: Pressable,
    language: Language,
    url: &Url,
    token: &SecretString,
    answers: Option<&str>,
) -> Value {
    let button = |button: Button| {
        let command = button.command(pressable.incident);
        let answers = answers.filter(|_| pressable.changes_answer(button));
        let mut context = json!({"command": command, "code": code(&command, answers, token)});
        if let Some(answers) = answers {
            context["answers"] = json!(answers);
        }
        json!({
            "id": button.name(), "name": button.say(language), "type": "button",
            "integration": {"url": url.as_str(), "context": context},
        })
    };
    pressable.buttons().into_iter().map(button).collect()
}

/// What a button says that podbell made, checked in constant time.
pub(super) fn pressed(context: &Value, token: &SecretString) -> Option<Press> {
    let (command, code) = (context["command"].as_str()?, context["code"].as_str()?);
    let answers = context["answers"].as_str();
    mac(command, answers, token)?.verify_slice(&unhex::<32>(code)?).ok()?;
    Some(Press { command: command.to_owned(), answers: answers.map(str::to_owned) })
}

fn code(command: &str, answers: Option<&str>, token: &SecretString) -> String {
    let Some(mac) = mac(command, answers, token) else { return String::new() };
    hex(&mac.finalize().into_bytes())
}

fn mac(command: &str, answers: Option<&str>, token: &SecretString) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.expose_secret().as_bytes()).ok()?;
    mac.update(PURPOSE);
    mac.update(command.as_bytes());
    if let Some(answers) = answers {
        // No command has a line end.
        mac.update(b"\n");
        mac.update(answers.as_bytes());
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifiers::buttons::StandsIn;

    #[test]
    fn a_press_is_podbell_s_or_nothing() {
        let (token, other) = (SecretString::from("a"), SecretString::from("b"));
        let url = Url::parse("https://podbell.example.com/mattermost/ask").unwrap();
        for answers in [None, Some("p1")] {
            let pressable = Pressable { incident: 12, acknowledged: false, stands_in: StandsIn::Answer };
            let all = buttons(pressable, Language::En, &url, &token, answers);
            let context = |button: usize| all[button]["integration"]["context"].clone();
            let press = |command: &str, answers: Option<&str>| {
                Some(Press { command: command.into(), answers: answers.map(str::to_owned) })
            };
            assert_eq!(pressed(&context(0), &token), press("ack 12", answers));
            assert_eq!(pressed(&context(1), &token), press("mute 12 1h", None), "a mute changes no answer");
            assert_eq!(pressed(&context(0), &other), None);
            for (key, value) in [("command", "ack 13"), ("answers", "p2")] {
                let mut forged = context(0);
                forged[key] = value.into();
                assert_eq!(pressed(&forged, &token), None, "{forged}");
            }
        }
        for broken in [json!({}), json!({"command": "x", "code": ""}), json!({"command": "x", "code": 1}), json!(null)]
        {
            assert_eq!(pressed(&broken, &token), None);
        }
    }
}
