//! Which rules could match an event, without looking at each of them.
//!
//! Owns the way from an event's facts to candidates. A candidate may still not match; a rule that
//! is no candidate never does. Every rule is reached by one path, the one that the fewest other
//! rules share: all its exact keys together (one hash lookup), or the literals that one of its
//! keys requires (one search per field). Only a rule without either is looked at every time.

use std::collections::{HashMap, HashSet};

use aho_corasick::AhoCorasick;
use xxhash_rust::xxh3::xxh3_64;

use super::memo::{AsIs, Memo};
use crate::rule::condition::EventFields;
use crate::rule::pattern::Pattern;
use crate::rule::{Field, literals};

/// The keys that an item needs, all of them.
pub(crate) type Keys<'a> = Vec<&'a (Field, Vec<Pattern>)>;

/// Under how many combinations of exact values one item may be found.
const MAX_COMBINATIONS: usize = 64;
/// How many different sets of exact keys are looked up per event.
const MAX_SHAPES: usize = 32;
/// How many lookups may decide whether a text is read.
const MAX_GATE_SHAPES: usize = 4;
/// So few keys are faster to try than to look up.
const FEW_TRIED: usize = 2;
/// So few literals are faster to search than to look up.
const FEW_LITERALS: usize = 100;

/// The index over a list of items, known by their place in the list.
#[derive(Debug, Default)]
pub(crate) struct Index {
    shapes: Vec<Shape>,
    fields: Vec<FieldLiterals>,
    tried: Vec<Tried>,
    always: Vec<u32>,
}

/// Items that are reached by the exact values of these fields.
#[derive(Debug)]
struct Shape {
    fields: Vec<Field>,
    items: HashMap<u64, Vec<u32>, AsIs>,
}

/// The exact values without which none of the items behind it can fit: most events are about
/// something else, and their texts need not be read.
#[derive(Debug, Default)]
struct Gate {
    /// By their fields; with more than [`MAX_GATE_SHAPES`] the gate is always open.
    shapes: Vec<(Vec<Field>, HashSet<u64, AsIs>)>,
    open: bool,
}

impl Gate {
    fn admit(&mut self, exact: Option<&(Vec<Field>, Vec<u64>)>) {
        let Some((fields, hashes)) = exact else {
            self.open = true;
            return;
        };
        let at = self.shapes.iter().position(|(known, _)| known == fields).unwrap_or_else(|| {
            self.shapes.push((fields.clone(), HashSet::default()));
            self.shapes.len() - 1
        });
        self.shapes[at].1.extend(hashes);
        self.open |= self.shapes.len() > MAX_GATE_SHAPES;
    }

    fn lets_in(&self, facts: &EventFields<'_>) -> bool {
        let known = |(fields, hashes): &(Vec<Field>, HashSet<u64, AsIs>)| {
            hashes.contains(&combine(fields.iter().map(|field| facts.hash(*field))))
        };
        self.open || self.shapes.iter().any(known)
    }
}

/// Items without any path, by the field of a key that they have.
#[derive(Debug)]
struct Tried {
    field: Field,
    /// Items by their key, which is tried once for all of them.
    keys: Vec<(Vec<Pattern>, Vec<u32>)>,
    memo: Memo,
}

impl Tried {
    fn collect(&self, text: &str, found: &mut Vec<u32>) {
        let try_all = |found: &mut Vec<u32>| {
            for (patterns, items) in &self.keys {
                if patterns.iter().any(|pattern| pattern.matches(text)) {
                    found.extend_from_slice(items);
                }
            }
        };
        match self.keys.len() <= FEW_TRIED {
            true => try_all(found),
            false => self.memo.recall(text, found, try_all),
        }
    }
}

/// Items that are reached by literals in one field.
#[derive(Debug)]
struct FieldLiterals {
    field: Field,
    gate: Gate,
    automaton: AhoCorasick,
    items: Vec<Vec<u32>>,
    /// Texts repeat, and searching one for thousands of literals costs more than looking the result up.
    memo: Memo,
}

impl Index {
    /// The index over items in order.
    pub(crate) fn new<'a>(items: impl IntoIterator<Item = Keys<'a>>) -> Self {
        let offers: Vec<Offer<'a>> = items.into_iter().map(|keys| Offer::of(&keys)).collect();
        let counts = Counts::of(&offers);
        let mut plan = IndexBuilder::default();
        for (item, offer) in (0..).zip(&offers) {
            plan.add(item, offer, &counts);
        }
        plan.build()
    }

    /// The items that could fit, ascending, without duplicates.
    pub(crate) fn candidates(&self, facts: &EventFields<'_>) -> Vec<u32> {
        let mut found = self.always.clone();
        for shape in &self.shapes {
            let values = shape.fields.iter().map(|field| facts.hash(*field));
            if let Some(items) = shape.items.get(&combine(values)) {
                found.extend_from_slice(items);
            }
        }
        for literals in self.fields.iter().filter(|literals| literals.gate.lets_in(facts)) {
            literals.collect(facts.text(literals.field), &mut found);
        }
        for tried in &self.tried {
            tried.collect(facts.text(tried.field), &mut found);
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl FieldLiterals {
    fn collect(&self, text: &str, found: &mut Vec<u32>) {
        match self.items.len() <= FEW_LITERALS {
            true => self.look_for(text, found),
            false => self.memo.recall_repeated(text, found, |found| self.look_for(text, found)),
        }
    }

    fn look_for(&self, text: &str, found: &mut Vec<u32>) {
        let folded: String;
        let text = if literals::folds_beyond_ascii(text) {
            folded = text.chars().map(literals::fold).collect();
            &folded
        } else {
            text
        };
        // The caller drops duplicates.
        for hit in self.automaton.find_overlapping_iter(text) {
            found.extend_from_slice(&self.items[hit.pattern().as_usize()]);
        }
    }
}

/// The paths by which an item could be reached.
struct Offer<'a> {
    /// The exact keys and every combination of their values, hashed.
    exact: Option<(Vec<Field>, Vec<u64>)>,
    /// Per key and pattern: the literals, one of which must occur.
    literals: Vec<(Field, Vec<Vec<literals::Requirement>>)>,
    /// Any key with a pattern, in case there is no path.
    other: Option<&'a (Field, Vec<Pattern>)>,
}

impl<'a> Offer<'a> {
    fn of(keys: &Keys<'a>) -> Self {
        let literals = keys.iter().filter_map(|key| literal_path(key)).collect();
        let other = keys.iter().find(|(field, _)| *field != Field::Level).copied();
        Self { exact: exact_path(keys), literals, other }
    }
}

fn exact_path(keys: &Keys<'_>) -> Option<(Vec<Field>, Vec<u64>)> {
    let mut exact: Vec<(Field, Vec<u64>)> = Vec::new();
    for (field, patterns) in keys {
        let values: Option<Vec<u64>> =
            patterns.iter().map(|pattern| pattern.exact().map(|text| xxh3_64(text.as_bytes()))).collect();
        // Nearly every rule asks for the same level: it distinguishes nothing.
        if *field == Field::Level || exact.iter().any(|(other, _)| other == field) {
            continue;
        }
        exact.extend(values.map(|values| (*field, values)));
    }
    exact.sort_by_key(|(_, values)| values.len());
    let mut room = MAX_COMBINATIONS;
    exact.retain(|(_, values)| {
        let fits = values.len() <= room;
        room = if fits { room / values.len().max(1) } else { room };
        fits
    });
    exact.sort_by_key(|(field, _)| *field);
    let combinations = exact.iter().fold(vec![Vec::new()], |combinations: Vec<Vec<u64>>, (_, values)| {
        combinations
            .iter()
            .flat_map(|head| values.iter().map(|value| head.iter().copied().chain([*value]).collect()))
            .collect()
    });
    let hashes = combinations.into_iter().map(combine).collect();
    (!exact.is_empty()).then(|| (exact.into_iter().map(|(field, _)| field).collect(), hashes))
}

fn literal_path((field, patterns): &(Field, Vec<Pattern>)) -> Option<(Field, Vec<Vec<literals::Requirement>>)> {
    let all: Vec<_> = patterns.iter().map(Pattern::requirements).collect();
    let usable = *field != Field::Level && all.iter().all(|requirements| !requirements.is_empty());
    usable.then_some((*field, all))
}

fn combine(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(0x9E37_79B9_7F4A_7C15, |hash: u64, value| {
        (hash.rotate_left(23) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    })
}

/// How many items offer the same path.
struct Counts<'a> {
    exact: HashMap<(&'a [Field], u64), usize>,
    literals: HashMap<(Field, &'a str), usize>,
    shapes: HashMap<&'a [Field], usize>,
}

impl<'a> Counts<'a> {
    fn of(offers: &'a [Offer<'_>]) -> Self {
        let mut counts = Self { exact: HashMap::new(), literals: HashMap::new(), shapes: HashMap::new() };
        for offer in offers {
            if let Some((fields, hashes)) = &offer.exact {
                *counts.shapes.entry(fields).or_default() += 1;
                for hash in hashes {
                    *counts.exact.entry((fields, *hash)).or_default() += 1;
                }
            }
            for (field, patterns) in &offer.literals {
                for literal in patterns.iter().flatten().flatten() {
                    *counts.literals.entry((*field, literal)).or_default() += 1;
                }
            }
        }
        counts
    }

    /// How many items an event that takes this exact path meets.
    fn exact_cost(&self, fields: &[Field], hashes: &[u64]) -> usize {
        hashes.iter().filter_map(|hash| self.exact.get(&(fields, *hash))).copied().max().unwrap_or(0)
    }

    fn literal_cost(&self, field: Field, requirement: &literals::Requirement) -> usize {
        let cost = |literal: &String| {
            let count = self.literals.get(&(field, literal.as_str())).copied().unwrap_or(0);
            // Short literals are found by chance.
            count * (1 + 16 / literal.len().max(1))
        };
        requirement.iter().map(cost).sum()
    }
}

/// A key without any path, and the items that have it.
type Sharing<'a> = (&'a [Pattern], Vec<u32>);

/// The index while items are being added.
#[derive(Default)]
struct IndexBuilder<'a> {
    shapes: HashMap<Vec<Field>, HashMap<u64, Vec<u32>, AsIs>>,
    gates: HashMap<Field, Gate>,
    literals: HashMap<Field, HashMap<String, Vec<u32>>>,
    tried: HashMap<(Field, Vec<&'a str>), Sharing<'a>>,
    always: Vec<u32>,
}

impl<'a> IndexBuilder<'a> {
    fn add(&mut self, item: u32, offer: &Offer<'a>, counts: &Counts<'_>) {
        let exact = offer
            .exact
            .as_ref()
            // Too many shapes would cost every event a lookup each; the rare ones go another way.
            .filter(|(fields, _)| self.shapes.len() < MAX_SHAPES || self.shapes.contains_key(fields))
            .map(|(fields, hashes)| (counts.exact_cost(fields, hashes), fields, hashes));
        let literals = offer
            .literals
            .iter()
            .map(|(field, patterns)| {
                let (costs, chosen): (Vec<usize>, Vec<_>) =
                    patterns.iter().filter_map(|requirements| cheapest(*field, requirements, counts)).unzip();
                (costs.iter().sum::<usize>(), *field, chosen)
            })
            .min_by_key(|(cost, ..)| *cost);
        match (exact, literals) {
            (Some((cost, fields, hashes)), other) if other.as_ref().is_none_or(|(rival, ..)| cost <= rival + 4) => {
                self.add_exact(item, fields, hashes);
            }
            (_, Some((_, field, chosen))) => {
                self.gates.entry(field).or_default().admit(offer.exact.as_ref());
                self.add_literals(item, field, &chosen);
            }
            _ => self.add_other(item, offer.other),
        }
    }

    fn add_other(&mut self, item: u32, key: Option<&'a (Field, Vec<Pattern>)>) {
        let Some((field, patterns)) = key else {
            self.always.push(item);
            return;
        };
        let texts = patterns.iter().map(Pattern::as_str).collect();
        self.tried.entry((*field, texts)).or_insert((patterns, Vec::new())).1.push(item);
    }

    fn add_exact(&mut self, item: u32, fields: &[Field], hashes: &[u64]) {
        let shape = self.shapes.entry(fields.to_vec()).or_default();
        for hash in hashes {
            shape.entry(*hash).or_default().push(item);
        }
    }

    fn add_literals(&mut self, item: u32, field: Field, chosen: &[&literals::Requirement]) {
        let by_text = self.literals.entry(field).or_default();
        for literal in chosen.iter().copied().flatten() {
            by_text.entry(literal.clone()).or_default().push(item);
        }
    }

    fn build(mut self) -> Index {
        let mut index = Index { always: self.always, ..Index::default() };
        for ((field, _), (patterns, items)) in self.tried {
            let at = index.tried.iter().position(|tried| tried.field == field).unwrap_or_else(|| {
                index.tried.push(Tried { field, keys: Vec::new(), memo: Memo::default() });
                index.tried.len() - 1
            });
            index.tried[at].keys.push((patterns.to_vec(), items));
        }
        for (fields, items) in self.shapes {
            index.shapes.push(Shape { fields, items });
        }
        for (field, by_text) in self.literals {
            let (texts, items): (Vec<String>, Vec<Vec<u32>>) = by_text.into_iter().unzip();
            match AhoCorasick::builder().ascii_case_insensitive(true).build(texts) {
                Ok(automaton) => {
                    let gate = self.gates.remove(&field).unwrap_or_default();
                    index.fields.push(FieldLiterals { field, gate, automaton, items, memo: Memo::default() });
                }
                // More literals than an automaton can number: slow is better than wrong.
                Err(_) => index.always.extend(items.into_iter().flatten()),
            }
        }
        index
    }
}

fn cheapest<'a>(
    field: Field,
    requirements: &'a [literals::Requirement],
    counts: &Counts<'_>,
) -> Option<(usize, &'a literals::Requirement)> {
    let costs = requirements.iter().map(|requirement| (counts.literal_cost(field, requirement), requirement));
    costs.min_by_key(|(cost, _)| *cost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Level, Subject, Target};
    use crate::time::Time;

    /// Which of these globs `*literal*` are candidates for a message.
    fn candidates(literals: &[&str], message: &str) -> Vec<u32> {
        let keys: Vec<(Field, Vec<Pattern>)> = literals
            .iter()
            .map(|literal| (Field::Message, vec![Pattern::parse(&format!("*{literal}*")).unwrap()]))
            .collect();
        let index = Index::new(keys.iter().map(|key| vec![key]));
        let target = Target::new("prod", "cls-1", "shop", "web");
        let event = Event {
            first_seen: Time::default(),
            last_seen: Time::default(),
            count: 1,
            level: Level::Warning,
            obj_type: "Pod".into(),
            obj_name: "web-0".into(),
            reason: "Failed".into(),
            message: message.into(),
            ..Event::default()
        };
        index.candidates(&EventFields::new(&Subject { target: &target, event: &event, workload: "web" }))
    }

    #[test]
    fn a_literal_is_found_wherever_it_begins() {
        for before in 0..9 {
            for after in 0..5 {
                let text = format!("{}a LITERAL that is long{}", "x".repeat(before), "y".repeat(after));
                assert_eq!(candidates(&["literal", "a literal that is long"], &text), [0, 1], "{text}");
            }
        }
    }

    #[test]
    fn literals_are_found_where_they_are() {
        let literals = ["image", "ag", "back-off", "失败", "pull image x", "imagination"];
        assert_eq!(candidates(&literals, "Pull Image"), [0, 1]);
        assert_eq!(candidates(&literals, "pull image x失败"), [0, 1, 3, 4]);
        assert_eq!(candidates(&literals, "BACK-OFF"), [2]);
        assert_eq!(candidates(&literals, "imaginatio"), [1]);
    }
}
