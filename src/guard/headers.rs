//! Headers of requests from strangers.

use axum::http::{HeaderMap, HeaderValue, header};

/// The value of a header that occurs exactly once. If a request had two signatures or tokens, podbell and a proxy in
/// front of it might each check a different one.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h HeaderValue> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

/// The same as text.
pub(crate) fn only_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    only(headers, name)?.to_str().ok()
}

/// The type of a body, in lower case and without parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> String {
    let kind = only_text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
