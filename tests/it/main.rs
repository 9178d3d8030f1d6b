//! The integration tests.
// Helpers of tests may fail a test, as tests themselves may.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
mod config;
mod rules;
