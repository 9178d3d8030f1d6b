//! Who may speak in a chat, and what each channel sees. Pure.
//!
//! Teams, users and channels are compared by Slack's ids, which nobody can choose; names are for display only.
//! Whoever is refused learns nothing more.

use std::collections::{BTreeMap, BTreeSet};

use super::payload::Heard;
use crate::chat::Speaker;
use crate::chat::access::Channel;
use podbell_core::mute::Author;

/// Allow lists of a chat. `None` allows anybody, or any channel with everything in scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Ids of workspaces, or of an organisation.
    pub teams: Option<BTreeSet<String>>,
    /// Ids of users.
    pub users: Option<BTreeSet<String>>,
    /// Ids of channels, and what each may see.
    pub channels: Option<BTreeMap<String, Channel>>,
}

/// Why somebody is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Another workspace: a stranger.
    Team,
    /// A person who is not on the list.
    User,
    /// A channel that is not on the list.
    Channel,
}

impl Denied {
    /// For the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Team => "a team that is not allowed",
            Self::User => "a user who is not allowed",
            Self::Channel => "a channel that is not allowed",
        }
    }
}

impl Access {
    /// Identifies the speaker, and what they may do. `chat` is the chat's name in podbell.yaml.
    ///
    /// # Errors
    /// When an allow list does not contain them.
    pub(crate) fn speaker(&self, heard: &Heard, chat: &str) -> Result<Speaker, Denied> {
        // In a channel that two companies share, the channel's team and the speaker's differ: both must be allowed.
        // Somebody without a team is a stranger.
        let known = |team: &String| self.teams.as_ref().is_none_or(|teams| teams.contains(team));
        if self.teams.is_some() && heard.teams.is_empty() || !heard.teams.iter().all(known) {
            return Err(Denied::Team);
        }
        if self.users.as_ref().is_some_and(|users| !users.contains(&heard.user)) {
            return Err(Denied::User);
        }
        let channel = match &self.channels {
            None => Channel::default(),
            Some(channels) => channels.get(&heard.channel).cloned().ok_or(Denied::Channel)?,
        };
        // A name can be changed to look like another's; the id beside it cannot.
        let name = match &heard.user_name {
            Some(name) => format!("{name} ({})", heard.user),
            None => heard.user.clone(),
        };
        let author = Author { name, via: chat.to_owned() };
        Ok(Speaker { author, scope: channel.scope, may_write: !channel.read_only })
    }
}

#[cfg(test)]
mod tests {
    use super::super::payload;
    use super::*;

    fn heard(team: &str, channel: &str, user: &str) -> Heard {
        let body = format!(
            "team_id={team}&channel_id={channel}&user_id={user}&user_name=steve&command=/events&text=&response_url=x"
        );
        match payload::form(body.as_bytes()) {
            Ok(payload::Payload::Said(heard)) => heard,
            other => panic!("{other:?}"),
        }
    }

    fn ids(ids: &[&str]) -> Option<BTreeSet<String>> {
        Some(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    #[test]
    fn without_lists_everybody_is_heard_and_sees_everything() {
        let speaker = Access::default().speaker(&heard("T1", "C1", "U1"), "ops").unwrap();
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
        let speaker = access.speaker(&heard("T1", "C1", "U1"), "ops").unwrap();
        assert_eq!((speaker.scope, speaker.may_write), (shop.scope, false));
        assert_eq!(access.speaker(&heard("T2", "C1", "U1"), "ops"), Err(Denied::Team));
        assert_eq!(access.speaker(&heard("T1", "C1", "U2"), "ops"), Err(Denied::User));
        assert_eq!(access.speaker(&heard("T1", "C2", "U1"), "ops"), Err(Denied::Channel));
    }

    #[test]
    fn a_guest_of_another_team_in_a_shared_channel_and_somebody_of_no_team_are_strangers() {
        let access = Access { teams: ids(&["T1"]), ..Access::default() };
        let mut guest = heard("T1", "C1", "U1");
        guest.teams.push("T2".into());
        assert_eq!(access.speaker(&guest, "ops"), Err(Denied::Team));
        guest.teams.clear();
        assert_eq!(access.speaker(&guest, "ops"), Err(Denied::Team));
    }
}
