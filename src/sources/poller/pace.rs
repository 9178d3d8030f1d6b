//! Whether a source's request rate can hold its interval. Pure; `check` and `run` put it into words.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// How often each target is really read when this many share this request rate.
pub(crate) fn real_interval(targets: usize, requests_per_second: NonZeroU32, poll_every: Duration) -> Duration {
    let millis = (targets as u64).saturating_mul(1000).div_ceil(u64::from(requests_per_second.get()));
    poll_every.max(Duration::from_millis(millis))
}

/// What `check` and `run` say of a pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PaceVerdict {
    /// `poll_every` holds.
    Holds,
    /// Each target is read this often only. A warning.
    Slower(Duration),
    /// Each target is read this often only, which is longer than the source remembers: events will be missed. An
    /// error.
    BlindAfter(Duration),
}

impl PaceVerdict {
    /// The verdict on this many targets, for a source that remembers events for `memory`.
    pub(crate) fn of(targets: usize, requests_per_second: NonZeroU32, poll_every: Duration, memory: Duration) -> Self {
        let real = real_interval(targets, requests_per_second, poll_every);
        if real > memory {
            Self::BlindAfter(real)
        } else if real > poll_every {
            Self::Slower(real)
        } else {
            Self::Holds
        }
    }
}

impl fmt::Display for PaceVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("the pace holds poll_every"),
            Self::Slower(real) => {
                let seconds = real.as_secs_f64().ceil();
                write!(f, "each service is read every {seconds} s only: raise requests_per_second or poll_every")
            }
            Self::BlindAfter(real) => {
                let seconds = real.as_secs_f64().ceil();
                write!(
                    f,
                    "each service is read every {seconds} s only, longer than the source shows events: \
                     events will be missed; raise requests_per_second, lower poll_every or watch fewer services"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(targets: usize, rps: u32, every: u64) -> PaceVerdict {
        let rps = NonZeroU32::new(rps).unwrap();
        PaceVerdict::of(targets, rps, Duration::from_secs(every), Duration::from_secs(3600))
    }

    #[test]
    fn ten_requests_a_second_hold_600_targets_a_minute() {
        assert_eq!(verdict(600, 10, 60), PaceVerdict::Holds);
        assert_eq!(verdict(601, 10, 60), PaceVerdict::Slower(Duration::from_millis(60_100)));
        assert_eq!(verdict(36_000, 10, 60), PaceVerdict::Slower(Duration::from_secs(3600)));
        assert_eq!(verdict(36_001, 10, 60), PaceVerdict::BlindAfter(Duration::from_millis(3_600_100)));
        assert_eq!(verdict(1, 10, 4000), PaceVerdict::BlindAfter(Duration::from_secs(4000)));
        assert_eq!(verdict(0, 1, 60), PaceVerdict::Holds);
        assert!(verdict(601, 10, 60).to_string().contains("every 61 s only"));
    }
}
