//! What is wrong with a file, where, and what to write instead.
//!
//! Owns the shape of a finding, and turns byte offsets into lines and columns. Never prints: `podbell check` renders
//! findings, the log of a reload quotes them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A file that was read: its name as the operator wrote it, and its text.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// What it is known by: the file name in a rule's identity.
    pub name: Arc<str>,
    /// The path to show; it is valid in the directory where the command was started.
    pub shown: String,
    /// All of it; empty if it could not be read.
    pub text: String,
    line_starts: Vec<usize>,
}

impl Source {
    /// A file of this name and text.
    pub fn new(name: &str, text: impl Into<String>) -> Arc<Self> {
        Self::shown_as(name, name, text)
    }

    /// A file that is known by another name than the path to show.
    pub fn shown_as(name: &str, shown: &str, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let line_starts = [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Arc::new(Self { name: name.into(), shown: shown.to_owned(), text, line_starts })
    }

    /// Line and column of a byte, both from 1; columns count characters.
    pub fn position(&self, at: usize) -> (usize, usize) {
        let at = self.text.floor_char_boundary(at);
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, self.text[start..at].chars().count() + 1)
    }

    /// The bytes of a line, counted from 1, without its end.
    pub fn line(&self, line: usize) -> Range<usize> {
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let end = self.line_starts.get(line).copied().unwrap_or(self.text.len());
        start..start + self.text[start..end].trim_end_matches(['\n', '\r']).len()
    }
}

/// Whether a finding keeps a file from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiagnosticLevel {
    /// The file can be used, but probably means something else than intended.
    Warning,
    /// The file cannot be used.
    Error,
}

impl DiagnosticLevel {
    /// The word in output for people and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub gravity: DiagnosticLevel,
    /// The file.
    pub source: Arc<Source>,
    /// Which bytes of it.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at these bytes.
    pub fn error(source: &Arc<Source>, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { gravity: DiagnosticLevel::Error, source: source.clone(), span, message: message.into(), help: None }
    }

    /// A warning at these bytes.
    pub fn warning(source: &Arc<Source>, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { gravity: DiagnosticLevel::Warning, ..Self::error(source, span, message) }
    }

    /// The same finding with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether the file cannot be used.
    pub fn is_error(&self) -> bool {
        self.gravity == DiagnosticLevel::Error
    }
}

/// One line, for logs.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.source.position(self.span.start);
        write!(f, "{}:{line}:{column}: {}: {}", self.source.shown, self.gravity.as_str(), self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Longer words, in bytes, are compared with none: strangers send some of them, and comparing takes as long as both together.
const LONGEST_WORD: usize = 256;

/// The known word that was probably meant.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Help for a word that is not known: the known one that was meant, or else other words.
pub(crate) fn meant_or<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    otherwise: impl FnOnce() -> String,
) -> String {
    did_you_mean(word, known).map_or_else(otherwise, |meant| format!("did you mean `{meant}`?"))
}
