//! `podbell backtest`: what rules would have told of recorded polls.
//!
//! Reads files and prints; what counts is [`crate::core::backtest`]'s.

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, bail};
use clap::ValueEnum;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::setup;
use crate::clock;
use crate::config::SourceConfig;
use crate::core::backtest::{self, Backtest, Because, Report, Untold};
use crate::core::history::Polls;
use crate::core::message::{Language, Message, Style as Reader, compose, number};
use crate::core::notice::{Notice, NoticeBody};
use crate::core::rules::rule::{Destination, Field, RuleKey};
use crate::core::rules::{Names, Rules, builtin};
use crate::core::source::PollError;
use crate::core::time::Time;
use crate::sources::SourceEvent;
use crate::sources::file::{FileConfig, open};
use crate::sources::recording::{RecordedPoll, Recording, RecordingError, Scope};
use crate::store::{HISTORY, History, Store};

const EXAMPLES: &str = "\
Examples:
  podbell backtest --last 24h                               what podbell.yaml's rules would tell of the service's own history
  podbell backtest --last 24h --compare changed.yaml        what other rules would add and take away
  podbell backtest monday.jsonl                             what the built-in rules would have told
  podbell backtest monday.jsonl --rules rules/*.yaml        what these would have told
  podbell backtest monday.jsonl --rules old.yaml --compare new.yaml
  zcat monday.jsonl.gz | podbell backtest - --output json

`podbell record` makes recordings; `podbell emulate make-play` makes one of a single list.";

/// The source of everything that is recorded.
const SOURCE: &str = "recording";
/// So many lines of each table are printed.
const MOST_LINES: usize = 20;
/// How often progress is shown, in polls.
const PROGRESS: u64 = 5_000;

const ADDED: Style = AnsiColor::Green.on_default();
const GONE: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();
const HEAD: Style = Style::new().bold();

/// What to test on what.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Recordings; `-` is standard input.
    #[arg(value_name = "RECORDING", required_unless_present = "last")]
    recordings: Vec<PathBuf>,
    /// The running service's own history instead, up to 24h back; its store may be in use.
    #[arg(long, value_name = "DURATION", conflicts_with = "recordings", value_parser = super::emulate::duration)]
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
    /// Whose wall clock the recordings show.
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    time_zone: TimeZone,
    /// What recordings leave open: the cluster.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// What recordings leave open: the namespace.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// What recordings leave open: the service.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Count only: no line for each notice.
    #[arg(long)]
    summary: bool,
    /// How to print the results.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// How to print the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For machines.
    Json,
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("{name} is no time zone; write one such as Asia/Shanghai"))
}

/// Runs, prints, and says by exit code whether it could be done.
///
/// # Errors
/// When a recording cannot be read.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
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

/// Prints what came of it; `skipped` says what was left out.
fn print(args: &Args, sets: Vec<Backtest>, skipped: usize) -> anyhow::Result<ExitCode> {
    let reports: Vec<Report> = sets.into_iter().map(Backtest::finish).collect();
    match (reports.as_slice(), args.output) {
        ([report], Output::Text) => text(report, args)?,
        ([report], Output::Json) => print_json(&as_json(report, skipped, args))?,
        ([before, after], Output::Text) => difference(before, after, args)?,
        ([before, after], Output::Json) => {
            print_json(&json!({"rules": as_json(before, skipped, args), "compare": as_json(after, skipped, args)}))?;
        }
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The running service's own history, under the rules of podbell.yaml unless others are named.
fn of_history(args: &Args, last: Duration) -> anyhow::Result<ExitCode> {
    let (config, loaded) = setup::load(&args.config)?;
    let store = Store::beside(setup::store_path(&config))?;
    let names: Vec<Arc<str>> = config.sources.iter().map(|source| Arc::from(source.name())).collect();
    let first = match args.rules.as_slice() {
        [] => Some(setup::rules(&args.config, &config, loaded)?),
        files => rules(files)?,
    };
    let second = if args.compare.is_empty() { None } else { Some(rules(&args.compare)?) };
    let (Some(first), false) = (first, matches!(second, Some(None))) else { return Ok(ExitCode::FAILURE) };
    let all = [Some(first), second.flatten()].into_iter().flatten();
    let mut sets: Vec<Backtest> = all.map(|rules| Backtest::new(backtest::setup(rules, names.clone()))).collect();
    let now = clock::now();
    let since = now.minus(last.min(HISTORY));
    let history = store.history(since)?;
    if args.output == Output::Text {
        say_history(&history, since, args);
    }
    let every = |name: &str| {
        let source = config.sources.iter().find(|source| source.name() == name);
        source.map_or(Duration::from_secs(60), SourceConfig::poll_every)
    };
    let error =
        PollError { code: "failed".into(), text: "it could not be read".into(), advice: String::new(), gone: false };
    for poll in Polls::new(history.observations, since, now, every) {
        for set in &mut sets {
            set.poll(&poll.target, poll.events.as_deref().ok_or(&error), poll.at);
        }
    }
    print(args, sets, usize::try_from(history.lost).unwrap_or(usize::MAX))
}

/// What the reader should know of the history.
fn say_history(history: &History, since: Time, args: &Args) {
    let zoned = |time: Time| {
        let at = jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default();
        at.to_zoned(args.time_zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    let from = history.from.unwrap_or(since).max(since);
    anstream::eprintln!("The service's own history from {} on; what was open before begins anew.", zoned(from));
    if history.lost > 0 {
        anstream::eprintln!("{} changes are missing: their episodes are no longer known.", number(history.lost));
    }
}

/// The rules of these files, each an entry of its own. `None` after mistakes, which are printed.
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

    /// When its next poll was; before all others where it is broken, so that this is reported.
    fn at(&self) -> Option<Option<Time>> {
        self.next.as_ref().map(|next| next.as_ref().ok().map(|poll| poll.at))
    }

    fn take(&mut self) -> anyhow::Result<Option<RecordedPoll>> {
        let next = self.recording.next();
        let poll = std::mem::replace(&mut self.next, next).transpose().with_context(|| self.name.clone())?;
        self.polls += u64::from(poll.is_some());
        Ok(poll)
    }

    /// What came of it that the results do not show.
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

/// Plays all recordings together, in the order of time. Says how many entries were left out.
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
        left_open.extend(open_fields(&source.scope, &poll.scope));
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
        anstream::eprintln!("note: rules look at the {name}, which the recording leaves open: say it with --{name}");
    }
    readings.iter().map(Reading::finish).sum()
}

/// What neither the command line nor a poll says of where it was made.
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
            // A recording holds nothing else.
            SourceEvent::Roster { .. } | SourceEvent::DiscoveryFailed { .. } => {}
        }
    }
}

fn message(notice: &Notice, zone: &TimeZone) -> Message {
    compose(notice, &Reader { language: Language::En, time_zone: zone.clone(), now: notice.made_at })
}

/// One notice on one line.
fn line(notice: &Notice, zone: &TimeZone) -> String {
    let at = jiff::Timestamp::from_millisecond(notice.made_at.millis()).unwrap_or_default();
    let at = at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S");
    let rule = match &notice.body {
        NoticeBody::Incident(story) => format!("{} → {}  ", story.rule.name, notice.to.join(", ")),
        _ => String::new(),
    };
    format!("{at}  {rule}{}", message(notice, zone).title)
}

fn text(report: &Report, args: &Args) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    if !args.summary {
        for notice in &report.notices {
            writeln!(out, "{}", line(notice, &args.time_zone))?;
        }
        if !report.notices.is_empty() {
            writeln!(out)?;
        }
    }
    writeln!(out, "{HEAD}{}{HEAD:#}", totals(report))?;
    let destinations: BTreeSet<&Destination> = report.messages.iter().map(|sent| &sent.to).collect();
    for name in destinations {
        let messages = report.messages.iter().filter(|sent| sent.to == *name);
        let digests = messages.clone().filter(|sent| is_digest(report, &sent.notices)).count();
        writeln!(out, "  to {name}: {} messages, {digests} of them digests", number(messages.count() as u64))?;
    }
    table(&mut out, "notices by rule", report.by_rule.iter().map(|(rule, n)| (*n, rule.to_string())))?;
    table(&mut out, "noisiest workloads", workloads(report))?;
    let never: Vec<String> =
        report.by_rule.iter().filter(|(_, n)| **n == 0).map(|(rule, _)| rule.to_string()).collect();
    if !never.is_empty() {
        writeln!(out, "\n{HEAD}rules that never told anything{HEAD:#}")?;
        never.iter().take(MOST_LINES).try_for_each(|rule| writeln!(out, "  {rule}"))?;
    }
    if !report.untold.is_empty() {
        writeln!(out, "\n{HEAD}Warnings that nobody was told of{HEAD:#}")?;
        for untold in report.untold.iter().take(MOST_LINES) {
            writeln!(out, "  {}", untold_line(untold))?;
        }
        let more = report.untold.len().saturating_sub(MOST_LINES);
        if more > 0 {
            writeln!(out, "  {DIM}and {more} more{DIM:#}")?;
        }
    }
    Ok(())
}

fn totals(report: &Report) -> String {
    format!(
        "{} polls ({} failed), {} events : {} Warning changes : {} incidents : {} notices : {} messages",
        number(report.polls),
        number(report.failed_polls),
        number(report.events),
        number(report.warning_changes),
        number(incidents(report).len() as u64),
        number(report.notices.len() as u64),
        number(report.messages.len() as u64),
    )
}

fn incidents(report: &Report) -> BTreeSet<u64> {
    report.notices.iter().filter_map(|notice| notice.body.incident()).collect()
}

/// Whether a message told more than one incident.
fn is_digest(report: &Report, notices: &[u64]) -> bool {
    let incident = |id: &u64| {
        let place = report.notices.binary_search_by_key(id, |notice| notice.id).ok()?;
        report.notices[place].body.incident()
    };
    notices.iter().filter_map(incident).collect::<BTreeSet<u64>>().len() > 1
}

fn workloads(report: &Report) -> impl Iterator<Item = (u64, String)> {
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    for notice in &report.notices {
        if let NoticeBody::Incident(story) = &notice.body {
            *counts.entry(format!("{}/{}", story.namespace, story.workload)).or_default() += 1;
        }
    }
    counts.into_iter().map(|(name, n)| (n, name))
}

/// The largest first; what is 0 stands elsewhere.
fn table(out: &mut impl Write, head: &str, rows: impl Iterator<Item = (u64, String)>) -> io::Result<()> {
    let mut rows: Vec<(u64, String)> = rows.filter(|(n, _)| *n > 0).collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    writeln!(out, "\n{HEAD}{head}{HEAD:#}")?;
    for (n, name) in rows.iter().take(MOST_LINES) {
        writeln!(out, "  {:>7}  {name}", number(*n))?;
    }
    let more = rows.len().saturating_sub(MOST_LINES);
    if more > 0 { writeln!(out, "  {DIM}and {more} more{DIM:#}") } else { Ok(()) }
}

fn untold_line(untold: &Untold) -> String {
    let Untold { namespace, workload, reason, changes, occurrences, .. } = untold;
    let (changes, times) = (number(*changes), number(*occurrences));
    format!("{changes:>7} changes, {times} times  {namespace}/{workload} {reason}: {}", because(&untold.because))
}

fn because(because: &Because) -> String {
    match because {
        Because::NoRule => "no rule is about it".to_owned(),
        Because::Ignored(rule) => format!("ignored by {rule}"),
        Because::TooFew(rule) => format!("too few for open_when of {rule}"),
        Because::Held(rule) => format!("held back: see `active`, `maintenance` and `inhibit` of {rule}"),
        Because::TooLate(rule) => format!("the recording ended before {rule} told it"),
    }
}

/// What is the same notice under either set of rules: a rule may have another name in the other.
type Same<'a> = (i64, &'static str, String, Vec<&'a str>);

fn same(notice: &Notice) -> Same<'_> {
    let place = match &notice.body {
        NoticeBody::Incident(story) => format!("{}/{}/{}", story.cluster, story.namespace, story.workload),
        _ => String::new(),
    };
    let mut to: Vec<&str> = notice.to.iter().map(|name| &**name).collect();
    to.sort_unstable();
    (notice.caused_at.millis(), notice.kind.as_str(), place, to)
}

fn difference(before: &Report, after: &Report, args: &Args) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    let (old, new): (BTreeSet<Same<'_>>, BTreeSet<Same<'_>>) =
        (before.notices.iter().map(same).collect(), after.notices.iter().map(same).collect());
    let gone = before.notices.iter().filter(|notice| !new.contains(&same(notice))).map(|notice| (notice, false));
    let added = after.notices.iter().filter(|notice| !old.contains(&same(notice))).map(|notice| (notice, true));
    let mut all: Vec<(&Notice, bool)> = gone.chain(added).collect();
    all.sort_by_key(|(notice, _)| (notice.made_at, notice.id));
    for (notice, added) in &all {
        let (sign, style) = if *added { ("+", ADDED) } else { ("-", GONE) };
        writeln!(out, "{style}{sign} {}{style:#}", line(notice, &args.time_zone))?;
    }
    if !all.is_empty() {
        writeln!(out)?;
    }
    let added = all.iter().filter(|(_, added)| *added).count();
    writeln!(out, "--rules:   {}", totals(before))?;
    writeln!(out, "--compare: {}", totals(after))?;
    writeln!(out, "{HEAD}{added} notices more, {} fewer{HEAD:#}", all.len() - added)
}

fn as_json(report: &Report, skipped: usize, args: &Args) -> Value {
    let zone = &args.time_zone;
    let time = |at: Time| jiff::Timestamp::from_millisecond(at.millis()).map(|at| at.to_string()).unwrap_or_default();
    let notice = |notice: &Notice| {
        let NoticeBody::Incident(story) = &notice.body else { return None };
        let message = message(notice, zone);
        Some(json!({
            "at": time(notice.made_at),
            "caused_at": time(notice.caused_at),
            "notice": notice.kind.as_str(),
            "rule": story.rule.name,
            "rule_file": story.rule.file,
            "incident": story.incident,
            "severity": notice.severity.as_str(),
            "to": notice.to,
            "text": message.text(),
            "title": message.title,
            "cluster": story.cluster,
            "namespace": story.namespace,
            "workload": story.workload,
            "reasons": story.reasons.iter().map(|reason| &reason.reason).collect::<Vec<_>>(),
            "occurrences": story.occurrences,
            "objects": story.objects,
        }))
    };
    let untold = |untold: &Untold| {
        json!({
            "cluster": untold.cluster,
            "namespace": untold.namespace,
            "workload": untold.workload,
            "reason": untold.reason,
            "because": because(&untold.because),
            "changes": untold.changes,
            "occurrences": untold.occurrences,
        })
    };
    let never: Vec<&RuleKey> = report.by_rule.iter().filter(|(_, n)| **n == 0).map(|(rule, _)| rule).collect();
    json!({
        "polls": report.polls,
        "failed_polls": report.failed_polls,
        "events": report.events,
        "skipped_entries": skipped,
        "warning_changes": report.warning_changes,
        "incidents": incidents(report).len(),
        "notices": report.notices.iter().filter_map(notice).collect::<Vec<_>>(),
        "messages": report.messages.len(),
        "open": report.open,
        "never_fired": never.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "untold": report.untold.iter().map(untold).collect::<Vec<_>>(),
    })
}

fn print_json(value: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}
