//! `kind: feishu-app` of `chats:`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use url::Url;

use super::super::APP_KIND;
use super::super::app::{API, APP_ID, APP_SECRET, is_id};
use super::{Feishu, FeishuConfig, Subscription, Timing};
use crate::chat::access::{Access, AllowList, Channels, DIRECT};
use crate::chat::endpoint;
use crate::chat::{Chat, ChatDeps, ChatHead, ChatKind, Served};
use crate::clock;
use crate::examine::{Checked, Finding, Group, Net, not_well};
use crate::http::{ClientError, HttpOptions};
use crate::settings::Id;
use crate::settings::{Draft, Secret, SecretKind};
use crate::tasks::SideTask;
use podbell_core::translations::Language;
use podbell_core::yaml::key::Key;
use podbell_core::yaml::{MapReader, Reader};

const TENANT: Id = Id {
    what: "a tenant",
    example: "736588c9260f175d",
    found_in: "Feishu",
    fits: |text| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()),
    pattern: "^[A-Za-z0-9]{1,64}$",
};
const USER: Id = Id {
    what: "a user",
    example: "ou_18eac85d35a26f989317ad4f02e8bbbb",
    found_in: "Feishu",
    fits: |text| is_id(text, "ou_"),
    pattern: "^ou_[A-Za-z0-9]{1,64}$",
};
const CHANNEL: Id = Id {
    what: "a chat",
    example: "oc_a0553eda9014c201e6969b478895c230",
    found_in: "Feishu",
    fits: |text| text == DIRECT || is_id(text, "oc_"),
    pattern: "^(direct|oc_[A-Za-z0-9]{1,64})$",
};
const ENCRYPT_KEY: Key<Secret> = Key::optional(
    "encrypt_key",
    Secret(SecretKind::Any),
    "The Encrypt Key of the app's page Events & Callbacks: with it, Feishu posts events to podbell, and podbell opens no connection [default: the long connection].",
);
const VERIFICATION_TOKEN: Key<Secret> = Key::optional(
    "verification_token",
    Secret(SecretKind::Any),
    "The Verification Token of the same page; required with `encrypt_key`.",
);
const TENANTS: Key<AllowList<Id>> = Key::optional(
    "tenants",
    AllowList(TENANT),
    "Tenant keys of companies whose people may ask; in a group with another company there are two [default: any].",
);
const USERS: Key<AllowList<Id>> =
    Key::optional("users", AllowList(USER), "Ids of people who may ask, as this app sees them [default: any].");
const CHANNELS: Key<Channels<Id>> = Key::optional(
    "channels",
    Channels(Key::required("id", CHANNEL, "The group's id.")),
    "Ids of groups, `direct` for one person with the bot, or `{id, cluster, namespace, service, read_only}` [default: any, everything].",
);

/// Its registry row.
pub const CHAT: ChatKind = ChatKind {
    name: APP_KIND,
    about: "An app of Feishu or Lark, over its long connection or by events over HTTP: mentions, direct messages, buttons.",
    language: Language::Zh,
    time_zone: "Asia/Shanghai",
    keys: &[&APP_ID, &APP_SECRET, &API, &ENCRYPT_KEY, &VERIFICATION_TOKEN, &TENANTS, &USERS, &CHANNELS],
    read,
    elsewhere: |key| match key {
        "chat" => Some("a chat is asked, a notifier tells: which groups may ask is `channels`"),
        "url" | "secret" => Some("a custom robot cannot be asked; an app has `app_id` and `app_secret`"),
        _ => None,
    },
};

fn read(map: &mut MapReader<'_>, head: &ChatHead, reader: &mut Reader) -> Option<Draft<dyn Chat>> {
    let (app, secret, api) = (APP_ID.take(map, reader), APP_SECRET.take(map, reader), API.take(map, reader));
    let (encrypt_key, verification_token) = (ENCRYPT_KEY.take(map, reader), VERIFICATION_TOKEN.take(map, reader));
    if encrypt_key.is_some() != verification_token.is_some() {
        let message = format!("`{}` needs `encrypt_key` and `verification_token`, or neither", head.name);
        reader.error_help(
            &map.head(),
            message,
            "copy both from the app's page Events & Callbacks, Encryption Strategy",
        );
    }
    let access = Access {
        teams: TENANTS.take(map, reader),
        users: USERS.take(map, reader),
        channels: CHANNELS.take(map, reader),
    };
    let settings = head.settings(access);
    let (app_id, secret, api) = (app?, secret?, api?);
    Some(Draft::<dyn Chat>::new(move |secrets| {
        let app_secret = secrets.get(&secret)?;
        let subscription = match (&encrypt_key, &verification_token) {
            (Some(key), Some(token)) => {
                let (encrypt_key, verification_token) = (secrets.get(key), secrets.get(token));
                Some(Subscription { encrypt_key: encrypt_key?, verification_token: verification_token? })
            }
            _ => None,
        };
        Some(Arc::new(FeishuConfig { settings, app_id, app_secret, api, subscription, timing: Timing::default() }))
    }))
}

impl Chat for FeishuConfig {
    fn serve(&self, deps: &ChatDeps, _: &HttpOptions) -> Result<Served, ClientError> {
        let chat = Feishu::new(self.clone(), deps.clone());
        if self.subscription.is_some() {
            return Ok(Served { routes: chat.routes(), ..Served::default() });
        }
        let connection: SideTask = Box::new(move |stop| Box::pin(chat.connect(stop)) as BoxFuture<'static, ()>);
        Ok(Served { connections: vec![connection], ..Served::default() })
    }

    fn examine<'a>(&'a self, net: &'a Net, public_url: Option<&'a Url>) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            let (subject, group) = (self.settings.name.as_str(), Group::Chats);
            let api = super::Api::new(self.api.clone(), self.app_id.clone(), self.app_secret.clone());
            let finding = match api.token(&net.client, clock::now()).await {
                Ok(_) if self.subscription.is_some() => Finding::ok(
                    group,
                    subject,
                    "the app's id and secret are good; whether it posts its events is not tried",
                ),
                Ok(_) => {
                    Finding::ok(group, subject, "the app's id and secret are good; its long connection is not tried")
                }
                Err(outcome) => not_well(group, subject, "the app", &outcome),
            };
            let mut findings = vec![finding];
            if self.subscription.is_some() {
                findings.push(endpoint::examine(subject, "Feishu", "feishu", public_url));
            }
            findings.into()
        })
    }
}
