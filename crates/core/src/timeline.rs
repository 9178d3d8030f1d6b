//! A service's last day in quarters of an hour: how much was new in each.

use std::time::Duration;

use super::time::Time;

/// A quarter of an hour, in milliseconds.
const QUARTER: i64 = 900_000;
/// How many quarters a timeline has: a day.
pub const QUARTERS: usize = 96;

/// The number of the quarter of an hour that contains a moment.
pub fn quarter(at: Time) -> i64 {
    at.millis().div_euclid(QUARTER)
}

/// What was new in one bar of a timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bar {
    /// Occurrences of Warnings.
    pub warnings: u64,
    /// Occurrences of all other events.
    pub others: u64,
}

/// A service's last day in quarters of an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The oldest first; the last one is not over.
    pub bars: Vec<Bar>,
    /// When the first one begins.
    pub from: Time,
    /// How long each is.
    pub each: Duration,
}

impl Timeline {
    /// Makes it from the counts of quarters; those that are not of the last day are left out.
    pub fn new(counted: impl IntoIterator<Item = (i64, Bar)>, now: Time) -> Self {
        let first = quarter(now) - QUARTERS as i64 + 1;
        let mut bars = vec![Bar::default(); QUARTERS];
        for (at, counted) in counted {
            let place = usize::try_from(at.saturating_sub(first)).ok();
            if let Some(bar) = place.and_then(|place| bars.get_mut(place)) {
                bar.warnings = bar.warnings.saturating_add(counted.warnings);
                bar.others = bar.others.saturating_add(counted.others);
            }
        }
        Self { bars, from: Time::from_millis(first.saturating_mul(QUARTER)), each: Duration::from_millis(900_000) }
    }

    /// The same with several quarters in one bar.
    #[must_use]
    pub fn coarser(&self, together: usize) -> Self {
        let sum = |bars: &[Bar]| {
            bars.iter().fold(Bar::default(), |sum, bar| Bar {
                warnings: sum.warnings.saturating_add(bar.warnings),
                others: sum.others.saturating_add(bar.others),
            })
        };
        let together = together.max(1);
        let each = self.each.saturating_mul(u32::try_from(together).unwrap_or(u32::MAX));
        Self { bars: self.bars.chunks(together).map(sum).collect(), from: self.from, each }
    }

    /// How many Warnings there were in all.
    pub fn warnings(&self) -> u64 {
        self.bars.iter().fold(0, |sum, bar| sum.saturating_add(bar.warnings))
    }

    /// The highest bar.
    pub fn peak(&self) -> u64 {
        self.bars.iter().map(|bar| bar.warnings.saturating_add(bar.others)).max().unwrap_or(0)
    }

    /// The most Warnings of any bar, and when that bar begins; `None` without Warnings.
    pub fn worst(&self) -> Option<(u64, Time)> {
        let (place, bar) = self.bars.iter().enumerate().max_by_key(|(_, bar)| bar.warnings)?;
        let after = self.each.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX));
        (bar.warnings > 0).then(|| (bar.warnings, self.from.plus(after)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_is_the_last_day_and_ends_with_the_quarter_of_now() {
        let now = Time::from_seconds(1_800_000_123);
        let bar = |warnings| Bar { warnings, others: 1 };
        let at = quarter(now);
        let line = Timeline::new([(at, bar(3)), (at - 95, bar(7)), (at - 96, bar(99)), (at + 1, bar(99))], now);
        assert_eq!((line.bars.len(), line.bars[95], line.bars[0]), (96, bar(3), bar(7)));
        assert_eq!((line.warnings(), line.peak()), (10, 8));
        assert_eq!(line.worst(), Some((7, line.from)));
        let hours = line.coarser(4);
        assert_eq!((hours.bars.len(), hours.warnings(), hours.each.as_secs()), (24, 10, 3600));
    }

    #[test]
    fn counts_of_any_size_do_not_overflow() {
        let now = Time::from_seconds(0);
        let most = Bar { warnings: u64::MAX, others: u64::MAX };
        let line = Timeline::new([(0, most), (0, most), (i64::MIN, most), (i64::MAX, most)], now);
        assert_eq!((line.warnings(), line.peak()), (u64::MAX, u64::MAX));
    }
}
