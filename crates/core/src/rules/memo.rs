//! What a text was found to say before: which literals it has, which expressions without a literal
//! it fits.
//!
//! Such expressions have to be tried one by one. Texts of events repeat: an event that happens again
//! says the same, and the pods of a workload say what the others say. Bounded in bytes; when it is
//! full it begins anew. The text itself is the key, so that no two texts are ever mixed up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use super::index::AsIs;

/// The most bytes of texts and items that are kept.
const ROOM: usize = 8 << 20;
/// How many hashes of texts that came once are kept.
const ONCE: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Memo {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// By the text's hash; the text itself says whether it is the one.
    items: HashMap<u64, Remembered, AsIs>,
    bytes: usize,
    /// Hashes of texts that came once lately, each at its place.
    once: Vec<u64>,
}

#[derive(Debug)]
struct Remembered {
    text: Box<str>,
    items: Box<[u32]>,
}

impl Memo {
    /// Adds the items of a text, found out if they are not known.
    pub(super) fn recall(&self, text: &str, found: &mut Vec<u32>, find_out: impl FnOnce(&mut Vec<u32>)) {
        self.look_up(text, found, find_out, |_, _| true);
    }

    /// The same where finding out is cheap: to remember a text that never comes again would cost
    /// more, so that it is remembered the second time.
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
        worth: impl FnOnce(&mut Known, u64) -> bool,
    ) {
        // A thread that panicked while it held the lock left a map that is fine as it is.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = xxh3_64(text.as_bytes());
        match known.items.get(&hash) {
            Some(known) if *known.text == *text => return found.extend_from_slice(&known.items),
            // Two texts of one hash: the second is found out each time.
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

impl Known {
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
