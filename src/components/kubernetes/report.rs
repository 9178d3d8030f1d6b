//! Reports a watch of events to the engine: lists as whole lists, changes in batches, and until when nothing was
//! missed.
//!
//! Waits for room before it sends anything: when the store is slow, the watch is not read on, and the server waits.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout};

use super::api::{Api, PAGE};
use super::event::{self, KubeEvent};
use super::follow::{Follower, WatchEvent};
use super::live::Live;
use super::owners::SharedOwners;
use super::resource::Resource;
use super::signals::{Change, Signals};
use super::{KubernetesConfig, place};
use crate::clock;
use crate::sources::SourceEvent;
use crate::sources::receipt::Counter;
use podbell_core::backoff::doubled;
use podbell_core::event::{Event, Target};
use podbell_core::series::EpisodeKey;
use podbell_core::source::{PartialObservation, WatchCoverage};
use podbell_core::time::Time;

/// The most events of a batch.
const BATCH: usize = PAGE as usize;
/// How long the first list of events waits for the lists of pods and their owners.
const OWNERS_WAIT: Duration = Duration::from_secs(15);
/// How often a busy watch reports that nothing was missed.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// A store that took everything for this long works again.
const CALM: Duration = Duration::from_secs(300);

/// The receiver is gone: podbell is shutting down.
struct ReceiverClosed;

/// A change that waits for others to form a batch.
enum Waiting {
    Changed(KubeEvent),
    Deleted(KubeEvent),
}

struct Reporter {
    config: Arc<KubernetesConfig>,
    covers: WatchCoverage,
    owners: SharedOwners,
    signals: Signals,
    out: mpsc::Sender<SourceEvent>,
    counter: Counter,
    live: Live,
    targets: HashSet<Arc<Target>>,
    waiting: Vec<Waiting>,
    /// When the waiting changes must be sent.
    flush_at: Option<Instant>,
    /// When to report that nothing was missed.
    say_at: Option<Instant>,
    said: Option<Instant>,
    /// What the current list has shown so far.
    list: Lists,
    list_began: Option<Time>,
    unread: u64,
    losses: u32,
    lost_at: Option<Instant>,
}

/// What lists hold of their targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListKind {
    /// All that there is.
    Whole,
    /// What changed.
    Changes,
}

/// Events by target, each episode once.
#[derive(Default)]
struct Lists {
    by_target: HashMap<Arc<Target>, List>,
}

#[derive(Default)]
struct List {
    events: Vec<Event<'static>>,
    at: HashMap<EpisodeKey, usize>,
    gone: Vec<Event<'static>>,
}

impl Lists {
    fn put(&mut self, target: Arc<Target>, episode: EpisodeKey, event: Event<'static>) {
        let list = self.by_target.entry(target).or_default();
        match list.at.get(&episode).and_then(|at| list.events.get_mut(*at)) {
            Some(known) => *known = event,
            None => {
                list.at.insert(episode, list.events.len());
                list.events.push(event);
            }
        }
    }
}

/// What the events of one namespace, or of all, are reported with.
pub(super) struct EventWatch {
    /// The source.
    pub config: Arc<KubernetesConfig>,
    /// Its API server.
    pub api: Arc<Api>,
    /// What is watched.
    pub covers: WatchCoverage,
    /// What tells their services.
    pub owners: SharedOwners,
    /// What is shown beside them.
    pub signals: Signals,
    /// Turn true once everything else is listed.
    pub ready: Vec<watch::Receiver<bool>>,
    /// Hears of them.
    pub out: mpsc::Sender<SourceEvent>,
}

/// Watches events. Ends when nobody listens.
pub(super) async fn report(watch: EventWatch) {
    let EventWatch { config, api, covers, owners, signals, ready, out } = watch;
    let known = async {
        for mut listed in ready {
            // A dropped sender means that podbell is shutting down.
            let _ = listed.wait_for(|listed| *listed).await;
        }
    };
    // Whatever is not known by then is derived from names.
    let _ = timeout(OWNERS_WAIT, known).await;
    let mut follower = Follower::new(api, config.clone(), Resource::Events, covers.namespace.clone());
    let mut reporter = Reporter {
        config,
        covers,
        owners,
        signals,
        out,
        counter: Counter::default(),
        live: Live::default(),
        targets: HashSet::new(),
        waiting: Vec::new(),
        flush_at: None,
        say_at: None,
        said: None,
        list: Lists::default(),
        list_began: None,
        unread: 0,
        losses: 0,
        lost_at: None,
    };
    while reporter.turn(&mut follower).await.is_ok() {}
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

impl Reporter {
    async fn turn(&mut self, follower: &mut Follower) -> Result<(), ReceiverClosed> {
        let (counter, signals) = (self.counter.clone(), self.signals.clone());
        if follower.is_listing() {
            // A list is dated by its beginning: the watch will show what happens later.
            self.list_began.get_or_insert_with(clock::now);
        }
        tokio::select! {
            biased;
            () = counter.lost() => {
                let pause = self.pause_after_loss();
                tracing::info!(source = %self.config.name, "what was seen could not be stored; it is listed again");
                self.start_over();
                follower.list_again(pause);
                Ok(())
            }
            () = at(self.flush_at) => self.flush(follower.caught_up()).await,
            // Until a list is complete, it will show them.
            () = signals.changed(), if follower.is_watching() => {
                let caught_up = follower.caught_up();
                self.signals_changed(caught_up).await
            }
            happening = follower.next() => {
                let caught_up = follower.caught_up();
                self.take(happening, caught_up).await
            }
            // Last, so that what has already come is taken in first.
            () = at(self.say_at), if self.flush_at.is_none() => {
                self.say_at = None;
                // If the watch has ended meanwhile, the next one will report it.
                if follower.is_watching() { self.say(clock::now()).await } else { Ok(()) }
            }
        }
    }

    /// Lists are expensive: they get rarer while the store does not work.
    fn pause_after_loss(&mut self) -> Duration {
        let now = clock::monotonic();
        if self.lost_at.is_none_or(|last| now.duration_since(last) > CALM) {
            self.losses = 0;
        }
        self.lost_at = Some(now);
        self.losses = (self.losses + 1).min(7);
        doubled(self.config.timing.first_pause, self.losses, Duration::MAX)
    }

    fn start_over(&mut self) {
        self.waiting.clear();
        (self.flush_at, self.say_at, self.list_began) = (None, None, None);
        self.list = Lists::default();
    }

    async fn take(&mut self, happening: WatchEvent, caught_up: Option<Time>) -> Result<(), ReceiverClosed> {
        match happening {
            WatchEvent::Page { items, last } => self.page(items, last).await,
            WatchEvent::ListsAgain => {
                self.flush(None).await?;
                self.start_over();
                Ok(())
            }
            WatchEvent::Opened => {
                self.say_at = Some(clock::monotonic() + self.config.timing.settled);
                Ok(())
            }
            WatchEvent::Changed(object) => self.wait(&object, Waiting::Changed, caught_up).await,
            WatchEvent::Deleted(object) => self.wait(&object, Waiting::Deleted, caught_up).await,
            WatchEvent::Heard(until) => {
                self.flush(None).await?;
                self.say(until).await
            }
            WatchEvent::Failed(fault) => {
                self.flush(None).await?;
                self.say_at = None;
                if self.list.by_target.is_empty() {
                    // The list has not begun, so its date is set when it does.
                    self.list_began = None;
                }
                tracing::debug!(source = %self.config.name, code = fault.error.code, text = fault.error.text, "a watch failed");
                let (covers, at, error) = (self.covers.clone(), clock::now(), fault.error);
                self.send(SourceEvent::WatchFailed { covers, at, error }).await
            }
        }
    }

    async fn page(&mut self, items: Vec<Box<RawValue>>, last: bool) -> Result<(), ReceiverClosed> {
        if self.list.by_target.is_empty() {
            self.live.list_begins();
        }
        for item in items {
            if let Some(event) = self.read(&item) {
                let (target, episode, event) = self.place(event);
                self.list.put(target, episode, event);
            }
        }
        if !last {
            return Ok(());
        }
        for signal in self.signals.all(self.config.event_ttl, clock::now()) {
            let (target, episode, event) = self.place(signal);
            self.list.put(target, episode, event);
        }
        self.live.list_ends();
        let began = self.list_began.take().unwrap_or_else(clock::now);
        let lists = std::mem::take(&mut self.list);
        let shown: Vec<Target> = lists.by_target.keys().map(|target| (**target).clone()).collect();
        self.hand_in(lists, ListKind::Whole, began).await?;
        let Some(receipt) = self.counter.receipt(1).await else { return Err(ReceiverClosed) };
        self.send(SourceEvent::ListCompleted { covers: self.covers.clone(), at: began, shown, receipt }).await?;
        self.said = Some(clock::monotonic());
        // Drop targets that nothing else refers to.
        self.targets.retain(|target| Arc::strong_count(target) > 1);
        self.targets.shrink_to_fit();
        Ok(())
    }

    /// Signals wait with the events for a batch.
    async fn signals_changed(&mut self, caught_up: Option<Time>) -> Result<(), ReceiverClosed> {
        for change in self.signals.news(clock::now()) {
            let change = match change {
                Change::New(signal) => Waiting::Changed(signal),
                Change::Gone(signal) => Waiting::Deleted(signal),
            };
            self.add(change, caught_up).await?;
        }
        Ok(())
    }

    async fn wait(
        &mut self,
        object: &RawValue,
        change: impl Fn(KubeEvent) -> Waiting,
        caught_up: Option<Time>,
    ) -> Result<(), ReceiverClosed> {
        match self.read(object) {
            Some(event) => self.add(change(event), caught_up).await,
            None => Ok(()),
        }
    }

    async fn add(&mut self, change: Waiting, caught_up: Option<Time>) -> Result<(), ReceiverClosed> {
        self.waiting.push(change);
        // What a broken watch missed is still coming: a bookmark, or a quiet moment, ends it.
        if let Some(at) = &mut self.say_at {
            *at = clock::monotonic() + self.config.timing.settled;
        }
        if self.waiting.len() >= BATCH {
            return self.flush(caught_up).await;
        }
        // A pod's own watch may be a moment behind the watch of its events.
        let gather = self.config.timing.gather;
        self.flush_at.get_or_insert_with(|| clock::monotonic() + gather);
        Ok(())
    }

    /// Sends the waiting changes, and now and then reports that nothing was missed until `caught_up`.
    async fn flush(&mut self, caught_up: Option<Time>) -> Result<(), ReceiverClosed> {
        self.flush_at = None;
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut lists = Lists::default();
        for change in std::mem::take(&mut self.waiting) {
            match change {
                Waiting::Changed(event) => {
                    let (target, episode, event) = self.place(event);
                    lists.put(target, episode, event);
                }
                Waiting::Deleted(event) => {
                    if let Some(target) = self.live.remove(event.id) {
                        lists.by_target.entry(target).or_default().gone.push(event.event);
                    }
                }
            }
        }
        self.hand_in(lists, ListKind::Changes, clock::now()).await?;
        let due = self.say_at.is_none() && self.said.is_none_or(|said| said.elapsed() >= SAY_EVERY);
        match caught_up.filter(|_| due) {
            Some(until) => self.say(until).await,
            None => Ok(()),
        }
    }

    /// Sends what was seen, a batch at a time; a target's whole list is never split.
    async fn hand_in(&mut self, lists: Lists, kind: ListKind, at: Time) -> Result<(), ReceiverClosed> {
        let (mut batch, mut size) = (Vec::new(), 0);
        let mut all = lists.by_target.into_iter().peekable();
        while let Some((target, list)) = all.next() {
            size += list.events.len() + list.gone.len();
            batch.push(PartialObservation { target: (*target).clone(), events: list.events, gone: list.gone });
            if size >= BATCH || all.peek().is_none() {
                let Some(receipt) = self.counter.receipt(size).await else { return Err(ReceiverClosed) };
                let (whole, lists) = (kind == ListKind::Whole, std::mem::take(&mut batch));
                self.send(SourceEvent::PartialObservation { at, whole, lists, receipt }).await?;
                size = 0;
            }
        }
        Ok(())
    }

    /// Reports that nothing was missed until then.
    async fn say(&mut self, until: Time) -> Result<(), ReceiverClosed> {
        self.say_at = None;
        self.said = Some(clock::monotonic());
        let receipt = self.counter.mark();
        self.send(SourceEvent::WatchProgress { covers: self.covers.clone(), at: until, receipt }).await
    }

    fn read(&mut self, object: &RawValue) -> Option<KubeEvent> {
        let read = event::read(object.get());
        if read.is_none() {
            self.unread += 1;
            if self.unread.is_power_of_two() {
                tracing::warn!(source = %self.config.name, all = self.unread, "an event could not be understood; it is left out");
            }
        }
        read
    }

    /// The target of an event, which never changes, and its episode with the current sums.
    fn place(&mut self, mut event: KubeEvent) -> (Arc<Target>, EpisodeKey, Event<'static>) {
        if event.event.node.is_none() && event.event.obj_type == "Pod" {
            let node = self.owners.ask(|owners| owners.node(&event.object_namespace, &event.event.obj_name));
            event.event.node = node.map(|node| node.to_string().into());
        }
        let target = self.live.target(event.id).unwrap_or_else(|| {
            let (mut namespace, service) = self.owners.ask(|owners| place::of(&event, owners));
            // Keep the namespace of the watch that sees the event: only this watch can say that nothing was missed.
            if namespace.is_empty() && self.covers.namespace.as_deref().is_some_and(|own| own != "default") {
                namespace = &event.namespace;
            }
            let target = Target {
                source: self.config.name.clone(),
                cluster: self.config.cluster.clone(),
                namespace: namespace.into(),
                service,
            };
            match self.targets.get(&target) {
                Some(known) => known.clone(),
                None => {
                    let target = Arc::new(target);
                    self.targets.insert(target.clone());
                    target
                }
            }
        });
        let metadata = {
            let (kind, name) = (&*event.event.obj_type, &*event.event.obj_name);
            self.owners.ask(|owners| owners.metadata(kind, &event.object_namespace, name))
        };
        let (episode, event) = self.live.put(event, target.clone());
        (target, episode, Event { metadata, ..event })
    }

    async fn send(&self, event: SourceEvent) -> Result<(), ReceiverClosed> {
        self.out.send(event).await.map_err(|_| ReceiverClosed)
    }
}
