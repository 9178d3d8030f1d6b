//! What becomes of the notices of an incident while something holds them back.

use super::hold::{HoldReason, Holds};
use super::notification_state::PendingNotice;
use super::{Incident, Phase};
use crate::mute::Author;
use crate::notice::NoticeKind;
use crate::rule::{Destination, RuleSettings};
use crate::time::Time;

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

    /// A mute ended while the incident is open: destinations that know of it are reminded that it still is. The others
    /// get the whole story, as after any hold. Returns whether that changed anything.
    pub(crate) fn mute_over(&mut self, rule: &RuleSettings, by: &Author, now: Time) -> bool {
        let mut changed = false;
        for (to, notifications) in &mut self.notifications {
            if self.phase != Phase::Open || notifications.told.is_none() || !notifications.is_notified_by(rule, to) {
                continue;
            }
            let reopened = notifications.next.filter(|next| next.kind == NoticeKind::Reopened);
            notifications.next = reopened.or(Some(PendingNotice::new(NoticeKind::Reminded, now)));
            notifications.after_mute = Some(by.clone());
            changed = true;
        }
        changed
    }
}
