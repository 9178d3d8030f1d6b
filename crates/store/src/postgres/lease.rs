//! Who owns the store: claiming it, and the writer's hold on it.

use std::sync::Arc;
use std::time::Duration;

use super::call::Call;
use super::column::{get, id, optional_id, text};
use super::error::PostgresError;
use super::held_lease::{HeldLease, LEASE_MS, RENEW};
use super::keeper::Keeper;
use super::server::Server;
use super::session::{Failed, Session};
use super::writer::Store;
use super::{LOAD_LIMIT, migrate};
use crate::message_epochs::MessageEpochs;
use crate::moment::Moment;
use crate::rows::sql;
use crate::{ClaimOutcome, Holder, Lease, StoreError, Writer};

/// How often a process that waits for the lease asks.
const PAUSE: Duration = Duration::from_millis(250);

/// A lease that ends later than this was given by another clock: the server's was set back, or another server took over
/// whose clock is behind. Its owner renews it soon if it lives.
const AHEAD: Duration = Duration::from_secs(20);
#[allow(clippy::cast_possible_truncation)]
const AHEAD_MS: i64 = AHEAD.as_millis() as i64;

/// How long the server may take to renew a lease, and to say who has it over a connection that was kept: so short that there
/// is time to ask over another connection, because the network may have forgotten this one without a word.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// See [`crate::Candidate`].
pub(crate) struct Candidate {
    server: Arc<Server>,
    replica: String,
    /// The session of the last attempt, which found that another replica owns the store: the next one uses it.
    kept: Option<Session>,
}

impl Candidate {
    pub(crate) fn new(server: &Arc<Server>, replica: &str) -> Self {
        Self { server: server.clone(), replica: replica.to_owned(), kept: None }
    }

    pub(crate) fn claim(&mut self) -> Result<ClaimOutcome, StoreError> {
        if let Some(mut session) = self.kept.take().filter(|session| !session.is_closed()) {
            session.limit_calls(ASK_LIMIT);
            match owner(&session) {
                Ok((format, holder)) if !holder.expires_in.is_zero() => {
                    // The owner may be of a newer version.
                    migrate::check_known(&session, format)?;
                    self.kept = Some(session);
                    return Ok(ClaimOutcome::Standby(holder));
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "a connection that was kept is of no use"),
            }
        }
        let session = ready(&self.server)?;
        match try_to_claim(session, &self.replica)? {
            Ok(store) => Ok(ClaimOutcome::Active(Box::new(store))),
            Err((session, holder)) => {
                self.kept = Some(session);
                Ok(ClaimOutcome::Standby(holder))
            }
        }
    }
}

/// See [`crate::Location::writer`].
pub(crate) fn writer(server: &Arc<Server>, patience: Duration) -> Result<Box<dyn Writer>, StoreError> {
    let replica = format!("process {}", std::process::id());
    let start = Moment::now();
    loop {
        match try_to_claim(ready(server)?, &replica)? {
            Ok(store) => return Ok(Box::new(store)),
            Err((_, holder)) if start.elapsed() >= patience => {
                let (server, waited_seconds) = (server.to_string(), patience.as_secs());
                return Err(PostgresError::InUse { server, holder, waited_seconds }.into());
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// Whether podbell made a store there.
pub(crate) fn exists(server: &Arc<Server>) -> Result<bool, StoreError> {
    Ok(migrate::exists(&Session::open(server)?)?)
}

/// Who owns the store now.
pub(crate) fn holder(server: &Arc<Server>) -> Result<Option<Holder>, StoreError> {
    let session = Session::open(server)?;
    if !migrate::exists(&session)? {
        return Ok(None);
    }
    Ok(Some(owner(&session)?.1).filter(|holder| !holder.expires_in.is_zero()))
}

/// The version of the format, and the last owner; `expires_in` is zero if its lease ended.
pub(super) fn owner(session: &Session) -> Result<(i64, Holder), PostgresError> {
    let select = "SELECT format, holder, epoch, turn,
        greatest(0, ceil(extract(epoch FROM expires_at - clock_timestamp()) * 1000))::int8 FROM podbell.lease";
    let mut rows = session.read(Call::new(select), "the lease", |row| {
        let expires_in = Some(Duration::from_millis(id(row, 4)?)).filter(|left| *left <= AHEAD).unwrap_or_default();
        let holder = Holder { replica: get(row, 1)?, epoch: id(row, 2)?, commit: id(row, 3)?, expires_in };
        Ok((get(row, 0)?, holder))
    })?;
    rows.pop().ok_or_else(|| session.damaged("the lease", "it is not there"))
}

/// A connection to a store that is there.
fn ready(server: &Arc<Server>) -> Result<Session, PostgresError> {
    let session = Session::open(server)?;
    session.check_version()?;
    if !migrate::exists(&session)? {
        migrate::make(&session)?;
    }
    Ok(session)
}

/// The store, or who owns it, and the connection that was asked.
fn try_to_claim(session: Session, replica: &str) -> Result<Result<Store, (Session, Holder)>, PostgresError> {
    let (format, holder) = owner(&session)?;
    migrate::check_known(&session, format)?;
    if !holder.expires_in.is_zero() {
        return Ok(Err((session, holder)));
    }
    let sent = Moment::now();
    let Some(taken) = take(&session, replica)? else {
        session.query(Call::new("ROLLBACK"))?;
        let holder = owner(&session)?.1;
        return Ok(Err((session, holder)));
    };
    // It may have been migrated since it was read above; an error ends the connection, and with it the transaction.
    migrate::check_known(&session, taken.format)?;
    if taken.format < migrate::VERSION {
        migrate::migrate(&session, taken.format)?;
    }
    let (seed, epochs) = begin_epoch(&session)?;
    let renewed = finish(&session)?;
    tracing::debug!(epoch = taken.epoch, took = ?sent.elapsed(), "this replica owns the store");
    let held =
        HeldLease { epoch: taken.epoch, replica: replica.to_owned(), commit: taken.commit, renewed: Some(renewed) };
    Ok(Ok(Store::new(session, held, seed, epochs)))
}

struct Taken {
    epoch: u64,
    commit: i64,
    format: i64,
}

/// Begins a transaction and takes the lease's row in it, if the lease ended and nobody else is about to.
fn take(session: &Session, replica: &str) -> Result<Option<Taken>, PostgresError> {
    let limits = "SELECT set_config('lock_timeout', '3s', true), set_config('statement_timeout', '55s', true),
        set_config('idle_in_transaction_session_timeout', '5s', true)";
    let take = "UPDATE podbell.lease SET holder = $1, epoch = epoch + 1, turn = turn + 1,
        expires_at = clock_timestamp() + $2 * interval '1 millisecond'
        WHERE one IN (SELECT one FROM podbell.lease WHERE expires_at <= clock_timestamp()
            OR expires_at > clock_timestamp() + $3 * interval '1 millisecond' FOR UPDATE SKIP LOCKED)
        RETURNING epoch, turn, format";
    let take = Call::new(take).text(replica).number(LEASE_MS).number(AHEAD_MS);
    let calls = [Call::new(super::BEGIN), Call::new(limits), take];
    let mut rows = session.pipeline(&calls, super::CALL_LIMIT).map_err(|failed| failed.error)?;
    let rows = rows.pop().unwrap_or_default();
    let taken = |row: &_| Ok(Taken { epoch: id(row, 0)?, commit: get(row, 1)?, format: get(row, 2)? });
    Ok(session.decode(&rows, "the lease", taken)?.pop())
}

/// The seed of the store's identities, and the epochs of message ids with a new one.
fn begin_epoch(session: &Session) -> Result<(u64, MessageEpochs), PostgresError> {
    let meta = "SELECT key, value FROM podbell.meta WHERE key IN ('seed', 'uuid', 'epochs', 'next_send')";
    let newest = "SELECT max(id) FROM podbell.send";
    let open = "SELECT id FROM podbell.send WHERE settled IS NULL";
    let calls = [meta, newest, open].map(Call::new);
    let rows = session.pipeline(&calls, LOAD_LIMIT).map_err(|failed| failed.error)?;
    let [meta, newest, open] = rows.as_slice() else { return Err(session.damaged("the sends", "no answer")) };
    let meta =
        session.decode(meta, "what the store records of itself", |row| Ok((text(row, 0)?, get::<String>(row, 1)?)))?;
    let of = |wanted: &str| meta.iter().find(|(key, _)| **key == *wanted).map(|(_, value)| &**value);
    let seed = of("seed").and_then(|seed| u64::from_str_radix(seed, 16).ok());
    let seed = seed.ok_or_else(|| session.damaged("the seed of identities", "it is not there"))?;
    let uuid = of("uuid").filter(|uuid| !uuid.is_empty());
    let uuid = uuid.ok_or_else(|| session.damaged("the name of the store", "it is not there"))?;
    let mut epochs =
        MessageEpochs::read(of("epochs"), uuid).map_err(|error| session.damaged("the epochs of message ids", error))?;
    let newest = session.decode(newest, "a send", |row| optional_id(row, 0))?.pop().flatten().unwrap_or(0);
    let reserved: Option<u64> =
        of("next_send").map(str::parse).transpose().map_err(|error| session.damaged("`next_send`", error))?;
    epochs.begin(reserved.unwrap_or(1).max(newest + 1), &session.decode(open, "a send", |row| id(row, 0))?);
    let text = epochs.write().map_err(|error| session.damaged("the epochs of message ids", error))?;
    let write = "INSERT INTO podbell.meta VALUES ('epochs', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    session.query(Call::new(write).text(&text))?;
    Ok((seed, epochs))
}

/// Commits the claim. The lease begins now: a migration may have taken longer than one.
fn finish(session: &Session) -> Result<Moment, PostgresError> {
    let sent = Moment::now();
    let renew = "UPDATE podbell.lease SET expires_at = clock_timestamp() + $1 * interval '1 millisecond'";
    let calls = [Call::new(renew).number(LEASE_MS), Call::new("COMMIT")];
    session.pipeline(&calls, super::CALL_LIMIT).map_err(|failed| failed.error)?;
    Ok(sent)
}

impl Store {
    fn lost(&mut self, why: &'static str) -> PostgresError {
        self.held.renewed = None;
        PostgresError::LeaseLost { server: self.server.to_string(), why }
    }

    /// For how long this replica still owns the store.
    pub(super) fn current_lease(&self) -> Lease {
        self.held.lease(self.keeper.as_ref().and_then(Keeper::renewed))
    }

    /// Begins to renew the lease from another thread, until the next statement that does so here.
    pub(super) fn keep_lease(&mut self) {
        self.keeper.get_or_insert_with(|| Keeper::start(self.server.clone(), &self.held));
    }

    /// Refuses everything after the lease was lost or given up. What follows renews the lease, so nothing else needs to.
    pub(super) fn check_held(&mut self) -> Result<(), PostgresError> {
        if let Some(renewed) = self.keeper.take().and_then(|keeper| keeper.renewed()) {
            self.held.renewed = self.held.renewed.and(Some(renewed));
        }
        match self.held.renewed {
            Some(_) => Ok(()),
            None => {
                let why = "its lease was lost or given up";
                Err(PostgresError::LeaseLost { server: self.server.to_string(), why })
            }
        }
    }

    /// See [`Writer::renew`].
    pub(super) fn renew_lease(&mut self) -> Result<(), PostgresError> {
        self.check_held()?;
        let sent = Moment::now();
        let call = Call::new(RENEW).number(sql(self.held.epoch)).number(LEASE_MS).text(&self.held.replica);
        let renewed = self.session().and_then(|session| session.query_within(call, ASK_LIMIT));
        match self.noticed(renewed) {
            Ok(rows) => self.renewed_at(sent, !rows.is_empty()),
            Err(error @ PostgresError::LeaseLost { .. }) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the lease was not renewed; podbell tries it over another connection");
                self.session = None;
                self.resume()
            }
        }
    }

    /// Finds out what became of the last commit, over a new connection. A commit that is still on its way to the server
    /// fails from then on, because its number is no longer the next one.
    pub(super) fn resume(&mut self) -> Result<(), PostgresError> {
        self.check_held()?;
        let session = Session::open(&self.server)?;
        let sent = Moment::now();
        // Waits for a commit that the server is still about.
        let resume =
            "UPDATE podbell.lease SET turn = turn + 1, expires_at = clock_timestamp() + $2 * interval '1 millisecond'
            WHERE epoch = $1 AND holder = $3 AND expires_at > clock_timestamp() RETURNING turn";
        let call = Call::new(resume).number(sql(self.held.epoch)).number(LEASE_MS).text(&self.held.replica);
        let rows = session.read(call, "the lease", |row| get::<i64>(row, 0));
        let commit = self.noticed(rows)?.pop();
        self.renewed_at(sent, commit.is_some())?;
        self.held.commit = commit.unwrap_or(self.held.commit);
        self.session = Some(session);
        Ok(())
    }

    /// Writes in one transaction that the lease fences, and renews it.
    pub(super) fn commit_fenced(
        &mut self,
        calls: Vec<Call<'_>>,
    ) -> Result<Vec<Vec<tokio_postgres::Row>>, PostgresError> {
        self.check_held()?;
        self.session()?.prepare_repeated()?;
        let commit = self.held.commit + 1;
        let replica = self.held.replica.clone();
        let fence = Call::new("SELECT podbell.fence($1, $2, $3, $4)");
        let fence = fence.number(sql(self.held.epoch)).text(&replica).number(commit).number(LEASE_MS);
        let last = calls.len() + 2;
        let mut all = Vec::with_capacity(last + 1);
        all.extend([Call::new(super::BEGIN), fence]);
        all.extend(calls);
        all.push(Call::new("COMMIT"));
        let sent = Moment::now();
        match self.session()?.pipeline(&all, super::CALL_LIMIT) {
            Ok(mut rows) => {
                self.held.commit = commit;
                self.held.renewed = Some(sent);
                rows.pop();
                Ok(rows.split_off(2))
            }
            // Only a refusal before the end is certainly no commit.
            Err(Failed { error, refused: Some(at) }) if at < last => self.noticed(Err(error)),
            Err(Failed { error, .. }) => self.resolve_unknown_commit(commit, error).map(|()| Vec::new()),
        }
    }

    /// After the answer to commit number `commit` was lost: finds out whether it was written.
    fn resolve_unknown_commit(&mut self, commit: i64, error: PostgresError) -> Result<(), PostgresError> {
        self.unknown_commits += 1;
        self.session = None;
        tracing::warn!(%error, "the answer to a commit was lost; podbell reads whether it was written");
        self.resume()?;
        // Finding out took one number.
        if self.held.commit == commit + 1 {
            return Ok(());
        }
        Err(PostgresError::NotWritten { server: self.server.to_string() })
    }

    fn renewed_at(&mut self, sent: Moment, found: bool) -> Result<(), PostgresError> {
        if !found {
            return Err(self.lost("its lease ended or another replica took over"));
        }
        self.held.renewed = Some(sent);
        Ok(())
    }

    /// Passes a result on, and remembers that the lease is lost if it says so.
    fn noticed<T>(&mut self, result: Result<T, PostgresError>) -> Result<T, PostgresError> {
        if matches!(result, Err(PostgresError::LeaseLost { .. })) {
            self.held.renewed = None;
        }
        result
    }

    /// See [`Writer::release`].
    pub(super) fn give_up(&mut self) -> Result<(), PostgresError> {
        self.keeper = None;
        if self.held.renewed.take().is_none() {
            return Ok(());
        }
        let release = "UPDATE podbell.lease SET expires_at = to_timestamp(0) WHERE epoch = $1 AND holder = $2";
        self.session()?.query(Call::new(release).number(sql(self.held.epoch)).text(&self.held.replica))?;
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Otherwise the lease ends by itself.
        if let Err(error) = self.give_up() {
            tracing::debug!(%error, "the lease could not be given up");
        }
    }
}
