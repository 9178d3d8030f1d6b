//! Time zones by name, and what an unknown name probably means.

use jiff::tz::TimeZone;

use super::diagnostic::did_you_mean;

/// Abbreviations and other names that people and machines write. Most of them mean several zones, so that none is
/// accepted without asking.
const MEANT: &[(&str, &str)] = &[
    ("CST", "Asia/Shanghai (what machines in China print), or America/Chicago?"),
    ("CDT", "America/Chicago?"),
    ("EDT", "America/New_York?"),
    ("PST", "America/Los_Angeles, or Asia/Manila?"),
    ("PDT", "America/Los_Angeles?"),
    ("MDT", "America/Denver?"),
    ("BST", "Europe/London, or Asia/Dhaka?"),
    ("IST", "Asia/Kolkata, Europe/Dublin, or Asia/Jerusalem?"),
    ("CEST", "Europe/Berlin?"),
    ("EEST", "Europe/Helsinki?"),
    ("WEST", "Europe/Lisbon?"),
    ("MSK", "Europe/Moscow?"),
    ("GST", "Asia/Dubai?"),
    ("PKT", "Asia/Karachi?"),
    ("ICT", "Asia/Bangkok?"),
    ("WIB", "Asia/Jakarta?"),
    ("SGT", "Asia/Singapore?"),
    ("SST", "Asia/Singapore, or Pacific/Pago_Pago?"),
    ("HKT", "Asia/Hong_Kong?"),
    ("JST", "Asia/Tokyo?"),
    ("KST", "Asia/Seoul?"),
    ("AST", "America/Halifax, or Asia/Riyadh?"),
    ("AEST", "Australia/Sydney?"),
    ("AEDT", "Australia/Sydney?"),
    ("AWST", "Australia/Perth?"),
    ("NZST", "Pacific/Auckland?"),
    ("NZDT", "Pacific/Auckland?"),
    ("Beijing", "Asia/Shanghai?"),
    ("Asia/Beijing", "Asia/Shanghai?"),
    ("Asia/Shenzhen", "Asia/Shanghai?"),
    ("Asia/Guangzhou", "Asia/Shanghai?"),
    ("China", "Asia/Shanghai?"),
    ("China Standard Time", "Asia/Shanghai?"),
    ("local", "the name of the zone, such as Asia/Shanghai: podbell may run elsewhere"),
];

/// There is no such zone. The text says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownZone(String);

/// The zone of this name.
///
/// # Errors
/// If there is no such zone. The text tells people what to write instead.
pub fn named(name: &str) -> Result<TimeZone, UnknownZone> {
    let name = name.trim();
    // `CST` may be in a system's database one day; refuse it still, as its meaning is unclear.
    if let Some((_, meant)) = MEANT.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
        return Err(UnknownZone(match meant.ends_with('?') {
            true => format!("did you mean {meant} Write the name of the place"),
            false => format!("write {meant}"),
        }));
    }
    if let Ok(zone) = TimeZone::get(name) {
        return Ok(zone);
    }
    if let Some(hours) = offset(name) {
        return Err(UnknownZone(match hours {
            8 => "write the name of a place, such as Asia/Shanghai or Asia/Singapore".to_owned(),
            0 => "write UTC".to_owned(),
            // The sign is inverted in these names.
            _ => format!("write the name of a place, or Etc/GMT{:+}", -hours),
        }));
    }
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    Err(UnknownZone(match did_you_mean(name, known.iter().map(String::as_str)) {
        // Many names are near to a short one.
        Some(meant) if name.len() > 4 => format!("did you mean `{meant}`?"),
        _ => "use the name of a place such as Asia/Shanghai or Europe/Berlin, or UTC".into(),
    }))
}

/// `UTC+8`, `GMT+08:00`, `+8`, `+0800` as hours.
fn offset(name: &str) -> Option<i32> {
    let upper = name.to_ascii_uppercase();
    let rest = upper.strip_prefix("UTC").or_else(|| upper.strip_prefix("GMT")).unwrap_or(&upper);
    let digits = rest.strip_prefix(['+', '-'])?;
    let hours = match digits.split_once(':') {
        Some((hours, "00")) => hours,
        Some(_) => return None,
        None => digits.strip_suffix("00").filter(|hours| hours.len() == 2).unwrap_or(digits),
    };
    let hours: i32 = hours.parse().ok().filter(|hours| *hours <= 14)?;
    Some(if rest.starts_with('-') { -hours } else { hours })
}
