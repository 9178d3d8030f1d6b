//! The server's address: what answers there, and what is switched on. Also the dead man's switch.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use secrecy::ExposeSecret as _;
use url::Url;

use crate::clock;
use crate::config::{Config, Stage};
use crate::examine::Net;
use crate::examine::{Checked, Finding, Group, count};
use crate::http::{Clocks, read_body};

/// More than any of the checked pages has.
const MAX: usize = 4 << 20;

/// Who answers at the address.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listener {
    /// Nobody, and the address can be bound.
    Free,
    /// Nobody, and the address cannot be bound.
    Unavailable(String),
    /// Somebody else.
    Stranger,
    /// A podbell, and why it is not well or not ready.
    Podbell { ill: Option<String>, unready: Option<String> },
}

/// Looks at the address.
pub(super) async fn listen(listen: SocketAddr, net: &Net) -> Checked {
    if listen.port() == 0 {
        return Finding::ok(Group::Server, "listen", format!("{listen}: any free port")).into();
    }
    judge(listen, there(listen, net).await).into()
}

fn judge(listen: SocketAddr, there: Listener) -> Vec<Finding> {
    let fail = |found: String, advice: &str| vec![Finding::fail(Group::Server, "listen", found, advice)];
    match there {
        Listener::Free => {
            vec![Finding::ok(Group::Server, "listen", format!("{listen} is free; no podbell runs there"))]
        }
        Listener::Unavailable(why) => fail(
            format!("podbell cannot listen on {listen}: {why}"),
            "set `server.listen` to another address of this machine",
        ),
        Listener::Stranger => fail(
            format!("something else listens on {listen}"),
            "choose another `server.listen`, or end what listens there",
        ),
        Listener::Podbell { ill: Some(ill), .. } => {
            fail(format!("podbell runs at {listen} and is stuck: {ill}"), "look into its log, then restart it")
        }
        Listener::Podbell { unready: Some(why), .. } => {
            fail(format!("podbell runs at {listen} and is not ready: {why}"), "look at the findings of the store")
        }
        Listener::Podbell { .. } => {
            vec![Finding::ok(Group::Server, "listen", format!("podbell runs at {listen} and is ready"))]
        }
    }
}

async fn there(listen: SocketAddr, net: &Net) -> Listener {
    let here = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let address = SocketAddr::new(here, listen.port());
    let page = async |path: &str| {
        let response = net.here.get(format!("http://{address}{path}")).send().await?;
        let status = response.status().as_u16();
        let body = read_body(response, MAX).await.unwrap_or_default();
        Ok::<_, reqwest::Error>((status, String::from_utf8_lossy(&body).trim().to_owned()))
    };
    let metrics = match page("/metrics").await {
        Err(error) if error.is_connect() => return free(listen).await,
        Err(_) => return Listener::Stranger,
        Ok((_, metrics)) => metrics,
    };
    if !metrics.contains("podbell_") {
        return Listener::Stranger;
    }
    let verdict = async |path: &str| match page(path).await {
        Ok((200, _)) => None,
        Ok((_, why)) => Some(why),
        Err(_) => Some("no answer".to_owned()),
    };
    Listener::Podbell { ill: verdict("/healthz").await, unready: verdict("/readyz").await }
}

/// Nobody listens, so binding it for a moment disturbs nobody.
async fn free(listen: SocketAddr) -> Listener {
    match tokio::net::TcpListener::bind(listen).await {
        Ok(_) => Listener::Free,
        Err(error) => Listener::Unavailable(error.to_string()),
    }
}

/// What is switched on.
pub(super) fn switches<S: Stage>(config: &Config<S>) -> Finding {
    let tokens = config.server.tokens.len();
    let page = match (tokens, config.server.page.proxy.is_some()) {
        (0, false) => "API and status page are off: no `server.tokens`".to_owned(),
        (0, true) => "the API is off; the status page is on, through the proxy".to_owned(),
        (_, false) => format!("API and status page are on: {}", count(tokens, "token")),
        (_, true) => format!("API and status page are on: {}, and the page through the proxy", count(tokens, "token")),
    };
    let gateway = match config.gateway.len() {
        0 => "the gateway is off".to_owned(),
        keys => format!("the gateway is on: {}", count(keys, "key")),
    };
    Finding::ok(Group::Server, "page and API", format!("{page}; {gateway}"))
}

/// Whether people reach podbell at the address in its messages. At most a warning: podbell may not run yet, and
/// this machine need not reach it that way.
pub(super) async fn public_url(url: &Url, net: &Net) -> Checked {
    let warn = |found: String| {
        let advice = "start podbell, and check the proxy in front of it; links in messages lead there";
        Checked::from(Finding::warn(Group::Server, "public_url", found, advice))
    };
    let Ok(health) = Url::parse(&format!("{}/healthz", url.as_str().trim_end_matches('/'))) else {
        return warn(format!("{url} is not an address"));
    };
    let asked = clock::now();
    match net.client.get(health).send().await {
        Ok(response) => {
            let clocks = Clocks::of(response.headers(), asked, clock::now());
            let mut checked = match response.status().as_u16() {
                200 => Finding::ok(Group::Server, "public_url", format!("{url} answers")).into(),
                status => warn(format!("{url}/healthz answers with status {status}")),
            };
            checked.clocks.extend(clocks.map(|clocks| ("public_url".to_owned(), clocks)));
            checked
        }
        Err(error) if error.is_timeout() => warn(format!("{url} does not answer in time")),
        Err(_) => warn(format!("{url} cannot be reached from here")),
    }
}

/// The dead man's switch: connected to, never called.
pub(super) async fn heartbeat(config: &Config, net: &Net) -> Option<Finding> {
    let heartbeat = config.operator.heartbeat.as_ref()?;
    Some(match Url::parse(heartbeat.url.expose_secret()) {
        Ok(url) => net.reached(Group::Server, "operator.heartbeat", "dead man's switch", url).await,
        Err(_) => Finding::fail(
            Group::Server,
            "operator.heartbeat",
            "its url is no http(s) address",
            "begin it with https://",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examine::FindingLevel;

    #[test]
    fn who_answers_is_judged() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        let verdict = |there| judge(listen, there).first().map(|finding| finding.verdict);
        assert_eq!(verdict(Listener::Free), Some(FindingLevel::Ok));
        assert_eq!(verdict(Listener::Podbell { ill: None, unready: None }), Some(FindingLevel::Ok));
        let unready = Listener::Podbell { ill: None, unready: Some("the store cannot be written".into()) };
        for bad in [Listener::Stranger, Listener::Unavailable("in use".into()), unready] {
            assert_eq!(verdict(bad), Some(FindingLevel::Fail));
        }
    }
}
