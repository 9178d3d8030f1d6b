//! Patterns of rule files: an exact string, an anchored glob or `/a regular expression/`.
//!
//! Owns their syntax and their limits. Never looks at events; [`crate::rule::condition`] does that.
//! Expressions are parsed here, so that a bad one is found when rules are loaded, but only built
//! when an event first gets as far as needing one: of 10,000 rules an event needs a handful.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use regex::Regex;
use regex_syntax::hir::Hir;
use serde::{Serialize, Serializer};

use super::literals::{self, Requirement};

/// The longest pattern, in bytes.
pub(crate) const MAX_LEN: usize = 4096;

/// The most memory that an expression may need, by [`literals::weight`], in bytes.
const MAX_WEIGHT: usize = 8 << 20;

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing but blanks.
    #[error("an empty pattern matches nothing")]
    Empty,
    /// Longer than [`MAX_LEN`].
    #[error("a pattern of {0} bytes; at most {MAX_LEN} are allowed")]
    TooLong(usize),
    /// Not a regular expression. The offset counts bytes from the start of the pattern.
    #[error("not a regular expression: {message}")]
    Syntax {
        /// What is wrong, in words.
        message: String,
        /// Where, in bytes of the pattern's text.
        at: usize,
    },
    /// A regular expression that would need too much memory: this many bytes.
    #[error("this regular expression would need more than {} MiB", MAX_WEIGHT >> 20)]
    TooLarge(usize),
    /// Letters after the closing slash that mean nothing.
    #[error("unknown flag `{0}` after the closing slash; `i` is the only one")]
    Flag(String),
}

/// One checked pattern.
#[derive(Clone)]
pub struct Pattern {
    text: Arc<str>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Exact(Arc<str>),
    Glob(Glob),
    Regex(Arc<Expression>),
}

impl Pattern {
    /// Reads a pattern as rule files write it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(PatternError::TooLong(text.len()));
        }
        let kind = match split_slashes(text)? {
            Some((source, ignore_case)) => Kind::Regex(Arc::new(Expression::parse(source, ignore_case)?)),
            None => without_slashes(text),
        };
        Ok(Self { text: text.into(), kind })
    }

    /// The pattern that matches `text` and nothing else, whatever characters it has.
    pub fn exactly(text: &str) -> Self {
        Self { text: text.into(), kind: Kind::Exact(text.into()) }
    }

    /// Whether `text`, already trimmed, fits.
    pub fn matches(&self, text: &str) -> bool {
        match &self.kind {
            Kind::Exact(exact) => **exact == *text,
            Kind::Glob(glob) => glob.matches(text),
            Kind::Regex(expression) => expression.matches(text),
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The only text that it matches, if it is an exact string.
    pub fn exact(&self) -> Option<&str> {
        match &self.kind {
            Kind::Exact(exact) => Some(exact),
            Kind::Glob(_) | Kind::Regex(_) => None,
        }
    }

    /// Whether it matches every text.
    pub(crate) fn matches_everything(&self) -> bool {
        matches!(&self.kind, Kind::Glob(glob) if glob.pieces.iter().all(|piece| piece.is_empty()))
    }

    /// Whether it is a regular expression.
    pub fn is_expression(&self) -> bool {
        matches!(self.kind, Kind::Regex(_))
    }

    /// An upper bound of the memory it may need, in bytes.
    pub(crate) fn weight(&self) -> usize {
        match &self.kind {
            Kind::Regex(expression) => expression.weight,
            _ => self.text.len(),
        }
    }

    /// A text that it matches, as people would write one; empty if none is found.
    pub(crate) fn example(&self) -> String {
        let text = match &self.kind {
            Kind::Exact(exact) => exact.to_string(),
            Kind::Glob(glob) => glob.example(),
            Kind::Regex(expression) => expression.example(),
        };
        if self.matches(text.trim()) { text.trim().to_owned() } else { String::new() }
    }

    /// What identifies an expression that several patterns share, see [`Interner`]: its result is worth remembering.
    pub(crate) fn shared_expression(&self) -> Option<usize> {
        match &self.kind {
            Kind::Regex(expression) if Arc::strong_count(expression) > 1 => Some(Arc::as_ptr(expression).addr()),
            _ => None,
        }
    }

    /// What every text that matches must contain: each requirement on its own is necessary. Empty
    /// if nothing is known. Literals are folded as by [`literals::fold`].
    pub(crate) fn requirements(&self) -> Vec<Requirement> {
        match &self.kind {
            Kind::Exact(exact) => literals::of_pieces([&**exact]),
            Kind::Glob(glob) => literals::of_pieces(glob.pieces.iter().map(|piece| &**piece)),
            Kind::Regex(expression) => expression.requirements.clone(),
        }
    }
}

/// Makes equal patterns share their text and their expression.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    /// By text, and whether it is an exact string.
    known: HashMap<(Arc<str>, bool), Pattern>,
}

impl Interner {
    /// Replaces the pattern by an equal one that is already known.
    pub(crate) fn intern(&mut self, pattern: &mut Pattern) {
        let key = (pattern.text.clone(), pattern.exact().is_some());
        *pattern = self.known.entry(key).or_insert_with(|| pattern.clone()).clone();
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && matches!(self.kind, Kind::Exact(_)) == matches!(other.kind, Kind::Exact(_))
    }
}

impl Eq for Pattern {}

/// Its text, and whether that is taken literally: what makes patterns equal.
impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&*self.text, matches!(self.kind, Kind::Exact(_))).serialize(serializer)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Exact(_) => "exact",
            Kind::Glob(_) => "glob",
            Kind::Regex(_) => "regex",
        };
        write!(f, "{kind} {:?}", self.text)
    }
}

/// The expression between slashes and whether case is ignored; `None` if the text has another form.
fn split_slashes(text: &str) -> Result<Option<(&str, bool)>, PatternError> {
    let Some((source, flags)) = text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) else {
        return Ok(None);
    };
    match flags {
        "" => Ok(Some((source, false))),
        "i" => Ok(Some((source, true))),
        // `/abc/gi` is a mistake, `/var/log` a path.
        _ if flags.len() <= 3 && flags.chars().all(|c| "gimsux".contains(c)) => {
            Err(PatternError::Flag(flags.to_owned()))
        }
        _ => Ok(None),
    }
}

/// A glob, or the exact text if it has no star.
fn without_slashes(text: &str) -> Kind {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next_if_eq(&'*').is_some() => piece.push('*'),
            '*' => pieces.push(std::mem::take(&mut piece).into_boxed_str()),
            _ => piece.push(c),
        }
    }
    if pieces.is_empty() {
        return Kind::Exact(piece.into());
    }
    pieces.push(piece.into_boxed_str());
    Kind::Glob(Glob { pieces: pieces.into() })
}

/// The texts between the stars: the first is a prefix, the last a suffix.
#[derive(Clone)]
struct Glob {
    pieces: Arc<[Box<str>]>,
}

impl Glob {
    fn example(&self) -> String {
        let last = self.pieces.len().saturating_sub(1);
        let mut text = String::new();
        for (place, piece) in self.pieces.iter().enumerate() {
            if place > 0 {
                let [first, between, end] = STARS;
                text += if text.is_empty() {
                    first
                } else if place == last {
                    end
                } else {
                    between
                };
            }
            text += piece;
        }
        text
    }

    fn matches(&self, text: &str) -> bool {
        let [prefix, middle @ .., suffix] = &*self.pieces else { return false };
        let Some(rest) = text.strip_prefix(&**prefix) else { return false };
        let Some(mut rest) = rest.strip_suffix(&**suffix) else { return false };
        // The leftmost place is always good enough: it leaves the most for the pieces that follow.
        for piece in middle {
            let Some(at) = rest.find(&**piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        true
    }
}

/// What a star of a glob may stand for: at the beginning, between, at the end.
const STARS: [&str; 3] = ["shop", "x", "1"];

/// A parsed regular expression, built on first use.
struct Expression {
    source: String,
    ignore_case: bool,
    requirements: Vec<Requirement>,
    weight: usize,
    built: OnceLock<Option<Regex>>,
}

impl Expression {
    fn parse(source: &str, ignore_case: bool) -> Result<Self, PatternError> {
        let hir = parse_syntax(source, ignore_case)?;
        let weight = literals::weight(&hir);
        if weight > MAX_WEIGHT {
            return Err(PatternError::TooLarge(weight));
        }
        let requirements = literals::of_expression(&hir);
        Ok(Self { weight, source: source.to_owned(), ignore_case, requirements, built: OnceLock::new() })
    }

    fn matches(&self, text: &str) -> bool {
        // Building cannot fail: the syntax was checked, and `weight` bounds the size from above.
        self.built.get_or_init(|| self.build().ok()).as_ref().is_some_and(|regex| regex.is_match(text))
    }

    fn example(&self) -> String {
        let mut text = String::new();
        if let Ok(hir) = parse_syntax(&self.source, false) {
            literals::example(&hir, &mut text);
        }
        text
    }

    fn build(&self) -> Result<Regex, regex::Error> {
        regex::RegexBuilder::new(&self.source)
            .case_insensitive(self.ignore_case)
            .size_limit(MAX_WEIGHT * 4)
            .dfa_size_limit(1 << 20)
            .build()
    }
}

fn parse_syntax(source: &str, ignore_case: bool) -> Result<Hir, PatternError> {
    let mut parser = regex_syntax::ParserBuilder::new().case_insensitive(ignore_case).nest_limit(100).build();
    parser.parse(source).map_err(|error| {
        let (message, at) = match &error {
            regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span().start.offset),
            regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span().start.offset),
            _ => (error.to_string(), 0),
        };
        // One byte for the opening slash.
        PatternError::Syntax { message, at: at + 1 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, fits: &[&str], fails: &[&str]) {
        let parsed = Pattern::parse(pattern).unwrap();
        for text in fits {
            assert!(parsed.matches(text), "{pattern} should match {text:?}");
        }
        for text in fails {
            assert!(!parsed.matches(text), "{pattern} should not match {text:?}");
        }
    }

    #[test]
    fn exact_strings_match_themselves_only() {
        check("BackOff", &["BackOff"], &["backoff", "BackOff ", "BackOffs", ""]);
        check("  操作重试 ", &["操作重试"], &["操作"]);
        check("a.b", &["a.b"], &["axb"]);
        check(r"a\*b", &["a*b"], &["axb", r"a\*b"]);
        check(r"a\b", &[r"a\b"], &["ab"]);
        check("/var/log", &["/var/log"], &["var"]);
    }

    #[test]
    fn globs_are_anchored_and_know_only_the_star() {
        check("web-*", &["web-", "web-1"], &["web", "my-web-1"]);
        check("*", &["", "x"], &[]);
        check("a*a", &["aa", "aba"], &["a", "ab"]);
        check("*pull*image*", &["pull image", "to pull the image x"], &["image pull"]);
        check("a?[b]*", &["a?[b]", "a?[b]c"], &["axb"]);
        check(r"*\**", &["a*b"], &["ab"]);
        check("镜像*失败", &["镜像拉取失败"], &["镜像"]);
    }

    #[test]
    fn expressions_search_and_may_ignore_case() {
        check("/pull(ing)? image/", &["Failed to pull image x", "pulling image"], &["Pull image"]);
        check("/^pull IMAGE$/i", &["Pull Image"], &["Pull Image x"]);
        check("/a/b/", &["xa/by"], &["ab"]);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| Pattern::parse(text).unwrap_err();
        assert_eq!(error("  "), PatternError::Empty);
        assert_eq!(error("/a/g"), PatternError::Flag("g".into()));
        assert!(matches!(error("/*test*/"), PatternError::Syntax { at: 1, .. }));
        assert!(matches!(error("/a(b/"), PatternError::Syntax { at: 2, .. }));
        assert!(matches!(error(r"/(\w{1000}){1000}/"), PatternError::TooLarge(_)));
        assert!(matches!(error(&"x".repeat(5000)), PatternError::TooLong(5000)));
        assert!(matches!(error(&format!("/{}/", "(".repeat(2000))), PatternError::Syntax { .. }));
    }
}
