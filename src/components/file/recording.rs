//! Recordings: polls as JSON lines, in time order.
//!
//! ```text
//! {"at": "2026-01-01 19:18:00", "cluster": "cls-1", "service": "web", "eventList": [...]}
//! {"at": "2026-01-01 19:19:00", "error": "timeout"}
//! {"at": "2026-01-01 19:19:05", "service": "web", "health": [{"kind": "Deployment", "name": "web", "wanted": 3, "ready": 2}]}
//! {"at": "2026-01-01 19:19:06", "namespace": "shop", "deleted": [{"kind": "Pod", "name": "web-6d4cf56db6-x2x7v"}]}
//! {"at": "2026-01-01 19:19:30", "watched": true}
//! {"at": "2026-01-01 19:19:36", "service": "web", "templates": [{"kind": "Deployment", "name": "web", "revision": "2", "images": ["web:v5"]}]}
//! ```
//!
//! Read line by line, so that a recording may be larger than memory. A single answer of the API, a bare list of
//! events, or what `kubectl get events` prints counts as a recording of one poll. Written by `record` and the play
//! maker; read by the file source, the emulator and backtests. Never sleeps, and never reads the current time.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::components::kubectl;
use crate::sources::event_list::{self as answer, AnswerError, Entries};
use crate::sources::wall_clock::WallClock;
use podbell_core::event::{Event, Target};
use podbell_core::health::{Health, HealthReport, WorkloadKind};
use podbell_core::rollout::{PodTemplate, TemplateReport};
use podbell_core::time::Time;

/// The longest line, and the longest single answer, in bytes.
const MAX_LINE: u64 = 64 * 1024 * 1024;

/// Which targets a recorded poll speaks for. What is absent means any.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The cluster's id.
    pub cluster: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The service's name.
    pub service: Option<String>,
}

/// One poll of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedPoll {
    /// When it was made.
    pub at: Time,
    /// What was polled.
    pub scope: Scope,
    /// What it says.
    pub outcome: RecordedOutcome,
}

/// What a line of a recording says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedOutcome {
    /// A list was read.
    List(Vec<Event<'static>>),
    /// It could not be read; the words of the error.
    Error(String),
    /// The health of workloads, of those that changed.
    Health(Vec<RecordedHealth>),
    /// What workloads run, of those that changed.
    Templates(Vec<RecordedTemplate>),
    /// Objects were deleted.
    Deleted(Vec<RecordedObject>),
    /// A watch has missed nothing until then.
    Watched,
}

impl RecordedOutcome {
    /// The list, if one was read.
    pub fn list(&self) -> Option<&[Event<'static>]> {
        match self {
            Self::List(events) => Some(events),
            Self::Error(_) | Self::Health(_) | Self::Templates(_) | Self::Deleted(_) | Self::Watched => None,
        }
    }
}

/// The health of a workload in a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordedHealth {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: Arc<str>,
    /// How many pods it should have; none: its health is not known any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<u32>,
    /// How many of them are ready.
    #[serde(default)]
    pub ready: u32,
    /// Whether a rollout is under way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolling_out: bool,
    /// Whether it was deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

impl RecordedHealth {
    /// As it is recorded.
    pub(crate) fn new(report: &HealthReport) -> Self {
        let HealthReport { kind, name, health, deleted, .. } = report;
        Self {
            kind: *kind,
            name: name.clone(),
            wanted: health.map(|health| health.wanted),
            ready: health.map_or(0, |health| health.ready),
            rolling_out: health.is_some_and(|health| health.rolling_out),
            deleted: *deleted,
        }
    }

    /// As a source reports it.
    pub(crate) fn report(self, target: &Target) -> HealthReport {
        let Self { kind, name, wanted, ready, rolling_out, deleted } = self;
        let health = wanted.map(|wanted| Health { wanted, ready, rolling_out });
        HealthReport { target: target.clone(), kind, name, health, deleted }
    }
}

/// What a workload runs, in a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordedTemplate {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: Arc<str>,
    /// The revision of its template.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// Its images.
    #[serde(default)]
    pub images: Vec<String>,
}

impl RecordedTemplate {
    /// As it is recorded.
    pub(crate) fn new(report: &TemplateReport) -> Self {
        let TemplateReport { kind, name, template: PodTemplate { revision, images }, .. } = report;
        Self { kind: *kind, name: name.clone(), revision: revision.clone(), images: images.clone() }
    }

    /// As a source reports it.
    pub(crate) fn report(self, target: &Target) -> TemplateReport {
        let Self { kind, name, revision, images } = self;
        TemplateReport { target: target.clone(), kind, name, template: PodTemplate::new(&revision, images) }
    }
}

/// An object that was deleted; its namespace is that of the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedObject {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// Why a recording cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    /// A line is wrong.
    #[error("line {line}: {what}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The whole file: its first bytes say that it is not text.
    #[error("{0}")]
    Foreign(&'static str),
    /// The whole file, which should be a single answer.
    #[error("neither JSON lines with \"at\" nor a single answer: {0}")]
    Single(AnswerError),
}

/// Why a text is not a list of events.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It should be an answer of the API, but is none.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// It is something else.
    #[error("{0}")]
    Foreign(&'static str),
}

impl From<ListError> for RecordingError {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Answer(error) => Self::Single(error),
            ListError::Foreign(what) => Self::Foreign(what),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow)]
    at: Cow<'a, str>,
    cluster: Option<String>,
    namespace: Option<String>,
    service: Option<String>,
    #[serde(borrow, default, deserialize_with = "answer::null_is_empty")]
    event_list: Option<Entries<'a>>,
    error: Option<String>,
    health: Option<Vec<RecordedHealth>>,
    templates: Option<Vec<RecordedTemplate>>,
    deleted: Option<Vec<RecordedObject>>,
    watched: Option<bool>,
}

/// Reads a recording poll by poll. After an error it ends.
pub struct Recording<R> {
    input: R,
    zone: TimeZone,
    clock: WallClock,
    line: usize,
    last: Option<Time>,
    ended: bool,
    single: bool,
    skipped: usize,
    first_skipped: Option<usize>,
}

impl<R: BufRead> Recording<R> {
    /// `zone` is the zone of `at` and of the lists.
    pub fn new(input: R, zone: TimeZone) -> Self {
        let clock = WallClock::new(zone.clone());
        Self { input, zone, clock, line: 0, last: None, ended: false, single: false, skipped: 0, first_skipped: None }
    }

    /// Whether it turned out to be a single answer, whose only poll has the time of its newest
    /// event. Known after the first poll.
    pub fn is_single(&self) -> bool {
        self.single
    }

    /// How many entries so far could not be understood and were left out.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// The line of the first of them.
    pub fn first_skipped(&self) -> Option<usize> {
        self.first_skipped
    }

    fn read_next(&mut self) -> Result<Option<RecordedPoll>, RecordingError> {
        loop {
            let mut text = Vec::new();
            if self.input.by_ref().take(MAX_LINE).read_until(b'\n', &mut text)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if text.len() as u64 == MAX_LINE {
                return Err(self.wrong(format!("longer than {MAX_LINE} bytes")));
            }
            if let Some(what) = foreign(&text).filter(|_| self.line == 1) {
                return Err(RecordingError::Foreign(what));
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            return match self.last {
                None if !looks_like_a_line(&text) => self.read_single(text).map(Some),
                _ => self.read_line(&text).map(Some),
            };
        }
    }

    fn wrong(&self, what: impl Into<String>) -> RecordingError {
        RecordingError::Line { line: self.line, what: what.into() }
    }

    fn read_line(&mut self, text: &[u8]) -> Result<RecordedPoll, RecordingError> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii();
        self.check_text(text)?;
        let line: Line<'_> = serde_json::from_slice(text).map_err(|error| {
            // The parser has seen only this line, and would call it line 1.
            let words = error.to_string().replace(" at line 1 column", " at column");
            self.wrong(if error.is_eof() { format!("cut off in the middle: {words}") } else { words })
        })?;
        let at = self.clock.read(&line.at);
        let at = at.ok_or_else(|| self.wrong(format!("at {:?} is not YYYY-MM-DD HH:MM:SS", line.at)))?;
        if self.last.is_some_and(|last| at < last) {
            return Err(self.wrong("earlier than the line before: a recording is in time order"));
        }
        let alone = match (line.deleted, line.watched) {
            (Some(objects), None) => Some(RecordedOutcome::Deleted(objects)),
            (None, Some(true)) => Some(RecordedOutcome::Watched),
            (None, None | Some(false)) => None,
            (Some(_), Some(_)) => return Err(self.wrong("deleted and watched stand in lines of their own")),
        };
        let said = (line.event_list, line.error, line.health, line.templates);
        let outcome = match said {
            (None, None, None, None) if let Some(alone) = alone => alone,
            _ if alone.is_some() => return Err(self.wrong("deleted and watched stand in lines of their own")),
            (Some(entries), None, None, None) => {
                let mut list = entries.understand(&mut self.clock).into_owned();
                if list.events.is_empty() && list.skipped > 0 {
                    list = kubectl::of_entries(text).unwrap_or(list);
                }
                self.skip(list.skipped);
                RecordedOutcome::List(list.events)
            }
            (None, Some(error), None, None) => RecordedOutcome::Error(error),
            (None, None, Some(health), None) => RecordedOutcome::Health(health),
            (None, None, None, Some(templates)) => RecordedOutcome::Templates(templates),
            (Some(_), Some(_), None, None) => return Err(self.wrong("eventList and error exclude each other")),
            (_, _, Some(_), _) => return Err(self.wrong("health stands in a line of its own")),
            (_, _, None, Some(_)) => return Err(self.wrong("templates stand in a line of their own")),
            (None, None, None, None) => return Err(self.wrong("neither eventList nor error")),
        };
        self.last = Some(at);
        let scope = Scope { cluster: line.cluster, namespace: line.namespace, service: line.service };
        Ok(RecordedPoll { at, scope, outcome })
    }

    /// Counts entries that could not be understood.
    fn skip(&mut self, entries: usize) {
        self.skipped += entries;
        if entries > 0 {
            self.first_skipped.get_or_insert(self.line);
        }
    }

    /// Text in another encoding would look like nonsense to the parser: name the encoding instead.
    fn check_text(&self, text: &[u8]) -> Result<(), RecordingError> {
        let Err(error) = std::str::from_utf8(text) else { return Ok(()) };
        let before = text.get(..error.valid_up_to()).unwrap_or_default();
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        let what = "not UTF-8: convert it, for example with iconv -f GBK -t UTF-8";
        Err(RecordingError::Line { line: self.line + lines, what: what.to_owned() })
    }

    fn read_single(&mut self, mut text: Vec<u8>) -> Result<RecordedPoll, RecordingError> {
        self.single = true;
        self.ended = true;
        self.input.by_ref().take(MAX_LINE).read_to_end(&mut text)?;
        self.check_text(&text)?;
        let list = parse_single(&text, &self.zone)?;
        self.skip(list.skipped);
        let at = list.events.iter().map(|event| event.last_seen).max().unwrap_or_default();
        Ok(RecordedPoll { at, scope: Scope::default(), outcome: RecordedOutcome::List(list.events) })
    }
}

impl<R: BufRead> Iterator for Recording<R> {
    type Item = Result<RecordedPoll, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read_next().transpose();
        self.ended |= !matches!(next, Some(Ok(_)));
        next
    }
}

/// What a file is that is not text, by its first bytes, and what to do about it.
fn foreign(text: &[u8]) -> Option<&'static str> {
    const GZIP: &str = "compressed with gzip: unpack it, for example with zcat";
    const ZSTD: &str = "compressed with zstd: unpack it, for example with zstdcat";
    const UTF_16: &str = "UTF-16: convert it, for example with iconv -f UTF-16 -t UTF-8";
    match text {
        [0x1f, 0x8b, ..] => Some(GZIP),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(ZSTD),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, b'{' | b'[', ..] | [b'{' | b'[', 0, ..] => Some(UTF_16),
        _ => None,
    }
}

/// Whether it is a line of a recording: an object with `at`, or at least something that starts like one, so that a
/// damaged line is reported as such.
fn looks_like_a_line(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct At {
        at: Option<serde::de::IgnoredAny>,
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii();
    match serde_json::from_slice::<At>(text) {
        Ok(line) => line.at.is_some() && text.starts_with(b"{"),
        Err(_) => text.strip_prefix(b"{").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\"at\"")),
    }
}

/// A single answer of the API, a bare list of events, or what `kubectl get events` prints.
///
/// # Errors
/// When it is none of them.
pub fn parse_single(text: &[u8], zone: &TimeZone) -> Result<answer::EventList<'static>, ListError> {
    let bare = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii();
    let parsed = match bare.starts_with(b"[") {
        true => serde_json::from_slice::<Entries<'_>>(bare)
            .map_err(|error| answer::unreadable(&error))
            .map(|entries| entries.understand(&mut WallClock::new(zone.clone())).into_owned()),
        false => answer::parse_events(bare, zone).map(answer::EventList::into_owned),
    };
    // A list in which nothing can be understood may be of another kind.
    if parsed.as_ref().is_ok_and(|list| !list.events.is_empty() || list.skipped == 0) {
        return Ok(parsed?);
    }
    match std::str::from_utf8(bare).ok().and_then(kubectl::read) {
        Some(kubectl::Kubectl::Events(list)) => Ok(list),
        Some(kubectl::Kubectl::Other(what)) => Err(ListError::Foreign(what)),
        None => Ok(parsed?),
    }
}

/// Shifts a recording in time: its first poll to `start`, everything else `speed` times as fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shift {
    first: Time,
    start: Time,
    speed: i64,
}

impl Shift {
    /// Shifts a recording that begins at `first` to `start`.
    pub(crate) fn new(first: Time, start: Time, speed: std::num::NonZeroU32) -> Self {
        Self { first, start, speed: i64::from(speed.get()) }
    }

    /// The shifted time of a time of the recording, even of one before its first poll.
    pub(crate) fn apply(&self, time: Time) -> Time {
        if time.is_unknown() {
            return time;
        }
        let since = time.millis().saturating_sub(self.first.millis());
        Time::from_millis(self.start.millis().saturating_add(since.div_euclid(self.speed)))
    }

    /// The event at its shifted times.
    pub(crate) fn event(&self, event: &Event<'static>) -> Event<'static> {
        Event { first_seen: self.apply(event.first_seen), last_seen: self.apply(event.last_seen), ..event.clone() }
    }
}
