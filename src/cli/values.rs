//! What people type as arguments: read as the same words are read in podbell.yaml.

use anyhow::anyhow;
use jiff::tz::TimeZone;

/// A time zone such as Asia/Shanghai.
pub(super) fn time_zone(text: &str) -> anyhow::Result<TimeZone> {
    podbell_core::zone::named(text).map_err(|help| anyhow!("not a time zone: {help}"))
}
