//! `server: page`: the status page.

use axum::http::HeaderName;
use serde_json::{Value as Json, json};

use super::{PageConfig, ProxyConfig, Unresolved};
use crate::settings::keys::{LANGUAGES, RIGHTS, SCOPE_CLUSTER, SCOPE_NAMESPACE, SCOPE_SERVICE, scope, zone};
use crate::settings::{Secret, SecretKind};
use podbell_core::translations::Language;
use podbell_core::yaml::key::{Key, OneOf, Row, SchemaOnly, ValueType, Zone, map_schema};
use podbell_core::yaml::{Node, Reader};

/// Headers that have a meaning of their own, and that browsers and proxies set by themselves.
const TAKEN: [&str; 6] = ["authorization", "cookie", "host", "content-type", "content-length", "connection"];

const LANGUAGE: Key<OneOf<Language>> =
    Key::optional("language", LANGUAGES, "The page's language, `en` or `zh` [default: the browser's].");
const TIME_ZONE: Key<Zone> = Key::with_default("time_zone", Zone, "UTC", "The zone of its times.");
const PROXY: Key<SchemaOnly> =
    Key::optional("proxy", SchemaOnly(proxy_schema), "A proxy in front of it that signs people in, see docs/page.md.");
const HEADER: Key<Header> =
    Key::with_default("header", Header, "x-forwarded-user", "The header in which the proxy names the person.");
const SECRET_HEADER: Key<Header> =
    Key::with_default("secret_header", Header, "x-podbell-proxy", "The header in which the proxy sends `secret`.");
const SECRET: Key<Secret> = Key::required(
    "secret",
    Secret(SecretKind::Token),
    "The secret that the proxy sends in `secret_header`, at least 16 characters.",
);

/// The keys of `page:`.
pub(super) const PAGE_KEYS: [&dyn Row; 3] = [&LANGUAGE, &TIME_ZONE, &PROXY];
/// The keys of `proxy:`.
pub(super) const PROXY_KEYS: [&dyn Row; 7] =
    [&HEADER, &SECRET_HEADER, &SECRET, &RIGHTS, &SCOPE_CLUSTER, &SCOPE_NAMESPACE, &SCOPE_SERVICE];

pub(super) fn read(node: &Node, reader: &mut Reader) -> Option<PageConfig<Unresolved>> {
    let mut map = reader.map(node, "a map such as {language: zh, time_zone: Asia/Shanghai}")?;
    let language = LANGUAGE.take(&mut map, reader);
    let time_zone = TIME_ZONE.take(&mut map, reader).unwrap_or_else(|| zone("UTC"));
    let proxy = PROXY.node(&mut map, reader);
    let proxy = proxy.and_then(|node| reader.within("proxy", |reader| self::proxy(node, reader)));
    map.finish(reader);
    Some(PageConfig { language, time_zone, proxy })
}

fn proxy(node: &Node, reader: &mut Reader) -> Option<ProxyConfig<Unresolved>> {
    let mut map = reader.map(node, "a map such as {header: X-Forwarded-User, secret: \"${PROXY_SECRET}\"}")?;
    let (header, secret_header) = (HEADER.take(&mut map, reader), SECRET_HEADER.take(&mut map, reader));
    if header.is_some() && header == secret_header {
        let help = "one header names the person, another one proves the proxy";
        reader.error_help(&node.span, "`header` and `secret_header` are the same", help);
    }
    let (secret, rights) = (SECRET.take(&mut map, reader), RIGHTS.take(&mut map, reader));
    let scope = scope(&mut map, reader);
    map.finish(reader);
    Some(ProxyConfig {
        header: header?,
        secret_header: secret_header?,
        secret: secret?,
        rights: rights.unwrap_or_default(),
        scope,
    })
}

/// Reads the name of a header that only the proxy sets.
#[derive(Clone, Copy, Debug)]
struct Header;

impl ValueType for Header {
    type Value = HeaderName;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<HeaderName> {
        let text = reader.text(node, "the name of a header")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let fits = (1..=64).contains(&text.len()) && text.chars().all(plain);
        let name = HeaderName::from_bytes(text.as_bytes()).ok();
        let name = name.filter(|name| fits && !TAKEN.contains(&name.as_str()));
        if name.is_none() {
            let help = "letters, digits and hyphens, such as X-Forwarded-User";
            reader.error_help(&node.span, format!("`{text}` cannot be that header"), help);
        }
        name
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[A-Za-z0-9-]{1,64}$"})
    }
}

fn proxy_schema() -> Json {
    map_schema("", &PROXY_KEYS)
}

/// The JSON Schema of `page:`.
pub(super) fn schema() -> Json {
    map_schema("", &PAGE_KEYS)
}
