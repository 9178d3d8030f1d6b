//! The status page of the real binary, as a browser without scripts and as an attacker see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use podbell::clock;
use podbell_core::event::Target;
use reqwest::Method;
use rustix::process::Signal;

use crate::support::events::{at, warning};
use crate::support::process::PATIENCE;
use crate::support::status_page::{BANK, HOSTILE, PROOF, READ, SERVER, Visitor, WRITE, World, served, served_at};

const PAGES: [&str; 4] = ["/", "/services", "/sources", "/destinations"];

#[tokio::test]
async fn whoever_signs_in_with_a_token_sees_what_is_open_and_nobody_else_sees_anything() {
    let world = World::new().await;
    let stranger = world.stranger();
    for path in PAGES.into_iter().chain(["/incidents/1", "/service?cluster=cls-1&namespace=shop&name=web"]) {
        let page = stranger.get(path).await;
        assert_eq!(page.status, 303, "{path}");
        assert!(page.to.unwrap().starts_with("/sign-in?next=%2F"), "{path}");
        assert!(!page.text.contains("web") && !page.text.contains("ledger"));
    }
    let form = stranger.get("/sign-in?next=/incidents/1").await;
    assert!(form.text.contains("type=\"password\"") && form.text.contains("value=\"/incidents/1\""), "{}", form.text);
    assert!(!form.text.contains("<script"), "nothing is live for nobody");
    let wrong = stranger.post("/sign-in", &[("api_token", "token-that-nobody-has-0123")]).await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));
    assert!(wrong.text.contains("not known") && !wrong.text.contains("nobody-has"));
    let back = stranger.post("/sign-in", &[("api_token", READ), ("next", "/incidents/1")]).await;
    assert_eq!(back.to.as_deref(), Some("/incidents/1"));
    for evil in ["https://evil.example", "//evil.example", "/\\evil.example"] {
        let back = stranger.post("/sign-in", &[("api_token", READ), ("next", evil)]).await;
        assert_eq!(back.to.as_deref(), Some("/"), "{evil}");
    }
    let cookie = back.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Max-Age=43200"));
    assert!(!cookie.contains("Secure") && !cookie.contains(READ), "{cookie}");
    let visitor = world.sign_in(READ).await;
    let home = visitor.get("/").await.text;
    assert!(home.contains("web") && home.contains("ledger") && home.contains("<b>2</b> Open"), "{home}");
    let incident = visitor.get(&format!("/incidents/{}", world.incident("web"))).await.text;
    for part in ["Why it was reported", "rule", "everything", "audit", "<svg", "1 new, 3 in all"] {
        assert!(incident.contains(part), "{part}: {incident}");
    }
    let service = visitor.get("/service?cluster=cls-1&namespace=shop&name=web").await;
    assert!(service.status == 200 && service.text.contains("class=\"warn\""), "{}", service.text);
    let sources = visitor.get("/sources").await.text;
    assert!(sources.contains("prod") && sources.contains("live") && sources.contains("in time"), "{sources}");
    let destinations = visitor.get("/destinations").await.text;
    assert!(destinations.contains("audit") && destinations.contains("works"), "{destinations}");
    assert!(visitor.get("/services?q=led").await.text.contains("bank/ledger"));
    assert!(!visitor.get("/services?q=led").await.text.contains("shop/web"));
    for nowhere in ["/incidents/999", "/incidents/x", "/service?name=web", "/nothing", "/incidents/1/2", "/assets/x.js"]
    {
        assert_eq!(visitor.get(nowhere).await.status, 404, "{nowhere}");
    }
    let zh = visitor.with("accept-language", "zh-CN,zh;q=0.9").get("/").await.text;
    assert!(zh.contains("未恢复") && zh.contains("lang=\"zh-Hans\""), "{zh}");
}

#[tokio::test]
async fn without_a_token_and_a_proxy_there_is_no_page() {
    let world = World::with("server: {listen: \"127.0.0.1:0\"}").await;
    for path in PAGES.into_iter().chain(["/sign-in", "/live", "/incidents/1"]) {
        assert_eq!(world.stranger().get(path).await.status, 404, "{path}");
    }
    assert_eq!(world.stranger().post("/sign-in", &[("api_token", "")]).await.status, 404);
}

#[tokio::test]
async fn a_team_sees_its_own_services_and_another_teams_are_nowhere() {
    let world = World::new().await;
    let bank = world.sign_in(BANK).await;
    let (web, ledger) = (world.incident("web"), world.incident("ledger"));
    for path in ["/", "/services", "/sources", "/services?q=le", &format!("/incidents/{ledger}")] {
        let page = bank.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        for word in ["web", "shop", "BackOff"] {
            assert!(
                !page.text.to_lowercase().replace("webkit", "").contains(&word.to_lowercase()),
                "{path}: {word}: {}",
                page.text
            );
        }
    }
    let (theirs, nothing) = (bank.get(&format!("/incidents/{web}")).await, bank.get("/incidents/9999").await);
    assert_eq!((theirs.status, nothing.status), (404, 404));
    let plain = |text: &str, id: &str| text.replace(&format!("/incidents/{id}"), "/incidents/N");
    assert_eq!(plain(&theirs.text, &web), plain(&nothing.text, "9999"), "nobody can tell these apart");
    assert_eq!(bank.get("/service?cluster=cls-1&namespace=shop&name=web").await.status, 404);
    assert_eq!(bank.get("/destinations").await.status, 403, "deliveries are of all teams");
    let home = bank.get("/").await;
    assert!(home.text.contains("<b>1</b> Open") && !home.text.contains("href=\"/destinations\""), "{}", home.text);
    let token = home.token();
    let mute = [("token", token.as_str()), ("do", "mute"), ("what", web.as_str()), ("lasts", "1h")];
    assert_eq!(bank.post("/do", &mute).await.status, 404);
    assert!(world.site.rows("SELECT 1 FROM mute UNION ALL SELECT 1 FROM action").is_empty());
}

#[tokio::test]
async fn text_of_a_cluster_stays_text_on_every_page() {
    let world = World::new().await;
    let visitor = world.sign_in(WRITE).await;
    let web = world.incident("web");
    let hostile_name = "/service?cluster=%3Cscript%3E&namespace=%22%3E%3Cimg%20src%3Dx%3E&name=%27onload";
    let search = "/services?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let said = "/?said=%3Cscript%3E&page=%3Cscript%3E";
    let pages =
        [String::from("/"), format!("/incidents/{web}"), "/service?cluster=cls-1&namespace=shop&name=web".into()];
    for path in pages.iter().map(String::as_str).chain([hostile_name, search, said]) {
        let text = visitor.get(path).await.text;
        let page = text.replace("<script src=\"/assets/page-", "");
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>\u{fffd}"), "{path}: {page}");
        assert!(!text.contains('\u{202e}'), "{path}: nothing turns the direction of what follows");
        for attribute in [" style=", " onerror=\"", " onload=\"", " onclick=", "javascript:"] {
            assert!(!page.contains(attribute), "{path}: {attribute}");
        }
    }
    let incident = visitor.get(&format!("/incidents/{web}")).await.text;
    assert!(
        HOSTILE.contains("onerror=alert(1)") && incident.contains("&lt;img src=x onerror=alert(1)&gt;"),
        "{incident}"
    );
    assert!(incident.contains("BackOff&lt;b&gt;"), "{incident}");
    let token = visitor.get("/").await.token();
    let why = "\"><script>alert(2)</script>";
    let mute = [("token", token.as_str()), ("do", "mute"), ("what", web.as_str()), ("lasts", "4h"), ("why", why)];
    assert_eq!(visitor.post("/do", &mute).await.status, 303);
    let incident = visitor.get(&format!("/incidents/{web}")).await.text;
    assert!(incident.contains("&lt;script&gt;alert(2)") && !incident.contains("<script>alert(2)"), "{incident}");
}

#[tokio::test]
async fn every_answer_has_the_strict_headers_and_assets_are_kept_by_their_names() {
    let world = World::new().await;
    let (visitor, stranger) = (world.sign_in(WRITE).await, world.stranger());
    let home = visitor.get("/").await;
    let asset = |kind: &str| {
        let end = home.text.find(&format!(".{kind}\"")).unwrap() + kind.len() + 1;
        let start = home.text[..end].rfind('"').unwrap() + 1;
        home.text[start..end].to_owned()
    };
    let [css, js, svg] = ["css", "js", "svg"].map(asset);
    let refused = visitor.post("/do", &[("token", "wrong")]).await;
    let pages = [
        visitor.get("/").await,
        visitor.get("/incidents/999").await,
        visitor.get("/services").await,
        visitor.get("/sources").await,
        visitor.get("/destinations").await,
        stranger.get("/").await,
        stranger.get("/sign-in").await,
        stranger.get("/live").await,
        refused,
        stranger.post("/sign-in", &[("api_token", "x")]).await,
    ];
    for page in &pages {
        let policy = page.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part) && !policy.contains("unsafe"), "{policy}");
        }
        assert_eq!(page.header("cache-control").as_deref(), Some("no-store"));
        assert_eq!(page.header("x-content-type-options").as_deref(), Some("nosniff"));
        assert_eq!(page.header("referrer-policy").as_deref(), Some("same-origin"));
    }
    for (path, kind) in [(&css, "text/css"), (&js, "text/javascript"), (&svg, "image/svg+xml")] {
        let asset = stranger.get(path).await;
        assert_eq!(asset.status, 200, "{path}");
        assert!(asset.header("content-type").unwrap().starts_with(kind));
        assert!(asset.header("cache-control").unwrap().contains("immutable"));
        assert!(!asset.text.contains("http://") || kind == "image/svg+xml", "nothing from elsewhere");
        assert!(!asset.text.contains("https://"));
    }
}

#[tokio::test]
async fn what_is_muted_and_acknowledged_on_the_page_is_kept_with_its_author() {
    let world = World::new().await;
    let visitor = world.sign_in(WRITE).await;
    let web = world.incident("web");
    let path = format!("/incidents/{web}");
    let page = visitor.get(&path).await;
    let token = page.token();
    let form = |command: &'static str| {
        [
            ("token", token.clone()),
            ("do", command.into()),
            ("what", web.clone()),
            ("lasts", "1h".into()),
            ("why", "－\u{200b}-help deploying".into()),
            ("back", path.clone()),
        ]
    };
    let send = async |command| {
        let form = form(command);
        let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        visitor.post("/do", &fields).await
    };
    let muted = send("mute").await;
    assert_eq!((muted.status, muted.to), (303, Some(format!("{path}?said=mute"))));
    let acknowledged = send("ack").await;
    assert_eq!(acknowledged.to, Some(format!("{path}?said=ack")));
    let after = visitor.get(&format!("{path}?said=ack")).await.text;
    for part in ["role=\"status\"", "Acknowledged.", "oncall", "(<bdi>status page</bdi>)", "deploying", "End the mute"]
    {
        assert!(after.contains(part), "{part}: {after}");
    }
    assert!(!after.contains("data-key=\"a\""), "who has it need not say so again");
    let home = visitor.get("/").await.text;
    assert!(home.contains("muted until") && home.contains("oncall"), "{home}");
    assert_eq!(send("unmute").await.status, 303);
    assert_eq!(send("unmute").await.status, 404, "it is over already");
    let kept = world.site.rows("SELECT body FROM action ORDER BY id");
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept.iter().all(|row| row.contains(r#""name":"oncall","via":"page""#)), "{kept:?}");
    assert_eq!(visitor.post("/do", &[("token", &token), ("do", "forget"), ("what", &web)]).await.status, 400);
    let long = [("token", token.as_str()), ("do", "mute"), ("what", web.as_str()), ("lasts", "900h")];
    assert_eq!(visitor.post("/do", &long).await.status, 400);
    // A service is muted as a whole.
    let service = visitor.get("/service?cluster=cls-1&namespace=shop&name=web").await;
    let (_, what) = service.text.split_once("name=\"what\" value=\"").unwrap();
    let what = what.split('"').next().unwrap();
    let mute =
        [("token", token.as_str()), ("do", "mute"), ("what", what), ("lasts", "24h"), ("back", "//evil.example")];
    let done = visitor.post("/do", &mute).await;
    assert_eq!((done.status, done.to.as_deref()), (303, Some("/?said=mute")));
    assert!(visitor.get("/").await.text.contains("shop/web"));
}

#[tokio::test]
async fn whoever_may_only_read_gets_no_forms_and_is_refused() {
    let world = World::new().await;
    let web = world.incident("web");
    let reader = world.sign_in(READ).await;
    for path in ["/", &format!("/incidents/{web}"), "/service?cluster=cls-1&namespace=shop&name=web"] {
        let page = reader.get(path).await.text;
        assert!(!page.contains("action=\"/do\"") && page.contains("read only"), "{page}");
    }
    let token = reader.get("/").await.token();
    let ack = [("token", token.as_str()), ("do", "ack"), ("what", web.as_str())];
    assert_eq!(reader.post("/do", &ack).await.status, 403);
    assert!(world.site.rows("SELECT 1 FROM action").is_empty());
}

#[tokio::test]
async fn a_form_that_the_page_did_not_make_changes_nothing() {
    let world = World::new().await;
    let (visitor, other) = (world.sign_in(WRITE).await, world.sign_in(WRITE).await);
    let web = world.incident("web");
    let (token, others) = (visitor.get("/").await.token(), other.get("/").await.token());
    let ack = |token: &str| [("token", token.to_owned()), ("do", "ack".into()), ("what", web.clone())];
    let send = async |who: &Visitor, token: &str| {
        let form = ack(token);
        let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        who.post("/do", &fields).await.status
    };
    assert_eq!(send(&visitor, "").await, 403);
    assert_eq!(send(&visitor, &others).await, 403, "of another session");
    assert_eq!(send(&visitor.with("sec-fetch-site", "cross-site"), &token).await, 403);
    assert_eq!(send(&visitor.with("sec-fetch-site", "same-site"), &token).await, 403);
    assert_eq!(send(&visitor.with("origin", "https://evil.example"), &token).await, 403);
    assert_eq!(send(&world.stranger(), &token).await, 401);
    assert_eq!(visitor.with("sec-fetch-site", "cross-site").post("/sign-out", &[("token", &token)]).await.status, 403);
    assert_eq!(
        world.stranger().with("sec-fetch-site", "cross-site").post("/sign-in", &[("api_token", READ)]).await.status,
        403
    );
    assert_eq!(visitor.get("/do").await.status, 405);
    assert_eq!(visitor.post("/do", &[("do", "ack")]).await.status, 400);
    assert!(world.site.rows("SELECT 1 FROM action").is_empty());
    assert_eq!(send(&visitor.with("sec-fetch-site", "same-origin"), &token).await, 303);
    // A link from a chat's web page is followed once more, from here: only then is the cookie sent.
    let followed = world.stranger().with("sec-fetch-site", "cross-site").get("/incidents/7").await;
    assert_eq!(followed.status, 200);
    assert!(followed.text.contains("http-equiv=\"refresh\" content=\"0; url=/incidents/7\""), "{}", followed.text);
}

#[tokio::test]
async fn a_proxys_word_is_taken_only_with_its_proof() {
    let mut world = World::new().await;
    let named = world.stranger().with("x-forwarded-user", "ann <b>");
    assert_eq!(named.get("/").await.status, 303, "anybody can send a header");
    assert_eq!(named.with("x-podbell-proxy", "wrong-proof-of-a-proxy-01234").get("/").await.status, 303);
    let proven = named.with("x-podbell-proxy", PROOF);
    let home = proven.get("/").await;
    assert!(
        home.status == 200 && home.text.contains("ann &lt;b&gt;") && home.text.contains("read only"),
        "{}",
        home.text
    );
    assert!(!home.text.contains("Sign out"), "that is the proxy's business");
    assert_eq!(proven.with("x-forwarded-user", "bob").get("/").await.status, 303, "two names are none");
    world.running.process.stop().await;
    let log = world.running.process.stderr();
    assert!(!log.contains(PROOF), "{log}");
}

/// Opens a stream and reads until it has said something.
async fn said(response: &mut reqwest::Response, what: &str) {
    let mut all = String::new();
    let reading = async {
        while !all.contains(what) {
            let chunk = response.chunk().await.unwrap().unwrap_or_else(|| panic!("ended: {all}"));
            all.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    if tokio::time::timeout(PATIENCE, reading).await.is_err() {
        panic!("no {what:?} in {all:?}");
    }
}

async fn ends(mut response: reqwest::Response) {
    let ended = async { while let Ok(Some(_)) = response.chunk().await {} };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the stream ends");
}

#[tokio::test]
async fn a_stream_tells_that_something_was_committed_and_ends_with_its_session_and_with_podbell() {
    let mut world = World::new().await;
    assert_eq!(world.stranger().get("/live").await.status, 401);
    let (visitor, other) = (world.sign_in(WRITE).await, world.sign_in(READ).await);
    let mut stream = visitor.open(Method::GET, "/live", None).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    // A browser drops an event without data: the page would never know that the stream lives.
    said(&mut stream, "event: alive\ndata: alive\n").await;
    let token = visitor.get("/").await.token();
    let ack = [("token", token.as_str()), ("do", "ack"), ("what", &world.incident("web"))];
    assert_eq!(visitor.post("/do", &ack).await.status, 303);
    said(&mut stream, "event: change").await;
    // Whoever was away and missed something hears of it at once.
    let mut again = visitor.with("last-event-id", "1").open(Method::GET, "/live", None).await;
    said(&mut again, "event: change").await;
    let theirs = other.open(Method::GET, "/live", None).await;
    assert_eq!(visitor.post("/sign-out", &[("token", &token)]).await.to.as_deref(), Some("/sign-in"));
    ends(stream).await;
    ends(again).await;
    assert_eq!(visitor.get("/").await.status, 303, "the cookie is worth nothing any more");
    world.running.process.signal(Signal::TERM);
    ends(theirs).await;
    assert!(world.running.process.end(Duration::from_secs(5)).await.success(), "no stream holds podbell up");
}

#[tokio::test]
async fn streams_and_wrong_tokens_have_limits_that_leave_room_for_everybody_else() {
    let mut world = World::new().await;
    let visitor = world.sign_in(READ).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let stream = visitor.open(Method::GET, "/live", None).await;
        assert_eq!(stream.status(), 200);
        held.push(stream);
    }
    assert_eq!(visitor.get("/live").await.status, 503, "one visitor's share");
    assert_eq!(visitor.get("/").await.status, 200);
    held.pop();
    let refused = async {
        let mut turns = tokio::time::interval(Duration::from_millis(20));
        while visitor.open(Method::GET, "/live", None).await.status() != 200 {
            turns.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("a place is free again");
    let stranger = world.stranger();
    let mut statuses = Vec::new();
    for _ in 0..22 {
        statuses.push(stranger.post("/sign-in", &[("api_token", "token-that-nobody-has-0123")]).await.status);
    }
    assert_eq!((statuses[0], statuses[19], statuses[21]), (401, 401, 429), "{statuses:?}");
    assert_eq!(visitor.get("/").await.status, 200, "whoever is signed in stays so");
    let large = "x".repeat(300_000);
    assert_eq!(stranger.post("/sign-in", &[("api_token", &large)]).await.status, 413);
    world.running.process.stop().await;
    let log = world.running.process.stderr();
    for secret in [READ, WRITE, BANK, "nobody-has"] {
        assert!(!log.contains(secret), "{log}");
    }
    let cookie = visitor.cookie.unwrap();
    assert!(!log.contains(cookie.split_once('=').unwrap().1), "{log}");
}

#[tokio::test]
async fn messages_lead_to_the_page_and_cookies_keep_to_tls_where_a_public_url_says_so() {
    let public = SERVER.replace("tokens:", "public_url: \"https://status.example.com/podbell/?x=1\", tokens:");
    let world = World::with(&public).await;
    let bodies = bodies(&world, 2).await;
    let web = world.incident("web");
    let url = format!("https://status.example.com/podbell/incidents/{web}");
    let body = bodies.iter().find(|body| body["data"]["incident_id"].as_u64() == web.parse().ok()).unwrap();
    assert_eq!(body["data"]["url"], url.as_str(), "{body}");
    assert!(body["data"]["text"].as_str().unwrap().contains(&format!("Status page: {url}")), "{body}");
    let answer = world.stranger().post("/sign-in", &[("api_token", READ)]).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("; Secure") && cookie.contains("Path=/podbell"), "{cookie}");
    assert_eq!(answer.to.as_deref(), Some("/podbell/"));
}

async fn bodies(world: &World, at_least: usize) -> Vec<serde_json::Value> {
    let look = || {
        let all: Vec<_> =
            world.receiver.received().iter().filter_map(|request| serde_json::from_slice(&request.body).ok()).collect();
        (all.len() >= at_least).then_some(all)
    };
    crate::support::process::eventually(PATIENCE, "notices", look).await
}

#[tokio::test]
async fn ten_thousand_open_incidents_are_pages_and_no_page_is_slow() {
    let rules = "version: 1\ndefaults: {notify: [team], group_wait: 30m}\nrules: [{name: all, match: {reason: '*'}}]\n";
    let mut world = crate::support::world::World::with_rules(rules);
    let service = |namespace: &str, n: usize| Target::new("prod", "cls-1", namespace, &format!("s{n}"));
    let (shop, bank): (Vec<_>, Vec<_>) = ((0..99).map(|n| service("shop", n)).collect(), vec![service("bank", 0)]);
    for target in shop.iter().chain(&bank) {
        world.poll(target, &[]);
    }
    world.run_until(60);
    for target in shop.iter().chain(&bank) {
        let events = (0..100).map(|n| warning(&format!("{}-{n:03}x", target.service), "BackOff", "text", 3, 5, 50));
        world.poll(target, &events.collect::<Vec<_>>());
    }
    let base = served(&mut world, at(90)).await;
    for (token, open, pages) in [(WRITE, "10,000", 400), (BANK, "100", 4)] {
        let visitor = Visitor::at(&base).signed_in(token).await;
        let mut slowest = Duration::ZERO;
        if token == WRITE {
            // s1 and s10 to s19; then all hundred, 40 a page.
            assert_eq!(visitor.get("/services?q=s1").await.text.matches("row service").count(), 11);
            let second = visitor.get(&link(&visitor.get("/services?q=s").await.text, "next")).await.text;
            let third = visitor.get(&link(&second, "next")).await.text;
            assert!(!third.contains("rel=\"next\"") && third.contains("&amp;q=s"), "{third}");
            assert_eq!(third.matches("row service").count(), 20);
        }
        for path in
            ["/".to_owned(), format!("/?page={pages}"), "/services".into(), "/services?q=s1".into(), "/sources".into()]
        {
            let begun = clock::monotonic();
            let page = visitor.get(&path).await;
            slowest = slowest.max(begun.elapsed());
            assert_eq!(page.status, 200, "{path}");
            assert!(page.text.len() < 150_000, "{path}: {} bytes", page.text.len());
        }
        eprintln!("{open} open: the slowest page took {slowest:?}");
        // Unoptimised, and beside other tests.
        assert!(slowest < Duration::from_secs(3), "{slowest:?}");
        let home = visitor.get("/").await.text;
        assert!(home.contains(&format!("<b>{open}</b> Open")), "{home}");
        assert_eq!(home.matches("class=\"row acts\"").count(), 25, "{home}");
        let last = visitor.get(&format!("/?page={pages}")).await.text;
        assert!(last.contains("rel=\"prev\"") && !last.contains("rel=\"next\""), "{last}");
        assert_eq!(visitor.get("/?page=4000000000").await.status, 200);
    }
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_whatever_the_browser_keeps() {
    let mut world = crate::support::world::World::builtin();
    let hours = Arc::new(AtomicI64::new(0));
    let clock = hours.clone();
    let now = move || at(clock.load(Ordering::SeqCst) * 3600);
    let base = served_at(&mut world, Arc::new(now)).await;
    let visitor = Visitor::at(&base).signed_in(WRITE).await;
    let token = visitor.get("/").await.token();
    hours.store(11, Ordering::SeqCst);
    assert_eq!(visitor.get("/").await.status, 200);
    let stream = visitor.open(Method::GET, "/live", None).await;
    assert_eq!(stream.status(), 200);
    hours.store(12, Ordering::SeqCst);
    assert_eq!(visitor.get("/").await.status, 303);
    assert_eq!(visitor.get("/live").await.status, 401);
    assert_eq!(visitor.post("/do", &[("token", &token), ("do", "ack"), ("what", "1")]).await.status, 401);
}

#[tokio::test]
async fn the_opening_of_a_long_incident_is_on_its_page_and_the_other_changes_are_one_click_away() {
    let mut world = crate::support::world::World::with_rules(
        "version: 1\ndefaults: {notify: [team]}\nrules: [{name: any, match: {reason: '*'}, open_when: {count: 3, within: 1h}}]\n",
    );
    let web = crate::support::world::web();
    world.watch(std::slice::from_ref(&web));
    world.poll(&web, &[]);
    world.run_until(60);
    for poll in 1..=40i64 {
        let now = 60 + poll * 15;
        world.poll(&web, &[warning("web-1", "BackOff", "again", poll as u64 * 2, 59, now - 1)]);
        world.run_until(now + 1);
    }
    let base = served(&mut world, at(700)).await;
    let visitor = Visitor::at(&base).signed_in(WRITE).await;
    let page = visitor.get("/incidents/1").await.text;
    for part in ["opened it", "between", "/incidents/1?page=2#why", "Page 1 of 4"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let last = visitor.get("/incidents/1?page=4").await.text;
    assert!(last.contains("/incidents/1?page=3#why") && !last.contains("?page=5"), "{last}");
    assert!(last.contains("2 of the 3"), "the first change is on the last page: {last}");
}

#[tokio::test]
async fn what_nobody_has_yet_stands_above_what_is_muted_or_acknowledged_and_critical_above_the_rest() {
    use podbell_core::mute::Muted;
    use podbell_core::scope::Scope;
    use podbell_core::user_action::Act;
    let mut world = crate::support::world::World::with_rules(
        "version: 1
defaults: {notify: [team]}
rules:
  - {name: nodes, match: {reason: NodeNotReady}, severity: critical}
  - {name: any, match: {reason: '*'}}
",
    );
    let web = crate::support::world::web();
    world.watch(std::slice::from_ref(&web));
    world.poll(&web, &[]);
    let mut list = Vec::new();
    // One after the other: the newest is the last.
    for (name, reason, kind, at) in [
        ("n1", "NodeNotReady", "Node", 60),
        ("old-1", "BackOff", "Pod", 120),
        ("had-1", "Evicted", "Pod", 180),
        ("mute-1", "FailedMount", "Pod", 240),
    ] {
        world.run_until(at);
        list.push(podbell_core::event::Event {
            obj_type: kind.into(),
            ..warning(name, reason, "it fails", 1, at - 1, at - 1)
        });
        world.poll(&web, &list);
    }
    world.run_until(300);
    let id_of = |world: &mut crate::support::world::World, name: &str| {
        let incidents = world.engine().state().unwrap().incidents();
        let found: Vec<u64> = incidents.filter(|one| one.newest_event().obj_name == name).map(|one| one.id).collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0]
    };
    let (had, muted) = (id_of(&mut world, "had-1"), id_of(&mut world, "mute-1"));
    world.act("ann", &Scope::default(), Act::Acknowledge { id: had });
    let lasts = Duration::from_secs(3600);
    world.act("ann", &Scope::default(), Act::Mute { what: Muted::Incident { id: muted }, lasts, why: None });
    let base = served(&mut world, at(310)).await;
    let home = Visitor::at(&base).signed_in(WRITE).await.get("/").await.text;
    let place = |name: &str, world: &mut crate::support::world::World| {
        let id = id_of(world, name);
        home.find(&format!("data-incident=\"{id}\"")).unwrap_or_else(|| panic!("{name}: {home}"))
    };
    let order: Vec<usize> = ["n1", "old-1", "mute-1", "had-1"].map(|name| place(name, &mut world)).to_vec();
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test]
async fn in_chinese_the_page_calls_things_as_the_chats_do() {
    let world = World::new().await;
    let visitor = world.sign_in(WRITE).await.with("accept-language", "zh-CN");
    let home = visitor.get("/").await.text;
    for says in [">告警<", ">认领<", "Warning 事件"] {
        assert!(home.contains(says), "{says}: {home}");
    }
    for other in ["我来处理", "正在处理", "次告警", "静音", "事件明细"] {
        assert!(!home.contains(other), "{other}: {home}");
    }
}

/// Where the link of this relation leads.
fn link(page: &str, relation: &str) -> String {
    let (_, rest) = page.split_once(&format!("rel=\"{relation}\" href=\"")).unwrap();
    rest.split_once('"').unwrap().0.replace("&amp;", "&")
}
