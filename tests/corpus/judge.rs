//! Who is right: what was told against what was injected.
//!
//! An event belongs to the problem that made it say what it says, and to the workload that runs it;
//! what rules and incidents think of that has no say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use podbell_core::notice::{Notice, NoticeBody, NoticeKind, Story};
use podbell_core::replay::Sent;
use podbell_core::rule::Field;
use podbell_core::step::decision::Decision;
use podbell_core::time::Time;

use super::day::{Cause, Day, Span};
use super::measure::{Measured, Played};

/// Whose: namespace and workload.
type Place = (&'static str, String);

/// A pull that fails for so long must not be told as over.
const LONG: i64 = 2 * 3600;

/// `poll_every` + `group_wait` + 5 s.
pub const SOON: f64 = 80.0;
/// So long after it happened, a Warning is seen at last, when polls failed.
const SEEN_LATE: i64 = 360;

pub(super) fn judge(day: &Day, played: &Played, measured: &mut Measured) {
    let incidents = Incidents::new(day, played);
    for (incident, places) in &incidents.places {
        // A node's incident is about all that ran there.
        let by_workload = |(_, story, _): &(&Notice, &Story, &Sent)| story.group.contains_key(&Field::Workload);
        let stories = incidents.stories.get(incident).map_or(&[][..], Vec::as_slice);
        if places.len() > 1 && stories.iter().any(by_workload) {
            measured.merged.push(format!("{}: #{incident} is about {places:?}", day.name));
        }
    }
    for (number, problem) in day.problems.iter().enumerate() {
        for (place, span) in &problem.places {
            told(day, played, &incidents, (number, place, span.first), measured);
            ended(day, &incidents, (number, place, *span), measured);
        }
        if day.kind.knows_states() && problem.cause == Cause::NodeDown {
            node_down(day, &incidents, number, measured);
        }
    }
    let told: BTreeSet<u64> = incidents.stories.keys().copied().collect();
    let real: BTreeSet<u64> = incidents.joined.values().flat_map(BTreeMap::keys).copied().collect();
    let about_nothing = told.difference(&real).map(|id| {
        let (notice, story, _) = &incidents.stories[id][0];
        let reasons: Vec<&str> = story.reasons.iter().map(|one| one.reason.as_str()).collect();
        let at = notice.made_at.seconds() - day.start.seconds();
        format!("{}: #{id} {} {reasons:?} at {at} s", day.name, story.workload)
    });
    measured.about_nothing.extend(about_nothing);
}

/// What became of the changes of a day.
struct Incidents<'a> {
    /// The workloads that an incident is about.
    places: BTreeMap<u64, BTreeSet<Place>>,
    /// When a problem of a workload joined which incidents first.
    joined: BTreeMap<(usize, Place), BTreeMap<u64, Time>>,
    /// What was told of an incident, and when, in the order of telling.
    stories: BTreeMap<u64, Vec<(&'a Notice, &'a Story, &'a Sent)>>,
}

impl<'a> Incidents<'a> {
    fn new(day: &Day, played: &'a Played) -> Self {
        let truth = Truth::new(day);
        let mut incidents = Self { places: BTreeMap::new(), joined: BTreeMap::new(), stories: BTreeMap::new() };
        for decision in &played.outcomes.decisions {
            let (place, problems) = truth.about(decision);
            for incident in decision.incidents() {
                incidents.places.entry(incident).or_default().insert(place.clone());
                let at = (decision.at.millis() - day.start.millis()) / 1000;
                // Pods of a StatefulSet have the same name on good days.
                let lasts = |problem: &&usize| {
                    let span = day.problems[**problem].places.get(place);
                    span.is_some_and(|span| (span.first..span.last + SEEN_LATE).contains(&at))
                };
                for problem in problems.iter().filter(lasts) {
                    let joined = incidents.joined.entry((*problem, place.clone())).or_default();
                    joined.entry(incident).or_insert(decision.at);
                }
            }
        }
        let notices = &played.outcomes.notices;
        for sent in &played.outcomes.sent {
            for number in &sent.notices {
                let place = notices.binary_search_by_key(number, |notice| notice.id).expect("what is sent was made");
                if let NoticeBody::Incident(story) = &notices[place].body {
                    incidents.stories.entry(story.incident).or_default().push((&notices[place], story, sent));
                }
            }
        }
        incidents
    }
}

/// What each object's reasons belong to, by injection.
struct Truth {
    of: HashMap<(String, String), (Place, BTreeSet<usize>)>,
}

impl Truth {
    fn new(day: &Day) -> Self {
        let mut of: HashMap<_, (Place, BTreeSet<usize>)> = HashMap::new();
        for said in &day.occurrences {
            let object = format!("{}/{}/{}", said.workload.0, said.obj_type, said.obj_name);
            let known = of.entry((object, said.reason.to_owned()));
            let known = known.or_insert_with(|| (said.workload.clone(), BTreeSet::new()));
            assert_eq!(known.0, said.workload, "no two workloads share an object");
            known.1.extend(said.problem);
        }
        Self { of }
    }

    fn about(&self, decision: &Decision) -> &(Place, BTreeSet<usize>) {
        let object = format!("{}/{}/{}", decision.target.namespace, decision.obj_type, decision.obj_name);
        self.of.get(&(object, decision.reason.clone())).expect("every change was injected")
    }
}

/// Whether and when somebody was told of one problem of one workload.
fn told(
    day: &Day,
    played: &Played,
    incidents: &Incidents<'_>,
    (number, place, first): (usize, &Place, i64),
    measured: &mut Measured,
) {
    measured.labelled += 1;
    let nothing = BTreeMap::new();
    let joined = incidents.joined.get(&(number, place.clone())).unwrap_or(&nothing);
    let tellings = joined.iter().flat_map(|(incident, since)| {
        let stories = incidents.stories.get(incident).map_or(&[][..], Vec::as_slice);
        stories.iter().filter(move |(notice, _, _)| notice.made_at >= *since && tells(notice.kind))
    });
    let Some((notice, story, sent)) = tellings.min_by_key(|(_, _, sent)| sent.at) else {
        let cause = day.problems[number].cause;
        measured.untold.push(format!("{}: {cause:?} of {}/{} at {first} s", day.name, place.0, place.1));
        return;
    };
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a day")]
    let delay = (sent.at.millis() - day.start.millis() - first * 1000) as f64 / 1000.0;
    let cause = day.problems[number].cause;
    if matches!(cause, Cause::OomOnce | Cause::OomKills | Cause::Stalled | Cause::Unavailable)
        && !day.poll_failed(place, first, sent.at)
    {
        measured.delays_of_signals.push(delay);
    }
    let rule = played.setup.rules.find(&story.rule).expect("a rule of the set");
    let at_once = played.setup.rules.get(rule).settings.open_when.at_once();
    // Among several of one minute it is told in a digest, or waits for its turn.
    let in_a_storm = sent.notices.len() > 1 || sent.at.since(notice.made_at).as_secs() > 1;
    let delays = match (in_a_storm, notice.kind) {
        (_, NoticeKind::Escalated | NoticeKind::Reopened) => {
            measured.joined += 1;
            &mut measured.delays_as_news
        }
        (true, _) => &mut measured.delays_in_storms,
        _ if at_once => &mut measured.delays,
        _ => &mut measured.delays_of_slow_rules,
    };
    delays.push(delay);
    if at_once && notice.kind == NoticeKind::Opened && !in_a_storm && delay > SOON {
        let failed = day.poll_failed(place, first, sent.at);
        let (all, after_failures) = measured.late;
        measured.late = (all + 1, after_failures + u64::from(failed));
    }
}

/// What was told in the first five minutes of a node that is down: how often, and whether with the workloads.
fn node_down(day: &Day, incidents: &Incidents<'_>, number: usize, measured: &mut Measured) {
    let places: Vec<&Place> = day.problems[number].places.keys().filter(|place| !place.0.is_empty()).collect();
    let first = day.problems[number].places.values().map(|span| span.first).min().unwrap_or(0);
    let until = Time::from_seconds(day.start.seconds() + first + 300);
    let joined = places.iter().filter_map(|place| incidents.joined.get(&(number, (**place).clone())));
    let of: BTreeSet<u64> = joined.flat_map(BTreeMap::keys).copied().collect();
    let early = of.iter().flat_map(|incident| incidents.stories.get(incident).into_iter().flatten());
    let early: Vec<_> = early.filter(|(notice, _, sent)| notice.made_at < until && sent.at < until).collect();
    let messages: BTreeSet<(Time, &[u64])> = early.iter().map(|(_, _, sent)| (sent.at, &*sent.notices)).collect();
    measured.messages_of_nodes.push(messages.len());
    let named = early.iter().any(|(_, story, _)| {
        story.affected_count == places.len() as u64 && story.affected.len() == places.len().min(10)
    });
    if !named {
        measured.unnamed.push(format!("{}: {} workloads", day.name, places.len()));
    }
}

/// Whether a notice tells people that something is wrong, or has become worse: one that joins an
/// incident about the same thing is no news, and must be told as worse.
fn tells(kind: NoticeKind) -> bool {
    matches!(kind, NoticeKind::Opened | NoticeKind::Reopened | NoticeKind::Escalated)
}

/// Whether it was told as over before it was.
fn ended(day: &Day, incidents: &Incidents<'_>, (number, place, span): (usize, &Place, Span), measured: &mut Measured) {
    let last = Time::from_seconds(day.start.seconds() + span.last);
    let nothing = BTreeMap::new();
    let joined = incidents.joined.get(&(number, place.clone())).unwrap_or(&nothing);
    let stories = |incident: &u64| incidents.stories.get(incident).map_or(&[][..], Vec::as_slice);
    // While another incident of the same problem is known to be open, nobody thinks that it is over.
    let open = |incident: &u64, at: Time| {
        let last = stories(incident).iter().rfind(|(_, _, sent)| sent.at <= at);
        last.is_some_and(|(notice, _, _)| notice.kind != NoticeKind::Resolved)
    };
    let cause = day.problems[number].cause;
    // A container that was killed for its memory is well as soon as it is ready again, until the next time.
    let wrong = |at: Time| match cause {
        Cause::OomKills => !day.states.is_whole(place, at.seconds() - day.start.seconds()),
        _ => at < last,
    };
    let early = joined.iter().any(|(incident, since)| {
        let mut ends = stories(incident).iter().filter(|(notice, _, _)| notice.kind == NoticeKind::Resolved);
        ends.any(|(notice, _, sent)| {
            let others = joined.keys().filter(|other| *other != incident);
            notice.made_at >= *since && wrong(sent.at) && !others.into_iter().any(|other| open(other, sent.at))
        })
    });
    let ends = joined.keys().flat_map(&stories);
    let ends = ends.filter(|(notice, _, sent)| notice.kind == NoticeKind::Resolved && sent.at >= last);
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a day")]
    if let Some(end) = ends.map(|(_, _, sent)| sent.at).min() {
        measured.ends.entry(cause).or_default().push((end.millis() - last.millis()) as f64 / 1000.0);
    }
    let sum = measured.ended_early.entry(cause).or_default();
    *sum = (sum.0 + u64::from(early), sum.1 + 1);
    if cause == Cause::BadImage && span.last - span.first >= LONG {
        measured.long_pulls += 1;
        if early {
            measured.long_pulls_ended_early.push(format!("{}: {place:?} {span:?}", day.name));
        }
    }
}
