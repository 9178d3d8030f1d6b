//! What was written while Mattermost did not keep it for a connection: before podbell started, after Mattermost's restart, or in a long
//! break.
//!
//! Source: "Get all channels from all teams" and "Get posts for a channel" (`since`, in milliseconds).

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Api;
use super::event::{self, BotIdentity, Received};
use crate::notifiers::http_request::HttpRequest;
use podbell_core::time::Time;

/// What is older is not carried out any more: people have seen that nothing came of it.
pub(super) const STALE: Duration = Duration::from_secs(15 * 60);
/// Longer than a clock is usually off.
const MARGIN: Duration = Duration::from_secs(120);
/// The most channels whose posts are read.
const MAX_CHANNELS: usize = 50;
/// The longest list of channels, or of posts, in bytes.
const MAX_BODY: usize = 8 * 1024 * 1024;

#[derive(Deserialize)]
struct Channel {
    id: String,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    team_id: String,
    /// In milliseconds since 1970.
    #[serde(default)]
    last_post_at: i64,
}

#[derive(Deserialize)]
struct Posts {
    posts: BTreeMap<String, Value>,
}

/// What people wrote for podbell meanwhile.
pub(super) struct Missed {
    /// Oldest first.
    pub said: Vec<Received>,
    /// How many channels were not read: Mattermost refuses it, or there are too many.
    pub hidden: usize,
}

/// Mattermost cannot say at the moment what was written.
pub(super) struct NotShown {
    /// How long it wants to be left alone.
    pub after: Option<Duration>,
}

/// What people wrote since podbell last heard of Mattermost, and what no podbell has answered yet.
///
/// # Errors
/// When Mattermost is in trouble or wants a pause.
pub(super) async fn since(api: &Api, me: &BotIdentity, last_received: Time, now: Time) -> Result<Missed, NotShown> {
    let since = last_received.minus(MARGIN).max(now.minus(STALE)).millis();
    let mut missed = Missed { said: Vec::new(), hidden: 0 };
    let listed = read::<Vec<Channel>>(api, &["users", &me.id, "channels"], Vec::new(), now).await?;
    let Some(mut channels) = listed else { return Ok(Missed { hidden: 1, ..missed }) };
    channels.retain(|channel| channel.last_post_at > since);
    channels.sort_by_key(|channel| std::cmp::Reverse(channel.last_post_at));
    missed.hidden = channels.len().saturating_sub(MAX_CHANNELS);
    let (mut said, mut answered) = (Vec::new(), HashSet::new());
    for channel in channels.into_iter().take(MAX_CHANNELS) {
        let query = vec![("since", since.to_string())];
        let Some(Posts { posts }) = read(api, &["channels", &channel.id, "posts"], query, now).await? else {
            missed.hidden += 1;
            continue;
        };
        let of_bot = posts.values().filter(|post| post["user_id"] == *me.id);
        answered.extend(of_bot.filter_map(|post| post["props"][event::ANSWERS].as_str().map(str::to_owned)));
        // `since` also returns older posts that changed.
        let new = posts.into_values().filter(|post| post["create_at"].as_i64().is_some_and(|at| at > since));
        said.extend(new.map(|post| {
            let data = json!({"post": post.to_string(), "channel_type": channel.r#type, "team_id": channel.team_id});
            (post["create_at"].as_i64(), event::posted(&data, me))
        }));
    }
    said.sort_by_key(|(at, _)| *at);
    missed.said = said.into_iter().filter_map(|(_, said)| said).filter(|said| !answered.contains(&said.post)).collect();
    Ok(missed)
}

/// `None`: it is not shown to the bot.
async fn read<T: serde::de::DeserializeOwned>(
    api: &Api,
    below: &[&str],
    query: Vec<(&'static str, String)>,
    now: Time,
) -> Result<Option<T>, NotShown> {
    let below = [&["api", "v4"][..], below].concat();
    let asked = HttpRequest::get(now).below(&below).query(query).reading(MAX_BODY);
    let reply = api.call(asked).await.map_err(|_| NotShown { after: None })?;
    match reply.status {
        200 => serde_json::from_str(&reply.body).map(Some).map_err(|_| NotShown { after: None }),
        403 | 404 => Ok(None),
        _ => Err(NotShown { after: reply.retry_after }),
    }
}
