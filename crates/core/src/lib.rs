//! The functional core: what podbell knows about events, rules, incidents and deliveries.
//!
//! Architecture invariant: nothing in here reads a clock, draws a random number, touches a file
//! or a socket, or imports a module outside `core`. Time and chance are arguments.

#![warn(unreachable_pub)]

pub mod ask;
pub mod backoff;
pub mod backtest;
pub mod diagnostic;
pub mod diff;
pub mod enrichment;
pub mod event;
#[cfg(test)]
#[path = "glossary_tests.rs"]
mod glossary;
pub mod health;
pub mod history;
pub mod incident;
pub mod map;
pub mod masks;
pub mod message;
pub mod metadata;
pub mod mute;
pub mod notice;
pub mod outbox;
pub mod replay;
mod reports;
pub mod rollout;
pub mod rule;
pub mod rules;
pub mod ruletest;
pub mod scope;
pub mod series;
pub mod source;
pub mod step;
pub mod template;
pub mod time;
pub mod timeline;
mod topic;
pub mod trail;
pub mod translations;
pub mod user_action;
pub mod workload;
pub mod yaml;
pub mod zone;
