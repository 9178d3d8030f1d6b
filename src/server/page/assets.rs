//! Style, script and icon: in the binary, under names that change with their content.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::hex::hex;

const CSS: &str = include_str!("page.css");
const JS: &str = include_str!("page.js");
const ICON: &str = include_str!("icon.svg");

/// The paths of the assets.
#[derive(Clone, Debug)]
pub(crate) struct Assets {
    /// The style sheet.
    pub css: String,
    /// The script.
    pub js: String,
    /// The icon.
    pub icon: String,
}

impl Assets {
    /// The assets of this binary.
    pub(crate) fn new() -> Self {
        Self { css: path(CSS, "css"), js: path(JS, "js"), icon: path(ICON, "svg") }
    }

    /// Serves one of them.
    pub(crate) fn answer(&self, name: &str) -> Response {
        let found =
            [(&self.css, CSS, "text/css"), (&self.js, JS, "text/javascript"), (&self.icon, ICON, "image/svg+xml")]
                .into_iter()
                .find(|(path, ..)| path.strip_prefix("/assets/") == Some(name));
        match found {
            Some((_, text, kind)) => {
                let kind = format!("{kind}; charset=utf-8");
                let kept = "public, max-age=31536000, immutable".to_owned();
                ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)], text).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

fn path(text: &str, kind: &str) -> String {
    let hash = hex(&Sha256::digest(text.as_bytes())[..6]);
    format!("/assets/page-{hash}.{kind}")
}
