//! Which replica owns a store. A shared store (see [`crate::Location::is_shared`]) has one active replica at a time;
//! the others stand by and ask now and then.

use std::time::Duration;

use crate::moment::Moment;

/// How long a lease lasts if nothing renews it.
pub const LEASE_TTL: Duration = Duration::from_secs(10);
/// How old a lease gets before its owner renews it.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(3);

/// The replica that owns the store now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub replica: String,
    /// Its epoch: each change of owners adds one.
    pub epoch: u64,
    /// The number of the newest commit, or of a look at whether one was written: there may be something new when it
    /// changes.
    pub commit: u64,
    /// For how long it owns the store if it does not renew the lease, by the clock of the store.
    pub expires_in: Duration,
}

/// The lease of an active replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The number of this ownership. A later owner of the store has a higher one.
    pub epoch: u64,
    /// Until when this replica certainly owns the store, counted from before the statement that renewed the lease last
    /// was sent.
    pub end: LeaseEnd,
}

impl Lease {
    /// For how long this replica still owns the store. Zero: it may have lost it.
    pub fn left(&self) -> Duration {
        self.end.left()
    }
}

/// When a lease ends, by a clock that goes on while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseEnd(Moment);

impl LeaseEnd {
    /// One that ends so long after a moment.
    pub(crate) fn after(moment: Moment, span: Duration) -> Self {
        Self(moment.plus(span))
    }

    /// One that ends so long after now.
    pub fn in_time(span: Duration) -> Self {
        Self::after(Moment::now(), span)
    }

    /// One that is over.
    pub(crate) const OVER: Self = Self(Moment::BEGIN);

    /// How far away it is now; zero when it is over.
    pub fn left(&self) -> Duration {
        self.0.since(Moment::now())
    }
}
