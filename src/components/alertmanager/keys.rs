//! The keys of `kind: alertmanager`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;
use url::Url;

use super::Alertmanager;
use crate::notifiers::Notifier;
use crate::settings::keys::HTTP;
use crate::settings::{Draft, Secret, SecretKind, SecretRef, Secrets};
use podbell_core::yaml::key::{Key, OneOrMany, Text, ValueType};
use podbell_core::yaml::{MapReader, Node, Reader};

pub(super) const URL: Key<OneOrMany<Base>> = Key::required(
    "url",
    OneOrMany(Base),
    "Where Alertmanager is, such as http://alertmanager:9093, with the prefix of its path if it has one; of a cluster, the address of each member.",
);
pub(super) const USER: Key<Text> = Key::optional("user", Text("a user's name"), "For basic authentication.");
pub(super) const PASSWORD: Key<Secret> = Key::optional("password", Secret(SecretKind::Any), "The password of `user`.");
pub(super) const TOKEN: Key<Secret> = Key::required("token", Secret(SecretKind::Any), "A bearer token.");

pub(super) fn read(map: &mut MapReader<'_>, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    let urls = URL.take(map, reader);
    let login = match map.has("token") {
        true => TOKEN.take(map, reader).map(LoginRef::Bearer),
        false => basic(map, reader),
    };
    let (urls, login) = (urls.filter(|urls| !urls.is_empty())?, login?);
    Some(Draft::<dyn Notifier>::new(move |secrets| Some(Arc::new(Alertmanager::new(urls, login.complete(secrets)?)))))
}

fn basic(map: &mut MapReader<'_>, reader: &mut Reader) -> Option<LoginRef> {
    match (USER.node(map, reader), PASSWORD.node(map, reader)) {
        (None, None) => Some(LoginRef::None),
        (Some(user), Some(password)) => {
            Some(LoginRef::Basic(USER.read(user, reader)?, PASSWORD.read(password, reader)?))
        }
        (Some(one), None) | (None, Some(one)) => {
            reader.error_help(&one.span, "`user` and `password` belong together", "write both, or none of them");
            None
        }
    }
}

/// A login as podbell.yaml writes it.
enum LoginRef {
    None,
    Basic(String, SecretRef),
    Bearer(SecretRef),
}

impl LoginRef {
    fn complete(self, secrets: &mut Secrets<'_>) -> Option<Login> {
        Some(match self {
            Self::None => Login::None,
            Self::Basic(user, password) => Login::Basic { user, password: secrets.get(&password)? },
            Self::Bearer(token) => Login::Bearer(secrets.get(&token)?),
        })
    }
}

/// How podbell proves who it is.
pub(super) enum Login {
    None,
    Basic { user: String, password: SecretString },
    Bearer(SecretString),
}

impl Login {
    /// The value of the header.
    pub(super) fn authorization(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Basic { user, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose_secret()))))
            }
            Self::Bearer(token) => Some(format!("Bearer {}", token.expose_secret())),
        }
    }

    /// What must not be shown.
    pub(super) fn secrets(&self) -> &[SecretString] {
        match self {
            Self::None => &[],
            Self::Basic { password: secret, .. } | Self::Bearer(secret) => std::slice::from_ref(secret),
        }
    }
}

/// An address without a login in it, below which the API is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base;

impl ValueType for Base {
    type Value = Url;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<Url> {
        let mut url = HTTP.read(node, reader)?;
        if !url.username().is_empty() || url.password().is_some() {
            reader.error_help(&node.span, "a login in an address", "write it as `user` and `password`");
            return None;
        }
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
        }
        Some(url)
    }

    fn schema(&self) -> Json {
        HTTP.schema()
    }
}
