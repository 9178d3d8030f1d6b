//! The pictures of the README: an invented day in virtual time, shown by the real page in a real browser, and
//! messages as the project draws them from what was really sent. `scripts/screenshots` makes them anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podbell::engine::SendJob;
use podbell::notifiers::{NamedNotifier, Notifiers};
use podbell_core::event::{Event, Target};
use podbell_core::mute::Muted;
use podbell_core::outbox::Outcome;
use podbell_core::scope::Scope;
use podbell_core::template::Template;
use podbell_core::translations::Language;
use podbell_core::user_action::Act;

use crate::support::browser::Browser;
use crate::support::drawn;
use crate::support::events::{at, warning};
use crate::support::platform::platform;
use crate::support::receiver::client;
use crate::support::status_page::served;
use crate::support::world::{Wire, World, WorldSpec};

const RULES: &str = "version: 1
defaults: {notify: [team-slack, ops-wecom], resolve_after: 40m}
rules:
  - {name: image-pull, severity: critical, match: {reason: [BackOff, Failed]}, runbook: \"https://wiki.example.com/image-pull\", labels: {team: shop}}
  - {name: out-of-memory, severity: critical, match: {reason: OOMKilling}}
  - {name: mounts, match: {reason: FailedMount}}
  - {name: probes, severity: info, match: {reason: Unhealthy}}
";
const PUBLIC: &str = "https://podbell.example.com";
const DAY: i64 = 24 * 60;
const STEP: i64 = 5;

/// A series of an invented day: how many occurrences are new at a minute of it.
struct Series(&'static str, &'static str, &'static str, &'static str, &'static str, fn(i64) -> u64);

const PULL: &str = "Back-off pulling image \"registry.example.com/shop/web:v5\"";
const DAYS: &[Series] = &[
    Series("shop", "web-service", "web-service-6d4cf56db6-x2x7v", "BackOff", PULL, |m| rollout(m, 0)),
    Series("shop", "web-service", "web-service-6d4cf56db6-9rkxq", "BackOff", PULL, |m| rollout(m, 15)),
    Series("shop", "web-service", "web-service-6d4cf56db6-b7c2d", "Failed", "Error: ErrImagePull", |m| rollout(m, 25)),
    Series("shop", "web-service", "web-service-6d4cf56db6-mm4tz", "BackOff", PULL, |m| rollout(m, 35)),
    Series(
        "shop",
        "orders",
        "orders-0",
        "FailedMount",
        "Unable to attach or mount volumes: unmounted volumes=[data]: timed out waiting for the condition",
        |m| {
            if (400..470).contains(&m) || m >= 1310 { 2 } else { 0 }
        },
    ),
    Series(
        "pay",
        "gateway",
        "gateway-7c5ddbdf54-k4wqp",
        "Unhealthy",
        "Readiness probe failed: HTTP probe failed with statuscode: 503",
        |m| (if (840..960).contains(&m) { 4 } else { 0 }) + u64::from(m % 35 == 0) + (if m > 1280 { 3 } else { 0 }),
    ),
    Series("pay", "ledger", "ledger-1", "OOMKilling", "Memory cgroup out of memory: Killed process 3021 (java)", |m| {
        u64::from(m >= 1390 && m % 15 == 0) + u64::from((180..260).contains(&m) && m % 20 == 0)
    }),
    Series("infra", "ingress", "ingress-nginx-0", "Unhealthy", "Liveness probe failed: connection refused", |m| {
        (100 - (m - 700).abs().min(100)) as u64 / 12
    }),
    Series("infra", "dns", "coredns-5d78c9869d-2xkqz", "BackOff", "Back-off restarting failed container", |m| {
        u64::from((60..150).contains(&m))
    }),
];

/// A rollout that cannot pull its image: once in the morning, and for the last 75 minutes, more and more.
fn rollout(m: i64, after: i64) -> u64 {
    let again = (m - 1365 - after / 2).max(0) as u64;
    u64::from((510 + after..600).contains(&m)) * 2 + if again > 0 { 1 + again / 9 } else { 0 }
}

fn notifiers() -> Notifiers {
    let config = |name: &str, keys: &str, language, zone: &str| NamedNotifier {
        name: name.into(),
        platform: platform(keys),
        language,
        time_zone: jiff::tz::TimeZone::get(zone).unwrap(),
        digest_after: None,
        template: Template::default(),
        logs: false,
    };
    let slack = "kind: slack, url: \"https://hooks.slack.com/services/T0/B0/x\"";
    let wecom = "kind: wecom, url: \"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x\"";
    let configs = vec![
        config("team-slack", slack, Language::En, "Asia/Shanghai"),
        config("ops-wecom", wecom, Language::Zh, "Asia/Shanghai"),
    ];
    Notifiers::new(configs, BTreeMap::new(), client()).linking(Some(&PUBLIC.parse().unwrap()))
}

/// What was sent: to whom, and the body.
type Sent = Arc<Mutex<Vec<(String, serde_json::Value)>>>;

/// The day, lived by the real engine, and what was sent.
fn lived() -> (World, Sent) {
    let sent = Sent::default();
    let log = sent.clone();
    let deliver = move |job: &SendJob, _| {
        log.lock().unwrap().push((job.destination.to_string(), serde_json::from_slice(&job.body).unwrap()));
        Outcome::Delivered
    };
    let wire = Wire { notifiers: Arc::new(notifiers()), deliver: Arc::new(deliver) };
    let mut world = World::new(WorldSpec {
        rules: vec![RULES.to_owned()],
        destinations: vec![("team-slack", None), ("ops-wecom", None)],
        operator: vec!["team-slack"],
        through: Some(wire),
        ..WorldSpec::default()
    });
    let mut targets: Vec<Target> = Vec::new();
    for Series(namespace, service, ..) in DAYS {
        let target = Target::new("prod", "cls-1", namespace, service);
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    world.watch(&targets);
    let mut known: Vec<(u64, i64, i64)> = vec![(0, 0, 0); DAYS.len()];
    for minute in (0..=DAY).step_by(STEP as usize) {
        world.run_until(minute * 60);
        let mut lists: BTreeMap<(&str, &str), Vec<Event<'static>>> = BTreeMap::new();
        for (Series(namespace, service, object, reason, text, new), known) in DAYS.iter().zip(&mut known) {
            let list = lists.entry((namespace, service)).or_default();
            if minute - known.2 > 60 {
                *known = (0, 0, known.2);
            }
            let new = new(minute);
            if new > 0 {
                let first = if known.0 == 0 { minute } else { known.1 };
                *known = (known.0 + new, first, minute);
            }
            if known.0 > 0 {
                list.push(warning(object, reason, text, known.0, known.1 * 60 - 40, known.2 * 60 - 10));
            }
        }
        for ((namespace, service), list) in &lists {
            world.poll(&Target::new("prod", "cls-1", namespace, service), list);
        }
        let everything = Scope::default();
        if minute == 1345 {
            let id = open(&mut world, "orders");
            world.act("li", &everything, Act::Acknowledge { id });
        }
        if minute == DAY - 20 {
            let what = Muted::Incident { id: open(&mut world, "gateway") };
            let why = Some("new certificate, done by 12".to_owned());
            world.act("zhang", &everything, Act::Mute { what, lasts: Duration::from_secs(4 * 3600), why });
        }
    }
    (world, sent)
}

fn open(world: &mut World, workload: &str) -> u64 {
    let state = world.engine().state().unwrap();
    state.incidents().find(|incident| incident.workload == workload).unwrap_or_else(|| panic!("{workload}")).id
}

#[tokio::test]
#[ignore = "makes docs/images anew: scripts/screenshots"]
async fn screenshots() {
    let (mut world, sent) = lived();
    let now = at(DAY * 60 + 25);
    let token = "token-that-may-write-0123456789";
    let base = served(&mut world, now).await;
    let browser = Browser::start().await;
    browser.go(&format!("{base}/")).await;
    browser.until("document.activeElement.id === 'token'").await;
    browser.write(token).await;
    browser.press("Enter").await;
    browser.until("location.pathname === '/' && !document.getElementById('live').hidden").await;
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images");
    std::fs::create_dir_all(&images).unwrap();
    let incident = format!("/incidents/{}", open(&mut world, "web-service"));
    for (name, path, (width, height), dark) in [
        ("page-light", "/", (1180, 720), false),
        ("page-dark", incident.as_str(), (1180, 960), true),
        ("page-phone", "/", (390, 800), true),
        ("page-services", "/services", (1180, 560), false),
        ("page-sources", "/sources", (1180, 420), false),
        ("page-destinations", "/destinations", (1180, 420), true),
    ] {
        browser.screen(width, height, dark).await;
        browser.go(&format!("{base}{path}")).await;
        browser.until("!document.getElementById('live').hidden").await;
        std::fs::write(images.join(format!("{name}.png")), browser.picture().await).unwrap();
    }
    let of = |to: &str| {
        let sent = sent.lock().unwrap();
        sent.iter().filter(|(name, _)| name == to).map(|(_, body)| body.clone()).collect::<Vec<_>>()
    };
    let page = images.join("messages.html");
    std::fs::write(&page, drawn::messages(&of("team-slack"), &of("ops-wecom"))).unwrap();
    browser.screen(1180, 510, false).await;
    browser.go(&format!("file://{}", page.display())).await;
    std::fs::write(images.join("messages.png"), browser.picture().await).unwrap();
    std::fs::remove_file(page).unwrap();
}
