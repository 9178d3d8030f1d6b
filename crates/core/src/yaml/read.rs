//! Typed readers over the tree: each says what it wanted, where, and what was probably meant, and
//! goes on with the rest.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::tree::{Node, Value};
use super::{DurationError, parse_duration};
use crate::diagnostic::{Diagnostic, Source, did_you_mean, meant_or};

/// Reads the nodes of one file and collects what is wrong with them.
#[derive(Debug)]
pub struct Reader {
    /// The file.
    pub source: Arc<Source>,
    /// What was found so far.
    pub found: Vec<Diagnostic>,
    /// How many errors and warnings there were, also those that were not kept.
    counts: [usize; 2],
    /// How much memory expressions may still ask for, see `Pattern::weight`.
    pub expression_budget: usize,
    /// The folder in which relative paths of the file begin.
    pub folder: PathBuf,
    /// The keys and names on the way to what is being read.
    trail: Vec<String>,
}

/// How many errors, and how many warnings, of one file are kept.
const MAX_FOUND: usize = 500;
/// How many items a list of names or patterns may have.
pub(super) const MAX_ITEMS: usize = 1000;
/// What all expressions of a file may weigh.
const EXPRESSION_BUDGET: usize = 4 << 30;

impl Reader {
    /// A reader of this file.
    pub fn new(source: Arc<Source>) -> Self {
        Self {
            source,
            found: Vec::new(),
            counts: [0; 2],
            expression_budget: EXPRESSION_BUDGET,
            folder: PathBuf::new(),
            trail: Vec::new(),
        }
    }

    /// Reads what is at `step`, a key or a name.
    pub fn within<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.trail.push(step.to_owned());
        let value = read(self);
        self.trail.pop();
        value
    }

    /// The place of what is being read, such as `notifiers: team-chat: url`.
    pub fn place(&self) -> String {
        self.trail.join(": ")
    }

    /// Notes a finding.
    pub(crate) fn note(&mut self, diagnostic: Diagnostic) {
        let count = &mut self.counts[usize::from(diagnostic.is_error())];
        *count += 1;
        if *count <= MAX_FOUND {
            self.found.push(diagnostic);
        }
    }

    /// How many errors were noted.
    pub(crate) fn errors(&self) -> usize {
        self.counts[1]
    }

    /// Notes an error.
    pub fn error(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.note(Diagnostic::error(&self.source, span.clone(), message));
    }

    /// Notes an error with advice.
    pub fn error_help(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.note(Diagnostic::error(&self.source, span.clone(), message).help(help));
    }

    /// Notes a warning with advice.
    pub fn warning_help(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.note(Diagnostic::warning(&self.source, span.clone(), message).help(help));
    }

    /// Notes that something else was expected here.
    pub(crate) fn expected(&mut self, node: &Node, what: &str) {
        if !matches!(node.value, Value::Broken) {
            self.error(&node.span, format!("expected {what}, found {}", node.kind()));
        }
    }

    /// A map, to be read key by key.
    pub fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<MapReader<'n>> {
        match &node.value {
            Value::Map(pairs) => Some(MapReader { span: node.span.clone(), pairs, asked: Vec::new() }),
            _ => {
                self.expected(node, what);
                None
            }
        }
    }

    /// The items of a list.
    pub fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            _ => {
                self.expected(node, what);
                &[]
            }
        }
    }

    /// The items of a list, or the one value that stands for a list of one.
    pub fn one_or_many<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        match &node.value {
            Value::List(items) if items.len() > MAX_ITEMS => {
                let message = format!("a list of {} items; at most {MAX_ITEMS} are allowed", items.len());
                self.error(&node.span, message);
                &[]
            }
            Value::List(items) => items,
            _ => std::slice::from_ref(node),
        }
    }

    /// A text that is not blank, trimmed.
    pub fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        let text = self.scalar(node, what)?.trim();
        if text.is_empty() {
            self.error(&node.span, format!("expected {what}, found an empty text"));
        }
        Some(text).filter(|text| !text.is_empty())
    }

    fn scalar<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        if node.text().is_none() {
            self.expected(node, what);
        }
        node.text()
    }

    /// What was read, or `None` and the error of why it could not be.
    pub(crate) fn accept<T, E: std::fmt::Display>(&mut self, span: &Range<usize>, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.error(span, error.to_string())).ok()
    }

    /// `true` or `false`.
    pub(crate) fn truth(&mut self, node: &Node) -> Option<bool> {
        match self.scalar(node, "true or false")? {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                let help = match other.to_lowercase().as_str() {
                    "yes" | "on" | "true" => "write `true`",
                    "no" | "off" | "false" => "write `false`",
                    _ => "write `true` or `false`",
                };
                self.error_help(&node.span, format!("expected true or false, found `{other}`"), help);
                None
            }
        }
    }

    /// A whole number between these bounds.
    pub fn number(&mut self, node: &Node, bounds: Range<u64>) -> Option<u64> {
        let what = format!("a whole number from {} to {}", bounds.start, bounds.end.saturating_sub(1));
        let text = self.scalar(node, &what)?;
        match text.replace('_', "").parse() {
            Ok(number) if bounds.contains(&number) => Some(number),
            _ => {
                self.error(&node.span, format!("expected {what}, found `{text}`"));
                None
            }
        }
    }

    /// A duration of at least `least`.
    pub(crate) fn duration(&mut self, node: &Node, least: Duration) -> Option<Duration> {
        let text = self.scalar(node, "a duration such as `15m`")?;
        match parse_duration(text) {
            Ok(duration) if duration >= least => Some(duration),
            Ok(_) => {
                self.error(&node.span, format!("`{text}` is too short: at least {} are needed", short(least)));
                None
            }
            Err(error) => {
                let help = match &error {
                    DurationError::NoUnit(_) => Some("s are seconds, m minutes, h hours".to_owned()),
                    _ => None,
                };
                let mut diagnostic = Diagnostic::error(&self.source, node.span.clone(), error.to_string());
                diagnostic.help = help;
                self.note(diagnostic);
                None
            }
        }
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        self.word_or_hint(node, what, words, &[])
    }

    /// The same, where people also write `others`: each says which of the words is meant.
    pub(super) fn word_or_hint<T: Copy>(
        &mut self,
        node: &Node,
        what: &str,
        words: &[(&str, T)],
        others: &[(&str, &str)],
    ) -> Option<T> {
        let text = self.text(node, what)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let meant = others.iter().find(|(other, meant)| *other == text && all.contains(meant)).map(|(_, meant)| *meant);
        let help = match meant.or_else(|| did_you_mean(text, all.iter().copied())) {
            // One letter of two is no hint at what was meant: `cn` is rather `zh` than `en`.
            Some(word) if word.len() > 2 => format!("did you mean `{word}`?"),
            _ => format!("one of {}", all.join(", ")),
        };
        self.error_help(&node.span, format!("`{text}` is not {what}"), help);
        None
    }
}

/// An optional key that is absent (`Some(None)`), apart from one that cannot be read (`None`).
pub(crate) fn valid_or_absent<T>(given: Option<Option<T>>) -> Option<Option<T>> {
    given.map_or(Some(None), |read| read.map(Some))
}

fn short(duration: Duration) -> String {
    match duration.as_millis() {
        millis if millis % 1000 == 0 => format!("{}s", millis / 1000),
        millis => format!("{millis}ms"),
    }
}

/// Reads a map key by key; keys that were not asked for are unknown.
#[derive(Debug)]
pub struct MapReader<'n> {
    /// The whole map.
    pub span: Range<usize>,
    pairs: &'n [(Node, Node)],
    asked: Vec<&'static str>,
}

impl<'n> MapReader<'n> {
    /// The value of a key, if the key is there.
    pub fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.asked.push(key);
        self.pairs.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// The value of a key that must be there; `about` is what it is for.
    pub(crate) fn need(&mut self, key: &'static str, about: &str, reader: &mut Reader) -> Option<&'n Node> {
        let found = self.take(key);
        if found.is_none() {
            let help = format!("`{key}`: {}", about.trim_end_matches('.'));
            reader.error_help(&self.head(), format!("the key `{key}` is missing"), help);
        }
        found
    }

    /// Where the map begins: what to point at when something is missing.
    pub fn head(&self) -> Range<usize> {
        self.pairs.first().map_or(self.span.clone(), |(key, _)| key.span.clone())
    }

    /// All pairs, in order.
    pub fn pairs(&self) -> &'n [(Node, Node)] {
        self.pairs
    }

    /// Whether a key is there; it is not taken.
    pub fn has(&self, key: &str) -> bool {
        self.pairs.iter().any(|(name, _)| name.text() == Some(key))
    }

    /// Whether it has no keys.
    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Notes every key that nobody asked for.
    pub fn finish(self, reader: &mut Reader) {
        self.finish_with(reader, |_| None);
    }

    /// Like [`Self::finish`]; `elsewhere` has advice on keys that belong to another place.
    pub fn finish_with(self, reader: &mut Reader, elsewhere: impl Fn(&str) -> Option<&'static str>) {
        for (key, _) in self.pairs {
            let Some(name) = key.text().filter(|name| !self.asked.contains(name)) else { continue };
            if reader.errors() >= MAX_FOUND {
                return;
            }
            let known = || format!("known keys here: {}", self.asked.join(", "));
            let help = elsewhere(name).map(str::to_owned);
            let help = help.unwrap_or_else(|| meant_or(name, self.asked.iter().copied(), known));
            reader.error_help(&key.span, format!("unknown key `{name}`"), help);
        }
    }
}
