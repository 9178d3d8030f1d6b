//! podbell: the cluster's warnings in the team's chat.
//!
//! ```text
//! source ──list──▶ diff ──changes──▶ rules ──matches──▶ incidents ──notices──▶ outbox ──▶ dispatcher ──▶ notifier
//! ```
//!
//! [`core`] is pure; everything else is the rim that feeds it and carries out what it says.

pub mod cli;
pub mod clock;
pub mod config;
pub mod core;
pub mod http;
pub mod notifiers;
pub mod sources;
