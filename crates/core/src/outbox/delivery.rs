//! A notice on its way to one destination, and its states.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::notice::NoticeKind;
use crate::rule::Severity;
use crate::time::Time;

/// The number of a delivery, ascending in the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub u64);

/// The number of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SendId(pub u64);

/// How much of a message is sent: less after the platform refused its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// All of it.
    #[default]
    Full,
    /// Shortened.
    Short,
    /// One built-in line.
    Minimal,
}

impl Content {
    /// Its name in the store, the same as serde writes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Short => "short",
            Self::Minimal => "minimal",
        }
    }

    /// What is tried after this was refused.
    pub(crate) fn less(self) -> Option<Self> {
        match self {
            Self::Full => Some(Self::Short),
            Self::Short => Some(Self::Minimal),
            Self::Minimal => None,
        }
    }
}

/// A notice on its way to one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub id: DeliveryId,
    /// Its notice.
    pub notice: u64,
    /// The notice's incident.
    pub incident: Option<u64>,
    /// The kind of the notice.
    pub kind: NoticeKind,
    /// The severity of the notice.
    pub severity: Severity,
    /// When it became due.
    pub made_at: Time,
    /// The destination's active time when it became due, see [`super::DestinationHealth::active`].
    pub born: Duration,
    /// How much of it is sent.
    pub content: Content,
}

/// Where a delivery is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum DeliveryPhase {
    /// Waits for its turn.
    Due,
    /// Part of an open send.
    Claimed,
    /// Arrived.
    Sent,
    /// Folded into the message of a newer notice of its incident.
    Folded,
    /// Given up.
    Dead,
}

impl DeliveryPhase {
    /// Its name in the store and in lists, the same as serde writes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Claimed => "claimed",
            Self::Sent => "sent",
            Self::Folded => "folded",
            Self::Dead => "dead",
        }
    }
}

/// The state of a delivery as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Waits for its turn.
    Due {
        /// How much of it will be sent.
        content: Content,
        /// The active time at which it became due.
        born: Duration,
    },
    /// Part of an open send.
    Claimed {
        /// The send.
        send: SendId,
    },
    /// Arrived.
    Sent {
        /// When.
        at: Time,
    },
    /// Folded into the message of a newer notice of its incident.
    Folded {
        /// When.
        at: Time,
        /// The delivery of the newer notice.
        into: DeliveryId,
    },
    /// Given up.
    Dead {
        /// When.
        at: Time,
        /// Why.
        why: String,
    },
}

/// How a send ended, for those who look into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendResult {
    /// It arrived, or was not needed.
    Delivered,
    /// It was not taken; its deliveries are due again.
    Refused,
    /// It was not taken, because the destination is not valid.
    Paused,
    /// A refresh that was not taken.
    NotTaken,
    /// Its content was refused.
    ContentRefused,
    /// The message that it was to change or answer is gone.
    MessageGone,
    /// Somebody dropped its delivery.
    Dropped,
    /// Its deliveries waited for too long.
    GivenUp,
    /// A refresh that was in flight when podbell ended.
    Left,
}

impl SendResult {
    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Paused => "paused",
            Self::NotTaken => "not taken",
            Self::ContentRefused => "content refused",
            Self::MessageGone => "its message is gone",
            Self::Dropped => "dropped",
            Self::GivenUp => "given up",
            Self::Left => "left",
        }
    }
}
