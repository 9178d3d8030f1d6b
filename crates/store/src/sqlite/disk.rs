//! What the file system of a store has left.

use std::path::Path;

pub(super) fn folder_of(store: &Path) -> &Path {
    store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What the file system has run out of, if anything.
pub(super) fn exhausted(store: &Path) -> Option<&'static str> {
    /// Less than a page, a log and its index need.
    const LITTLE: u64 = 128 * 1024;
    let stat = rustix::fs::statvfs(folder_of(store)).ok()?;
    // Some file systems do not count files and report 0 of them.
    match () {
        () if stat.f_bavail.saturating_mul(stat.f_frsize) < LITTLE => Some("no space"),
        () if stat.f_files > 0 && stat.f_favail == 0 => Some("no free inodes, so no place for another file: see df -i"),
        () => None,
    }
}
