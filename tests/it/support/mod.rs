//! What several subjects share: building blocks for events, worlds in virtual time, fake receivers.

pub mod events;
pub mod notices;
pub mod receiver;
pub mod schema;
pub mod slack_rules;
pub mod world;
