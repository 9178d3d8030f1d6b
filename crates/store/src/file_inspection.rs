//! What `podbell doctor` is told of a store in a file: facts, which it judges, and faults in words.

use std::path::PathBuf;

use podbell_core::time::Time;

/// What is wrong with a store or its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was found, in words.
    pub found: String,
    /// What to do.
    pub advice: String,
}

/// What an inspection found.
#[derive(Debug)]
pub struct FileInspection {
    /// The folder in which it lies.
    pub folder: PathBuf,
    /// Whether a store can be in this place: the folder is there and local.
    pub place: Result<(), Fault>,
    /// Whether this user may write the folder and, if it is there, the file.
    pub writable: Result<(), Fault>,
    /// Free space for this user, in bytes, if the system says.
    pub free: Option<u64>,
    /// Whether a podbell owns it at the moment.
    pub owned: bool,
    /// The file itself; `None`: it is not there yet.
    pub file: Option<Result<FileInfo, Fault>>,
}

/// What is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// The version of its format.
    pub version: i64,
    /// The version that this program writes.
    pub known: i64,
    /// Its length in bytes, with that of its write-ahead log.
    pub bytes: u64,
    /// When a podbell that runs on it was last alive.
    pub heartbeat: Option<Time>,
    /// How many commits it has lost.
    pub behind: u64,
    /// Whether every page was checked; false if time ran out.
    pub all_looked_at: bool,
}
