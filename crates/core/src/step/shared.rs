//! Which episodes several targets may show. Most are shown by one target: for those nobody has to search its namespace.
//!
//! A table of small counters by hash. It may take an episode for shared that is not, which costs a search; it never
//! misses a shared one. Counters only go up, so the table is rebuilt from time to time.

use crate::series::EpisodeKey;

/// How many counters, of a byte each; 500,000 episodes take an eighth of them.
const PLACES: usize = 1 << 22;
/// The table is worn after this many notes beyond twice the known episodes.
const SPARE: usize = PLACES / 4;

#[derive(Debug)]
pub(super) struct Shared {
    counts: Vec<u8>,
    noted: usize,
}

impl Default for Shared {
    fn default() -> Self {
        // Zeroed memory costs nothing until it is touched.
        Self { counts: vec![0; PLACES], noted: 0 }
    }
}

impl Shared {
    /// Notes that a target shows this episode; noting it twice is harmless.
    pub(super) fn note(&mut self, key: EpisodeKey) {
        self.noted += 1;
        if let Some(count) = self.counts.get_mut(place(key)) {
            *count = count.saturating_add(1);
        }
    }

    /// Whether several targets may show it.
    pub(super) fn may_be_shared(&self, key: EpisodeKey) -> bool {
        self.counts.get(place(key)).is_none_or(|count| *count > 1)
    }

    /// Whether the table should be rebuilt from the `known` episodes.
    pub(super) fn is_worn(&self, known: usize) -> bool {
        self.noted > 2 * known + SPARE
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the highest 22 bits")]
fn place(key: EpisodeKey) -> usize {
    let [a, b, c, d, e, f, g, h, ..] = key.series.0;
    let series = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let first_seen = key.first_seen.millis().cast_unsigned();
    let hash = (series ^ first_seen.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (hash >> (u64::BITS - PLACES.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::SeriesId;
    use crate::time::Time;

    #[test]
    fn what_two_targets_show_is_never_missed() {
        let key = |n: u32| EpisodeKey {
            series: SeriesId(
                [n.to_le_bytes(), n.wrapping_mul(77).to_be_bytes(), [1; 4], [2; 4]].concat().try_into().unwrap(),
            ),
            first_seen: Time::from_seconds(i64::from(n % 60)),
        };
        let mut shared = Shared::default();
        (0..10_000).for_each(|n| shared.note(key(n)));
        let mistaken = (0..10_000).filter(|n| shared.may_be_shared(key(*n))).count();
        assert!(mistaken < 500, "{mistaken} of 10,000 are taken for shared");
        (0..10_000).for_each(|n| shared.note(key(n)));
        assert!((0..10_000).all(|n| shared.may_be_shared(key(n))));
        assert!(!shared.is_worn(10_000));
        assert!(Shared { noted: PLACES, ..shared }.is_worn(10_000));
    }
}
