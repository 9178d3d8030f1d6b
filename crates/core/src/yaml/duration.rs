//! Durations as people write them: `15s`, `10m`, `1h30m`.

use std::fmt::Write as _;
use std::time::Duration;

/// Why a text is not a duration, with what was probably meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Digits without a unit.
    #[error("`{0}` has no unit: write `{0}s`, `{0}m` or `{0}h`")]
    NoUnit(String),
    /// Letters that are not a unit.
    #[error("`{0}` is not a unit of time: use ms, s, m, h or d, such as `90s` or `1h30m`")]
    Unit(String),
    /// A fraction, a sign or anything else.
    #[error("`{0}` is not a duration: write whole numbers with units, such as `90s` or `1h30m`")]
    Malformed(String),
    /// More than a year.
    #[error("`{0}` is longer than a year")]
    TooLong(String),
}

const LONGEST: Duration = Duration::from_hours(366 * 24);

/// Reads a duration. `0` needs no unit.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let malformed = || DurationError::Malformed(text.to_owned());
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (digits, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len()));
        if digits.is_empty() || !tail.is_empty() && !tail.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(malformed());
        }
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" if digits == "0" => 0,
            "" => return Err(DurationError::NoUnit(digits.to_owned())),
            _ => return Err(DurationError::Unit(unit.to_owned())),
        };
        let number: u64 = digits.parse().map_err(|_| DurationError::TooLong(text.to_owned()))?;
        total = total.saturating_add(Duration::from_millis(number.saturating_mul(millis)));
        rest = tail;
    }
    match total {
        _ if text.is_empty() => Err(malformed()),
        total if total > LONGEST => Err(DurationError::TooLong(text.to_owned())),
        total => Ok(total),
    }
}

/// Writes a duration as short as possible: `0m`, `17m`, `1h30m`.
pub fn write_duration(span: Duration) -> String {
    let millis = span.as_millis();
    let mut text = String::new();
    let mut rest = millis;
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if rest >= size {
            // Writing into a text cannot fail.
            let _ = write!(text, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    if text.is_empty() { "0m".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_or_explained() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("15s"), Ok(15.0));
        assert_eq!(seconds("1h30m"), Ok(5400.0));
        assert_eq!(seconds("250ms"), Ok(0.25));
        assert_eq!(seconds("2d"), Ok(172_800.0));
        assert_eq!(seconds("0"), Ok(0.0));
        assert_eq!(seconds("5"), Err(DurationError::NoUnit("5".into())));
        assert_eq!(seconds("1h5"), Err(DurationError::NoUnit("5".into())));
        assert_eq!(seconds("5 m"), Err(DurationError::Malformed("5 m".into())));
        assert_eq!(seconds("1.5h"), Err(DurationError::Malformed("1.5h".into())));
        assert_eq!(seconds("-5m"), Err(DurationError::Malformed("-5m".into())));
        assert_eq!(seconds("5min"), Err(DurationError::Unit("min".into())));
        assert_eq!(seconds(""), Err(DurationError::Malformed(String::new())));
        assert_eq!(seconds("999d"), Err(DurationError::TooLong("999d".into())));
        assert!(matches!(seconds("99999999999999999999999s"), Err(DurationError::TooLong(_))));
    }

    #[test]
    fn offsets_read_as_they_are_written() {
        for (millis, text) in [(0, "0m"), (15_000, "15s"), (1_020_000, "17m"), (5_400_000, "1h30m"), (1, "1ms")] {
            assert_eq!(write_duration(Duration::from_millis(millis)), text);
        }
    }
}
