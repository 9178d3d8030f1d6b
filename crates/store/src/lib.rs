//! The store: owns podbell's persistent state. It knows rows, but not what they mean.
//!
//! One process writes it through a [`Writer`]: it loads everything when it starts, and writes each turn of the engine
//! as one [`Batch`], whole or not at all. Others read beside it through a [`Reader`], and hand it commands through its
//! [`Inbox`]. [`Location`] says which adapter serves a store; [`sqlite`] is the only one.
//!
//! The interface consists of trait objects whose calls take and return slices of rows, so that an adapter to a database
//! server needs one statement for each kind of row, however many rows there are.

#![warn(unreachable_pub)]

mod backup;
mod batch;
pub mod crash;
mod error;
mod inbox;
pub mod incident_codec;
mod lease;
mod location;
mod reader;
mod readers;
pub mod sqlite;
mod writer;

#[cfg(test)]
#[path = "contract_tests.rs"]
mod contract;

pub use backup::{Backup, Existing};
pub use batch::{Batch, Changes};
pub(crate) use batch::{DaysRow, Gap, IncidentRow};
#[cfg(test)]
pub(crate) use batch::{NoticeRow, SendRow};
pub use error::{ErrorKind, StoreError};
pub use inbox::{Command, Inbox, InboxItem};
pub use lease::{Claim, Holder, LEASE_RENEWAL, LEASE_TTL, Lease};
pub use location::Location;
pub use reader::*;
pub use readers::{Readers, ReadersError};
pub use writer::{Loaded, Mishap, ReadingRow, StoredDelivery, Writer};
