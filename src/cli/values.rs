//! What people type as arguments: read as the same words are read in podbell.yaml.

use std::time::Duration;

use anyhow::anyhow;
use jiff::tz::TimeZone;
use podbell_core::yaml::DurationError;

/// A duration such as 5m, 1h30m or 2d.
pub(super) fn duration(text: &str) -> Result<Duration, DurationError> {
    podbell_core::yaml::parse_duration(text)
}

/// A time zone such as Asia/Shanghai.
pub(super) fn time_zone(text: &str) -> anyhow::Result<TimeZone> {
    podbell_core::zone::named(text).map_err(|help| anyhow!("not a time zone: {help}"))
}
