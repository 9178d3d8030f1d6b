//! Keeps the lease while a new owner reads the store: that may take longer than a lease lasts.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::call::Call;
use super::error::PostgresError;
use super::held_lease::{HeldLease, LEASE_MS, RENEW};
use super::server::Server;
use super::session::Session;
use super::{LOAD_LIMIT, RENEWAL};
use crate::moment::Moment;
use crate::rows::sql;

/// Renews a lease over a connection of its own until it is dropped, at most for [`LOAD_LIMIT`]: an owner that hangs
/// for longer loses the store to another replica.
#[derive(Debug)]
pub(super) struct Keeper {
    renewed: Arc<Mutex<Option<Moment>>>,
    /// Dropping it ends the thread.
    _until: Sender<()>,
}

impl Keeper {
    /// Begins to keep a lease.
    pub(super) fn start(server: Arc<Server>, held: &HeldLease) -> Self {
        let renewed = Arc::new(Mutex::new(None));
        let (until, ended) = channel();
        let lease = LeaseRenewer { server, epoch: held.epoch, replica: held.replica.clone(), renewed: renewed.clone() };
        std::thread::spawn(move || lease.keep(&ended));
        Self { renewed, _until: until }
    }

    /// When the statement was sent that renewed the lease last; `None` if none did.
    pub(super) fn renewed(&self) -> Option<Moment> {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct LeaseRenewer {
    server: Arc<Server>,
    epoch: u64,
    replica: String,
    renewed: Arc<Mutex<Option<Moment>>>,
}

impl LeaseRenewer {
    fn keep(&self, ended: &Receiver<()>) {
        let begun = Moment::now();
        let mut session = None;
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(RENEWAL) {
            if begun.elapsed() > LOAD_LIMIT {
                return tracing::error!(limit_seconds = LOAD_LIMIT.as_secs(), "reading the store takes too long");
            }
            match self.renew(&mut session) {
                Ok(true) => {}
                // Another replica owns the store; the first commit says so.
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "the lease was not renewed while the store is read");
                    session = None;
                }
            }
        }
    }

    /// Whether the lease was still there to be renewed.
    fn renew(&self, session: &mut Option<Session>) -> Result<bool, PostgresError> {
        let session = match session {
            Some(session) => session,
            None => session.insert(Session::open(&self.server)?),
        };
        let sent = Moment::now();
        let call = Call::new(RENEW).number(sql(self.epoch)).number(LEASE_MS).text(&self.replica);
        let found = session.query(call)?;
        if found.is_empty() {
            return Ok(false);
        }
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some(sent);
        Ok(true)
    }
}
