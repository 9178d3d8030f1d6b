//! The query service on a real store: what names mean, what people may see and do, and that no question reads
//! whole tables.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::events::{at, warning};
use crate::support::world::{World, compiled, web};
use podbell::chat::{
    ActError, Acting, CommandSink, Entry, MessageKey, Queries as _, QueryService, Question, RuleCatalog, Speaker,
};
use podbell::sources::SourceEvent;
use podbell_core::ask::{AnswerFacts, Prompt};
use podbell_core::enrichment::{ContainerEnd, ContainerLog, ContainerState, PodState};
use podbell_core::event::{Event, Level, Target};
use podbell_core::message::Style;
use podbell_core::metadata::Metadata;
use podbell_core::mute::{Author, Mute, Muted};
use podbell_core::scope::Scope;
use podbell_core::time::Time;
use podbell_core::translations::Language;
use podbell_core::user_action::{Act, ActionResult, Refusal, UserAction};
use podbell_store::sqlite::Reader;
use podbell_store::{Inbox as _, Readers, ServiceQueries as _};

pub const RULES: &str = "version: 1
defaults: {notify: [team]}
rules:
  - {name: noise, match: {reason: Unhealthy}, action: ignore}
  - {name: pulls, match: {reason: [Failed, BackOff]}}
  - {name: bank-only, match: {namespace: bank, reason: Secret}}
";

const POD: &str = "web-6d4cf56db6-x2x7v";

fn other(namespace: &str, service: &str) -> Target {
    Target::new("prod", "cls-1", namespace, service)
}

/// A world in which one thing of each kind happened: an open incident, a silent baseline, an ignored
/// Warning, one that no rule is about, and another team's trouble.
pub fn lived() -> World {
    let mut world = World::with_rules(RULES);
    world.watch(&[web(), other("shop", "db"), other("bank", "vault"), other("bank", "web-admin")]);
    let mut pulled = warning(POD, "Pulled", "Container image already present", 3, -7200, -7000);
    pulled.level = Level::Normal;
    world.poll(
        &web(),
        &[warning("cache-0", "Evicted", "the node was low on memory", 6530, -90_000, -7200), pulled.clone()],
    );
    world.poll(&other("shop", "db"), &[]);
    world.poll(&other("bank", "vault"), &[]);
    world.run_until(60);
    let list = [
        warning(POD, "Failed", "Failed to pull image \"shop/web:v2\": not found", 3, 50, 59),
        warning(POD, "Unhealthy", "Readiness probe failed", 9, 50, 59),
        warning(POD, "FailedMount", "MountVolume.SetUp failed", 2, 50, 59),
        warning("cache-0", "Evicted", "the node was low on memory", 6530, -90_000, -7200),
        pulled,
    ];
    world.poll(&web(), &list);
    world.poll(
        &other("bank", "vault"),
        &[warning("vault-5d4cf56db6-x2x7v", "BackOff", "secret of the bank", 1, 55, 55)],
    );
    world.run_until(120);
    world
}

/// What the sink of a test was asked to do; it does it all.
#[derive(Default)]
struct TestSink {
    asked: Mutex<Vec<UserAction>>,
    silent: bool,
}

impl CommandSink for TestSink {
    fn act(&self, action: UserAction, _: Option<MessageKey>) -> Acting<'_> {
        let done = match &action.act {
            Act::Mute { what, lasts, why } => {
                ActionResult::Muted { mute: mute(what.clone(), &action, *lasts, why.clone()), holds: 1 }
            }
            Act::Acknowledge { id } => ActionResult::Acknowledged { id: *id, before: None },
            Act::Unmute { what } => {
                ActionResult::Unmuted { mutes: vec![mute(what.clone(), &action, Duration::from_secs(60), None)] }
            }
        };
        self.asked.lock().unwrap().push(action);
        let silent = self.silent;
        Box::pin(async move { if silent { Err(ActError::Silent) } else { Ok(done) } })
    }
}

fn mute(what: Muted, action: &UserAction, lasts: Duration, why: Option<String>) -> Mute {
    let (from, scope, by) = (at(120), action.scope.clone(), action.by.clone());
    Mute { id: 1, what, scope, by, why, from, until: from.plus(lasts) }
}

/// Somebody who asks.
pub struct Asker {
    #[allow(dead_code, reason = "it holds the store until the end")]
    folder: TempDir,
    path: PathBuf,
    scope: Scope,
    may_write: bool,
    language: Language,
    prompt: Prompt,
    now: Time,
    sink: Arc<TestSink>,
    known: AnswerFacts,
}

impl Asker {
    pub fn of(world: &World) -> Self {
        let known = AnswerFacts::new(
            &compiled(&[RULES.to_owned()]),
            BTreeMap::from([("cls-1".to_owned(), "prod-gz".to_owned())]),
        );
        // A copy of the moment: the world may go on, or end.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("podbell.db");
        let source = Connection::open(world.store_path()).unwrap();
        source.execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
        Self {
            folder,
            path,
            scope: Scope::default(),
            may_write: true,
            language: Language::En,
            prompt: Prompt::Chat,
            now: at(180),
            sink: Arc::default(),
            known,
        }
    }

    pub fn language(self, language: Language) -> Self {
        Self { language, ..self }
    }

    pub fn prompt(self, prompt: Prompt) -> Self {
        Self { prompt, ..self }
    }

    pub fn team(self, namespace: &str) -> Self {
        Self { scope: serde_json::from_value(serde_json::json!({"namespace": [namespace]})).unwrap(), ..self }
    }

    /// The answer in words, its title first.
    pub fn ask(&self, entry: Entry, text: &str) -> String {
        let readers = Readers::new(self.path.clone(), 2);
        let catalog = Arc::new(RuleCatalog::new(self.known.clone()));
        let queries = QueryService::new(readers, self.sink.clone(), catalog).at(self.prompt);
        let question = Question {
            speaker: Speaker {
                author: Author { name: "ann".into(), via: "ops".into() },
                scope: self.scope.clone(),
                may_write: self.may_write,
            },
            entry,
            text: text.to_owned(),
            style: Style { language: self.language, time_zone: jiff::tz::TimeZone::UTC, now: self.now },
            key: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let reply = runtime.block_on(queries.ask(question));
        format!("{}\n{}", reply.message.title, reply.message.text())
    }

    pub fn may_only_read(self) -> Self {
        Self { may_write: false, ..self }
    }

    pub fn at(self, now: Time) -> Self {
        Self { now, ..self }
    }

    pub fn podbell(&self, text: &str) -> String {
        self.ask(Entry::Podbell, text)
    }

    fn done(&self) -> Vec<Act> {
        self.sink.asked.lock().unwrap().iter().map(|action| action.act.clone()).collect()
    }

    fn sql(&self, sql: &str, body: &impl serde::Serialize) {
        let store = Connection::open(&self.path).unwrap();
        store.execute(sql, [serde_json::to_string(body).unwrap()]).unwrap();
    }
}

#[test]
fn planned_work_that_holds_what_comes_next_is_said_although_nothing_was_held_yet() {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    let pulls = |count, last| [warning(POD, "Failed", "Failed to pull image \"shop/web:v2\"", count, 50, last)];
    world.poll(&web(), &pulls(3, 59));
    world.run_until(120);
    assert!(!Asker::of(&world).podbell("why 1").contains("🤫"));
    let until = jiff::Timestamp::from_millisecond(at(3600).millis()).unwrap();
    let planned = format!("maintenance: {{name: move, until: \"{until}\"}}\n");
    world.reload(&[&RULES.replace("defaults:", &format!("{planned}defaults:"))]);
    world.poll(&web(), &pulls(4, 130));
    world.run_until(180);
    let said = Asker::of(&world).podbell("why 1");
    assert!(said.contains("🤫 team: ") && said.contains("move"), "{said}");
    let after = Asker { now: at(3601), ..Asker::of(&world) };
    assert!(!after.podbell("why 1").contains("🤫"), "it is over");
}

#[test]
fn who_is_told_next_if_nobody_acknowledges_it_is_said_until_somebody_does() {
    let rules = RULES.replace("defaults: {", "defaults: {unacknowledged: [{after: 15m, notify: [on-call]}], ");
    assert_ne!(rules, RULES);
    let mut world = World::with_rules(&rules);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    let pulls = |count, last| [warning(POD, "Failed", "Failed to pull image \"shop/web:v2\"", count, 50, last)];
    world.poll(&web(), &pulls(3, 59));
    world.run_until(120);
    let known = AnswerFacts::new(&compiled(&[rules]), BTreeMap::new());
    let asked = Asker { known: known.clone(), ..Asker::of(&world) };
    let said = asked.podbell("why 1");
    assert!(said.contains("Unless somebody acknowledges it, on-call will be notified at 03:20."), "{said}");
    world.act("ann", &Scope::default(), Act::Acknowledge { id: 1 });
    let asked = Asker { known, ..Asker::of(&world) };
    assert!(!asked.podbell("why 1").contains("Unless"));
}

#[test]
fn a42_another_team_s_service_is_as_if_it_did_not_exist() {
    let world = lived();
    let shop = Asker::of(&world).team("shop");
    // The incident of the bank, by number; its service, workload and rule, by name and by guessing.
    let everyone = Asker::of(&world).podbell("events vault");
    assert!(everyone.contains("#2"), "it is there: {everyone}");
    let absent = |text: &str, like: &str| {
        let (theirs, nobodys) = (shop.podbell(text), shop.podbell(like));
        // But for the word itself, which the answer repeats.
        let word = |text: &str| text.split_whitespace().nth(1).unwrap().trim_start_matches("rule:").to_owned();
        assert_eq!(theirs.replace(&word(text), "X"), nobodys.replace(&word(like), "X"), "{text}");
        for word in ["bank", "vaul-", "secret of the bank"] {
            assert!(!theirs.contains(word) || text.contains(word), "{text}: {theirs}");
        }
    };
    absent("events vault", "events qqqqq");
    absent("events vault -n bank", "events qqqqq -n bank");
    absent("events vaul", "events qqqq");
    absent("mute vault 2h", "mute qqqqq 2h");
    absent("mute rule:bank-only 2h", "mute rule:qqqq-only 2h");
    absent("mute bank-only 2h", "mute qqqq-only 2h");
    absent("unmute vault", "unmute qqqqq");
    absent("show 2", "show 9");
    absent("why 2", "why 9");
    absent("ack 2", "ack 9");
    absent("mute 2 2h", "mute 9 2h");
    assert!(shop.done().is_empty(), "nothing was even tried");
    for text in
        ["events", "incidents", "incidents --all", "incidents -n bank", "untold", "status", "mutes", "events web"]
    {
        let said = shop.podbell(text);
        for word in ["bank", "vault", "admin"] {
            assert!(!said.contains(word) || text.contains(word), "{text}: {said}");
        }
    }
}

#[test]
fn a42_a_mute_of_another_team_is_not_listed_and_one_s_own_is() {
    let world = lived();
    let shop = Asker::of(&world).team("shop");
    let by = |name: &str| Author { name: name.into(), via: "ops".into() };
    let (from, until) = (at(100), at(7_200));
    let of = |id, namespace: &str, service: &str, name: &str| Mute {
        id,
        what: Muted::Service { cluster: None, namespace: Some(namespace.into()), service: service.into() },
        scope: Scope::default(),
        by: by(name),
        why: None,
        from,
        until,
    };
    let sql = format!("INSERT INTO mute (until, body) VALUES ({}, ?1)", until.millis());
    shop.sql(&sql, &of(1, "bank", "vault", "eve"));
    shop.sql(&sql, &of(2, "shop", "web", "bob"));
    let said = shop.podbell("mutes");
    assert!(said.contains("shop/web") && said.contains("bob"), "{said}");
    assert!(!said.contains("vault") && !said.contains("eve"), "{said}");
    let said = shop.podbell("events web");
    assert!(said.contains("muted by bob (ops) until 05:04"), "the incident says who muted it: {said}");
    shop.podbell("unmute web");
    assert!(matches!(&shop.done()[..], [Act::Unmute { what: Muted::Service { service, .. } }] if service == "web"));
}

#[test]
fn events_can_be_narrowed_to_objects_with_a_label_and_the_next_page_asks_the_same() {
    let mut world = World::with_rules("version: 1\nrules: [{name: all, match: {reason: '*'}, notify: [team]}]\n");
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    let of = |pod: String, reason: &str, team: &str| {
        let metadata = Metadata::of([("team".to_owned(), team.to_owned())], []).map(Arc::new);
        Event { metadata, ..warning(&pod, reason, "m", 3, 50, 59) }
    };
    let mut list: Vec<_> = (0..12).map(|n| of("pay-0".into(), &format!("Failed{n}"), "payments")).collect();
    list.push(of("find-0".into(), "Failed", "search"));
    world.poll(&web(), &list);
    world.run_until(120);
    let asker = Asker::of(&world);
    let said = asker.podbell("events web label:team=search");
    assert_eq!(said, asker.podbell("events web --label team=search"));
    assert!(said.contains("find") && !said.contains("pay"), "{said}");
    let said = asker.podbell("events web --label team=payments");
    assert!(said.contains("pay") && !said.contains("find"), "{said}");
    assert!(said.contains("--label \"team=payments\" --page 2"), "{said}");
    let said = asker.podbell("events web --label team=nobody");
    assert!(!said.contains("pay-") && !said.contains("find"), "{said}");
    for wrong in ["team", "=payments"] {
        let said = asker.podbell(&format!("events web --label {wrong}"));
        assert!(said.contains("team=payments"), "{said}");
    }
}

#[test]
fn a_name_is_a_service_s_then_a_workload_s_and_a_wrong_one_gets_the_nearest() {
    let world = lived();
    let asker = Asker::of(&world);
    assert!(asker.podbell("events Web").starts_with("📋 shop/web"), "a phone's capital");
    assert!(asker.podbell("events web -c prod-gz").starts_with("📋 shop/web"), "a cluster's alias");
    let said = asker.podbell("events wbe --since 2h");
    assert!(said.contains("/events web --since 7200s"), "{said}");
    let said = asker.podbell("events web -n bank");
    assert!(said.contains("/events web -n shop -c prod-gz"), "the name is right, the place is not: {said}");
}

#[test]
fn a_name_in_several_places_is_a_choice_of_commands_to_type() {
    let mut world = lived();
    world.poll(&other("bank", "web"), &[]);
    let asker = Asker::of(&world);
    let said = asker.podbell("mute web 2h deploying it");
    for command in ["/podbell mute web -n bank 2h deploying it", "/podbell mute web -n shop 2h deploying it"] {
        assert!(said.contains(command), "{said}");
    }
    assert!(asker.done().is_empty(), "nobody guesses");
    let shop = Asker::of(&world).team("shop");
    let said = shop.podbell("mute web 2h deploying it");
    assert!(said.contains("muted by ann (ops)"), "for this team there is one only: {said}");
}

#[test]
fn a_mute_is_of_what_its_word_is_and_a_word_that_is_both_is_asked_for() {
    let world = lived();
    let asker = Asker::of(&world);
    for text in ["mute 1 2h", "mute rule:pulls 1d", "mute pulls 30m", "mute shop/web 2h “new version”"] {
        asker.podbell(text);
    }
    insta::assert_debug_snapshot!(asker.done());
    let mut world = lived();
    world.poll(&other("shop", "pulls"), &[]);
    let said = Asker::of(&world).podbell("mute pulls 2h");
    assert!(said.contains("mute rule:pulls 2h") && said.contains("mute pulls -n shop"), "{said}");
}

#[test]
fn who_may_only_read_changes_nothing_and_who_is_not_answered_hears_so() {
    let world = lived();
    let reader = Asker { may_write: false, ..Asker::of(&world) };
    let said = reader.podbell("ack 1");
    assert!(said.contains("not acknowledge or mute") && reader.done().is_empty(), "{said}");
    let sink = Arc::new(TestSink { silent: true, ..TestSink::default() });
    let said = Asker { sink, ..Asker::of(&world) }.podbell("ack 1");
    assert!(said.contains("may or may not be done"), "{said}");
}

#[test]
fn what_people_did_is_shown_with_author_and_time() {
    let world = lived();
    let asker = Asker::of(&world);
    let logged = serde_json::json!({
        "by": {"name": "bob", "via": "team-slack"},
        "act": {"act": "mute", "what": {"what": "incident", "id": 1}, "lasts": {"secs": 7200, "nanos": 0}, "why": "deploying"},
        "at": at(90),
    });
    asker.sql("INSERT INTO action (at, incident, body) VALUES (0, 1, ?1)", &logged);
    let has = serde_json::json!({"by": {"name": "eve", "via": "ops"}, "at": at(100)});
    asker.sql("INSERT INTO acknowledged (incident, body) VALUES (1, ?1)", &has);
    let said = asker.podbell("show 1");
    assert!(said.contains("👤 03:05 bob (team-slack): muted for 2 h, deploying"), "{said}");
    assert!(said.contains("🙋 acknowledged by eve"), "{said}");
    assert!(!said.contains("podbell ack 1"), "somebody has it already: {said}");
}

#[test]
fn no_question_reads_all_series_all_incidents_or_all_decisions() {
    let mut world = lived();
    let path = world.store_path();
    world.engine();
    let mut reader = Reader::open(&path).unwrap();
    let snapshot = reader.snapshot().unwrap();
    for (query, plan) in snapshot.plans().unwrap() {
        let scans = plan.split("; ").filter(|step| step.contains("SCAN") && !step.contains("USING"));
        for scan in scans {
            // A page of incidents comes in the order of their numbers and ends with the page.
            let page = query.contains("ORDER BY id DESC LIMIT") && scan.contains("SCAN incident");
            let derived = scan.contains("SCAN i") && !scan.contains("SCAN incident");
            assert!(page || derived, "{query}\n{plan}");
        }
        // What is asked of one service must not look through everything that is open.
        if query.contains("service = ?1") || query.contains("workload = ?1") {
            assert!(!plan.contains("incident_newest"), "{query}\n{plan}");
        }
        assert!(!plan.contains("SCAN series") && !plan.contains("SCAN s ") || plan.contains("series_silent"), "{plan}");
    }
}

#[test]
fn an_incident_that_spans_teams_shows_each_its_own_and_one_that_is_over_stays_to_be_asked_for() {
    let mut world = World::with_rules(
        "version: 1\ndefaults: {notify: [team], group_by: [reason]}\nrules:\n  - {name: all, match: {reason: '*'}}\n",
    );
    let (shop, bank) = (web(), other("bank", "vault"));
    world.watch(&[shop.clone(), bank.clone()]);
    world.poll(&shop, &[]);
    world.poll(&bank, &[]);
    world.run_until(60);
    let both = [(&shop, POD), (&bank, "vault-0")];
    for (target, pod) in both {
        world.poll(target, &[warning(pod, "BackOff", "back-off", 1, 55, 55)]);
    }
    world.run_until(90);
    let said = Asker::of(&world).team("shop").podbell("show 1");
    assert!(said.contains("web") && !said.contains("vault") && !said.contains("bank"), "{said}");
    while world.now < at(1_200) {
        let next = world.now.plus(Duration::from_secs(60));
        world.run_to(next);
        both.iter().for_each(|(target, _)| world.poll(target, &[]));
    }
    let asker = Asker { now: world.now, ..Asker::of(&world) };
    assert!(asker.podbell("incidents").contains("There is none"), "{}", asker.podbell("incidents"));
    assert!(asker.podbell("incidents --all").contains("✅ #1"), "{}", asker.podbell("incidents --all"));
    assert!(asker.podbell("show 1").starts_with("✅ Resolved #1"), "{}", asker.podbell("show 1"));
}

#[test]
fn a_log_is_shown_to_nobody_who_asks_and_a_team_sees_nothing_of_another_s_pods_nodes_and_workloads() {
    let rules = "version: 1
defaults: {notify: [team]}
rules:
  - name: node-down
    match: {level: [Warning, Normal], reason: NodeNotReady}
    group_by: [cluster]
    inhibit: {rules: '*', equal: [cluster, node], into: cause}
  - {name: all, match: {reason: '*'}}
";
    let mut world = World::with_rules(rules);
    let (shop, bank) = (web(), other("bank", "vault"));
    world.watch(&[shop.clone(), bank.clone()]);
    world.poll(&shop, &[]);
    world.poll(&bank, &[]);
    world.run_until(60);
    for (target, pod) in [(&shop, POD), (&bank, "vault-0")] {
        let away = warning(pod, "NodeNotReady", "Node is not ready", 1, 55, 55);
        world.poll(target, &[Event { node: Some("n1".into()), ..away }]);
    }
    let log = ContainerLog { container: "vault".into(), previous: true, text: "panic: the ledger is gone".into() };
    let ended = Some(ContainerEnd { reason: "Error".into(), exit_code: 1, at: at(50) });
    let containers =
        vec![ContainerState { name: "vault".into(), waiting: "CrashLoopBackOff".into(), restarts: 5, ended }];
    let pod =
        PodState { pod: "vault-0".into(), node: "n1".into(), phase: "Running".into(), containers, log: Some(log) };
    world.say(SourceEvent::Enriched { incident: 1, at: world.now, state: Box::new(pod) });
    world.run_until(300);
    let asker = Asker::of(&world);
    let all = asker.podbell("show 1");
    assert!(all.contains("vault") && !all.contains("ledger"), "{all}");
    let own = Asker::of(&world).team("shop").podbell("show 1");
    assert!(own.contains("web"), "{own}");
    for foreign in ["vault", "bank", "ledger", "CrashLoop"] {
        assert!(!own.contains(foreign), "{foreign}: {own}");
    }
}

#[test]
fn a_reader_cannot_write_and_does_not_wait_for_the_writer() {
    let world = lived();
    let path = world.store_path();
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE meta SET value = 1 WHERE key = 'heartbeat'").unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(snapshot.services_named("web").unwrap().len(), 1);
    assert!(snapshot.withdraw(1).unwrap_err().to_string().contains("read"), "it only reads");
    writer.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn what_happens_again_leaves_the_silent_baseline() {
    let mut world = lived();
    assert!(Asker::of(&world).podbell("events").contains("shop/cache: Evicted"));
    world.poll(&web(), &[warning("cache-0", "Evicted", "the node was low on memory", 6531, -90_000, 119)]);
    let said = Asker::of(&world).podbell("events");
    assert!(!said.contains("cache"), "{said}");
    let refused = ActionResult::Refused { because: Refusal::Over };
    assert!(serde_json::to_string(&refused).unwrap().contains("over"));
}

#[test]
fn a_node_is_asked_for_by_its_name_and_as_a_service() {
    let mut world = World::with_rules(RULES);
    let node = other("", "node/n1");
    world.watch(std::slice::from_ref(&node));
    world.poll(&node, &[]);
    world.run_until(60);
    let mut failed = warning("n1", "Failed", "the disk of the node is gone", 2, 50, 59);
    failed.obj_type = "Node".into();
    world.poll(&node, &[failed]);
    world.run_until(120);
    for typed in ["events n1", "events node/n1"] {
        let said = Asker::of(&world).podbell(typed);
        assert!(said.contains("the disk of the node is gone"), "{typed}: {said}");
    }
    let said = Asker::of(&world).podbell("events node/n2");
    assert!(!said.contains("the disk"), "{said}");
}
