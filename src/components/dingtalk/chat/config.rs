//! The keys of `kind: dingtalk-app` of `chats:`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use url::Url;

use super::super::APP_KIND;
use super::super::api::Api;
use super::super::app::{API_URL, APP_KEY, APP_SECRET, is_conversation};
use super::{DingTalk, DingTalkConfig, Timing};
use crate::chat::access::{Access, AllowList, Channels, DIRECT};
use crate::chat::{Chat, ChatDeps, ChatHead, ChatKind, Served};
use crate::clock;
use crate::examine::{Checked, Finding, Group, Net, not_well};
use crate::http::{ClientError, HttpOptions};
use crate::settings::Draft;
use crate::settings::Id;
use crate::tasks::SideTask;
use podbell_core::translations::Language;
use podbell_core::yaml::key::Key;
use podbell_core::yaml::{MapReader, Reader};

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.$".contains(&b))
}

const COMPANY: Id = Id {
    what: "a company",
    example: "dinge19e25c0b3f73fd6",
    found_in: "DingTalk",
    fits: is_id,
    pattern: "^[A-Za-z0-9._$-]{1,64}$",
};
const USER: Id = Id { what: "a user", example: "manager4220", ..COMPANY };
const CHANNEL: Id = Id {
    what: "a group",
    example: "cid6KeBBLoveMJOGXoYKF5x7EeiodoA==",
    found_in: "DingTalk",
    fits: |text| text == DIRECT || is_conversation(text),
    pattern: "^(direct|cid[A-Za-z0-9+/=_-]{1,125})$",
};
const COMPANIES: Key<AllowList<Id>> = Key::optional(
    "companies",
    AllowList(COMPANY),
    "CorpIds of companies whose people may ask, for groups with guests [default: any].",
);
const USERS: Key<AllowList<Id>> =
    Key::optional("users", AllowList(USER), "User ids of the address book of who may ask [default: any].");
const CHANNELS: Key<Channels<Id>> = Key::optional(
    "channels",
    Channels(Key::required("id", CHANNEL, "The group's openConversationId.")),
    "OpenConversationIds of groups, `direct` for one person with the robot, or `{id, cluster, namespace, service, read_only}` [default: any, everything].",
);

/// Its registry row.
pub const CHAT: ChatKind = ChatKind {
    name: APP_KIND,
    about: "The robot of an application of DingTalk, over Stream mode.",
    language: Language::Zh,
    time_zone: "Asia/Shanghai",
    keys: &[&APP_KEY, &APP_SECRET, &API_URL, &COMPANIES, &USERS, &CHANNELS],
    read,
    elsewhere: |key| match key {
        "url" | "secret" | "conversation" | "robot_code" => {
            Some("a chat is asked, a notifier tells: that belongs to `notifiers`")
        }
        _ => None,
    },
};

fn read(map: &mut MapReader<'_>, head: &ChatHead, reader: &mut Reader) -> Option<Draft<dyn Chat>> {
    let (key, secret, api) = (APP_KEY.take(map, reader), APP_SECRET.take(map, reader), API_URL.take(map, reader));
    let access = Access {
        teams: COMPANIES.take(map, reader),
        users: USERS.take(map, reader),
        channels: CHANNELS.take(map, reader),
    };
    let settings = head.settings(access);
    let (app_key, secret, api) = (key?, secret?, api?);
    Some(Draft::<dyn Chat>::new(move |secrets| {
        Some(Arc::new(DingTalkConfig {
            settings,
            app_key,
            app_secret: secrets.get(&secret)?,
            api,
            timing: Timing::default(),
        }))
    }))
}

impl Chat for DingTalkConfig {
    fn serve(&self, deps: &ChatDeps, _: &HttpOptions) -> Result<Served, ClientError> {
        let chat = DingTalk::new(self.clone(), deps.clone());
        let connection: SideTask = Box::new(move |stop| Box::pin(chat.connect(stop)) as BoxFuture<'static, ()>);
        Ok(Served { connections: vec![connection], ..Served::default() })
    }

    fn examine<'a>(&'a self, net: &'a Net, _: Option<&'a Url>) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            let (group, subject) = (Group::Chats, self.settings.name.as_str());
            let api = Api::new(self.api.clone(), self.app_key.clone(), self.app_secret.clone());
            let finding = match api.token(&net.client, clock::now()).await {
                Ok(_) => Finding::ok(
                    group,
                    subject,
                    "DingTalk knows the application; its stream is not opened, that would take a part of the questions",
                ),
                Err(outcome) => not_well(group, subject, "DingTalk", &outcome),
            };
            finding.into()
        })
    }
}
