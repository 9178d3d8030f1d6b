//! The integration tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod emulator;
mod file_source;
mod http;
mod qcloud;
mod qcloud_run;
mod recording;
mod support;
