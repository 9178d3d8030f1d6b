//! Parses what Slack sends into what somebody said. Pure: bytes in, [`Payload`] out. Only call it with a body whose
//! signature was verified.
//!
//! Sources: "Slash commands", "Interaction payloads: block_actions", "Events API", "Formatting text".

use serde::Deserialize;

use super::super::blocks;
use crate::chat::Entry;
use crate::chat::asker::Incoming;
use podbell_core::message::clip;

/// How much of somebody's name is kept.
const MAX_NAME: usize = 80;
/// The prefix of the actions of podbell's own buttons.
pub(crate) const ACTION: &str = "podbell.";

/// A body that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Somebody said something.
    Message(Received),
    /// Slack checks the certificate, and expects an empty answer.
    SslCheck,
    /// Slack checks the address, and expects this back.
    Challenge(String),
    /// Nothing that podbell answers, and why.
    Ignored(&'static str),
}

/// A body that Slack does not send, with what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub &'static str);

/// What somebody said, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// What was said, and by whom. The teams are the app's, and the person's where it differs.
    pub incoming: Incoming,
    /// Where the answer goes.
    pub answer: AnswerTo,
}

/// Where an answer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AnswerTo {
    /// To a slash command: into the reply, or later to this address.
    Command(String),
    /// To a button: to this address only.
    Button {
        /// The address.
        address: String,
        /// Whether it is the button of an answer that acknowledges its incident.
        changes_answer: bool,
    },
    /// To a message: by a message of the bot.
    Message {
        /// The thread, if it is one.
        thread: Option<String>,
        /// Whether it is a conversation of two: there everybody is the person who asked.
        direct: bool,
    },
}

/// A slash command, as a form or as JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Slash {
    command: String,
    text: String,
    team_id: Option<String>,
    enterprise_id: Option<String>,
    channel_id: String,
    user_id: String,
    user_name: Option<String>,
    response_url: String,
    trigger_id: Option<String>,
}

/// Reads a form: a slash command, a button, or Slack's check of the certificate.
///
/// # Errors
/// When it is nothing that Slack sends.
pub(crate) fn form(body: &[u8]) -> Result<Payload, Malformed> {
    let body = std::str::from_utf8(body).map_err(|_| Malformed("a form that is not UTF-8"))?;
    let mut slash = Slash::default();
    let mut known = Vec::new();
    for (key, value) in url::form_urlencoded::parse(body.as_bytes()) {
        let field = match &*key {
            "payload" => return interactive(value.as_bytes()),
            "ssl_check" if &*value == "1" => return Ok(Payload::SslCheck),
            "command" => &mut slash.command,
            "text" => &mut slash.text,
            "channel_id" => &mut slash.channel_id,
            "user_id" => &mut slash.user_id,
            "response_url" => &mut slash.response_url,
            "team_id" => slash.team_id.get_or_insert_default(),
            "enterprise_id" => slash.enterprise_id.get_or_insert_default(),
            "user_name" => slash.user_name.get_or_insert_default(),
            "trigger_id" => slash.trigger_id.get_or_insert_default(),
            _ => continue,
        };
        if known.contains(&key) {
            return Err(Malformed("a form that says a key twice"));
        }
        *field = value.into_owned();
        known.push(key);
    }
    slash_payload(slash)
}

/// Reads a slash command of Socket Mode.
///
/// # Errors
/// When it is not a slash command.
pub(crate) fn slash(payload: &[u8]) -> Result<Payload, Malformed> {
    slash_payload(serde_json::from_slice(payload).map_err(|_| Malformed("a slash command whose JSON cannot be read"))?)
}

fn slash_payload(slash: Slash) -> Result<Payload, Malformed> {
    let Some(command) = slash.command.strip_prefix('/') else { return Err(Malformed("a form without a command")) };
    // An app may have to name its command otherwise, such as /events-prod.
    let entry = if command.starts_with("events") { Entry::Events } else { Entry::Podbell };
    Ok(Payload::Message(Received {
        incoming: Incoming {
            teams: teams([slash.team_id.or(slash.enterprise_id)])?,
            channel: id(slash.channel_id)?,
            user: id(slash.user_id)?,
            name: slash.user_name.and_then(|name| short(&name)),
            entry,
            text: slash.text,
            ids: slash.trigger_id.into_iter().filter_map(|id| known("trigger", &id)).collect(),
        },
        answer: AnswerTo::Command(address(slash.response_url)?),
    }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Interactive {
    r#type: String,
    user: Person,
    team: Option<Named>,
    enterprise: Option<Named>,
    channel: Option<Named>,
    container: Container,
    response_url: String,
    trigger_id: Option<String>,
    actions: Vec<Action>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Person {
    id: String,
    username: Option<String>,
    name: Option<String>,
    team_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    channel_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Action {
    action_id: String,
    value: Option<String>,
}

/// Reads what somebody clicked: a button's value is the command that a person would type.
///
/// # Errors
/// When it is nothing that Slack sends.
pub(crate) fn interactive(payload: &[u8]) -> Result<Payload, Malformed> {
    let click: Interactive =
        serde_json::from_slice(payload).map_err(|_| Malformed("an interaction whose JSON cannot be read"))?;
    if click.r#type != "block_actions" {
        return Ok(Payload::Ignored("an interaction that is no button"));
    }
    let ours = click.actions.into_iter().find(|action| action.action_id.starts_with(ACTION));
    let Some((action, text)) = ours.and_then(|action| Some((action.action_id, action.value?))) else {
        return Ok(Payload::Ignored("a button that is not podbell's"));
    };
    let app = click.team.and_then(|team| team.id).or_else(|| click.enterprise.and_then(|one| one.id));
    let channel = click.channel.and_then(|channel| channel.id).or(click.container.channel_id);
    let name = click.user.username.or(click.user.name);
    Ok(Payload::Message(Received {
        incoming: Incoming {
            teams: teams([app, click.user.team_id])?,
            channel: id(channel.unwrap_or_default())?,
            user: id(click.user.id)?,
            name: name.and_then(|name| short(&name)),
            entry: Entry::Podbell,
            text,
            ids: click.trigger_id.into_iter().filter_map(|id| known("trigger", &id)).collect(),
        },
        answer: AnswerTo::Button {
            address: address(click.response_url)?,
            changes_answer: action == blocks::ACKNOWLEDGE_IN_ANSWER,
        },
    }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Callback {
    r#type: String,
    challenge: Option<String>,
    team_id: Option<String>,
    event_id: Option<String>,
    event: Event,
    authorizations: Option<Vec<Authorization>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Authorization {
    user_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    r#type: String,
    subtype: Option<String>,
    bot_id: Option<String>,
    channel_type: Option<String>,
    user: Option<String>,
    user_team: Option<String>,
    text: String,
    channel: Option<String>,
    ts: Option<String>,
    thread_ts: Option<String>,
}

/// Reads an event: a mention of the bot, or a direct message to it. Socket Mode's payload of an
/// event is the same, without challenges.
///
/// # Errors
/// When it is nothing that Slack sends.
pub(crate) fn event(payload: &[u8]) -> Result<Payload, Malformed> {
    let callback: Callback =
        serde_json::from_slice(payload).map_err(|_| Malformed("an event whose JSON cannot be read"))?;
    if callback.r#type == "url_verification" {
        let challenge = callback.challenge.filter(|challenge| (1..=512).contains(&challenge.len()));
        return challenge.map(Payload::Challenge).ok_or(Malformed("a url_verification without a challenge"));
    }
    let event = callback.event;
    // Otherwise two bots would answer each other for ever.
    if event.bot_id.is_some() || event.subtype.is_some() {
        return Ok(Payload::Ignored("a message of a bot, or of Slack"));
    }
    let direct = event.channel_type.as_deref() == Some("im");
    let text = match event.r#type.as_str() {
        "app_mention" | "message" if direct || event.r#type == "app_mention" => {
            let authorizations = callback.authorizations.unwrap_or_default();
            let me = authorizations.into_iter().find_map(|authorization| authorization.user_id);
            after_mention(&event.text, me.as_deref(), direct)
        }
        _ => return Ok(Payload::Ignored("an event that is no mention and no direct message")),
    };
    let (Some(user), Some(channel)) = (event.user, event.channel) else {
        return Ok(Payload::Ignored("an event of nobody"));
    };
    let thread = event.thread_ts.or(if direct { None } else { event.ts });
    Ok(Payload::Message(Received {
        incoming: Incoming {
            teams: teams([callback.team_id, event.user_team])?,
            channel: id(channel)?,
            user: id(user)?,
            name: None,
            entry: Entry::Podbell,
            text: unformatted(text),
            ids: callback.event_id.into_iter().filter_map(|id| known("event", &id)).collect(),
        },
        answer: AnswerTo::Message { thread: thread.filter(|thread| thread.len() <= 64), direct },
    }))
}

/// The text after the mention of the bot; all of it if there is no mention.
fn after_mention<'t>(text: &'t str, me: Option<&str>, direct: bool) -> &'t str {
    let mention = match me {
        Some(me) => text.find(&format!("<@{me}")),
        // In a conversation of two, a mention is of somebody else unless it comes first.
        None => text.find("<@").filter(|at| !direct || text[..*at].trim().is_empty()),
    };
    let rest = mention.and_then(|at| text.get(at..)).and_then(|mention| mention.split_once('>'));
    rest.map_or(text, |(_, rest)| rest).trim()
}

/// Text of a message as it was typed: Slack writes addresses and names as `<target|shown>`, and three
/// characters as entities.
fn unformatted(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        plain.push_str(before);
        let Some((inside, behind)) = after.split_once('>') else {
            plain.push('<');
            rest = after;
            break;
        };
        match inside.split_once('|') {
            Some((_, shown)) => plain.push_str(shown),
            None => plain.push_str(inside),
        }
        rest = behind;
    }
    plain.push_str(rest);
    plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// An id of Slack's: short, letters and digits.
fn id(text: String) -> Result<String, Malformed> {
    let fine = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if fine { Ok(text) } else { Err(Malformed("an id that is not letters and digits")) }
}

fn teams<const N: usize>(teams: [Option<String>; N]) -> Result<Vec<String>, Malformed> {
    let mut known = teams.into_iter().flatten().map(id).collect::<Result<Vec<_>, _>>()?;
    known.dedup();
    Ok(known)
}

/// Whether it is Slack's address is checked before it is used.
fn address(text: String) -> Result<String, Malformed> {
    if (1..=2048).contains(&text.len()) { Ok(text) } else { Err(Malformed("no response_url")) }
}

fn known(what: &str, id: &str) -> Option<String> {
    (1..=256).contains(&id.len()).then(|| format!("{what} {id}"))
}

/// A name shortened to one line; `None` if nothing is left.
fn short(name: &str) -> Option<String> {
    let clean: String = name.chars().filter(|c| !c.is_control()).collect();
    let clean = clip(clean.trim(), MAX_NAME);
    (!clean.is_empty()).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn said(payload: Result<Payload, Malformed>) -> Received {
        match payload {
            Ok(Payload::Message(said)) => said,
            other => panic!("{other:?}"),
        }
    }

    fn vector(name: &str) -> Vec<u8> {
        let vectors = include_str!("../../../../tests/fixtures/vectors/slack_signing.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let case = vectors["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap();
        case["body_utf8"].as_str().unwrap().as_bytes().to_vec()
    }

    #[test]
    fn a_slash_command_is_read_with_everything_that_was_typed() {
        let Received { incoming: steve, answer } = said(form(&vector("events-plus-and-percent")));
        assert_eq!((steve.entry, steve.text.as_str()), (Entry::Events, "a+b 50% & c=d"));
        assert_eq!((steve.user.as_str(), steve.name.as_deref()), ("U2147483697", Some("steve")));
        assert_eq!((steve.teams, steve.channel.as_str()), (vec!["T0001".to_owned()], "C2147483705"));
        assert_eq!(answer, AnswerTo::Command("https://hooks.slack.com/commands/T0001/1234/5678".into()));
        assert_eq!(said(form(&vector("events-unicode"))).incoming.text, "web-服务 “quoted”");
        assert_eq!(said(form(&vector("slack-doc-example"))).incoming.entry, Entry::Podbell);
    }

    #[test]
    fn trials_are_known_and_the_buttons_of_others_are_left_alone() {
        assert_eq!(form(&vector("ssl-check")), Ok(Payload::SslCheck));
        let challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P";
        assert_eq!(event(&vector("url-verification")), Ok(Payload::Challenge(challenge.into())));
        assert_eq!(
            form(&vector("interactivity-block-actions")),
            Ok(Payload::Ignored("a button that is not podbell's"))
        );
    }

    #[test]
    fn a_button_says_what_a_person_would_type() {
        let click = json!({
            "type": "block_actions", "team": {"id": "T1"}, "user": {"id": "U1", "username": "ann", "team_id": "T2"},
            "container": {"channel_id": "C1"}, "response_url": "https://hooks.slack.com/actions/1", "trigger_id": "1.2",
            "actions": [{"action_id": "podbell.mute", "value": "mute 1042 1h"}],
        });
        let ann = said(interactive(click.to_string().as_bytes())).incoming;
        assert_eq!((ann.entry, ann.text.as_str()), (Entry::Podbell, "mute 1042 1h"));
        assert_eq!((ann.teams, ann.channel.as_str()), (vec!["T1".to_owned(), "T2".to_owned()], "C1"));
        assert_eq!(ann.ids, ["trigger 1.2"]);
    }

    #[test]
    fn a_mention_is_read_after_the_bot_s_name_and_without_slack_s_markup() {
        let Received { incoming: mention, answer } = said(event(&vector("event-callback-app-mention")));
        assert_eq!((mention.text.as_str(), mention.ids), ("events web-service", vec!["event Ev0001".to_owned()]));
        assert_eq!(answer, AnswerTo::Message { thread: Some("1531420618.000100".into()), direct: false });
        let say = |kind: &str, channel_type: &str, text: &str| {
            let event =
                json!({"type": kind, "channel_type": channel_type, "user": "U1", "channel": "C1", "text": text});
            let callback = json!({"type": "event_callback", "event": event, "authorizations": [{"user_id": "U0BOT"}]});
            super::event(callback.to_string().as_bytes())
        };
        let text = |payload| said(payload).incoming.text;
        assert_eq!(
            text(say("app_mention", "", "<@U2> ask <@U0BOT> events &lt;web&gt; &amp;amp;")),
            "events <web> &amp;"
        );
        assert_eq!(
            text(say("message", "im", "events <http://web.io|web.io> <#C1|ops> a < b")),
            "events web.io ops a < b"
        );
        assert!(matches!(say("message", "channel", "events web"), Ok(Payload::Ignored(_))));
    }

    #[test]
    fn bots_are_not_answered_and_half_a_form_is_no_command() {
        let bot =
            json!({"type": "event_callback", "event": {"type": "app_mention", "bot_id": "B1", "text": "<@U0> x"}});
        assert!(matches!(event(bot.to_string().as_bytes()), Ok(Payload::Ignored(_))));
        for body in [
            &b""[..],
            b"command=/events",
            b"command=events&user_id=U1&channel_id=C1&response_url=x",
            b"command=/events&user_id=U1&user_id=U2&channel_id=C1&response_url=x",
            b"command=/events&user_id=U1%0AX&channel_id=C1&response_url=x",
            b"command=/events&user_id=U1&channel_id=C1&response_url=",
            b"payload={",
            b"\xff\xfe",
        ] {
            assert!(form(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (form(&bytes), slash(&bytes), interactive(&bytes), event(&bytes));
        }

        #[test]
        fn any_text_of_a_message_is_read(text in r"(<|>|\||@U1|&lt;|&|服|a| ){0,30}") {
            let event = json!({"type": "app_mention", "user": "U1", "channel": "C1", "text": text});
            let _ = super::event(json!({"type": "event_callback", "event": event}).to_string().as_bytes());
        }
    }
}
