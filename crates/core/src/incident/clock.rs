//! Handles a clock that was set: shifts the times that an incident took from podbell's clock. The cluster's dates stay.

use super::hold::HoldReason;
use super::{Incident, ObjectState, Phase};
use crate::health::Status;
use crate::time::Jump;

impl Incident {
    /// Shifts the times of podbell's own clock.
    pub(crate) fn clock_set(&mut self, by: Jump) {
        // Destructure, so that a new field cannot be forgotten.
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
            notifications,
            details,
            acknowledged,
            signs: _,
            slowest: _,
            ended_by,
            shape: _,
            streaks,
            status,
            affected: _,
            unacknowledged,
            follows,
            rhythm: _,
            joined,
        } = self;
        if let Phase::Resolved { at } = phase {
            at.carry(by);
        }
        for change in joined {
            change.at.carry(by);
        }
        let blind = blind.iter_mut().flat_map(|(from, until)| [from, until]);
        let acknowledged = acknowledged.iter_mut().map(|by| &mut by.at);
        let ended_by = ended_by.iter_mut().map(|end| &mut end.at);
        let since = status.iter_mut().filter_map(Status::since_mut);
        let unacknowledged = unacknowledged.iter_mut().map(|state| &mut state.since);
        let own = recent.iter_mut().chain([first_at, last_at, last_sign]);
        for at in own.chain(blind).chain(acknowledged).chain(ended_by).chain(since).chain(unacknowledged) {
            at.carry(by);
        }
        follows.iter_mut().for_each(|(_, rollout)| rollout.clock_set(by));
        streaks.iter_mut().for_each(|run| run.clock_set(by));
        for (_, notifications) in notifications {
            if let Some(told) = &mut notifications.told {
                told.at.carry(by);
            }
            if let Some(next) = &mut notifications.next {
                next.caused_at.carry(by);
            }
            // The end of a window follows the calendar.
            if let Some(HoldReason::Mute { until, .. }) = &mut notifications.held {
                until.carry(by);
            }
        }
        self.signs = details.change(|details| {
            for (_, sighting) in &mut details.objects {
                let ObjectState { occurred, heard, standing, silent, gone } = sighting;
                [occurred, heard].into_iter().chain(silent).chain(gone).for_each(|at| at.carry(by));
                standing.iter_mut().for_each(|one| one.clock_set(by));
            }
            let nodes = details.nodes.iter_mut().map(|(_, seen)| seen);
            details.unlisted.iter_mut().chain(nodes).for_each(|at| at.carry(by));
            details.signs()
        });
    }
}
