//! What a replica knows of the lease that it holds.

use super::LEASE;
use crate::Lease;
use crate::lease::LeaseEnd;
use crate::moment::Moment;

/// Renews a replica's lease, if it has not ended: `$1` the epoch, `$2` the length of a lease, `$3` the replica.
pub(super) const RENEW: &str = "UPDATE podbell.lease SET expires_at = clock_timestamp() + $2 * interval '1 millisecond'
    WHERE epoch = $1 AND holder = $3 AND expires_at > clock_timestamp() RETURNING 1";

/// The length of a lease, as statements take it.
#[allow(clippy::cast_possible_truncation)]
pub(super) const LEASE_MS: i64 = LEASE.as_millis() as i64;

/// What of the lease this process knows.
#[derive(Debug)]
pub(super) struct HeldLease {
    pub epoch: u64,
    /// The name of this process among the replicas. After a failover to a server that lacks a takeover, two may have
    /// the same epoch.
    pub replica: String,
    /// The number of the last commit that is known to be written.
    pub commit: i64,
    /// When the statement was sent that renewed it last; `None`: it is lost, or was given up.
    pub renewed: Option<Moment>,
}

impl HeldLease {
    /// The lease, if it was also renewed at this moment.
    pub(super) fn lease(&self, kept: Option<Moment>) -> Lease {
        let renewed = self.renewed.map(|renewed| kept.unwrap_or(renewed));
        Lease { epoch: self.epoch, end: renewed.map_or(LeaseEnd::OVER, |renewed| LeaseEnd::after(renewed, LEASE)) }
    }
}
