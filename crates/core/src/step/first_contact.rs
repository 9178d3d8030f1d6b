//! Notices about a source as a whole: the first contact, and blind times.

use std::sync::Arc;
use std::time::Duration;

use super::state::patience;
use super::{Blind, NoticeDraft, Setup, State, StepContext};
use crate::diff::Diff;
use crate::event::{Event, Level, Target};
use crate::notice::{Info, NoticeBody, NoticeKind};
use crate::rule::{Destination, Severity};
use crate::time::Time;
use crate::workload;

/// How long to wait for more targets that come back: blind targets of one source share a notice.
const BLIND_WAIT: Duration = Duration::from_secs(60);
/// The longest such wait: a large source at a slow pace takes a while to be read once.
const MAX_BLIND_WAIT: Duration = Duration::from_secs(1800);

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
