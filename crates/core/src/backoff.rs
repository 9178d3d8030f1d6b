//! How long to wait before something is tried again.

use std::time::Duration;

/// `first`, doubled `times` times, but no longer than `longest`.
pub fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(longest)
}

/// Between half of a wait and all of it, so that many clients do not come back in step. `chance` is a random number from 0
/// (all of it) to 1.
pub fn jittered(wait: Duration, chance: f64) -> Duration {
    wait.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_up_to_the_longest_and_chance_takes_at_most_half_of_it() {
        let seconds = Duration::from_secs;
        let waits = [0, 1, 2, 6, 40, u32::MAX].map(|times| doubled(seconds(1), times, seconds(60)).as_secs());
        assert_eq!(waits, [1, 2, 4, 60, 60, 60]);
        assert_eq!([-1.0, 0.0, 0.5, 1.0, 2.0].map(|chance| jittered(seconds(8), chance).as_secs()), [8, 8, 6, 4, 4]);
    }
}
