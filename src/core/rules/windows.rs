//! Many literals looked for in one text at once.
//!
//! Each literal is known by one window of four bytes, the one that the fewest others have. A text
//! is read window by window; a bit table that stays in the fastest cache says for nearly all of
//! them that no literal has it. Measured on messages of 220 bytes and 10,000 literals, an automaton
//! takes about twice as long and far longer to build. Case of ASCII letters is ignored.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

const WINDOW: usize = 4;

/// A set of literals, known by their place in the list.
#[derive(Debug)]
pub struct Windows {
    literals: Vec<String>,
    /// One bit for each hash of a window that is there.
    bits: Vec<u64>,
    /// Windows by hash: where those of each bucket begin in `entries`.
    starts: Vec<u32>,
    entries: Vec<Entry>,
    /// How far a hash is shifted to become a bit or a bucket.
    bit_shift: u32,
    bucket_shift: u32,
    /// Literals that are shorter than a window.
    short: Option<(AhoCorasick, Vec<u32>)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    window: u32,
    literal: u32,
    /// Where in the literal the window is.
    offset: u32,
}

impl Windows {
    /// Over these literals; fails if there are more short ones than can be numbered.
    pub fn new(literals: Vec<String>) -> Result<Self, BuildError> {
        let short = (0..).zip(&literals).filter(|(_, literal)| literal.len() < WINDOW);
        let (places, texts): (Vec<u32>, Vec<&String>) = short.unzip();
        let short = match texts.is_empty() {
            true => None,
            false => Some((
                AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(texts)?,
                places,
            )),
        };
        let entries = choose(&literals);
        let (bit_shift, bucket_shift) = (shift(entries.len() * 32), shift(entries.len() * 2));
        let mut windows =
            Self { literals, bits: Vec::new(), starts: Vec::new(), entries, bit_shift, bucket_shift, short };
        windows.fill();
        Ok(windows)
    }

    fn fill(&mut self) {
        self.bits = vec![0; ((1_usize << (32 - self.bit_shift)) / 64).max(1)];
        self.starts = vec![0; (1 << (32 - self.bucket_shift)) + 1];
        self.entries.sort_by_key(|entry| hash(entry.window));
        for entry in &self.entries {
            let bit = hash(entry.window) >> self.bit_shift;
            self.bits[bit as usize / 64] |= 1 << (bit % 64);
            self.starts[(hash(entry.window) >> self.bucket_shift) as usize + 1] += 1;
        }
        for bucket in 1..self.starts.len() {
            self.starts[bucket] += self.starts[bucket - 1];
        }
    }

    /// Calls `found` with every literal that occurs, perhaps several times.
    pub fn find(&self, text: &str, mut found: impl FnMut(usize)) {
        if let Some((automaton, places)) = &self.short {
            automaton.find_overlapping_iter(text).for_each(|hit| found(places[hit.pattern().as_usize()] as usize));
        }
        for (at, window) in text.as_bytes().array_windows().enumerate() {
            let window = folded(*window);
            let bit = hash(window) >> self.bit_shift;
            if self.bits[bit as usize / 64] >> (bit % 64) & 1 != 0 {
                self.confirm(text.as_bytes(), at, window, &mut found);
            }
        }
    }

    /// Some literal's window may be at this place: is the literal there?
    fn confirm(&self, text: &[u8], at: usize, window: u32, found: &mut impl FnMut(usize)) {
        let bucket = (hash(window) >> self.bucket_shift) as usize;
        let range = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
        for entry in self.entries[range].iter().filter(|entry| entry.window == window) {
            let literal = self.literals[entry.literal as usize].as_bytes();
            let there = at.checked_sub(entry.offset as usize).and_then(|start| text.get(start..start + literal.len()));
            if there.is_some_and(|there| there.eq_ignore_ascii_case(literal)) {
                found(entry.literal as usize);
            }
        }
    }
}

/// The rarest window of each literal.
fn choose(literals: &[String]) -> Vec<Entry> {
    let mut counts: HashMap<u32, u32> = HashMap::new();
    let windows = |literal: &str| (0..).zip(literal.as_bytes().array_windows().map(|window| folded(*window))).collect();
    let all: Vec<Vec<(u32, u32)>> = literals.iter().map(|literal| windows(literal)).collect();
    for (_, window) in all.iter().flatten() {
        *counts.entry(*window).or_default() += 1;
    }
    let rarest = |windows: &Vec<(u32, u32)>| windows.iter().min_by_key(|(_, window)| counts.get(window)).copied();
    let chosen = (0..).zip(&all).filter_map(|(literal, windows)| Some((literal, rarest(windows)?)));
    chosen.map(|(literal, (offset, window))| Entry { window, literal, offset }).collect()
}

/// Upper and lower case alike; a few other characters too, which [`Windows::confirm`] tells apart.
fn folded(window: [u8; WINDOW]) -> u32 {
    u32::from_le_bytes(window) | 0x2020_2020
}

fn hash(window: u32) -> u32 {
    window.wrapping_mul(0x9E37_79B1)
}

/// The shift that leaves a hash with room for this many values, within reason.
fn shift(room: usize) -> u32 {
    32 - room.max(64).next_power_of_two().trailing_zeros().min(24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found_where_they_are() {
        let literals = ["image", "ag", "back-off", "失败", "e", "pull image x", "imagination"].map(str::to_owned);
        let windows = Windows::new(literals.to_vec()).unwrap();
        let find = |text: &str| {
            let mut found = Vec::new();
            windows.find(text, |literal| found.push(literal));
            found.sort_unstable();
            found.dedup();
            found
        };
        assert_eq!(find("Pull Image"), [0, 1, 4]);
        assert_eq!(find("pull image x失败"), [0, 1, 3, 4, 5]);
        assert_eq!(find("BACK-OFF"), [2]);
        assert_eq!(find(""), [0; 0]);
        assert_eq!(find("imaginatio"), [1]);
    }
}
