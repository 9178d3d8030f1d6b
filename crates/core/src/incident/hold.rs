//! What holds back notices of an open incident for a while, destination by destination.
//!
//! Nothing is frozen meanwhile: when the hold ends, an open incident is sent as it is then, and those that ended before
//! are summed up (`crate::step::held`). The step finds out which holds there are, because it knows calendars and other
//! incidents.

use serde::{Deserialize, Serialize};

use crate::rule::Destination;
use crate::rule::quiet::Window;
use crate::time::Time;

/// What held back a notice from a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// Planned work, or hours in which the rule is not active.
    Window {
        /// The window.
        window: Window,
        /// Its end.
        until: Time,
    },
    /// An incident that explains this one and that the destination hears of.
    #[serde(rename = "by")]
    Inhibition {
        /// Its number.
        incident: u64,
        /// When that incident stops explaining this one, if that is known: only once its own trouble is over.
        #[serde(default)]
        until: Option<Time>,
    },
    /// A user muted it.
    Mute {
        /// The mute's number.
        mute: u64,
        /// Its end.
        until: Time,
    },
}

/// What holds the notices of an incident at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holds {
    /// A window, for every destination: the one that ends last.
    pub window: Option<(Window, Time)>,
    /// A mute, for every destination: its number and its end; of several, the one that ends last.
    pub mute: Option<(u64, Time)>,
    /// Incidents that explain this one.
    pub inhibitors: Vec<Inhibitor>,
    /// When one of its targets was last read. Looked up only where a reminder may be due.
    pub read_at: Option<Time>,
}

/// An incident that explains another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inhibitor {
    /// Its number.
    pub incident: u64,
    /// The destinations that hear of it.
    pub listeners: Vec<Destination>,
    /// Whether its notices list what it explains.
    pub into_cause: bool,
    /// When it stops explaining the other one, if that is known: only once its own trouble is over.
    pub until: Option<Time>,
}

impl Holds {
    /// Whether one of its targets was read at or after a moment.
    pub(crate) fn was_read(&self, at: Time) -> bool {
        self.read_at.is_some_and(|read| read >= at)
    }

    /// What holds back notices from this destination.
    pub(crate) fn of(&self, to: &Destination) -> Option<HoldReason> {
        if let Some((window, until)) = &self.window {
            return Some(HoldReason::Window { window: window.clone(), until: *until });
        }
        if let Some((mute, until)) = self.mute {
            return Some(HoldReason::Mute { mute, until });
        }
        // A destination that does not hear of the cause must hear of the consequences.
        let by = self.inhibitors.iter().find(|by| by.listeners.contains(to))?;
        Some(HoldReason::Inhibition { incident: by.incident, until: by.until })
    }
}
