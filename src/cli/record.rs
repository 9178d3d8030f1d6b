//! `podbell record`: what the sources of podbell.yaml show, as a recording.
//!
//! Writes and flushes one line per poll, so that a recording ends with a whole line however it is stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::logs::{self, LogArgs};
use super::setup::{self, ConfigArgs};
use crate::app::assemble;
use crate::app::reload::rule_files;
use crate::components::recordings::recording::{
    RecordedHealth, RecordedObject, RecordedOutcome, RecordedPoll, RecordedTemplate, Scope,
};
use crate::components::recordings::written::write_poll;
use crate::config::{Config, StoreConfig};
use crate::sources::wall_clock::WallClock;
use crate::sources::{ObjectName, SourceEvent};
use podbell_core::event::Target;
use podbell_core::metadata::MetadataKey;
use podbell_core::time::Time;
use podbell_core::translations::number;

const EXAMPLES: &str = "\
Examples:
  podbell record --out monday.jsonl --for 8h       then: podbell backtest monday.jsonl --rules rules/*.yaml
  podbell record --source prod | gzip > prod.jsonl.gz

Times are UTC. A recording that is there already goes on. Only the sources' secrets are needed; a service that
runs is not disturbed, but its requests come on top of these.";

/// How long polls in flight may take at the end.
const END: Duration = Duration::from_secs(10);

/// What to record.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// The source [default: the only one].
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Where to write [default: standard output].
    #[arg(long, value_name = "FILE.jsonl")]
    out: Option<PathBuf>,
    /// End by itself after so long.
    #[arg(long = "for", value_name = "DURATION", value_parser = podbell_core::yaml::parse_duration)]
    length: Option<Duration>,
    #[command(flatten)]
    logs: LogArgs,
}

/// Records until told to stop.
///
/// # Errors
/// When the configuration is wrong or the recording cannot be written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    logs::start(&args.logs);
    let (mut config, loaded) = setup::load(&args.config.config)?;
    // Labels that no rule looks at are of no use to a backtest of these rules.
    let keys = rule_files(loaded, &config).in_force(&BTreeMap::new()).rules.metadata_keys();
    let known: Vec<String> = config.sources.iter().map(|source| source.name.clone()).collect();
    let wanted = match (&args.source, known.as_slice()) {
        (Some(name), known) if !known.contains(name) => {
            bail!("there is no source {name}; there are: {}", known.join(", "))
        }
        (Some(name), _) => name.clone(),
        (None, [only]) => only.clone(),
        (None, many) => bail!("a recording is of one source: choose one of {} with --source", many.join(", ")),
    };
    // Drop everything else: its secrets need not be available.
    config.sources.retain(|source| source.name == wanted);
    config.notifiers.clear();
    config.drop_what_is_served();
    config.store = StoreConfig::beside(Path::new(""));
    let config = setup::resolve(config)?;
    let output: Box<dyn Write + Send> = match &args.out {
        Some(path) => Box::new(open(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => Box::new(io::stdout()),
    };
    super::block_on(record(config, keys, output, args.length))??;
    Ok(ExitCode::SUCCESS)
}

/// Opens a recording to append to it. Drops half a line at its end, which a crash leaves behind.
fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let mut begin = [0u8; 1];
    if file.read(&mut begin)? == 1 && begin != *b"{" {
        let why = "it exists and is not a recording; name another file";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    let mut end = file.seek(SeekFrom::End(0))?;
    let whole = end;
    let mut last = [0u8; 1];
    while end > 0 {
        file.seek(SeekFrom::Start(end - 1))?;
        file.read_exact(&mut last)?;
        if last == *b"\n" {
            break;
        }
        end -= 1;
    }
    if end < whole {
        tracing::warn!(file = %path.display(), bytes = whole - end, "the last line was cut off; it is removed");
        file.set_len(end)?;
    }
    file.seek(SeekFrom::Start(end))?;
    Ok(file)
}

async fn record(
    config: Config,
    keys: BTreeSet<MetadataKey>,
    mut output: Box<dyn Write + Send>,
    length: Option<Duration>,
) -> anyhow::Result<()> {
    let (_want, wanted) = watch::channel(keys);
    let client = assemble::client(&config.http)?;
    let signals = super::Signals::listen()?;
    let (events, mut polls) = mpsc::channel::<SourceEvent>(64);
    let stopped = CancellationToken::new();
    let mut sources = tokio::task::JoinSet::new();
    for source in assemble::sources(&config, &client, &wanted) {
        sources.spawn(source(events.clone(), stopped.clone()));
    }
    drop(events);
    let end = async {
        match length {
            Some(length) => tokio::time::sleep(length).await,
            None => std::future::pending().await,
        }
    };
    let stop = async {
        tokio::select! {
            () = signals.stop_requested() => {}
            () = end => {}
        }
    };
    tokio::pin!(stop);
    let mut tape = Tape { clock: WallClock::new(TimeZone::UTC), polls: 0, failed: 0, last: Time::default() };
    let mut read = true;
    let mut ended = false;
    while read && !ended {
        tokio::select! {
            () = &mut stop => ended = true,
            event = polls.recv() => read = match event {
                Some(event) => tape.take(event, &mut output)?,
                None => false,
            },
        }
    }
    // Polls in flight are still written; those that miss the deadline are not recorded.
    stopped.cancel();
    let end = tokio::time::sleep(END);
    tokio::pin!(end);
    while read {
        tokio::select! {
            () = &mut end => read = false,
            event = polls.recv() => read = match event {
                Some(event) => tape.take(event, &mut output)?,
                None => false,
            },
        }
    }
    tape.report("\n");
    Ok(())
}

/// The recording being written, and counts of what went into it.
struct Tape {
    clock: WallClock,
    polls: u64,
    failed: u64,
    /// The newest time written: lines stay in time order, whichever answer came first.
    last: Time,
}

impl Tape {
    /// Writes what a source said. Returns whether anybody still reads the output (`| head` ends early).
    fn take(&mut self, event: SourceEvent, output: &mut impl Write) -> anyhow::Result<bool> {
        let (at, recorded) = match event {
            SourceEvent::Polled { target, at, events } => {
                (at, vec![(of_target(&target), RecordedOutcome::List(events))])
            }
            SourceEvent::Failed { target, at, error } => {
                self.failed += 1;
                // The code comes first, so that -16013 still means that the service is gone.
                let text = format!("{}: {}", error.code, error.text);
                (at, vec![(of_target(&target), RecordedOutcome::Error(text))])
            }
            SourceEvent::Health { at, reports } => {
                let one = |report: &_| RecordedOutcome::Health(vec![RecordedHealth::new(report)]);
                (at, reports.iter().map(|report| (of_target(&report.target), one(report))).collect())
            }
            SourceEvent::Templates { at, reports } => {
                let one = |report: &_| RecordedOutcome::Templates(vec![RecordedTemplate::new(report)]);
                (at, reports.iter().map(|report| (of_target(&report.target), one(report))).collect())
            }
            SourceEvent::PartialObservation { at, lists, .. } => {
                // A partial list is recorded as a list: a missing entry is no change.
                let shown = lists.into_iter().filter(|seen| !seen.events.is_empty());
                (at, shown.map(|seen| (of_target(&seen.target), RecordedOutcome::List(seen.events))).collect())
            }
            SourceEvent::Deleted { at, objects, .. } => (at, deleted(objects)),
            SourceEvent::WatchProgress { covers, at, .. } | SourceEvent::ListCompleted { covers, at, .. } => {
                (at, vec![(of_namespace(covers.namespace.as_deref()), RecordedOutcome::Watched)])
            }
            SourceEvent::DiscoveryFailed { error, .. } | SourceEvent::WatchFailed { error, .. } => {
                tracing::warn!(
                    code = error.code,
                    text = error.text,
                    "a discovery or a watch failed; what it would have shown is not recorded"
                );
                return Ok(true);
            }
            SourceEvent::Unusable { target, entries, .. } => {
                if entries > 0 {
                    tracing::warn!(%target, entries, "entries of a list cannot be understood, so they are not recorded");
                }
                return Ok(true);
            }
            SourceEvent::Enriched { .. } | SourceEvent::TargetList { .. } => return Ok(true),
        };
        for (scope, outcome) in recorded {
            if !self.write(scope, at, outcome, output)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn write(
        &mut self,
        scope: Scope,
        at: Time,
        outcome: RecordedOutcome,
        output: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let at = at.max(self.last);
        self.last = at;
        let written =
            write_poll(output, &RecordedPoll { at, scope, outcome }, &self.clock).and_then(|()| output.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
            written => written.context("the recording cannot be written")?,
        }
        self.polls += 1;
        if io::stderr().is_terminal() && self.polls.is_multiple_of(10) {
            self.report("");
        }
        Ok(true)
    }

    /// Prints the progress. On a terminal each report replaces the one before.
    fn report(&self, end: &str) {
        let begin = if io::stderr().is_terminal() { "\r" } else { "" };
        eprint!("{begin}{} polls, {} of them failed{end}", number(self.polls), number(self.failed));
    }
}

/// The scope of a recorded list.
fn of_target(target: &Target) -> Scope {
    let name = |name: &str| Some(name.to_owned());
    Scope { cluster: name(&target.cluster), namespace: name(&target.namespace), service: name(&target.service) }
}

fn of_namespace(namespace: Option<&str>) -> Scope {
    Scope { namespace: namespace.map(str::to_owned), ..Scope::default() }
}

/// Deleted objects, a line for each namespace.
fn deleted(objects: Vec<ObjectName>) -> Vec<(Scope, RecordedOutcome)> {
    let mut by_namespace: BTreeMap<String, Vec<RecordedObject>> = BTreeMap::new();
    for ObjectName { namespace, kind, name } in objects {
        by_namespace.entry(namespace).or_default().push(RecordedObject { kind, name });
    }
    let line = |(namespace, objects): (String, _)| (of_namespace(Some(&namespace)), RecordedOutcome::Deleted(objects));
    by_namespace.into_iter().map(line).collect()
}
