//! Lists and watches one resource for ever. Failures are reported like everything else, and never end it: the watch
//! is resumed where it broke, and when the server no longer knows that version, everything is listed again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::time::{sleep_until, timeout};

use super::api::{Api, Line, Lines, WatchStart};
use super::fault::{Fault, FaultKind};
use super::resource::Resource;
use super::{KubernetesConfig, object};
use crate::clock;
use podbell_core::backoff::{doubled, jittered};
use podbell_core::time::Time;

/// How much longer than requested the server may keep a watch open.
const GRACE: Duration = Duration::from_secs(15);
/// A watch that ends sooner, without a line, has failed.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long a watch-list may be silent at its beginning: servers before 1.27 do not know it.
const INITIAL: Duration = Duration::from_secs(30);
/// After a longer outage everything is listed: servers remember about five minutes, and one that was restored from
/// a backup meanwhile may have counted past our version.
const OUTAGE: Duration = Duration::from_secs(300);

/// What happened.
#[derive(Debug)]
pub(crate) enum WatchEvent {
    /// A part of the whole list. With the last part a watch begins.
    Page {
        /// Objects.
        items: Vec<Box<RawValue>>,
        /// Whether that was all.
        last: bool,
    },
    /// The parts listed so far are void: the list starts again.
    ListsAgain,
    /// A watch began; changes since the last one follow.
    Opened,
    /// An object is new or changed.
    Changed(Box<RawValue>),
    /// An object was deleted.
    Deleted(Box<RawValue>),
    /// Nothing was missed until then.
    Heard(Time),
    /// It did not work, and is tried again.
    Failed(Fault),
}

enum State {
    Listing { more: Option<String> },
    Streaming { lines: Lines, held: Vec<Box<RawValue>> },
    Opening,
    Watching { lines: Lines, opened: Instant, got: bool },
}

/// See the module.
pub(crate) struct Follower {
    api: Arc<Api>,
    config: Arc<KubernetesConfig>,
    resource: Resource,
    namespace: Option<Arc<str>>,
    state: State,
    version: String,
    watch_list: bool,
    failures: u32,
    not_before: Option<Instant>,
    /// Since when there was no watch: the server may have been restored meanwhile.
    cut: Option<Instant>,
    /// A part of a list was reported that the next list does not continue.
    half: bool,
}

impl Follower {
    /// Follows one resource; `namespace` is `None` for all of them.
    pub(crate) fn new(
        api: Arc<Api>,
        config: Arc<KubernetesConfig>,
        resource: Resource,
        namespace: Option<Arc<str>>,
    ) -> Self {
        Self {
            api,
            resource,
            namespace,
            state: State::Listing { more: None },
            version: String::new(),
            watch_list: config.watch_list,
            config,
            failures: 0,
            not_before: None,
            cut: None,
            half: false,
        }
    }

    /// Lists everything again, after a pause.
    pub(crate) fn list_again(&mut self, after: Duration) {
        self.state = State::Listing { more: None };
        self.not_before = Some(clock::monotonic() + after);
    }

    /// Whether it is listing, or is about to.
    pub(crate) fn is_listing(&self) -> bool {
        matches!(self.state, State::Listing { .. } | State::Streaming { .. })
    }

    /// Whether a watch is open.
    pub(crate) fn is_watching(&self) -> bool {
        matches!(self.state, State::Watching { .. })
    }

    /// Until when everything that the server sent was taken in, while a watch is open.
    pub(crate) fn caught_up(&self) -> Option<Time> {
        if let State::Watching { lines, .. } = &self.state { Some(lines.caught_up()) } else { None }
    }

    /// The next thing that happens. Cancel-safe: at worst a request is made twice.
    pub(crate) async fn next(&mut self) -> WatchEvent {
        loop {
            if let Some(until) = self.not_before {
                sleep_until(until.into()).await;
                self.not_before = None;
            }
            if std::mem::take(&mut self.half) {
                return WatchEvent::ListsAgain;
            }
            let happened = match &mut self.state {
                State::Listing { more: None } if self.watch_list => self.open_streaming().await,
                State::Listing { .. } => self.list().await,
                State::Streaming { .. } => self.stream().await,
                State::Opening => self.open().await,
                State::Watching { .. } => self.watch().await,
            };
            if let Some(happened) = happened {
                return happened;
            }
        }
    }

    async fn list(&mut self) -> Option<WatchEvent> {
        let State::Listing { more } = &self.state else { return None };
        let again = more.is_some();
        let page = match self.api.list(self.resource, self.namespace.as_deref(), more.as_deref()).await {
            Ok(page) => page,
            Err(fault) if fault.kind == FaultKind::Expired && again => {
                // The remaining pages belong to a list that the server has forgotten.
                self.state = State::Listing { more: None };
                self.pause(fault.retry_after);
                return Some(WatchEvent::ListsAgain);
            }
            Err(fault) => return Some(self.failed(fault)),
        };
        let last = page.more.is_none();
        if last {
            self.version = page.version;
            self.cut = None;
            self.state = State::Opening;
        } else {
            self.state = State::Listing { more: page.more };
        }
        Some(WatchEvent::Page { items: page.items, last })
    }

    async fn open_streaming(&mut self) -> Option<WatchEvent> {
        match self.api.watch(self.resource, self.namespace.as_deref(), WatchStart::Initial).await {
            Ok(lines) => self.state = State::Streaming { lines, held: Vec::new() },
            Err(fault) if fault.kind == FaultKind::NotUnderstood => {
                tracing::info!(
                    resource = self.resource.name(),
                    "the API server has no watch-list; listing page by page"
                );
                self.watch_list = false;
            }
            Err(fault) => return Some(self.failed(fault)),
        }
        None
    }

    async fn stream(&mut self) -> Option<WatchEvent> {
        let State::Streaming { lines, held } = &mut self.state else { return None };
        match timeout(INITIAL.min(self.config.timing.watch_for + GRACE), lines.next()).await {
            Ok(Ok(Some(Line::Changed(object)))) => {
                held.push(object);
                (held.len() >= super::api::PAGE as usize)
                    .then(|| WatchEvent::Page { items: std::mem::take(held), last: false })
            }
            Ok(Ok(Some(Line::Bookmark { version, ends_initial: true }))) => {
                let items = std::mem::take(held);
                self.version = version;
                (self.failures, self.cut) = (0, None);
                let State::Streaming { lines, .. } = std::mem::replace(&mut self.state, State::Opening) else {
                    return None;
                };
                self.state = State::Watching { lines, opened: clock::monotonic(), got: true };
                Some(WatchEvent::Page { items, last: true })
            }
            // An object deleted while it was listed, or a bookmark before the end.
            Ok(Ok(Some(Line::Deleted(_) | Line::Bookmark { .. }))) => None,
            Ok(Ok(Some(Line::Failed(fault)))) | Ok(Err(fault)) => {
                self.state = State::Listing { more: None };
                self.pause(fault.retry_after);
                self.half = true;
                (fault.kind != FaultKind::Expired).then_some(WatchEvent::Failed(fault))
            }
            Ok(Ok(None)) | Err(_) => {
                tracing::info!(
                    resource = self.resource.name(),
                    "the API server ended no watch-list; listing page by page"
                );
                self.watch_list = false;
                self.state = State::Listing { more: None };
                Some(WatchEvent::ListsAgain)
            }
        }
    }

    async fn open(&mut self) -> Option<WatchEvent> {
        if let Some(cut) = self.cut {
            match self.went_back(cut).await {
                Ok(false) => self.cut = None,
                Ok(true) => {
                    self.state = State::Listing { more: None };
                    return Some(WatchEvent::ListsAgain);
                }
                Err(fault) => return Some(self.failed(fault)),
            }
        }
        match self.api.watch(self.resource, self.namespace.as_deref(), WatchStart::Version(&self.version)).await {
            Ok(lines) => {
                self.state = State::Watching { lines, opened: clock::monotonic(), got: false };
                Some(WatchEvent::Opened)
            }
            Err(fault) => Some(self.failed(fault)),
        }
    }

    async fn watch(&mut self) -> Option<WatchEvent> {
        let lasts = self.resource.watch_for(&self.config);
        let State::Watching { lines, opened, got } = &mut self.state else { return None };
        let (opened, heard) = (*opened, *got);
        let left = (opened + lasts + GRACE).saturating_duration_since(clock::monotonic());
        match timeout(left, lines.next()).await {
            Ok(Err(fault)) if fault.is_nonsense() => {
                // Resuming at the same version would bring the same line again.
                self.state = State::Listing { more: None };
                Some(self.failed(fault))
            }
            Ok(Ok(Some(Line::Failed(fault)))) | Ok(Err(fault)) => Some(self.failed(fault)),
            Ok(Ok(Some(line))) => {
                *got = true;
                self.failures = 0;
                let caught_up = lines.caught_up();
                Some(match line {
                    Line::Bookmark { version, .. } => {
                        self.version = version;
                        WatchEvent::Heard(caught_up)
                    }
                    Line::Changed(object) => {
                        self.moved_to(&object);
                        WatchEvent::Changed(object)
                    }
                    Line::Deleted(object) => {
                        self.moved_to(&object);
                        WatchEvent::Deleted(object)
                    }
                    Line::Failed(fault) => WatchEvent::Failed(fault),
                })
            }
            Ok(Ok(None)) if !heard && opened.elapsed() < AT_ONCE => Some(self.failed(Fault::closed())),
            Ok(Ok(None)) => {
                // A normal end after enough time: everything until then has come.
                let orderly = opened.elapsed() >= lasts / 2;
                let caught_up = lines.caught_up();
                self.failures = 0;
                self.state = State::Opening;
                orderly.then_some(WatchEvent::Heard(caught_up))
            }
            Err(_) => Some(self.failed(Fault::silent())),
        }
    }

    /// Whether the server's present version lies, or may lie, behind ours. A watch from ours would then be silent
    /// until the server has caught up. Called after a broken watch: a cluster that is restored from a backup
    /// continues at an older version.
    ///
    /// Versions are compared as numbers, as API servers and their clients have come to do
    /// (Kubernetes enhancement 5504).
    async fn went_back(&mut self, cut: Instant) -> Result<bool, Fault> {
        if cut.elapsed() > OUTAGE {
            return Ok(true);
        }
        let present = self.api.version(self.resource, self.namespace.as_deref()).await?;
        let number = |version: &str| version.parse::<u128>().ok();
        let back = number(&present).zip(number(&self.version)).is_some_and(|(present, ours)| present < ours);
        if back {
            tracing::warn!(
                resource = self.resource.name(),
                present,
                ours = self.version,
                "the API server is at an older version than before; everything is listed"
            );
        }
        Ok(back)
    }

    fn moved_to(&mut self, object: &RawValue) {
        if let Some(version) = object::version(object) {
            self.version = version;
        }
    }

    /// Sets the next state, and the pause before it.
    fn failed(&mut self, fault: Fault) -> WatchEvent {
        if !self.is_listing() {
            self.state = State::Opening;
            self.cut.get_or_insert_with(clock::monotonic);
        }
        if fault.kind == FaultKind::Expired {
            self.state = State::Listing { more: None };
            // Nothing is wrong: the watch was quiet for longer than the server remembers.
            if self.failures == 0 {
                self.failures = 1;
                return WatchEvent::ListsAgain;
            }
            self.pause(fault.retry_after);
            return WatchEvent::ListsAgain;
        }
        self.pause(fault.retry_after);
        WatchEvent::Failed(fault)
    }

    /// Doubles the pause each time, and picks between half and all of it; never shorter than the server's
    /// `Retry-After`.
    fn pause(&mut self, retry_after: Option<Duration>) {
        let timing = &self.config.timing;
        let pause = jittered(doubled(timing.first_pause, self.failures, timing.longest_pause), rand::random());
        self.failures = (self.failures + 1).min(16);
        self.not_before = Some(clock::monotonic() + pause.max(retry_after.unwrap_or_default()));
    }
}
