//! The commands of chats, sent to a podbell elsewhere through its API.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::StatusCode;
use serde_json::{Value, json};
use url::Url;

use super::{Output, block_on};
use crate::http::{self, HttpOptions};
use podbell_core::message::one_line;
use podbell_core::translations::Language;

/// The variable that holds the token: on the command line everybody on the machine could read it.
pub(super) const TOKEN: &str = "PODBELL_TOKEN";
/// The query service answers within ten seconds, if only to say that it took too long.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest answer that is read; answers are a page long.
const MAX: usize = 4 << 20;

/// Asks, and prints the answer.
///
/// # Errors
/// When the other side cannot be reached or does not know the token.
pub(super) fn ask(url: &str, text: &str, language: Language, output: Output) -> anyhow::Result<ExitCode> {
    let url = endpoint(url)?;
    let token = std::env::var(TOKEN).ok().filter(|token| !token.trim().is_empty());
    let token = token.with_context(|| format!("with --url the API's token is taken from {TOKEN}, which is not set"))?;
    let body = json!({"text": text, "user": who(), "language": language.as_str(), "prompt": "terminal"}).to_string();
    let said = block_on(async move {
        let client = http::client(&HttpOptions::default())?;
        let request = client.post(url).bearer_auth(token.trim()).header("content-type", "application/json");
        let answer = request.body(body).timeout(TIMEOUT).send().await.map_err(|error| anyhow!(error.without_url()))?;
        let status = answer.status();
        let body = http::read_body(answer, MAX).await.map_err(|error| anyhow!("the answer cannot be read: {error}"))?;
        Ok::<_, anyhow::Error>((status, body))
    })??;
    let (status, body) = said;
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status != StatusCode::OK {
        let why = said["error"].as_str().map_or_else(|| hint(status).to_owned(), |error| one_line(error, 500));
        bail!("podbell's API answered {status}: {why}");
    }
    let (title, text) = (said["title"].as_str(), said["text"].as_str());
    let (Some(title), Some(text)) = (title, text) else { bail!("this is not an answer of podbell's API") };
    let printed = match output {
        Output::Json => serde_json::to_string_pretty(&said["answer"])? + "\n",
        // podbell composed it, but with text of clusters in it: keep control characters away from the terminal.
        Output::Text => format!("{}\n{}\n", clean(title), clean(text)),
    };
    // A closed pipe, as with `head`, is no failure.
    let _ = anstream::stdout().lock().write_all(printed.as_bytes());
    Ok(if said["good"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn endpoint(url: &str) -> anyhow::Result<Url> {
    let such = "such as http://127.0.0.1:8080";
    let base = Url::parse(url).with_context(|| format!("--url {url} is not an address, {such}"))?;
    if !matches!(base.scheme(), "http" | "https") {
        bail!("--url {url} is not an http(s) address, {such}");
    }
    // Keep a path before the API's own, which a proxy may have added.
    let path = format!("{}/api/v1/commands", base.path().trim_end_matches('/'));
    let mut endpoint = base;
    endpoint.set_path(&path);
    endpoint.set_query(None);
    Ok(endpoint)
}

fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "there is no API at that address; podbell.yaml needs server: tokens",
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "it has too much to do; try again",
        _ => "is that podbell?",
    }
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The name of the person at the terminal.
pub(super) fn who() -> String {
    let named = ["USER", "LOGNAME"].iter().filter_map(|name| std::env::var(name).ok());
    named.into_iter().find(|name| !name.trim().is_empty()).unwrap_or_else(|| "somebody".to_owned())
}
