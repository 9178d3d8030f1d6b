//! What people change on the page.

/// A change, by the word that forms and addresses carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageAction {
    Ack,
    Mute,
    Unmute,
}

impl PageAction {
    const ALL: [Self; 3] = [Self::Ack, Self::Mute, Self::Unmute];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Mute => "mute",
            Self::Unmute => "unmute",
        }
    }

    /// The action of a word; `None` for any other word.
    pub(super) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }
}
