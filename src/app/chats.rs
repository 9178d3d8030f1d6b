//! From `chats:` of a configuration to what serves them.

use std::sync::Arc;

use axum::Router;

use super::SideTask;
use super::assemble::{AssemblyError, http_options};
use crate::chat::Queries;
use crate::chat::slack::{Around, Slack, SlackConfig, Timing, guarded_client, system};
use crate::chat::wecom;
use crate::clock;
use crate::config::{ChatConfig, ChatKind, Config};

/// Everything that people ask through.
#[derive(Debug, Default)]
pub struct Chats {
    slack: Vec<Arc<Slack>>,
    bots: Vec<Arc<wecom::Bot>>,
    apps: Vec<Arc<wecom::App>>,
}

/// The chats of a configuration, all of which ask this query service.
///
/// # Errors
/// When the network cannot be set up as `http:` says, or a secret turns out to be none.
pub fn chats(config: &Config, client: &reqwest::Client, queries: &Arc<dyn Queries>) -> Result<Chats, AssemblyError> {
    let mut chats = Chats::default();
    if config.chats.is_empty() {
        return Ok(chats);
    }
    let around = Around {
        queries: queries.clone(),
        client: client.clone(),
        guarded: guarded_client(&http_options(&config.http)?, system())?,
        now: Arc::new(clock::now),
        chance: Arc::new(rand::random::<f64>),
    };
    let wecom_around = wecom::Around {
        queries: queries.clone(),
        client: client.clone(),
        now: around.now.clone(),
        chance: around.chance.clone(),
    };
    for chat in &config.chats {
        match &chat.kind {
            ChatKind::Slack(slack) => chats.slack.push(Slack::new(
                SlackConfig {
                    name: chat.name.clone(),
                    signing_secret: slack.signing_secret.clone(),
                    app_token: slack.app_token.clone(),
                    bot_token: slack.bot_token.clone(),
                    api: slack.api.clone(),
                    connections: slack.connections,
                    access: slack.access.clone(),
                    language: chat.language,
                    time_zone: chat.time_zone.clone(),
                    timing: Timing::default(),
                },
                around.clone(),
            )),
            ChatKind::WecomBot(bot) => {
                let bot = wecom::BotConfig {
                    talk: talk(chat, &bot.access),
                    bot_id: bot.bot_id.clone(),
                    secret: bot.secret.clone(),
                    endpoint: bot.endpoint.clone(),
                    timing: wecom::BotTiming::default(),
                };
                chats.bots.push(wecom::Bot::new(bot, wecom_around.clone()));
            }
            ChatKind::WecomApp(app) => {
                let crypto = wecom::Crypto::new(app.token.clone(), &app.encoding_aes_key, app.corp_id.clone())
                    .map_err(|error| AssemblyError::Chat { name: chat.name.clone(), key: "encoding_aes_key", error })?;
                let app = wecom::AppConfig {
                    talk: talk(chat, &app.access),
                    corp_id: app.corp_id.clone(),
                    agent_id: app.agent_id.clone(),
                    crypto,
                    timing: wecom::AppTiming::default(),
                };
                chats.apps.push(wecom::App::new(app, wecom_around.clone()));
            }
        }
    }
    Ok(chats)
}

fn talk(chat: &ChatConfig, access: &wecom::Access) -> wecom::Talk {
    wecom::Talk {
        name: chat.name.clone(),
        access: access.clone(),
        language: chat.language,
        time_zone: chat.time_zone.clone(),
    }
}

impl Chats {
    /// The routes of those that are called over HTTP, for [`super::assemble::server`].
    pub fn routes(&self) -> Router {
        let slack = self.slack.iter().map(|slack| slack.routes());
        let apps = self.apps.iter().map(|app| app.routes());
        slack.chain(apps).fold(Router::new(), Router::merge)
    }

    /// The connections of those that open them, for [`super::Service::sides`].
    pub fn sides(&self) -> Vec<SideTask> {
        let slack = self.slack.iter().filter(|slack| slack.connects()).map(|slack| {
            let slack = slack.clone();
            Box::new(move |stop| Box::pin(slack.connect(stop)) as super::BoxFuture<()>) as SideTask
        });
        let bots = self.bots.iter().map(|bot| {
            let bot = bot.clone();
            Box::new(move |stop| Box::pin(bot.connect(stop)) as super::BoxFuture<()>) as SideTask
        });
        slack.chain(bots).collect()
    }
}
