//! Requests to addresses that come from outside. Slack names a `response_url` with each command; whoever could
//! choose that address could make podbell call what only podbell can reach.
//!
//! Owns which hosts are Slack's, and a client that connects to public addresses only. Addresses are checked when
//! connecting, so that a name that points elsewhere a moment later changes nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use crate::chat::websocket;
use crate::http::{ClientError, HttpOptions};

/// Finds the addresses of a host.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// The system's resolver.
pub fn system() -> Lookup {
    Arc::new(|host| Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.collect()) }))
}

/// A client that connects to public addresses only. Behind a proxy, the proxy resolves names: then only the host of
/// an address is checked.
///
/// # Errors
/// When the network cannot be set up.
pub fn guarded_client(options: &HttpOptions, lookup: Lookup) -> Result<reqwest::Client, ClientError> {
    match options.proxy {
        Some(_) => crate::http::client(options),
        None => crate::http::client_with(options, |builder| builder.dns_resolver(Arc::new(Guarded(lookup)))),
    }
}

struct Guarded(Lookup);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.0)(name.as_str().to_owned());
        Box::pin(async move {
            let mut found = found.await?;
            found.retain(|address| is_public(address.ip()));
            if found.is_empty() {
                return Err("the name points to no public address".into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is public: not this machine, its neighbours, or a cloud's metadata service. Follows the
/// special-purpose registries of IANA.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Only 2000::/3 is assigned; the transition and documentation ranges in it are refused.
    let embeds_v4 = a == 0x2002 || (a == 0x2001 && b == 0);
    (0x2000..0x4000).contains(&a) && !embeds_v4 && !(a == 0x2001 && b == 0xdb8) && a != 0x3fff
}

/// Slack's hosts, derived from the address of its Web API.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    api: Url,
}

impl Hosts {
    /// For this Web API.
    pub(crate) fn of(api: &Url) -> Self {
        Self { api: api.clone() }
    }

    /// A `response_url` that may be called, and whether it is on the operator's own host, which may be anywhere: a
    /// proxy of Slack's API, or a test's.
    pub(crate) fn response_url(&self, text: &str) -> Option<(Url, bool)> {
        let url = Url::parse(text).ok()?;
        if url.username() != "" || url.password().is_some() {
            return None;
        }
        if url.origin() == self.api.origin() {
            // The public API has no such addresses, and nothing else may be called.
            return (self.api.host_str() != Some("slack.com")).then_some((url, true));
        }
        let hooks = format!("hooks.{}", self.api.host_str()?);
        let host = url.host_str()?;
        let fine = url.scheme() == "https" && url.port().is_none() && (host == "hooks.slack.com" || host == hooks);
        fine.then_some((url, false))
    }

    /// The address of a connection of Socket Mode, for an HTTP client.
    pub(crate) fn socket_url(&self, text: &str) -> Option<Url> {
        let url = websocket::http_url(Url::parse(text).ok()?)?;
        let (host, api) = (url.host_str()?, self.api.host_str()?);
        let fine = match url.scheme() {
            "https" => host == api || [api, "slack.com"].iter().any(|of| host.ends_with(&format!(".{of}"))),
            // Without TLS only if the operator configured the Web API without it, too.
            _ => self.api.scheme() == "http" && host == api,
        };
        fine.then_some(url)
    }

    /// The address of a method of the Web API.
    pub(super) fn method(&self, method: &str) -> Option<Url> {
        let mut url = self.api.clone();
        url.path_segments_mut().ok()?.pop_if_empty().push(method);
        Some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(api: &str) -> Hosts {
        Hosts::of(&Url::parse(api).unwrap())
    }

    #[test]
    fn a_response_url_is_slack_s_or_it_is_not_called() {
        let slack = hosts("https://slack.com/api");
        assert!(slack.response_url("https://hooks.slack.com/commands/T1/2/3").is_some());
        for wrong in [
            "http://hooks.slack.com/commands/T1/2/3",
            "https://hooks.slack.com:8443/x",
            "https://hooks.slack.com.evil.example/x",
            "https://evil.example/hooks.slack.com",
            "https://hooks.slack.com@evil.example/x",
            "https://user:pw@hooks.slack.com/x",
            "https://slack.com/api/chat.delete",
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "file:///etc/passwd",
            "hooks.slack.com/x",
            "",
        ] {
            assert!(slack.response_url(wrong).is_none(), "{wrong}");
        }
        assert!(hosts("https://slack-gov.com/api").response_url("https://hooks.slack-gov.com/x").is_some());
        let test = hosts("http://127.0.0.1:4000/api");
        assert!(test.response_url("http://127.0.0.1:4000/response/1").is_some_and(|(_, own)| own));
        assert!(test.response_url("http://127.0.0.1:4001/response/1").is_none());
    }

    #[test]
    fn a_socket_is_slack_s_and_has_tls() {
        let slack = hosts("https://slack.com/api");
        let url = slack.socket_url("wss://wss-primary.slack.com/link/?ticket=1").unwrap();
        assert_eq!(url.as_str(), "https://wss-primary.slack.com/link/?ticket=1");
        for wrong in
            ["ws://wss-primary.slack.com/", "wss://slack.com.evil.example/", "https://slack.com/", "wss://127.0.0.1/"]
        {
            assert!(slack.socket_url(wrong).is_none(), "{wrong}");
        }
        assert!(hosts("http://127.0.0.1:4000/api").socket_url("ws://127.0.0.1:4001/link").is_some());
        assert_eq!(slack.method("auth.test").unwrap().as_str(), "https://slack.com/api/auth.test");
    }

    #[test]
    fn only_public_addresses_are_public() {
        let public = |text: &str| is_public(text.parse().unwrap());
        for address in ["3.64.1.2", "104.16.0.1", "2606:4700::1"] {
            assert!(public(address), "{address}");
        }
        for address in [
            "127.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "2001:db8::1",
            "2002:7f00:1::",
            "2001:0:1::",
            "64:ff9b::7f00:1",
            "ff02::1",
            "3fff::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }

    #[tokio::test]
    async fn a34_a_name_that_changes_to_loopback_is_not_called() {
        let answers = std::sync::Mutex::new(vec!["127.0.0.1:0", "93.184.216.34:0"]);
        let lookup: Lookup = Arc::new(move |_| {
            let next = answers.lock().unwrap().pop().unwrap().parse().unwrap();
            Box::pin(async move { Ok(vec![next]) })
        });
        let guarded = Guarded(lookup);
        let name = || "hooks.slack.com".parse().unwrap();
        let found: Vec<_> = guarded.resolve(name()).await.unwrap().collect();
        assert_eq!(found, ["93.184.216.34:0".parse().unwrap()]);
        assert!(guarded.resolve(name()).await.is_err());
    }
}
