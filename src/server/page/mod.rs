//! The status page, for people: rendered by the server, updated by server-sent events, without resources of other
//! sites.
//!
//! It authenticates the visitor, asks the query service, and renders the answer (one file for each view, all of them
//! pure). The query service leaves out what a visitor may not see, and carries out user actions as in chats.

mod access;
mod action;
mod assets;
mod destinations;
mod forms;
mod html;
mod incident;
mod incidents;
mod live;
mod services;
mod sessions;
mod sign_in;
mod sources;
mod words;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;
use url::Url;

pub(crate) use self::access::Proxy;
pub(crate) use self::destinations::Paced;
pub(crate) use self::sources::Interval;

use self::access::Visitor;
use self::action::PageAction;
use self::assets::Assets;
use self::html::{Context, Tab};
use self::live::{Streams, Waits};
use self::sessions::Sessions;
use super::api::{Token, Tokens};
use super::connections::Ending;
use crate::chat::QueryService;
use crate::chat::lists::Filter;
use crate::chat::queries::{ListError, ListRequest};
use crate::chat::viewer::Viewer;
use crate::guard::{CallerSecrets, Refused};
use crate::health::HealthStatus;
use podbell_core::message::{Style, one_line};
use podbell_core::outbox::DeliveryPhase;
use podbell_core::time::Time;
use podbell_core::translations::Language;

/// Nothing from other sites, nothing inline, no framing by other sites.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The longest address to return to after signing in.
const MAX_NEXT: usize = 1_000;

/// The configuration of the page.
pub struct PageSetup {
    /// Who may sign in.
    pub tokens: Vec<Token>,
    /// The proxy that signs people in.
    pub proxy: Option<Proxy>,
    /// Where people reach it.
    pub public_url: Option<Url>,
    /// `None`: the language that the browser asks for.
    pub language: Option<Language>,
    /// The time zone of its times.
    pub time_zone: TimeZone,
    /// How often sources read.
    pub intervals: Vec<Interval>,
    /// The paces of destinations.
    pub paces: Vec<Paced>,
    /// What time it is.
    pub now: Arc<dyn Fn() -> Time + Send + Sync>,
}

struct Page {
    config: PageSetup,
    tokens: Tokens,
    queries: Arc<QueryService>,
    health: Arc<HealthStatus>,
    sessions: Mutex<Sessions>,
    streams: Arc<Streams>,
    assets: Assets,
    /// The prefix of every path, from `public_url`.
    base: String,
    /// Whether cookies travel through TLS only.
    secure: bool,
    /// The key of the tokens in forms; a restart makes another one.
    key: [u8; 32],
}

/// The routes of the page; none where nobody could sign in.
pub fn routes(config: PageSetup, queries: Arc<QueryService>, health: Arc<HealthStatus>) -> Router {
    if config.tokens.is_empty() && config.proxy.is_none() {
        return Router::new();
    }
    let base = config.public_url.as_ref().map_or("", Url::path).trim_end_matches('/').to_owned();
    let page = Page {
        tokens: Tokens::new(config.tokens.clone()),
        secure: config.public_url.as_ref().is_some_and(|url| url.scheme() == "https"),
        queries,
        health,
        sessions: Mutex::default(),
        streams: Arc::default(),
        assets: Assets::new(),
        base,
        key: rand::random(),
        config,
    };
    let page = Arc::new(page);
    Router::new()
        .route("/", get(home))
        .route("/incidents/{id}", get(incident))
        .route("/services", get(service_list))
        .route("/service", get(service))
        .route("/sources", get(source_list))
        .route("/destinations", get(destination_list))
        .route("/sign-in", get(sign_in_form).post(forms::sign_in))
        .route("/sign-out", post(forms::sign_out))
        .route("/do", post(forms::act))
        .route("/live", get(follow))
        .route("/assets/{name}", get(asset))
        .layer(from_fn_with_state(page.clone(), proven))
        .layer(map_response(guarded_headers))
        .with_state(page)
}

/// Bounds how often a proxy's secret can be guessed.
async fn proven(
    State(page): State<Arc<Page>>,
    tries: Option<Extension<CallerSecrets>>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let proves = page.config.proxy.as_ref().and_then(|proxy| proxy.proves(request.headers()));
    if let (Some(proves), Some(Extension(tries))) = (proves, tries) {
        if !tries.may_prove() {
            return refused(StatusCode::TOO_MANY_REQUESTS, "too many wrong secrets of a proxy");
        }
        if proves { tries.proved() } else { tries.was_wrong() }
    }
    next.run(request).await
}

async fn guarded_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer`, browsers send `Origin: null` with a form over plain HTTP.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A request: who, when, in which language, and where to.
struct PageRequest<'a> {
    page: &'a Page,
    visitor: Option<Visitor>,
    style: Style,
    here: String,
    said: Option<PageAction>,
}

impl Page {
    fn now(&self) -> Time {
        (self.config.now)()
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With `__Host-`, no other host and no path can set the cookie.
    fn cookie(&self) -> &'static str {
        if self.secure && self.base.is_empty() { "__Host-podbell" } else { "podbell" }
    }

    fn set_cookie(&self, value: &str, seconds: u64) -> String {
        let (name, secure) = (self.cookie(), if self.secure { "; Secure" } else { "" });
        let path = if self.base.is_empty() { "/" } else { &self.base };
        format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
    }

    fn is_foreign(&self, headers: &HeaderMap) -> bool {
        access::is_foreign(headers, self.config.public_url.as_ref())
    }

    fn visitor(&self, headers: &HeaderMap) -> Option<Visitor> {
        let sessions = self.sessions();
        access::visitor(headers, self.cookie(), self.config.proxy.as_ref(), &sessions, self.now())
    }

    fn asking(&self, headers: &HeaderMap, here: &Uri) -> PageRequest<'_> {
        let language = self.config.language.unwrap_or_else(|| words::asked_for(headers));
        let style = Style { language, time_zone: self.config.time_zone.clone(), now: self.now() };
        let (here, said) = without_said(here);
        PageRequest { page: self, visitor: self.visitor(headers), style, here: format!("{}{here}", self.base), said }
    }
}

impl PageRequest<'_> {
    fn context(&self) -> Context<'_> {
        let words = words::PageTexts::of(self.style.language);
        Context {
            words,
            style: &self.style,
            base: &self.page.base,
            assets: &self.page.assets,
            visitor: self.visitor.as_ref(),
            token: self.visitor.as_ref().map(|v| access::form_token(&self.page.key, v)).unwrap_or_default(),
            here: self.here.clone(),
            said: self.said.map(|action| match action {
                PageAction::Ack => words.said_ack(),
                PageAction::Mute => words.said_mute(),
                PageAction::Unmute => words.said_unmute(),
            }),
        }
    }

    fn reader(&self, visitor: &Visitor) -> Viewer {
        Viewer { scope: visitor.scope.clone(), now: self.style.now }
    }

    fn show(&self, status: StatusCode, tab: Tab, title: &str, main: &Markup) -> Response {
        let text = self.context().frame(tab, title, main).into_string();
        let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        // A page depends on who asks, and in which language.
        (status, kind, [(header::VARY, "Cookie, Accept-Language")], text).into_response()
    }

    fn say(&self, status: StatusCode, title: &str, text: &str) -> Response {
        self.show(status, Tab::None, title, &sign_in::message(&self.context(), title, text))
    }

    fn nothing(&self) -> Response {
        let words = self.context().words;
        self.say(StatusCode::NOT_FOUND, words.not_found(), words.not_found_about())
    }

    fn wrong(&self, error: ListError) -> Response {
        let words = self.context().words;
        match error {
            ListError::NotYours => self.say(StatusCode::FORBIDDEN, words.not_yours(), ""),
            ListError::InvalidCursor => self.nothing(),
            ListError::Unreadable => self.say(StatusCode::SERVICE_UNAVAILABLE, words.unavailable(), ""),
        }
    }

    /// The answer to somebody who is not signed in.
    fn stranger(&self, headers: &HeaderMap) -> Response {
        let base = &self.page.base;
        // After a link from another site, such as a chat's web page, browsers hold back a strict cookie. After a
        // refresh from this page they do not.
        if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
            let (words, here) = (words::PageTexts::of(self.style.language), &self.here);
            let page = html! {
                (maud::DOCTYPE)
                html { head { meta charset="utf-8"; title { "podbell" } meta http-equiv="refresh" content=(format!("0; url={here}")); }
                    body { a href=(here) { (words.going_on()) } } }
            };
            return ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.into_string()).into_response();
        }
        let next = self.here.strip_prefix(base.as_str()).unwrap_or("/");
        to(&format!("{base}/sign-in?next={}", html::encoded(next)))
    }
}

/// Redirects to another place, by GET.
fn to(place: &str) -> Response {
    match HeaderValue::from_str(place) {
        Ok(place) => (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Path and query without `said`, and the value of `said`.
fn without_said(uri: &Uri) -> (String, Option<PageAction>) {
    let mut said = None;
    let kept = uri.query().unwrap_or_default().split('&').filter(|pair| match pair.strip_prefix("said=") {
        Some(word) => {
            said = PageAction::of(word);
            false
        }
        None => !pair.is_empty(),
    });
    let kept = kept.collect::<Vec<_>>().join("&");
    let path = uri.path();
    (if kept.is_empty() { path.to_owned() } else { format!("{path}?{kept}") }, said)
}

/// Accepts a path on this page only: never another site, whatever a link says.
fn local(place: &str) -> Option<&str> {
    let mut rest = place.chars();
    let fits = rest.next() == Some('/') && !matches!(rest.next(), Some('/' | '\\')) && place.len() <= MAX_NEXT;
    (fits && place.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'\\')).then_some(place)
}

/// The query parameters of all pages.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PageQuery {
    page: Option<u32>,
    after: Option<u64>,
    q: Option<String>,
    cluster: String,
    namespace: String,
    name: String,
    next: Option<String>,
}

type PageQueryResult = Result<Query<PageQuery>, QueryRejection>;

fn place(at: PageQueryResult) -> PageQuery {
    at.map(|Query(place)| place).unwrap_or_default()
}

async fn home(State(page): State<Arc<Page>>, headers: HeaderMap, uri: Uri, at: PageQueryResult) -> Response {
    let asking = page.asking(&headers, &uri);
    let Some(visitor) = &asking.visitor else { return asking.stranger(&headers) };
    match page.queries.home(asking.reader(visitor), place(at).page.unwrap_or(1)).await {
        Ok(home) => {
            let cx = asking.context();
            let title = format!("{} {}", home.open, cx.words.open());
            asking.show(StatusCode::OK, Tab::Incidents, &title, &incidents::view(&cx, &home))
        }
        Err(error) => asking.wrong(error),
    }
}

async fn incident(
    State(page): State<Arc<Page>>,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<String>,
    at: PageQueryResult,
) -> Response {
    let asking = page.asking(&headers, &uri);
    let Some(visitor) = &asking.visitor else { return asking.stranger(&headers) };
    let Ok(id) = id.parse::<u64>() else { return asking.nothing() };
    match page.queries.detail(asking.reader(visitor), id, place(at).page.unwrap_or(1)).await {
        Ok(Some(detail)) => {
            let title = format!("#{id} {}", one_line(&detail.shown.brief.place(), 100));
            asking.show(StatusCode::OK, Tab::Incidents, &title, &incident::view(&asking.context(), &detail))
        }
        Ok(None) => asking.nothing(),
        Err(error) => asking.wrong(error),
    }
}

async fn service_list(State(page): State<Arc<Page>>, headers: HeaderMap, uri: Uri, at: PageQueryResult) -> Response {
    let asking = page.asking(&headers, &uri);
    let Some(visitor) = &asking.visitor else { return asking.stranger(&headers) };
    let at = place(at);
    let (beginning, after) = (one_line(&at.q.unwrap_or_default(), 200), at.after.unwrap_or(0));
    match page.queries.services(asking.reader(visitor), after, beginning.clone()).await {
        Ok(found) => {
            let cx = asking.context();
            let view = services::list(&cx, &found, &beginning, after);
            asking.show(StatusCode::OK, Tab::Services, cx.words.services(), &view)
        }
        Err(error) => asking.wrong(error),
    }
}

async fn service(State(page): State<Arc<Page>>, headers: HeaderMap, uri: Uri, at: PageQueryResult) -> Response {
    let asking = page.asking(&headers, &uri);
    let Some(visitor) = &asking.visitor else { return asking.stranger(&headers) };
    let PageQuery { cluster, namespace, name, page: of, .. } = place(at);
    match page.queries.service(asking.reader(visitor), (cluster, namespace), name.clone(), of.unwrap_or(1)).await {
        Ok(Some(detail)) => {
            let view = services::one(&asking.context(), &detail);
            asking.show(StatusCode::OK, Tab::Services, &one_line(&name, 100), &view)
        }
        Ok(None) => asking.nothing(),
        Err(error) => asking.wrong(error),
    }
}

async fn source_list(State(page): State<Arc<Page>>, headers: HeaderMap, uri: Uri) -> Response {
    let asking = page.asking(&headers, &uri);
    let Some(visitor) = &asking.visitor else { return asking.stranger(&headers) };
    match page.queries.sources(asking.reader(visitor)).await {
        Ok(found) => {
            let cx = asking.context();
            let view = sources::view(&cx, &found, &page.health.snapshot(), &page.config.intervals);
            asking.show(StatusCode::OK, Tab::Sources, cx.words.sources(), &view)
        }
        Err(error) => asking.wrong(error),
    }
}

async fn destination_list(State(page): State<Arc<Page>>, headers: HeaderMap, uri: Uri) -> Response {
    let asking = page.asking(&headers, &uri);
    let Some(visitor) = &asking.visitor else { return asking.stranger(&headers) };
    let filter = Filter { state: Some(DeliveryPhase::Dead), limit: Some(20), ..Filter::default() };
    let dead = ListRequest { scope: visitor.scope.clone(), filter, now: asking.style.now };
    match (page.queries.destinations(asking.reader(visitor)).await, page.queries.deliveries(dead).await) {
        (Ok(found), Ok(dead)) => {
            let cx = asking.context();
            let view = destinations::view(&cx, &found, &dead.items, &page.config.paces);
            asking.show(StatusCode::OK, Tab::Destinations, cx.words.destinations(), &view)
        }
        (Err(error), _) | (_, Err(error)) => asking.wrong(error),
    }
}

async fn sign_in_form(State(page): State<Arc<Page>>, headers: HeaderMap, uri: Uri, at: PageQueryResult) -> Response {
    let asking = page.asking(&headers, &uri);
    let next = place(at).next;
    let next = next.as_deref().and_then(local).unwrap_or("/");
    match asking.visitor {
        Some(_) => to(&format!("{}{next}", page.base)),
        None => {
            let cx = asking.context();
            asking.show(StatusCode::OK, Tab::None, cx.words.sign_in(), &sign_in::view(&cx, next, None))
        }
    }
}

/// A refusal in words, without a page around them.
fn refused(status: StatusCode, why: &'static str) -> Response {
    let mut response = Refused::new(status, why).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    *response.body_mut() = Body::from(format!("podbell refuses this: {why}\n"));
    response
}

async fn follow(State(page): State<Arc<Page>>, ending: Option<Extension<Ending>>, headers: HeaderMap) -> Response {
    let Some(visitor) = page.visitor(&headers) else {
        return refused(StatusCode::UNAUTHORIZED, "a stream for somebody who is not signed in");
    };
    let Some(place) = page.streams.place(visitor.key) else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "too many streams");
    };
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    live::stream(Waits {
        commits: page.health.commits(),
        lasts: visitor.until.since(page.now()),
        session: visitor.session,
        ending: ending.map(|Extension(Ending(ending))| ending),
        last,
        place,
    })
}

async fn asset(State(page): State<Arc<Page>>, Path(name): Path<String>) -> Response<Body> {
    page.assets.answer(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_back_never_leads_to_another_site() {
        for place in ["/", "/incidents/7", "/service?cluster=a%2Fb&name=x"] {
            assert_eq!(local(place), Some(place));
        }
        for place in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "x", "/a b", "/\r\nx: y", "/é", "/a\\b"]
        {
            assert_eq!(local(place), None, "{place:?}");
        }
        assert_eq!(local(&format!("/{}", "x".repeat(MAX_NEXT))), None);
    }

    #[test]
    fn what_was_said_is_one_of_three_words_and_leaves_the_address() {
        let of = |text: &str| without_said(&text.parse().unwrap());
        assert_eq!(of("/?page=2&said=ack"), ("/?page=2".to_owned(), Some(PageAction::Ack)));
        assert_eq!(of("/incidents/7?said=%3Cscript%3E"), ("/incidents/7".to_owned(), None));
        assert_eq!(of("/?said=mute&said=x&q=said"), ("/?q=said".to_owned(), None));
    }
}
