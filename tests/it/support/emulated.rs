//! A client and the emulator it talks to.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::tz::TimeZone;
use podbell::clock;
use podbell::components::file::recording::Recording;
use podbell::components::qcloud::ApiConfig;
use podbell::components::qcloud::client::Client;
use podbell::components::qcloud::emulator::{Emulator, EmulatorConfig, Play};
use secrecy::SecretString;
use tokio::net::TcpListener;

pub const SECRET_ID: &str = "AKIDemulated";
pub const SECRET_KEY: &str = "not-a-real-key";

/// One event a minute old when the play starts, on any service.
pub const ONE_EVENT: &str = r#"{"at": "2026-01-01 00:01:00", "eventList": [{"firstSeen": "2026-01-01 00:00:00", "lastSeen": "2026-01-01 00:00:30", "count": 3, "level": "Warning", "objType": "Pod", "objName": "web-1", "reason": "BackOff", "message": "Back-off 重试"}]}"#;

/// Starts an emulator with a play at this speed.
pub async fn emulator(play: &str, speed: u32, token: Option<&str>) -> Emulator {
    let polls = Recording::new(play.as_bytes(), TimeZone::UTC).map(Result::unwrap).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = EmulatorConfig {
        secret_id: SecretString::from(SECRET_ID),
        secret_key: SecretString::from(SECRET_KEY),
        token: token.map(SecretString::from),
        play: Play::new(polls, clock::now(), NonZeroU32::new(speed).unwrap()),
    };
    Emulator::start(listener, config).unwrap()
}

/// A configuration for an endpoint, quick enough for tests.
pub fn config(endpoint: &str) -> ApiConfig {
    let mut config = ApiConfig::new(
        "prod",
        endpoint.parse().unwrap(),
        SecretString::from(SECRET_ID),
        SecretString::from(SECRET_KEY),
    );
    config.requests_per_second = NonZeroU32::new(10_000).unwrap();
    config.retry_delay = Duration::from_millis(1);
    config
}

/// A client with that configuration.
pub fn client(config: ApiConfig) -> Client {
    Client::new(config, super::receiver::client())
}
