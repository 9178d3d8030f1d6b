//! The shapes of some values in rule tests.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::time::Time;
use crate::yaml::{Node, Reader};

pub(super) fn start(node: &Node, reader: &mut Reader) -> Option<Time> {
    let text = reader.text(node, "a time such as `2026-01-05 09:00:00`")?;
    let read = text.parse::<DateTime>().ok().and_then(|time| time.to_zoned(TimeZone::UTC).ok());
    if read.is_none() {
        let help = "write it as `2026-01-05 09:00:00`; it is UTC";
        reader.error_help(&node.span, format!("`{text}` is not a time"), help);
    }
    Some(Time::from_millis(read?.timestamp().as_millisecond()))
}

/// A text of an event; it may be empty.
pub(super) fn said_text(node: &Node, reader: &mut Reader) -> Option<String> {
    if node.text().is_none() {
        reader.expected(node, "a text");
    }
    node.text().map(str::to_owned)
}
