//! Exports what podbell sees and says as logs of OpenTelemetry (OTLP over HTTP, protobuf).
//!
//! Nobody waits for it: the engine puts what it committed into a bounded queue, and what finds the queue full is dropped
//! and counted. What it owns: the queue, batches, retries. What a record says is in [`records`].

mod examine;
mod post;
mod records;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::HeaderName;
use futures_util::future::BoxFuture;
use prost::Message as _;
use secrecy::SecretString;
use tokio::sync::mpsc;
use url::Url;

use self::post::ExportOutcome;
use crate::clock;
use podbell_core::backoff::{doubled, jittered};
use podbell_core::notice::Notice;
use podbell_core::step::decision::Decision;

pub(crate) use self::examine::examine;

/// How many records may wait. Of the longest ones, these are some 20 MB.
const QUEUE: usize = 4096;
/// How many records share a request.
const BATCH: usize = 512;
/// How long a record waits for others to share its request.
const GATHER: Duration = Duration::from_secs(1);
/// The wait before the second attempt; each later one is twice as long, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait that podbell chooses by itself.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The longest wait that a collector may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// Where records go.
#[derive(Clone)]
pub struct Collector {
    url: Url,
    headers: Vec<(HeaderName, SecretString)>,
}

impl Collector {
    /// One at this base address, to which the path of logs is added, as for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) fn new(mut endpoint: Url, headers: Vec<(HeaderName, SecretString)>) -> Self {
        let path = format!("{}/v1/logs", endpoint.path().trim_end_matches('/'));
        endpoint.set_path(&path);
        Self { url: endpoint, headers }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    failed_requests: AtomicU64,
}

impl Counts {
    /// Records that the collector took.
    pub fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Records that found the queue full, or were left when podbell ended.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Records that the collector refused for good.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Requests that are repeated because the collector was not reached or asked to wait.
    pub fn failed_requests(&self) -> u64 {
        self.failed_requests.load(Ordering::Relaxed)
    }
}

fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

/// What becomes a record.
#[derive(Debug)]
enum Exported {
    Change(Box<Decision>),
    Notice(Box<Notice>),
}

/// The end of the queue that the engine has. The exporter ends when all copies are dropped.
#[derive(Clone, Debug)]
pub struct Outlet {
    queue: mpsc::Sender<Exported>,
    counts: Arc<Counts>,
}

impl Outlet {
    /// Puts what was committed into the queue, and never waits.
    pub(crate) fn offer(&self, changes: Vec<Decision>, notices: &[Notice]) {
        let changes = changes.into_iter().map(|change| Exported::Change(Box::new(change)));
        let notices = notices.iter().map(|notice| Exported::Notice(Box::new(notice.clone())));
        for one in changes.chain(notices) {
            if self.queue.try_send(one).is_err() {
                add(&self.counts.dropped, 1);
            }
        }
    }
}

/// An exporter that is not running yet: what the engine feeds, and the task that ends after it.
pub struct Exporter {
    /// What the engine feeds.
    pub outlet: Outlet,
    /// Ends when the outlet is dropped and the rest is exported. It may be cut off: [`Counts`] does not see what is lost then.
    pub task: BoxFuture<'static, ()>,
}

/// An exporter to a collector.
pub fn exporter(collector: Collector, client: reqwest::Client) -> (Exporter, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let (queue, waiting) = mpsc::channel(QUEUE);
    let task = Task { collector, client, waiting, counts: counts.clone(), failing: false };
    let outlet = Outlet { queue, counts: counts.clone() };
    (Exporter { outlet, task: Box::pin(task.run()) }, counts)
}

struct Task {
    collector: Collector,
    client: reqwest::Client,
    waiting: mpsc::Receiver<Exported>,
    counts: Arc<Counts>,
    failing: bool,
}

impl Task {
    async fn run(mut self) {
        loop {
            let batch = self.gather().await;
            if batch.is_empty() {
                return;
            }
            let body = records::request(&batch).encode_to_vec();
            self.export(body, batch.len()).await;
        }
    }

    /// The next batch; empty once nothing can come any more.
    async fn gather(&mut self) -> Vec<Exported> {
        let mut batch = Vec::new();
        if self.waiting.recv_many(&mut batch, BATCH).await == 0 {
            return batch;
        }
        let fill = async {
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                if self.waiting.recv_many(&mut batch, room).await == 0 {
                    return;
                }
            }
        };
        // At the end of the time the batch is as full as it is.
        let _ = tokio::time::timeout(GATHER, fill).await;
        batch
    }

    /// Posts a batch until the collector takes or refuses it.
    async fn export(&mut self, body: Vec<u8>, records: usize) {
        let mut wait = FIRST_WAIT;
        loop {
            match post::post(&self.client, &self.collector, body.clone(), clock::now()).await {
                ExportOutcome::Taken { rejected } => {
                    let rejected = rejected.min(records);
                    add(&self.counts.exported, records - rejected);
                    add(&self.counts.refused, rejected);
                    if rejected > 0 {
                        tracing::warn!(rejected, "the OTLP collector took a batch without some of its records");
                    }
                    if std::mem::replace(&mut self.failing, false) {
                        tracing::info!("the OTLP collector takes records again");
                    }
                    return;
                }
                ExportOutcome::Refused { why } => {
                    add(&self.counts.refused, records);
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(why, "the OTLP collector refuses records; they are dropped");
                    }
                    return;
                }
                ExportOutcome::Again { after, why } => {
                    add(&self.counts.failed_requests, 1);
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(why, "the OTLP collector does not take records; trying again");
                    }
                    let asked = after.unwrap_or_default().min(LONGEST_ASKED);
                    // Between half of it and all of it, so that many clients do not come back at once.
                    tokio::time::sleep(asked.max(jittered(wait, rand::random()))).await;
                    wait = doubled(wait, 1, LONGEST_WAIT);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podbell_core::message::sample::{self, Kind};
    use podbell_core::rule::Severity;

    #[test]
    fn what_finds_the_queue_full_is_dropped_and_counted() {
        crate::http::install_tls_provider();
        let collector = Collector::new("http://127.0.0.1:1/".parse().unwrap(), Vec::new());
        // The task is not run: as if the collector never answered.
        let (exporter, counts) = exporter(collector, reqwest::Client::new());
        let notice = sample::notice(Kind::Opened, &sample::story(), Severity::Warning, Vec::new());
        exporter.outlet.offer(Vec::new(), &vec![notice; QUEUE + 7]);
        assert_eq!(counts.dropped(), 7);
    }
}
