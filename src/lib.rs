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
pub mod components;
pub mod config;
pub mod demo;
pub mod engine;
pub mod examine;
pub mod guard;
pub mod health;
pub mod hide;
pub mod http;
pub mod notifiers;
pub mod reach;
pub mod server;
pub mod settings;
pub mod sources;
pub mod tasks;
mod trust;
