//! podbell: the cluster's warnings in the team's chat.
//!
//! ```text
//! source ──list──▶ diff ──changes──▶ rules ──matches──▶ incidents ──notices──▶ outbox ──▶ dispatcher ──▶ notifier
//! ```
//!
//! `podbell_core` is pure; everything else feeds it and carries out what it decides.

#![warn(unreachable_pub)]

pub mod app;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod components;
pub mod config;
pub(crate) mod connectivity;
pub mod demo;
pub mod engine;
pub mod examine;
#[cfg(test)]
#[path = "../crates/core/src/glossary_tests.rs"]
mod glossary;
pub mod guard;
pub mod health;
mod hex;
pub mod http;
pub mod notifiers;
pub mod otlp;
pub mod redact;
pub mod server;
pub mod settings;
pub mod sources;
mod tasks;
