//! What holds back notices of an open incident for a while, destination by destination.
//!
//! Nothing is frozen meanwhile: when the hold ends, an open incident is sent as it is then, and those that ended before
//! are summed up (`crate::step::held`). The step finds out which holds there are, because it knows calendars and other
//! incidents.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::notification_state::{Next, NotificationState};
use super::{Incident, Phase};
use crate::mute::Author;
use crate::notice::NoticeKind;
use crate::rules::rule::{Destination, RuleSettings};
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
    By {
        /// Its number.
        incident: u64,
        /// When it explains it no more, if its own trouble is over.
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

/// A span of time in which nothing is sent, by the name that people know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// The time outside of these hours.
    Hours(Arc<str>),
    /// Planned work of this name.
    Maintenance {
        /// Its name.
        name: Arc<str>,
        /// The file whose rules it holds, because names are unique in a file only; `None`: podbell.yaml.
        file: Option<Arc<str>>,
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
    pub told: Vec<Destination>,
    /// Whether it lists what it explains.
    pub lists: bool,
    /// When it explains it no more, if its own trouble is over.
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
        let by = self.inhibitors.iter().find(|by| by.told.contains(to))?;
        Some(HoldReason::By { incident: by.incident, until: by.until })
    }
}

impl Window {
    /// What people call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Hours(name) | Self::Maintenance { name, .. } => name,
        }
    }
}

impl Incident {
    /// Notes for each destination that a notice fell due by `now` and is held back. Returns whether that changed
    /// anything.
    pub(crate) fn note_held(&mut self, rule: &RuleSettings, holds: &Holds, now: Time) -> bool {
        let moments: Vec<(Destination, HoldReason)> = self
            .notifications
            .iter()
            .filter(|(to, notifications)| self.moment(to, notifications, rule).is_some_and(|(_, at)| at <= now))
            .filter_map(|(to, _)| Some((to.clone(), holds.of(to)?)))
            .collect();
        let mut news = false;
        for (to, held) in moments {
            if let Some(notifications) =
                self.notifications.get_mut(&to).filter(|notifications| notifications.held.as_ref() != Some(&held))
            {
                notifications.held = Some(held);
                news = true;
            }
        }
        news
    }

    /// Whether a destination that was notified of it gets no notice of its end.
    pub(crate) fn withholds_end(&self, holds: &Holds) -> bool {
        self.notifications.iter().any(|(to, notifications)| {
            notifications.told.is_some() && holds.of(to).is_some_and(|held| self.misses_end(notifications, &held))
        })
    }

    /// Whether a destination from which notices are held gets no notice of the end: always in a window; under a mute or
    /// an open cause only if it was never notified of this incident.
    pub(super) fn misses_end(&self, notifications: &NotificationState, held: &HoldReason) -> bool {
        match held {
            HoldReason::Window { .. } => true,
            HoldReason::Mute { .. } => notifications.told.is_none(),
            HoldReason::By { .. } => notifications.told.is_none() && self.phase == Phase::Open,
        }
    }

    /// A mute ended while the incident is open: destinations that know of it are reminded that it still is. The others
    /// get the whole story, as after any hold. Returns whether that changed anything.
    pub(crate) fn mute_over(&mut self, rule: &RuleSettings, by: &Author, now: Time) -> bool {
        let mut changed = false;
        for (to, notifications) in &mut self.notifications {
            if self.phase != Phase::Open || notifications.told.is_none() || !notifications.is_notified_by(rule, to) {
                continue;
            }
            let reopened = notifications.next.filter(|next| next.kind == NoticeKind::Reopened);
            notifications.next = reopened.or(Some(Next::new(NoticeKind::Reminded, now)));
            notifications.after_mute = Some(by.clone());
            changed = true;
        }
        changed
    }
}
