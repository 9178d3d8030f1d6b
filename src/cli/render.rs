//! Findings for people (with the line and a caret) and for machines.

use std::io::{self, Write};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet, normalize_untrusted_str};
use serde::Serialize;

use super::check_result::CheckResult;
use podbell_core::diagnostic::{Diagnostic, DiagnosticLevel};

/// Findings beyond this number are counted, not shown.
const MAX_SHOWN: usize = 200;
/// Longer lines are cut around the mistake.
const MAX_LINE: usize = 240;

/// Prints a report for people.
pub(crate) fn text(report: &CheckResult) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    findings(&mut out, &report.findings)?;
    for note in &report.notes {
        writeln!(out, "note: {note}")?;
    }
    writeln!(out, "{}", summary(report))
}

/// Prints findings for people.
pub(super) fn findings(out: &mut impl Write, findings: &[Diagnostic]) -> io::Result<()> {
    for finding in findings.iter().take(MAX_SHOWN) {
        writeln!(out, "{}\n", snippet(finding))?;
    }
    if let Some(more) = findings.len().checked_sub(MAX_SHOWN).filter(|more| *more > 0) {
        writeln!(out, "... and {more} more\n")?;
    }
    Ok(())
}

fn summary(report: &CheckResult) -> String {
    let count = |number: usize, one: &str| match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {one}s"),
    };
    let errors = report.errors();
    let warnings = report.findings.len() - errors;
    let rules = match report.is_built_in {
        true => "the built-in rules".to_owned(),
        false => count(report.rules, "rule"),
    };
    let what = match report.files.as_slice() {
        [] => "nothing could be read".to_owned(),
        [file] => format!("{file}: {rules}"),
        files => format!("{}, {rules}", count(files.len(), "file")),
    };
    match (errors, warnings) {
        (0, 0) => format!("{what}: all good"),
        _ => format!("{what}: {}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}

fn snippet(finding: &Diagnostic) -> String {
    let level = match finding.gravity {
        DiagnosticLevel::Error => Level::ERROR,
        DiagnosticLevel::Warning => Level::WARNING,
    };
    let (line, _) = finding.source.position(finding.span.start);
    let (text, span) = window(finding, line);
    let title = normalize_untrusted_str(&finding.message);
    let help = finding.help.as_deref().map(normalize_untrusted_str);
    let path = finding.source.shown.as_str();
    let title = level.primary_title(title);
    let mut group = match finding.source.text.is_empty() {
        // The file could not be read: there is no line to show.
        true => title.element(Origin::path(path)),
        false => {
            let source = Snippet::source(text).line_start(line).path(path);
            title.element(source.annotation(AnnotationKind::Primary.span(span)))
        }
    };
    if let Some(help) = &help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    Renderer::styled().render(&[group])
}

/// The line of a finding, cut if it is long, and the range of the mistake in it.
fn window(finding: &Diagnostic, line: usize) -> (&str, Range<usize>) {
    let bytes = finding.source.line(line);
    let text = &finding.source.text[bytes.clone()];
    let start = finding.span.start.saturating_sub(bytes.start).min(text.len());
    let end = finding.span.end.saturating_sub(bytes.start).clamp(start, text.len());
    if text.len() <= MAX_LINE {
        return (text, start..end);
    }
    let from = text.floor_char_boundary(start.saturating_sub(MAX_LINE / 2));
    let to = text.ceil_char_boundary((from + MAX_LINE).min(text.len()));
    (&text[from..to], start - from..end.min(to) - from)
}

#[derive(Serialize)]
struct Json<'a> {
    files: &'a [String],
    rules: usize,
    errors: usize,
    warnings: usize,
    findings: Vec<JsonFinding<'a>>,
    notes: &'a [&'static str],
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    level: &'static str,
    file: &'a str,
    line: usize,
    column: usize,
    text: &'a str,
    message: &'a str,
    suggestion: Option<&'a str>,
}

/// Prints a report for machines.
pub(crate) fn json(report: &CheckResult) -> io::Result<()> {
    let errors = report.errors();
    let json = Json {
        files: &report.files,
        rules: report.rules,
        errors,
        warnings: report.findings.len() - errors,
        findings: report.findings.iter().map(json_finding).collect(),
        notes: &report.notes,
    };
    super::print_json(&json)
}

fn json_finding(finding: &Diagnostic) -> JsonFinding<'_> {
    let (line, column) = finding.source.position(finding.span.start);
    let (text, _) = window(finding, line);
    JsonFinding {
        level: finding.gravity.as_str(),
        file: &finding.source.shown,
        line,
        column,
        text,
        message: &finding.message,
        suggestion: finding.help.as_deref(),
    }
}
