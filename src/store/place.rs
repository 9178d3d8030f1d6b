//! Where a store may lie, and who owns it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::StoreError;

/// The lock that makes a process the owner of a store, held for life. The operating system lets go
/// of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Ownership {
    _file: File,
}

impl Ownership {
    /// Tries to become the owner.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when somebody else is, others when the lock file cannot be made.
    pub fn take(store: &Path) -> Result<Self, StoreError> {
        check_place(store)?;
        let path = beside(store, "lock");
        let io = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                StoreError::ReadOnly { path: store.to_owned(), why: source.to_string() }
            }
            _ => StoreError::Io { path: path.clone(), source },
        };
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: store.to_owned(), waited_seconds: 0 }),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// Tries until `patience` is over: in a rolling update the old process needs a moment to end.
    ///
    /// # Errors
    /// Like [`Ownership::take`].
    pub fn wait(store: &Path, patience: Duration) -> Result<Self, StoreError> {
        const PAUSE: Duration = Duration::from_millis(200);
        let start = crate::clock::monotonic();
        let mut told = false;
        loop {
            match Self::take(store) {
                Err(StoreError::Locked { path, .. }) if start.elapsed() >= patience => {
                    return Err(StoreError::Locked { path, waited_seconds: patience.as_secs() });
                }
                Err(StoreError::Locked { .. }) => {
                    if !told {
                        tracing::info!(store = %store.display(), wait_s = patience.as_secs(), "another podbell owns the store; waiting for it to end");
                        told = true;
                    }
                    std::thread::sleep(PAUSE);
                }
                other => return other,
            }
        }
    }
}

/// Whether somebody owns a store now. Makes no file; the lock is shared for a moment, which a podbell that starts then
/// waits out.
pub fn is_owned(store: &Path) -> bool {
    let lock = File::open(beside(store, "lock"));
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// `podbell.db` -> `podbell.db.lock`.
pub(super) fn beside(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// Refuses paths where no file can be.
pub(super) fn check_place(store: &Path) -> Result<(), StoreError> {
    let folder = folder_of(store);
    let what = match () {
        () if store.is_dir() => "it is a directory: name a file in it, such as podbell.db".to_owned(),
        () if !folder.exists() => format!("there is no folder {}: make it, or correct `store:`", folder.display()),
        () => return Ok(()),
    };
    Err(StoreError::Place { path: store.to_owned(), what })
}

pub(super) fn folder_of(store: &Path) -> &Path {
    store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses network file systems.
pub(super) fn check_file_system(store: &Path) -> Result<(), StoreError> {
    let folder = folder_of(store);
    let at = if store.exists() { store } else { folder };
    let stat =
        rustix::fs::statfs(at).map_err(|source| StoreError::Io { path: folder.to_owned(), source: source.into() })?;
    // The type's width differs between architectures; the magic numbers have 32 bits.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
    match network_kind(stat.f_type as u32) {
        Some(kind) => Err(StoreError::Network { path: store.to_owned(), kind }),
        None => Ok(()),
    }
}

/// The network file systems of `statfs(2)`.
pub(super) fn network_kind(magic: u32) -> Option<&'static str> {
    match magic {
        0x6969 => Some("NFS"),
        0xFF53_4D42 => Some("CIFS"),
        0xFE53_4D42 => Some("SMB"),
        0x517B => Some("SMB"),
        0x00C3_6400 => Some("Ceph"),
        0x0BD0_0BD0 => Some("Lustre"),
        0x5346_414F => Some("AFS"),
        0x0102_1997 => Some("9p"),
        0x4750_4653 => Some("GPFS"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_numbers_and_a_local_folder_is_none() {
        assert_eq!(network_kind(0x6969), Some("NFS"));
        assert_eq!(network_kind(0xEF53), None);
        let folder = tempfile::tempdir().unwrap();
        assert!(check_file_system(&folder.path().join("podbell.db")).is_ok());
    }
}
