//! Inspects a database for `podbell doctor`, without a write, whether or not a podbell runs. The doctor interprets the
//! result.

use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::column::get;
use super::error::PostgresError;
use super::lease;
use super::migrate;
use super::server::Server;
use super::session::Session;
use crate::Holder;
use podbell_core::time::Time;

/// What an inspection found.
#[derive(Debug)]
pub struct Inspection {
    /// The version of the server, such as `15.8`.
    pub version: String,
    /// Whether this user may write the schema, or make it if there is none.
    pub may_write: bool,
    /// The clock of the server less that of this process; negative: the server's is behind.
    pub ahead_ms: i64,
    /// How long a round trip takes.
    pub round_trip: Duration,
    /// Standby servers that follow, as far as this user may see them.
    pub standbys: u64,
    /// Whether a commit waits for a standby server.
    pub is_synchronous: bool,
    /// Whether a transaction stays on one connection to the server; false behind a pooler in statement mode.
    pub keeps_transactions: bool,
    /// What is in the schema; `None`: podbell made nothing yet.
    pub store: Option<StoreInfo>,
}

/// What is in the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreInfo {
    /// The version of its format.
    pub version: i64,
    /// The version that this program writes.
    pub known: i64,
    /// Its size in bytes.
    pub bytes: u64,
    /// When a podbell that runs on it was last alive.
    pub heartbeat: Option<Time>,
    /// The active replica.
    pub holder: Option<Holder>,
}

/// Inspects a database. `now` is the time of this process.
///
/// # Errors
/// When there is no connection, the server is too old, or it answers too slowly.
pub fn inspect(server: &Arc<Server>, now: impl Fn() -> Time) -> Result<Inspection, PostgresError> {
    let session = Session::open(server)?;
    session.check_version()?;
    let sent = now();
    let clock = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8, current_setting('server_version')";
    let mut clock = session.read(Call::new(clock), "the clock", |row| Ok((get::<i64>(row, 0)?, get(row, 1)?)))?;
    let received = now();
    let (server_clock, version) = clock.pop().ok_or_else(|| session.damaged("the clock", "no answer"))?;
    let round_trip = received.since(sent);
    let middle = sent.plus(round_trip / 2);
    let exists = migrate::exists(&session)?;
    Ok(Inspection {
        version,
        may_write: may_write(&session, exists)?,
        ahead_ms: server_clock - middle.millis(),
        round_trip,
        standbys: number(&session, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")?,
        is_synchronous: number(&session, SYNCHRONOUS)? > 0,
        keeps_transactions: keeps_transactions(&session),
        store: if exists { seen(&session)? } else { None },
    })
}

/// 1 if a commit waits until a standby server has it.
const SYNCHRONOUS: &str = "SELECT (current_setting('synchronous_standby_names') <> ''
    AND current_setting('synchronous_commit') IN ('on', 'remote_write', 'remote_apply'))::int::int8";

fn number(session: &Session, sql: &'static str) -> Result<u64, PostgresError> {
    let found = session.read(Call::new(sql), "a number", |row| super::column::id(row, 0))?;
    Ok(found.first().copied().unwrap_or(0))
}

fn may_write(session: &Session, exists: bool) -> Result<bool, PostgresError> {
    let right = if exists {
        "SELECT (has_schema_privilege('podbell', 'CREATE') AND has_table_privilege('podbell.lease', 'UPDATE'))::int::int8"
    } else {
        "SELECT coalesce(has_schema_privilege(to_regnamespace('podbell')::oid, 'CREATE'),
            has_database_privilege(current_database(), 'CREATE'))::int::int8"
    };
    Ok(number(session, right)? > 0)
}

/// Sees whether a setting of a transaction still holds in its next statement.
fn keeps_transactions(session: &Session) -> bool {
    let calls = [
        Call::new("BEGIN READ ONLY"),
        Call::new("SELECT set_config('podbell.probe', 'here', true)"),
        Call::new("SELECT current_setting('podbell.probe', true)"),
        Call::new("ROLLBACK"),
    ];
    let Ok(rows) = session.pipeline(&calls, super::CALL_LIMIT) else { return false };
    let kept = rows.get(2).and_then(|rows| rows.first());
    kept.and_then(|row| row.try_get::<_, Option<String>>(0).ok().flatten()).as_deref() == Some("here")
}

fn seen(session: &Session) -> Result<Option<StoreInfo>, PostgresError> {
    let (version, holder) = lease::owner(session)?;
    if version == 0 {
        return Ok(None);
    }
    let bytes = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::int8 FROM pg_class
        WHERE relnamespace = 'podbell'::regnamespace AND relkind = 'r'";
    let heartbeat = if version > migrate::VERSION { None } else { session.heartbeat()? };
    Ok(Some(StoreInfo {
        version,
        known: migrate::VERSION,
        bytes: number(session, bytes)?,
        heartbeat,
        holder: Some(holder).filter(|holder| !holder.expires_in.is_zero()),
    }))
}
