//! Instants as people read them, in their own time zone.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::time::Time;

/// Spans shorter than this are written with seconds.
const SHORT: Duration = Duration::from_secs(120);

/// Writes instants for a reader who is in a zone and reads at `now`. The date is left out if it is the reader's today.
pub(super) struct Clock<'a> {
    pub zone: &'a TimeZone,
    pub now: Time,
}

impl Clock<'_> {
    /// `10:02`, or `2016-11-08 10:02` on another day.
    pub(crate) fn at(&self, time: Time) -> String {
        let (zoned, today) = (self.zoned(time), self.zoned(self.now));
        let same_day = zoned.date() == today.date();
        zoned.strftime(if same_day { "%H:%M" } else { "%Y-%m-%d %H:%M" }).to_string()
    }

    /// `10:02-10:41`, or with the date of each end that needs one.
    pub(crate) fn span(&self, from: Time, until: Time) -> String {
        let (start, end) = (self.zoned(from), self.zoned(until));
        if start.date() == end.date() && until.since(from) < SHORT {
            // Minutes are too coarse for so short a span.
            return format!("{}-{}", start.strftime("%H:%M:%S"), end.strftime("%H:%M:%S"));
        }
        if start.date() == end.date() {
            return format!("{}-{}", self.at(from), end.strftime("%H:%M"));
        }
        format!("{} - {}", start.strftime("%Y-%m-%d %H:%M"), end.strftime("%Y-%m-%d %H:%M"))
    }

    /// Both ends of a span, each with its date unless both are the reader's today.
    pub(crate) fn ends(&self, from: Time, until: Time) -> (String, String) {
        let (start, end) = (self.zoned(from), self.zoned(until));
        let format = if start.date() == end.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        (self.at(from), end.strftime(format).to_string())
    }

    /// Both moments, with dates where the days differ: a reader must not take yesterday for today.
    pub(crate) fn both(&self, first: Time, second: Time) -> (String, String) {
        let (a, b) = (self.zoned(first), self.zoned(second));
        let format = if a.date() == b.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        (a.strftime(format).to_string(), b.strftime(format).to_string())
    }

    /// The zone of all these times, as `UTC`, `UTC+8` or `UTC-3:30`.
    pub(crate) fn offset(&self) -> String {
        let minutes = self.zoned(self.now).offset().seconds() / 60;
        let (sign, ahead) = if minutes < 0 { ('-', -minutes) } else { ('+', minutes) };
        match (ahead / 60, ahead % 60) {
            (0, 0) => "UTC".to_owned(),
            (hours, 0) => format!("UTC{sign}{hours}"),
            (hours, minutes) => format!("UTC{sign}{hours}:{minutes:02}"),
        }
    }

    fn zoned(&self, time: Time) -> jiff::Zoned {
        // Out of range (year 10,000 and later): the cluster's clock must be wrong.
        time.timestamp().to_zoned(self.zone.clone())
    }
}
