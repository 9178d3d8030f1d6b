//! A source that watches, as the engine would hear it; and the current time as the API writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use podbell::clock;
use podbell::components::kubernetes::{self, KubernetesConfig, Timing};
use podbell::sources::{SourceEvent, WantedMetadata};
use podbell_core::source::Problem;
use podbell_core::time::Time;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rhythms for the impatient.
pub fn timing() -> Timing {
    Timing {
        watch_for: Duration::from_secs(5),
        gather: Duration::from_millis(50),
        settled: Duration::from_millis(200),
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(200),
        patience: Duration::from_secs(10),
        unavailable_after: Duration::from_millis(300),
    }
}

/// A running source, and what it says.
pub struct Watching {
    pub events: mpsc::Receiver<SourceEvent>,
    folder: TempDir,
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// By namespace/service, object and reason: what was read last.
    pub known: BTreeMap<(String, String), u64>,
    pub errors: Vec<Problem>,
    pub whole: usize,
    pub parts: usize,
}

impl Watching {
    /// Starts one with this kubeconfig.
    pub fn start(kubeconfig: &str, change: impl FnOnce(&mut KubernetesConfig)) -> Self {
        Self::start_with(kubeconfig, watch::channel(BTreeSet::new()).1, change)
    }

    /// The same, with rules that look at these labels and annotations.
    pub fn start_with(kubeconfig: &str, wanted: WantedMetadata, change: impl FnOnce(&mut KubernetesConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig).unwrap();
        let mut config = KubernetesConfig::new("prod");
        config.cluster = "c".into();
        config.kubeconfig = Some(folder.path().join("kubeconfig"));
        config.timing = timing();
        change(&mut config);
        let (sender, events) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let task = tokio::spawn(kubernetes::run(config, wanted, sender, stop.clone()));
        let (known, errors) = (BTreeMap::new(), Vec::new());
        Self { events, folder, stop, task, known, errors, whole: 0, parts: 0 }
    }

    /// Writes its kubeconfig anew.
    pub fn reconfigure(&self, kubeconfig: &str) {
        std::fs::write(self.folder().join("kubeconfig"), kubeconfig).unwrap();
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The next thing it says.
    pub async fn next(&mut self) -> SourceEvent {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        let event = event.unwrap_or_else(|_| panic!("nothing more; known {:?}, errors {:?}", self.known, self.errors));
        let event = event.expect("it runs");
        match &event {
            SourceEvent::PartialObservation { lists, whole, .. } => {
                for seen in lists {
                    self.whole += usize::from(*whole);
                    self.parts += usize::from(!*whole);
                    let place = format!("{}/{}", seen.target.namespace, seen.target.service);
                    for event in &seen.events {
                        self.known.insert((place.clone(), format!("{} {}", event.obj_name, event.reason)), event.count);
                    }
                }
            }
            SourceEvent::WatchFailed { error, .. } => self.errors.push(error.clone()),
            _ => {}
        }
        event
    }

    /// Listens until something is found.
    pub async fn until<T>(&mut self, mut find: impl FnMut(&Self, &SourceEvent) -> Option<T>) -> T {
        let end = clock::monotonic() + PATIENCE;
        loop {
            assert!(clock::monotonic() < end, "it does not happen; known {}, {:?}", self.known.len(), self.errors);
            let event = self.next().await;
            if let Some(found) = find(self, &event) {
                return found;
            }
        }
    }

    /// Listens until all lists were handed in.
    pub async fn swept(&mut self) {
        self.until(|_, event| matches!(event, SourceEvent::ListCompleted { .. }).then_some(())).await;
    }

    /// Listens until an event of an object reads like this.
    pub async fn reads(&mut self, place: &str, what: &str, count: u64) {
        let key = (place.to_owned(), what.to_owned());
        let end = clock::monotonic() + PATIENCE;
        while self.known.get(&key) != Some(&count) {
            assert!(clock::monotonic() < end, "{key:?} does not become {count}: {:?}", self.known);
            self.next().await;
        }
    }

    /// Stops it, in time.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.task).await.expect("it ends").unwrap();
    }
}

/// An instant as the API writes it.
pub fn rfc3339(time: Time) -> String {
    jiff::Timestamp::from_millisecond(time.millis() / 1000 * 1000).unwrap().to_string()
}

/// So many seconds ago.
pub fn ago(seconds: u64) -> String {
    rfc3339(clock::now().minus(Duration::from_secs(seconds)))
}
