//! `podbell check`: every mistake of podbell.yaml and rule files at once.
//!
//! Gathers findings; [`super::render`] prints them. Needs no secrets and reaches no network.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::check_result::CheckResult;
use super::{Output, render};
use crate::clock;
use crate::config::{self, Loaded, hours};
use crate::sources::Rhythm;
use podbell_core::diagnostic::Source;
use podbell_core::rules::quiet::Planned;
use podbell_core::rules::{Located, Names, RuleFile, compile, lint, pace};

const EXAMPLES: &str = "\
Examples:
  podbell check                          podbell.yaml and the rule files it names
  podbell check rules/shop.yaml          one rule file; destination names are taken as they are
  podbell check --config /etc/podbell/podbell.yaml --output json";

/// What to check.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Rule files; without any, podbell.yaml and the rule files it names.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The configuration [default: podbell.yaml if no FILE is given].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Runs the checks, prints the report, and returns whether there are errors as the exit code.
pub(super) fn run(args: &Args) -> ExitCode {
    let report = check(args);
    let printed = match args.output {
        Output::Text => render::text(&report),
        Output::Json => render::json(&report),
    };
    match printed {
        Ok(()) if report.errors() == 0 => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    }
}

fn check(args: &Args) -> CheckResult {
    let mut report = CheckResult::default();
    match (&args.config, args.files.as_slice()) {
        (None, []) => whole(Path::new("podbell.yaml"), &mut report),
        (Some(config), []) => whole(config, &mut report),
        (Some(config), files) => with_config(config, files, &mut report),
        (None, files) => alone(files, &mut report),
    }
    report
}

/// Checks podbell.yaml and the rule files it names.
fn whole(path: &Path, report: &mut CheckResult) {
    let loaded = load(path, report);
    report.is_built_in = loaded.config.as_ref().is_some_and(|config| !config.has_rules);
    if report.is_built_in {
        report.notes.push("podbell.yaml has no `rules:`, so the built-in rules apply: Warnings of any reason are told, some once they repeat or last.");
    }
    checked_with(&loaded, &loaded.rule_files, report);
    if report.rules == 0 && report.errors() == 0 && loaded.config.is_some_and(|config| config.has_rules) {
        report.notes.push("`rules:` names no rule, so nothing is told; without that key the built-in rules apply.");
    }
}

/// Checks some rule files, with the names and scopes of podbell.yaml.
fn with_config(config: &Path, files: &[PathBuf], report: &mut CheckResult) {
    let loaded = load(config, report);
    let same = |file: &RuleFile, path: &Path| {
        let known = Path::new(&file.source.shown).canonicalize().ok();
        known.is_some() && known == path.canonicalize().ok()
    };
    let mut chosen = Vec::new();
    for (entry, path) in (0..).zip(files) {
        match loaded.rule_files.iter().find(|file| same(file, path)) {
            Some(file) => chosen.push(file.clone()),
            None => chosen.extend(lone(path, entry, loaded.names.clone(), report)),
        }
    }
    checked_with(&loaded, &chosen, report);
}

/// Checks rule files together with the podbell.yaml that names their destinations.
fn checked_with(loaded: &Loaded, files: &[RuleFile], report: &mut CheckResult) {
    let (rules, mut planned) = compiled(files, slowest_poll(loaded), report);
    planned.extend(loaded.planned.iter().cloned());
    if let Some(config) = &loaded.config {
        report.findings.extend(hours::on_other_clocks(&config.notifiers, &rules, &planned));
    }
    report.findings.extend(hours::over(&loaded.planned, clock::now()));
}

/// Checks files without podbell.yaml. Their order is not known, so each is checked alone.
fn alone(files: &[PathBuf], report: &mut CheckResult) {
    let mut names_unknown = false;
    for path in files {
        let Some(file) = lone(path, 0, Names::default(), report) else { continue };
        if is_configuration(path, &file.source.text) {
            whole(path, report);
        } else {
            names_unknown = true;
            rule_files(&[file], None, report);
        }
    }
    if names_unknown {
        report.notes.push("Without podbell.yaml (--config) names of destinations and people are taken as they are.");
    }
}

fn load(path: &Path, report: &mut CheckResult) -> Loaded {
    let loaded = config::load(path);
    report.files.push(path.display().to_string());
    report.findings.append(&mut loaded.findings());
    loaded
}

fn lone(path: &Path, entry: u32, names: Names, report: &mut CheckResult) -> Option<RuleFile> {
    config::lone_rule_file(path, entry, names).map_err(|finding| report.findings.push(*finding)).ok()
}

/// The longest time between two reads of a target; `None` for a source that watches.
pub(super) fn slowest_poll(loaded: &Loaded) -> Option<Duration> {
    let sources = &loaded.config.as_ref()?.sources;
    let polled = sources.iter().filter_map(|source| match source.facts.rhythm {
        Rhythm::Polls { every, .. } => Some(every),
        Rhythm::Watches(_) => None,
    });
    polled.max()
}

/// Compiles and lints rule files in reading order.
pub(super) fn rule_files(files: &[RuleFile], poll_every: Option<Duration>, report: &mut CheckResult) -> Vec<Located> {
    compiled(files, poll_every, report).0
}

/// The same, with the planned work that the rule files contain.
fn compiled(
    files: &[RuleFile],
    poll_every: Option<Duration>,
    report: &mut CheckResult,
) -> (Vec<Located>, Vec<(Arc<Source>, Planned)>) {
    let (mut rules, mut all) = (Vec::new(), Vec::new());
    for file in files {
        let mut compiled = compile(file);
        report.files.push(file.source.shown.clone());
        report.findings.append(&mut compiled.diagnostics);
        rules.append(&mut compiled.rules);
        let planned: Vec<_> = compiled.planned.into_iter().map(|planned| (file.source.clone(), planned)).collect();
        report.findings.extend(hours::over(&planned, clock::now()));
        all.extend(planned);
    }
    report.rules += rules.len();
    report.findings.append(&mut lint::lint(&rules));
    report.findings.append(&mut pace::check(&rules, poll_every));
    (rules, all)
}

fn is_configuration(path: &Path, text: &str) -> bool {
    path.file_name().is_some_and(|name| name == "podbell.yaml")
        || text.lines().any(|line| line.starts_with("sources:") || line.starts_with("notifiers:"))
}
