//! Every chat and on-call service that podbell tells, as its vendor documents it: the real engine, store and notifiers against
//! servers that enforce limits of length and pace, know their credential, and lose answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;
use serde_json::Value;

use crate::support::chat_servers::{PLATFORMS, Platform, Server, TOKEN, platform_named};
use crate::support::events::{at, warning};
use crate::support::notices::{incident, one_of_each, story};
use crate::support::platform::platform;
use crate::support::world::{Wire, World, WorldSpec, web};
use podbell_core::event::{Event, Target};
use podbell_core::notice::{Newest, NoticeKind, Story};
use podbell_core::outbox::{Content, Outcome, Parent, SendContent};
use podbell_core::scope::Scope;
use podbell_core::translations::Language;
use podbell_core::user_action::Act;

const RULES: &str = "version: 1
rules:
  - {name: all, match: {reason: '*'}, notify: [team], group_wait: 0s, min_gap: 10s, escalate: {counts: [10]}, resolve_after: 15m, severity: critical}
";

fn world(server: &Server, token: &str) -> World {
    let mut world =
        World::new(WorldSpec { rules: vec![RULES.into()], through: Some(server.wire(token)), ..WorldSpec::default() });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    // The first contact, and what it took.
    world.run_until(120);
    world
}

fn crash(name: &str, count: u64, last: i64) -> Event<'static> {
    let pod: &'static str = Box::leak(format!("{name}-6d4cf56db6-x2x7v").into_boxed_str());
    warning(pod, "FailedMount", "no such volume", count, 130, last)
}

/// A platform on which one message stands for an incident.
fn changes(platform: &Platform) -> bool {
    ["discord", "discord bot", "telegram", "mattermost bot", "feishu-app", "dingtalk-app cards"]
        .contains(&platform.name)
}

/// A platform of which each notice is a new message.
fn only_posts(platform: &Platform) -> bool {
    !changes(platform) && platform.name != "pagerduty"
}

/// What is shown that is about `web`, with what it answers. The end of an alert names only the alert.
fn shown(server: &Server) -> Vec<(String, Option<String>)> {
    let is_about = |text: &str| text.contains("web") || text.contains("\"resolve\"");
    server.shown().into_iter().filter(|(text, _)| is_about(text)).collect()
}

#[test]
fn an_incident_that_opens_gets_worse_and_ends_is_told_in_the_platforms_own_way() {
    for platform in PLATFORMS {
        let name = platform.name;
        let server = Server::start(platform);
        let mut world = world(&server, TOKEN);
        world.poll(&web(), &[crash("web", 3, 130)]);
        world.run_until(180);
        assert_eq!(shown(&server).len(), 1, "{name}: {:?}", shown(&server));
        world.poll(&web(), &[crash("web", 12, 190)]);
        world.run_until(300);
        let told = shown(&server);
        assert_eq!(told.len(), 2, "{name}: {told:?}");
        world.poll_until(&web(), &[crash("web", 12, 190)], 3600);
        let told = shown(&server);
        let over = |text: &str| text.contains("Resolved") || text.contains("resolve\"");
        if changes(&platform) {
            assert_eq!(told.len(), 2, "{name}: the end disturbs nobody: {told:?}");
            assert!(over(&told[0].0), "{name}: {told:?}");
        } else {
            assert_eq!(told.len(), 3, "{name}: {told:?}");
            assert!(over(&told[2].0), "{name}: {told:?}");
        }
        match name {
            "telegram" | "mattermost bot" | "feishu-app" | "discord bot" => {
                assert!(told[1].1.is_some(), "{name}: the escalation answers: {told:?}")
            }
            // Of one thread, or one alert.
            "googlechat" | "pagerduty" => {
                let threads: BTreeSet<_> = told.iter().map(|(_, thread)| thread.clone().unwrap()).collect();
                assert_eq!(threads.len(), 1, "{name}: {told:?}");
            }
            _ => assert!(told.iter().all(|(_, answers)| answers.is_none()), "{name}: {told:?}"),
        }
        // Only an answer to the first message may leave out what that one says.
        let answers = ["telegram", "mattermost bot", "feishu-app", "discord bot"].contains(&name);
        assert_eq!(told[1].0.contains("kubectl"), !answers, "{name}: {told:?}");
        server.place(|place| assert_eq!((place.refused, place.too_fast), (0, 0), "{name}"));
    }
}

#[test]
fn an_acknowledgement_reaches_messages_that_can_be_changed_and_alerts() {
    for platform in PLATFORMS.iter().filter(|platform| !only_posts(platform)) {
        let name = platform.name;
        let server = Server::start(*platform);
        let mut world = world(&server, TOKEN);
        world.poll(&web(), &[crash("web", 3, 130)]);
        world.run_until(180);
        let id = world.engine().state().unwrap().incidents().next().unwrap().id;
        world.act("alice", &Scope::default(), Act::Acknowledge { id });
        world.run_until(260);
        let told = shown(&server);
        if name == "pagerduty" {
            // It occurs again: another acknowledgement would keep the alert from escalating there.
            world.poll(&web(), &[crash("web", 4, 270)]);
            world.run_until(900);
            let alerts = server.place(|place| place.alerts.values().cloned().collect::<Vec<_>>());
            assert!(alerts.contains(&vec!["trigger".to_owned(), "acknowledge".to_owned()]), "{alerts:?}");
        } else {
            assert_eq!(told.len(), 1, "{name}: {told:?}");
            assert!(told[0].0.contains("alice"), "{name}: {told:?}");
            // Nobody can acknowledge it again, and it can still be muted.
            let presses = |command: &str| {
                ["\"", "podbell:"].iter().any(|before| told[0].0.contains(&format!("{before}{command} {id}")))
            };
            let has_buttons = name != "discord";
            assert_eq!((presses("ack"), presses("mute")), (false, has_buttons), "{name}: {told:?}");
        }
    }
}

#[test]
fn a_burst_keeps_to_the_platforms_pace_also_over_a_restart_and_everything_is_told() {
    for platform in PLATFORMS {
        let name = platform.name;
        let server = Server::start(platform);
        let mut world = world(&server, TOKEN);
        let targets: Vec<Target> = (0..30).map(|n| Target::new("prod", "cls-1", "shop", &format!("web{n}"))).collect();
        world.watch(&targets);
        for target in &targets {
            world.poll(target, &[]);
        }
        world.run_until(400);
        for target in &targets {
            world.poll(target, &[crash(&target.service, 3, 405)]);
        }
        world.run_until(430);
        world.kill();
        world.start();
        world.run_until(1000);
        let all = server.shown().into_iter().map(|(text, _)| text).collect::<String>();
        let missing: Vec<_> = targets.iter().filter(|target| !all.contains(&*target.service)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
        server.place(|place| assert_eq!((place.too_fast, place.refused), (0, 0), "{name}"));
    }
}

#[test]
fn what_was_taken_though_its_answer_was_lost_is_told_again_with_the_same_body() {
    for platform in PLATFORMS {
        let name = platform.name;
        let server = Server::start(platform);
        let mut world = world(&server, TOKEN);
        server.place(|place| place.lose = 1);
        world.poll(&web(), &[crash("web", 3, 130)]);
        world.run_until(600);
        let told = shown(&server);
        // It carries out a request with the same id once.
        if ["feishu-app", "mattermost bot", "discord bot"].contains(&name) {
            assert_eq!(told.len(), 1, "{name}: {told:?}");
            continue;
        }
        assert_eq!(told.len(), 2, "{name}: {told:?}");
        assert_eq!(told[0], told[1], "{name}: it may be told apart by its body");
        if name == "pagerduty" {
            let alerts = server.place(|place| place.alerts.len());
            assert!(alerts <= 2, "the first contact, and one alert");
        }
    }
}

#[test]
fn a_card_that_was_made_and_not_shown_is_shown_by_the_next_attempt_and_made_once() {
    let server = Server::start(platform_named("dingtalk-app cards"));
    let mut world = world(&server, TOKEN);
    server.place(|place| place.hide = 1);
    world.poll(&web(), &[crash("web", 3, 130)]);
    world.run_until(200);
    assert_eq!((shown(&server).len(), server.place(|place| place.once.len())), (1, 1), "{:?}", shown(&server));
    world.poll_until(&web(), &[crash("web", 3, 130)], 3600);
    let told = shown(&server);
    assert!(told.len() == 1 && told[0].0.contains("Resolved"), "{told:?}");
}

#[test]
fn a_message_that_was_deleted_is_followed_by_a_new_one() {
    for platform in PLATFORMS.iter().filter(|platform| changes(platform)) {
        let name = platform.name;
        let server = Server::start(*platform);
        let mut world = world(&server, TOKEN);
        world.poll(&web(), &[crash("web", 3, 130)]);
        world.run_until(180);
        server.place(|place| place.messages.iter_mut().for_each(|message| message.deleted = true));
        world.poll_until(&web(), &[crash("web", 3, 130)], 3600);
        let told = shown(&server);
        assert!(told.last().is_some_and(|(text, _)| text.contains("Resolved")), "{name}: {told:?}");
    }
}

#[test]
fn a_credential_that_is_refused_pauses_the_destination_and_says_what_to_do_and_nothing_is_lost() {
    for platform in PLATFORMS {
        let name = platform.name;
        let server = Server::start(platform);
        let mut world = world(&server, "another-token");
        world.poll(&web(), &[crash("web", 3, 130)]);
        world.run_until(600);
        let calls = server.place(|place| (place.messages.len(), place.calls));
        assert_eq!(calls.0, 0, "{name}");
        assert!(calls.1 <= 3, "{name}: a pause, not a hail: {} requests", calls.1);
        // The operator corrects podbell.yaml.
        world.kill();
        let wire = server.wire(TOKEN);
        world.respec(|spec| spec.through = Some(wire));
        world.start();
        world.run_until(1200);
        assert_eq!(shown(&server).len(), 1, "{name}: {:?}", shown(&server));
    }
}

fn notifiers(platform: &Platform, language: Language) -> podbell::notifiers::Notifiers {
    let config = podbell::notifiers::NamedNotifier {
        name: "team".into(),
        platform: self::platform(&(platform.keys)("https://example.com", TOKEN)),
        language,
        time_zone: jiff::tz::TimeZone::UTC,
        digest_after: None,
        template: Default::default(),
        logs: false,
    };
    let id = |kind: &'static str, id: &str| (kind, id.to_owned());
    let oncall = [
        id("dingtalk", "manager4220"),
        id("teams", "alice@example.com"),
        id("discord", "80351110224678912"),
        id("googlechat", "123456789012345678901"),
        id("mattermost", "alice"),
        id("telegram", "alice_a"),
        id("feishu", "ou_18eac85d35a26f98"),
        id("feishu-app", "ou_18eac85d35a26f98"),
    ];
    let mentions = [("@oncall".to_owned(), oncall.into())].into();
    podbell::notifiers::Notifiers::new(vec![config], mentions, crate::support::receiver::client())
}

pub fn rendered(platform: &Platform, content: &SendContent<'_>) -> Value {
    let body = notifiers(platform, Language::En).render("team", content, "msg_1", at(2_401));
    let body: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{}: {error}", platform.name));
    // Of a message that can be changed, its arguments are what is sent.
    let mut body = if body.get("arguments").is_some() { body["arguments"].clone() } else { body };
    // A card in a text.
    if platform.name == "feishu-app" {
        body["content"] = serde_json::from_str(body["content"].as_str().unwrap()).unwrap();
    }
    body
}

#[test]
fn every_kind_of_notice_as_each_platform_gets_it() {
    for platform in PLATFORMS.iter().filter(|platform| platform.name != "feishu") {
        let all = one_of_each().into_iter().map(|(kind, notice)| {
            let notices = [notice];
            let body = rendered(platform, &SendContent::full(&notices));
            format!("--- {kind}\n{}\n", serde_json::to_string_pretty(&body).unwrap())
        });
        insta::assert_snapshot!(platform.name.replace(' ', "_"), all.collect::<String>());
    }
}

#[test]
fn who_is_to_be_called_is_called_and_nobody_at_the_end() {
    let calls = |platform: &Platform, kind: NoticeKind, content: Content| {
        let notice = [incident(1, kind, Story { mentions: vec!["@oncall".into()], ..story() })];
        rendered(platform, &SendContent { content, ..SendContent::full(&notice) }).to_string()
    };
    for (name, called) in [
        ("dingtalk", "@manager4220"),
        ("teams", "<at>alice@example.com</at>"),
        ("discord", "<@80351110224678912>"),
        ("discord bot", "<@80351110224678912>"),
        ("googlechat", "<users/123456789012345678901>"),
        ("mattermost", "@alice"),
        ("mattermost bot", "@alice"),
        ("telegram", "@alice_a"),
        ("feishu-app", "<at id=ou_18eac85d35a26f98></at>"),
    ] {
        let platform = platform_named(name);
        for content in [Content::Full, Content::Short, Content::Minimal] {
            let body = calls(&platform, NoticeKind::Opened, content);
            assert!(body.contains(called), "{name} {content:?}: {body}");
            let body = calls(&platform, NoticeKind::Resolved, content);
            assert!(!body.contains(called), "{name} {content:?}: {body}");
        }
    }
}

#[test]
fn what_was_made_for_another_place_is_not_sent_to_this_one() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for platform in PLATFORMS.iter().filter(|platform| changes(platform)) {
        let made = notifiers(platform, Language::En);
        let notice = [incident(1, NoticeKind::Opened, story())];
        let body = made.render("team", &SendContent::full(&notice), "msg_1", at(0));
        let server = Server::start(*platform);
        let wire = server.wire(TOKEN);
        let outcome = runtime.block_on(wire.notifiers.deliver("team", "msg_1", body, at(0)));
        assert!(matches!(outcome, Outcome::Orphaned { .. }), "{}: {outcome:?}", platform.name);
        assert_eq!(server.place(|place| place.calls), 0);
    }
}

/// The texts of a body that its platform reads as marks.
fn marked(platform: &Platform, body: &Value) -> Vec<String> {
    let mut all = Vec::new();
    match body {
        Value::Object(fields) => {
            for (key, value) in fields {
                if key == "msgParam" {
                    let inside: Value = serde_json::from_str(value.as_str().unwrap()).unwrap();
                    all.extend(marked(platform, &inside));
                    continue;
                }
                let has_marks = match platform.name {
                    // Runs of text have none.
                    "teams" => fields.get("type").is_some_and(|kind| kind == "TextBlock"),
                    "pagerduty" => false,
                    "feishu-app" => fields.get("tag").is_some_and(|tag| tag == "lark_md" || tag == "markdown"),
                    // A heading, and what is shown in place of a card, have none.
                    "dingtalk" | "dingtalk-app" => key == "text" || key == "content",
                    "dingtalk-app cards" => ["text", "content", "markdown"].contains(&key.as_str()),
                    "googlechat" => key == "text",
                    _ => true,
                };
                all.extend(value.as_str().filter(|_| has_marks).map(str::to_owned));
                all.extend(marked(platform, value));
            }
        }
        Value::Array(items) => all.extend(items.iter().flat_map(|item| marked(platform, item))),
        _ => {}
    }
    all
}

/// A wire to a server of each platform.
static WIRES: LazyLock<BTreeMap<&str, Wire>> =
    LazyLock::new(|| PLATFORMS.iter().map(|platform| (platform.name, Server::start(*platform).wire(TOKEN))).collect());

/// A minute after the one before, so that no pace is exceeded.
fn next_minute() -> podbell_core::time::Time {
    static MINUTES: AtomicI64 = AtomicI64::new(0);
    at(60 * MINUTES.fetch_add(1, Ordering::Relaxed))
}

/// Without what a backslash takes the meaning from.
fn without_escapes(text: &str) -> String {
    let mut rest = text.chars();
    std::iter::from_fn(|| match rest.next()? {
        '\\' => rest.next().map(|_| ' '),
        c => Some(c),
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn whatever_the_cluster_says_fits_and_is_no_mark(
        text in "(?s)(.|@all |@everyone|<users/all>|<at>x</at>|\\[x\\]\\(https://evil\\)|<a href=\"https://evil\">x</a>|</b>|\\*\\*|`|\n# |\n){0,700}",
    ) {
        let newest = Newest { reason: text.clone(), obj_name: text.clone(), message: text.repeat(20), ..story().newest };
        let story = Story { newest, workload: text.clone(), object_names: vec![text.clone(); 9], ..story() };
        let notices = [incident(1, NoticeKind::Opened, story)];
        for platform in PLATFORMS.iter().filter(|platform| platform.name != "feishu") {
            for content in [Content::Full, Content::Short, Content::Minimal] {
                let wire = &WIRES[platform.name];
                let body = wire.notifiers.render("team", &SendContent { content, ..SendContent::full(&notices) }, "m", at(0));
                let job = podbell::engine::SendJob {
                    send: podbell_core::outbox::SendId(1),
                    destination: "team".into(),
                    message_id: "m".into(),
                    body,
                };
                let outcome = (wire.deliver)(&job, next_minute());
                prop_assert!(!matches!(outcome, Outcome::ContentRejected { .. }), "{} {content:?}: {outcome:?}", platform.name);
                let body = rendered(platform, &SendContent { content, ..SendContent::full(&notices) });
                for said in marked(platform, &body) {
                    let said = without_escapes(&said);
                    let evil = ["](https://evil", "<a href=\"https://evil", "<users/all", "@all", "@everyone", "<at>x"];
                    // In HTML, brackets are text.
                    let is_html = ["googlechat", "telegram"].contains(&platform.name);
                    let evil = if is_html { &evil[1..] } else { &evil[..] };
                    let found = evil.iter().find(|evil| said.contains(**evil));
                    prop_assert!(found.is_none(), "{} {content:?}: {found:?} in {said}", platform.name);
                }
            }
        }
    }
}

#[test]
fn a_megabyte_of_text_is_told_within_the_limits() {
    // What a platform's escaping or JSON makes longer, too.
    let texts = ["x y\n", "\"", "\\", "<", "&", "\u{1}", "界", "*"].map(|text| text.repeat(1_000_000 / text.len()));
    for (platform, text) in PLATFORMS.into_iter().flat_map(|platform| texts.iter().map(move |text| (platform, text))) {
        let newest = Newest { message: text.clone(), ..story().newest };
        let notices = [incident(1, NoticeKind::Opened, Story { newest, ..story() })];
        let server = Server::start(platform);
        let wire = server.wire(TOKEN);
        let body = wire.notifiers.render("team", &SendContent::full(&notices), "m", at(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(wire.notifiers.deliver("team", "m", body, at(0)));
        assert!(outcome.arrived(), "{} {:?}: {outcome:?}", platform.name, text.chars().next());
    }
}

/// What a platform's answer to a notice means.
fn outcome(platform: Platform, (status, body): (u16, &str), notice: NoticeKind, parent: Option<&Parent>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let receiver = crate::support::receiver::Receiver::start().await;
        receiver.otherwise(crate::support::receiver::Answer::new(status, body));
        let base = receiver.url("").trim_end_matches('/').to_owned();
        let config = podbell::notifiers::NamedNotifier {
            name: "team".into(),
            platform: self::platform(&(platform.keys)(&base, TOKEN)),
            language: Language::En,
            time_zone: jiff::tz::TimeZone::UTC,
            digest_after: None,
            template: Default::default(),
            logs: false,
        };
        let client = crate::support::receiver::client();
        let notifiers = podbell::notifiers::Notifiers::new(vec![config], Default::default(), client);
        let notice = [incident(1, notice, story())];
        let content = SendContent { parent, ..SendContent::full(&notice) };
        let body = notifiers.render("team", &content, "m", at(0));
        notifiers.deliver("team", "m", body, at(0)).await
    })
}

#[test]
fn an_answer_that_is_not_the_platforms_kills_no_destination_and_proves_nothing() {
    for platform in PLATFORMS {
        for status in [200, 403] {
            let outcome = outcome(platform, (status, "<html>please log in</html>"), NoticeKind::Opened, None);
            let expected = match (platform.name, status) {
                // A page in between refused it.
                ("teams" | "pagerduty", 403) => matches!(outcome, Outcome::Refused { .. }),
                // Without an access token, no message was sent.
                ("dingtalk-app" | "dingtalk-app cards" | "feishu-app", _) => matches!(outcome, Outcome::Refused { .. }),
                _ => matches!(outcome, Outcome::Unclear { .. }),
            };
            assert!(expected, "{} {status}: {outcome:?}", platform.name);
        }
    }
}

/// A destination that is paused keeps its messages; one whose messages are at fault loses them.
#[test]
fn what_only_people_can_mend_pauses_a_destination_and_loses_nothing() {
    for (name, status, body) in [
        ("dingtalk", 200, r#"{"errcode":400106,"errmsg":"robot not exist"}"#),
        ("dingtalk", 200, r#"{"errcode":400013,"errmsg":"group disbanded"}"#),
        ("teams", 400, r#"{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"in state Disabled"}}"#),
        (
            "discord",
            400,
            r#"{"message":"Webhooks posted to forum channels must have a thread_name or thread_id","code":220001}"#,
        ),
        (
            "mattermost bot",
            400,
            r#"{"id":"api.post.create_post.can_not_post_to_deleted.error","message":"Can not post to deleted channel."}"#,
        ),
        (
            "mattermost",
            401,
            r#"{"id":"api.context.session_expired.app_error","message":"Invalid or expired session."}"#,
        ),
        (
            "telegram",
            400,
            r#"{"ok":false,"error_code":400,"description":"Bad Request: need administrator rights in the channel chat"}"#,
        ),
        ("telegram", 400, r#"{"ok":false,"error_code":400,"description":"Bad Request: TOPIC_CLOSED"}"#),
        // A channel that is unknown, or not open to podbell any more.
        ("telegram", 400, r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#),
        (
            "telegram",
            403,
            r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked from the supergroup chat"}"#,
        ),
        ("discord", 404, r#"{"message":"Unknown Webhook","code":10015}"#),
        ("discord", 404, r#"{"message":"Unknown Channel","code":10003}"#),
        ("discord bot", 404, r#"{"message":"Unknown Channel","code":10003}"#),
        ("discord bot", 403, r#"{"message":"Missing Access","code":50001}"#),
        ("discord bot", 403, r#"{"message":"Missing Permissions","code":50013}"#),
        ("discord bot", 401, r#"{"message":"401: Unauthorized","code":0}"#),
        ("discord bot", 400, r#"{"message":"Cannot send messages in a non-text channel","code":50008}"#),
        (
            "mattermost bot",
            403,
            r#"{"id":"api.context.permissions.app_error","message":"You do not have the appropriate permissions."}"#,
        ),
        (
            "mattermost bot",
            404,
            r#"{"id":"app.channel.get.existing.app_error","message":"Unable to find the existing channel."}"#,
        ),
        (
            "mattermost",
            404,
            r#"{"id":"web.incoming_webhook.channel.app_error","message":"Couldn't find the channel."}"#,
        ),
        ("mattermost", 400, r#"{"id":"web.incoming_webhook.invalid.app_error","message":"Invalid webhook."}"#),
        ("feishu", 200, r#"{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}"#),
        ("googlechat", 404, r#"{"error":{"code":404,"message":"Space not found.","status":"NOT_FOUND"}}"#),
        ("teams", 404, r#"{"error":{"code":"WorkflowNotFound","message":"The workflow could not be found."}}"#),
        (
            "pagerduty",
            400,
            r#"{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]}"#,
        ),
    ] {
        let platform = *PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
        let outcome = outcome(platform, (status, body), NoticeKind::Opened, None);
        let Outcome::InvalidDestination { advice, .. } = &outcome else { panic!("{name} {body}: {outcome:?}") };
        assert!(name != "discord bot" || !advice.contains("webhook"), "{body}: {advice}");
    }
    // About the message.
    for (name, status, body) in [
        ("dingtalk", 200, r#"{"errcode":400105,"errmsg":"unsupported message type"}"#),
        ("teams", 400, r#"{"error":{"code":"TriggerInputSchemaMismatch"}}"#),
        ("mattermost", 400, r#"{"id":"web.incoming_webhook.text.app_error","message":"No text specified."}"#),
    ] {
        let platform = *PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
        let outcome = outcome(platform, (status, body), NoticeKind::Opened, None);
        assert!(matches!(outcome, Outcome::ContentRejected { .. }), "{name} {body}: {outcome:?}");
    }
    // The end of an incident whose message stands in an archived thread is posted anew.
    let discord = *PLATFORMS.iter().find(|platform| platform.name == "discord").unwrap();
    let (archived, parent) =
        (r#"{"message":"Thread is archived","code":50083}"#, Parent { channel: "".into(), message: "99".into() });
    let outcome = outcome(discord, (400, archived), NoticeKind::Resolved, Some(&parent));
    assert!(matches!(outcome, Outcome::Orphaned { .. }), "{outcome:?}");
}

#[test]
fn what_a_bot_of_discord_may_not_answer_or_change_is_posted_anew_and_an_edge_that_is_not_well_pauses_nothing() {
    let discord = platform_named("discord bot");
    let parent = Parent { channel: "7".into(), message: "99".into() };
    for (status, body) in [
        (403, r#"{"message":"Cannot reply without permission to read message history","code":160002}"#),
        (403, r#"{"message":"Cannot edit a message authored by another user","code":50005}"#),
        (
            400,
            r#"{"message":"Invalid Form Body","code":50035,"errors":{"message_reference":{"_errors":[{"code":"MESSAGE_REFERENCE_UNKNOWN_MESSAGE","message":"Unknown message"}]}}}"#,
        ),
    ] {
        let outcome = outcome(discord, (status, body), NoticeKind::Escalated, Some(&parent));
        assert!(matches!(outcome, Outcome::Orphaned { .. }), "{body}: {outcome:?}");
    }
    let edge = (403, r#"{"message":"internal network error","code":40333}"#);
    let outcome = outcome(discord, edge, NoticeKind::Opened, None);
    assert!(matches!(outcome, Outcome::Unclear { .. }), "{outcome:?}");
}

#[test]
fn what_answers_a_message_that_was_deleted_is_a_new_message_that_stands() {
    for name in ["discord bot", "mattermost bot"] {
        let server = Server::start(platform_named(name));
        let mut world = world(&server, TOKEN);
        world.poll(&web(), &[crash("web", 3, 130)]);
        world.run_until(180);
        server.place(|place| place.messages.iter_mut().for_each(|message| message.deleted = true));
        world.poll(&web(), &[crash("web", 12, 190)]);
        world.run_until(300);
        let told = shown(&server);
        assert!(matches!(&told[..], [(text, None)] if text.contains("kubectl")), "{name}: {told:?}");
        world.poll_until(&web(), &[crash("web", 12, 190)], 3600);
        let told = shown(&server);
        assert!(told.len() == 1 && told[0].0.contains("Resolved"), "{name}: the new one changes: {told:?}");
    }
}

#[test]
fn what_is_to_be_changed_and_is_gone_is_an_orphan() {
    for platform in PLATFORMS.iter().filter(|platform| changes(platform)) {
        let server = Server::start(*platform);
        let wire = server.wire(TOKEN);
        let parent =
            Parent { channel: "".into(), message: if platform.name == "mattermost bot" { "m99" } else { "99" }.into() };
        let notices = [incident(1, NoticeKind::Resolved, story())];
        let content = SendContent { parent: Some(&parent), ..SendContent::full(&notices) };
        let body = wire.notifiers.render("team", &content, "m", at(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(wire.notifiers.deliver("team", "m", body, at(0)));
        assert!(matches!(outcome, Outcome::Orphaned { .. }), "{}: {outcome:?}", platform.name);
    }
}
