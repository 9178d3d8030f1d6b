//! A recording as a source.
//!
//! A recording is played once at its own pace, shifted to now. After its end, its last answers are repeated every
//! `poll_every`, so that silence is observed and not guessed. A file with a single answer (one that a job keeps
//! rewriting) is read again every `poll_every`, and its times are taken as they are. `-` is standard input, read
//! once. Backtests use [`open`] alone.

mod config;
mod examine;
pub mod play_maker;
pub mod recording;
pub mod written;

pub(crate) use self::config::SOURCE;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::recording::{RecordedObject, RecordedOutcome, RecordedPoll, Recording, RecordingError, Scope, Shift};
use crate::clock;
use crate::sources::receipt::Counter;
use crate::sources::{ObjectName, Problem, SourceEvent, TargetEntry, WatchCoverage, event_list};
use podbell_core::event::Target;
use podbell_core::time::Time;

/// The name for what a recording leaves open.
pub const ANY: &str = "any";

/// A checked `kind: file` source.
#[derive(Clone, Debug)]
pub struct FileConfig {
    /// The source's name.
    pub name: Arc<str>,
    /// The file; `-` is standard input.
    pub path: PathBuf,
    /// Whose wall clock the file shows.
    pub time_zone: TimeZone,
    /// How often a single answer is read again, and the last answers of a recording are repeated.
    pub poll_every: Duration,
    /// The names for what the file leaves open, else `any`.
    pub scope: Scope,
}

impl FileConfig {
    /// With the defaults of podbell.yaml.
    pub fn new(name: &str, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            time_zone: TimeZone::UTC,
            poll_every: Duration::from_secs(60),
            scope: Scope::default(),
        }
    }

    /// The target of a recorded poll.
    pub(crate) fn target(&self, scope: &Scope) -> Target {
        fn name<'a>(said: &'a Option<String>, open: &'a Option<String>) -> &'a str {
            said.as_deref().or(open.as_deref()).unwrap_or(ANY)
        }
        Target::new(
            &self.name,
            name(&scope.cluster, &self.scope.cluster),
            name(&scope.namespace, &self.scope.namespace),
            name(&scope.service, &self.scope.service),
        )
    }

    /// The poll as an event of the source.
    pub fn event(&self, poll: RecordedPoll) -> SourceEvent {
        let (target, at) = (self.target(&poll.scope), poll.at);
        match poll.outcome {
            RecordedOutcome::List(events) => SourceEvent::Polled { target, at, events },
            RecordedOutcome::Error(error) => SourceEvent::Failed { target, at, error: recorded_error(&error) },
            RecordedOutcome::Health(health) => {
                let reports = health.into_iter().map(|one| one.report(&target)).collect();
                SourceEvent::Health { at, reports }
            }
            RecordedOutcome::Deleted(objects) => {
                let name = |one: RecordedObject| ObjectName {
                    namespace: target.namespace.to_string(),
                    kind: one.kind,
                    name: one.name,
                };
                let objects = objects.into_iter().map(name).collect();
                SourceEvent::Deleted { source: target.source.clone(), at, objects }
            }
            RecordedOutcome::Watched => {
                // What is played cannot be lost on its way.
                let receipt = Counter::default().mark();
                let namespace = poll.scope.namespace.as_deref().map(Into::into);
                SourceEvent::WatchProgress { covers: WatchCoverage { source: target.source, namespace }, at, receipt }
            }
            RecordedOutcome::Templates(templates) => {
                let reports = templates.into_iter().map(|one| one.report(&target)).collect();
                SourceEvent::Templates { at, reports }
            }
        }
    }
}

/// Opens a recording; `-` is standard input.
pub(crate) fn open(path: &Path, zone: TimeZone) -> io::Result<Recording<Box<dyn BufRead + Send>>> {
    let input: Box<dyn BufRead + Send> = if path == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(path)?))
    };
    Ok(Recording::new(input, zone))
}

/// A recorded error keeps its code if it has one: `-16013` must still mean that the service is gone.
fn recorded_error(words: &str) -> Problem {
    let code = words.split_whitespace().next().unwrap_or("error").trim_end_matches(':');
    Problem {
        code: code.chars().take(40).collect(),
        text: words.to_owned(),
        advice: "none: the recording says so".to_owned(),
        gone: code.parse() == Ok(event_list::NO_SERVICE),
    }
}

/// Plays until told to stop. A file that cannot be read is the source's trouble, not the end.
pub async fn run(config: FileConfig, events: mpsc::Sender<SourceEvent>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = play(&config, &events) => {}
    }
}

async fn play(config: &FileConfig, events: &mpsc::Sender<SourceEvent>) {
    let mut player = Player { config, events, watched: BTreeMap::new(), unusable: BTreeMap::new() };
    while player.once().await.is_ok() {
        if player.pause(config.poll_every).await.is_err() {
            return;
        }
    }
}

/// The receiver is gone: podbell is shutting down.
struct ReceiverClosed;

/// How much of a recording's targets is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Every target: it was read to its end.
    All,
    /// What was read so far.
    SoFar,
}

struct Player<'a> {
    config: &'a FileConfig,
    events: &'a mpsc::Sender<SourceEvent>,
    /// The last answer of each target.
    watched: BTreeMap<Target, Option<SourceEvent>>,
    /// How many entries of each target's last list could not be understood.
    unusable: BTreeMap<Target, usize>,
}

impl Player<'_> {
    /// Reads the file once. Plays a recording to its end, and then repeats its last answers for ever.
    async fn once(&mut self) -> Result<(), ReceiverClosed> {
        let mut recording = match self.open().await {
            Ok(recording) => recording,
            Err(error) => return self.unreadable(&RecordingError::Io(error)).await,
        };
        let mut shift: Option<Shift> = None;
        let begun = (clock::now(), clock::monotonic());
        loop {
            let before = recording.skipped();
            let (next, rest) = next(recording).await;
            recording = rest;
            let unusable = recording.skipped() - before;
            match next {
                Some(Ok(poll)) if recording.is_single() => {
                    self.say(self.config.event(RecordedPoll { at: clock::now(), ..poll }), unusable).await?;
                    if self.config.path != Path::new("-") {
                        return self.send(self.target_list(Known::All)).await;
                    }
                }
                Some(Ok(poll)) => {
                    let shift = *shift.get_or_insert_with(|| Shift::new(poll.at, begun.0, NonZeroU32::MIN));
                    // Use the monotonic clock: the wall clock may be set while it plays.
                    self.pause(shift.apply(poll.at).since(begun.0).saturating_sub(begun.1.elapsed())).await?;
                    self.say(self.config.event(moved(poll, shift)), unusable).await?;
                }
                // What was played is not played again: its end is missing, as after a kill of `podbell record`.
                Some(Err(error)) if shift.is_some() => {
                    self.unreadable(&error).await?;
                    return self.repeat_for_ever().await;
                }
                Some(Err(error)) => return self.unreadable(&error).await,
                None => break,
            }
        }
        tracing::info!(source = %self.config.name, "the recording is over; its last answers stay");
        self.send(self.target_list(Known::All)).await?;
        self.repeat_for_ever().await
    }

    async fn open(&self) -> io::Result<Recording<Box<dyn BufRead + Send>>> {
        let (path, zone) = (self.config.path.clone(), self.config.time_zone.clone());
        tokio::task::spawn_blocking(move || open(&path, zone)).await.map_err(io::Error::other)?
    }

    /// Reports the source's trouble. Nothing is known of any target until the file was read.
    async fn unreadable(&mut self, error: &RecordingError) -> Result<(), ReceiverClosed> {
        let error = Problem {
            code: "file".to_owned(),
            text: format!("{}: {error}", self.config.path.display()),
            advice: "check the file of this source".to_owned(),
            gone: false,
        };
        self.send(SourceEvent::DiscoveryFailed { source: self.config.name.clone(), at: clock::now(), error }).await
    }

    /// Sends an answer in which `unusable` entries could not be understood.
    async fn say(&mut self, event: SourceEvent, unusable: usize) -> Result<(), ReceiverClosed> {
        let (SourceEvent::Polled { target, at, .. } | SourceEvent::Failed { target, at, .. }) = &event else {
            return self.send(event).await;
        };
        let (target, at, read) = (target.clone(), *at, matches!(event, SourceEvent::Polled { .. }));
        let new = self.watched.insert(target.clone(), Some(event.clone())).is_none();
        if new {
            self.send(self.target_list(Known::SoFar)).await?;
        }
        self.send(event).await?;
        // The first list is always reported: the store may remember a trouble of it.
        let before = self.unusable.get(&target).copied();
        if read && before != Some(unusable) {
            if unusable > 0 {
                tracing::warn!(%target, entries = unusable, "entries of an event list cannot be understood");
            }
            self.unusable.insert(target.clone(), unusable);
            self.send(SourceEvent::Unusable { target, at, entries: unusable }).await?;
        }
        Ok(())
    }

    fn target_list(&self, known: Known) -> SourceEvent {
        let entry = |target: &Target| TargetEntry { target: target.clone(), discovered: false };
        let targets = self.watched.keys().map(entry).collect();
        SourceEvent::TargetList { source: self.config.name.clone(), targets, complete: known == Known::All }
    }

    async fn send(&self, event: SourceEvent) -> Result<(), ReceiverClosed> {
        self.events.send(event).await.map_err(|_| ReceiverClosed)
    }

    async fn repeat_for_ever(&mut self) -> Result<(), ReceiverClosed> {
        loop {
            self.pause(self.config.poll_every).await?;
            for event in self.watched.values().flatten() {
                self.send(at_time(event.clone(), clock::now())).await?;
            }
        }
    }

    async fn pause(&self, span: Duration) -> Result<(), ReceiverClosed> {
        tokio::select! {
            () = self.events.closed() => Err(ReceiverClosed),
            () = tokio::time::sleep(span) => Ok(()),
        }
    }
}

type Input = Recording<Box<dyn BufRead + Send>>;

/// Reads the next poll where blocking does no harm: standard input may block.
async fn next(mut recording: Input) -> (Option<Result<RecordedPoll, RecordingError>>, Input) {
    let read = tokio::task::spawn_blocking(move || (recording.next(), recording));
    match read.await {
        Ok(next) => next,
        Err(error) => {
            let nothing: Box<dyn BufRead + Send> = Box::new(io::empty());
            let error = RecordingError::Io(io::Error::other(error));
            (Some(Err(error)), Recording::new(nothing, TimeZone::UTC))
        }
    }
}

fn moved(poll: RecordedPoll, shift: Shift) -> RecordedPoll {
    RecordedPoll {
        at: shift.apply(poll.at),
        outcome: match poll.outcome {
            RecordedOutcome::List(events) => {
                RecordedOutcome::List(events.iter().map(|event| shift.event(event)).collect())
            }
            other => other,
        },
        ..poll
    }
}

fn at_time(event: SourceEvent, now: Time) -> SourceEvent {
    match event {
        SourceEvent::Polled { target, events, .. } => SourceEvent::Polled { target, at: now, events },
        SourceEvent::Failed { target, error, .. } => SourceEvent::Failed { target, at: now, error },
        other => other,
    }
}
