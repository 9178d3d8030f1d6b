//! The writer of a PostgreSQL store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::call::Call;
use super::column::{get, id, level, time};
use super::error::PostgresError;
use super::held_lease::HeldLease;
use super::keeper::Keeper;
use super::server::Server;
use super::session::Session;
use crate::message_epochs::MessageEpochs;
use crate::rows::sql;
use crate::{Batch, InboxItem, Lease, ReadingRow, Recovery, StoreError, StoredDelivery, StoredState, Writer, inbox};
use podbell_core::diff::Reading;
use podbell_core::event::Target;
use podbell_core::notice::Notice;
use podbell_core::outbox::{DeliveryId, SendId};
use podbell_core::series::{EpisodeKey, SeriesId};
use podbell_core::time::Time;

/// The store as its owner has it.
#[derive(Debug)]
pub(super) struct Store {
    pub server: Arc<Server>,
    /// `None` after the connection was lost.
    pub session: Option<Session>,
    pub held: HeldLease,
    /// Renews the lease while the store is read.
    pub keeper: Option<Keeper>,
    pub seed: u64,
    epochs: MessageEpochs,
    /// The targets' row numbers; `None` until they are read.
    pub targets: Option<Targets>,
    /// How many services of each incident are in the table `shown`, as far as this process knows.
    pub shown: HashMap<u64, usize>,
    pub unknown_commits: u64,
    pub deletion: Deletion,
}

/// How far a round of deletions has come.
#[derive(Debug, Default)]
pub(super) struct Deletion {
    /// The table that is next.
    pub next: usize,
    /// How many rows were deleted in this round.
    pub deleted: i64,
}

/// The row number of each target. The one writer gives them, so that a commit needs no answer before its end.
#[derive(Debug, Default)]
pub(super) struct Targets {
    pub ids: HashMap<Target, i64>,
    /// The highest number that was given.
    pub highest: i64,
}

impl Store {
    pub(super) fn new(session: Session, held: HeldLease, seed: u64, epochs: MessageEpochs) -> Self {
        Self {
            server: session.server().clone(),
            session: Some(session),
            held,
            keeper: None,
            seed,
            epochs,
            targets: None,
            shown: HashMap::new(),
            unknown_commits: 0,
            deletion: Deletion::default(),
        }
    }

    pub(super) fn session(&self) -> Result<&Session, PostgresError> {
        self.session.as_ref().ok_or_else(|| PostgresError::Broken {
            server: self.server.to_string(),
            why: "there is no connection".to_owned(),
        })
    }

    /// Reads the targets' row numbers, unless they are known.
    pub(super) fn know_targets(&mut self) -> Result<(), PostgresError> {
        if self.targets.is_none() {
            self.read_targets()?;
        }
        Ok(())
    }
}

impl Writer for Store {
    fn load(&mut self) -> Result<StoredState, StoreError> {
        Ok(self.read_all()?)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let written = self.write(batch);
        if written.is_err() {
            // Which rows have which numbers is in doubt.
            self.targets = None;
            self.shown.clear();
        }
        Ok(written?)
    }

    fn reconnect(&mut self) -> Result<(), StoreError> {
        self.session = None;
        self.targets = None;
        self.shown.clear();
        Ok(self.resume()?)
    }

    fn delete_old(&mut self, now: Time) -> Result<bool, StoreError> {
        Ok(self.delete_old_rows(now)?)
    }

    fn take_recoveries(&mut self) -> Vec<Recovery> {
        // Files are damaged, lost and put back; a database is somebody else's to restore.
        Vec::new()
    }

    fn lease(&self) -> Option<Lease> {
        Some(self.current_lease())
    }

    fn renew(&mut self) -> Result<(), StoreError> {
        Ok(self.renew_lease()?)
    }

    fn release(&mut self) -> Result<(), StoreError> {
        Ok(self.give_up()?)
    }

    fn unknown_commits(&self) -> u64 {
        self.unknown_commits
    }

    fn message_id(&self, send: SendId) -> String {
        self.epochs.message_id(send.0)
    }

    fn good_rules(&self) -> Result<BTreeMap<String, String>, StoreError> {
        Ok(self.session()?.good_rules()?)
    }

    fn readings(&self, targets: &[Target]) -> Result<Vec<(Target, Vec<ReadingRow>)>, StoreError> {
        let Some(known) = &self.targets else {
            // Only before the first load.
            return Ok(self.readings_by_name(targets)?);
        };
        let ids: Vec<Option<i64>> = targets.iter().map(|target| known.ids.get(target).copied()).collect();
        let rows = self.readings_of(ids.iter().flatten().copied().collect())?;
        Ok(in_order(targets, &ids, rows))
    }

    fn inbox(&self) -> Result<Vec<InboxItem>, StoreError> {
        let select = "SELECT id, command FROM podbell.inbox WHERE done_at IS NULL AND id > $1 ORDER BY id LIMIT $2";
        inbox::decodable(|after| {
            let call = Call::new(select).number(after).number(inbox::PAGE.into());
            Ok(self.session()?.read(call, "a command", |row| Ok((get(row, 0)?, get(row, 1)?)))?)
        })
    }

    fn deliveries(&self, ids: &[DeliveryId]) -> Result<Vec<StoredDelivery>, StoreError> {
        let call = |sql: String| Call::new(sql).numbers(ids.iter().map(|id| crate::rows::sql(id.0)));
        let found = self.session()?.stored_deliveries("d.id = ANY ($1)", call)?;
        let mut found: HashMap<u64, StoredDelivery> =
            found.into_iter().map(|(stored, _)| (stored.delivery.id.0, stored)).collect();
        Ok(ids.iter().filter_map(|id| found.remove(&id.0)).collect())
    }

    fn dead_deliveries(&self, destination: Option<&str>) -> Result<Vec<StoredDelivery>, StoreError> {
        let condition = "d.state = 'dead' AND ($1::text IS NULL OR d.destination = $1) ORDER BY d.id";
        let found = self.session()?.stored_deliveries(condition, |sql| Call::new(sql).maybe_text(destination))?;
        Ok(found.into_iter().map(|(stored, _)| stored).collect())
    }

    fn notices(&self, ids: &[u64]) -> Result<HashMap<u64, Notice>, StoreError> {
        let session = self.session()?;
        let select = "SELECT id, facts FROM podbell.notice WHERE id = ANY ($1)";
        let call = Call::new(select).numbers(ids.iter().copied().map(sql));
        let rows = session.read(call, "a notice", |row| Ok((id(row, 0)?, get::<String>(row, 1)?)))?;
        let mut notices = HashMap::with_capacity(rows.len());
        for (id, facts) in rows {
            notices.insert(id, session.json(format!("notice {id}"), &facts)?);
        }
        match ids.iter().find(|id| !notices.contains_key(id)) {
            Some(id) => Err(session.damaged(format!("notice {id}"), "it is not there").into()),
            None => Ok(notices),
        }
    }

    fn bodies(&self, sends: &[SendId]) -> Result<HashMap<SendId, Vec<u8>>, StoreError> {
        let session = self.session()?;
        let call = Call::new("SELECT id, body FROM podbell.send WHERE id = ANY ($1)");
        let call = call.numbers(sends.iter().map(|send| sql(send.0)));
        let rows = session.read(call, "a body", |row| Ok((SendId(id(row, 0)?), get::<Vec<u8>>(row, 1)?)))?;
        let bodies: HashMap<_, _> = rows.into_iter().filter(|(_, body)| !body.is_empty()).collect();
        match sends.iter().find(|send| !bodies.contains_key(send)) {
            Some(send) => Err(session.damaged(format!("the body of send {}", send.0), "it is not there").into()),
            None => Ok(bodies),
        }
    }
}

impl Store {
    fn readings_of(&self, ids: Vec<i64>) -> Result<Vec<(i64, ReadingRow)>, PostgresError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let select = "SELECT target, sid, episode, count, last_seen, level FROM podbell.series
            WHERE target = ANY ($1) ORDER BY target, sid, episode";
        self.session()?.read(Call::new(select).numbers(ids), "a reading", |row| {
            let sid: &[u8] = get(row, 1)?;
            let sid =
                sid.try_into().map_err(|_| super::column::BadColumn("column 1: its length is wrong".to_owned()))?;
            let key = EpisodeKey { series: SeriesId(sid), first_seen: time(row, 2)? };
            Ok((get(row, 0)?, (key, Reading { count: id(row, 3)?, last_seen: time(row, 4)? }, level(row, 5)?)))
        })
    }

    fn readings_by_name(&self, targets: &[Target]) -> Result<Vec<(Target, Vec<ReadingRow>)>, PostgresError> {
        let select = "SELECT u.at, t.id FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS u (source, cluster, namespace, service, at)
            JOIN podbell.target t USING (source, cluster, namespace, service)";
        let call = Call::new(select)
            .texts(targets.iter().map(|target| &*target.source))
            .texts(targets.iter().map(|target| &*target.cluster))
            .texts(targets.iter().map(|target| &*target.namespace))
            .texts(targets.iter().map(|target| &*target.service));
        let found = self.session()?.read(call, "a target", |row| Ok((id(row, 0)?, get::<i64>(row, 1)?)))?;
        let found: HashMap<u64, i64> = found.into_iter().collect();
        let ids: Vec<Option<i64>> = (1..).zip(targets).map(|(at, _)| found.get(&at).copied()).collect();
        let rows = self.readings_of(ids.iter().flatten().copied().collect())?;
        Ok(in_order(targets, &ids, rows))
    }
}

/// The readings by target, in the order in which targets were asked for.
fn in_order(targets: &[Target], ids: &[Option<i64>], rows: Vec<(i64, ReadingRow)>) -> Vec<(Target, Vec<ReadingRow>)> {
    let mut by_id: HashMap<i64, Vec<ReadingRow>> = HashMap::new();
    for (id, row) in rows {
        by_id.entry(id).or_default().push(row);
    }
    let rows = |id: &Option<i64>| id.and_then(|id| by_id.get(&id).cloned()).unwrap_or_default();
    targets.iter().zip(ids).map(|(target, id)| (target.clone(), rows(id))).collect()
}
