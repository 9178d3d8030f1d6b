//! Notices about a source as a whole: the first contact, and blind times.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lag::Lag;
use super::{NoticeDraft, Setup, State, StepContext};
use crate::diff::Diff;
use crate::event::{Event, Level, Target};
use crate::notice::{ClockHint, Info, NoticeBody, NoticeKind};
use crate::rules::Severity;
use crate::rules::rule::Destination;
use crate::source::SourceInfo;
use crate::time::Time;
use crate::workload;

/// How long to wait for more targets that come back: blind targets of one source share a notice.
const BLIND_WAIT: Duration = Duration::from_secs(60);
/// The longest such wait: a large source at a slow pace takes a while to be read once.
const MAX_BLIND_WAIT: Duration = Duration::from_secs(1800);
/// A list reaches back an hour: if even its newest event is older than this, its dates are wrong.
const TOO_OLD: Duration = Duration::from_secs(70 * 60);
/// If even its oldest event lies further in the future than this, its dates are wrong, too.
const TOO_YOUNG: Duration = Duration::from_secs(5 * 60);

/// What is known of a source as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// Whether the first contact was announced.
    pub announced: bool,
    /// When its first target was read.
    pub first_good: Option<Time>,
    /// Workloads with Warnings in the silent baseline.
    pub already_there: u64,
    /// The age of the newest event at first contact, in milliseconds; negative: in the future.
    pub newest_age: Option<i64>,
    /// The age of the oldest event at first contact, likewise.
    pub oldest_age: Option<i64>,
    /// A blind time that has no notice yet.
    pub blind: Option<Blind>,
    /// Until when each watch of the source missed nothing, as of the last write; by the name of what the watch covers.
    #[serde(default)]
    pub watched: BTreeMap<String, Time>,
    /// Whether it ever showed an event about how pods come and go: then it also shows the ends of their troubles.
    #[serde(default)]
    pub shows_ends: bool,
    /// The same for nodes.
    #[serde(default)]
    pub shows_nodes: bool,
    /// How far the source's dates lie behind podbell's clock.
    #[serde(skip)]
    pub(super) lag: Lag,
    /// Since when the source is watched, in this run.
    #[serde(skip)]
    pub(super) watched_since: Option<Time>,
    /// When the episodes that left its lists were last aged.
    #[serde(skip)]
    pub(super) aged: Option<Time>,
    /// Whether a complete list of its targets was handed in since the start.
    #[serde(skip)]
    pub target_list_known: bool,
}

/// A time in which targets could not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blind {
    /// When the first of them went blind.
    pub from: Time,
    /// When the last of them was back.
    pub until: Time,
    /// Number of targets.
    pub services: u64,
    /// When the notice is due: postponed while more targets come back, up to `tell_by`.
    pub tell_at: Time,
    /// The latest time for the notice.
    pub tell_by: Time,
}

impl SourceState {
    /// When the next notice about the source is due.
    pub(super) fn wake_at(&self, info: Option<&SourceInfo>) -> Option<Time> {
        let first = self.first_good.filter(|_| !self.announced).map(|at| at.plus(patience(info)));
        [first, self.blind.map(|blind| blind.tell_at)].into_iter().flatten().min()
    }

    fn meet(&mut self, already_there: u64, events: &[Event<'_>], now: Time) {
        self.first_good.get_or_insert(now);
        self.already_there += already_there;
        for event in events.iter().filter(|event| !event.last_seen.is_unknown()) {
            let age = now.millis().saturating_sub(event.last_seen.millis());
            self.newest_age = Some(self.newest_age.map_or(age, |newest| newest.min(age)));
            self.oldest_age = Some(self.oldest_age.map_or(age, |oldest| oldest.max(age)));
        }
    }

    /// The clock hint of the first contact, if every date is too old or in the future.
    fn clock_hint(&self, info: Option<&SourceInfo>) -> Option<ClockHint> {
        // A watch reports instants, not wall clocks, and may be quiet for long.
        if !self.watched.is_empty() {
            return None;
        }
        clock_hint(self.newest_age?, self.oldest_age?, info.map(|info| info.utc_offset_seconds))
    }
}

/// The hint for lists that reach back an hour, if every date in them is too old or in the future. Takes the ages of the
/// newest and of the oldest event in milliseconds (negative: in the future), read in a zone with this offset.
pub fn clock_hint(newest: i64, oldest: i64, utc_offset_seconds: Option<i32>) -> Option<ClockHint> {
    const HOUR: i64 = 3_600_000;
    let too_old = newest > i64::try_from(TOO_OLD.as_millis()).unwrap_or(i64::MAX);
    let future = oldest < -i64::try_from(TOO_YOUNG.as_millis()).unwrap_or(i64::MAX);
    if !too_old && !future {
        return None;
    }
    // A true age lies between 0 and 1 h: the whole hours of the newest age are the error.
    let hours = -newest.div_euclid(HOUR);
    let zone = match utc_offset_seconds.map(|offset| i64::from(offset) + hours * 3600) {
        Some(0) => Some("UTC"),
        Some(28_800) => Some("Asia/Shanghai"),
        _ => None,
    };
    Some(ClockHint { hours, zone: zone.map(str::to_owned) })
}

/// How long the first contact waits for targets that cannot be read.
fn patience(info: Option<&SourceInfo>) -> Duration {
    info.map_or(Duration::from_secs(60), |info| info.poll_every).saturating_mul(2)
}

impl State {
    /// Counts the first contact with a target for its source.
    pub(super) fn met(&mut self, target: &Target, diff: &Diff<'_>, events: &[Event<'_>], cx: &mut StepContext<'_>) {
        let mut workloads: Vec<&str> = diff
            .baseline
            .iter()
            .filter(|(_, event)| event.level == Level::Warning)
            .map(|(_, event)| workload::of(&event.obj_type, &event.obj_name))
            .collect();
        workloads.sort_unstable();
        workloads.dedup();
        self.sources.entry(target.source.clone()).or_default().meet(workloads.len() as u64, events, cx.now);
        cx.writes.sources.insert(target.source.clone());
    }

    /// Notes that a target was blind for longer than its source remembers.
    pub(super) fn note_blind(&mut self, target: &Target, from: Time, cx: &mut StepContext<'_>) {
        let source = self.sources.entry(target.source.clone()).or_default();
        let blind = source.blind.get_or_insert(Blind {
            from,
            until: cx.now,
            services: 0,
            tell_at: cx.now,
            tell_by: cx.now.plus(MAX_BLIND_WAIT),
        });
        blind.tell_at = cx.now.plus(BLIND_WAIT).min(blind.tell_by);
        blind.from = blind.from.min(from);
        blind.until = blind.until.max(cx.now);
        blind.services += 1;
        cx.writes.sources.insert(target.source.clone());
    }

    /// Makes the notices about sources that are due.
    pub(super) fn wake_sources(&mut self, cx: &mut StepContext<'_>) {
        let names: Vec<Arc<str>> = self.sources.keys().cloned().collect();
        for name in names {
            let first = self.first_contact(cx.setup, &name, cx.now);
            for info in first.into_iter().chain(self.blind_time(&name, cx.now)) {
                cx.writes.sources.insert(name.clone());
                self.inform(Severity::Info, cx.setup.operator.clone(), info, cx);
            }
        }
    }

    /// Notifies of something that is no problem of its own.
    pub(super) fn inform(&mut self, severity: Severity, to: Vec<Destination>, info: Info, cx: &mut StepContext<'_>) {
        let body = NoticeBody::Info(info);
        self.notice(NoticeDraft { kind: NoticeKind::Info, caused_at: cx.now, severity, to, body }, cx);
    }

    /// The notice of the first contact, once per source: as soon as every target was read, or after two poll intervals.
    fn first_contact(&mut self, setup: &Setup, name: &Arc<str>, now: Time) -> Option<Info> {
        let info = setup.sources.get(name);
        let of_source = || self.targets.iter().filter(|(target, _)| target.source == *name);
        let source = self.sources.get(name).filter(|source| !source.announced)?;
        let waited = now >= source.first_good?.plus(patience(info));
        let all_read = source.target_list_known && of_source().all(|(_, state)| state.last_good.is_some());
        if !waited && !all_read {
            return None;
        }
        let said = Info::FirstContact {
            source: name.to_string(),
            services: of_source().count() as u64,
            already_there: source.already_there,
            clock_hint: source.clock_hint(info),
        };
        self.sources.get_mut(name)?.announced = true;
        Some(said)
    }

    fn blind_time(&mut self, name: &Arc<str>, now: Time) -> Option<Info> {
        let source = self.sources.get_mut(name)?;
        let blind = source.blind.filter(|blind| blind.tell_at <= now)?;
        source.blind = None;
        Some(Info::Blind { source: name.to_string(), services: blind.services, from: blind.from, until: blind.until })
    }
}
