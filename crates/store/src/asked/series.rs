//! Events: those of a service, and the silent baseline.

use rusqlite::{Row, params};

use super::Snapshot;
use crate::{StoreError, load};
use podbell_core::ask::events::Seen;
use podbell_core::event::{Event, Level, Target};
use podbell_core::time::Time;

pub(super) const QUERIES: &[&str] = &[OF_TARGET, SILENT, SILENT_OF];

/// More episodes of one service are nobody's to read.
const OF_TARGET: &str = "SELECT t.source, t.cluster, t.namespace, t.service, s.episode, s.last_seen, s.count, s.level,
    s.obj_type, s.obj_name, s.reason, s.message, s.silent FROM target t JOIN series s ON s.target = t.id
    WHERE t.source = ?1 AND t.cluster = ?2 AND t.namespace = ?3 AND t.service = ?4 LIMIT 5000";
const SILENT: &str = "SELECT t.source, t.cluster, t.namespace, t.service, s.episode, s.last_seen, s.count, s.level,
    s.obj_type, s.obj_name, s.reason, s.message, s.silent
    FROM series s INDEXED BY series_silent CROSS JOIN target t ON t.id = s.target
    WHERE s.silent = 1 ORDER BY s.last_seen DESC LIMIT ?1";
const SILENT_OF: &str = "SELECT t.source, t.cluster, t.namespace, t.service, s.episode, s.last_seen, s.count, s.level,
    s.obj_type, s.obj_name, s.reason, s.message, s.silent
    FROM target t CROSS JOIN series s INDEXED BY series_silent_target ON s.target = t.id
    WHERE t.source = ?1 AND t.cluster = ?2 AND t.namespace = ?3 AND t.service = ?4 AND s.silent = 1
    ORDER BY s.last_seen DESC LIMIT ?5";

/// So many services of a team are looked through for their baseline.
const MOST_SERVICES: usize = 500;

impl Snapshot<'_> {
    /// What a service shows, and what it showed within the last day.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn seen(&self, target: &Target) -> Result<Vec<Seen>, StoreError> {
        self.query(OF_TARGET, params![target.source, target.cluster, target.namespace, target.service], seen)
    }

    /// Warnings that were there before podbell came and did not happen again, the newest first: of all
    /// services, or of these.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn baseline(&self, of: Option<&[Target]>, most: u32) -> Result<Vec<Seen>, StoreError> {
        let Some(targets) = of else { return self.query(SILENT, [most], seen) };
        let mut all: Vec<Seen> = Vec::new();
        for target in targets.iter().take(MOST_SERVICES) {
            let which = params![target.source, target.cluster, target.namespace, target.service, most];
            all.extend(self.query(SILENT_OF, which, seen)?);
        }
        all.sort_by_cached_key(|seen| {
            let event = &seen.event;
            (std::cmp::Reverse(event.last_seen), event.obj_name.to_string(), event.reason.to_string())
        });
        all.truncate(most as usize);
        Ok(all)
    }
}

fn seen(row: &Row<'_>) -> rusqlite::Result<Seen> {
    let text = |at| row.get::<_, String>(at).map(std::borrow::Cow::Owned);
    let event = Event {
        series: false,
        first_seen: Time::from_millis(row.get(4)?),
        last_seen: Time::from_millis(row.get(5)?),
        count: load::id(row, 6)?,
        level: if row.get::<_, i64>(7)? == 0 { Level::Normal } else { Level::Warning },
        obj_type: text(8)?,
        obj_name: text(9)?,
        reason: text(10)?,
        message: text(11)?,
    };
    Ok(Seen { target: super::target(row)?, event, silent: row.get(12)? })
}
