//! What several benchmarks share. Each uses a part of it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_wrap)]

pub mod lists;
pub mod postgres;
pub mod server;
pub mod service;
pub mod store;

use std::path::{Path, PathBuf};

use podbell::engine::Renderer;
use podbell_core::outbox::SendContent;
use podbell_core::rule::Destination;
use podbell_core::time::Time;

/// How many services a namespace has.
pub const PER_NAMESPACE: usize = 100;

/// The name of the `i`-th service.
pub fn service(i: usize) -> String {
    format!("svc-{i:05}")
}

/// Its namespace.
pub fn namespace_of(i: usize) -> String {
    format!("team-{:03}", i / PER_NAMESPACE)
}

/// A file of the tests.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The middle one.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Renders a body like a webhook's: the notices as JSON.
pub struct Whole;

impl Renderer for Whole {
    fn render(&self, _: &Destination, parcel: &SendContent<'_>, id: &str, _: Time) -> Vec<u8> {
        serde_json::to_vec(&(id, parcel.notices)).unwrap()
    }
}
