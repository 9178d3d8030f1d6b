//! The format of the store: creates it, checks it, and brings it to this version, under the lease.

use tokio_postgres::error::SqlState;

use super::LOAD_LIMIT;
use super::call::Call;
use super::error::PostgresError;
use super::session::Session;

/// The steps from nothing to this version's format. Never edit one that was released; add one.
const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql")];
/// The version of the format that this program writes.
#[allow(clippy::cast_possible_wrap)]
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// The row that says who owns the store. Every version reads it before it knows whether it knows the rest, so its
/// columns never change.
const LEASE: &str = "
    -- With IF NOT EXISTS, the server demands the right to make one even where it exists.
    DO $make$ BEGIN IF to_regnamespace('podbell') IS NULL THEN CREATE SCHEMA podbell; END IF; END $make$;
    CREATE TABLE IF NOT EXISTS podbell.lease (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        format bigint NOT NULL DEFAULT 0,
        holder text NOT NULL DEFAULT '',
        epoch bigint NOT NULL DEFAULT 0,
        turn bigint NOT NULL DEFAULT 0,
        expires_at timestamptz NOT NULL DEFAULT to_timestamp(0)
    ) WITH (fillfactor = 10);
    INSERT INTO podbell.lease DEFAULT VALUES ON CONFLICT DO NOTHING;";

/// Whether somebody made a store there.
pub(super) fn exists(session: &Session) -> Result<bool, PostgresError> {
    let rows = session.query(Call::new("SELECT to_regclass('podbell.lease') IS NOT NULL"))?;
    rows.first().map_or(Ok(false), |row| session.column(row, 0))
}

/// Makes the row of the lease, if there is none.
pub(super) fn make(session: &Session) -> Result<(), PostgresError> {
    match session.script(LEASE) {
        // Two replicas that begin at the same moment: the other one made it.
        Err(_) if exists(session).unwrap_or(false) => session.script(LEASE),
        other => other,
    }
}

/// Refuses a format that this program does not know, for those that read beside the owner.
pub(super) fn check_beside(session: &Session) -> Result<(), PostgresError> {
    let server = || session.server().to_string();
    let rows = match session.query(Call::new("SELECT format FROM podbell.lease")) {
        Err(PostgresError::Refused { source, .. }) if source.code() == Some(&SqlState::UNDEFINED_TABLE) => {
            return Err(PostgresError::NoStore { server: server() });
        }
        rows => rows?,
    };
    match rows.first().map_or(Ok(0), |row| session.column::<i64>(row, 0))? {
        0 => Err(PostgresError::NoStore { server: server() }),
        found if found < VERSION => Err(PostgresError::Older { server: server(), found, known: VERSION }),
        found => check_known(session, found),
    }
}

/// Refuses the format of a newer version.
pub(super) fn check_known(session: &Session, found: i64) -> Result<(), PostgresError> {
    if found > VERSION {
        let server = session.server().to_string();
        return Err(PostgresError::Newer { server, found, known: VERSION });
    }
    Ok(())
}

/// Brings the store from version `found` to this one, in the transaction that holds the lease's row.
pub(super) fn migrate(session: &Session, found: i64) -> Result<(), PostgresError> {
    let done = usize::try_from(found).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(done) {
        session.script(migration)?;
    }
    if found == 0 {
        let word = || format!("{:016x}", rand::random::<u64>());
        let (seed, uuid) = (word(), word());
        let rows = [("seed", &*seed), ("uuid", &*uuid)];
        session.query(
            Call::new("INSERT INTO podbell.meta SELECT * FROM unnest($1, $2)")
                .texts(rows.map(|(key, _)| key))
                .texts(rows.map(|(_, value)| value)),
        )?;
    }
    session.query(Call::new("UPDATE podbell.lease SET format = $1").number(VERSION))?;
    Ok(())
}

impl Session {
    /// Runs statements without parameters, such as a migration.
    fn script(&self, statements: &str) -> Result<(), PostgresError> {
        self.run_script(statements, LOAD_LIMIT)
    }
}
