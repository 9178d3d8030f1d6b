//! The dispatcher's plan, model-checked: whatever crashes, refusals, time-outs and newer notices
//! come in whatever order, nothing is lost, nothing leaves too early, too fast or out of order.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;

use crate::support::events::START;
use podbell_core::notice::{Info, Notice, NoticeBody, NoticeKind, Trouble, TroubleSubject};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{
    Claimed, Delivery, DeliveryId, DeliveryState, DestinationHealth, DestinationReport, MessageState, Outbox,
    OutboxWrites, Outcome, Parent, Policy, RestoredOutbox, SendId, SendTask, StoredThread, Thread, ThreadPolicy,
    Upkeep, is_end,
};
use podbell_core::rule::{Destination, Severity};
use podbell_core::time::{Jump, Time};

const PACE: Pace = Pace { limit: 4, per: Duration::from_secs(20), kept_for_critical: 1 };

/// How often a platform wants to hear of an open incident, where it does.
const REPEAT_EVERY: Duration = Duration::from_secs(120);

#[derive(Clone, Debug)]
enum Op {
    /// A newer notice of incident `0..4` (4: of none); it may be critical, and may say that it is over.
    Notice(u64, bool, bool),
    /// An incident occurred so often by now.
    Count(u64, u64),
    /// The oldest request in flight comes to this.
    Answer(u8),
    /// So many seconds pass.
    Pass(u64),
    /// kill -9, and a start.
    Crash,
    /// The clock is set forward by so many seconds, or back.
    Clock(i64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..5u64, any::<bool>(), 0..4u8).prop_map(|(incident, critical, end)| Op::Notice(incident, critical, end == 0)),
        2 => (0..4u64, 0..100u64).prop_map(|(incident, count)| Op::Count(incident, count)),
        4 => (0..12u8).prop_map(Op::Answer),
        4 => (0..30u64).prop_map(Op::Pass),
        1 => Just(Op::Crash),
        1 => prop::sample::select(vec![20, -20, 10_800, -10_800, 86_400, -86_400]).prop_map(Op::Clock),
    ]
}

/// What is committed: all that survives a crash.
#[derive(Default)]
struct Disk {
    deliveries: BTreeMap<DeliveryId, (Delivery, DeliveryState)>,
    sends: BTreeMap<SendId, u32>,
    attempts: Vec<Time>,
    health: DestinationHealth,
    threads: BTreeMap<u64, Thread>,
}

/// A chat with threads: what each message shows.
#[derive(Default)]
struct Chat {
    messages: BTreeMap<Parent, MessageState>,
    /// What is true of each incident.
    truth: BTreeMap<u64, MessageState>,
}

struct Model {
    threads: Option<ThreadPolicy>,
    chat: Chat,
    claims: BTreeMap<SendId, (Claimed, Option<MessageState>)>,
    disk: Disk,
    outbox: Outbox,
    now: Time,
    in_flight: Vec<(SendId, Vec<DeliveryId>)>,
    bodies: BTreeMap<SendId, Vec<DeliveryId>>,
    requests: Vec<Time>,
    walls: Time,
    /// What was told elsewhere.
    trouble: bool,
    next_notice: u64,
    delivered: Vec<(Option<u64>, DeliveryId)>,
}

fn team() -> Destination {
    "team".into()
}

fn policies(threads: Option<ThreadPolicy>) -> BTreeMap<Destination, Policy> {
    let policy = Policy {
        endpoint: "e".into(),
        fingerprint: "f".into(),
        pace: Some(PACE),
        concurrency: if threads.is_some() { 1 } else { 2 },
        digest_after: None,
        threads,
    };
    BTreeMap::from([(team(), policy)])
}

impl Model {
    fn new(threads: Option<ThreadPolicy>) -> Self {
        let mut model = Self {
            threads,
            chat: Chat::default(),
            claims: BTreeMap::new(),
            disk: Disk::default(),
            outbox: Outbox::default(),
            now: START,
            in_flight: Vec::new(),
            bodies: BTreeMap::new(),
            requests: Vec::new(),
            walls: START,
            trouble: false,
            next_notice: 1,
            delivered: Vec::new(),
        };
        model.crash();
        model
    }

    fn crash(&mut self) {
        self.in_flight.clear();
        let open = |state: &DeliveryState| match state {
            DeliveryState::Due { .. } => Some(None),
            DeliveryState::Claimed { send } => Some(Some(*send)),
            _ => None,
        };
        let restored = RestoredOutbox {
            destinations: vec![(team(), "f".into(), self.disk.health.clone())],
            deliveries: self
                .disk
                .deliveries
                .values()
                .filter_map(|(delivery, state)| Some((team(), delivery.clone(), open(state)?)))
                .collect(),
            threads: (self.disk.threads.iter())
                .map(|(incident, thread)| StoredThread {
                    destination: team(),
                    place: "p".into(),
                    incident: *incident,
                    thread: thread.clone(),
                })
                .collect(),
            sends: self.disk.sends.iter().map(|(id, attempts)| (*id, team(), *attempts)).collect(),
            attempts: self.disk.attempts.iter().map(|at| ("e".into(), *at)).collect(),
            next_delivery: self.disk.deliveries.keys().last().map_or(1, |id| id.0 + 1),
            next_send: self.bodies.keys().last().map_or(1, |id| id.0 + 1),
        };
        let mut writes = OutboxWrites::default();
        self.outbox = Outbox::restore(restored, policies(self.threads.clone()), self.now, &mut writes);
        for (incident, face) in &self.chat.truth {
            self.outbox.want(*incident, *face, self.now);
        }
        self.commit(writes);
    }

    fn commit(&mut self, writes: OutboxWrites) {
        for (_, delivery) in writes.added {
            let state = DeliveryState::Due { content: delivery.content, born: delivery.born };
            self.disk.deliveries.insert(delivery.id, (delivery, state));
        }
        for (id, state) in writes.changed {
            self.disk.deliveries.get_mut(&id).unwrap().1 = state;
        }
        for claimed in writes.claimed {
            self.disk.sends.insert(claimed.send, 1);
            self.bodies.insert(claimed.send, claimed.deliveries.iter().map(|delivery| delivery.id).collect());
            let stands = claimed.parent.is_none() || claimed.deliveries.last().is_none_or(|last| is_end(last.kind));
            let face = claimed.incident.filter(|_| stands).and_then(|incident| self.chat.truth.get(&incident).copied());
            self.outbox.will_show("team", claimed.send, face);
            self.claims.insert(claimed.send, (claimed, face));
        }
        for (_, incident) in writes.threads {
            let state = self.outbox.destination("team").map(|(state, _)| state);
            match state.and_then(|state| state.threads.get(incident)) {
                // What is wanted is not stored.
                Some(thread) => {
                    let stored = Thread::restored(thread.parent.clone(), thread.since, thread.shown);
                    self.disk.threads.insert(incident, stored)
                }
                None => self.disk.threads.remove(&incident),
            };
        }
        for (send, attempts) in writes.repeated {
            self.disk.sends.insert(send, attempts);
        }
        for (send, _) in writes.settled {
            self.disk.sends.remove(&send);
        }
        self.disk.attempts.extend(writes.attempts.into_iter().map(|(_, at)| at));
        for signal in writes.destination_reports {
            match signal {
                DestinationReport::Trouble(..) => self.trouble = true,
                DestinationReport::Recovered(_) => self.trouble = false,
                DestinationReport::Dead(..) => {}
            }
        }
        if let Some((state, _)) = self.outbox.destination("team") {
            self.disk.health = state.health.clone();
            assert_eq!(state.health.told, self.trouble, "trouble is told exactly while it lasts");
            assert!(state.health.paused.is_none() || self.trouble, "nobody knows of a pause");
        }
    }

    /// Claims what may leave, commits, and "sends" it.
    fn dispatch(&mut self) -> Result<(), TestCaseError> {
        let mut writes = OutboxWrites::default();
        self.outbox.tick(self.now, &mut writes);
        let jobs = self.outbox.claim(self.now, &mut writes);
        self.commit(writes);
        for job in jobs {
            let send = match job {
                SendTask::First(claimed) => claimed.send,
                SendTask::Again { send, .. } => send,
            };
            let body = self.bodies[&send].clone();
            prop_assert!(self.now >= self.walls, "a request before Retry-After is over");
            let incidents: Vec<_> = body.iter().map(|id| self.disk.deliveries[id].0.incident).collect();
            prop_assert!(incidents.windows(2).all(|pair| pair[0] == pair[1]), "one send, one incident");
            for (other, bodies) in self.in_flight.iter().filter(|(_, bodies)| !bodies.is_empty() && !body.is_empty()) {
                let busy = self.disk.deliveries[&bodies[0]].0.incident;
                prop_assert!(busy.is_none() || busy != incidents[0], "{other:?} is open for the same incident");
            }
            self.requests.push(self.now);
            self.in_flight.push((send, body));
        }
        for window in self.requests.windows(PACE.limit + 1) {
            prop_assert!(window[PACE.limit].since(window[0]) >= PACE.per, "over the pace");
        }
        Ok(())
    }

    fn answer(&mut self, outcome: Outcome) -> Result<(), TestCaseError> {
        if self.in_flight.is_empty() {
            return Ok(());
        }
        let (send, body) = self.in_flight.remove(0);
        let outcome = self.chat(send, outcome);
        if outcome.arrived() {
            for id in body {
                let incident = self.disk.deliveries[&id].0.incident;
                let newer = self.delivered.iter().any(|(of, told)| incident.is_some() && *of == incident && *told > id);
                prop_assert!(!newer, "an older notice after a newer one of its incident");
                self.delivered.push((incident, id));
            }
        } else if let Outcome::Refused { retry_after: Some(wait), .. }
        | Outcome::Unclear { retry_after: Some(wait), .. } = &outcome
        {
            self.walls = self.walls.max(self.now.plus(*wait));
        }
        let mut writes = OutboxWrites::default();
        self.outbox.record(send, outcome, 0.5, self.now, &mut writes);
        // As the engine does: what is true may have changed while a new message was on its way.
        for (_, incident) in &writes.threads {
            if let Some(face) = self.chat.truth.get(incident) {
                self.outbox.want(*incident, *face, self.now);
            }
        }
        self.commit(writes);
        Ok(())
    }

    /// What the chat makes of a request: it posts, changes, or misses the message.
    fn chat(&mut self, send: SendId, outcome: Outcome) -> Outcome {
        let (claimed, face) = &self.claims[&send];
        if self.threads.is_none() {
            return outcome;
        }
        match (&claimed.parent, outcome) {
            // Whoever does not hear the answer may still have been heard.
            (Some(parent), outcome @ (Outcome::Delivered | Outcome::Unclear { .. })) => {
                if let Some(face) = face {
                    self.chat.messages.insert(parent.clone(), *face);
                }
                outcome
            }
            (Some(parent), Outcome::Orphaned { why }) => {
                self.chat.messages.remove(parent);
                Outcome::Orphaned { why }
            }
            (None, Outcome::Orphaned { .. } | Outcome::Delivered) if claimed.incident.is_some() => {
                let number = format!("{}-{}", send.0, self.requests.len());
                let parent = Parent { channel: "c".into(), message: number.into() };
                if let Some(face) = face {
                    self.chat.messages.insert(parent.clone(), *face);
                }
                Outcome::Posted(parent)
            }
            (_, Outcome::Orphaned { .. }) => Outcome::Delivered,
            (_, outcome) => outcome,
        }
    }

    /// Whether a message is not up to date, or a request is not settled.
    fn is_changing(&self, repeats: bool) -> bool {
        let (state, _) = self.outbox.destination("team").unwrap();
        let differs = |incident: u64| {
            let parent = &state.threads.get(incident).unwrap().parent;
            let truth = self.chat.truth.get(&incident);
            truth.is_some() && self.chat.messages.get(parent) != truth
        };
        // What is repeated is never done.
        let stale = match repeats {
            true => self.outbox.threaded().into_iter().any(differs),
            false => state.threads.first_change().is_some(),
        };
        !state.sends.is_empty() || stale
    }

    /// Five seconds in which the platform takes everything.
    fn take_everything(&mut self) -> Result<(), TestCaseError> {
        while !self.in_flight.is_empty() {
            self.answer(Outcome::Delivered)?;
        }
        self.now = self.now.plus(Duration::from_secs(5));
        self.dispatch()
    }

    fn count(&mut self, incident: u64, occurrences: u64) {
        let face = MessageState { open: true, acknowledged: false, occurrences, not_ready: None, affected: 0 };
        self.chat.truth.insert(incident, face);
        self.outbox.want(incident, face, self.now);
    }

    /// Somebody sets the clock; how long something takes is measured by another one.
    fn clock(&mut self, seconds: i64) {
        let set = Time::from_millis(self.now.millis() + seconds * 1000);
        let by = Jump::between(self.now, set);
        self.now = set;
        self.walls.carry(by);
        self.requests.iter_mut().for_each(|at| at.carry(by));
        let mut writes = OutboxWrites::default();
        self.outbox.clock_set(by, self.now, &mut writes);
        self.commit(writes);
    }

    fn notice(&mut self, incident: u64, critical: bool, end: bool) {
        let severity = if critical { Severity::Critical } else { Severity::Warning };
        let body = match incident {
            4 => NoticeBody::Info(Info::Dead { destination: "x".into(), deliveries: 1, why: String::new() }),
            incident => NoticeBody::Trouble(Box::new(Trouble {
                incident,
                subject: TroubleSubject::Source("s".into()),
                code: String::new(),
                text: String::new(),
                advice: String::new(),
                affected: Vec::new(),
                affected_count: 0,
                since: self.now,
                until: None,
            })),
        };
        let notice = Notice {
            id: self.next_notice,
            kind: if end { NoticeKind::Resolved } else { NoticeKind::Escalated },
            caused_at: self.now,
            made_at: self.now,
            severity,
            to: vec![team()],
            body,
        };
        self.next_notice += 1;
        let mut writes = OutboxWrites::default();
        self.outbox.add(&notice, self.now, &mut writes);
        self.commit(writes);
    }
}

fn outcome(kind: u8) -> Outcome {
    let why = String::new();
    match kind {
        0 => Outcome::Unclear { retry_after: None, why },
        1 => Outcome::Unclear { retry_after: Some(Duration::from_secs(40)), why },
        2 => Outcome::Refused { retry_after: None, why },
        3 => Outcome::Refused { retry_after: Some(Duration::from_secs(25)), why },
        4 => Outcome::ContentRejected { why },
        5 => Outcome::InvalidDestination { code: why.clone(), text: why.clone(), advice: why },
        6 => Outcome::Orphaned { why },
        _ => Outcome::Delivered,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_nothing_leaves_early_and_order_holds(ops in prop::collection::vec(op(), 1..80), threads: bool, repeats: bool) {
        let changes = Pace { limit: 3, per: Duration::from_secs(30), kept_for_critical: 0 };
        let upkeep = if repeats { Upkeep::ChangesAndEvery(REPEAT_EVERY) } else { Upkeep::Changes };
        let threads = threads.then(|| ThreadPolicy { place: "p".into(), endpoint: "t".into(), pace: changes, upkeep });
        let mut model = Model::new(threads);
        for op in ops {
            match op {
                Op::Notice(incident, critical, end) => model.notice(incident, critical, end),
                Op::Count(incident, occurrences) => model.count(incident, occurrences),
                Op::Answer(6) if model.threads.is_none() => {}
                Op::Answer(kind) => model.answer(outcome(kind))?,
                Op::Pass(seconds) => model.now = model.now.plus(Duration::from_secs(seconds)),
                Op::Crash => model.crash(),
                Op::Clock(seconds) => model.clock(seconds),
            }
            model.dispatch()?;
        }
        // What was refused for its content, down to one line, is left until something changes.
        for (incident, face) in model.chat.truth.clone() {
            model.count(incident, face.occurrences + 100);
        }
        // From now on everything is taken, and the operator has mended what was dead: everything
        // arrives.
        let mut writes = OutboxWrites::default();
        model.outbox.works_again(&team(), model.now, &mut writes);
        model.commit(writes);
        for _ in 0..2000 {
            let open = model.disk.deliveries.values().any(|(_, state)| {
                matches!(state, DeliveryState::Due { .. } | DeliveryState::Claimed { .. })
            });
            if !open && !model.is_changing(repeats) {
                break;
            }
            model.take_everything()?;
        }
        let told: HashSet<DeliveryId> = model.delivered.iter().map(|(_, id)| *id).collect();
        for (id, (_, state)) in &model.disk.deliveries {
            match state {
                DeliveryState::Sent { .. } | DeliveryState::Folded { .. } => prop_assert!(told.contains(id)),
                DeliveryState::Dead { why, .. } => prop_assert!(why.contains("does not take"), "{why}"),
                other => prop_assert!(false, "{id:?} is still {other:?}"),
            }
        }
        // What stands for an incident shows what is true of it.
        for incident in model.outbox.threaded() {
            let (state, _) = model.outbox.destination("team").unwrap();
            let parent = &state.threads.get(incident).unwrap().parent;
            let truth = model.chat.truth.get(&incident);
            prop_assert!(truth.is_none() || model.chat.messages.get(parent) == truth, "{incident}: {truth:?}");
        }
        // It is said again as often as the platform wants, for as long as the incident is open.
        for _ in 0..100 {
            model.take_everything()?;
        }
        let is_open = |incident: &u64| model.chat.truth.get(incident).is_some_and(|truth| truth.open);
        for incident in model.outbox.threaded().into_iter().filter(|incident| repeats && is_open(incident)) {
            let (state, _) = model.outbox.destination("team").unwrap();
            let shown = state.threads.get(incident).unwrap().shown;
            let late = shown.map(|(_, at)| model.now.since(at));
            let in_time = |late: Duration| late <= REPEAT_EVERY + Duration::from_secs(60);
            prop_assert!(late.is_some_and(in_time), "{incident}: {late:?}");
        }
    }
}
