//! Remembers results by text: which literals a text contains, and which expressions without a literal it fits.
//!
//! Such expressions have to be tried one by one. Texts of events repeat: an event that happens again has the same text,
//! and the pods of a workload have the same texts. Bounded in bytes; when it is full, it is emptied. The text itself is
//! the key, so that no two texts are ever mixed up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

/// The most bytes of texts and items that are kept.
const ROOM: usize = 8 << 20;
/// How many hashes of texts that were seen once are kept.
const ONCE: usize = 4096;

/// The results that are remembered, see the module.
#[derive(Debug, Default)]
pub(super) struct Memo {
    known: Mutex<MemoTable>,
}

#[derive(Debug, Default)]
struct MemoTable {
    /// By the text's hash; the text itself is compared, too.
    items: HashMap<u64, Remembered, AsIs>,
    bytes: usize,
    /// Hashes of texts that were recently seen once. The hash decides the place.
    once: Vec<u64>,
}

#[derive(Debug)]
struct Remembered {
    text: Box<str>,
    items: Box<[u32]>,
}

impl Memo {
    /// Adds the items of a text, which are found out if they are not known.
    pub(super) fn recall(&self, text: &str, found: &mut Vec<u32>, find_out: impl FnOnce(&mut Vec<u32>)) {
        self.look_up(text, found, find_out, |_, _| true);
    }

    /// The same if finding out is cheap: remembering a text that never comes again would cost more, so it is remembered
    /// when it comes the second time.
    pub(super) fn recall_repeated(&self, text: &str, found: &mut Vec<u32>, find_out: impl FnOnce(&mut Vec<u32>)) {
        self.look_up(text, found, find_out, |known, hash| {
            known.once.resize(ONCE, 0);
            let place = usize::try_from(hash).unwrap_or(usize::MAX) % ONCE;
            std::mem::replace(&mut known.once[place], hash) == hash
        });
    }

    fn look_up(
        &self,
        text: &str,
        found: &mut Vec<u32>,
        find_out: impl FnOnce(&mut Vec<u32>),
        worth: impl FnOnce(&mut MemoTable, u64) -> bool,
    ) {
        // The map is valid even if a thread panicked while it held the lock.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = xxh3_64(text.as_bytes());
        match known.items.get(&hash) {
            Some(known) if *known.text == *text => return found.extend_from_slice(&known.items),
            // Two texts have the same hash: find out about the second one each time.
            Some(_) => return find_out(found),
            None => {}
        }
        let from = found.len();
        find_out(found);
        if worth(&mut known, hash) {
            known.keep(hash, text, &found[from..]);
        }
    }
}

impl MemoTable {
    fn keep(&mut self, hash: u64, text: &str, items: &[u32]) {
        let bytes = text.len() + size_of_val(items) + 4 * size_of::<Box<str>>();
        if self.bytes + bytes > ROOM {
            *self = Self::default();
        }
        if bytes <= ROOM {
            self.bytes += bytes;
            self.items.insert(hash, Remembered { text: text.into(), items: items.into() });
        }
    }
}

/// For keys that are hashes already.
pub(super) type AsIs = BuildHasherDefault<Unchanged>;

/// Hashes a number to itself.
#[derive(Default)]
pub(super) struct Unchanged(u64);

impl Hasher for Unchanged {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cheap_to_find_out_is_remembered_the_second_time() {
        let memo = Memo::default();
        let mut asked = 0;
        for text in ["a", "b", "a", "a", "a", "c", "b", "b"] {
            memo.recall_repeated(text, &mut Vec::new(), |_| asked += 1);
        }
        assert_eq!(asked, 5);
    }

    #[test]
    fn what_was_found_out_is_not_asked_again_until_it_is_full() {
        let memo = Memo::default();
        let mut asked = 0;
        let mut ask = |text: &str| {
            let mut found = vec![7];
            memo.recall(text, &mut found, |found| {
                asked += 1;
                found.extend([1, 2]);
            });
            assert_eq!(found, [7, 1, 2]);
        };
        ask("a text");
        ask("a text");
        ask("another");
        for i in 0..10 {
            ask(&format!("{i}{}", "x".repeat(ROOM / 8)));
        }
        ask("a text");
        assert_eq!(asked, 13);
        assert!(memo.known.lock().unwrap().bytes <= ROOM);
    }
}
