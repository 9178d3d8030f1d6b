//! `podbell backtest`: what rules would have told of recorded polls.
//!
//! Reads files; what counts is [`podbell_core::backtest`]'s, what is printed is `report`'s.

mod report;

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::tz::TimeZone;
use serde_json::json;

use super::{Output, setup};
use crate::clock;
use crate::components::recordings::recording::{RecordedOutcome, RecordedPoll, Recording, RecordingError, Scope};
use crate::components::recordings::{FileConfig, open};
use crate::sources::SourceEvent;
use podbell_core::backtest::{self, Backtest, Report};
use podbell_core::history::Polls;
use podbell_core::rule::{Destination, Field};
use podbell_core::rules::{Names, Rules, builtin};
use podbell_core::time::Time;
use podbell_core::translations::number;
use podbell_store::{HISTORY, History};

const EXAMPLES: &str = "\
Examples:
  podbell backtest --last 24h                               what podbell.yaml's rules would tell of the service's own history
  podbell backtest --last 24h --compare changed.yaml        what other rules would add and take away
  podbell backtest monday.jsonl                             what the built-in rules would have told
  podbell backtest monday.jsonl --rules rules/*.yaml        what these would have told
  podbell backtest monday.jsonl --rules old.yaml --compare new.yaml
  zcat monday.jsonl.gz | podbell backtest - --output json

`podbell record` makes recordings; `podbell emulate make-play` makes one of a single list.";

/// The source of all recorded targets.
const SOURCE: &str = "recording";
/// How often progress is shown, in polls.
const PROGRESS: u64 = 5_000;

/// What to test on what.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recordings; `-` is standard input.
    #[arg(value_name = "RECORDING", required_unless_present = "last")]
    recordings: Vec<PathBuf>,
    /// The running service's own history instead, up to 24h back; its store may be in use.
    #[arg(long, value_name = "DURATION", conflicts_with = "recordings", value_parser = last)]
    last: Option<Duration>,
    /// With --last: the configuration, for the store and the rules.
    #[arg(long, value_name = "FILE", default_value = "podbell.yaml")]
    config: PathBuf,
    /// Rule files [default: the built-in rules, told to `chat`; with --last those of podbell.yaml].
    #[arg(long, value_name = "FILE", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// Other rule files: print only what they would tell otherwise.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    compare: Vec<PathBuf>,
    /// The time zone of the times in recordings.
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = super::values::time_zone)]
    time_zone: TimeZone,
    /// The cluster of recorded polls that name none.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The namespace of recorded polls that name none.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// The service of recorded polls that name none.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Count only: no line for each notice.
    #[arg(long)]
    summary: bool,
    /// How to print the results.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

fn last(text: &str) -> anyhow::Result<Duration> {
    let last = podbell_core::yaml::parse_duration(text)?;
    anyhow::ensure!(last <= HISTORY, "podbell keeps the history of 24h");
    Ok(last)
}

/// Runs, prints, and says by exit code whether it could be done.
///
/// # Errors
/// When a recording cannot be read.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(last) = args.last {
        return of_history(args, last);
    }
    let mut sets = Vec::new();
    for files in [Some(&args.rules), (!args.compare.is_empty()).then_some(&args.compare)].into_iter().flatten() {
        let Some(rules) = rules(files)? else { return Ok(ExitCode::FAILURE) };
        sets.push(Backtest::new(backtest::setup(rules, [Arc::from(SOURCE)])));
    }
    let skipped = play(args, &mut sets)?;
    print(args, sets, skipped)
}

/// Prints the results; `skipped` is the number of entries left out.
fn print(args: &Args, sets: Vec<Backtest>, skipped: usize) -> anyhow::Result<ExitCode> {
    let reports: Vec<Report> = sets.into_iter().map(Backtest::finish).collect();
    match (reports.as_slice(), args.output) {
        ([report], Output::Text) => report::text(report, args)?,
        ([report], Output::Json) => super::print_json(&report::as_json(report, skipped, args))?,
        ([before, after], Output::Text) => report::difference(before, after, args)?,
        ([before, after], Output::Json) => {
            super::print_json(
                &json!({"rules": report::as_json(before, skipped, args), "compare": report::as_json(after, skipped, args)}),
            )?;
        }
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Backtests the running service's own history, under the rules of podbell.yaml unless others are named.
fn of_history(args: &Args, last: Duration) -> anyhow::Result<ExitCode> {
    let (config, loaded) = setup::load(&args.config)?;
    let store = setup::store(&config)?;
    let names: Vec<Arc<str>> = config.sources.iter().map(|source| Arc::from(source.name.as_str())).collect();
    let first = match args.rules.as_slice() {
        [] => Some(setup::rules(&args.config, &config, loaded)?),
        files => rules(files)?,
    };
    let second = if args.compare.is_empty() { None } else { Some(rules(&args.compare)?) };
    let (Some(first), false) = (first, matches!(second, Some(None))) else { return Ok(ExitCode::FAILURE) };
    let all = [Some(first), second.flatten()].into_iter().flatten();
    let mut sets: Vec<Backtest> = all.map(|rules| Backtest::new(backtest::setup(rules, names.clone()))).collect();
    let now = clock::now();
    let since = now.minus(last);
    let history = store.reader()?.snapshot()?.history(since)?;
    if args.output == Output::Text {
        say_history(&history, since, args);
    }
    let every = |name: &str| {
        let source = config.sources.iter().find(|source| source.name == name);
        source.map_or(Duration::from_secs(60), |source| source.facts.rhythm.wished())
    };
    backtest::play(&mut sets, Polls::new(history.observations, since, now, every), history.reports);
    print(args, sets, usize::try_from(history.lost).unwrap_or(usize::MAX))
}

/// Prints what the reader should know of the history.
fn say_history(history: &History, since: Time, args: &Args) {
    let zoned =
        |time: Time| time.timestamp().to_zoned(args.time_zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let from = history.from.unwrap_or(since).max(since);
    anstream::eprintln!("The service's own history from {} on; what was open before begins anew.", zoned(from));
    if history.lost > 0 {
        anstream::eprintln!("{} changes are missing: their episodes are no longer known.", number(history.lost));
    }
}

/// The rules of these files, each file as an entry of its own. `None` after mistakes, which are printed.
fn rules(files: &[PathBuf]) -> io::Result<Option<Rules>> {
    if files.is_empty() {
        return Ok(Some(builtin::rules(&[Destination::from("chat")])));
    }
    setup::rules_of(files, &Names::default())
}

/// A recording, read one poll ahead.
struct Reading {
    name: String,
    recording: Recording<Box<dyn BufRead + Send>>,
    next: Option<Result<RecordedPoll, RecordingError>>,
    polls: u64,
}

impl Reading {
    fn open(path: &Path, zone: &TimeZone) -> anyhow::Result<Self> {
        let name = if path == Path::new("-") { "standard input".into() } else { path.display().to_string() };
        let mut recording = open(path, zone.clone()).with_context(|| format!("cannot read {name}"))?;
        let next = recording.next();
        Ok(Self { name, recording, next, polls: 0 })
    }

    /// When its next poll was. A broken recording comes before all others, so that its error is reported.
    fn at(&self) -> Option<Option<Time>> {
        self.next.as_ref().map(|next| next.as_ref().ok().map(|poll| poll.at))
    }

    fn take(&mut self) -> anyhow::Result<Option<RecordedPoll>> {
        let next = self.recording.next();
        let poll = std::mem::replace(&mut self.next, next).transpose().with_context(|| self.name.clone())?;
        self.polls += u64::from(poll.is_some());
        Ok(poll)
    }

    /// Prints what the results do not show, and returns how many entries were left out.
    fn finish(&self) -> anyhow::Result<usize> {
        if self.polls == 0 {
            bail!("{}: there is no poll in it", self.name);
        }
        let skipped = self.recording.skipped();
        if let Some(line) = self.recording.first_skipped() {
            let entries = if skipped == 1 { "entry" } else { "entries" };
            let (name, many) = (&self.name, number(skipped as u64));
            anstream::eprintln!(
                "warning: {name}: left out {many} {entries} that cannot be understood, first in line {line}"
            );
        }
        Ok(skipped)
    }
}

/// Plays all recordings together, in time order. Returns how many entries were left out.
fn play(args: &Args, sets: &mut [Backtest]) -> anyhow::Result<usize> {
    let opened = args.recordings.iter().map(|path| Reading::open(path, &args.time_zone));
    let mut readings = opened.collect::<anyhow::Result<Vec<Reading>>>()?;
    let scope =
        Scope { cluster: args.cluster.clone(), namespace: args.namespace.clone(), service: args.service.clone() };
    let source = FileConfig { scope, ..FileConfig::new(SOURCE, "") };
    let progress = io::stderr().is_terminal();
    let mut polls = 0;
    let mut left_open = BTreeSet::new();
    loop {
        let next = readings.iter_mut().enumerate().filter_map(|(place, one)| Some((one.at()?, place))).min();
        let Some((_, place)) = next else { break };
        let Some(poll) = readings[place].take()? else { continue };
        // These are about no service.
        if !matches!(poll.outcome, RecordedOutcome::Deleted(_) | RecordedOutcome::Watched) {
            left_open.extend(open_fields(&source.scope, &poll.scope));
        }
        feed(&source, poll, sets);
        polls += 1;
        if progress && polls % PROGRESS == 0 {
            eprint!("\r{} polls ", number(polls));
        }
    }
    if progress && polls >= PROGRESS {
        eprintln!("\r{} polls", number(polls));
    }
    for field in left_open.into_iter().filter(|field| sets.iter().any(|set| set.looks_at(*field))) {
        let name = field.as_str();
        anstream::eprintln!(
            "note: rules look at the {name}, which some recorded polls do not name: give it with --{name}"
        );
    }
    readings.iter().map(Reading::finish).sum()
}

/// The fields that neither the command line nor a poll names.
fn open_fields(said: &Scope, poll: &Scope) -> impl Iterator<Item = Field> {
    let fields = [
        (Field::Cluster, said.cluster.is_none() && poll.cluster.is_none()),
        (Field::Namespace, said.namespace.is_none() && poll.namespace.is_none()),
        (Field::Service, said.service.is_none() && poll.service.is_none()),
    ];
    fields.into_iter().filter(|(_, open)| *open).map(|(field, _)| field)
}

fn feed(source: &FileConfig, poll: RecordedPoll, sets: &mut [Backtest]) {
    let event = source.event(poll);
    for set in sets {
        match &event {
            SourceEvent::Polled { target, at, events } => set.poll(target, Ok(events), *at),
            SourceEvent::Failed { target, at, error } => set.poll(target, Err(error), *at),
            SourceEvent::Health { at, reports } => set.health(reports, *at),
            SourceEvent::Templates { at, reports } => set.templates(reports, *at),
            SourceEvent::Deleted { source, at, objects } => set.deleted(source, objects, *at),
            SourceEvent::WatchProgress { covers, at, .. } => set.watched(covers, *at),
            // A recording contains nothing else.
            _ => {}
        }
    }
}
