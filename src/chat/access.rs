//! Who may speak in a chat, and what each channel of it sees and may do: `users:`, `channels:` and the like of a chat in
//! podbell.yaml. Teams, people and channels are compared by ids, which nobody can choose; names are for display only.
//! Whoever is refused learns nothing more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::Speaker;
use crate::settings::keys::{SCOPE_CLUSTER, SCOPE_NAMESPACE, SCOPE_SERVICE, scope};
use podbell_core::mute::Author;
use podbell_core::scope::Scope;
use podbell_core::yaml::key::{Bool, Key, Row as _, ValueType, map_schema};
use podbell_core::yaml::{Node, Reader, Value};

/// What a channel may see and do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// What it sees.
    pub scope: Scope,
    /// Whether its members may only ask, and change nothing.
    pub read_only: bool,
}

/// The channel of conversations of one person with podbell.
pub const DIRECT: &str = "direct";

/// Allow lists of a chat. `None` allows anybody, or any channel with everything in scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Ids of teams: workspaces, guilds, tenants, whatever the platform has above channels.
    pub teams: Option<BTreeSet<String>>,
    /// Ids of people.
    pub users: Option<BTreeSet<String>>,
    /// Ids of channels, and what each may see.
    pub channels: Option<BTreeMap<String, Channel>>,
}

/// Who speaks, and where, as the platform proved it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    /// Every team that is named: that of the channel, and the person's where it differs.
    pub teams: &'a [String],
    /// The person's id.
    pub user: &'a str,
    /// What people call them.
    pub name: Option<&'a str>,
    /// The channel's id.
    pub channel: &'a str,
}

/// Why somebody is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Another team: a stranger.
    Team,
    /// A person who is not on the list.
    User,
    /// A channel that is not on the list.
    Channel,
}

impl Access {
    /// Identifies the speaker, and what they may do. `chat` is the chat's name in podbell.yaml.
    ///
    /// # Errors
    /// When an allow list does not contain them.
    pub(crate) fn speaker(&self, who: &Identity<'_>, chat: &str) -> Result<Speaker, Denied> {
        // In a channel that two companies share, the channel's team and the speaker's differ: both must be allowed.
        // Somebody without a team is a stranger.
        let known = |team: &String| self.teams.as_ref().is_none_or(|teams| teams.contains(team));
        if self.teams.is_some() && who.teams.is_empty() || !who.teams.iter().all(known) {
            return Err(Denied::Team);
        }
        if self.users.as_ref().is_some_and(|users| !users.contains(who.user)) {
            return Err(Denied::User);
        }
        let channel = match &self.channels {
            None => Channel::default(),
            Some(channels) => channels.get(who.channel).cloned().ok_or(Denied::Channel)?,
        };
        // A name can be changed to look like another's; the id beside it cannot.
        let name = match who.name {
            Some(name) => format!("{name} ({})", who.user),
            None => who.user.to_owned(),
        };
        let author = Author { name, via: chat.to_owned() };
        Ok(Speaker { author, scope: channel.scope, may_write: !channel.read_only })
    }
}

/// Reads channels: each item is an id or a map with `id:`. `S` reads an id.
#[derive(Clone, Copy, Debug)]
pub struct Channels<S: 'static>(pub Key<S>);

const READ_ONLY: Key<Bool> = Key::with_default("read_only", Bool, "false", "Its people can only ask.");

impl<S: ValueType<Value = String> + Copy> ValueType for Channels<S> {
    type Value = BTreeMap<String, Channel>;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<BTreeMap<String, Channel>> {
        let items = reader.one_or_many(node);
        if items.is_empty() {
            // An empty list would shut everybody out, which nobody means.
            reader.error_help(&node.span, "this list allows no channel", ALLOW_ANY);
        }
        let mut channels = BTreeMap::new();
        for item in items {
            let Some((id, channel)) = self.channel(item, reader) else { continue };
            if channels.insert(id.clone(), channel).is_some() {
                let help = "write one item for this channel: its `cluster`, `namespace` and `service` take lists";
                reader.error_help(&item.span, format!("the channel {id} is there twice"), help);
            }
        }
        Some(channels)
    }

    fn schema(&self) -> Json {
        let whole = map_schema("", &[&self.0, &SCOPE_CLUSTER, &SCOPE_NAMESPACE, &SCOPE_SERVICE, &READ_ONLY]);
        one_or_more(json!({"anyOf": [self.0.schema(), whole]}))
    }
}

const ALLOW_ANY: &str = "list ids, or leave the key out to allow any";

/// A list of ids, each read by `S`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AllowList<S>(pub S);

impl<S: ValueType<Value = String>> ValueType for AllowList<S> {
    type Value = BTreeSet<String>;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<BTreeSet<String>> {
        let items = reader.one_or_many(node);
        if items.is_empty() {
            // An empty list would shut everybody out, which nobody means.
            reader.error_help(&node.span, "this list allows nobody", ALLOW_ANY);
        }
        Some(items.iter().filter_map(|item| self.0.read(item, reader)).collect())
    }

    fn schema(&self) -> Json {
        one_or_more(self.0.schema())
    }
}

fn one_or_more(one: Json) -> Json {
    json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": 1000}]})
}

impl<S: ValueType<Value = String>> Channels<S> {
    fn channel(&self, node: &Node, reader: &mut Reader) -> Option<(String, Channel)> {
        if !matches!(node.value, Value::Map(_)) {
            return Some((self.0.read(node, reader)?, Channel::default()));
        }
        let mut map = reader.map(node, "a channel: its id, or a map with `id:`")?;
        let id = self.0.take(&mut map, reader);
        let scope = scope(&mut map, reader);
        let read_only = READ_ONLY.take(&mut map, reader).unwrap_or_default();
        map.finish(reader);
        Some((id?, Channel { scope, read_only }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str]) -> Option<BTreeSet<String>> {
        Some(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    fn speak(access: &Access, teams: &[&str], channel: &str, user: &str) -> Result<Speaker, Denied> {
        let teams: Vec<String> = teams.iter().map(|team| (*team).to_owned()).collect();
        access.speaker(&Identity { teams: &teams, user, name: Some("steve"), channel }, "ops")
    }

    #[test]
    fn without_lists_everybody_is_heard_and_sees_everything() {
        let speaker = speak(&Access::default(), &["T1"], "C1", "U1").unwrap();
        assert_eq!(speaker.author, Author { name: "steve (U1)".into(), via: "ops".into() });
        assert!(speaker.scope.is_everything() && speaker.may_write);
    }

    #[test]
    fn every_list_that_is_there_must_have_the_speaker() {
        let shop = Channel { scope: serde_json::from_str(r#"{"namespace": ["shop"]}"#).unwrap(), read_only: true };
        let access = Access {
            teams: ids(&["T1"]),
            users: ids(&["U1"]),
            channels: Some([("C1".to_owned(), shop.clone())].into()),
        };
        let speaker = speak(&access, &["T1"], "C1", "U1").unwrap();
        assert_eq!((speaker.scope, speaker.may_write), (shop.scope, false));
        assert_eq!(speak(&access, &["T2"], "C1", "U1"), Err(Denied::Team));
        assert_eq!(speak(&access, &["T1"], "C1", "U2"), Err(Denied::User));
        assert_eq!(speak(&access, &["T1"], "C2", "U1"), Err(Denied::Channel));
    }

    #[test]
    fn a_guest_of_another_team_in_a_shared_channel_and_somebody_of_no_team_are_strangers() {
        let access = Access { teams: ids(&["T1"]), ..Access::default() };
        assert_eq!(speak(&access, &["T1", "T2"], "C1", "U1"), Err(Denied::Team));
        assert_eq!(speak(&access, &[], "C1", "U1"), Err(Denied::Team));
    }
}
