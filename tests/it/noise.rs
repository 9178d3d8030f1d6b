//! How much is told, how soon, and whether it is true: labelled days of an invented cluster, and the
//! real recordings. `cargo bench --bench noise` measures the same on more and larger days.

#[path = "../corpus/mod.rs"]
mod corpus;

use corpus::{Cause, Day, Kind, Measured, Size, percentile, play};
use podbell_core::event::{Event, Level, Target};
use podbell_core::rules::Rules;
use podbell_core::time::Time;

const SMALL: Size = Size { services: 8, hours: 4 };
const SEEDS: std::ops::Range<u64> = 1..3;

/// How large a small day of a kind is: trouble of eight kinds needs as many workloads, and what hits half of all services
/// needs days on which something else happens, too.
fn size(kind: Kind) -> Size {
    match kind {
        Kind::States => Size { services: 14, hours: 6 },
        Kind::Registry => Size { services: 20, hours: 12 },
        _ => SMALL,
    }
}

/// What makes more messages than a quarter of its changes, because its 11 changes are three problems, hours apart and in three
/// workloads: to tell each of them once is more than a quarter.
const THREE_PROBLEMS: &str = "troubleshoot-image-pull-fail";

/// All days, and those without a flood.
fn days(rules: fn() -> Rules, kinds: &[Kind]) -> (Measured, Measured) {
    let (mut all, mut gentle) = (Measured::default(), Measured::default());
    for (kind, seed) in kinds.iter().flat_map(|kind| SEEDS.map(move |seed| (*kind, seed))) {
        // Storms take long to play, and one of each says it all.
        if kind.is_a_flood() && seed != SEEDS.start {
            continue;
        }
        let measured = play(&Day::new(kind, seed, size(kind)), rules());
        assert!(measured.worst_minute <= 3, "{kind:?} {seed}: {} messages in a minute", measured.worst_minute);
        if !kind.is_a_flood() {
            gentle.add(measured.clone());
        }
        all.add(measured);
    }
    (all, gentle)
}

#[track_caller]
fn meets_the_goals(rules: fn() -> Rules, kinds: &[Kind]) {
    let (mut all, gentle) = days(rules, kinds);
    assert!(gentle.quieter() >= 80.0, "without floods {} messages for {}", gentle.messages, gentle.changes);
    assert_eq!((&all.untold, &all.merged), (&Vec::new(), &Vec::new()));
    assert!(all.labelled > 20, "{} labels", all.labelled);
    // Of so few one is more than a hundredth; what is later than that must be so by a failed poll.
    let (late, after_failures) = all.late;
    assert!(late <= 1 && late == after_failures, "{late} late, {after_failures} by failed polls: {:?}", all.delays);
    assert!(all.delays.len() >= 2 && percentile(&all.delays, 0) > 0.0, "{:?}", all.delays);
    assert!(all.long_pulls >= 2, "{} long pulls", all.long_pulls);
    assert_eq!(all.long_pulls_ended_early, Vec::<String>::new());
    let early: Vec<_> = all.ended_early.iter().filter(|(_, (early, _))| *early > 0).collect();
    assert_eq!(early, []);
    assert_eq!((all.decisions, all.undecided), (all.changes, 0));
    let real = corpus::real_recordings(rules);
    assert!(real.quieter() >= 95.0, "real recordings: {} messages for {}", real.messages, real.changes);
    assert_eq!((real.decisions, real.undecided), (real.changes, 0));
    (all.changes, all.messages) = (all.changes + real.changes, all.messages + real.messages);
    assert!(all.quieter() >= 95.0, "{} messages for {} Warning changes", all.messages, all.changes);
    all.louder.extend(real.louder);
    all.louder.retain(|name| name != THREE_PROBLEMS);
    assert_eq!(all.louder, Vec::<String>::new());
}

#[test]
fn the_built_in_rules_tell_every_problem_soon_and_twenty_times_less_than_there_are_warnings() {
    meets_the_goals(corpus::built_in, &Kind::ALL);
}

#[test]
fn the_shipped_rules_tell_every_problem_and_nothing_of_quiet_days() {
    // Without what makes so many Warnings that any day is quiet beside it.
    meets_the_goals(
        corpus::shipped,
        &[Kind::Quiet, Kind::Releases, Kind::Mixed, Kind::Slow, Kind::NodeDown, Kind::Rollouts, Kind::Gaps],
    );
}

/// Days of a source that knows health, signals and nodes: of each all is told, nothing is told as over while it is not.
#[track_caller]
fn with_states(kind: Kind, check: impl Fn(&'static str, &Measured)) {
    for (set, rules) in corpus::sets() {
        for seed in SEEDS {
            let measured = play(&Day::new(kind, seed, size(kind)), rules());
            assert!(measured.labelled >= 6, "{set}: {measured:?}");
            assert_eq!((&measured.untold, &measured.about_nothing), (&Vec::new(), &Vec::new()), "{set}");
            let early: Vec<_> = measured.ended_early.iter().filter(|(_, (early, _))| *early > 0).collect();
            assert_eq!(early, [], "{set}");
            assert!(measured.worst_minute <= 3, "{set}: {} messages in a minute", measured.worst_minute);
            check(set, &measured);
        }
    }
}

#[test]
fn what_only_states_tell_is_told_within_90_s_and_is_over_when_they_say_so() {
    with_states(Kind::States, |set, measured| {
        let delays = &measured.delays_of_signals;
        assert!(delays.len() >= 3 && percentile(delays, 100) <= 90.0, "{set}: {delays:?}");
        assert!(measured.ends.values().map(Vec::len).sum::<usize>() >= 6, "{set}: {:?}", measured.ends);
    });
}

#[test]
fn a_registry_that_is_down_for_all_images_is_told_of_each_service_and_over_when_its_pods_are_ready() {
    with_states(Kind::Registry, |set, measured| {
        let ends = &measured.ends[&Cause::RegistryDown];
        assert!(percentile(ends, 90) <= 900.0, "{set}: {ends:?}");
    });
}

#[test]
fn a_node_down_under_200_pods_is_two_messages_in_its_first_five_minutes_and_names_its_workloads() {
    with_states(Kind::NodeStates, |set, measured| {
        assert!(measured.messages_of_nodes.iter().all(|count| (1..=2).contains(count)), "{set}: {measured:?}");
        assert_eq!((&measured.unnamed, measured.messages_of_nodes.len()), (&Vec::new(), 1), "{set}");
    });
}

#[test]
fn a_recording_with_gaps_of_days_tells_each_problem_and_no_end_that_nobody_saw() {
    for (set, rules) in corpus::sets() {
        for seed in SEEDS {
            let day = Day::new(Kind::Gaps, seed, SMALL);
            let polls: Vec<i64> = day.polls().map(|(at, ..)| at).collect();
            assert!(polls.windows(2).any(|pair| pair[1] - pair[0] > 2 * 86_400), "there are gaps of days");
            let measured = play(&day, rules());
            assert_eq!((&measured.untold, measured.labelled), (&Vec::new(), 5), "{set}");
            assert!(measured.ended_early.values().all(|(early, _)| *early == 0), "{set}: {:?}", measured.ended_early);
        }
    }
}

#[test]
fn rollouts_make_no_noise_rough_or_not_and_what_stays_broken_after_one_is_told() {
    for (set, rules) in corpus::sets() {
        for seed in SEEDS {
            let quiet = play(&Day::new(Kind::Quiet, seed, SMALL), rules());
            assert_eq!(quiet.messages, 0, "{set}: {quiet:?}");
            let rollouts = play(&Day::new(Kind::Rollouts, seed, Size { services: 16, hours: 8 }), rules());
            assert!(rollouts.labelled >= 4 && rollouts.changes > 150, "{rollouts:?}");
            assert_eq!((&rollouts.untold, &rollouts.about_nothing), (&Vec::new(), &Vec::new()), "{set}");
        }
    }
}

#[test]
fn no_situation_makes_more_messages_than_a_quarter_of_its_warnings_and_each_problem_is_told() {
    for (set, rules) in corpus::sets() {
        for (name, measured) in corpus::situations(rules) {
            assert_eq!(measured.untold, Vec::<String>::new(), "{set}");
            let few = measured.changes < 10 || measured.messages * 4 <= measured.changes;
            assert!(few, "{set}, {name}: {} messages for {} Warnings", measured.messages, measured.changes);
        }
    }
}

#[test]
fn one_cause_has_ten_thousand_events() {
    // That it makes three messages in its first minute is asserted of every day above.
    let events = Day::new(Kind::Avalanche, SEEDS.start, SMALL).written_about_problems();
    assert!(events >= 10_000, "{events} events");
}

#[test]
fn the_same_seed_makes_the_same_day_and_another_another() {
    let lists = |seed| format!("{:?}", Day::new(Kind::Mixed, seed, SMALL).lists);
    assert_eq!(lists(3), lists(3));
    assert_ne!(lists(3), lists(4));
}

#[test]
fn invented_lists_count_like_those_of_a_cluster() {
    let day = Day::new(Kind::Quiet, 1, Size { services: 40, hours: 24 });
    let count = |reason: &str| day.occurrences.iter().filter(|said| said.reason == reason).count();
    let started = count("Started");
    // As in 4,992 real events: as many pulls, creations and starts; two volumes to a pod.
    assert!(count("Created") == started && count("Pulled") == started && count("Pulling") < started);
    assert_eq!(count("SuccessfulMountVolume"), 2 * count("Scheduled"));
    assert!(day.occurrences.iter().filter(|said| said.level == Level::Warning).all(|said| said.problem.is_none()));
    let releases = Day::new(Kind::Releases, 1, Size { services: 40, hours: 5 });
    let said =
        |reason: &str, level| releases.occurrences.iter().any(|said| said.reason == reason && said.level == level);
    assert!(said("BackOff", Level::Normal) && said("BackOff", Level::Warning));
    let mut legacy =
        SEEDS.map(|seed| format!("{:?}", Day::new(Kind::Releases, seed, Size { services: 40, hours: 5 }).lists));
    assert!(legacy.any(|lists| lists.contains("操作重试") && lists.contains("pod启动失败")));
}

/// What a pod says again and again: level, reason, text, and how many seconds lie between two tries.
type Says = (Level, &'static str, &'static str, i64);

/// What the list shows of one event: its count, and the second it was seen last.
type Shown = (u64, i64);

/// The kubelet's spam filter about one pod, its first 25 words long spoken: a token comes every 300 s, and whatever is
/// tried next takes it. Counts go on meanwhile. The list as of each second.
struct Kubelet {
    says: Vec<(Says, u64, Option<Shown>)>,
    phase: i64,
    now: i64,
    token: bool,
}

impl Kubelet {
    fn new(says: &[Says], phase: i64) -> Self {
        let says = says.iter().map(|says| (*says, 300, Some((300, -1000 - says.3)))).collect();
        Self { says, phase, now: 0, token: false }
    }

    fn list(&mut self, until: i64, start: Time) -> Vec<Event<'static>> {
        while self.now < until {
            self.now += 1;
            self.token |= (self.now - self.phase).rem_euclid(300) == 0;
            for (place, ((_, _, _, every), count, written)) in self.says.iter_mut().enumerate() {
                if (self.now + i64::try_from(place).unwrap() * 3) % *every == 0 {
                    *count += 1;
                    if std::mem::take(&mut self.token) {
                        *written = Some((*count, self.now));
                    }
                }
            }
        }
        let at = |second: i64| Time::from_seconds(start.seconds() + second);
        let shown = self.says.iter().filter_map(|((level, reason, message, _), _, written)| {
            let (count, last) = (*written)?;
            Some(Event {
                first_seen: at(-200_000),
                last_seen: at(last),
                count,
                level: *level,
                obj_type: "Pod".into(),
                obj_name: "cart-7d4b9c6f5d-k2x9p".into(),
                reason: (*reason).into(),
                message: (*message).into(),
                ..Event::default()
            })
        });
        shown.collect()
    }
}

#[test]
fn what_the_kubelet_has_said_for_days_is_told_within_fifteen_minutes_of_podbells_start_at_any_phase() {
    use Level::{Normal, Warning};
    let troubles: [&[Says]; 7] = [
        &[(Warning, "BackOff", "Back-off restarting failed container app", 11)],
        &[
            (Warning, "Failed", "Failed to pull image \"x\": not found", 307),
            (Warning, "Failed", "Error: ErrImagePull", 307),
            (Normal, "BackOff", "Back-off pulling image \"x\"", 13),
            (Warning, "Failed", "Error: ImagePullBackOff", 13),
        ],
        &[(Warning, "Failed", "Error: configmap \"x\" not found", 12)],
        &[(Warning, "FailedMount", "MountVolume.SetUp failed for volume \"x\"", 122)],
        &[(Warning, "FailedCreatePodSandBox", "Failed to create pod sandbox: no network", 14)],
        &[(Warning, "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500", 10)],
        &[(Warning, "Unhealthy", "Readiness probe failed: connection refused", 10)],
    ];
    let start = Time::from_seconds(1_767_323_040);
    let target = Target::new(&corpus::source(), "cls-1", "shop", "cart");
    for (set, rules) in corpus::sets() {
        for (says, phase) in troubles.iter().flat_map(|says| (0..60).map(move |n| (*says, n * 5))) {
            let mut kubelet = Kubelet::new(says, phase);
            let polls = (0..20).map(|minute| {
                let at = minute * 60;
                (Time::from_seconds(start.seconds() + at), 0, Some(kubelet.list(at, start)))
            });
            let played = corpus::Played::polls(rules(), std::slice::from_ref(&target), polls);
            let told = played.outcomes.sent.first().map(|sent| sent.at.since(start).as_secs());
            assert!(told.is_some_and(|told| told <= 15 * 60 + 75), "{set}, phase {phase}: {says:?} told at {told:?}");
        }
    }
}
