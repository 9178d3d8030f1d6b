//! Secrets: references that can be checked and shown, and the values put in their place.
//!
//! Owns `${ENV}`, `{file: …}` and `$${`. Values are only ever held in [`SecretString`]; no error
//! shows one.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    ChatConfig, ChatKind, Config, GatewayKeyConfig, Heartbeat, HttpConfig, NotifierConfig, NotifierKind,
    OperatorConfig, PageConfig, ProxyConfig, QcloudConfig, ServerConfig, SlackChat, SourceConfig, TokenConfig,
    WecomAppChat, WecomBotChat,
};
use podbell_core::yaml::{Node, Reader, Value};

/// The shortest token, in characters.
pub const LEAST_TOKEN: usize = 16;

/// Where a secret comes from, and what it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRef {
    /// Where it is used, such as `notifiers: team-slack: url`.
    pub place: String,
    origin: Origin,
    must_be_url: bool,
    /// Of fewer characters anybody could guess it.
    least: usize,
}

#[derive(Clone, PartialEq, Eq)]
enum Origin {
    Parts(Vec<Part>),
    File(PathBuf),
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variable(String),
}

/// The resolved secret.
pub type Secret = SecretString;

/// A secret that is not to be had. Names the variable or file and the place, never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The variable is not there.
    #[error("the environment variable {variable} is not set (needed for {place})")]
    Unset {
        /// Its name.
        variable: String,
        /// Where it is used.
        place: String,
    },
    /// The file cannot be read.
    #[error("cannot read the secret file {}: {reason} (needed for {place})", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
        /// Where it is used.
        place: String,
    },
    /// Nothing but blanks.
    #[error("the secret for {place} is empty")]
    Empty {
        /// Where it is used.
        place: String,
    },
    /// Too easy to guess.
    #[error("the secret for {place} has fewer than {LEAST_TOKEN} characters; make one with: openssl rand -hex 24")]
    Short {
        /// Where it is used.
        place: String,
    },
    /// Not an address.
    #[error("the secret for {place} is no http(s) address")]
    NoUrl {
        /// Where it is used.
        place: String,
    },
}

/// What secrets are taken from: the process's surroundings, or a test's.
pub trait Surroundings {
    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// The text of a file.
    fn file(&self, path: &Path) -> std::io::Result<String>;
}

/// The surroundings of this process.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Surroundings for System {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        std::fs::read_to_string(path)
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = match &self.origin {
            Origin::File(path) => path.display().to_string(),
            Origin::Parts(parts) => parts.iter().map(|part| part.shown()).collect(),
        };
        write!(f, "SecretRef({}: {names})", self.place)
    }
}

impl Part {
    fn shown(&self) -> String {
        match self {
            Self::Literal(_) => "***".to_owned(),
            Self::Variable(name) => format!("${{{name}}}"),
        }
    }
}

impl SecretRef {
    /// Reads a secret's reference. `folder` is where relative files are.
    pub fn read(node: &Node, place: String, folder: &Path, reader: &mut Reader) -> Option<Self> {
        let origin = if matches!(node.value, Value::Map(_)) {
            let mut map = reader.map(node, "a secret")?;
            let path = map.need("file", reader);
            let path = path.and_then(|node| reader.text(node, "the path of a file")).map(|path| folder.join(path));
            map.finish(reader);
            Origin::File(path?)
        } else {
            let text = reader.text(node, "a text such as ${VARIABLE}, or {file: path}")?;
            Origin::Parts(parts(text, node, reader)?)
        };
        Some(Self { place, origin, must_be_url: false, least: 1 })
    }

    /// The same, for an address. One that is written out is checked at once.
    pub fn read_url(node: &Node, place: String, folder: &Path, reader: &mut Reader) -> Option<Self> {
        let secret = Self { must_be_url: true, ..Self::read(node, place, folder, reader)? };
        if secret.written_out().is_some_and(|text| !is_http(text.expose_secret())) {
            let help = "write https://… or ${VARIABLE}";
            reader.error_help(&node.span, "this is no http(s) address", help);
        }
        Some(secret)
    }

    /// The same, for something that whoever knows it may use. Of fewer than 16 characters it
    /// could be guessed.
    pub fn read_token(node: &Node, place: String, folder: &Path, reader: &mut Reader) -> Option<Self> {
        let secret = Self { least: LEAST_TOKEN, ..Self::read(node, place, folder, reader)? };
        if secret.written_out().is_some_and(|text| text.expose_secret().chars().count() < LEAST_TOKEN) {
            let help = "make one with: openssl rand -hex 24";
            reader.error_help(&node.span, format!("a token of fewer than {LEAST_TOKEN} characters"), help);
        }
        Some(secret)
    }

    /// The secret, if it is written out: then it can be checked before podbell runs.
    pub fn written_out(&self) -> Option<SecretString> {
        let Origin::Parts(parts) = &self.origin else { return None };
        let literal = |part: &Part| match part {
            Part::Literal(text) => Some(text.clone()),
            Part::Variable(_) => None,
        };
        parts.iter().map(literal).collect::<Option<String>>().map(SecretString::from)
    }

    /// The secret itself.
    pub fn resolve(&self, around: &impl Surroundings) -> Result<SecretString, SecretError> {
        let place = || self.place.clone();
        let text = match &self.origin {
            Origin::File(path) => around.file(path).map_err(|error| SecretError::File {
                path: path.clone(),
                reason: error.to_string(),
                place: place(),
            })?,
            Origin::Parts(parts) => {
                let values = parts.iter().map(|part| match part {
                    Part::Literal(text) => Ok(text.clone()),
                    Part::Variable(name) => around
                        .variable(name)
                        .ok_or_else(|| SecretError::Unset { variable: name.clone(), place: place() }),
                });
                values.collect::<Result<String, _>>()?
            }
        };
        // Files end with a newline that nobody means.
        let secret = SecretString::from(text.trim().to_owned());
        match secret.expose_secret() {
            "" => Err(SecretError::Empty { place: place() }),
            text if text.chars().count() < self.least => Err(SecretError::Short { place: place() }),
            text if self.must_be_url && !is_http(text) => Err(SecretError::NoUrl { place: place() }),
            _ => Ok(secret),
        }
    }
}

fn is_http(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
}

/// Splits a text at its `${…}`; `$${` is a literal `${`.
fn parts(text: &str, node: &Node, reader: &mut Reader) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (head, tail) = rest.split_at(at);
        if let Some(head) = head.strip_suffix('$') {
            literal.push_str(head);
            literal.push_str("${");
            rest = &tail[2..];
            continue;
        }
        literal.push_str(head);
        let name = tail[2..].split_once('}').filter(|(name, _)| is_name(name));
        let Some((name, after)) = name else {
            let help = "write ${VARIABLE}, or $${ for the characters themselves";
            reader.error_help(&node.span, "`${` without the name of a variable and `}`", help);
            return None;
        };
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(Part::Variable(name.to_owned()));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Some(parts)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Config<SecretRef> {
    /// Puts the secrets in. Every one that is missing is named.
    pub fn resolve(self, around: &impl Surroundings) -> Result<Config, Vec<SecretError>> {
        let partly = self.resolve_partly(around);
        if partly.missing.is_empty() { Ok(partly.config) } else { Err(partly.missing) }
    }

    /// Puts the secrets in that are to be had, and leaves out everything that lacks one.
    pub fn resolve_partly(self, around: &impl Surroundings) -> Partly {
        let mut put = Putting { around, missing: Vec::new(), known: Vec::new() };
        let sources = put.all(self.sources, |source, put| source.map(put));
        let notifiers = put.all(self.notifiers, |notifier, put| notifier.map(put));
        let chats = put.all(self.chats, |chat, put| chat.map(put));
        let heartbeat = put.all(self.operator.heartbeat, |heartbeat, put| Heartbeat {
            url: put(&heartbeat.url),
            every: heartbeat.every,
        });
        let tokens = put.all(self.server.tokens, |token, put| token.map(put));
        let proxy = put.all(self.server.page.proxy, |proxy, put| proxy.map(put));
        let page = PageConfig {
            language: self.server.page.language,
            time_zone: self.server.page.time_zone,
            proxy: proxy.into_iter().next(),
        };
        let gateway = put.all(self.gateway, |key, put| GatewayKeyConfig {
            secret_id: put(&key.secret_id),
            secret_key: put(&key.secret_key),
            scope: key.scope,
        });
        let proxy = put.all(self.http.proxy, |proxy, put| put(&proxy));
        let config = Config {
            sources,
            notifiers,
            chats,
            mentions: self.mentions,
            has_rules: self.has_rules,
            maintenance: self.maintenance,
            operator: OperatorConfig { notify: self.operator.notify, heartbeat: heartbeat.into_iter().next() },
            store: self.store,
            server: ServerConfig { listen: self.server.listen, public_url: self.server.public_url, tokens, page },
            gateway,
            http: HttpConfig { proxy: proxy.into_iter().next(), ca_file: self.http.ca_file },
        };
        Partly { config, missing: put.missing, known: put.known }
    }
}

/// What a configuration is without the secrets that are missing.
pub struct Partly {
    /// Without whatever lacks a secret.
    pub config: Config,
    /// What is missing, in the order of podbell.yaml.
    pub missing: Vec<SecretError>,
    /// Every secret that is there: what must appear in no output.
    pub known: Vec<SecretString>,
}

struct Putting<'a, A> {
    around: &'a A,
    missing: Vec<SecretError>,
    known: Vec<SecretString>,
}

/// Puts a secret in the place of its reference.
type Put<'p> = dyn FnMut(&SecretRef) -> SecretString + 'p;

impl<A: Surroundings> Putting<'_, A> {
    /// The items whose secrets are all there.
    fn all<T, U>(&mut self, items: impl IntoIterator<Item = T>, map: impl Fn(T, &mut &mut Put<'_>) -> U) -> Vec<U> {
        let mut whole = Vec::new();
        for item in items {
            let before = self.missing.len();
            let mut put = |secret: &SecretRef| match secret.resolve(self.around) {
                Ok(secret) => {
                    self.known.push(secret.clone());
                    secret
                }
                Err(error) => {
                    self.missing.push(error);
                    SecretString::default()
                }
            };
            let mut put: &mut Put<'_> = &mut put;
            let mapped = map(item, &mut put);
            if self.missing.len() == before {
                whole.push(mapped);
            }
        }
        whole
    }
}

impl<S> SourceConfig<S> {
    fn map<T>(self, put: &mut impl FnMut(&S) -> T) -> SourceConfig<T> {
        match self {
            Self::File(source) => SourceConfig::File(source),
            Self::Kubernetes(source) => SourceConfig::Kubernetes(source),
            Self::Qcloud(source) => SourceConfig::Qcloud(QcloudConfig {
                secret_id: put(&source.secret_id),
                secret_key: put(&source.secret_key),
                token: source.token.as_ref().map(put),
                name: source.name,
                endpoint: source.endpoint,
                region: source.region,
                signature_method: source.signature_method,
                time_zone: source.time_zone,
                poll_every: source.poll_every,
                requests_per_second: source.requests_per_second,
                first_poll_window: source.first_poll_window,
                aliases: source.aliases,
                services: source.services,
            }),
        }
    }
}

impl<S> NotifierConfig<S> {
    fn map<T>(self, put: &mut impl FnMut(&S) -> T) -> NotifierConfig<T> {
        let kind = match self.kind {
            NotifierKind::Slack { url } => NotifierKind::Slack { url: put(&url) },
            NotifierKind::SlackApp { token, channel, api, buttons } => {
                NotifierKind::SlackApp { token: put(&token), channel, api, buttons }
            }
            NotifierKind::Wecom { url } => NotifierKind::Wecom { url: put(&url) },
            NotifierKind::Webhook { url, secrets } => {
                NotifierKind::Webhook { url: put(&url), secrets: secrets.iter().map(put).collect() }
            }
            NotifierKind::Console => NotifierKind::Console,
        };
        NotifierConfig {
            name: self.name,
            language: self.language,
            time_zone: self.time_zone,
            digest_after: self.digest_after,
            daily: self.daily,
            template: self.template,
            kind,
        }
    }
}

impl<S> TokenConfig<S> {
    fn map<T>(self, put: &mut impl FnMut(&S) -> T) -> TokenConfig<T> {
        TokenConfig { token: put(&self.token), name: self.name, rights: self.rights, scope: self.scope }
    }
}

impl<S> ProxyConfig<S> {
    fn map<T>(self, put: &mut impl FnMut(&S) -> T) -> ProxyConfig<T> {
        ProxyConfig {
            secret: put(&self.secret),
            header: self.header,
            secret_header: self.secret_header,
            rights: self.rights,
            scope: self.scope,
        }
    }
}

impl<S> ChatConfig<S> {
    fn map<T>(self, put: &mut impl FnMut(&S) -> T) -> ChatConfig<T> {
        let kind = match self.kind {
            ChatKind::Slack(slack) => ChatKind::Slack(SlackChat {
                signing_secret: slack.signing_secret.as_ref().map(&mut *put),
                app_token: slack.app_token.as_ref().map(&mut *put),
                bot_token: slack.bot_token.as_ref().map(&mut *put),
                api: slack.api,
                connections: slack.connections,
                access: slack.access,
            }),
            ChatKind::WecomBot(bot) => ChatKind::WecomBot(WecomBotChat {
                bot_id: bot.bot_id,
                secret: put(&bot.secret),
                endpoint: bot.endpoint,
                access: bot.access,
            }),
            ChatKind::WecomApp(app) => ChatKind::WecomApp(WecomAppChat {
                corp_id: app.corp_id,
                token: put(&app.token),
                encoding_aes_key: put(&app.encoding_aes_key),
                agent_id: app.agent_id,
                access: app.access,
            }),
        };
        ChatConfig { name: self.name, language: self.language, time_zone: self.time_zone, kind }
    }
}
