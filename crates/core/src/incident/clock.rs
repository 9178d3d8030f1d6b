//! What an incident remembers by podbell's clock, when that clock is set. The cluster's dates stay what they are.

use super::hold::Held;
use super::{Incident, Phase, Sighting};
use crate::time::Jump;

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
            signs: _,
            slowest: _,
            ended_by,
            shape: _,
            runs,
        } = self;
        if let Phase::Resolved { at } = phase {
            at.carry(by);
        }
        let blind = blind.iter_mut().flat_map(|(from, until)| [from, until]);
        let acknowledged = acknowledged.iter_mut().map(|by| &mut by.at);
        let ended_by = ended_by.iter_mut().map(|end| &mut end.at);
        let own = recent.iter_mut().chain([first_at, last_at, last_sign]);
        for at in own.chain(blind).chain(acknowledged).chain(ended_by) {
            at.carry(by);
        }
        runs.iter_mut().for_each(|run| run.clock_set(by));
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
        self.signs = details.change(|details| {
            for (_, sighting) in &mut details.objects {
                let Sighting { occurred, heard, standing, silent } = sighting;
                [occurred, heard].into_iter().chain(silent).for_each(|at| at.carry(by));
                standing.iter_mut().for_each(|one| one.clock_set(by));
            }
            details.unlisted.iter_mut().for_each(|at| at.carry(by));
            details.signs()
        });
    }
}
