//! The shape of `active` in YAML.

use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::schema::strings_schema;
use crate::rule::quiet::{Active, Hours};
use crate::yaml::key::{Key, SchemaOnly, Zone, map_schema, one_or_many_schema};
use crate::yaml::{Node, Reader};

const DAYS: Key<SchemaOnly> =
    Key::optional("days", SchemaOnly(strings_schema), "mon, or mon-fri; without it every day.");

const HOURS: Key<SchemaOnly> = Key::optional(
    "hours",
    SchemaOnly(strings_schema),
    "09:00-18:00; 22:00-06:00 goes on over midnight; without it the whole day.",
);
pub(super) const ZONE: Key<Zone> = Key::with_default("zone", Zone, "UTC", "Whose wall clock, such as Asia/Shanghai.");
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const ACTIVE: &str = "hours such as {days: mon-fri, hours: \"09:00-18:00\", zone: Asia/Shanghai}";

/// Reads `active`.
pub(super) fn read(node: &Node, reader: &mut Reader) -> Option<Active> {
    let items = reader.one_or_many(node);
    if items.is_empty() {
        reader.error_help(&node.span, "`active` lists nothing, so nothing would ever be told", ACTIVE);
    }
    let hours: Vec<Hours> = items.iter().filter_map(|item| hours(item, reader)).collect();
    (!hours.is_empty()).then_some(Active { hours })
}

fn hours(node: &Node, reader: &mut Reader) -> Option<Hours> {
    let mut map = reader.map(node, ACTIVE)?;
    let errors = reader.errors();
    let (mut days, mut spans, mut written) = ([true; 7], vec![(0, 24 * 60)], Vec::new());
    let mut hours_at = None;
    if let Some(node) = DAYS.node(&mut map, reader) {
        days = [false; 7];
        for item in reader.one_or_many(node) {
            written.extend(day_range(item, reader, &mut days));
        }
    }
    if let Some(node) = HOURS.node(&mut map, reader) {
        spans.clear();
        for item in reader.one_or_many(node) {
            hours_at = Some(item.span.clone());
            let Some(text) = reader.text(item, "hours such as \"09:00-18:00\"") else { continue };
            match span(text) {
                Some(span) => spans.push(span),
                None => {
                    let help = "write \"09:00-18:00\", in quotes; \"22:00-06:00\" goes on over midnight";
                    reader.error_help(&item.span, format!("`{text}` is not a span of a day"), help);
                }
            }
            written.push(text.to_owned());
        }
    }
    let zone_node = ZONE.node(&mut map, reader);
    let zone = zone_node.and_then(|node| ZONE.read(node, reader)).unwrap_or(TimeZone::UTC);
    written.push(zone_node.and_then(|node| node.text()).map_or("UTC", str::trim).to_owned());
    let nothing = days == [false; 7] || spans.is_empty();
    if nothing && reader.errors() == errors {
        reader.error_help(&map.head(), "these hours name no day or no time, so nothing would ever be told", ACTIVE);
    }
    map.finish(reader);
    if nothing {
        return None;
    }
    let hours = Hours { days, spans, zone, zoned: zone_node.is_some(), written: written.join(" ").into() };
    if let (Some(at), Some(odd)) = (hours_at, hours.edge_that_moves()) {
        let help = "choose an edge outside of the hour in which the clock changes, or a zone without such changes";
        reader.warning_help(&at, odd, help);
    }
    Some(hours)
}

/// `mon`, or `mon-fri`; `sat-mon` goes over Sunday.
fn day_range(node: &Node, reader: &mut Reader, days: &mut [bool; 7]) -> Option<String> {
    let text = reader.text(node, "a day such as mon, or mon-fri")?;
    let place = |word: &str| {
        let word = word.trim().to_lowercase();
        WEEKDAYS.iter().position(|day| {
            word.len() >= 3 && DAY_NAMES.iter().any(|name| name.starts_with(&word)) && word.starts_with(day)
        })
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (Some(first), Some(last)) = (place(first), place(last)) else {
        reader.error_help(
            &node.span,
            format!("`{text}` is not a day of the week"),
            "mon, tue, wed, thu, fri, sat, sun, or mon-fri",
        );
        return None;
    };
    let mut day = first;
    loop {
        days[day] = true;
        if day == last {
            return Some(text.to_lowercase());
        }
        day = (day + 1) % 7;
    }
}

const DAY_NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// `09:00-18:00` as minutes of the day.
fn span(text: &str) -> Option<(u16, u16)> {
    let (from, until) = text.split_once('-')?;
    let (from, until) = (minute(from)?, minute(until)?);
    (from < 24 * 60 && from != until).then_some((from, until))
}

/// `09:00` as the minute of the day; 24:00 is its end.
pub fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |text: &str| text.len() <= 2 && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || minute.len() != 2 || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= 24 * 60).then_some(all)
}

pub(super) fn schema() -> Json {
    one_or_many_schema(&map_schema("", &[&DAYS, &HOURS, &ZONE]), 1)
}
