//! Components: one folder per platform or source, with everything that is specific to it. The rest of podbell knows
//! the rows of the [`registry`] and the traits behind them.

pub(crate) mod console;
pub mod feishu;
pub mod file;
pub mod kubernetes;
pub mod qcloud;
pub mod registry;
pub mod slack;
pub mod webhook;
pub mod wecom;
