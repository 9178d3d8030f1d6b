//! What was copied out of a damaged store may be a row of the right shape with a content that nobody can read.

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::incident_codec;
use podbell_core::mute::Mute;
use podbell_core::notice::{Notice, NoticeKind};
use podbell_core::outbox::{Content, DeliveryPhase, DestinationHealth, MessageState};
use podbell_core::rollout::Rollouts;
use podbell_core::rule::Severity;
use podbell_core::rule::quiet::Window;
use podbell_core::step::{Days, SourceState, TroubleState, WindowBacklog};

/// Whether a value can be decoded.
type Decodes = fn(ValueRef<'_>) -> bool;

/// The columns that a start decodes, or the turns after it. One value that cannot be decoded would make the whole store
/// unreadable.
const DECODED: [(&str, &str, Decodes); 15] = [
    ("incident", "state", |value| value.as_blob().is_ok_and(|state| incident_codec::read(state).is_ok())),
    ("notice", "facts", is_json::<Notice>),
    ("notice", "kind", is_word::<NoticeKind>),
    ("notice", "severity", is_word::<Severity>),
    ("delivery", "state", is_word::<DeliveryPhase>),
    ("delivery", "content", is_word::<Content>),
    ("trouble", "state", is_json::<TroubleState>),
    ("source", "state", is_json::<SourceState>),
    ("rollout", "body", is_json::<Rollouts>),
    ("held", "window", is_json::<Window>),
    ("held", "state", is_json::<WindowBacklog>),
    ("mute", "body", is_json::<Mute>),
    ("destination", "health", is_json::<DestinationHealth>),
    ("thread", "shown", is_json::<MessageState>),
    ("meta WHERE key = 'days'", "value", is_json::<Days>),
];

/// What SQLite can find by itself.
const INVALID: [&str; 13] = [
    "series WHERE length(sid) != 16 OR count < 0 OR level NOT IN (0, 1)",
    "mute WHERE id < 0",
    "meta WHERE key = 'commit' AND value < 0",
    "acknowledged WHERE NOT json_valid(body)",
    "action WHERE NOT json_valid(body)",
    "meta WHERE key IN ('heartbeat', 'commit', 'rules') AND typeof(value) != 'integer'",
    "meta WHERE key GLOB 'next_*' AND (typeof(value) != 'integer' OR value < 0)",
    "send WHERE id < 0 OR attempts NOT BETWEEN 0 AND 4294967295 OR settled IS NULL AND length(body) = 0",
    "thread WHERE incident < 0",
    "target WHERE failing_trouble < 0",
    "notice WHERE id < 0 OR incident < 0",
    "delivery WHERE id < 0 OR born < 0 OR send < 0",
    "delivery WHERE NOT EXISTS (SELECT 1 FROM notice WHERE notice.id = delivery.notice)",
];

/// Deletes rows with contents that nobody can read, and deliveries whose notice is gone. Returns their number.
pub(super) fn delete(connection: &Connection) -> rusqlite::Result<u64> {
    let mut deleted = 0;
    for (table, column, decodes) in DECODED {
        deleted += delete_undecodable(connection, table, column, decodes)?;
    }
    let newer = "DELETE FROM incident WHERE state_version NOT BETWEEN 0 AND ?1";
    deleted += connection.execute(newer, [incident_codec::VERSION])?;
    for invalid in INVALID {
        deleted += connection.execute(&format!("DELETE FROM {invalid}"), [])?;
    }
    Ok(deleted as u64)
}

fn delete_undecodable(connection: &Connection, table: &str, column: &str, decodes: Decodes) -> rusqlite::Result<usize> {
    let mut select = connection.prepare(&format!("SELECT {column} FROM {table}"))?;
    let mut rows = select.query([])?;
    let mut bad: Vec<rusqlite::types::Value> = Vec::new();
    while let Some(row) = rows.next()? {
        let value = row.get_ref(0)?;
        if !matches!(value, ValueRef::Null) && !decodes(value) {
            bad.push(row.get(0)?);
        }
    }
    let and = if table.contains(" WHERE ") { "AND" } else { "WHERE" };
    let mut delete = connection.prepare(&format!("DELETE FROM {table} {and} {column} = ?1"))?;
    // Rows with the same content were deleted with the first of them.
    bad.iter().try_fold(0, |deleted, value| Ok(deleted + delete.execute([value])?))
}

fn is_json<T: DeserializeOwned>(value: ValueRef<'_>) -> bool {
    value.as_str().is_ok_and(|text| serde_json::from_str::<T>(text).is_ok())
}

fn is_word<T: DeserializeOwned>(value: ValueRef<'_>) -> bool {
    value.as_str().is_ok_and(|word| serde_json::from_value::<T>(Value::String(word.to_owned())).is_ok())
}
