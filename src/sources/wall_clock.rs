//! Converts wall-clock texts without a zone, `2016-11-08 16:15:15`, to instants and back.
//!
//! Lists hold two of them per event, so they are parsed by hand, and the zone is queried once per hour of
//! wall-clock time. Never reads the current time. Used by event lists, the recordings and the emulator.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use podbell_core::time::Time;

/// Cached hours: the API shows last times of one hour, but first times lie further back.
const SLOTS: usize = 16;

/// Reads and writes wall-clock texts of one time zone.
#[derive(Clone, Debug)]
pub struct WallClock {
    zone: TimeZone,
    /// Cached hours of wall-clock time that have one offset throughout, with that offset in seconds; the hour's
    /// number selects the slot.
    hours: [Option<(i64, i64)>; SLOTS],
}

impl WallClock {
    /// For texts of this zone.
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, hours: [None; SLOTS] }
    }

    /// The instant of a text: `YYYY-MM-DD HH:MM:SS` (a `T` between is fine, a fraction is dropped)
    /// in this zone, or a text that names its own offset (`2016-11-08T08:15:15Z`). `None` if it is
    /// neither, or before 1970: no cluster is that old, but Go's zero time is.
    ///
    /// A time that occurs twice (clocks put back) is read as the first one; a time that is skipped is read with the
    /// offset before the gap.
    pub fn read(&mut self, text: &str) -> Option<Time> {
        let text = text.trim_ascii();
        let (head, rest) = text.as_bytes().split_at_checked(19)?;
        let wall = wall_seconds(head)?;
        let seconds = match rest {
            [] => wall.checked_sub(self.offset(wall)?)?,
            [b'.', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => wall.checked_sub(self.offset(wall)?)?,
            _ => text.parse::<Timestamp>().ok()?.as_second(),
        };
        (seconds >= 0).then(|| Time::from_seconds(seconds))
    }

    /// The text of an instant in this zone, to the second.
    pub fn write(&self, time: Time) -> String {
        let stamp = Timestamp::from_second(time.seconds()).unwrap_or_default();
        self.zone.to_datetime(stamp).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// The zone's offset at a wall-clock time. Cached for the whole hour if the hour begins and ends with the same
    /// offset and neither end is skipped or doubled: no zone changes twice within an hour.
    fn offset(&mut self, wall: i64) -> Option<i64> {
        let hour = wall.div_euclid(3600);
        let slot = self.hours.get_mut(usize::try_from(hour.rem_euclid(SLOTS as i64)).ok()?)?;
        if let Some((kept, offset)) = *slot
            && kept == hour
        {
            return Some(offset);
        }
        if let (Some(first), Some(last)) =
            (sole_offset(&self.zone, hour * 3600), sole_offset(&self.zone, hour * 3600 + 3599))
            && first == last
        {
            *slot = Some((hour, first));
            return Some(first);
        }
        Some(match self.zone.to_ambiguous_timestamp(civil(wall)?).offset() {
            AmbiguousOffset::Unambiguous { offset } => i64::from(offset.seconds()),
            AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => i64::from(before.seconds()),
        })
    }
}

/// The zone's offset at a wall-clock time that it has exactly once.
fn sole_offset(zone: &TimeZone, wall: i64) -> Option<i64> {
    match zone.to_ambiguous_timestamp(civil(wall)?).offset() {
        AmbiguousOffset::Unambiguous { offset } => Some(i64::from(offset.seconds())),
        AmbiguousOffset::Gap { .. } | AmbiguousOffset::Fold { .. } => None,
    }
}

/// The wall-clock time that a clock in UTC shows after so many seconds since 1970.
fn civil(wall: i64) -> Option<DateTime> {
    Some(TimeZone::UTC.to_datetime(Timestamp::from_second(wall).ok()?))
}

/// Seconds since 1970 that a clock in UTC has counted when it shows this text.
fn wall_seconds(text: &[u8]) -> Option<i64> {
    let &[y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b' ' | b'T', h1, h2, b':', mi1, mi2, b':', s1, s2] = text
    else {
        return None;
    };
    let year = digits(y1, y2)? * 100 + digits(y3, y4)?;
    let (month, day) = (digits(mo1, mo2)?, digits(d1, d2)?);
    let (hour, minute, second) = (digits(h1, h2)?, digits(mi1, mi2)?, digits(s1, s2)?);
    let real = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    // A leap second counts as the last second of its minute.
    real.then(|| days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second.min(59))
}

fn digits(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that the leap
/// day is the last of its year and the days before a month follow a straight line.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let before_month = (153 * month + 2) / 5;
    year * 365 + leap_days + before_month + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn jiff_reading(text: &str, zone: &TimeZone) -> Option<i64> {
        let civil: DateTime = text.parse().ok()?;
        zone.to_ambiguous_timestamp(civil).compatible().ok().map(|stamp| stamp.as_second())
    }

    #[test]
    fn the_sample_of_the_api_is_read_in_shanghai() {
        let mut clock = WallClock::new(TimeZone::get("Asia/Shanghai").unwrap());
        let time = clock.read("2016-11-08 16:15:15").unwrap();
        assert_eq!(time.seconds(), 1_478_592_915);
        assert_eq!(clock.write(time), "2016-11-08 16:15:15");
        assert_eq!(clock.read(" 2016-11-08T08:15:15Z "), Some(time));
        assert_eq!(clock.read("2016-11-08T08:15:15.123456Z"), Some(time));
        assert_eq!(clock.read("2016-11-08 16:15:15.9"), Some(time));
    }

    #[test]
    fn nonsense_is_no_time() {
        let mut clock = WallClock::new(TimeZone::UTC);
        let nonsense = [
            "",
            "now",
            "2016-02-30 00:00:00",
            "2016-13-01 00:00:00",
            "2016-01-01 24:00:00",
            "0001-01-01 00:00:00",
            "2016-01-01 00:00",
            "2016-01-01 00:00:00 tomorrow",
            "2016/01/01 00:00:00",
            "2016-01-01 00:00:0é",
        ];
        for text in nonsense {
            assert_eq!(clock.read(text), None, "{text}");
        }
    }

    #[test]
    fn clocks_that_change_are_followed() {
        for zone in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"] {
            let zone = TimeZone::get(zone).unwrap();
            let mut clock = WallClock::new(zone.clone());
            for (date, hours) in [
                ("2024-03-10", 0..6),
                ("2024-03-31", 0..6),
                ("2024-10-06", 0..6),
                ("2024-10-27", 0..6),
                ("2024-11-03", 0..6),
                ("2024-04-07", 0..6),
            ] {
                for minute in hours.flat_map(|hour| (0..60).map(move |minute| (hour, minute))) {
                    let text = format!("{date} {:02}:{:02}:07", minute.0, minute.1);
                    assert_eq!(clock.read(&text).map(Time::seconds), jiff_reading(&text, &zone), "{text}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_second_reads_as_it_was_written(seconds in 0_i64..4_000_000_000) {
            let mut clock = WallClock::new(TimeZone::get("Asia/Shanghai").unwrap());
            // Shanghai put its clocks back until 1991: times in a doubled hour are ambiguous.
            prop_assume!(seconds > 700_000_000);
            let time = Time::from_seconds(seconds);
            prop_assert_eq!(clock.read(&clock.write(time)), Some(time));
        }
    }
}
