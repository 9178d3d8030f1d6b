//! Reads all incidents at a start. With many incidents this is most of the start, so every processor takes part, each
//! through a connection of its own. Never writes.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::{Connection, OpenFlags};

use super::{BUSY_WAIT, SqliteError};
use crate::incident_codec;
use crate::rows::SharedNames;
use podbell_core::incident::Incident;

/// How many ranges of numbers the incidents are divided into. A thread that is ready takes the next range.
const SHARES: i64 = 64;
/// Fewer incidents than this are not worth more threads.
const FEW: i64 = 500;

/// All incidents that have not ended for good, ascending, and the result of `first`, which this thread runs while the
/// others begin. The caller owns the store: nobody writes meanwhile.
pub(super) fn read_all<T>(
    connection: &Connection,
    path: &Path,
    first: impl FnOnce() -> Result<T, SqliteError>,
) -> Result<(Vec<Box<Incident>>, T), SqliteError> {
    let ends = "SELECT coalesce(min(id), 0), coalesce(max(id), -1) FROM incident";
    let ends = connection.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let (lowest, highest): (i64, i64) = ends.map_err(|source| SqliteError::of(path, source))?;
    let length = highest.saturating_sub(lowest) / SHARES + 1;
    let shares = (lowest..=highest).step_by(usize::try_from(length).unwrap_or(usize::MAX));
    let shares: Vec<(i64, i64)> = shares.map(|from| (from, from.saturating_add(length - 1))).collect();
    let next = AtomicUsize::new(0);
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let helpers = if highest.saturating_sub(lowest) < FEW { 0 } else { processors - 1 };
    let (mut read, first) = std::thread::scope(|scope| {
        let helpers: Vec<_> =
            (0..helpers).map(|_| scope.spawn(|| read_shares(&beside(path)?, path, &shares, &next))).collect();
        let first = first()?;
        let mut read = read_shares(connection, path, &shares, &next)?;
        for helper in helpers {
            read.extend(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok::<_, SqliteError>((read, first))
    })?;
    read.sort_unstable_by_key(|(share, _)| *share);
    let mut all = Vec::with_capacity(read.iter().map(|(_, incidents)| incidents.len()).sum());
    read.into_iter().for_each(|(_, incidents)| all.extend(incidents));
    Ok((all, first))
}

fn beside(path: &Path) -> Result<Connection, SqliteError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_WAIT)?;
        Ok(connection)
    };
    open().map_err(|source| SqliteError::of(path, source))
}

/// The index of a share, and its incidents.
type Share = (usize, Vec<Box<Incident>>);

/// Reads shares until none is left.
fn read_shares(
    connection: &Connection,
    path: &Path,
    shares: &[(i64, i64)],
    next: &AtomicUsize,
) -> Result<Vec<Share>, SqliteError> {
    let (mut read, mut names) = (Vec::new(), SharedNames::default());
    loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        let Some(share) = shares.get(place) else { return Ok(read) };
        read.push((place, read_share(connection, path, *share, &mut names)?));
    }
}

/// The incidents whose numbers lie in a range, both ends included.
fn read_share(
    connection: &Connection,
    path: &Path,
    stretch: (i64, i64),
    names: &mut SharedNames,
) -> Result<Vec<Box<Incident>>, SqliteError> {
    let of = |source| SqliteError::of(path, source);
    let sql =
        "SELECT id, state, state_version FROM incident WHERE id BETWEEN ?1 AND ?2 AND ended_at IS NULL ORDER BY id";
    let mut query = connection.prepare_cached(sql).map_err(of)?;
    let mut rows = query.query([stretch.0, stretch.1]).map_err(of)?;
    let mut incidents = Vec::new();
    while let Some(row) = rows.next().map_err(of)? {
        let id: i64 = row.get(0).map_err(of)?;
        let version: i64 = row.get(2).map_err(of)?;
        if version > incident_codec::VERSION {
            let (found, known) = (version, incident_codec::VERSION);
            return Err(SqliteError::Newer { path: path.to_owned(), found, known });
        }
        let state = row.get_ref(1).and_then(|state| Ok(state.as_blob()?)).map_err(of)?;
        let mut incident = incident_codec::read(state).map_err(|source| SqliteError::Row {
            path: path.to_owned(),
            what: format!("incident {id}"),
            source,
        })?;
        names.share(&mut incident);
        incidents.push(Box::new(incident));
    }
    Ok(incidents)
}
