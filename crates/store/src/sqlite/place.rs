//! Where a store may lie, and who owns it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::SqliteError;
use super::disk::folder_of;

/// The mode of files that only podbell's user may read and write.
const PRIVATE: u32 = 0o600;

/// The locks that make a process the owner of a store, held for life. The operating system releases them when the
/// process ends, however it ends.
///
/// The store's file itself is locked: it has one inode, whatever links lead to it and whichever of its companions were
/// deleted. SQLite locks the same file by `fcntl`, which is independent of `flock`. But SQLite loses its own locks when
/// this process closes any descriptor of that file, so an owner keeps this descriptor open longer than any connection.
#[derive(Debug)]
pub struct Ownership {
    /// The store's path without links.
    store: PathBuf,
    file: File,
    /// `podbell.db.lock`: keeps others away while the store's file is gone and is written again.
    _named: File,
}

impl Ownership {
    /// Tries to become the owner. Creates an empty file if there is none.
    ///
    /// # Errors
    /// [`SqliteError::Locked`] when another process is the owner, others when the files cannot be locked.
    pub fn take(store: &Path) -> Result<Self, SqliteError> {
        check_place(store)?;
        check_file_system(store)?;
        loop {
            let path = real(store);
            let named = beside(&path, "lock");
            let named = lock(private(&named).map_err(|source| SqliteError::io(store, &named, source))?, store)?;
            // Only now: an owner whose file is gone would find this one in its place.
            let file = private(store).map_err(|source| SqliteError::io(store, store, source))?;
            if real(store) != path {
                continue;
            }
            let file = lock(file, store)?;
            // Another file may have taken the name meanwhile.
            if inode(store) == file.metadata().ok().as_ref().map(inode_of) {
                return Ok(Self { store: path, file, _named: named });
            }
        }
    }

    /// Retries for up to `patience`: in a rolling update the old process needs a moment to end.
    ///
    /// # Errors
    /// Like [`Ownership::take`].
    pub fn wait(store: &Path, patience: Duration) -> Result<Self, SqliteError> {
        const PAUSE: Duration = Duration::from_millis(200);
        let mut told = false;
        let mut waited = Duration::ZERO;
        loop {
            match Self::take(store) {
                Err(SqliteError::Locked { path, .. }) if waited >= patience => {
                    return Err(SqliteError::Locked { path, waited_seconds: patience.as_secs() });
                }
                Err(SqliteError::Locked { .. }) => {
                    if !told {
                        tracing::info!(store = %store.display(), wait_s = patience.as_secs(), "another podbell owns the store; waiting for it to end");
                        told = true;
                    }
                    std::thread::sleep(PAUSE);
                    waited += PAUSE;
                }
                other => return other,
            }
        }
    }

    /// The store's path without links.
    pub(super) fn store(&self) -> &Path {
        &self.store
    }

    /// Replaces the store by another file, and owns that. A process that has the old file open continues to read that
    /// one.
    pub(super) fn put_in_place(&mut self, fresh: &Path) -> Result<(), SqliteError> {
        let io = |source| SqliteError::io(&self.store, fresh, source);
        let file = lock(private(fresh).map_err(io)?, &self.store)?;
        file.sync_all().map_err(io)?;
        std::fs::rename(fresh, &self.store).map_err(io)?;
        sync_folder(&self.store);
        self.file = file;
        Ok(())
    }
}

fn lock(file: File, store: &Path) -> Result<File, SqliteError> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SqliteError::Locked { path: store.to_owned(), waited_seconds: 0 }),
        Err(TryLockError::Error(source)) => Err(SqliteError::io(store, store, source)),
    }
}

/// Opens a file that only this user may read, whatever the umask. Creates it if it does not exist.
pub(super) fn private(path: &Path) -> std::io::Result<File> {
    let new = OpenOptions::new().create_new(true).read(true).write(true).mode(PRIVATE).open(path);
    match new {
        Ok(file) => {
            // The umask may remove even the owner's rights.
            file.set_permissions(std::fs::Permissions::from_mode(PRIVATE))?;
            Ok(file)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // This creates the file that a dangling link leads to.
            OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(PRIVATE).open(path)
        }
        Err(error) => Err(error),
    }
}

/// Restricts a file that SQLite created, which uses the umask.
pub(super) fn make_private(path: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(PRIVATE))
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a new name survive a loss of power.
pub(super) fn sync_folder(store: &Path) {
    // Not every file system supports this, and there is no other way.
    let _ = File::open(folder_of(store)).and_then(|folder| folder.sync_all());
}

/// Device and inode of the file at a path; `None` if there is none.
pub(super) fn inode(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().as_ref().map(inode_of)
}

pub(super) fn inode_of(meta: &std::fs::Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// Whether a process owns a store now. Creates no file. Takes the locks as shared ones for a moment, which a podbell
/// that starts just then waits out. Call this before this process opens the store: closing a descriptor of the file
/// drops SQLite's locks.
pub fn is_owned(store: &Path) -> bool {
    if check_place(store).is_err() {
        return false;
    }
    let locked = |path: &Path| {
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    };
    locked(&beside(&real(store), "lock")) || locked(store)
}

/// `podbell.db` -> `podbell.db.lock`.
pub(super) fn beside(store: &Path, suffix: &str) -> PathBuf {
    named(store, &format!(".{suffix}"))
}

/// A companion file of SQLite: `podbell.db` -> `podbell.db-wal`.
pub(super) fn companion(store: &Path, suffix: &str) -> PathBuf {
    named(store, &format!("-{suffix}"))
}

fn named(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The store's path without links, as SQLite sees it.
pub(super) fn real(store: &Path) -> PathBuf {
    store.canonicalize().unwrap_or_else(|_| store.to_owned())
}

/// Refuses paths that cannot hold a store.
pub(super) fn check_place(store: &Path) -> Result<(), SqliteError> {
    let folder = folder_of(store);
    let kind = std::fs::metadata(store).map(|meta| meta.file_type()).ok();
    let is = |what: &str| format!("it is {what}: name a file, such as podbell.db");
    let what = match kind {
        Some(kind) if kind.is_file() => return Ok(()),
        Some(kind) if kind.is_dir() => "it is a directory: name a file in it, such as podbell.db".to_owned(),
        Some(kind) if kind.is_fifo() => is("a FIFO (a named pipe)"),
        Some(kind) if kind.is_socket() => is("a socket"),
        Some(kind) if kind.is_char_device() || kind.is_block_device() => is("a device"),
        Some(_) => is("no file"),
        None if folder.is_dir() => return Ok(()),
        None if folder.exists() => {
            format!("{} is a file and no folder: correct `store:`", folder.display())
        }
        None => format!("there is no folder {}: make it, or correct `store:`", folder.display()),
    };
    Err(SqliteError::Place { path: store.to_owned(), what })
}

/// Refuses network file systems.
pub(super) fn check_file_system(store: &Path) -> Result<(), SqliteError> {
    let folder = folder_of(store);
    let at = if store.exists() { store } else { folder };
    let stat =
        rustix::fs::statfs(at).map_err(|source| SqliteError::Io { path: folder.to_owned(), source: source.into() })?;
    // The type's width differs between architectures; the magic numbers have 32 bits.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
    match network_kind(stat.f_type as u32) {
        Some(kind) => Err(SqliteError::Network { path: store.to_owned(), kind }),
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
