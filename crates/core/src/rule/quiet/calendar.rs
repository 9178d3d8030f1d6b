//! Hours of days on a wall clock, and when the next of them begins.
//!
//! Instants are computed from wall-clock times in the zone, day by day, so that days of 23 and 25
//! hours are right. Pure: the zone's history is data.

use std::fmt;
use std::sync::Arc;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Serialize, Serializer};

use crate::time::Time;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Changes of a zone's clock are looked at within these years (2026 to 2029, in seconds): later ones follow the same
/// rules.
const CHANGES_FROM: i64 = 1_767_225_600;
const CHANGES_UNTIL: i64 = 1_893_456_000;
const MAX_CHANGES: usize = 20;

/// The hours in which a rule notifies: any of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Active {
    /// Never empty.
    pub hours: Vec<Hours>,
}

/// Hours of some days.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Hours {
    /// From Monday to Sunday: whether hours begin on that day.
    pub days: [bool; 7],
    /// Each from and until which minute of the day; `until` up to 24:00, and beyond midnight when
    /// it is not later than `from`.
    pub spans: Vec<(u16, u16)>,
    /// The zone of the wall clock.
    #[serde(serialize_with = "zone_name")]
    pub zone: TimeZone,
    /// Whether the zone was given; if not, it is UTC.
    pub zoned: bool,
    /// As it is written, for people.
    pub written: Arc<str>,
}

fn zone_name<S: Serializer>(zone: &TimeZone, serializer: S) -> Result<S::Ok, S::Error> {
    let offset = zone.to_fixed_offset().map(|offset| offset.seconds()).ok();
    (zone.iana_name(), offset).serialize(serializer)
}

impl Active {
    /// If it is not active now: when it will be.
    pub(crate) fn closed_until(&self, now: Time) -> Option<Time> {
        if self.hours.iter().any(|hours| hours.contain(now)) {
            return None;
        }
        // If no start can be computed (a skipped hour, the end of the calendar), nothing is held.
        self.hours.iter().filter_map(|hours| hours.next_start(now)).min()
    }
}

impl Hours {
    /// Every day at this minute of the day, for one minute.
    pub fn daily(minute: u16, zone: TimeZone) -> Self {
        let written = format!("{:02}:{:02}", minute / 60, minute % 60).into();
        Self { days: [true; 7], spans: vec![(minute, minute + 1)], zone, zoned: true, written }
    }

    /// Describes an edge of these hours that is in an hour which the clock skips or has twice.
    pub(crate) fn edge_that_moves(&self) -> Option<String> {
        let from = Timestamp::from_second(CHANGES_FROM).ok()?;
        let changes = self.zone.following(from).take_while(|change| change.timestamp().as_second() < CHANGES_UNTIL);
        for change in changes.take(MAX_CHANGES) {
            let at = change.timestamp();
            let before = self.zone.to_offset(at.checked_sub(Span::new().try_seconds(1).ok()?).ok()?);
            let (old, new) = (before.to_datetime(at), change.offset().to_datetime(at));
            // The span of the wall clock that is skipped or there twice.
            let (start, end, how) = if new > old { (old, new, "skipped") } else { (new, old, "there twice") };
            for (from, until) in &self.spans {
                let begins = |day: Date| self.days[index(day.weekday())];
                let edges = [(*from, 0), (*until % DAY, i64::from(*until <= *from || *until == DAY))];
                for (minute, days_later) in edges {
                    let clock = start.date().at(i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?, 0, 0);
                    let day = start.date().checked_sub(Span::new().try_days(days_later).ok()?).ok()?;
                    // An edge at the beginning or end of the skipped span is where it should be.
                    if begins(day) && start < clock && clock < end {
                        return Some(format!(
                            "{:02}:{:02} is {how} on {} in {}",
                            minute / 60,
                            minute % 60,
                            start.date(),
                            self.zone.iana_name().unwrap_or("this zone")
                        ));
                    }
                }
            }
        }
        None
    }

    fn contain(&self, now: Time) -> bool {
        self.around(now, -1, 0).any(|(from, until)| from <= now && now < until)
    }

    /// When the next of them begin, after now.
    pub(crate) fn next_start(&self, now: Time) -> Option<Time> {
        // Within eight days each weekday comes again, so that hours that are past today are found again.
        self.around(now, 0, 8).map(|(from, _)| from).filter(|from| *from > now).min()
    }

    /// The spans that begin on the days around now.
    fn around(&self, now: Time, from: i64, until: i64) -> impl Iterator<Item = (Time, Time)> + '_ {
        let today = Timestamp::from_millisecond(now.millis()).ok().map(|at| at.to_zoned(self.zone.clone()).date());
        let days = (from..=until).filter_map(move |n| today?.checked_add(Span::new().try_days(n).ok()?).ok());
        let wanted = days.filter(move |day| self.days[index(day.weekday())]);
        wanted.flat_map(move |day| self.spans.iter().filter_map(move |span| self.stretch(day, *span)))
    }

    fn stretch(&self, day: Date, (from, until): (u16, u16)) -> Option<(Time, Time)> {
        let until = if until <= from { until + DAY } else { until };
        Some((self.instant(day, from)?, self.instant(day, until)?))
    }

    fn instant(&self, day: Date, minute: u16) -> Option<Time> {
        let day = day.checked_add(Span::new().try_days(i64::from(minute / DAY)).ok()?).ok()?;
        let hour = i8::try_from(minute % DAY / 60).ok()?;
        let at = day.at(hour, i8::try_from(minute % 60).ok()?, 0, 0).to_zoned(self.zone.clone()).ok()?;
        Some(Time::from_millis(at.timestamp().as_millisecond()))
    }
}

fn index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or_default()
}

/// The hours as they are written: short, and complete.
impl fmt::Debug for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// What people call these hours.
impl fmt::Display for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<&str> = self.hours.iter().map(|hours| &*hours.written).collect();
        f.write_str(&all.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(days: &[usize], spans: &[(u16, u16)], zone: &str) -> Active {
        let mut wanted = [false; 7];
        days.iter().for_each(|day| wanted[*day] = true);
        let zone = TimeZone::get(zone).unwrap();
        Active { hours: vec![Hours { days: wanted, spans: spans.to_vec(), zone, zoned: true, written: "x".into() }] }
    }

    fn at(text: &str) -> Time {
        Time::from_millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn office_hours_are_those_of_the_zone_and_the_weekend_waits_for_monday() {
        let office = hours(&[0, 1, 2, 3, 4], &[(9 * 60, 18 * 60)], "Asia/Shanghai");
        // 2026-01-02 is a Friday; 09:00 in Shanghai is 01:00 UTC.
        for (now, opens) in [
            ("2026-01-02T01:00:00Z", None),
            ("2026-01-02T00:59:59Z", Some("2026-01-02T01:00:00Z")),
            ("2026-01-02T09:59:59Z", None),
            ("2026-01-02T10:00:00Z", Some("2026-01-05T01:00:00Z")),
            ("2026-01-03T05:00:00Z", Some("2026-01-05T01:00:00Z")),
        ] {
            assert_eq!(office.closed_until(at(now)), opens.map(at), "{now}");
        }
    }

    #[test]
    fn hours_over_midnight_belong_to_the_day_on_which_they_begin() {
        let night = hours(&[4], &[(22 * 60, 6 * 60)], "UTC");
        assert_eq!(night.closed_until(at("2026-01-03T05:59:00Z")), None);
        assert_eq!(night.closed_until(at("2026-01-03T06:00:00Z")), Some(at("2026-01-09T22:00:00Z")));
        assert_eq!(night.closed_until(at("2026-01-02T21:59:00Z")), Some(at("2026-01-02T22:00:00Z")));
        let always = hours(&[0, 1, 2, 3, 4, 5, 6], &[(0, 24 * 60)], "UTC");
        assert_eq!(always.closed_until(at("2026-01-03T23:59:59Z")), None);
    }

    #[test]
    fn a_day_of_25_hours_has_its_hours_once() {
        // In Berlin the clock goes back at 01:00 UTC on 2026-10-25.
        let early = hours(&[6], &[(3 * 60, 4 * 60)], "Europe/Berlin");
        assert_eq!(early.closed_until(at("2026-10-25T01:30:00Z")), Some(at("2026-10-25T02:00:00Z")));
        assert_eq!(early.closed_until(at("2026-10-25T02:30:00Z")), None);
    }
}
