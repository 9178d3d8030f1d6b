//! What people can press under a message: the same buttons on every platform that has any. What each does is the
//! command that a person would type.

use super::Rendering;
use podbell_core::ask::OpenIncident;
use podbell_core::message::Language;
use podbell_core::notice::NoticeBody;
use podbell_core::outbox::is_end;

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
    /// Whether they stand below the message that represents the incident. Only that one changes when somebody
    /// acknowledges it, so that only it has every button.
    pub below: bool,
}

impl From<OpenIncident> for Pressable {
    fn from(OpenIncident { id, acknowledged }: OpenIncident) -> Self {
        Self { incident: id, acknowledged, below: false }
    }
}

impl Pressable {
    /// The open incident that a message is about, if it is about one alone.
    pub(crate) fn of(rendering: &Rendering<'_>) -> Option<Self> {
        let over = rendering.is_digest || is_end(rendering.message.kind);
        match &rendering.notice.body {
            NoticeBody::Incident(story) if !over => {
                let below = rendering.parent.is_some() && !rendering.refresh;
                Some(Self { incident: story.incident, acknowledged: story.acknowledged.is_some(), below })
            }
            _ => None,
        }
    }

    /// Its buttons, in their order.
    pub(crate) fn buttons(self) -> Vec<Button> {
        match self {
            Self { below: true, .. } => vec![Button::Show],
            Self { acknowledged: true, .. } => vec![Button::Mute, Button::Show],
            _ => vec![Button::Acknowledge, Button::Mute, Button::Show],
        }
    }
}

impl Button {
    /// What is written on it.
    pub(crate) fn label(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Acknowledge, Language::En) => "Acknowledge",
            (Self::Acknowledge, Language::Zh) => "认领",
            (Self::Mute, Language::En) => "Mute 1 h",
            (Self::Mute, Language::Zh) => "静默 1 小时",
            (Self::Show, Language::En) => "Show",
            (Self::Show, Language::Zh) => "查看",
        }
    }

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
