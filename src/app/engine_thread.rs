//! The engine's own thread: commits block, and nothing else may wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::clock::{self, Clocks};
use crate::engine::{Engine, EngineEvent, SendJob};
use crate::health::{self, Counted, HealthStatus, TurnRecord};
use crate::sources::SourceEvent;
use podbell_core::time::Time;
use podbell_store::crash_point;
use podbell_store::{ErrorKind, LeaseEnd, StoreError};

/// How many polls and answers share a commit at most.
const BATCH: usize = 256;
/// How long a poll waits for others to share its commit. At 167 polls a second, a commit for each costs more than
/// everything else together; nobody notices a fifth of a second between a poll and its notice.
const GATHER: Duration = Duration::from_millis(200);
/// How often the health numbers are renewed, and the longest wait between two turns.
const SECOND: Duration = Duration::from_secs(1);
/// Counting takes at most this fraction of a core. It visits every service and incident: six milliseconds for ten
/// thousand of each.
const COUNT_SHARE: u32 = 1_000;

/// The thread's handle.
pub(super) type EngineThread = JoinHandle<ThreadEnd>;

/// Why the thread ended.
pub(super) enum ThreadEnd {
    /// It was told to, and every answer is recorded.
    Drained,
    /// Another replica owns the store, or may own it.
    LeaseLost,
    /// The store is damaged or was replaced.
    Store(StoreError),
}

/// How the thread is told to end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    drain: AtomicBool,
    leave: AtomicBool,
}

impl Ending {
    /// It is to end when every answer is recorded.
    pub(super) fn drain(&self) {
        self.drain.store(true, Ordering::SeqCst);
    }

    /// It is to end now. What is in flight is repeated by whoever owns the store next.
    pub(super) fn leave(&self) {
        self.leave.store(true, Ordering::SeqCst);
    }

    fn is_draining(&self) -> bool {
        self.drain.load(Ordering::SeqCst)
    }
}

/// The thread's input channels.
pub(super) struct Inlets {
    /// Results of sends, user actions, reloaded rules, signals to read the inbox; taken in at once.
    pub(super) urgent: mpsc::Receiver<EngineEvent>,
    /// Events of sources.
    pub(super) seen: mpsc::Receiver<SourceEvent>,
}

impl Inlets {
    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.seen.is_empty()
    }
}

/// The thread's output channels.
pub(super) struct Outlets {
    /// Requests that may leave.
    pub(super) jobs: mpsc::UnboundedSender<SendJob>,
    /// Until when this process owns the store.
    pub(super) lease: watch::Sender<Option<LeaseEnd>>,
}

/// Starts the thread. It ends after `ending` says so and every answer is recorded, or when the store is lost.
pub(super) fn start(
    engine: Engine,
    inlets: Inlets,
    outlets: Outlets,
    health: Arc<HealthStatus>,
    ending: Arc<Ending>,
) -> EngineThread {
    let handle = Handle::current();
    let mut turns = Turns {
        engine,
        inlets,
        outlets,
        health,
        ending,
        handle,
        clocks: Clocks::start(),
        snapshot_at: None,
        counted: Counted::default(),
        counted_at: None,
        count_every: SECOND,
        failing: false,
    };
    std::thread::spawn(move || turns.run())
}

struct Turns {
    engine: Engine,
    inlets: Inlets,
    outlets: Outlets,
    health: Arc<HealthStatus>,
    ending: Arc<Ending>,
    handle: Handle,
    clocks: Clocks,
    snapshot_at: Option<Instant>,
    counted: Counted,
    counted_at: Option<Instant>,
    count_every: Duration,
    failing: bool,
}

impl Turns {
    fn run(&mut self) -> ThreadEnd {
        match self.turns() {
            Ok(()) => {
                let last = health::snapshot(&self.engine, health::count(&self.engine));
                self.record_turn(Some(last));
                self.engine.give_store_up();
                ThreadEnd::Drained
            }
            Err(end) => end,
        }
    }

    /// Makes turns until everything is drained.
    fn turns(&mut self) -> Result<(), ThreadEnd> {
        let mut closed = false;
        // Write something first, without waiting for sources: podbell is ready only then.
        self.turn(Vec::new())?;
        loop {
            let mut events = Vec::new();
            if !closed {
                closed = self.wait(&mut events);
            }
            self.turn(events)?;
            let draining = self.ending.is_draining();
            if draining {
                self.engine.claim_nothing_more();
            }
            let is_done = self.engine.in_flight() == 0 && self.inlets.is_empty();
            if (draining || closed) && is_done || self.ending.leave.load(Ordering::SeqCst) {
                return Ok(());
            }
        }
    }

    /// Waits for an event or a timer. Returns whether no event can come any more.
    fn wait(&mut self, events: &mut Vec<EngineEvent>) -> bool {
        if self.failing {
            // Retry a failing store after a second, whatever is due and whatever arrives.
            std::thread::sleep(SECOND);
        }
        let now = self.now();
        let wait = self.engine.next_wake(now).since(now).min(SECOND);
        let draining = self.ending.is_draining();
        let wait = if draining { wait.min(Duration::from_millis(20)) } else { wait };
        let Inlets { urgent, seen } = &mut self.inlets;
        let (hears, sees) = (may_speak(urgent), may_speak(seen));
        if !hears && !sees {
            return true;
        }
        let mut first = None;
        self.handle.block_on(async {
            tokio::select! {
                _ = urgent.recv_many(events, BATCH), if hears => {}
                event = seen.recv(), if sees => first = event,
                () = tokio::time::sleep(wait) => {}
            }
        });
        if let Some(event) = first {
            events.push(EngineEvent::Source(event));
            if !draining {
                self.gather(events);
            }
        }
        self.take_seen(events);
        false
    }

    /// Polls wait for more polls, and nothing else waits: a destination may be used again only once its answer is
    /// recorded, and people wait for a result. The thread does not wake for every poll, because that costs more than
    /// taking the poll in.
    fn gather(&mut self, events: &mut Vec<EngineEvent>) {
        let urgent = &mut self.inlets.urgent;
        if !may_speak(urgent) {
            return std::thread::sleep(GATHER);
        }
        let received = async { tokio::time::timeout(GATHER, urgent.recv_many(events, BATCH)).await };
        let _ = self.handle.block_on(received);
    }

    /// Takes in the events of sources that arrived meanwhile.
    fn take_seen(&mut self, events: &mut Vec<EngineEvent>) {
        while events.len() < BATCH
            && let Ok(event) = self.inlets.seen.try_recv()
        {
            events.push(EngineEvent::Source(event));
        }
        if events.iter().any(|one| matches!(one, EngineEvent::Source(_))) {
            crash_point!("poll.received");
        }
    }

    /// The current time. Tells the engine at once if the clock was set: otherwise the new time would be compared with
    /// times of the old clock.
    fn now(&mut self) -> Time {
        let (now, jump) = self.clocks.read();
        if !jump.is_none() {
            let (direction, seconds) = (if jump.is_back() { "back" } else { "forward" }, jump.length().as_secs());
            tracing::warn!(direction, seconds, "the clock was set; podbell's timers are moved by the same amount");
            self.engine.clock_set(jump, now);
        }
        now
    }

    /// Runs a turn.
    ///
    /// # Errors
    /// When another turn would not help.
    fn turn(&mut self, events: Vec<EngineEvent>) -> Result<(), ThreadEnd> {
        let answers = events.iter().any(|one| matches!(one, EngineEvent::Answered(..)));
        if answers {
            crash_point!("record.before");
        }
        let now = self.now();
        let (begun, commits) = (clock::monotonic(), self.engine.totals().commits);
        match self.engine.turn(events, now) {
            Ok(jobs) => {
                if answers {
                    crash_point!("record.after");
                }
                if self.failing {
                    tracing::info!("the store works again");
                }
                self.failing = false;
                self.outlets.lease.send_replace(self.engine.lease().map(|lease| lease.end));
                for job in jobs {
                    // The receiver is gone only when the period ends.
                    let _ = self.outlets.jobs.send(job);
                }
            }
            Err(error) => self.failed(error)?,
        }
        if !self.failing
            && let Err(error) = self.engine.keep_lease()
        {
            self.failed(error)?;
        }
        if self.engine.totals().commits > commits {
            self.health.observe_turn(begun.elapsed());
        }
        self.health.committed(self.engine.totals().commits);
        let over = |since: Option<Instant>, span| since.is_none_or(|since| since.elapsed() >= span);
        let fresh = over(self.snapshot_at, SECOND).then(|| {
            let begun = clock::monotonic();
            self.snapshot_at = Some(begun);
            if over(self.counted_at, self.count_every) {
                self.counted_at = Some(begun);
                self.counted = health::count(&self.engine);
                self.count_every = SECOND.max(begun.elapsed().saturating_mul(COUNT_SHARE));
            }
            health::snapshot(&self.engine, self.counted.clone())
        });
        let lease = self.engine.lease();
        self.outlets.lease.send_replace(lease.map(|lease| lease.end));
        self.record_turn(fresh);
        Ok(())
    }

    fn record_turn(&self, snapshot: Option<health::HealthSnapshot>) {
        let lease = self.engine.lease();
        self.health.record_turn(TurnRecord { store_works: !self.failing, lease, snapshot });
    }

    /// After a turn without effect: whether another one may have some.
    fn failed(&mut self, error: StoreError) -> Result<(), ThreadEnd> {
        if error.is_final() {
            return Err(ThreadEnd::Store(error));
        }
        if error.kind() == ErrorKind::LeaseLost || self.engine.lease().is_some_and(|lease| lease.left().is_zero()) {
            tracing::error!(%error, "this replica does not own the store any more; another one goes on");
            // Publish the totals once more, so that the metrics count a commit whose outcome stays unknown.
            let last = health::snapshot(&self.engine, self.counted.clone());
            let lease = self.engine.lease();
            self.health.record_turn(TurnRecord { store_works: false, lease, snapshot: Some(last) });
            return Err(ThreadEnd::LeaseLost);
        }
        if !self.failing {
            tracing::error!(%error, "the store cannot be written; until it can, polls are repeated and results of sends are kept");
        }
        self.failing = true;
        Ok(())
    }
}

/// Whether the channel holds a message or may still get one.
fn may_speak<T>(inlet: &mpsc::Receiver<T>) -> bool {
    !inlet.is_closed() || !inlet.is_empty()
}

/// Resolves when the thread has ended.
pub(super) async fn ended(thread: &EngineThread) {
    while !thread.is_finished() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Whether the thread ends within this time.
pub(super) async fn ends_within(thread: &EngineThread, patience: Duration) -> bool {
    let finished = async {
        while !thread.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(patience, finished).await.is_ok()
}
