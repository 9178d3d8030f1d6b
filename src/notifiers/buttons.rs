//! What people can press under a message: the same buttons on every platform that has any. What each does is the
//! command that a person would type.

use super::Rendering;
use podbell_core::ask::OpenIncident;
use podbell_core::notice::NoticeBody;
use podbell_core::outbox::is_end;
use podbell_core::translated;

/// A button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Button {
    /// Takes the incident.
    Acknowledge,
    /// Mutes it for an hour.
    Mute,
    /// Shows it.
    Show,
}

/// An open incident that buttons can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pressable {
    /// Its number.
    pub incident: u64,
    /// Whether somebody has it: then nobody can acknowledge it again.
    pub acknowledged: bool,
    /// What they stand in.
    pub stands_in: StandsIn,
}

/// A message that has buttons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StandsIn {
    /// The message that represents the incident. It changes when somebody acknowledges it.
    Incident,
    /// One that follows it and does not change, so that it has no button that could be out of date.
    FollowUp,
    /// An answer. It changes when somebody acknowledges the incident there.
    Answer,
}

impl From<OpenIncident> for Pressable {
    fn from(OpenIncident { id, acknowledged }: OpenIncident) -> Self {
        Self { incident: id, acknowledged, stands_in: StandsIn::Answer }
    }
}

impl Pressable {
    /// The open incident that a message is about, if it is about one alone.
    pub(crate) fn of(rendering: &Rendering<'_>) -> Option<Self> {
        let over = rendering.is_digest || is_end(rendering.message.kind);
        match &rendering.notice.body {
            NoticeBody::Incident(story) if !over => {
                let follows = rendering.parent.is_some() && !rendering.refresh;
                let stands_in = if follows { StandsIn::FollowUp } else { StandsIn::Incident };
                Some(Self { incident: story.incident, acknowledged: story.acknowledged.is_some(), stands_in })
            }
            _ => None,
        }
    }

    /// Its buttons, in their order.
    pub(crate) fn buttons(self) -> Vec<Button> {
        match self {
            Self { stands_in: StandsIn::FollowUp, .. } => vec![Button::Show],
            Self { acknowledged: true, .. } => vec![Button::Mute, Button::Show],
            _ => vec![Button::Acknowledge, Button::Mute, Button::Show],
        }
    }

    /// Whether a press of this button changes the answer that it stands in, which its platform must then recognize.
    pub(crate) fn changes_answer(self, button: Button) -> bool {
        self.stands_in == StandsIn::Answer && button == Button::Acknowledge
    }
}

translated! { Button;
    Acknowledge: "Acknowledge", "认领";
    Mute: "Mute 1 h", "静默 1 小时";
    Show: "Show", "查看";
}

impl Button {
    /// Its name, for platforms that want one.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Acknowledge => "ack",
            Self::Mute => "mute",
            Self::Show => "show",
        }
    }

    /// The command that it types.
    pub(crate) fn command(self, incident: u64) -> String {
        match self {
            Self::Acknowledge => format!("ack {incident}"),
            Self::Mute => format!("mute {incident} 1h"),
            Self::Show => format!("show {incident}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glossary;

    #[test]
    fn all_labels_use_the_words_of_the_glossary() {
        let found: Vec<String> = Button::ROWS.iter().flat_map(|(_, en, zh)| glossary::breaches(en, zh)).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
