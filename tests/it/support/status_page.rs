//! A running podbell with a status page: two teams' services, one of them with hostile texts, and a list
//! that the test can change while it runs. And the page of a podbell in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use podbell::chat::{ActError, Acting, CommandSink, MessageKey, QueryService, RuleCatalog};
use podbell::clock;
use podbell::components::qcloud::emulator::Emulator;
use podbell::health::{HealthStatus, TurnRecord};
use podbell::health::{count, snapshot};
use podbell::server::api::{Rights, Token};
use podbell::server::page::{self, PageSetup};
use podbell_core::ask::AnswerFacts;
use podbell_core::outbox::pace::Pace;
use podbell_core::scope::Scope;
use podbell_core::time::Time;
use podbell_core::user_action::UserAction;
use podbell_store::Readers;
use reqwest::{Method, StatusCode, header};
use tokio_util::sync::CancellationToken;

use super::emulated::emulator;
use super::process::PATIENCE;
use super::receiver::{self, Receiver};
use super::site::{Running, Site, config};
use super::world::TWENTY_A_MINUTE;

/// May acknowledge and mute, and sees everything.
pub const WRITE: &str = "token-that-may-write-0123456789";
/// Sees everything.
pub const READ: &str = "token-that-may-read-0123456789";
/// Sees the namespace `bank`.
pub const BANK: &str = "token-of-another-team-0123456789";
/// What the proxy shows.
pub const PROOF: &str = "proof-of-the-proxy-0123456789";

/// The tokens, and a proxy for people who may read.
pub const SERVER: &str = "server: {listen: \"127.0.0.1:0\", tokens: [
  {name: oncall, token: token-that-may-write-0123456789, rights: write},
  {name: dashboard, token: token-that-may-read-0123456789},
  {name: bank, token: token-of-another-team-0123456789, rights: write, namespace: bank}],
  page: {proxy: {secret: proof-of-the-proxy-0123456789}}}";

/// Text that must stay text.
pub const HOSTILE: &str =
    r#"</p><script>document.title='broken'</script><img src=x onerror=alert(1)>\" '&amp; \u202egnp.exe"#;

const RULES: &str = "version: 1
defaults: {notify: [audit], group_wait: 0s, min_gap: 0s, resolve_after: 1h}
rules:
  - {name: everything, severity: critical, match: {reason: \"*\"}}
";

/// See the module.
pub struct World {
    /// Where it lives.
    pub site: Site,
    /// It.
    pub running: Running,
    /// Gets every notice.
    pub receiver: Receiver,
    _emulator: Emulator,
}

/// A line of a recording: one event of one service, a minute old.
fn line(namespace: &str, service: &str, reason: &str, message: &str) -> String {
    format!(
        r#"{{"at": "2026-01-01 00:01:00", "cluster": "cls-1", "namespace": "{namespace}", "service": "{service}", "eventList": [{{"firstSeen": "2026-01-01 00:00:00", "lastSeen": "2026-01-01 00:00:30", "count": 3, "level": "Warning", "objType": "Pod", "objName": "{service}-1", "reason": "{reason}", "message": "{message}"}}]}}"#
    )
}

impl World {
    /// With two open incidents: of shop/web, and of bank/ledger.
    pub async fn new() -> Self {
        Self::with(SERVER).await
    }

    /// The same with another `server:`.
    pub async fn with(server: &str) -> Self {
        let play = [line("bank", "ledger", "FailedMount", "no disk"), line("shop", "web", "BackOff<b>", HOSTILE)];
        let emulator = emulator(&play.join("\n"), 1, None).await;
        let receiver = Receiver::start().await;
        let notifier = format!("  - {{name: audit, kind: webhook, url: \"{}\"}}", receiver.url("/hook"));
        let config = config(&emulator.endpoint(), "{cluster: cls-1, discover: true}", &notifier);
        let live = "  - {name: live, kind: file, path: live.json, poll_every: 1s}\nnotifiers:";
        let config = config.replace("notifiers:", live).replace("server: {listen: \"127.0.0.1:0\"}", server);
        let site = Site::new(&[("podbell.yaml", &config), ("rules.yaml", RULES), ("live.json", "[]")]);
        let running = site.run().await;
        running.reaches("podbell_open_incidents ", |open| open == 2).await;
        Self { site, running, receiver, _emulator: emulator }
    }

    /// The list that the file source reads has one Warning now.
    #[cfg(feature = "outside")]
    pub fn something_happens(&self, object: &str) {
        something_happens(&self.site, object);
    }

    /// The number of the open incident of a service or workload.
    pub fn incident(&self, workload: &str) -> String {
        let rows = self.site.rows(&format!("SELECT id FROM incident WHERE workload = '{workload}'"));
        assert_eq!(rows.len(), 1, "{workload}: {rows:?}");
        rows[0].clone()
    }

    /// Somebody who is signed in with a token.
    pub async fn sign_in(&self, token: &str) -> Visitor {
        self.stranger().signed_in(token).await
    }

    /// Somebody who is not.
    pub fn stranger(&self) -> Visitor {
        Visitor::at(&format!("http://{}", self.running.listen))
    }
}

/// `live.json` of a site has one Warning now.
pub fn something_happens(site: &Site, object: &str) {
    let at = |seconds: i64| {
        let at = jiff::Timestamp::from_second(clock::now().seconds() - seconds).unwrap();
        at.strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    let list = format!(
        r#"[{{"firstSeen": "{}", "lastSeen": "{}", "count": 7, "level": "Warning", "objType": "Pod", "objName": "{object}", "reason": "OOMKilling", "message": "Memory cgroup out of memory"}}]"#,
        at(9),
        at(2)
    );
    site.write("live.json.new", &list);
    std::fs::rename(site.path("live.json.new"), site.path("live.json")).unwrap();
}

/// A browser that runs no scripts.
#[derive(Clone)]
pub struct Visitor {
    base: String,
    /// `name=value`.
    pub cookie: Option<String>,
    /// Sent with every request.
    pub headers: Vec<(&'static str, String)>,
}

/// What came back.
pub struct Page {
    /// The status.
    pub status: u16,
    /// Where it leads.
    pub to: Option<String>,
    /// The page.
    pub text: String,
    headers: header::HeaderMap,
}

impl Page {
    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    /// The token of its forms.
    pub fn token(&self) -> String {
        let (_, rest) = self.text.split_once("name=\"token\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }
}

impl Visitor {
    /// Somebody who is not signed in.
    pub fn at(base: &str) -> Self {
        Self { base: base.to_owned(), cookie: None, headers: Vec::new() }
    }

    /// The same, signed in with a token.
    pub async fn signed_in(self, token: &str) -> Self {
        let answer = self.post("/sign-in", &[("api_token", token)]).await;
        assert_eq!((answer.status, answer.to.as_deref()), (303, Some("/")), "{}", answer.text);
        let cookie = answer.header("set-cookie").expect("a session");
        Self { cookie: Some(cookie.split(';').next().unwrap().to_owned()), ..self }
    }

    /// With a header more.
    pub fn with(&self, name: &'static str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name, value.to_owned()));
        other
    }

    /// A page.
    pub async fn get(&self, path: &str) -> Page {
        self.send(Method::GET, path, None).await
    }

    /// Sends a form.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        self.send(Method::POST, path, Some(form.finish())).await
    }

    /// The answer to a request, as it begins.
    pub async fn open(&self, method: Method, path: &str, form: Option<String>) -> reqwest::Response {
        let mut request = receiver::client().request(method, format!("{}{path}", self.base));
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if let Some(form) = form {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        }
        tokio::time::timeout(PATIENCE, request.send()).await.unwrap().unwrap()
    }

    async fn send(&self, method: Method, path: &str, form: Option<String>) -> Page {
        let response = self.open(method, path, form).await;
        let headers = response.headers().clone();
        let to = headers.get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
        assert!(response.status() != StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        Page { status: response.status().as_u16(), to, text: response.text().await.unwrap(), headers }
    }
}

struct NoSink;

impl CommandSink for NoSink {
    fn act(&self, _: UserAction, _: Option<MessageKey>) -> Acting<'_> {
        Box::pin(async { Err(ActError::NotRunning) })
    }
}

/// The page of a podbell in virtual time, at a moment of it: where it listens. Nobody can change
/// anything.
pub async fn served(world: &mut super::world::World, now: Time) -> String {
    served_at(world, Arc::new(move || now)).await
}

/// The same at moments that the test says.
pub async fn served_at(world: &mut super::world::World, clock: Arc<dyn Fn() -> Time + Send + Sync>) -> String {
    let now = clock();
    let (path, health) = (world.location().clone(), Arc::new(HealthStatus::default()));
    let counted = count(world.engine());
    let mut numbers = snapshot(world.engine(), counted);
    // Virtual time goes in large steps; a source of podbell.yaml is read each minute.
    numbers.sources.iter_mut().for_each(|source| source.last_good = Some(now.minus(Duration::from_secs(21))));
    health.record_turn(TurnRecord { store_works: true, lease: None, snapshot: Some(numbers) });
    let catalog = Arc::new(RuleCatalog::default());
    let known = catalog.clone();
    let aliases = BTreeMap::from([("cls-1".to_owned(), "prod-gz".to_owned())]);
    world.engine().on_rules(move |rules| known.set(AnswerFacts::new(rules, aliases.clone())));
    let queries = Arc::new(QueryService::new(Readers::new(path, 2), Arc::new(NoSink), catalog));
    let token = |name: &str, secret: &str, scope: Scope| Token {
        name: name.into(),
        secret: secret.into(),
        rights: Rights::Write,
        scope,
    };
    let bank: Scope = serde_json::from_value(serde_json::json!({"namespace": ["bank"]})).unwrap();
    let paces = [("ops-wecom", TWENTY_A_MINUTE), ("team-slack", Pace::ONE_A_SECOND)];
    let config = PageSetup {
        tokens: vec![token("oncall", WRITE, Scope::default()), token("bank", BANK, bank)],
        proxy: None,
        public_url: None,
        language: None,
        time_zone: jiff::tz::TimeZone::get("Asia/Shanghai").unwrap(),
        intervals: vec![("prod".into(), Duration::from_secs(60))],
        paces: paces.into_iter().map(|(name, pace)| (name.to_owned(), Some(pace))).collect(),
        now: clock,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let routes = page::routes(config, queries, health.clone());
    tokio::spawn(podbell::server::serve(listener, health, None, routes, CancellationToken::new()));
    base
}
