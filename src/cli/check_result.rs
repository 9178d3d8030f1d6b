//! What `podbell check` found.

use podbell_core::diagnostic::Diagnostic;

/// What was checked and found.
#[derive(Debug, Default)]
pub(super) struct CheckResult {
    /// Files, as shown.
    pub files: Vec<String>,
    /// How many rules they hold.
    pub rules: usize,
    /// Whether the built-in rules hold, because podbell.yaml names none.
    pub is_built_in: bool,
    /// What is wrong.
    pub findings: Vec<Diagnostic>,
    /// What the reader should know about the check itself.
    pub notes: Vec<&'static str>,
}

impl CheckResult {
    /// How many findings are errors.
    pub(super) fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.is_error()).count()
    }
}
