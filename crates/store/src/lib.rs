//! The store: owns podbell's persistent state. It knows rows, but not what they mean.
//!
//! One process writes it through a [`Writer`]: it loads everything when it starts, and writes each turn of the engine
//! as one [`Batch`], whole or not at all. Others read beside it through a [`Reader`], and hand it commands through its
//! [`Inbox`]. [`Location`] says which adapter serves a store; [`sqlite`] for a file, [`postgres`] for a database that several
//! replicas share.
//!
//! The interface consists of trait objects whose calls take and return slices of rows, so that an adapter to a database
//! server needs one statement for each kind of row, however many rows there are.

#![warn(unreachable_pub)]

mod backup;
mod batch;
mod copy;
pub mod crash;
mod error;
mod file_inspection;
mod inbox;
pub mod incident_codec;
mod lease;
mod location;
mod message_epochs;
mod moment;
pub mod postgres;
mod reader;
mod readers;
mod rows;
pub mod sqlite;
mod writer;

#[cfg(test)]
#[path = "contract_tests.rs"]
mod contract;
#[cfg(test)]
#[cfg(feature = "outside")]
#[path = "../../../tests/it/support/postgres.rs"]
#[allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, reason = "the integration tests share it")]
mod test_server;

pub use backup::{Backup, Existing};
#[cfg(test)]
pub(crate) use batch::NoticeRow;
pub(crate) use batch::{AvailabilityChange, DaysRow, IncidentRow, SendRow, ThreadRow};
pub use batch::{Batch, Changes};
pub use error::{ErrorKind, StoreError};
pub use file_inspection::{Fault, FileInfo, FileInspection};
pub use inbox::{Command, DeliveryResult, Inbox, InboxItem};
pub use lease::{Holder, LEASE_RENEWAL, LEASE_TTL, Lease, LeaseEnd};
pub use location::{Candidate, Location, LocationError};
pub(crate) use reader::Cancel;
pub use reader::{
    AtPlace, DecisionFilter, DeliveryQueries, EventQueries, HISTORY, History, IncidentQueries, Incidents,
    KEPT_DECISIONS, ListedDelivery, Listing, Paging, PlaceName, Queue, Reader, Service, ServiceQueries, ServiceState,
    Snapshot, Wanted,
};
pub use readers::{Readers, ReadersError};
pub use writer::{ClaimOutcome, ReadingRow, Recovery, StoredDelivery, StoredState, Writer};
