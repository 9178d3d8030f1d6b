//! What a backup of a store is, whatever the adapter.

use podbell_core::time::Time;

/// What to do with a file that already has the name of the backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Keep it, and fail.
    Keep,
    /// Replace it by the backup, once that is verified.
    Replace,
}

/// A backup that was written and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its size in bytes.
    pub bytes: u64,
    /// The number of the last commit in it.
    pub commit: u64,
    /// When podbell last wrote its heartbeat into the store, as far as the backup shows; it does so every 10 s.
    pub last_alive: Option<Time>,
}
