//! What an incident remembers by podbell's clock, when that clock is set. The cluster's dates stay what they are.

use super::hold::Held;
use super::{Incident, Phase};
use crate::core::time::Jump;

impl Incident {
    /// The clock was set.
    pub fn clock_set(&mut self, by: Jump) {
        // Field by field, so that a new one cannot be forgotten.
        let Self {
            id: _,
            rule: _,
            group: _,
            phase,
            recent,
            targets: _,
            workload: _,
            occurrences: _,
            older: _,
            first_at,
            last_at,
            last_sign,
            first_seen: _,
            reopened: _,
            blind,
            telling,
            details,
            acknowledged,
        } = self;
        if let Phase::Resolved { at } = phase {
            at.carry(by);
        }
        let blind = blind.iter_mut().flat_map(|(from, until)| [from, until]);
        let acknowledged = acknowledged.iter_mut().map(|by| &mut by.at);
        for at in recent.iter_mut().chain([first_at, last_at, last_sign]).chain(blind).chain(acknowledged) {
            at.carry(by);
        }
        for (_, telling) in telling {
            if let Some(told) = &mut telling.told {
                told.at.carry(by);
            }
            if let Some(next) = &mut telling.next {
                next.caused_at.carry(by);
            }
            // The end of a window is the calendar's.
            if let Some(Held::Mute { until, .. }) = &mut telling.held {
                until.carry(by);
            }
        }
        details.change(|details| {
            for (_, sighting) in &mut details.objects {
                sighting.occurred.carry(by);
                sighting.heard.carry(by);
            }
        });
    }
}
