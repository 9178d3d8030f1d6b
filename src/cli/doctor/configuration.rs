//! What is wrong with podbell.yaml, and the secrets that are not there. Pure.

use crate::examine::{Finding, Group, count};
use crate::settings::SecretError;
use podbell_core::diagnostic::Diagnostic;

/// Errors beyond this number are only counted.
const MAX: usize = 10;

/// One finding for each error, by its place; warnings as a number.
pub(super) fn of_diagnostics(
    group: Group,
    file: &str,
    all_well: String,
    diagnostics: &[Diagnostic],
    check: &str,
) -> Vec<Finding> {
    let errors: Vec<&Diagnostic> = diagnostics.iter().filter(|finding| finding.is_error()).collect();
    let warnings = diagnostics.len() - errors.len();
    let mut findings: Vec<Finding> = errors.iter().take(MAX).map(|error| of_error(group, error, check)).collect();
    if let Some(more) = errors.len().checked_sub(MAX).filter(|more| *more > 0) {
        let found = format!("{} more", count(more, "error"));
        findings.push(Finding::fail(group, file, found, format!("`{check}` shows all of them")));
    }
    match (errors.len(), warnings) {
        (_, 1..) => {
            let advice = format!("`{check}` shows and explains them");
            findings.push(Finding::warn(group, file, count(warnings, "warning"), advice));
        }
        (0, 0) => findings.push(Finding::ok(group, file, all_well)),
        _ => {}
    }
    findings
}

fn of_error(group: Group, error: &Diagnostic, check: &str) -> Finding {
    let shown = &error.source.shown;
    let place = match error.source.text.is_empty() {
        true => shown.clone(),
        false => {
            let (line, column) = error.source.position(error.span.start);
            format!("{shown}:{line}:{column}")
        }
    };
    let advice = error.help.clone().unwrap_or_else(|| format!("`{check}` shows the line"));
    Finding::fail(group, place, &error.message, advice)
}

/// One finding for each missing secret, by its name.
pub(super) fn of_secrets(missing: &[SecretError], there: usize) -> Vec<Finding> {
    if missing.is_empty() {
        let found = if there == 0 { "none needed".to_owned() } else { format!("all {there} are there") };
        return vec![Finding::ok(Group::Configuration, "secrets", found)];
    }
    let advice = |error: &SecretError| match error {
        SecretError::Unset { variable, .. } => {
            format!("set {variable} in the environment of podbell, also of the service that runs it")
        }
        SecretError::File { .. } => "put the file there, and let this user read it".to_owned(),
        SecretError::Empty { .. } => "give it its value".to_owned(),
        SecretError::Short { .. } => "make a longer one".to_owned(),
        SecretError::NoUrl { .. } => "it must begin with https:// or http://".to_owned(),
        SecretError::Unusable { .. } => "copy it again from where it was made".to_owned(),
    };
    missing.iter().map(|one| Finding::fail(Group::Configuration, "secrets", one.to_string(), advice(one))).collect()
}
