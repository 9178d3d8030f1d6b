//! Who looks at the page: known by a session's cookie, or named by a proxy that proves itself. And whether a request
//! that changes something comes from the page itself.

use axum::http::{HeaderMap, HeaderName, header};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use url::Url;

use super::sessions::{Hash, LIFETIME, Sessions};
use crate::guard::headers::only;
use crate::hex::hex;
use crate::server::api::{Rights, hash};
use podbell_core::message::one_line;
use podbell_core::scope::Scope;
use podbell_core::time::Time;

/// How much of a person's name is kept.
const MAX_NAME: usize = 100;

/// A proxy that signs people in.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// The header in which it names the person.
    pub header: HeaderName,
    /// The header in which it proves itself.
    pub secret_header: HeaderName,
    /// The secret with which it proves itself.
    pub secret: SecretString,
    /// What its people may do.
    pub rights: Rights,
    /// What they see.
    pub scope: Scope,
}

impl Proxy {
    /// Whether a request carries the right proof; `None` if it carries none.
    pub(crate) fn proves(&self, headers: &HeaderMap) -> Option<bool> {
        if !headers.contains_key(&self.secret_header) {
            return None;
        }
        let Some(shown) = only(headers, self.secret_header.as_str()) else { return Some(false) };
        // Compare hashes: their lengths are equal, whatever was sent.
        let (shown, known) = (hash(shown.as_bytes()), hash(self.secret.expose_secret()));
        Some(bool::from(shown.ct_eq(&known)))
    }

    /// The person that it names. Without the proof the name is not believed.
    fn person(&self, headers: &HeaderMap) -> Option<String> {
        if self.proves(headers) != Some(true) {
            return None;
        }
        let name = only(headers, self.header.as_str())?;
        let name = one_line(std::str::from_utf8(name.as_bytes()).ok()?, MAX_NAME);
        (!name.is_empty()).then_some(name)
    }
}

/// A person who may see the page.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    /// The name that is recorded with their actions.
    pub name: String,
    /// What they see.
    pub scope: Scope,
    /// Whether they may change anything.
    pub may_write: bool,
    /// Whether they can sign out here.
    pub signed_in: bool,
    /// The key to which their forms and streams are bound.
    pub key: Hash,
    /// When their access ends.
    pub until: Time,
    /// Closed when the session ends.
    pub session: Option<watch::Receiver<()>>,
}

/// The visitor who sent a request.
pub(crate) fn visitor(
    headers: &HeaderMap,
    cookie: &str,
    proxy: Option<&Proxy>,
    known: &Sessions,
    now: Time,
) -> Option<Visitor> {
    if let Some((proxy, name)) = proxy.and_then(|proxy| Some((proxy, proxy.person(headers)?))) {
        return Some(Visitor {
            key: hash(format!("proxy {name}")),
            name,
            scope: proxy.scope.clone(),
            may_write: proxy.rights == Rights::Write,
            signed_in: false,
            until: now.plus(LIFETIME),
            session: None,
        });
    }
    let id = hash(session_id(headers, cookie)?);
    let session = known.find(&id, now)?;
    Some(Visitor {
        name: session.token.name.clone(),
        scope: session.token.scope.clone(),
        may_write: session.token.rights == Rights::Write,
        signed_in: true,
        key: id,
        until: session.until,
        session: Some(session.watch()),
    })
}

/// The value of our cookie, if there is exactly one.
pub(crate) fn session_id<'h>(headers: &'h HeaderMap, cookie: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut ours = all.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == cookie).then_some(value)
    });
    let (one, None) = (ours.next()?, ours.next()) else { return None };
    (one.len() == 64).then_some(one)
}

/// The token in a visitor's forms: nobody else can compute it.
pub(crate) fn form_token(key: &[u8; 32], visitor: &Visitor) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(b"form ");
    mac.update(&visitor.key);
    hex(&mac.finalize().into_bytes())
}

/// Whether a form carries the right token.
pub(crate) fn is_form_token(key: &[u8; 32], visitor: &Visitor, shown: &str) -> bool {
    let right = form_token(key, visitor);
    !right.is_empty() && bool::from(right.as_bytes().ct_eq(shown.as_bytes()))
}

/// Whether a request may come from another site's page. Browsers say so by headers; a client without these headers is
/// not a browser. `own` is the address at which people reach the page, whatever `Host` the proxy in front of it sends.
pub(crate) fn is_foreign(headers: &HeaderMap, own: Option<&Url>) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            if own.is_some_and(|own| own.origin().ascii_serialization() == origin) {
                return false;
            }
            let host = text("host").unwrap_or_default();
            // nginx's `$host` omits the port.
            let without_port = |named: &str| match named.rsplit_once(':') {
                Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name == host,
                _ => false,
            };
            let same = |named: &str| !host.is_empty() && (named == host || without_port(named));
            origin.split_once("://").is_none_or(|(_, named)| !same(named))
        }
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    fn proxy() -> Proxy {
        Proxy {
            header: HeaderName::from_static("x-forwarded-user"),
            secret_header: HeaderName::from_static("x-podbell-proxy"),
            secret: "proof-of-the-proxy-0123".into(),
            rights: Rights::Read,
            scope: Scope::default(),
        }
    }

    #[test]
    fn a_name_is_believed_only_beside_the_proof_and_only_once() {
        let user = ("x-forwarded-user", "ann");
        let proof = ("x-podbell-proxy", "proof-of-the-proxy-0123");
        let person = |pairs: &[(&'static str, &str)]| proxy().person(&headers(pairs));
        assert_eq!(person(&[user, proof]).as_deref(), Some("ann"));
        for wrong in [
            &[user][..],
            &[proof],
            &[user, ("x-podbell-proxy", "")],
            &[user, ("x-podbell-proxy", "proof-of-the-proxy-012")],
            &[user, proof, proof],
            &[user, user, proof],
            &[("x-forwarded-user", "  "), proof],
        ] {
            assert_eq!(person(wrong), None, "{wrong:?}");
        }
        assert_eq!(person(&[("x-forwarded-user", "张伟"), proof]).as_deref(), Some("张伟"));
    }

    #[test]
    fn a_request_of_another_site_is_foreign() {
        for (pairs, foreign) in [
            (&[("sec-fetch-site", "same-origin")][..], false),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://a"), ("host", "a")], true),
            (&[("origin", "https://a.example"), ("host", "a.example")], false),
            (&[("origin", "https://b.example"), ("host", "a.example")], true),
            (&[("origin", "null"), ("host", "a.example")], true),
            (&[("host", "a.example")], false),
            (&[("origin", "http://a.example:8443"), ("host", "a.example")], false),
            (&[("origin", "http://a.example:8443"), ("host", "a.example:8443")], false),
            (&[("origin", "http://a.example:8443"), ("host", "a.example:8080")], true),
            (&[("origin", "http://b.example:8443"), ("host", "a.example")], true),
            (&[("origin", "http://a.example:x"), ("host", "a.example")], true),
        ] {
            assert_eq!(is_foreign(&headers(pairs), None), foreign, "{pairs:?}");
        }
        let own = Url::parse("https://status.example.com/podbell").unwrap();
        let seen = |origin: &str| is_foreign(&headers(&[("origin", origin), ("host", "10.0.0.7:8080")]), Some(&own));
        assert!(!seen("https://status.example.com"));
        assert!(seen("http://status.example.com") && seen("https://status.example.com:8443") && seen("null"));
    }

    #[test]
    fn two_cookies_of_our_name_are_none() {
        let id = "a".repeat(64);
        let one = format!("x=1; podbell={id}; y=2");
        assert_eq!(session_id(&headers(&[("cookie", &one)]), "podbell"), Some(id.as_str()));
        assert_eq!(session_id(&headers(&[("cookie", &one), ("cookie", &one)]), "podbell"), None);
        assert_eq!(session_id(&headers(&[("cookie", "podbell=short")]), "podbell"), None);
    }
}
