//! From `chats:` of a configuration to what serves them.

use std::sync::Arc;

use axum::Router;

use super::SideTask;
use super::assemble::{AssemblyError, http_options};
use crate::chat::Desk;
use crate::chat::slack::{Around, Slack, SlackConfig, Timing, guarded_client, system};
use crate::clock;
use crate::config::{ChatKind, Config};

/// Everything that people ask through.
#[derive(Debug, Default)]
pub struct Chats {
    slack: Vec<Arc<Slack>>,
}

/// The chats of a configuration, all of which ask this desk.
///
/// # Errors
/// When the network cannot be set up as `http:` says.
pub fn chats(config: &Config, client: &reqwest::Client, desk: &Arc<dyn Desk>) -> Result<Chats, AssemblyError> {
    if config.chats.is_empty() {
        return Ok(Chats::default());
    }
    let around = Around {
        desk: desk.clone(),
        client: client.clone(),
        guarded: guarded_client(&http_options(&config.http)?, system())?,
        now: Arc::new(clock::now),
        chance: Arc::new(rand::random::<f64>),
    };
    let slack = config.chats.iter().map(|chat| match &chat.kind {
        ChatKind::Slack(slack) => Slack::new(
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
        ),
    });
    Ok(Chats { slack: slack.collect() })
}

impl Chats {
    /// The routes of those that are called over HTTP, for [`super::assemble::server`].
    pub fn routes(&self) -> Router {
        self.slack.iter().fold(Router::new(), |routes, slack| routes.merge(slack.routes()))
    }

    /// The connections of those that open them, for [`super::Service::sides`].
    pub fn sides(&self) -> Vec<SideTask> {
        let connect = |slack: &Arc<Slack>| {
            let slack = slack.clone();
            Box::new(move |stop| Box::pin(slack.connect(stop)) as super::BoxFuture<()>) as SideTask
        };
        self.slack.iter().filter(|slack| slack.connects()).map(connect).collect()
    }
}
