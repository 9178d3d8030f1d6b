//! The HTTP clients that every check uses.

use url::Url;

use super::finding::{Finding, Group};
use crate::connectivity::Connectivity;
use crate::http::{ClientError, HttpOptions, client};

/// Clients with the options of `http:`.
pub struct Net {
    /// For requests.
    pub client: reqwest::Client,
    /// For the server of this machine, bypassing any proxy.
    pub here: reqwest::Client,
    reach: Connectivity,
    proxied: bool,
}

impl Net {
    /// Does not connect yet.
    ///
    /// # Errors
    /// When the network cannot be set up as these options say.
    pub(crate) fn new(options: &HttpOptions) -> Result<Self, ClientError> {
        let here = HttpOptions { proxy: None, ca_file: options.ca_file.clone() };
        Ok(Self {
            client: client(options)?,
            here: client(&here)?,
            reach: Connectivity::new(options)?,
            proxied: options.proxy.is_some(),
        })
    }

    /// Connects and closes the connection.
    pub(crate) async fn reached(&self, group: Group, subject: &str, what: &str, url: Url) -> Finding {
        let secure = url.scheme() == "https";
        match self.reach.reach(url).await {
            Ok(()) => {
                let how = match (secure, self.proxied) {
                    (true, true) => "can be reached through the proxy, and its certificate is good",
                    (true, false) => "can be reached, and its certificate is good",
                    (false, true) => {
                        "the proxy can be reached; whether the proxy reaches this address shows with the first message"
                    }
                    (false, false) => "can be reached",
                };
                Finding::ok(group, subject, format!("{what}: {how} (nothing was sent)"))
            }
            Err(unreached) => {
                let found = format!("{what}: cannot be reached: {}", unreached.text);
                Finding::fail(group, subject, found, unreached.obstacle.advice())
            }
        }
    }
}
