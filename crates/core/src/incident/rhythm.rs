//! How long the trouble of an incident pauses: what has come back after half an hour may do so again.
//!
//! Owns the pauses that an incident has shown, and the silence that follows from them. When the incident ends is decided
//! in [`standing`](super::standing).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::window::Occurrences;
use super::{Incident, Joining, LONGEST_SILENCE, Phase};
use crate::reports;

/// A pause may be this many times as long as the longest that was seen.
const PAUSE_FACTOR: u32 = 2;

/// The pauses of an incident's trouble, in seconds. Those that its reporter makes anyway are not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rhythm {
    /// The longest pause after which it went on.
    longest: u32,
    /// The longest pause after which it came back although its end had been told.
    longest_over: u32,
}

impl Rhythm {
    /// The least silence that may end it.
    pub(super) fn least_silence(self) -> Duration {
        bounded(self.longest)
    }

    /// The least time after its newest occurrence before its workloads count as recovered.
    pub(super) fn least_recovery(self) -> Duration {
        bounded(self.longest_over)
    }
}

fn bounded(pause: u32) -> Duration {
    Duration::from_secs(pause.into()).saturating_mul(PAUSE_FACTOR).min(LONGEST_SILENCE)
}

impl Incident {
    /// Notes the pause before new occurrences, which are not yet recorded.
    pub(super) fn note_rhythm(&mut self, joining: &Joining<'_>) {
        if self.occurrences == 0 || joining.late || joining.over {
            return;
        }
        let Occurrences { first, last, new, .. } = joining.times;
        // Several occurrences give a lower bound only: the first of them came after the last reading.
        let pause = if new == 1 { last } else { first }.since(self.last_sign);
        if pause <= reports::KUBELET.max(reports::longest_silence(joining.event)) {
            return;
        }
        let pause = u32::try_from(pause.as_secs()).unwrap_or(u32::MAX);
        self.rhythm.longest = self.rhythm.longest.max(pause);
        if matches!(self.phase, Phase::Resolved { .. }) {
            self.rhythm.longest_over = self.rhythm.longest_over.max(pause);
        }
    }
}
