//! What there is to see at a time: a recording, shifted to now and sped up. Pure; time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::super::codes::{NO_CLUSTER, NO_SERVICE};
use crate::components::recordings::recording::{RecordedOutcome, RecordedPoll, Scope, Shift};
use podbell_core::event::Event;
use podbell_core::time::Time;

/// The names that discovery gives to what a recording leaves open.
const OPEN_CLUSTER: &str = "cls-emulated";
const OPEN_NAMESPACE: &str = "default";
const OPEN_SERVICE: &str = "web";
/// The code of a recorded error that names none.
const INTERNAL_ERROR: i64 = 6000;

/// A recording, ready to be played.
#[derive(Clone, Debug)]
pub struct Play {
    lines: BTreeMap<Scope, Vec<Line>>,
    shift: Shift,
}

#[derive(Clone, Debug)]
struct Line {
    /// When it takes effect, shifted.
    at: Time,
    /// Position in the recording: of two lines with the same time, the later one applies.
    order: usize,
    answer: RecordedAnswer,
}

/// What a line of the recording says of the API's answer.
#[derive(Clone, Debug)]
enum RecordedAnswer {
    /// A list.
    List(Vec<Event<'static>>),
    /// An error, in the words of the source that recorded it.
    Error(String),
}

/// What a service answers at a time.
#[derive(Debug, PartialEq)]
pub(super) enum Shown {
    /// Its list, at moved times.
    List(Vec<Event<'static>>),
    /// An error with its code.
    Error(i64, String),
}

impl Play {
    /// The recording's first poll is shifted to `start`.
    pub fn new(polls: Vec<RecordedPoll>, start: Time, speed: NonZeroU32) -> Self {
        let first = polls.first().map_or(start, |poll| poll.at);
        let shift = Shift::new(first, start, speed);
        let mut lines: BTreeMap<Scope, Vec<Line>> = BTreeMap::new();
        for (order, poll) in polls.into_iter().enumerate() {
            let answer = match poll.outcome {
                RecordedOutcome::List(events) => RecordedAnswer::List(events),
                RecordedOutcome::Error(words) => RecordedAnswer::Error(words),
                // The API that is emulated shows events only.
                RecordedOutcome::Health(_)
                | RecordedOutcome::Templates(_)
                | RecordedOutcome::Deleted(_)
                | RecordedOutcome::Watched => continue,
            };
            let line = Line { at: shift.apply(poll.at), order, answer };
            lines.entry(poll.scope).or_default().push(line);
        }
        Self { lines, shift }
    }

    pub(super) fn knows_cluster(&self, cluster: &str) -> bool {
        self.lines.keys().any(|scope| fits(&scope.cluster, cluster))
    }

    /// What a service shows: its newest line, and before its first one an empty list.
    pub(super) fn shown(&self, cluster: &str, namespace: &str, service: &str, now: Time) -> Shown {
        if !self.knows_cluster(cluster) {
            return Shown::Error(NO_CLUSTER, format!("cluster {cluster} not found"));
        }
        let fitting: Vec<_> = self
            .lines
            .iter()
            .filter(|(scope, _)| {
                fits(&scope.cluster, cluster) && fits(&scope.namespace, namespace) && fits(&scope.service, service)
            })
            .map(|(_, lines)| lines)
            .collect();
        if fitting.is_empty() {
            return Shown::Error(NO_SERVICE, format!("service {service} not found"));
        }
        let newest = fitting.into_iter().filter_map(|lines| newest(lines, now)).max_by_key(|line| line.order);
        match newest.map(|line| &line.answer) {
            None => Shown::List(Vec::new()),
            Some(RecordedAnswer::List(events)) => {
                Shown::List(events.iter().map(|event| self.shift.event(event)).collect())
            }
            Some(RecordedAnswer::Error(words)) => Shown::Error(code_of(words), words.clone()),
        }
    }

    /// The clusters that exist at a time.
    pub(super) fn clusters(&self, now: Time) -> BTreeSet<String> {
        let names = self.lines.keys().map(|scope| name(&scope.cluster, OPEN_CLUSTER));
        let is_there = |cluster: &String| {
            let of_it = self.lines.iter().filter(|(scope, _)| fits(&scope.cluster, cluster));
            let mut states = of_it.map(|(_, lines)| error_at(lines, now));
            !states.all(|code| code == Some(NO_CLUSTER))
        };
        names.filter(is_there).collect()
    }

    /// The services of a cluster that exist at a time, as (namespace, name). A line with the error -16013 removes
    /// its service until another line brings it back.
    pub(super) fn services(&self, cluster: &str, now: Time) -> BTreeSet<(String, String)> {
        let scopes = self.lines.keys().filter(|scope| fits(&scope.cluster, cluster));
        let names = scopes.map(|scope| (name(&scope.namespace, OPEN_NAMESPACE), name(&scope.service, OPEN_SERVICE)));
        names
            .filter(|(namespace, service)| {
                !matches!(self.shown(cluster, namespace, service, now), Shown::Error(NO_SERVICE | NO_CLUSTER, _))
            })
            .collect()
    }
}

fn name(said: &Option<String>, open: &str) -> String {
    said.as_deref().unwrap_or(open).to_owned()
}

fn fits(said: &Option<String>, asked: &str) -> bool {
    said.as_deref().is_none_or(|said| said == asked)
}

fn newest(lines: &[Line], now: Time) -> Option<&Line> {
    let passed = lines.partition_point(|line| line.at <= now);
    passed.checked_sub(1).and_then(|index| lines.get(index))
}

fn error_at(lines: &[Line], now: Time) -> Option<i64> {
    match &newest(lines, now)?.answer {
        RecordedAnswer::List(_) => None,
        RecordedAnswer::Error(words) => Some(code_of(words)),
    }
}

/// An error line may be a code, begin with one, or be words.
fn code_of(words: &str) -> i64 {
    let first = words.split_whitespace().next().unwrap_or_default().trim_end_matches(':');
    first.parse().ok().filter(|code| *code != 0).unwrap_or(INTERNAL_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::recordings::recording::Recording;
    use jiff::tz::TimeZone;

    fn play(text: &str, speed: u32) -> Play {
        let polls = Recording::new(text.as_bytes(), TimeZone::UTC).map(Result::unwrap).collect();
        Play::new(polls, Time::from_seconds(1_000_000), NonZeroU32::new(speed).unwrap())
    }

    fn at(seconds: i64) -> Time {
        Time::from_seconds(1_000_000 + seconds)
    }

    const EVENT: &str = r#"{"firstSeen": "2026-01-01 00:01:00", "lastSeen": "2026-01-01 00:02:00", "count": 2}"#;

    #[test]
    fn the_newest_line_of_the_service_is_shown_at_moved_times() {
        let text = format!(
            "{{\"at\": \"2026-01-01 00:00:00\", \"eventList\": []}}\n{{\"at\": \"2026-01-01 00:02:00\", \"eventList\": [{EVENT}]}}\n"
        );
        let play = play(&text, 60);
        for early in [-100, 0, 1] {
            assert_eq!(play.shown("c", "n", "s", at(early)), Shown::List(vec![]));
        }
        for late in [2, 1000] {
            let Shown::List(events) = play.shown("c", "n", "s", at(late)) else { panic!("no list") };
            assert_eq!((events[0].first_seen, events[0].last_seen, events[0].count), (at(1), at(2), 2));
        }
    }

    #[test]
    fn services_come_and_go_with_their_lines() {
        let text = r#"{"at": "2026-01-01 00:00:00", "cluster": "c", "service": "a", "error": "-16013"}
            {"at": "2026-01-01 00:00:00", "cluster": "c", "service": "b", "eventList": []}
            {"at": "2026-01-01 00:01:00", "cluster": "c", "service": "a", "eventList": []}
            {"at": "2026-01-01 00:02:00", "cluster": "c", "service": "b", "error": "-16013: deleted"}
            {"at": "2026-01-01 00:03:00", "cluster": "c", "service": "b", "error": "timeout"}"#;
        let play = play(text, 1);
        let names = |now| play.services("c", now).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names(at(0)), ["b"]);
        assert_eq!(names(at(60)), ["a", "b"]);
        assert_eq!(names(at(120)), ["a"]);
        assert_eq!(play.shown("c", "n", "b", at(180)), Shown::Error(6000, "timeout".into()));
        assert!(matches!(play.shown("d", "n", "b", at(0)), Shown::Error(NO_CLUSTER, _)));
        assert!(matches!(play.shown("c", "n", "x", at(0)), Shown::Error(NO_SERVICE, _)));
        assert_eq!(play.clusters(at(0)).into_iter().collect::<Vec<_>>(), ["c"]);
    }
}
