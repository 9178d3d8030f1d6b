//! Deletes old data, so that the store does not grow without end. The server's autovacuum frees the room.

use std::time::Duration;

use super::call::Call;
use super::error::PostgresError;
use super::writer::Store;
use crate::HISTORY;
use crate::moment::Moment;
use crate::rows::retention;
use podbell_core::time::Time;

/// What is deleted: rows of a table that are older than a span. `$1` is the moment before which they are old, `$2` how
/// many go at most.
const OLD: &[(&str, Duration)] = &[
    (
        "delivery WHERE id IN (SELECT id FROM podbell.delivery WHERE done_at < $1 AND state <> 'dead' LIMIT $2)",
        retention::DELIVERIES,
    ),
    (
        "delivery WHERE id IN (SELECT id FROM podbell.delivery WHERE done_at < $1 AND state = 'dead' LIMIT $2)",
        retention::DEAD,
    ),
    (
        "notice WHERE id IN (SELECT id FROM podbell.notice n WHERE made_at < $1
         AND NOT EXISTS (SELECT FROM podbell.delivery WHERE notice = n.id) LIMIT $2)",
        retention::DELIVERIES,
    ),
    (
        "send WHERE id IN (SELECT id FROM (SELECT id, claimed_at, settled FROM podbell.send ORDER BY id LIMIT $2) o
         WHERE claimed_at < $1 AND settled IS NOT NULL)",
        retention::SENDS,
    ),
    ("attempt WHERE ctid = ANY (ARRAY(SELECT ctid FROM podbell.attempt WHERE at < $1 LIMIT $2))", retention::SENDS),
    (
        "observation WHERE id IN (SELECT id FROM (SELECT id, at FROM podbell.observation ORDER BY id LIMIT $2) o WHERE at < $1)",
        HISTORY,
    ),
    (
        // Of each object, the newest report from before the limit stays. Oldest first, so that a final report goes
        // after those that it ends.
        "report WHERE id IN (SELECT id FROM podbell.report r WHERE at < $1 AND (last OR EXISTS
         (SELECT FROM podbell.report n WHERE md5(n.about) = md5(r.about) AND n.id > r.id AND n.at < $1)) ORDER BY id LIMIT $2)",
        HISTORY,
    ),
    (
        "tally WHERE (target, quarter) IN (SELECT target, quarter FROM podbell.tally WHERE quarter < $1 / 900000 LIMIT $2)",
        retention::TALLIES,
    ),
    ("mute WHERE id IN (SELECT id FROM podbell.mute WHERE ended_at < $1 LIMIT $2)", retention::INCIDENTS),
    ("action WHERE id IN (SELECT id FROM podbell.action WHERE at < $1 LIMIT $2)", retention::ACTIONS),
    ("inbox WHERE id IN (SELECT id FROM podbell.inbox WHERE done_at < $1 LIMIT $2)", retention::DELIVERIES),
];

/// Stores the next numbers, so that none is used twice after its row was deleted.
const RESERVE: &str = "INSERT INTO podbell.meta
    SELECT key, (coalesce(newest, 0) + 1)::text FROM (VALUES
        ('next_incident', greatest((SELECT max(id) FROM podbell.incident), (SELECT max(id) FROM podbell.trouble))),
        ('next_mute', (SELECT max(id) FROM podbell.mute)),
        ('next_notice', (SELECT max(id) FROM podbell.notice)),
        ('next_delivery', (SELECT max(id) FROM podbell.delivery)),
        ('next_send', (SELECT max(id) FROM podbell.send))
    ) AS numbers (key, newest)
    ON CONFLICT (key) DO UPDATE SET value = greatest(meta.value::bigint, excluded.value::bigint)::text";

/// Troubles that are over: few rows, which are not kept.
const OVER: &str = "trouble WHERE over";

/// Incidents, with the services that showed them.
const INCIDENTS: &str =
    "WITH gone AS (DELETE FROM podbell.incident WHERE id IN (SELECT id FROM podbell.incident WHERE ended_at < $1 LIMIT $2)
        RETURNING id),
    rows AS (DELETE FROM podbell.shown WHERE incident IN (SELECT id FROM gone))
    SELECT count(*) FROM gone";

/// How long one call goes on.
const BUDGET: Duration = Duration::from_secs(1);
/// A deletion that takes longer is given up, so that the lease does not end meanwhile.
const LIMIT: &str = "SELECT set_config('statement_timeout', '2s', true)";

/// Deletes rows of a table and counts them.
fn delete(which: &str) -> String {
    format!("WITH gone AS (DELETE FROM podbell.{which} RETURNING 1) SELECT count(*) FROM gone")
}

/// What deletes from tables that grow, and how old rows must be for it.
pub(super) fn deletions() -> impl Iterator<Item = (String, Duration)> {
    let incidents = (INCIDENTS.to_owned(), retention::INCIDENTS);
    OLD.iter().map(|(which, span)| (delete(which), *span)).chain([incidents])
}

impl Store {
    /// Deletes rows that are no longer needed. Returns whether there are more.
    ///
    /// Each table in a transaction of its own, and for a moment only: the turn that waits for it must renew the lease. What is left
    /// goes on with the next call.
    pub(super) fn delete_old_rows(&mut self, now: Time) -> Result<bool, PostgresError> {
        let round = i64::from(retention::ROUND);
        let begun = Moment::now();
        if self.deletion.next == 0 {
            self.commit_fenced(vec![Call::new(RESERVE)])?;
        }
        let old = deletions().map(|(sql, span)| Call::new(sql).number(now.minus(span).millis()).number(round));
        let calls: Vec<Call<'_>> = old.chain([Call::new(delete(OVER))]).skip(self.deletion.next).collect();
        for call in calls {
            if begun.elapsed() > BUDGET {
                return Ok(true);
            }
            self.deletion.next += 1;
            match self.commit_fenced(vec![Call::new(LIMIT), call]) {
                Ok(answers) => {
                    let counts = answers.get(1).into_iter().flatten();
                    self.deletion.deleted += counts.map(|row| row.try_get::<_, i64>(0).unwrap_or(0)).sum::<i64>();
                }
                Err(error @ PostgresError::LeaseLost { .. }) => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "the old rows of a table could not be deleted; it is tried again with the next round");
                    return Ok(true);
                }
            }
        }
        Ok(std::mem::take(&mut self.deletion).deleted >= round)
    }
}
