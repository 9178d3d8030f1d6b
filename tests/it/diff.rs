//! The diff against an oracle that knows every true occurrence.

use podbell_core::diff::{Change, ChangeKind, FIRST_POLL_WINDOW, REMEMBER_PER_TARGET, Reading, TargetReadings};
use podbell_core::event::{Event, Level};
use podbell_core::series::Identities;
use proptest::prelude::*;

use crate::support::events::{START, at, warning};

struct Watcher {
    readings: TargetReadings,
    identities: Identities,
}

impl Watcher {
    fn new() -> Self {
        Self { readings: TargetReadings::default(), identities: Identities::new(7) }
    }

    /// A watcher that has seen one good, empty poll at 0 s.
    fn started() -> Self {
        let mut watcher = Self::new();
        watcher.poll(&[], 0);
        watcher
    }

    fn poll(&mut self, events: &[Event<'_>], now: i64) -> Vec<(ChangeKind, u64)> {
        let owned: Vec<Event<'_>> = events.to_vec();
        let diff = self.readings.observe(&owned, &mut self.identities, FIRST_POLL_WINDOW, at(now));
        diff.changes.iter().map(|change: &Change<'_>| (change.kind, change.new)).collect()
    }

    /// What a restart of the process keeps: the rows of the store.
    fn restart(&mut self, shown: &[Event<'_>], remembered: &[Event<'_>]) {
        let rows: Vec<_> = remembered
            .iter()
            .chain(shown)
            .filter_map(|event| {
                let key = self.identities.episode(event);
                self.readings.reading(key).map(|reading| (key, reading, event.level))
            })
            .collect();
        self.readings = TargetReadings::restored(self.readings.last_good, rows);
    }
}

use ChangeKind::{Appeared, Increased, Restarted};

#[test]
fn a1_an_old_problem_at_first_contact_is_silent_baseline() {
    let mut watcher = Watcher::new();
    let events = [warning("web-1", "BackOff", "back-off", 6530, -90_000, -86_400)];
    let diff = watcher.readings.observe(&events, &mut watcher.identities, FIRST_POLL_WINDOW, START);
    assert_eq!((diff.changes.len(), diff.baseline.len()), (0, 1));
}

#[test]
fn a2_a_fresh_problem_at_first_contact_appears_with_one_occurrence() {
    let mut watcher = Watcher::new();
    let events = [warning("web-1", "BackOff", "back-off", 40, -3000, -120)];
    let diff = watcher.readings.observe(&events, &mut watcher.identities, FIRST_POLL_WINDOW, START);
    assert_eq!(diff.changes.iter().map(|c| (c.kind, c.new, c.event.count)).collect::<Vec<_>>(), [(Appeared, 1, 40)]);
}

#[test]
fn a4_an_entry_that_left_the_list_and_returns_has_increased_by_the_difference() {
    let mut watcher = Watcher::started();
    assert_eq!(watcher.poll(&[warning("web-1", "BackOff", "b", 5, 10, 50)], 60), [(Appeared, 5)]);
    for minute in 2..80 {
        assert_eq!(watcher.poll(&[], minute * 60), []);
    }
    assert_eq!(watcher.poll(&[warning("web-1", "BackOff", "b", 7, 10, 4790)], 4800), [(Increased, 2)]);
}

#[test]
fn a5_one_of_two_episodes_of_a_series_expires_without_a_change() {
    let mut watcher = Watcher::started();
    let (old, new) = (warning("web-1", "Failed", "x", 3, 10, 20), warning("web-1", "Failed", "x", 4, 30, 50));
    // Both episodes are new in one list; the series is unknown before it.
    assert_eq!(watcher.poll(&[old, new.clone()], 60).iter().map(|(_, new)| new).sum::<u64>(), 7);
    assert_eq!(watcher.poll(&[new], 120), []);
}

#[test]
fn a6_a_combined_message_counts_as_one_series_while_its_text_varies() {
    let mut watcher = Watcher::started();
    let combined = |text: &str, count, last| {
        warning("web-1", "Failed", &format!("(combined from similar events): {text}"), count, 10, last)
    };
    assert_eq!(watcher.poll(&[combined("a", 2, 50)], 60), [(Appeared, 2)]);
    assert_eq!(watcher.poll(&[combined("b", 5, 110)], 120), [(Increased, 3)]);
}

#[test]
fn a7_order_and_blanks_around_a_message_are_no_change() {
    let mut watcher = Watcher::started();
    let (a, b) = (warning("web-1", "Failed", "x", 3, 10, 20), warning("web-2", "Failed", "x", 4, 30, 50));
    watcher.poll(&[a.clone(), b.clone()], 60);
    let blanks = warning("web-1", "Failed", " x \n", 3, 10, 20);
    assert_eq!(watcher.poll(&[b, blanks], 120), []);
}

#[test]
fn a8_a_smaller_count_that_was_seen_earlier_is_a_stale_read() {
    let mut watcher = Watcher::started();
    watcher.poll(&[warning("web-1", "Failed", "x", 9, 10, 50)], 60);
    assert_eq!(watcher.poll(&[warning("web-1", "Failed", "x", 7, 10, 40)], 120), []);
    assert_eq!(watcher.poll(&[warning("web-1", "Failed", "x", 10, 10, 170)], 180), [(Increased, 1)]);
}

#[test]
fn the_same_count_seen_later_is_one_more_and_a_smaller_one_a_restart() {
    let mut watcher = Watcher::started();
    watcher.poll(&[warning("web-1", "Failed", "x", 9, 10, 50)], 60);
    assert_eq!(watcher.poll(&[warning("web-1", "Failed", "x", 9, 10, 100)], 120), [(Increased, 1)]);
    assert_eq!(watcher.poll(&[warning("web-1", "Failed", "x", 2, 10, 170)], 180), [(Restarted, 2)]);
}

#[test]
fn a_new_episode_from_before_the_last_good_poll_counts_as_one() {
    let mut watcher = Watcher::started();
    watcher.poll(&[], 3600);
    assert_eq!(watcher.poll(&[warning("web-1", "Failed", "x", 500, 60, 3650)], 3660), [(Appeared, 1)]);
    assert_eq!(watcher.poll(&[warning("web-1", "Failed", "x", 30, 3661, 3700)], 3720), [(Restarted, 30)]);
}

#[test]
fn what_left_the_list_is_remembered_for_a_day_and_within_bounds() {
    let mut watcher = Watcher::started();
    let many: Vec<_> = (0..1500)
        .map(|n| {
            let mut event = warning(&format!("pod-{n}"), "Failed", "x", 1, 10, 20 + n);
            event.level = if n % 10 == 0 { Level::Normal } else { Level::Warning };
            event
        })
        .collect();
    watcher.poll(&many, 1600);
    let empty = watcher.readings.observe(&[], &mut watcher.identities, FIRST_POLL_WINDOW, at(1660));
    assert_eq!(empty.forgotten.len(), 500);
    assert_eq!(watcher.readings.len(), REMEMBER_PER_TARGET);
    let normal = many.iter().filter(|e| e.level == Level::Normal);
    let kept = normal.filter(|e| watcher.readings.reading(watcher.identities.clone().episode(e)).is_some()).count();
    assert_eq!(kept, 0, "Normal goes before Warning");
    watcher.poll(&[], 1660 + 24 * 3600);
    assert!(watcher.readings.is_empty());
}

#[derive(Clone, Debug)]
enum Op {
    /// One more occurrence of series `0..4`, after so many seconds.
    Occur(usize, i64),
    /// The cluster begins a new episode with the next occurrence.
    Restart(usize),
    /// A good poll, after so many seconds; the seed shuffles and splits its list.
    Poll(i64, u64),
    /// A failed poll, after so many seconds.
    Fail(i64),
    /// podbell is restarted from its store.
    Reboot,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..4usize, 0..40i64).prop_map(|(series, wait)| Op::Occur(series, wait)),
        1 => (0..4usize).prop_map(Op::Restart),
        4 => (1..120i64, any::<u64>()).prop_map(|(wait, seed)| Op::Poll(wait, seed)),
        1 => (1..400i64).prop_map(Op::Fail),
        1 => Just(Op::Reboot),
    ]
}

/// The cluster as it truly is.
#[derive(Default)]
struct Cluster {
    now: i64,
    /// (series, first, last, count), several episodes of a series possible.
    episodes: Vec<(usize, i64, i64, u64)>,
    restart_next: [bool; 4],
    restarted_since_poll: [bool; 4],
    occurrences: u64,
}

impl Cluster {
    fn occur(&mut self, series: usize) {
        self.occurrences += 1;
        let newest = self.episodes.iter_mut().filter(|e| e.0 == series).max_by_key(|e| e.1);
        match newest {
            Some(episode) if !self.restart_next[series] => {
                episode.2 = self.now;
                episode.3 += 1;
            }
            _ => {
                // A new object is written at least a second after the old one.
                self.now += 1;
                self.episodes.push((series, self.now, self.now, 1));
                self.restart_next[series] = false;
            }
        }
    }

    /// What the API shows: the last hour, in any order, an episode sometimes in two entries.
    fn list(&self, seed: u64) -> Vec<Event<'static>> {
        let mut events = Vec::new();
        for (n, &(series, first, last, count)) in self.episodes.iter().enumerate() {
            if last < self.now - 3600 {
                continue;
            }
            let split = if (seed >> (n % 60)) & 1 == 1 && count > 1 { 1 + seed % (count - 1) } else { 0 };
            if split > 0 && split < count {
                events.push(entry(series, split, first, first));
            }
            events.push(entry(series, count - split, first, last));
        }
        let len = events.len().max(1);
        events.rotate_left((seed as usize) % len);
        if seed.is_multiple_of(3) {
            events.reverse();
        }
        events
    }

    fn all(&self) -> Vec<Event<'static>> {
        self.episodes.iter().map(|&(series, first, last, count)| entry(series, count, first, last)).collect()
    }
}

fn entry(series: usize, count: u64, first: i64, last: i64) -> Event<'static> {
    warning(&format!("web-{series}"), "Failed", "it failed", count, first, last)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn for_every_history_the_changes_add_up_to_the_true_number_of_occurrences(ops in prop::collection::vec(op(), 1..120)) {
        let mut cluster = Cluster::default();
        let mut watcher = Watcher::started();
        let mut told = 0u64;
        let mut last_good = 0;
        for op in ops {
            match op {
                Op::Occur(series, wait) => {
                    cluster.now += wait;
                    cluster.occur(series);
                }
                // More than one restart of a series between two polls cannot be told apart by anyone
                // once the elder one has expired.
                Op::Restart(series) if !cluster.restarted_since_poll[series] => {
                    cluster.restart_next[series] = true;
                    cluster.restarted_since_poll[series] = true;
                }
                Op::Restart(_) => {}
                Op::Fail(wait) => cluster.now += wait,
                Op::Reboot => watcher.restart(&[], &cluster.all()),
                Op::Poll(wait, seed) => {
                    cluster.now += wait;
                    let list = cluster.list(seed);
                    told += watcher.poll(&list, cluster.now).iter().map(|(_, new)| new).sum::<u64>();
                    prop_assert_eq!(watcher.poll(&list, cluster.now), vec![], "the same list twice changes nothing");
                    last_good = cluster.now;
                    cluster.restarted_since_poll = cluster.restart_next;
                }
            }
            if cluster.now - last_good > 3000 {
                // The source forgets after an hour: poll before that.
                told += watcher.poll(&cluster.list(0), cluster.now).iter().map(|(_, new)| new).sum::<u64>();
                last_good = cluster.now;
                cluster.restarted_since_poll = cluster.restart_next;
            }
        }
        told += watcher.poll(&cluster.list(0), cluster.now).iter().map(|(_, new)| new).sum::<u64>();
        prop_assert_eq!(told, cluster.occurrences);
    }

    #[test]
    fn the_order_inside_a_list_never_matters(seed in any::<u64>(), counts in prop::collection::vec((0..4usize, 1..50u64, 0..5000i64, 0..600i64), 1..30)) {
        let list: Vec<_> = counts.iter().map(|&(series, count, first, span)| entry(series, count, first, first + span)).collect();
        let mut shuffled = list.clone();
        let len = shuffled.len();
        for i in 0..len {
            shuffled.swap(i, (seed.rotate_left(i as u32) as usize) % len);
        }
        let (mut one, mut other) = (Watcher::started(), Watcher::started());
        let changes = |watcher: &mut Watcher, list: &[Event<'static>]| {
            let list = list.to_vec();
            let diff = watcher.readings.observe(&list, &mut watcher.identities, FIRST_POLL_WINDOW, at(6000));
            diff.changes.iter().map(|c| (c.kind, c.new, c.key, c.event.clone().into_owned())).collect::<Vec<_>>()
        };
        prop_assert_eq!(changes(&mut one, &list), changes(&mut other, &shuffled));
    }

    #[test]
    fn a_failed_poll_changes_nothing_because_it_never_reaches_the_diff(count in 1..100u64) {
        let mut watcher = Watcher::started();
        let list = [warning("web-1", "Failed", "x", count, 10, 50)];
        watcher.poll(&list, 60);
        // Twenty failed polls later (A3).
        prop_assert_eq!(watcher.poll(&list, 60 + 20 * 60), vec![]);
    }
}

#[test]
fn readings_compare_as_the_design_says() {
    let reading = |count, last| Reading { count, last_seen: at(last) };
    let cases = [
        (reading(5, 10), reading(7, 20), Some((Increased, 2))),
        (reading(5, 10), reading(7, 5), Some((Increased, 2))),
        (reading(5, 10), reading(7, 10), None),
        (reading(5, 10), reading(5, 20), Some((Increased, 1))),
        (reading(5, 10), reading(5, 10), None),
        (reading(5, 10), reading(5, 9), None),
        (reading(5, 10), reading(3, 20), Some((Restarted, 3))),
        (reading(5, 10), reading(3, 10), None),
        (reading(5, 10), reading(0, 20), Some((Restarted, 1))),
    ];
    for (before, now, expected) in cases {
        assert_eq!(podbell_core::diff::compare(before, now, Some(at(60))), expected, "{before:?} -> {now:?}");
    }
    // Dates are whole seconds: what happened in the second of the last read bears its date.
    let (before, now) = (reading(5, 10), reading(7, 10));
    assert_eq!(podbell_core::diff::compare(before, now, Some(at(11))), Some((Increased, 2)));
}

/// What each turn brings: how often each of some problems occurs.
fn turns() -> impl Strategy<Value = Vec<(Vec<u64>, usize)>> {
    prop::collection::vec((prop::collection::vec(0..4u64, 6), 1..4usize), 1..20)
}

proptest! {
    /// A watch says what changed, in batches of any size; a poll says all there is. Both have seen as much.
    #[test]
    fn parts_and_whole_lists_lead_to_the_same_occurrences(turns in turns()) {
        let (mut whole, mut parts) = (Watcher::started(), Watcher::started());
        let mut all: Vec<Option<Event<'static>>> = vec![None; 6];
        for (turn, (counts, size)) in turns.iter().enumerate() {
            let now = 60 * (i64::try_from(turn).unwrap() + 1);
            let mut changed = Vec::new();
            for (problem, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let before = all[problem].as_ref().map_or((0, now - 30), |event| {
                    (event.count, event.first_seen.seconds() - START.seconds())
                });
                let event = warning(&format!("web-{problem}"), "Failed", "x", before.0 + count, before.1, now - 10);
                all[problem] = Some(event.clone());
                changed.push(event);
            }
            let list: Vec<Event<'static>> = all.iter().flatten().cloned().collect();
            let by_list: u64 = whole.poll(&list, now).iter().map(|(_, new)| new).sum();
            let mut by_parts = 0;
            for batch in changed.chunks(*size) {
                let diff = parts.readings.observe_part(batch, &[], &mut parts.identities, at(now));
                by_parts += diff.changes.iter().map(|change| change.new).sum::<u64>();
            }
            prop_assert_eq!(by_list, counts.iter().sum::<u64>());
            prop_assert_eq!(by_parts, by_list);
        }
        prop_assert_eq!(parts.readings.absent(), 0, "absence in a part means nothing");
    }

    /// Whatever a watch brings, and whatever the cluster deletes meanwhile, a later list of all there is tells no more.
    #[test]
    fn a_list_after_parts_tells_nothing_again(turns in turns(), gone in prop::collection::vec(any::<bool>(), 6)) {
        let mut watcher = Watcher::started();
        let mut all: Vec<Option<Event<'static>>> = vec![None; 6];
        for (turn, (counts, _)) in turns.iter().enumerate() {
            let now = 60 * (i64::try_from(turn).unwrap() + 1);
            for (problem, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let count = all[problem].as_ref().map_or(0, |event| event.count) + count;
                let event = warning(&format!("web-{problem}"), "Failed", "x", count, 30, now - 10);
                watcher.readings.observe_part(std::slice::from_ref(&event), &[], &mut watcher.identities, at(now));
                all[problem] = Some(event);
            }
        }
        let deleted: Vec<Event<'static>> =
            all.iter().zip(&gone).filter(|(_, gone)| **gone).filter_map(|(event, _)| event.clone()).collect();
        watcher.readings.observe_part(&[], &deleted, &mut watcher.identities, at(1300));
        prop_assert_eq!(watcher.readings.absent(), deleted.len());
        let list: Vec<Event<'static>> = all.into_iter().flatten().collect();
        prop_assert_eq!(watcher.poll(&list, 1360), []);
        prop_assert_eq!(watcher.readings.absent(), 0, "what is listed is there");
    }
}
