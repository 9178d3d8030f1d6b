//! The integration tests: one binary, linked once. A module per subject; `support` holds what
//! they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
mod config;
mod deliveries;
mod diff;
mod incidents;
mod messages;
mod notifiers;
mod outbox_model;
mod rendering;
mod rules;
mod store;
mod support;
