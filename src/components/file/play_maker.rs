//! Makes a recording from a single list. A list says when each of its entries began, when it was last seen and how
//! often; this fills in what the polls between would have shown. Pure.
//!
//! An entry is there from its first time on. Its occurrences are spread evenly from its first to its last time, so
//! that its count and its last time grow together. An entry that did not change for an hour is left out, as the API
//! does; it comes back with its next occurrence. The play starts with one empty poll, so that nothing in it is
//! older than its watcher.

use std::time::Duration;

use super::recording::{RecordedOutcome, RecordedPoll, Scope};
use podbell_core::event::Event;
use podbell_core::time::Time;

/// How long the API shows an entry after its last change.
const SHOWN_FOR: Duration = Duration::from_secs(3600);

/// How a play is made.
#[derive(Clone, Debug)]
pub struct PlayOptions {
    /// The time between two polls.
    pub every: Duration,
    /// The scope of the lists.
    pub scope: Scope,
    /// The play begins here, if that is later than the first event.
    pub from: Option<Time>,
    /// The play begins so long before the last change, if that is later than the first event.
    pub last: Option<Duration>,
    /// The play goes on for so long after the last change.
    pub tail: Duration,
}

impl Default for PlayOptions {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(60),
            scope: Scope::default(),
            from: None,
            last: None,
            // Until the list is empty again.
            tail: SHOWN_FOR + Duration::from_secs(120),
        }
    }
}

/// Error: the play would be unreasonably long.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "that would be {polls} polls, more than {MAX_POLLS}: poll less often (--every) or make a part of it (--from, --last)"
)]
pub struct TooLong {
    polls: u64,
}

/// The most polls of one play: two weeks at one a minute.
const MAX_POLLS: u64 = 20_160;

/// The polls of a play. An empty list makes an empty play.
pub fn make(
    events: Vec<Event<'static>>,
    options: &PlayOptions,
) -> Result<impl Iterator<Item = RecordedPoll> + use<>, TooLong> {
    let every = options.every.max(Duration::from_secs(1));
    // An event with one date happened only then; one without dates, at the beginning.
    let dates = || events.iter().flat_map(|event| [event.first_seen, event.last_seen]).filter(|at| !at.is_unknown());
    let (first, last) = (dates().min(), dates().max());
    let events: Vec<Event<'static>> = events.into_iter().map(|event| dated(event, first.unwrap_or_default())).collect();
    let (mut start, end) = match (first, last) {
        (Some(first), Some(last)) => (first.minus(every), last),
        _ => (Time::default(), Time::default()),
    };
    start = start.max(options.from.unwrap_or(start)).max(options.last.map_or(start, |span| end.minus(span)));
    let span = end.plus(options.tail).since(start).as_millis();
    // One poll more than fits, because the last change must be shown.
    let polls =
        if events.is_empty() { 0 } else { u64::try_from(span.div_ceil(every.as_millis())).unwrap_or(u64::MAX) + 1 };
    if polls > MAX_POLLS {
        return Err(TooLong { polls });
    }
    let scope = options.scope.clone();
    Ok((0..polls).map(move |poll| {
        let at = start.plus(every.saturating_mul(u32::try_from(poll).unwrap_or(u32::MAX)));
        let shown = events.iter().filter_map(|event| shown(event, at)).collect();
        RecordedPoll { at, scope: scope.clone(), outcome: RecordedOutcome::List(shown) }
    }))
}

/// The event with its unknown dates filled in: with `first` if both are unknown, else with the other date.
fn dated(event: Event<'static>, first: Time) -> Event<'static> {
    let or = |date: Time, other: Time| if date.is_unknown() { other } else { date };
    let first_seen = or(or(event.first_seen, event.last_seen), first);
    let last_seen = or(event.last_seen, first_seen);
    Event { first_seen, last_seen, ..event }
}

/// The entry as a list of that time shows it.
fn shown(event: &Event<'static>, at: Time) -> Option<Event<'static>> {
    if at < event.first_seen {
        return None;
    }
    let whole = i128::try_from(event.last_seen.since(event.first_seen).as_millis()).unwrap_or(i128::MAX);
    let passed = i128::try_from(at.since(event.first_seen).as_millis()).unwrap_or(i128::MAX).min(whole);
    // The first occurrence is at the first time, the last one at the last, the others between.
    let steps = i128::from(event.count.saturating_sub(1));
    let (taken, last_seen) = if passed == whole {
        (steps, whole)
    } else if steps == 0 {
        // Counted once but seen at two times: only its last time moves.
        (0, 0)
    } else {
        let taken = passed * steps / whole;
        (taken, (taken * whole).div_euclid(steps))
    };
    let last_seen = event.first_seen.plus(Duration::from_millis(u64::try_from(last_seen).unwrap_or(u64::MAX)));
    if at.since(last_seen) > SHOWN_FOR {
        return None;
    }
    let count = u64::try_from(taken).unwrap_or(u64::MAX).saturating_add(1).min(event.count.max(1));
    Some(Event { last_seen, count, ..event.clone() })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use podbell_core::event::Level;

    fn event(first: i64, last: i64, count: u64) -> Event<'static> {
        Event {
            first_seen: Time::from_seconds(first),
            last_seen: Time::from_seconds(last),
            count,
            level: Level::Warning,
            obj_type: Cow::Borrowed("Pod"),
            obj_name: Cow::Borrowed("web-1"),
            reason: Cow::Borrowed("BackOff"),
            message: Cow::Borrowed("Back-off"),
            ..Event::default()
        }
    }

    fn counts(events: Vec<Event<'static>>, options: &PlayOptions) -> Vec<(i64, Vec<u64>)> {
        let counts = |poll: RecordedPoll| poll.outcome.list().unwrap().iter().map(|event| event.count).collect();
        make(events, options).unwrap().map(|poll| (poll.at.seconds(), counts(poll))).collect()
    }

    #[test]
    fn counts_grow_evenly_and_the_entry_leaves_after_an_hour() {
        let polls = counts(vec![event(600, 840, 5)], &PlayOptions::default());
        let expected: Vec<_> = [vec![], vec![1], vec![2], vec![3], vec![4], vec![5]].into();
        assert_eq!(polls[..6].iter().map(|poll| poll.1.clone()).collect::<Vec<_>>(), expected);
        assert_eq!(polls.iter().find(|poll| poll.0 == 840 + 3600).unwrap().1, [5]);
        assert!(polls.iter().find(|poll| poll.0 == 840 + 3660).unwrap().1.is_empty());
        assert!(polls.last().unwrap().1.is_empty());
    }

    #[test]
    fn a4_an_entry_with_rare_occurrences_leaves_and_returns() {
        let polls = counts(vec![event(60, 7260, 2)], &PlayOptions::default());
        assert_eq!(polls.iter().find(|poll| poll.0 == 3660).unwrap().1, [1]);
        assert!(polls.iter().find(|poll| poll.0 == 3720).unwrap().1.is_empty());
        assert_eq!(polls.iter().find(|poll| poll.0 == 7260).unwrap().1, [2]);
    }

    #[test]
    fn a_part_of_it_can_be_made_and_all_of_it_must_be_reasonable() {
        let events = vec![event(1, 10_000_000, 100_000)];
        assert!(make(events.clone(), &PlayOptions::default()).is_err());
        let last = PlayOptions { last: Some(Duration::from_secs(600)), tail: Duration::ZERO, ..PlayOptions::default() };
        let polls = counts(events, &last);
        assert_eq!((polls.len(), polls[0].0), (11, 10_000_000 - 600));
        assert_eq!(make(Vec::new(), &last).unwrap().count(), 0);
    }

    proptest! {
        #[test]
        fn counts_never_fall_and_end_at_the_lists(first in 1_i64..100_000, span in 0_i64..50_000, count in 0_u64..100_000, every in 1_u64..300) {
            let options = PlayOptions { every: Duration::from_secs(every * 10), ..PlayOptions::default() };
            let mut last = 0;
            let mut last_seen = Time::default();
            for poll in make(vec![event(first, first + span, count)], &options).unwrap() {
                for event in poll.outcome.list().unwrap() {
                    prop_assert!(event.count >= last && event.last_seen >= last_seen && event.last_seen <= poll.at);
                    prop_assert!(event.count == last || event.last_seen > last_seen || last == 0);
                    (last, last_seen) = (event.count, event.last_seen);
                }
            }
            prop_assert_eq!(last, count.max(1));
            prop_assert_eq!(last_seen.seconds(), first + span);
        }
    }
}
