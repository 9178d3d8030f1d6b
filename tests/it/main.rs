//! The integration tests.

mod check;
mod config;
mod rules;
