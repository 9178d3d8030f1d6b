//! What a text must contain for a pattern to match it: the reason why 10,000 rules cost an event
//! no more than ten.
//!
//! Owns the walk over parsed expressions. Every answer errs to the safe side: a requirement that is
//! reported is really necessary. Literals are folded (see [`fold`]), so that one automaton serves
//! `/…/` and `/…/i` alike. Called by [`crate::rule::pattern`].

use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind};

/// A set of literals of which a matching text contains at least one.
pub(crate) type Requirement = Vec<String>;

/// Literals shorter than this (in bytes) occur nearly everywhere and distinguish nothing.
pub(crate) const MIN_LEN: usize = 2;

/// How many literals one requirement may have.
const MAX_ALTERNATIVES: usize = 32;
/// How many requirements of one pattern are kept, the longest first.
const MAX_REQUIREMENTS: usize = 4;
/// Literals are cut to this many bytes: more bytes distinguish little more and cost memory.
const MAX_LITERAL: usize = 48;
/// Classes up to this many characters are spelled out.
const MAX_CLASS: usize = 8;

/// The folding of texts and literals: ASCII letters to lower case, and the two other characters
/// that equal an ASCII letter when case is ignored.
pub(crate) fn fold(c: char) -> char {
    match c {
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        _ => c.to_ascii_lowercase(),
    }
}

/// Whether [`fold`] changes more in `text` than the case of ASCII letters.
pub(crate) fn folds_beyond_ascii(text: &str) -> bool {
    !text.is_ascii() && text.contains(['\u{17F}', '\u{212A}'])
}

/// The requirements of a pattern whose pieces must all occur.
pub(crate) fn of_pieces<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Vec<Requirement> {
    let all = pieces.into_iter().map(|piece| vec![piece.chars().map(fold).collect()]).collect();
    best(all)
}

/// The requirements of an expression.
pub(crate) fn of_expression(hir: &Hir) -> Vec<Requirement> {
    let found = walk(hir, 0);
    let mut all = found.needs;
    all.extend(found.exact);
    best(all)
}

/// An upper bound of the memory that an expression needs when it is built, in bytes. Never looks at
/// what repetitions expand to, so that bombs cost nothing.
pub(crate) fn weight(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 64,
        HirKind::Literal(literal) => literal.0.len().saturating_mul(64),
        HirKind::Class(Class::Unicode(class)) => 128_usize.saturating_add(class.ranges().len().saturating_mul(128)),
        HirKind::Class(Class::Bytes(class)) => 128_usize.saturating_add(class.ranges().len().saturating_mul(64)),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(repetition.min).saturating_add(1);
            weight(&repetition.sub).saturating_add(64).saturating_mul(usize::try_from(times).unwrap_or(usize::MAX))
        }
        HirKind::Capture(capture) => weight(&capture.sub).saturating_add(128),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().fold(128, |sum: usize, part| sum.saturating_add(weight(part)).saturating_add(64))
        }
    }
}

/// What is known of a part of an expression.
#[derive(Default)]
struct Found {
    /// All texts it can match, if they are few.
    exact: Option<Requirement>,
    /// Requirements beyond that.
    needs: Vec<Requirement>,
}

impl Found {
    fn exact(texts: Requirement) -> Self {
        Self { exact: Some(texts), needs: Vec::new() }
    }
}

fn walk(hir: &Hir, depth: usize) -> Found {
    if depth > 64 {
        return Found::default();
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Found::exact(vec![String::new()]),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => Found::exact(vec![text.chars().map(fold).collect()]),
            Err(_) => Found::default(),
        },
        HirKind::Class(class) => class_texts(class).map(Found::exact).unwrap_or_default(),
        HirKind::Capture(capture) => walk(&capture.sub, depth + 1),
        HirKind::Repetition(repetition) => {
            let found = walk(&repetition.sub, depth + 1);
            match (repetition.min, repetition.max) {
                (0, Some(1)) => Found {
                    exact: found.exact.map(|mut texts| {
                        texts.push(String::new());
                        texts
                    }),
                    needs: Vec::new(),
                },
                (0, _) => Found::default(),
                (1, Some(1)) => found,
                // Repeated at least once: whatever one round needs is needed.
                _ => {
                    let mut needs = found.needs;
                    needs.extend(found.exact);
                    Found { exact: None, needs }
                }
            }
        }
        HirKind::Concat(parts) => concat(parts, depth),
        HirKind::Alternation(parts) => alternation(parts, depth),
    }
}

/// The characters of a class as texts, if they are few.
fn class_texts(class: &Class) -> Option<Requirement> {
    let mut texts: Requirement = Vec::new();
    let mut add = |c: char| {
        let text = fold(c).to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
        texts.len() <= MAX_CLASS
    };
    let few = match class {
        Class::Unicode(class) => class.ranges().iter().all(|range| (range.start()..=range.end()).all(&mut add)),
        Class::Bytes(class) => class
            .ranges()
            .iter()
            .all(|range| range.end().is_ascii() && (range.start()..=range.end()).all(|byte| add(char::from(byte)))),
    };
    (few && !texts.is_empty()).then_some(texts)
}

fn concat(parts: &[Hir], depth: usize) -> Found {
    let mut needs = Vec::new();
    let mut run = vec![String::new()];
    let mut whole = true;
    for part in parts {
        let found = walk(part, depth + 1);
        needs.extend(found.needs);
        let grown = found.exact.as_ref().and_then(|texts| product(&run, texts));
        match (grown, found.exact) {
            (Some(grown), _) => run = grown,
            (None, exact) => {
                whole = false;
                // The next run begins with this part: that is still one contiguous text.
                needs.push(std::mem::replace(&mut run, exact.unwrap_or_else(|| vec![String::new()])));
            }
        }
    }
    if whole {
        return Found { exact: Some(run), needs };
    }
    needs.push(run);
    Found { exact: None, needs: best(needs) }
}

/// Each text of `left` followed by each of `right`, if they stay few.
fn product(left: &[String], right: &[String]) -> Option<Vec<String>> {
    (left.len() * right.len() <= MAX_ALTERNATIVES).then(|| {
        let mut texts: Vec<String> = left.iter().flat_map(|l| right.iter().map(move |r| format!("{l}{r}"))).collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    })
}

fn alternation(parts: &[Hir], depth: usize) -> Found {
    let found: Vec<Found> = parts.iter().map(|part| walk(part, depth + 1)).collect();
    if found.iter().all(|branch| branch.exact.is_some()) {
        let mut texts: Requirement = found.into_iter().filter_map(|branch| branch.exact).flatten().collect();
        texts.sort_unstable();
        texts.dedup();
        return if texts.len() <= MAX_ALTERNATIVES { Found::exact(texts) } else { needs_one(texts) };
    }
    let mut union = Vec::new();
    for branch in found {
        let mut all = branch.needs;
        all.extend(branch.exact);
        match best(all).into_iter().next() {
            Some(requirement) => union.extend(requirement),
            None => return Found::default(),
        }
    }
    needs_one(union)
}

fn needs_one(texts: Requirement) -> Found {
    Found { exact: None, needs: vec![texts] }
}

/// The usable requirements, those with the longest shortest literal first.
fn best(all: Vec<Requirement>) -> Vec<Requirement> {
    let mut usable: Vec<Requirement> = all
        .into_iter()
        .map(|requirement| requirement.iter().map(|text| cut(text)).collect::<Requirement>())
        .filter(|requirement| shortest(requirement) >= MIN_LEN && requirement.len() <= MAX_ALTERNATIVES * 8)
        .collect();
    usable.sort_by_key(|requirement| (std::cmp::Reverse(shortest(requirement)), requirement.len()));
    usable.dedup();
    usable.truncate(MAX_REQUIREMENTS);
    usable
}

fn shortest(requirement: &Requirement) -> usize {
    requirement.iter().map(String::len).min().unwrap_or(0)
}

fn cut(text: &str) -> String {
    // Keep the end: generated names differ there.
    text[text.ceil_char_boundary(text.len().saturating_sub(MAX_LITERAL))..].to_owned()
}

/// Makes a short text that matches: the first of several branches, the fewest repetitions, and of a class a letter or
/// digit if it has one.
pub(crate) fn example(hir: &Hir, text: &mut String) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => text.extend(one_of(class)),
        HirKind::Class(Class::Bytes(class)) => {
            text.extend(class.ranges().first().map(|range| char::from(range.start())))
        }
        HirKind::Repetition(repetition) => {
            // Bounded: an example of thousands of letters shows nothing.
            (0..repetition.min.min(64)).for_each(|_| example(&repetition.sub, text));
        }
        HirKind::Capture(capture) => example(&capture.sub, text),
        HirKind::Concat(parts) => parts.iter().for_each(|part| example(part, text)),
        HirKind::Alternation(branches) => {
            if let Some(first) = branches.first() {
                example(first, text);
            }
        }
    }
}

/// A letter or digit of the class, else its first character.
fn one_of(class: &ClassUnicode) -> Option<char> {
    let holds = |c: char| class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&c));
    ('a'..='z').chain('0'..='9').chain('A'..='Z').find(|c| holds(*c)).or(class.ranges().first().map(|r| r.start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &[&[&str]]) {
        let hir = regex_syntax::parse(source).unwrap();
        assert_eq!(of_expression(&hir), expected, "{source}");
    }

    #[test]
    fn expressions_tell_what_they_need() {
        check("Readiness probe", &[&["readiness probe"]]);
        check("(?i)Task", &[&["task"]]);
        check("pull|push", &[&["pull", "push"]]);
        check("pull(ing)? image", &[&["pull image", "pulling image"]]);
        check("x17.*BackoffLimit", &[&["backofflimit"], &["x17"]]);
        check("[ab][cd]", &[&["ac", "ad", "bc", "bd"]]);
        check("(?:abc)+", &[&["abc"]]);
        check("^(?:abc|)$", &[]);
        check("a*", &[]);
        check(r"\d+", &[]);
        check("失败|重试", &[&["失败", "重试"]]);
    }

    #[test]
    fn bombs_weigh_much_and_cost_nothing() {
        let hir = regex_syntax::parse("(?:(?:(?:(?:xy){1000}){1000}){1000}){1000}").unwrap();
        assert!(weight(&hir) > 1 << 40);
        assert!(!of_expression(&hir).is_empty());
    }
}
