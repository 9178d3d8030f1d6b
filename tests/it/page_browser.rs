//! The status page in a real browser: live, by keyboard, on a phone, dark and light.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::browser::Browser;
use crate::support::status_page::{READ, WRITE, World};

/// The contrast of every text with what is behind it; those that are too faint to read.
const FAINT: &str = r#"(() => {
  const parts = (color) => color.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; })
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (one) => { for (; one; one = one.parentElement) { const c = parts(getComputedStyle(one).backgroundColor); if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
  const faint = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const one = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !one.checkVisibility()) continue;
    const [a, b] = [light(parts(getComputedStyle(one).color)), light(behind(one))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(`${contrast.toFixed(2)} ${walk.currentNode.data.trim().slice(0, 40)}`);
  }
  return faint;
})()"#;

/// Signs in as a person does: the field has the focus.
async fn sign_in(browser: &Browser, world: &World, token: &str, path: &str) {
    browser.go(&format!("http://{}{path}", world.running.listen)).await;
    browser.until("document.activeElement.id === 'token'").await;
    browser.write(token).await;
    browser.press("Enter").await;
    browser.until(&format!("location.pathname === '{path}' && document.readyState === 'complete'")).await;
}

/// Nothing went wrong, and nothing was asked of anybody else.
fn in_order(browser: &Browser, world: &World) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let requests = browser.requests();
    assert!(requests.len() > 4, "{requests:?}");
    let own = format!("http://{}/", world.running.listen);
    for url in requests.iter().filter(|url| *url != "about:blank") {
        assert!(url.starts_with(&own), "{url}");
    }
}

#[tokio::test]
async fn an_incident_appears_without_a_reload_and_is_muted_by_keyboard_alone() {
    let (world, browser) = (World::new().await, Browser::start().await);
    sign_in(&browser, &world, WRITE, "/").await;
    browser.until("!document.getElementById('live').hidden").await;
    browser.evaluate("window.sameDocument = true").await;
    world.something_happens("api-5d9f8b7c6-x2x7v");
    browser.until("document.querySelector('main').innerText.includes('OOMKilling')").await;
    assert_eq!(browser.evaluate("window.sameDocument").await, true, "no reload");
    let id = world.incident("api");
    // Tab by Tab, as somebody without a mouse goes.
    let mut steps = 0;
    while browser.evaluate("document.activeElement.getAttribute('aria-label')").await != format!("Mute 1 h #{id}") {
        browser.press("Tab").await;
        steps += 1;
        assert!(steps < 60, "the button is never reached");
        let seen = "document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== 'none'";
        assert_eq!(browser.evaluate(seen).await, true, "whoever tabs sees where they are");
    }
    browser.press("Enter").await;
    let row = format!("document.querySelector('#open [data-incident=\"{id}\"]')");
    browser.until(&format!("{row}.innerText.includes('muted until') && {row}.innerText.includes('oncall')")).await;
    browser.until("document.querySelector('[role=status]')?.innerText === 'Muted.'").await;
    assert_eq!(browser.evaluate("window.sameDocument").await, true, "no reload");
    let focus = "document.activeElement.closest('[data-incident]')?.dataset.incident";
    assert_eq!(browser.evaluate(focus).await, id.as_str(), "the focus stays where it was");
    let kept = world.site.rows("SELECT body FROM mute");
    assert!(kept.len() == 1 && kept[0].contains(r#""name":"oncall","via":"page""#), "{kept:?}");
    // And by letters: the next row, acknowledged.
    browser.press("j").await;
    browser.press("k").await;
    browser.press("a").await;
    browser.until("document.querySelector('#open').innerText.includes('acknowledged by oncall')").await;
    in_order(&browser, &world);
}

#[tokio::test]
async fn what_somebody_types_and_where_they_are_outlasts_what_happens_meanwhile() {
    let (world, browser) = (World::new().await, Browser::start().await);
    let id = world.incident("web");
    sign_in(&browser, &world, WRITE, &format!("/incidents/{id}")).await;
    browser.until("!document.getElementById('live').hidden").await;
    browser.evaluate("document.getElementById('why-field').focus()").await;
    browser.write("half a sen").await;
    let commits = world.running.metric("podbell_commits_total ").await;
    world.something_happens("api-5d9f8b7c6-x2x7v");
    world.running.reaches("podbell_open_incidents ", |open| open == 3).await;
    browser.write("tence").await;
    assert_eq!(browser.evaluate("document.getElementById('why-field').value").await, "half a sentence", "{commits:?}");
    browser.press("Enter").await;
    browser.until("document.querySelector('main').innerText.includes('half a sentence')").await;
    assert!(world.site.rows("SELECT body FROM mute")[0].contains("half a sentence"));
    // A session that is over asks for the token again, without an endless loop.
    browser.evaluate("document.cookie = 'x=1'").await;
    browser.evaluate("document.querySelector('.who form').requestSubmit()").await;
    browser.until("location.pathname === '/sign-in'").await;
    in_order(&browser, &world);
}

#[tokio::test]
async fn every_page_fits_a_phone_and_can_be_read_in_the_dark_and_in_the_light() {
    let (world, browser) = (World::new().await, Browser::start().await);
    sign_in(&browser, &world, WRITE, "/").await;
    let hands = world.sign_in(WRITE).await;
    let token = hands.get("/").await.token();
    for what in ["web -n shop -c cls-1", "ledger -n bank -c cls-1"] {
        let said = hands
            .post("/do", &[("token", &token), ("do", "mute"), ("what", what), ("lasts", "4h"), ("back", "/")])
            .await;
        assert_eq!(said.status, 303, "{}", said.text);
    }
    let service = "/service?cluster=cls-1&namespace=shop&name=web".to_owned();
    let incident = format!("/incidents/{}", world.incident("web"));
    let paths = ["/".into(), incident, service, "/services".into(), "/sources".into(), "/destinations".into()];
    for dark in [false, true] {
        browser.screen(360, 740, dark).await;
        for path in &paths {
            browser.go(&format!("http://{}{path}", world.running.listen)).await;
            let wide = "[document.documentElement.scrollWidth, innerWidth]";
            assert_eq!(
                browser.evaluate(wide).await,
                serde_json::json!([360, 360]),
                "{path}: nothing to scroll sideways"
            );
            assert_eq!(browser.evaluate(FAINT).await, serde_json::json!([]), "{path}, dark: {dark}");
            let small = "[...document.querySelectorAll('main button')].filter((one) => one.offsetHeight < 36).length";
            assert_eq!(browser.evaluate(small).await, 0, "{path}: a finger finds every button");
            let narrow = "[...document.querySelectorAll('body a, summary')].filter((one) => one.checkVisibility() && !one.matches('.skip') && one.getBoundingClientRect().height < 40).map((one) => one.outerHTML.slice(0, 80))";
            assert_eq!(browser.evaluate(narrow).await, serde_json::json!([]), "{path}: a finger finds every link");
            let landmarks = "(() => { const name = (one) => one.getAttribute('aria-label') ?? document.getElementById(one.getAttribute('aria-labelledby'))?.innerText ?? ''; const role = (one) => one.getAttribute('role') ?? ({ SECTION: 'region', NAV: 'navigation', HEADER: 'banner', FOOTER: 'contentinfo', MAIN: 'main' })[one.tagName]; const all = [...document.querySelectorAll('section, nav, header, footer, main, [role=region], [role=search]')].map((one) => `${role(one)}: ${name(one)}`); return all.filter((one, at) => all.indexOf(one) !== at); })()";
            assert_eq!(browser.evaluate(landmarks).await, serde_json::json!([]), "{path}: landmarks are told apart");
            let same = "(() => { const all = [...document.querySelectorAll('main button')].map((one) => one.ariaLabel ?? one.innerText); return all.filter((one, at) => all.indexOf(one) !== at); })()";
            assert_eq!(browser.evaluate(same).await, serde_json::json!([]), "{path}: buttons are told apart");
            let unnamed = "[...document.querySelectorAll('input:not([type=hidden]), select')].filter((one) => !one.labels.length).length";
            assert_eq!(browser.evaluate(unnamed).await, 0, "{path}: every field has a label");
            let twice = "(() => { const all = [...document.querySelectorAll('[id]')].map((one) => one.id); return all.filter((one, at) => all.indexOf(one) !== at); })()";
            assert_eq!(browser.evaluate(twice).await, serde_json::json!([]), "{path}: ids are unique");
        }
    }
    let light = browser.evaluate("getComputedStyle(document.documentElement).backgroundColor").await;
    browser.screen(360, 740, false).await;
    assert_ne!(browser.evaluate("getComputedStyle(document.documentElement).backgroundColor").await, light);
    in_order(&browser, &world);
}

#[tokio::test]
async fn hostile_text_does_nothing_in_a_browser() {
    let (world, browser) = (World::new().await, Browser::start().await);
    sign_in(&browser, &world, READ, "/").await;
    for path in
        [format!("/incidents/{}", world.incident("web")), "/service?cluster=cls-1&namespace=shop&name=web".into()]
    {
        browser.go(&format!("http://{}{path}", world.running.listen)).await;
        browser.until("document.querySelector('main').innerText.includes('onerror=alert(1)')").await;
        assert_ne!(browser.evaluate("document.title").await, "broken");
        assert_eq!(browser.evaluate("document.querySelectorAll('img, main script').length").await, 0);
    }
    in_order(&browser, &world);
}

#[tokio::test]
async fn a_button_of_a_session_that_is_over_leads_to_signing_in_and_back() {
    let (world, browser) = (World::new().await, Browser::start().await);
    let id = world.incident("web");
    sign_in(&browser, &world, WRITE, &format!("/incidents/{id}")).await;
    let sign_out = "fetch('/sign-out', {method: 'POST', redirect: 'manual', body: new URLSearchParams({token: \
                    document.querySelector('.who input').value})}).then(() => 'done')";
    assert_eq!(browser.evaluate(sign_out).await, "done");
    browser.evaluate("document.getElementById('ack').click()").await;
    browser.until("location.pathname === '/sign-in' && document.activeElement.id === 'token'").await;
    assert!(world.site.rows("SELECT 1 FROM action").is_empty());
    browser.write(WRITE).await;
    browser.press("Enter").await;
    browser.until(&format!("location.pathname === '/incidents/{id}'")).await;
}

/// Passes everything on, but for streams: of those nothing comes through, as behind a proxy that gathers answers.
async fn keeps_back_streams(to: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (here, to) = (listener.local_addr().unwrap().to_string(), to.to_owned());
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(&to).await.unwrap();
            tokio::spawn(async move {
                let (mut asked, mut answered) = ([0; 16 * 1024], [0; 16 * 1024]);
                loop {
                    tokio::select! {
                        read = near.read(&mut asked) => {
                            let Ok(length @ 1..) = read else { return };
                            if asked[..length].starts_with(b"GET /live") {
                                // Until the browser has enough of it.
                                while near.read(&mut asked).await.is_ok_and(|read| read > 0) {}
                                return;
                            }
                            far.write_all(&asked[..length]).await.unwrap();
                        }
                        read = far.read(&mut answered) => {
                            let Ok(length @ 1..) = read else { return };
                            if near.write_all(&answered[..length]).await.is_err() {
                                return;
                            }
                        }
                    }
                }
            });
        }
    });
    here
}

#[tokio::test]
async fn a_page_whose_stream_stays_silent_asks_by_itself() {
    let (world, browser) = (World::new().await, Browser::start().await);
    let proxy = keeps_back_streams(&world.running.listen).await;
    browser.go(&format!("http://{proxy}/")).await;
    browser.until("document.activeElement.id === 'token'").await;
    browser.write(WRITE).await;
    browser.press("Enter").await;
    browser.until("location.pathname === '/' && document.readyState === 'complete'").await;
    browser.evaluate("window.sameDocument = true").await;
    world.something_happens("api-5d9f8b7c6-x2x7v");
    browser.until("document.querySelector('main').innerText.includes('OOMKilling')").await;
    assert_eq!(browser.evaluate("window.sameDocument").await, true, "no reload");
    assert_eq!(
        browser.evaluate("document.getElementById('live').hidden").await,
        true,
        "it does not say that it listens"
    );
}
