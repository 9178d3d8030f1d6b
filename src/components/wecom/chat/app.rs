//! An app's callback: WeCom proves itself, posts what people write to the app, and reads the answer in the reply.
//! The body was already read within its limits (`guard`). The signature is verified before anything is decrypted,
//! and nothing is parsed before it is decrypted.
//!
//! Sources: "Receiving messages: verify the URL, use the callback" (5 s, then up to three more
//! attempts; `MsgId`, or `FromUserName` and `CreateTime`, tell what comes again), "Passive reply:
//! text".

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::answer::Form;
use super::crypto::{Crypto, Rejected};
use super::xml::{self, cdata};
use crate::chat::ChatDeps;
use crate::chat::asker::{self, Asker, ChatSettings, Incoming};
use crate::chat::endpoint;
use crate::chat::replays::{fresh, seconds};
use crate::guard::Refused;

/// One app of a company.
#[derive(Clone, Debug)]
pub struct AppConfig {
    /// What every chat has. Its channels are AgentIDs.
    pub settings: ChatSettings,
    /// The company's id: every message names it, and replies are sent from it.
    pub corp_id: String,
    /// Only this app's messages are answered.
    pub agent_id: Option<String>,
    /// The callback's secrets.
    pub crypto: Crypto,
    /// How long things take.
    pub timing: AppTiming,
}

/// How long things take; tests have less patience.
#[derive(Clone, Copy, Debug)]
pub struct AppTiming {
    /// An answer within this time goes into the reply; WeCom waits 5 s.
    pub reply: Duration,
}

impl Default for AppTiming {
    fn default() -> Self {
        Self { reply: Duration::from_millis(4500) }
    }
}

/// A running app.
pub struct App {
    asker: Arc<Asker>,
    corp_id: String,
    agent_id: Option<String>,
    crypto: Crypto,
    timing: AppTiming,
}

impl App {
    /// A chat that is asked over [`App::routes`].
    pub fn new(config: AppConfig, deps: ChatDeps) -> Arc<Self> {
        Arc::new(Self {
            asker: Asker::new(config.settings, deps),
            corp_id: config.corp_id,
            agent_id: config.agent_id,
            crypto: config.crypto,
            timing: config.timing,
        })
    }

    /// The path that WeCom calls.
    pub(crate) fn path(&self) -> String {
        endpoint::path("wecom", &self.asker.settings.name)
    }

    /// Its routes.
    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new().route(&self.path(), get(asked_for_proof).post(called)).with_state(self.clone())
    }
}

/// The query parameters that WeCom adds to the path.
struct Signed {
    signature: String,
    timestamp: String,
    nonce: String,
    echo: Option<String>,
}

impl Signed {
    fn read(app: &App, query: Option<&str>) -> Result<Self, Refused> {
        let unsigned = Refused::new(StatusCode::UNAUTHORIZED, "no signature of WeCom");
        let (mut signature, mut timestamp, mut nonce, mut echo) = (None, None, None, None);
        for (key, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let place = match &*key {
                "msg_signature" => &mut signature,
                "timestamp" => &mut timestamp,
                "nonce" => &mut nonce,
                "echostr" => &mut echo,
                _ => continue,
            };
            // Refuse a repeated parameter: podbell and a proxy in front of it might each verify a different signature.
            if place.replace(value.into_owned()).is_some() {
                return Err(unsigned);
            }
        }
        let (Some(signature), Some(timestamp), Some(nonce)) = (signature, timestamp, nonce) else {
            return Err(unsigned);
        };
        fresh(seconds(&timestamp).ok_or(unsigned)?, app.asker.now())?;
        Ok(Self { signature, timestamp, nonce, echo })
    }

    /// Decrypts a cipher text, if it is WeCom's.
    fn open(&self, app: &App, encrypted: &str) -> Result<Vec<u8>, Refused> {
        let read = app
            .crypto
            .verify(&self.signature, &self.timestamp, &self.nonce, encrypted)
            .and_then(|()| app.crypto.decrypt(encrypted));
        read.map_err(|untrue| match untrue {
            Rejected::Forged => Refused::new(StatusCode::UNAUTHORIZED, "a wrong signature"),
            Rejected::Broken => Refused::new(StatusCode::BAD_REQUEST, "a cipher text that is broken"),
            Rejected::Elsewhere => Refused::new(StatusCode::FORBIDDEN, "a message for another company"),
        })
    }
}

/// WeCom checks the address during setup: it wants to read back what it encrypted, and nothing else.
async fn asked_for_proof(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    let echo = || {
        let signed = Signed::read(&app, query.as_deref())?;
        let encrypted = signed.echo.as_deref();
        let encrypted = encrypted.ok_or(Refused::new(StatusCode::BAD_REQUEST, "nothing to read back"))?;
        signed.open(&app, encrypted)
    };
    match echo() {
        Ok(echo) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], echo).into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn called(State(app): State<Arc<App>>, RawQuery(query): RawQuery, body: Bytes) -> Result<Response, Refused> {
    call(&app, query.as_deref(), &body).await
}

async fn call(app: &Arc<App>, query: Option<&str>, body: &[u8]) -> Result<Response, Refused> {
    let malformed = |malformed: xml::Malformed| Refused::new(StatusCode::BAD_REQUEST, malformed.0);
    let signed = Signed::read(app, query)?;
    let mut envelope = xml::fields(body).map_err(malformed)?;
    let encrypted = envelope.remove("Encrypt").unwrap_or_default();
    let message = signed.open(app, &encrypted)?;
    let message = xml::fields(&message).map_err(malformed)?;
    let field = |name: &str| message.get(name).map(String::as_str).unwrap_or_default();
    if app.agent_id.as_ref().is_some_and(|agent| agent != field("AgentID")) {
        return Err(Refused::new(StatusCode::FORBIDDEN, "a message of another app"));
    }
    let (user, at) = (field("FromUserName"), field("CreateTime"));
    // Only what a person writes is answered; an empty reply means that there is nothing to say.
    if field("MsgType") != "text" {
        return Ok(StatusCode::OK.into_response());
    }
    if user.is_empty() || user.len() > 64 {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "a message of nobody"));
    }
    let id = match field("MsgId") {
        "" => format!("{user} at {at}"),
        id => format!("message {id}"),
    };
    let (entry, text) = asker::command(field("Content"));
    let incoming = Incoming {
        ids: vec![id],
        teams: Vec::new(),
        user: user.to_owned(),
        name: None,
        channel: field("AgentID").to_owned(),
        entry,
        text,
    };
    let said = endpoint::ask(&app.asker, incoming, app.timing.reply).await?;
    reply(app, user, &signed.nonce, &Form::Text.write(&said, app.asker.settings.language))
}

/// The reply: a text, encrypted and signed like the request.
fn reply(app: &App, user: &str, nonce: &str, said: &str) -> Result<Response, Refused> {
    let broken = |_| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "an answer that cannot be encrypted");
    let now = app.asker.now().seconds().to_string();
    let message = format!(
        "<xml><ToUserName>{}</ToUserName><FromUserName>{}</FromUserName><CreateTime>{now}</CreateTime>\
         <MsgType><![CDATA[text]]></MsgType><Content>{}</Content></xml>",
        cdata(user),
        cdata(&app.corp_id),
        cdata(said),
    );
    let encrypted = app.crypto.encrypt(&message, &rand::random()).map_err(broken)?;
    let signature = app.crypto.sign(&now, nonce, &encrypted);
    let envelope = format!(
        "<xml>\n<Encrypt>{}</Encrypt>\n<MsgSignature>{}</MsgSignature>\n<TimeStamp>{now}</TimeStamp>\n\
         <Nonce>{}</Nonce>\n</xml>",
        cdata(&encrypted),
        cdata(&signature),
        cdata(nonce),
    );
    Ok(([(header::CONTENT_TYPE, "application/xml; charset=utf-8")], envelope).into_response())
}
