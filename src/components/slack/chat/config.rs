//! `kind: slack` of `chats:`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use secrecy::ExposeSecret as _;
use url::Url;

use super::super::{WEB_API, token};
use super::{Access, MAX_CONNECTIONS, Slack, SlackConfig, Timing, guarded_client, system};
use crate::chat::access::{AllowList, Channels};
use crate::chat::endpoint;
use crate::chat::{Chat, ChatDeps, ChatHead, ChatKind, Served};
use crate::clock;
use crate::examine::{Checked, Finding, Group, Net};
use crate::http::{ClientError, HttpOptions};
use crate::settings::{Draft, Id, Secret, SecretKind, SecretRef};
use crate::tasks::SideTask;
use podbell_core::translations::Language;
use podbell_core::yaml::key::{Key, Number};
use podbell_core::yaml::{MapReader, Reader};

const SIGNING_SECRET: Key<Secret> = Key::optional(
    "signing_secret",
    Secret(SecretKind::Any),
    "Turns on `POST /slack/NAME`: the Request URL of slash commands, interactivity and events alike [default: no such endpoint].",
);
const APP_TOKEN: Key<Secret> = Key::optional(
    "app_token",
    Secret(SecretKind::Any),
    "Turns on Socket Mode: an app-level token (`xapp-…`) with `connections:write`; Slack need not reach podbell [default: none].",
);
const BOT_TOKEN: Key<Secret> = Key::optional(
    "bot_token",
    Secret(SecretKind::Any),
    "Answers mentions and direct messages (`xoxb-…` with `chat:write`) [default: none; they are not answered].",
);
const TEAM: Id = Id {
    what: "a team",
    example: "T0123ABC",
    found_in: "Slack",
    fits: |text| is_id(text, &['T', 'E']),
    pattern: "^[TE][A-Z0-9]{0,31}$",
};
const USER: Id = Id {
    what: "a user",
    example: "U0123ABC",
    fits: |text| is_id(text, &['U', 'W']),
    pattern: "^[UW][A-Z0-9]{0,31}$",
    ..TEAM
};
const CHANNEL: Id = Id {
    what: "a channel",
    example: "C0123ABC",
    fits: |text| is_id(text, &['C', 'G', 'D']),
    pattern: "^[CGD][A-Z0-9]{0,31}$",
    ..TEAM
};

const CONNECTIONS: Key<Number> = Key::with_default(
    "connections",
    Number(1, MAX_CONNECTIONS),
    "1",
    "How many connections of Socket Mode are kept open; Slack allows an app 10, over all podbells that use it.",
);
const TEAMS: Key<AllowList<Id>> =
    Key::optional("teams", AllowList(TEAM), "Ids (`T…` or `E…`) of workspaces that may ask [default: any].");
const USERS: Key<AllowList<Id>> =
    Key::optional("users", AllowList(USER), "Ids (`U…` or `W…`) of people who may ask [default: any].");
const CHANNELS: Key<Channels<Id>> = Key::optional(
    "channels",
    Channels(Key::required("id", CHANNEL, "The channel's id.")),
    "Ids (`C…`, `G…`, `D…`) of channels and direct messages, or `{id, cluster, namespace, service, read_only}` [default: any, everything].",
);

/// Its registry row.
pub const CHAT: ChatKind = ChatKind {
    name: "slack",
    about: "A Slack app: slash commands, buttons, mentions, direct messages.",
    language: Language::En,
    time_zone: "UTC",
    keys: &[&SIGNING_SECRET, &APP_TOKEN, &BOT_TOKEN, &WEB_API, &CONNECTIONS, &TEAMS, &USERS, &CHANNELS],
    read,
    elsewhere: |key| match key {
        "token" => Some("an app-level token (xapp-…) is `app_token`, a bot's (xoxb-…) is `bot_token`"),
        "secret" => Some("did you mean `signing_secret`?"),
        "url" => Some("a chat is asked, a notifier tells: incoming webhooks belong to `notifiers`"),
        _ => None,
    },
};

fn read(map: &mut MapReader<'_>, head: &ChatHead, reader: &mut Reader) -> Option<Draft<dyn Chat>> {
    let (signing, app, bot) =
        (SIGNING_SECRET.take(map, reader), APP_TOKEN.take(map, reader), BOT_TOKEN.take(map, reader));
    let (api, connections) = (WEB_API.take(map, reader), CONNECTIONS.take(map, reader));
    let access =
        Access { teams: TEAMS.take(map, reader), users: USERS.take(map, reader), channels: CHANNELS.take(map, reader) };
    if signing.is_none() && app.is_none() {
        let help = "give `signing_secret` (Basic Information of the Slack app) to be called over HTTP, or `app_token` \
                    (an app-level token with connections:write) for Socket Mode";
        reader.error_help(&map.head(), format!("nothing reaches the chat `{}`: it has no secret", head.name), help);
    }
    for (key, token, begins) in [("app_token", &app, "xapp-"), ("bot_token", &bot, "xoxb-")] {
        let written = token.as_ref().and_then(SecretRef::written_out);
        if written.is_some_and(|written| !written.expose_secret().starts_with(begins)) {
            let help = "Slack shows it on the app's pages: Basic Information, or OAuth & Permissions";
            let message = format!("the `{key}` of `{}` does not begin with {begins}", head.name);
            reader.error_help(&map.head(), message, help);
        }
    }
    let (api, connections, head) = (api?, usize::try_from(connections?).ok()?, head.clone());
    Some(Draft::<dyn Chat>::new(move |secrets| {
        let mut get = |secret: &Option<SecretRef>| secret.as_ref().and_then(|secret| secrets.get(secret));
        Some(Arc::new(SlackConfig {
            settings: head.settings(access),
            signing_secret: get(&signing),
            app_token: get(&app),
            bot_token: get(&bot),
            api,
            connections,
            timing: Timing::default(),
        }))
    }))
}

impl Chat for SlackConfig {
    fn serve(&self, deps: &ChatDeps, http: &HttpOptions) -> Result<Served, ClientError> {
        let slack = Slack::new(self.clone(), deps.clone(), guarded_client(http, system())?);
        let routes = slack.routes();
        let connections: Vec<SideTask> = match slack.connects() {
            true => vec![Box::new(move |stop| Box::pin(slack.connect(stop)) as BoxFuture<'static, ()>)],
            false => Vec::new(),
        };
        Ok(Served { routes, connections, ..Served::default() })
    }

    fn examine<'a>(&'a self, net: &'a Net, public_url: Option<&'a Url>) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            let (group, subject) = (Group::Chats, self.settings.name.as_str());
            let mut checked = match &self.bot_token {
                Some(token) => {
                    let asked = token::TokenCheck { group, subject, api: &self.api, token };
                    token::examine(&asked, &["chat:write"], net, clock::now()).await.0
                }
                None => {
                    let found = "no `bot_token`: slash commands and buttons are answered, mentions are not";
                    Finding::ok(group, subject, found).into()
                }
            };
            if self.app_token.is_some() {
                let found =
                    "Socket Mode: not tried, a further connection would take questions from the running podbell";
                checked.findings.push(Finding::ok(group, subject, found));
            }
            if self.signing_secret.is_some() {
                checked.findings.push(endpoint::examine(subject, "Slack", "slack", public_url));
            }
            checked
        })
    }
}

fn is_id(text: &str, begins: &[char]) -> bool {
    let fine = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    text.starts_with(begins) && text.len() <= 32 && text.bytes().all(fine)
}
