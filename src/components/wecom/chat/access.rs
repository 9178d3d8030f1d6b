//! Who may speak in WeCom, and what each conversation sees. Pure.
//!
//! People and groups are compared by WeCom's ids, which nobody can choose. The company is proved by
//! the connection itself: a bot's secret, or the id in every message to an app.

use std::collections::{BTreeMap, BTreeSet};

use crate::chat::Speaker;
use crate::chat::access::Channel;
use podbell_core::ask::Entry;
use podbell_core::mute::Author;

/// The channel of conversations of one person with a bot: they have no id of their own.
pub const DIRECT: &str = "direct";

/// Allow lists of a chat. `None` allows anybody, or any conversation with everything in scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Ids of users.
    pub users: Option<BTreeSet<String>>,
    /// Ids of groups (of an app: its AgentID), and what each may see.
    pub channels: Option<BTreeMap<String, Channel>>,
}

/// Why somebody is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// A person who is not on the list.
    User,
    /// A conversation that is not on the list.
    Channel,
}

/// Something that somebody said to podbell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The id by which a repetition is recognized.
    pub id: String,
    /// The user's id.
    pub user: String,
    /// The conversation.
    pub channel: String,
    /// The word that began it.
    pub entry: Entry,
    /// What follows.
    pub text: String,
}

impl Access {
    /// Identifies the speaker, and what they may do. `chat` is the chat's name in podbell.yaml.
    ///
    /// # Errors
    /// When an allow list does not contain them.
    pub(crate) fn speaker(&self, heard: &Heard, chat: &str) -> Result<Speaker, Denied> {
        if self.users.as_ref().is_some_and(|users| !users.contains(&heard.user)) {
            return Err(Denied::User);
        }
        let channel = match &self.channels {
            None => Channel::default(),
            Some(channels) => channels.get(&heard.channel).cloned().ok_or(Denied::Channel)?,
        };
        let author = Author { name: heard.user.clone(), via: chat.to_owned() };
        Ok(Speaker { author, scope: channel.scope, may_write: !channel.read_only })
    }
}

/// Strips the command's first word, as a person types it: `/events web`, `/podbell help`, `@podbell /events web`,
/// or only `help`. In a group a message begins with the mention of the bot.
pub(super) fn command(text: &str, mentioned: bool) -> (Entry, String) {
    // WeCom puts U+2005 behind a mention; that is white space, too.
    let mut text = text.trim();
    if mentioned && text.starts_with('@') {
        text = text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest).trim();
    }
    let Some(slashed) = text.strip_prefix('/') else { return (Entry::Podbell, text.to_owned()) };
    let (word, rest) = slashed.split_once(char::is_whitespace).unwrap_or((slashed, ""));
    match word.to_ascii_lowercase().as_str() {
        "events" => (Entry::Events, rest.trim().to_owned()),
        "podbell" => (Entry::Podbell, rest.trim().to_owned()),
        _ => (Entry::Podbell, slashed.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_says_what_follows() {
        for (text, mentioned, entry, rest) in [
            ("/events web-service", false, Entry::Events, "web-service"),
            (" /Events  支付服务 最近2小时 ", false, Entry::Events, "支付服务 最近2小时"),
            ("/podbell help", false, Entry::Podbell, "help"),
            ("/mute 12 1h", false, Entry::Podbell, "mute 12 1h"),
            ("help", false, Entry::Podbell, "help"),
            ("@RobotA /events web-service", true, Entry::Events, "web-service"),
            ("@RobotA\u{2005}help", true, Entry::Podbell, "help"),
            ("@RobotA", true, Entry::Podbell, ""),
            ("@x help", false, Entry::Podbell, "@x help"),
            ("", true, Entry::Podbell, ""),
            ("/", true, Entry::Podbell, ""),
        ] {
            assert_eq!(command(text, mentioned), (entry, rest.to_owned()), "{text}");
        }
    }

    #[test]
    fn every_list_that_is_there_must_have_the_speaker() {
        let heard = |user: &str, channel: &str| Heard {
            id: "1".into(),
            user: user.into(),
            channel: channel.into(),
            entry: Entry::Podbell,
            text: String::new(),
        };
        let anybody = Access::default().speaker(&heard("ann", DIRECT), "wx").unwrap();
        assert!(anybody.scope.is_everything() && anybody.may_write);
        assert_eq!(anybody.author, Author { name: "ann".into(), via: "wx".into() });
        let shop = Channel { scope: serde_json::from_str(r#"{"namespace": ["shop"]}"#).unwrap(), read_only: true };
        let access =
            Access { users: Some(["ann".to_owned()].into()), channels: Some([("g1".to_owned(), shop.clone())].into()) };
        let ann = access.speaker(&heard("ann", "g1"), "wx").unwrap();
        assert_eq!((ann.scope, ann.may_write), (shop.scope, false));
        assert_eq!(access.speaker(&heard("bob", "g1"), "wx"), Err(Denied::User));
        assert_eq!(access.speaker(&heard("ann", DIRECT), "wx"), Err(Denied::Channel));
    }
}
