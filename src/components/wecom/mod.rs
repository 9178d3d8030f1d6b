//! WeCom (企业微信): a group robot to tell, an AI bot and an app to be asked through.

pub mod chat;
mod markdown;
mod robot;

pub use self::chat::config::{APP, BOT};
pub use self::robot::NOTIFIER;
