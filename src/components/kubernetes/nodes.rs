//! The signals of nodes, from a watch of their status. Without the right to read nodes, only these signals are missing:
//! events tell of nodes, too.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};

use super::KubernetesConfig;
use super::api::Api;
use super::fault::FaultKind;
use super::follow::{Follower, WatchEvent};
use super::object::Object;
use super::resource::Resource;
use super::signals::{self, Signals};
use crate::clock;
use crate::sources::SourceEvent;
use podbell_core::source::ObjectName;

/// Watches the nodes of a cluster.
pub(super) struct NodeWatch {
    /// The source.
    pub config: Arc<KubernetesConfig>,
    /// Its API server.
    pub api: Arc<Api>,
    /// Turns true once the first list is there, or cannot be had.
    pub listed: watch::Sender<bool>,
    /// Hears of deleted nodes.
    pub events: mpsc::Sender<SourceEvent>,
    /// Takes what their conditions say.
    pub signals: Signals,
}

/// Runs the watch for as long as it is polled.
pub(super) async fn keep(watch: NodeWatch) {
    let mut follower = Follower::new(watch.api.clone(), watch.config.clone(), Resource::Nodes, None);
    let mut reporter = NodeReporter { watch, known: HashSet::new(), shown: HashSet::new(), is_refused: false };
    loop {
        match follower.next().await {
            WatchEvent::Page { items, last } => reporter.page(&items, last).await,
            WatchEvent::ListsAgain => reporter.shown.clear(),
            WatchEvent::Changed(object) => reporter.changed(&object),
            WatchEvent::Deleted(object) => {
                if let Some(name) = read(&object) {
                    reporter.deleted(vec![name]).await;
                }
            }
            WatchEvent::Opened | WatchEvent::Heard(_) => {}
            WatchEvent::Failed(fault) => {
                reporter.watch.listed.send_replace(true);
                if fault.kind == FaultKind::Refused {
                    if !std::mem::replace(&mut reporter.is_refused, true) {
                        let (source, code, text) = (&reporter.watch.config.name, &fault.error.code, &fault.error.text);
                        tracing::info!(%source, resource = "nodes", code, text,
                            "cannot be read: only events tell of nodes");
                    }
                    // The operator has to fix that: no hurry.
                    tokio::time::sleep(reporter.watch.config.timing.longest_pause).await;
                }
            }
        }
    }
}

struct NodeReporter {
    watch: NodeWatch,
    known: HashSet<String>,
    /// What the current list has shown so far.
    shown: HashSet<String>,
    /// Whether the account may not read them, which is logged once.
    is_refused: bool,
}

impl NodeReporter {
    async fn page(&mut self, items: &[Box<RawValue>], last: bool) {
        for item in items {
            self.changed(item);
            self.shown.extend(read(item));
        }
        if last {
            let shown = std::mem::take(&mut self.shown);
            let gone: Vec<String> = self.known.iter().filter(|name| !shown.contains(*name)).cloned().collect();
            self.deleted(gone).await;
            self.is_refused = false;
            self.watch.listed.send_replace(true);
        }
    }

    fn changed(&mut self, object: &RawValue) {
        if let Some(name) = read(object) {
            let (key, signals) = (signals::key("Node", "", &name), signals::of_node(object.get()));
            self.watch.signals.put(&key, signals, self.watch.config.event_ttl, clock::now());
            self.known.insert(name);
        }
    }

    async fn deleted(&mut self, names: Vec<String>) {
        for name in &names {
            self.known.remove(name);
            let key = signals::key("Node", "", name);
            self.watch.signals.put(&key, Vec::new(), self.watch.config.event_ttl, clock::now());
        }
        let object = |name| ObjectName { namespace: String::new(), kind: "Node".to_owned(), name };
        let objects: Vec<ObjectName> = names.into_iter().map(object).collect();
        if !objects.is_empty() {
            let event = SourceEvent::Deleted { source: self.watch.config.name.clone(), at: clock::now(), objects };
            // The receiver is gone only when the process ends.
            let _ = self.watch.events.send(event).await;
        }
    }
}

/// The name of a node.
fn read(object: &RawValue) -> Option<String> {
    let object: Object = serde_json::from_str(object.get()).ok()?;
    Some(object.metadata.name).filter(|name| !name.is_empty())
}
