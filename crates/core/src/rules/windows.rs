//! Many literals looked for in one text at once.
//!
//! A text is read at every other byte. A small bit table shows for nearly every four bytes there that no literal
//! contains them. Each literal is known by two windows of four bytes, one at an even and one at an odd place, so that
//! one of them is met wherever the literal begins; of the possible windows, the one that the fewest other literals
//! have. Longer strides read faster but lose the ends of literals, which is where generated ones differ (`team-17:`).
//! Literals that are too short go through an automaton, which reads every byte. Case of ASCII letters is ignored.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

const WINDOW: usize = 4;
/// Literals from this length on have a window for every remainder.
const LONG: usize = WINDOW + STRIDE - 1;
/// The distance in bytes between two places where a text is looked at.
const STRIDE: usize = 2;
/// How many places are looked up at once, and the bytes that takes.
const PLACES: usize = 8;
const BLOCK: usize = (PLACES - 1) * STRIDE + WINDOW;
/// Bits of the table per window: so many that false hits are rare.
const BITS: usize = 64;

/// A set of literals, known by their place in the list.
#[derive(Debug)]
pub struct Windows {
    literals: Vec<String>,
    /// One bit for each hash of a window that is there.
    bits: Vec<u32>,
    /// Windows by hash: where those of each bucket begin in `entries`.
    starts: Vec<u32>,
    entries: Vec<Entry>,
    /// How far a hash is shifted to become a bit or a bucket.
    bit_shift: u32,
    bucket_shift: u32,
    /// Literals that are shorter than [`LONG`].
    short: Option<(AhoCorasick, Vec<u32>)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    window: u32,
    literal: u32,
    /// Where in the literal the window is.
    offset: u32,
    /// The up to four bytes that follow the window in the literal, and which bits of them count. Generated literals
    /// differ at their end: this tells them apart without reading them.
    next: u32,
    next_mask: u32,
}

impl Entry {
    fn of(text: &[u8], literal: u32, offset: u32, window: [u8; WINDOW]) -> Self {
        let (next, next_mask) = after(text, offset as usize + WINDOW);
        Self { window: folded(window), literal, offset, next, next_mask }
    }
}

/// The four bytes from a place on, folded, and which bits of them are there.
fn after(text: &[u8], from: usize) -> (u32, u32) {
    let rest = text.get(from..).unwrap_or_default();
    match rest.first_chunk() {
        Some(four) => (folded(*four), u32::MAX),
        None => {
            let mut four = [0; WINDOW];
            four[..rest.len()].copy_from_slice(rest);
            let mask = (1_u32 << (8 * rest.len())) - 1;
            (folded(four) & mask, mask)
        }
    }
}

impl Windows {
    /// Over these literals; fails if there are more short ones than can be numbered.
    pub fn new(literals: Vec<String>) -> Result<Self, BuildError> {
        let short = (0..).zip(&literals).filter(|(_, literal)| literal.len() < LONG);
        let (places, texts): (Vec<u32>, Vec<&String>) = short.unzip();
        let short = match texts.is_empty() {
            true => None,
            false => Some((
                AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(texts)?,
                places,
            )),
        };
        let entries = choose(&literals);
        let (bit_shift, bucket_shift) = (shift(entries.len() * BITS), shift(entries.len() * 2));
        let mut windows =
            Self { literals, bits: Vec::new(), starts: Vec::new(), entries, bit_shift, bucket_shift, short };
        windows.fill();
        Ok(windows)
    }

    fn fill(&mut self) {
        self.bits = vec![0; ((1_usize << (32 - self.bit_shift)) / 32).max(1)];
        self.starts = vec![0; (1 << (32 - self.bucket_shift)) + 1];
        self.entries.sort_by_key(|entry| hash(entry.window));
        for entry in &self.entries {
            let bit = hash(entry.window) >> self.bit_shift;
            self.bits[bit as usize / 32] |= 1 << (bit % 32);
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
        if self.entries.is_empty() {
            return;
        }
        let text = text.as_bytes();
        let mut from = 0;
        // Several places are looked up before the first answer is acted on: one unlikely branch for
        // all of them, and their reads of the table overlap.
        while let Some(block) = text.get(from..from + BLOCK).and_then(|block| <&[u8; BLOCK]>::try_from(block).ok()) {
            let mut hits = 0_u32;
            for place in 0..PLACES {
                let at = place * STRIDE;
                let window = folded([block[at], block[at + 1], block[at + 2], block[at + 3]]);
                hits |= self.bit(window) << place;
            }
            while hits != 0 {
                let at = hits.trailing_zeros() as usize * STRIDE;
                let window = folded([block[at], block[at + 1], block[at + 2], block[at + 3]]);
                self.confirm(text, from + at, window, &mut found);
                hits &= hits - 1;
            }
            from += PLACES * STRIDE;
        }
        let rest = text.get(from..).unwrap_or_default();
        for (at, window) in rest.array_windows().enumerate().step_by(STRIDE) {
            let window = folded(*window);
            if self.bit(window) != 0 {
                self.confirm(text, from + at, window, &mut found);
            }
        }
    }

    /// 1 if some literal may have this window.
    fn bit(&self, window: u32) -> u32 {
        let bit = hash(window) >> self.bit_shift;
        (self.bits[bit as usize / 32] >> (bit % 32)) & 1
    }

    /// Checks whether the literal is there, as some literal's window may be at this place.
    fn confirm(&self, text: &[u8], at: usize, window: u32, found: &mut impl FnMut(usize)) {
        let bucket = (hash(window) >> self.bucket_shift) as usize;
        let range = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
        let (next, _) = after(text, at + WINDOW);
        let likely = |entry: &&Entry| entry.window == window && next & entry.next_mask == entry.next;
        for entry in self.entries[range].iter().filter(likely) {
            let literal = self.literals[entry.literal as usize].as_bytes();
            let there = at.checked_sub(entry.offset as usize).and_then(|start| text.get(start..start + literal.len()));
            if there.is_some_and(|there| there.eq_ignore_ascii_case(literal)) {
                found(entry.literal as usize);
            }
        }
    }
}

/// For each long literal and each remainder the rarest window.
fn choose(literals: &[String]) -> Vec<Entry> {
    let windows = |literal: u32, text: &str| -> Vec<Entry> {
        let windows = (0..).zip(text.as_bytes().array_windows());
        windows.map(|(offset, window)| Entry::of(text.as_bytes(), literal, offset, *window)).collect()
    };
    let long = (0..).zip(literals).filter(|(_, text)| text.len() >= LONG);
    let all: Vec<Vec<Entry>> = long.map(|(literal, text)| windows(literal, text)).collect();
    let mut counts: HashMap<u32, u32> = HashMap::new();
    for entry in all.iter().flatten() {
        *counts.entry(entry.window).or_default() += 1;
    }
    let rarest = |entries: &[Entry], remainder: usize| {
        let eligible = entries.iter().skip(remainder).step_by(STRIDE);
        eligible.min_by_key(|entry| counts.get(&entry.window)).copied()
    };
    all.iter().flat_map(|entries| (0..STRIDE).filter_map(|remainder| rarest(entries, remainder))).collect()
}

/// Upper and lower case alike. It also equates a few other characters, which [`Windows::confirm`] tells apart.
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
    fn a_literal_is_found_wherever_it_begins() {
        let windows = Windows::new(vec!["Literal".to_lowercase(), "a literal that is long".to_owned()]).unwrap();
        for before in 0..9 {
            for after in 0..5 {
                let text = format!("{}a LITERAL that is long{}", "x".repeat(before), "y".repeat(after));
                let mut found = Vec::new();
                windows.find(&text, |literal| found.push(literal));
                found.sort_unstable();
                found.dedup();
                assert_eq!(found, [0, 1], "{text}");
            }
        }
    }

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
