//! What keeps an open incident from being told for a while, destination by destination.
//!
//! Nothing is frozen meanwhile: what waits is told as it is when the hold ends, and what is over by
//! then is summed up (`core::step::held`). Which holds there are is found out by the step, which knows
//! calendars and other incidents.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::notification_state::{Next, NotificationState};
use super::{Incident, Phase};
use crate::mute::Author;
use crate::notice::NoticeKind;
use crate::rules::rule::{Destination, RuleSettings};
use crate::time::Time;

/// What held something back from a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Planned work, or hours in which its rule does not tell.
    Window {
        /// Which.
        window: Window,
        /// Its end.
        until: Time,
    },
    /// An incident that explains this one, and that the destination hears of.
    By {
        /// Its number.
        incident: u64,
    },
    /// A person said so.
    Mute {
        /// The mute's number.
        mute: u64,
        /// Its end.
        until: Time,
    },
}

/// A stretch of time in which something is not told, as people call it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// The time outside of these hours.
    Hours(Arc<str>),
    /// Planned work of this name.
    Maintenance {
        /// Its name.
        name: Arc<str>,
        /// Whose rules it holds: names are unique in a file only. None: podbell.yaml.
        file: Option<Arc<str>>,
    },
}

/// What holds an incident at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// A window, for every destination: the one that ends last.
    pub window: Option<(Window, Time)>,
    /// A mute, for every destination: its number and its end. Of several the one that ends last.
    pub mute: Option<(u64, Time)>,
    /// Open incidents that explain this one, and who hears of them.
    pub inhibitors: Vec<(u64, Vec<Destination>)>,
    /// When one of its targets was read last.
    pub read_at: Option<Time>,
}

impl Holds {
    /// Whether one of its targets was read at or after a moment.
    pub fn was_read(&self, at: Time) -> bool {
        self.read_at.is_some_and(|read| read >= at)
    }

    /// What holds back from this destination.
    pub fn of(&self, to: &Destination) -> Option<Held> {
        if let Some((window, until)) = &self.window {
            return Some(Held::Window { window: window.clone(), until: *until });
        }
        if let Some((mute, until)) = self.mute {
            return Some(Held::Mute { mute, until });
        }
        // Where nobody hears of the cause, its consequences are told.
        let by = self.inhibitors.iter().find(|(_, told)| told.contains(to))?;
        Some(Held::By { incident: by.0 })
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
    /// Notes for each destination that something fell due by `now` and is held back. Says whether
    /// that is news.
    pub fn note_held(&mut self, rule: &RuleSettings, holds: &Holds, now: Time) -> bool {
        let moments: Vec<(Destination, Held)> = self
            .telling
            .iter()
            .filter(|(to, telling)| self.moment(to, telling, rule).is_some_and(|(_, at)| at <= now))
            .filter_map(|(to, _)| Some((to.clone(), holds.of(to)?)))
            .collect();
        let mut news = false;
        for (to, held) in moments {
            if let Some(telling) = self.telling.get_mut(&to).filter(|telling| telling.held.as_ref() != Some(&held)) {
                telling.held = Some(held);
                news = true;
            }
        }
        news
    }

    /// Who does not hear of its end, because it is held: those in a window, those who know of the cause
    /// and never heard of this, and those who never heard of what is muted.
    pub(super) fn misses_end(&self, telling: &NotificationState, held: &Held) -> bool {
        match held {
            Held::Window { .. } => true,
            Held::Mute { .. } => telling.told.is_none(),
            Held::By { .. } => telling.told.is_none() && self.phase == Phase::Open,
        }
    }

    /// A mute of it is over, while it is open: whoever knows of it hears that it still is. Who does not
    /// hears the whole story, as after any hold. Says whether that changed anything.
    pub fn mute_over(&mut self, rule: &RuleSettings, by: &Author, now: Time) -> bool {
        let mut changed = false;
        for (to, telling) in &mut self.telling {
            if self.phase != Phase::Open || telling.told.is_none() || !rule.notify.contains(to) {
                continue;
            }
            let reopened = telling.next.filter(|next| next.kind == NoticeKind::Reopened);
            telling.next = reopened.or(Some(Next::new(NoticeKind::Reminded, now)));
            telling.after_mute = Some(by.clone());
            changed = true;
        }
        changed
    }
}
