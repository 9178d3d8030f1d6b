//! Mutes and acknowledgements: what they hold, what is told at their end, who may say them, and that
//! they survive.

use std::time::Duration;

use podbell_core::event::{Event, Target};
use podbell_core::message::{Style, compose};
use podbell_core::mute::Muted;
use podbell_core::notice::{Info, NoticeBody};
use podbell_core::rule::RuleKey;
use podbell_core::scope::Scope;
use podbell_core::translations::Language;
use podbell_core::user_action::{Act, ActionResult, Refusal};

use crate::support::events::warning;
use crate::support::world::{World, WorldSpec, web};

const POD: &str = "web-6d4cf56db6-x2x7v";
const HOUR: Duration = Duration::from_secs(3600);

const RULES: &str = "version: 1
rules:
  - {name: mounts, match: {reason: FailedMount}, notify: [team], group_wait: 0s, min_gap: 0s, escalate: {counts: [10, 100]}}
  - {name: pulls, match: {reason: Failed, namespace: bank}, notify: [bank], group_wait: 0s}
";

fn bank() -> Target {
    Target::new("prod", "cls-1", "bank", "ledger")
}

fn world() -> World {
    world_under(RULES)
}

fn world_under(rules: &str) -> World {
    let spec = WorldSpec {
        rules: vec![rules.to_owned()],
        destinations: vec![("team", None), ("bank", None)],
        ..WorldSpec::default()
    };
    let mut world = World::new(spec);
    world.watch(&[web(), bank()]);
    world.poll(&web(), &[]);
    world.poll(&bank(), &[]);
    world.log.clear();
    world
}

fn mounts(count: u64, last: i64) -> Vec<Event<'static>> {
    vec![warning(POD, "FailedMount", "m", count, 59, last)]
}

/// Polls `web` each minute from `from` on with a count that grows by `step`, until `until`.
fn failing(world: &mut World, from: i64, until: i64, count: &mut u64, step: u64) {
    let mut second = from;
    while second <= until {
        world.run_until(second);
        *count += step;
        world.poll(&web(), &mounts(*count, second - 1));
        world.poll(&bank(), &[]);
        second += 60;
    }
}

fn of_web() -> Muted {
    Muted::Service { cluster: None, namespace: Some("shop".into()), service: "web".into() }
}

fn mute(what: Muted, lasts: Duration) -> Act {
    Act::Mute { what, lasts, why: Some("known, fix at 11".into()) }
}

fn namespace(name: &str) -> Scope {
    serde_json::from_str(&format!(r#"{{"namespace": ["{name}"]}}"#)).unwrap()
}

fn title(world: &World) -> String {
    let style = Style { language: Language::En, time_zone: jiff::tz::TimeZone::UTC, now: world.now };
    let message = compose(world.last_notice(), &style);
    format!("{}\n{}", message.title, message.text())
}

#[test]
fn a_mute_is_announced_once_holds_what_gets_worse_and_says_at_its_end_what_is_still_open() {
    let mut world = world();
    let mut count = 0;
    failing(&mut world, 60, 120, &mut count, 1);
    let ActionResult::Muted { mute: said, holds } = world.act("zhang", &Scope::default(), mute(of_web(), HOUR)) else {
        panic!("muted")
    };
    assert_eq!((said.id, holds, said.until), (1, 1, world.now.plus(HOUR)));
    insta::assert_snapshot!(title(&world), @r"
    🔕 Muted: shop/web
    zhang muted it until 04:06: known, fix at 11
    1 problem is open now and will be reported at its end.
    muted in chat; what ends meanwhile is reported where it was reported before
    ");
    // It passes 10 and 100 meanwhile.
    failing(&mut world, 180, 3660, &mut count, 7);
    world.run_until(3720);
    assert_eq!(world.told(), ["60s team opened #1", "120s team info", "3720s team reminded #1"]);
    assert!(title(&world).starts_with("🟠 Warning, mute over #1 · shop/web: FailedMount"), "{}", title(&world));
    assert!(title(&world).contains("Mute over: still open, 414 more. 415 times, +414 since"), "{}", title(&world));
    // From then on everything is as it was: the steps that were passed are told steps.
    failing(&mut world, 3780, 3900, &mut count, 1);
    assert_eq!(world.told().len(), 3);
    assert_eq!(world.engine().state().unwrap().mutes().count(), 0);
}

#[test]
fn what_opens_under_a_mute_is_told_with_its_whole_story_at_the_end() {
    let mut world = world();
    world.act("zhang", &Scope::default(), mute(of_web(), HOUR));
    let mut count = 0;
    failing(&mut world, 60, 3600, &mut count, 1);
    world.run_until(3700);
    assert_eq!(world.told(), ["0s team info", "3600s team opened #1"]);
}

#[test]
fn what_is_resolved_under_a_mute_is_told_only_where_opened_was_told() {
    let mut known = world();
    let mut count = 0;
    failing(&mut known, 60, 120, &mut count, 1);
    known.act("zhang", &Scope::default(), mute(of_web(), HOUR));
    known.poll_until(&web(), &mounts(count, 119), 2000);
    assert_eq!(known.told(), ["60s team opened #1", "120s team info", "1020s team resolved #1"]);
    let mut unknown = world();
    unknown.act("zhang", &Scope::default(), mute(of_web(), HOUR));
    failing(&mut unknown, 60, 120, &mut 0, 1);
    unknown.poll_until(&web(), &mounts(2, 119), 8000);
    assert_eq!(unknown.told(), ["0s team info"]);
}

#[test]
fn unmute_ends_it_at_once_and_only_one_s_own() {
    let mut world = world();
    let mut count = 0;
    failing(&mut world, 60, 120, &mut count, 1);
    world.act("zhang", &Scope::default(), mute(of_web(), HOUR));
    let bank_only = namespace("bank");
    let unmute = Act::Unmute { what: of_web() };
    let refused = |because| ActionResult::Refused { because };
    assert_eq!(world.act("li", &bank_only, unmute.clone()), refused(Refusal::NotMuted));
    failing(&mut world, 180, 240, &mut count, 1);
    let ActionResult::Unmuted { mutes } = world.act("li", &Scope::default(), unmute.clone()) else { panic!("unmuted") };
    assert_eq!(mutes.len(), 1);
    assert_eq!(world.told(), ["60s team opened #1", "120s team info", "240s team reminded #1"]);
    assert_eq!(world.act("li", &Scope::default(), unmute), refused(Refusal::NotMuted));
}

#[test]
fn a42_a_team_mutes_its_own_services_only_and_others_are_for_it_not_there() {
    let mut world = world();
    let mut count = 0;
    failing(&mut world, 60, 120, &mut count, 1);
    let bank_only = namespace("bank");
    let refused = |because| ActionResult::Refused { because };
    assert_eq!(world.act("eve", &bank_only, mute(of_web(), HOUR)), refused(Refusal::Unknown));
    let nothing = Muted::Service { cluster: None, namespace: Some("shop".into()), service: "wob".into() };
    assert_eq!(world.act("eve", &bank_only, mute(nothing, HOUR)), refused(Refusal::Unknown));
    for id in [1, 99] {
        assert_eq!(world.act("eve", &bank_only, mute(Muted::Incident { id }, HOUR)), refused(Refusal::Unknown));
        assert_eq!(world.act("eve", &bank_only, Act::Acknowledge { id }), refused(Refusal::Unknown));
    }
    // A rule that both teams share is muted within the scope only.
    let mounts = Muted::Rule { rule: RuleKey { file: "rules-0.yaml".into(), name: "mounts".into() } };
    assert!(matches!(world.act("eve", &bank_only, mute(mounts.clone(), HOUR)), ActionResult::Muted { holds: 0, .. }));
    world.log.clear();
    failing(&mut world, 180, 720, &mut count, 1);
    assert_eq!(world.told(), ["600s team escalated #1"]);
    assert!(matches!(world.act("ops", &Scope::default(), mute(mounts, HOUR)), ActionResult::Muted { holds: 1, .. }));
}

#[test]
fn the_announcement_goes_to_whoever_would_have_heard_and_to_nobody_else() {
    let mut world = world();
    world.act("zhang", &Scope::default(), mute(of_web(), HOUR));
    assert_eq!(world.told(), ["0s team info"]);
    let ledger = Muted::Service { cluster: None, namespace: None, service: "ledger".into() };
    world.act("zhang", &Scope::default(), mute(ledger, HOUR));
    assert_eq!(world.told()[1..], ["0s bank info", "0s team info"], "mounts are told to team wherever they are");
    assert!(matches!(&world.last_notice().body, NoticeBody::Info(Info::Muted { what, .. }) if what == "ledger"));
}

#[test]
fn a_mute_lasts_at_most_seven_days_and_longer_ones_are_refused() {
    let mut world = world();
    let refused = ActionResult::Refused { because: Refusal::Length };
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(world.act("zhang", &Scope::default(), mute(of_web(), Duration::ZERO)), refused);
    assert_eq!(world.act("zhang", &Scope::default(), mute(of_web(), day * 7 + Duration::from_millis(1))), refused);
    assert!(matches!(world.act("zhang", &Scope::default(), mute(of_web(), day * 7)), ActionResult::Muted { .. }));
    assert!(matches!(world.act("zhang", &Scope::default(), mute(of_web(), HOUR)), ActionResult::Muted { .. }));
    assert_eq!(world.engine().state().unwrap().mutes().count(), 1, "said again, it counts anew");
    world.run_until(3599);
    assert_eq!(world.engine().state().unwrap().mutes().count(), 1);
    world.run_until(3600);
    assert_eq!(world.engine().state().unwrap().mutes().count(), 0);
}

#[test]
fn a43_a_mute_survives_a_kill_ends_on_time_and_tells_then_what_is_open() {
    let mut world = world();
    let mut count = 0;
    failing(&mut world, 60, 120, &mut count, 1);
    world.act("zhang", &Scope::default(), mute(of_web(), HOUR));
    world.kill();
    world.start();
    failing(&mut world, 180, 1200, &mut count, 3);
    world.kill();
    // Its end falls into the time in which podbell does not run.
    world.now = crate::support::events::at(5000);
    world.start();
    assert_eq!(world.told(), ["60s team opened #1", "120s team info", "5000s team reminded #1"]);
}

#[test]
fn two_mutes_of_one_thing_hold_until_the_last_is_over_and_one_of_an_incident_ends_with_it() {
    let mut world = world();
    let mut count = 0;
    failing(&mut world, 60, 120, &mut count, 1);
    world.act("zhang", &Scope::default(), mute(of_web(), HOUR));
    world.act("li", &Scope::default(), mute(Muted::Incident { id: 1 }, HOUR * 2));
    world.log.clear();
    failing(&mut world, 180, 7260, &mut count, 1);
    assert_eq!(world.told(), [""; 0]);
    world.run_until(7320);
    assert_eq!(world.told(), ["7320s team reminded #1"]);
    world.act("li", &Scope::default(), mute(Muted::Incident { id: 1 }, HOUR * 24));
    world.poll_until(&web(), &mounts(count, 7259), 7300 + 3 * 3600);
    assert_eq!(world.engine().state().unwrap().incidents().count(), 0);
    assert_eq!(world.engine().state().unwrap().mutes().count(), 0);
}

const CRITICAL: &str = "version: 1
rules:
  - {name: mounts, match: {reason: FailedMount}, notify: [team], group_wait: 0s, severity: critical,
     remind_every: 30m, escalate: {counts: [1000], objects: [], news: false}, reopen_within: 4h}
";

#[test]
fn an_acknowledgement_stops_reminders_not_escalations_and_coming_back_drops_it() {
    let mut world = world_under(CRITICAL);
    let mut count = 0;
    failing(&mut world, 60, 1860, &mut count, 1);
    assert_eq!(world.told(), ["60s team opened #1", "1860s team reminded #1"]);
    let ActionResult::Acknowledged { id: 1, before: None } =
        world.act("zhang", &Scope::default(), Act::Acknowledge { id: 1 })
    else {
        panic!("acknowledged")
    };
    world.kill();
    world.start();
    world.log.clear();
    failing(&mut world, 1920, 9000, &mut count, 1);
    assert_eq!(world.told(), [""; 0]);
    failing(&mut world, 9060, 9060, &mut count, 900);
    assert_eq!(world.told(), ["9060s team escalated #1"]);
    assert!(title(&world).contains("acknowledged by zhang at 03:35"), "{}", title(&world));
    let again = world.act("li", &Scope::default(), Act::Acknowledge { id: 1 });
    assert!(matches!(again, ActionResult::Acknowledged { before: Some(before), .. } if before.by.name == "zhang"));
    // Over, then back: reminders come again.
    world.log.clear();
    world.poll_until(&web(), &mounts(count, 9059), 11_000);
    assert_eq!(
        world.act("li", &Scope::default(), Act::Acknowledge { id: 1 }),
        ActionResult::Refused { because: Refusal::Over }
    );
    failing(&mut world, 11_040, 12_900, &mut count, 1);
    assert_eq!(world.told(), ["9960s team resolved #1", "11040s team reopened #1", "12840s team reminded #1"]);
    let store = rusqlite::Connection::open(world.store_path()).unwrap();
    let text = |sql| -> String { store.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(text("SELECT count(*) || '' FROM acknowledged"), "0");
    let who = "SELECT group_concat(body -> '$.by.name') FROM (SELECT body FROM action WHERE incident = 1 ORDER BY id)";
    assert_eq!(text(who), r#""zhang","li""#);
}
