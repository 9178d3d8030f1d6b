//! What several subjects share: building blocks for events, worlds in virtual time, fake receivers.

pub mod events;
pub mod world;
