//! podbell: the cluster's warnings in the team's chat.
//!
//! ```text
//! source ──list──▶ diff ──changes──▶ rules ──matches──▶ incidents ──notices──▶ outbox ──▶ dispatcher ──▶ notifier
//! ```
//!
//! [`core`] is pure; everything else is the rim that feeds it and carries out what it says.

pub mod app;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod engine;
#[cfg(test)]
#[path = "../crates/core/src/translations/glossary.rs"]
mod glossary;
pub mod hide;
pub mod http;
pub mod notifiers;
pub mod reach;
pub mod schema;
pub mod server;
pub mod sources;
mod trust;
