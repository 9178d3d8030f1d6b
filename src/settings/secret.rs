//! Secrets: references that can be checked and shown, and the values put in their place.
//!
//! A secret is written as a text with `${ENV}` in it (`$${` stands for `${`) or as `{file: …}`. Values are held
//! only in [`SecretString`]; no error shows one.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use podbell_core::yaml::key::{Key, Text, ValueType};
use podbell_core::yaml::{Node, Reader, Value};
use serde_json::{Value as Json, json};

/// The shortest token, in characters.
pub(crate) const MIN_TOKEN: usize = 16;

/// Where a secret comes from, and what it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRef {
    /// Where it is used, such as `notifiers: team-chat: url`.
    pub place: String,
    origin: Origin,
    kind: SecretKind,
}

/// What a secret must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// Any text.
    Any,
    /// An http(s) address.
    Url,
    /// Whoever knows it may use it; with fewer than 16 characters it could be guessed.
    Token,
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

/// A secret that cannot be obtained. Names the variable or file and the place, never the value.
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
    #[error("the secret for {place} has fewer than {MIN_TOKEN} characters; make one with: openssl rand -hex 24")]
    Short {
        /// Where it is used.
        place: String,
    },
    /// Not an address.
    #[error("the secret for {place} is not an http(s) address")]
    NoUrl {
        /// Where it is used.
        place: String,
    },
    /// Not what the platform takes.
    #[error("the secret for {place} {why}")]
    Unusable {
        /// Where it is used.
        place: String,
        /// What is wrong with it, and what to do.
        why: &'static str,
    },
}

/// What secrets are taken from: the process's environment, or a test's.
pub trait Environment {
    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// The text of a file.
    fn file(&self, path: &Path) -> std::io::Result<String>;
}

/// The environment and the files of this process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
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
    fn read(node: &Node, kind: SecretKind, reader: &mut Reader) -> Option<Self> {
        let place = reader.place();
        let origin = if matches!(node.value, Value::Map(_)) {
            let mut map = reader.map(node, "a secret")?;
            let path = FILE.take(&mut map, reader);
            map.finish(reader);
            Origin::File(reader.folder.join(path?))
        } else {
            let text = reader.text(node, "a text such as ${VARIABLE}, or {file: path}")?;
            Origin::Parts(parts(text, node, reader)?)
        };
        let secret = Self { place, origin, kind };
        let Some(written) = secret.written_out() else { return Some(secret) };
        let written = written.expose_secret();
        match kind {
            SecretKind::Url if !is_http(written) => {
                let help = "write https://… or ${VARIABLE}";
                reader.error_help(&node.span, "this is not an http(s) address", help);
            }
            SecretKind::Token if written.chars().count() < MIN_TOKEN => {
                let help = "make one with: openssl rand -hex 24";
                reader.error_help(&node.span, format!("a token of fewer than {MIN_TOKEN} characters"), help);
            }
            _ => {}
        }
        Some(secret)
    }

    /// The secret, if it is written literally: then it can be checked before podbell runs.
    pub(crate) fn written_out(&self) -> Option<SecretString> {
        let Origin::Parts(parts) = &self.origin else { return None };
        let literal = |part: &Part| match part {
            Part::Literal(text) => Some(text.clone()),
            Part::Variable(_) => None,
        };
        parts.iter().map(literal).collect::<Option<String>>().map(SecretString::from)
    }

    fn resolve(&self, environment: &dyn Environment) -> Result<SecretString, SecretError> {
        let place = || self.place.clone();
        let text = match &self.origin {
            Origin::File(path) => environment.file(path).map_err(|error| SecretError::File {
                path: path.clone(),
                reason: error.to_string(),
                place: place(),
            })?,
            Origin::Parts(parts) => {
                let values = parts.iter().map(|part| match part {
                    Part::Literal(text) => Ok(text.clone()),
                    Part::Variable(name) => environment
                        .variable(name)
                        .ok_or_else(|| SecretError::Unset { variable: name.clone(), place: place() }),
                });
                values.collect::<Result<String, _>>()?
            }
        };
        // Trim the newline that files usually end with.
        let secret = SecretString::from(text.trim().to_owned());
        match (secret.expose_secret(), self.kind) {
            ("", _) => Err(SecretError::Empty { place: place() }),
            (text, SecretKind::Token) if text.chars().count() < MIN_TOKEN => Err(SecretError::Short { place: place() }),
            (text, SecretKind::Url) if !is_http(text) => Err(SecretError::NoUrl { place: place() }),
            _ => Ok(secret),
        }
    }
}

const FILE: Key<Text> = Key::required("file", Text("the path of a file"), "The file that holds it.");

/// A secret as the value of a key.
#[derive(Clone, Copy, Debug)]
pub struct Secret(pub SecretKind);

impl ValueType for Secret {
    type Value = SecretRef;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<SecretRef> {
        SecretRef::read(node, self.0, reader)
    }

    fn schema(&self) -> Json {
        json!({"anyOf": [
            {"type": ["string", "number", "boolean"]},
            podbell_core::yaml::key::map_schema("", &[&FILE]),
        ]})
    }
}

/// Resolves secrets, and collects those that are missing.
pub struct Secrets<'a> {
    environment: &'a dyn Environment,
    /// What is missing or cannot be used, in the order in which it was asked for.
    pub missing: Vec<SecretError>,
    /// Every secret that was resolved: none may appear in any output.
    pub known: Vec<SecretString>,
}

impl<'a> Secrets<'a> {
    /// Resolves secrets from this environment.
    pub(crate) fn of(environment: &'a dyn Environment) -> Self {
        Self { environment, missing: Vec::new(), known: Vec::new() }
    }

    /// The secret; a missing one is recorded and gives `None`.
    pub(crate) fn get(&mut self, secret: &SecretRef) -> Option<SecretString> {
        match secret.resolve(self.environment) {
            Ok(value) => {
                self.known.push(value.clone());
                Some(value)
            }
            Err(error) => {
                self.missing.push(error);
                None
            }
        }
    }

    /// The secret as an address.
    pub(crate) fn url(&mut self, secret: &SecretRef) -> Option<Url> {
        Url::parse(self.get(secret)?.expose_secret()).ok()
    }

    /// Records that a secret cannot be used. `why` says what it is not, and what to do.
    pub(crate) fn refuse(&mut self, secret: &SecretRef, why: &'static str) {
        self.missing.push(SecretError::Unusable { place: secret.place.clone(), why });
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
