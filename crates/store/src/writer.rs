//! The writing side of a store: what the engine needs of it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use crate::{Batch, Holder, InboxItem, Lease, StoreError};
use podbell_core::diff::Reading;
use podbell_core::event::{Level, Target};
use podbell_core::notice::{Notice, StoreFate};
use podbell_core::outbox::{Delivery, DeliveryId, DeliveryPhase, RestoredOutbox, SendId};
use podbell_core::rule::Destination;
use podbell_core::series::EpisodeKey;
use podbell_core::step::Restored;
use podbell_core::time::Time;

/// Everything that a process needs to continue where the last one ended, except readings: those are loaded with the
/// first poll of their namespace.
#[derive(Debug, Default)]
pub struct StoredState {
    /// What the core's state is rebuilt from.
    pub state: Restored,
    /// What the outbox is rebuilt from.
    pub outbox: RestoredOutbox,
    /// The generation of the rules that the stored incidents were brought in line with.
    pub rules_generation: Option<u64>,
}

/// A stored reading of an episode.
pub type ReadingRow = (EpisodeKey, Reading, Level);

/// A delivery with its destination and state.
#[derive(Clone, Debug)]
pub struct StoredDelivery {
    /// Its destination.
    pub destination: Destination,
    /// The delivery.
    pub delivery: Delivery,
    /// How far it is.
    pub state: DeliveryPhase,
}

/// What happened to a store since its last owner wrote it, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// What became of it.
    pub fate: StoreFate,
    /// Where the damaged files are kept, if any are.
    pub kept: Option<PathBuf>,
}

/// The one writer of a store. Its calls block: the engine has a thread of its own for them.
///
/// A turn of the engine reads first, with one call for each kind of row, and commits last. A row that must exist and
/// does not is damage ([`crate::ErrorKind::Damaged`]), never an empty answer.
pub trait Writer: Send + std::fmt::Debug {
    /// Reads everything back, before the first commit and after one that failed.
    ///
    /// # Errors
    /// When the store cannot be read, or a row in it is damaged.
    fn load(&mut self) -> Result<StoredState, StoreError>;

    /// Writes all of a batch or nothing. Where the database's answer can get lost, the adapter finds out whether the
    /// batch was written before it returns.
    ///
    /// # Errors
    /// When the store did not take it. The caller's memory is then ahead of the store and must be rebuilt from
    /// [`Writer::load`], after [`Writer::reconnect`].
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// After an error: makes the store usable again, if that can be done.
    ///
    /// # Errors
    /// When that does not help, or not yet.
    fn reconnect(&mut self) -> Result<(), StoreError>;

    /// Deletes a bounded number of rows that are no longer needed. Returns whether there are more.
    ///
    /// # Errors
    /// When the store cannot be written; then nothing was deleted.
    fn delete_old(&mut self, now: Time) -> Result<bool, StoreError>;

    /// The recoveries since the last call.
    fn take_recoveries(&mut self) -> Vec<Recovery>;

    /// The lease by which this writer owns the store; `None` where a store has one owner for as long as its process
    /// lives.
    fn lease(&self) -> Option<Lease>;

    /// Renews the lease, when no commit did so for a while: each commit renews it, too. Does nothing without a lease.
    ///
    /// # Errors
    /// [`crate::ErrorKind::LeaseLost`] when another replica owns the store or may own it; others when the store cannot
    /// be reached.
    fn renew(&mut self) -> Result<(), StoreError>;

    /// Gives the lease up, so that another replica can take over at once. Every later commit fails. Does nothing
    /// without a lease: there, the end of the process frees the store.
    ///
    /// # Errors
    /// When the store cannot be reached; then the lease ends by itself.
    fn release(&mut self) -> Result<(), StoreError>;

    /// How many commits had an outcome that was unknown at first, because the answer of the store was lost.
    fn unknown_commits(&self) -> u64;

    /// The id of a send's message: unique over all stores and their backups, and the same for every attempt.
    fn message_id(&self, send: SendId) -> String;

    /// The last good text of each rule file, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn good_rules(&self) -> Result<BTreeMap<String, String>, StoreError>;

    /// The readings of targets. A target that is not stored has none.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn readings(&self, targets: &[Target]) -> Result<Vec<(Target, Vec<ReadingRow>)>, StoreError>;

    /// Waiting commands, oldest first, a hundred or fewer. A command that cannot be decoded is left for a newer version.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn inbox(&self) -> Result<Vec<InboxItem>, StoreError>;

    /// Deliveries, whatever their state; those that are not stored are left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn deliveries(&self, ids: &[DeliveryId]) -> Result<Vec<StoredDelivery>, StoreError>;

    /// Deliveries that were given up, of one destination or of all, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn dead_deliveries(&self, destination: Option<&str>) -> Result<Vec<StoredDelivery>, StoreError>;

    /// Notices by their numbers.
    ///
    /// # Errors
    /// When one is missing or damaged, or the store cannot be read.
    fn notices(&self, ids: &[u64]) -> Result<HashMap<u64, Notice>, StoreError>;

    /// The bodies of sends, as they were stored before their first attempt.
    ///
    /// # Errors
    /// When one is missing, or the store cannot be read.
    fn bodies(&self, sends: &[SendId]) -> Result<HashMap<SendId, Vec<u8>>, StoreError>;
}

/// What a replica finds when it asks to own the store.
#[derive(Debug)]
pub enum ClaimOutcome {
    /// It owns the store now.
    Active(Box<dyn Writer>),
    /// Another replica does.
    Standby(Holder),
}
