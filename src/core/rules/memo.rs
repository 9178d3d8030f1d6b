//! What expressions without a literal said of a text before.
//!
//! Such expressions have to be tried one by one. Texts of events repeat: an event that happens again
//! says the same, and the pods of a workload say what the others say. Bounded in bytes; when it is
//! full it begins anew. The text itself is the key, so that no two texts are ever mixed up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The most bytes of texts and items that are kept.
const ROOM: usize = 8 << 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Memo {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    items: HashMap<Box<str>, Box<[u32]>>,
    bytes: usize,
}

impl Memo {
    /// Adds the items of a text, found out if they are not known.
    pub(super) fn recall(&self, text: &str, found: &mut Vec<u32>, find_out: impl FnOnce(&mut Vec<u32>)) {
        // A thread that panicked while it held the lock left a map that is fine as it is.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(items) = known.items.get(text) {
            found.extend_from_slice(items);
            return;
        }
        let from = found.len();
        find_out(found);
        let items: Box<[u32]> = found[from..].into();
        let bytes = text.len() + size_of_val(&*items) + 2 * size_of::<Box<str>>();
        if known.bytes + bytes > ROOM {
            *known = Known::default();
        }
        if bytes <= ROOM {
            known.bytes += bytes;
            known.items.insert(text.into(), items);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
