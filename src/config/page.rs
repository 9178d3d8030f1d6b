//! `server: page`: the status page.

use std::path::Path;

use axum::http::HeaderName;
use jiff::tz::TimeZone;

use super::secret::SecretRef;
use super::sources::time_zone;
use super::{Language, PageConfig, ProxyConfig, Rights, chats};
use podbell_core::yaml::{MapReader, Node, Reader};

/// Headers that mean something else, and that browsers and proxies set by themselves.
const TAKEN: [&str; 6] = ["authorization", "cookie", "host", "content-type", "content-length", "connection"];

pub(super) fn read(node: &Node, folder: &Path, reader: &mut Reader) -> Option<PageConfig<SecretRef>> {
    let mut map = reader.map(node, "a map such as {language: zh, time_zone: Asia/Shanghai}")?;
    let languages = [("en", Language::En), ("zh", Language::Zh)];
    let language = map.take("language").and_then(|node| reader.word(node, "a language", &languages));
    let zone = map.take("time_zone").and_then(|node| time_zone(node, reader));
    let proxy = map.take("proxy").and_then(|node| proxy(node, folder, reader));
    map.finish(reader);
    Some(PageConfig { language, time_zone: zone.unwrap_or(TimeZone::UTC), proxy })
}

fn proxy(node: &Node, folder: &Path, reader: &mut Reader) -> Option<ProxyConfig<SecretRef>> {
    let mut map = reader.map(node, "a map such as {header: X-Forwarded-User, secret: \"${PROXY_SECRET}\"}")?;
    let person = header(&mut map, "header", "x-forwarded-user", reader);
    let secret_header = header(&mut map, "secret_header", "x-podbell-proxy", reader);
    if person == secret_header {
        let help = "one header names the person, another one proves the proxy";
        reader.error_help(&node.span, "`header` and `secret_header` are the same", help);
    }
    let secret = map.need("secret", reader);
    let place = "server: page: proxy: secret".to_owned();
    let secret = secret.and_then(|node| SecretRef::read_token(node, place, folder, reader));
    let rights = [("read", Rights::Read), ("write", Rights::Write)];
    let rights = map.take("rights").and_then(|node| reader.word(node, "the rights of people", &rights));
    let scope = chats::scope(&mut map, reader);
    map.finish(reader);
    Some(ProxyConfig { header: person, secret_header, secret: secret?, rights: rights.unwrap_or_default(), scope })
}

fn header(map: &mut MapReader<'_>, key: &'static str, usual: &'static str, reader: &mut Reader) -> HeaderName {
    let usual = HeaderName::from_static(usual);
    let Some(node) = map.take(key) else { return usual };
    let Some(text) = reader.text(node, "the name of a header") else { return usual };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let fits = (1..=64).contains(&text.len()) && text.chars().all(plain);
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(name) if fits && !TAKEN.contains(&name.as_str()) => name,
        _ => {
            let help = "letters, digits and hyphens, such as X-Forwarded-User";
            reader.error_help(&node.span, format!("`{text}` cannot be that header"), help);
            usual
        }
    }
}
