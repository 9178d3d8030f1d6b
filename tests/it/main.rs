//! The integration tests: one binary, linked once. A module per subject; `support` holds what
//! they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod diff;
mod messages;
mod notifiers;
mod rendering;
mod support;
