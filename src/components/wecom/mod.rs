//! WeCom (企业微信): notifies through a group robot, and answers questions through an AI bot and an app.

pub mod chat;
mod markdown;
mod robot;

pub(crate) use self::chat::config::{APP, BOT};
pub(crate) use self::robot::NOTIFIER;
