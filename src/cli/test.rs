//! `podbell test`: rule tests, in virtual time.
//!
//! Reads files and prints; what a test means and how it runs is [`podbell_core::ruletest`]'s.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use serde_json::json;

use super::junit::{self, Fault, Suite};
use super::{Output, render};
use crate::{clock, config};
use podbell_core::diagnostic::Diagnostic;
use podbell_core::rule::Pattern;
use podbell_core::rules::{Compiled, Names, Rules, compile};
use podbell_core::ruletest::{self, Case, CaseResult, Coverage, Expected, Item, TestFile, offset};
use podbell_core::step::Setup;

const EXAMPLES: &str = "\
Examples:
  podbell test rules/*.test.yaml                    every test of these files
  podbell test --run 'a stuck image*' shop.test.yaml
  podbell test --coverage --min-coverage 100 --junit report.xml rules/*.test.yaml

The shape of a test file is in docs/testing-rules.md.";

const PASS: Style = AnsiColor::Green.on_default();
const FAIL: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// What to test.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Test files.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Only tests whose name fits: a part of it, a glob, or /a regular expression/.
    #[arg(long, value_name = "PATTERN", value_parser = filter)]
    run: Option<Filter>,
    /// Say which rules and written escalation steps no test fired.
    #[arg(long)]
    coverage: bool,
    /// Fail when less of them was fired; implies --coverage.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_coverage: Option<u8>,
    /// Write a JUnit report, too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// How to print the results.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Which tests to run.
#[derive(Clone, Debug)]
enum Filter {
    Part(String),
    Pattern(Pattern),
}

fn filter(text: &str) -> anyhow::Result<Filter> {
    let pattern = Pattern::parse(text)?;
    Ok(if pattern.exact().is_some() { Filter::Part(text.to_owned()) } else { Filter::Pattern(pattern) })
}

impl Filter {
    fn takes(&self, name: &str) -> bool {
        match self {
            Self::Part(part) => name.contains(part.as_str()),
            Self::Pattern(pattern) => pattern.matches(name),
        }
    }
}

/// Everything that ran.
#[derive(Default)]
struct Run {
    files: Vec<Tested>,
    findings: Vec<Diagnostic>,
    coverage: Coverage,
    setups: Vec<Arc<Setup>>,
}

/// One file that ran.
struct Tested {
    file: TestFile,
    /// By their place in the file.
    results: Vec<(usize, CaseResult, Duration)>,
}

impl Run {
    fn results(&self) -> impl Iterator<Item = (&TestFile, &Case, &CaseResult, Duration)> {
        self.files.iter().flat_map(|tested| {
            tested.results.iter().map(|(case, verdict, took)| (&tested.file, &tested.file.cases[*case], verdict, *took))
        })
    }
}

/// Runs, prints, and says by exit code whether all is well.
///
/// # Errors
/// When a result cannot be written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut run = Run::default();
    for path in &args.files {
        one_file(path, args, &mut run);
    }
    let covered = (args.coverage || args.min_coverage.is_some())
        .then(|| run.coverage.items(run.setups.iter().map(|setup| &setup.rules)));
    if let Some(path) = &args.junit {
        write_junit(&run, path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    match args.output {
        Output::Text => text(&run, covered.as_deref())?,
        Output::Json => as_json(&run, covered.as_deref())?,
    }
    let broken = run.findings.iter().any(Diagnostic::is_error);
    let failed = run.results().any(|(_, _, verdict, _)| !verdict.passed());
    let thin = covered.is_some_and(|items| percent(&items) < f64::from(args.min_coverage.unwrap_or(0)));
    if thin && args.output == Output::Text {
        let least = args.min_coverage.unwrap_or(0);
        anstream::println!("{FAIL}less than the {least}% that --min-coverage asks for{FAIL:#}");
    }
    let nothing = run.results().next().is_none() && !broken;
    if nothing {
        anstream::eprintln!("error: no test to run{}", if args.run.is_some() { ": --run fits none" } else { "" });
    }
    Ok(if broken || failed || thin || nothing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn one_file(path: &Path, args: &Args, run: &mut Run) {
    let source = match config::read_source(&path.display().to_string(), path) {
        Ok(source) => source,
        Err(finding) => return run.findings.push(*finding),
    };
    let (file, mut findings) = ruletest::read(&source);
    let compiled = if findings.iter().any(Diagnostic::is_error) {
        Vec::new()
    } else {
        rules_of(&file, path.parent().unwrap_or(Path::new("")), &mut findings)
    };
    let rules = Rules::of(compiled);
    if !findings.iter().any(Diagnostic::is_error) {
        findings.extend(file.check_names(&rules));
    }
    let broken = findings.iter().any(Diagnostic::is_error);
    // Warnings about rule files are left to `check`.
    run.findings.extend(findings.into_iter().filter(Diagnostic::is_error));
    if broken {
        return;
    }
    let setup = ruletest::setup(rules, &file.cases);
    let mut coverage = Coverage::default();
    let mut results = Vec::new();
    for (place, case) in file.cases.iter().enumerate() {
        if args.run.as_ref().is_none_or(|filter| filter.takes(&case.name)) {
            let begun = clock::monotonic();
            let verdict = ruletest::run(case, &setup, &mut coverage);
            results.push((place, verdict, begun.elapsed()));
        }
    }
    run.coverage.add(coverage);
    run.setups.push(setup);
    run.files.push(Tested { file, results });
}

/// The rules that a test file names, each item of `rule_files` as an entry of its own.
fn rules_of(file: &TestFile, folder: &Path, findings: &mut Vec<Diagnostic>) -> Vec<Compiled> {
    let mut rules = Vec::new();
    let mut known: HashSet<PathBuf> = HashSet::new();
    for (entry, (written, span)) in (0..).zip(&file.rule_files) {
        let paths = config::expand(written, folder);
        if paths.is_empty() {
            let help = "paths are relative to the folder of the test file";
            let finding = Diagnostic::error(&file.source, span.clone(), format!("`{written}` is not a file"));
            findings.push(finding.help(help));
        }
        for path in paths {
            let path = tidy(&folder.join(path));
            if !known.insert(path.clone()) {
                continue;
            }
            match config::lone_rule_file(&path, entry, Names::default()) {
                Ok(rule_file) => {
                    let mut compiled = compile(&rule_file);
                    findings.append(&mut compiled.diagnostics);
                    rules.push(compiled);
                }
                Err(finding) => findings.push(*finding),
            }
        }
    }
    rules
}

/// The path without `.` and, where that is safe, without `..`: coverage identifies rules by it.
fn tidy(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut so_far, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(so_far.components().next_back(), Some(Component::Normal(_))) => {
                so_far.pop();
            }
            other => so_far.push(other),
        }
        so_far
    })
}

fn percent(items: &[(Item, bool)]) -> f64 {
    let fired = items.iter().filter(|(_, fired)| *fired).count();
    if items.is_empty() { 100.0 } else { 100.0 * fired as f64 / items.len() as f64 }
}

fn text(run: &Run, covered: Option<&[(Item, bool)]>) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    render::findings(&mut out, &run.findings)?;
    let (mut passed, mut failed) = (0, 0);
    let mut took = Duration::ZERO;
    for (file, case, verdict, time) in run.results() {
        took += time;
        if verdict.passed() {
            passed += 1;
        } else {
            failed += 1;
            write!(out, "{}", Difference { file, case, verdict })?;
        }
    }
    if let Some(items) = covered {
        for (item, _) in items.iter().filter(|(_, fired)| !fired) {
            writeln!(out, "not fired: {item}")?;
        }
        let fired = items.iter().filter(|(_, fired)| *fired).count();
        writeln!(out, "coverage: {fired} of {} rules and steps, {:.0}%", items.len(), percent(items).floor())?;
    }
    if passed + failed > 0 {
        let word = if failed == 0 { format!("{PASS}ok{PASS:#}") } else { format!("{FAIL}FAILED{FAIL:#}") };
        writeln!(out, "{word}: {passed} passed, {failed} failed, in {:.2} s", took.as_secs_f64())?;
    }
    Ok(())
}

/// How the notices differ from the expected ones, in time order.
struct Difference<'a> {
    file: &'a TestFile,
    case: &'a Case,
    verdict: &'a CaseResult,
}

impl Difference<'_> {
    /// Prints what an unexpected notice says, where a missing one is about the same and expects something else.
    fn closer(&self, actual: &ruletest::Actual, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let missing = self.verdict.missing.iter().map(|place| &self.case.expected[*place]);
        let about: Vec<&Expected> = missing.filter(|expected| expected.is_about(actual)).collect();
        if about.iter().any(|expected| expected.severity.is_some_and(|severity| severity != actual.severity)) {
            writeln!(f, "        {DIM}severity: {}{DIM:#}", actual.severity.as_str())?;
        }
        let other_text = |text: &Pattern| !text.matches(actual.text.trim());
        if about.iter().any(|expected| expected.text.as_ref().is_some_and(other_text)) {
            writeln!(f, "        {DIM}text:{DIM:#}")?;
            actual.text.trim().lines().try_for_each(|line| writeln!(f, "        {DIM}| {line}{DIM:#}"))?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, case, verdict } = self;
        let place = |at: usize| file.source.position(at).0;
        writeln!(f, "{FAIL}FAIL{FAIL:#} {}  {DIM}{}:{}{DIM:#}", case.name, file.source.shown, place(case.at.start))?;
        for line in lines(case, verdict) {
            match line {
                Line::Same(expected) => writeln!(f, "      {DIM}{expected}{DIM:#}")?,
                Line::Missing(expected) => {
                    writeln!(f, "    {FAIL}-{FAIL:#} {expected}  {DIM}line {}{DIM:#}", place(expected.span.start))?;
                }
                Line::Unexpected(actual) => {
                    writeln!(f, "    {PASS}+{PASS:#} {actual}  {DIM}{}{DIM:#}", actual.title)?;
                    self.closer(actual, f)?;
                }
            }
        }
        for (rule, until) in &verdict.waiting {
            let rule = &rule.name;
            writeln!(
                f,
                "      {DIM}a notice of {rule} waits until {}: let the rows last longer{DIM:#}",
                offset(*until)
            )?;
        }
        let (missing, unexpected) =
            (verdict.missing.len(), verdict.told.iter().filter(|(_, fulfils)| fulfils.is_none()).count());
        writeln!(f, "    {DIM}- {missing} that must come and did not, + {unexpected} that came and must not{DIM:#}\n")
    }
}

enum Line<'a> {
    Same(&'a Expected),
    Missing(&'a Expected),
    Unexpected(&'a ruletest::Actual),
}

/// A missing notice is listed at its time, or after the one that is written before it.
fn lines<'a>(case: &'a Case, verdict: &'a CaseResult) -> Vec<Line<'a>> {
    let mut lines: Vec<(Duration, Line<'a>)> = Vec::new();
    let mut last = Duration::ZERO;
    for (place, expected) in case.expected.iter().enumerate() {
        let told = verdict.told.iter().find(|(_, fulfils)| *fulfils == Some(place));
        last = expected.at.or(told.map(|(actual, _)| actual.at)).unwrap_or(last);
        lines.push((last, if told.is_some() { Line::Same(expected) } else { Line::Missing(expected) }));
    }
    let unexpected = verdict.told.iter().filter(|(_, fulfils)| fulfils.is_none());
    lines.extend(unexpected.map(|(actual, _)| (actual.at, Line::Unexpected(actual))));
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(_, line)| line).collect()
}

fn as_json(run: &Run, covered: Option<&[(Item, bool)]>) -> io::Result<()> {
    let tests: Vec<_> = run
        .results()
        .map(|(file, case, verdict, took)| {
            let unexpected = verdict.told.iter().filter(|(_, fulfils)| fulfils.is_none());
            json!({
                "file": file.source.shown,
                "line": file.source.position(case.at.start).0,
                "name": case.name,
                "passed": verdict.passed(),
                "seconds": took.as_secs_f64(),
                "missing": verdict.missing.iter().map(|at| case.expected[*at].to_string()).collect::<Vec<_>>(),
                "unexpected": unexpected.map(|(actual, _)| actual.to_string()).collect::<Vec<_>>(),
            })
        })
        .collect();
    let coverage = covered.map(|items| {
        let not_fired: Vec<_> = items.iter().filter(|(_, fired)| !fired).map(|(item, _)| item.to_string()).collect();
        json!({"percent": percent(items), "items": items.len(), "not_fired": not_fired})
    });
    let errors: Vec<String> = run.findings.iter().map(Diagnostic::to_string).collect();
    super::print_json(&json!({"tests": tests, "errors": errors, "coverage": coverage}))
}

fn write_junit(run: &Run, path: &Path) -> anyhow::Result<()> {
    let mut suites: Vec<Suite> = run.files.iter().map(suite).collect();
    let broken = run.findings.iter().filter(|finding| finding.is_error()).map(|finding| junit::Case {
        name: finding.source.shown.to_string(),
        took: None,
        fault: Some(Fault::Error(finding.to_string())),
    });
    let broken: Vec<junit::Case> = broken.collect();
    if !broken.is_empty() {
        suites.push(Suite { name: "files that cannot be read".to_owned(), cases: broken });
    }
    Ok(junit::write(std::io::BufWriter::new(std::fs::File::create(path)?), &suites)?)
}

fn suite(tested: &Tested) -> Suite {
    let cases = tested.results.iter().map(|(case, verdict, took)| {
        let case = &tested.file.cases[*case];
        let difference = Difference { file: &tested.file, case, verdict };
        let failure = || anstream::adapter::strip_str(&difference.to_string()).to_string();
        let fault = (!verdict.passed()).then(|| Fault::Failure(failure()));
        junit::Case { name: case.name.clone(), took: Some(*took), fault }
    });
    Suite { name: tested.file.source.shown.to_string(), cases: cases.collect() }
}
