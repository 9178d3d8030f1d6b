//! Components: one folder per platform or source, with everything that is specific to it. The rest of podbell knows
//! the rows of the [`registry`], the traits behind them, and what is lent below.

pub(crate) mod alertmanager;
pub(crate) mod console;
pub mod dingtalk;
pub mod discord;
pub(crate) mod email;
pub mod feishu;
pub mod file;
pub(crate) mod googlechat;
pub mod kubernetes;
pub mod mattermost;
pub(crate) mod pagerduty;
pub mod qcloud;
pub mod registry;
pub mod slack;
pub mod teams;
pub mod telegram;
pub mod webhook;
pub mod wecom;

// What commands and other components use of a component, under names that say what it does.
pub(crate) use self::console::Console as Terminal;
pub(crate) use self::file as recordings;
pub(crate) use self::kubernetes::kubectl;
pub(crate) use self::qcloud as legacy_api;
pub(crate) use self::webhook::schema as message_schema;
