//! From `chats:` of a configuration to what serves them.

use std::sync::Arc;

use super::assemble::{AssemblyError, http_options};
use crate::chat::{ChatDeps, Queries, Served};
use crate::clock;
use crate::config::Config;

/// What serves the chats of a configuration. All of them ask these `queries`.
///
/// # Errors
/// When the network cannot be set up as `http:` says.
pub fn chats(config: &Config, client: &reqwest::Client, queries: &Arc<dyn Queries>) -> Result<Served, AssemblyError> {
    let http = http_options(&config.http)?;
    let deps = ChatDeps {
        queries: queries.clone(),
        client: client.clone(),
        now: Arc::new(clock::now),
        chance: Arc::new(rand::random::<f64>),
    };
    let mut all = Served::default();
    for chat in &config.chats {
        let served = chat.chat.serve(&deps, &http)?;
        all.routes = all.routes.merge(served.routes);
        all.connections.extend(served.connections);
        all.exclusive.extend(served.exclusive);
    }
    Ok(all)
}
