//! Platforms, made as podbell.yaml makes them.

use std::sync::Arc;

use podbell::config::load;
use podbell::notifiers::Notifier;
use podbell::settings::ProcessEnvironment;

/// The platform of an item of `notifiers:` with these keys, such as `kind: console`.
pub fn platform(keys: &str) -> Arc<dyn Notifier> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("podbell.yaml");
    let text = format!("sources: [{{name: f, kind: file, path: \"-\"}}]\nnotifiers: [{{name: n, {keys}}}]\n");
    std::fs::write(&path, &text).unwrap();
    let loaded = load(&path);
    assert!(!loaded.has_errors(), "{keys}: {:?}", loaded.diagnostics);
    let config = loaded.config.unwrap().resolve(&ProcessEnvironment).unwrap();
    config.notifiers[0].platform.clone()
}
