//! The stamp beside a store: the number of its newest commit. A store that is behind its stamp has lost commits. SQLite
//! itself does not notice that: a log that ends early is no error to it.
//!
//! Written after each commit, never before: it may lag by one after a crash, and is never ahead. It is not synchronized
//! to disk, so a loss of power may make it lag, too.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::place;
use podbell_core::time::Time;

const MARK: &str = "podbell-stamp 1";
/// The longest description of damage that is kept.
const MAX_WHY: usize = 300;

/// How far a store had got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The store's name.
    pub uuid: String,
    /// The number of its newest commit.
    pub commit: u64,
    /// When it was committed.
    pub at: Time,
    /// Damage that was found while the store was in use.
    pub wrong: Option<DamageRecord>,
}

/// Damage that was found in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DamageRecord {
    pub why: String,
    /// The newest commit that could be read then; less than the stamp's if commits were lost, too.
    pub commit: Option<u64>,
}

impl Stamp {
    /// The stamp of a store; `None` if it is missing or damaged.
    pub(super) fn read(store: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path(store)).ok()?;
        let stamp = Self::parse(&text);
        if stamp.is_none() && !text.is_empty() {
            tracing::warn!(stamp = %path(store).display(), "the store's stamp is damaged: lost commits would not be noticed at this start");
        }
        stamp
    }

    fn parse(text: &str) -> Option<Self> {
        let (line, rest) = text.split_once('\n')?;
        let (content, sum) = line.rsplit_once(' ')?;
        if u64::from_str_radix(sum, 16).ok()? != xxh3_64(content.as_bytes()) {
            return None;
        }
        let mut words = content.strip_prefix(MARK)?.split_whitespace();
        let (uuid, commit, at) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let wrong = rest.strip_prefix("damaged at ").and_then(|rest| rest.split_once(": "));
        let wrong = wrong.map(|(at, why)| DamageRecord { why: why.trim_end().to_owned(), commit: at.parse().ok() });
        Some(Self { uuid: uuid.to_owned(), commit, at: Time::from_millis(at), wrong })
    }

    /// All stamps have the same length, so that one overwrites another.
    fn line(uuid: &str, commit: u64, at: Time) -> String {
        let content = format!("{MARK} {uuid:>16} {commit:020} {:020}", at.millis());
        let sum = xxh3_64(content.as_bytes());
        format!("{content} {sum:016x}\n")
    }
}

/// Where the stamp of a store lies.
pub(super) fn path(store: &Path) -> PathBuf {
    place::beside(store, "stamp")
}

/// Records that a store is damaged, so that the next start repairs it before it is used.
pub(super) fn mark(store: &Path, why: &str, commit: Option<u64>) -> std::io::Result<()> {
    let file = place::private(&path(store))?;
    let why: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WHY).collect();
    let line = Stamp::read(store).map_or_else(
        || Stamp::line("unknown", 0, Time::default()),
        |stamp| Stamp::line(&stamp.uuid, stamp.commit, stamp.at),
    );
    let at = commit.map_or_else(|| "unknown".to_owned(), |commit| commit.to_string());
    let content = format!("{line}damaged at {at}: {why}\n");
    file.write_all_at(content.as_bytes(), 0)?;
    // An earlier reason may have been longer.
    file.set_len(content.len() as u64)?;
    file.sync_all()
}

/// Writes stamps.
#[derive(Debug)]
pub(super) struct Stamps {
    path: PathBuf,
    file: Option<File>,
    failing: bool,
}

impl Stamps {
    pub(crate) fn of(store: &Path) -> Self {
        Self { path: path(store), file: None, failing: false }
    }

    /// Stamps a commit.
    pub(crate) fn write(&mut self, uuid: &str, commit: u64, at: Time) {
        let written = self.open().and_then(|file| file.write_all_at(Stamp::line(uuid, commit, at).as_bytes(), 0));
        if let Err(error) = &written
            && !self.failing
        {
            tracing::warn!(stamp = %self.path.display(), %error, "the store's stamp cannot be written: lost commits would not be noticed");
        }
        self.failing = written.is_err();
        if self.failing {
            self.file = None;
        }
    }

    fn open(&mut self) -> std::io::Result<&File> {
        // Somebody may have deleted it.
        let there = self.file.take().filter(|file| file.metadata().is_ok_and(|meta| meta.nlink() > 0));
        let file = match there {
            Some(file) => file,
            None => {
                let file = place::private(&self.path)?;
                // Drop recorded damage: this start has repaired it.
                file.set_len(Stamp::line("", 0, Time::default()).len() as u64)?;
                file
            }
        };
        Ok(self.file.insert(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_with_any_damaged_byte_is_not_believed() {
        let line = Stamp::line("00f1", 42, Time::from_millis(7));
        assert_eq!(Stamp::parse(&line).map(|stamp| (stamp.uuid, stamp.commit)), Some(("00f1".to_owned(), 42)));
        let later = Stamp::line("0123456789abcdef", u64::MAX, Time::from_millis(i64::MAX));
        assert_eq!(line.len(), later.len());
        for at in 0..line.len() {
            let mut damaged = line.clone().into_bytes();
            damaged[at] ^= 1;
            assert_eq!(Stamp::parse(&String::from_utf8_lossy(&damaged)), None, "byte {at}");
        }
    }
}
