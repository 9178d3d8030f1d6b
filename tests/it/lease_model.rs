//! Lease, fencing and takeover, model-checked: several replicas on one database, whose processes die or freeze and whose
//! connections are cut at any moment. Every order of their steps is tried, within the bounds of [`Protocol`].
//!
//! The model is the protocol without SQL: a commit is one message to the database, and its answer another; both may be late
//! or lost. Each safeguard is left out once, and must be missed.

use stateright::{Checker, HasDiscoveries, Model, Property};

/// How long a lease lasts, in ticks.
const TTL: u8 = 2;
/// How long a request may take, in ticks.
const LIMIT: u8 = 1;
/// How many notices are made; each has one send.
const NOTICES: usize = 1;
const REPLICAS: usize = 2;
/// The last tick: a second engine may take over, and go on for a while.
const END: u8 = 3;
/// The last turn: enough to make a notice, claim it twice, and record it.
const TURNS: u8 = 4;
const KEPT: &str = "no promise is broken";

/// A safeguard that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    Nothing,
    /// A commit needs the epoch of its writer.
    Fence,
    /// A request leaves only if the lease outlasts it.
    Margin,
    /// A commit needs the next number, and whoever finds out what became of a commit takes one.
    Number,
    /// The lease is measured from before the statement that renewed it.
    Caution,
    /// A send is told only when the destination has answered.
    Receipt,
    /// A commit whose answer was lost is taken up only if it is found in the store.
    Doubt,
}

struct Protocol {
    without: Without,
    /// How often a process may die, freeze, and lose a message.
    kills: u8,
    freezes: u8,
    cuts: u8,
}

/// How far a send is, as the store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Send {
    Due,
    Claimed,
    Arrived,
}

/// What a commit changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Write {
    /// Makes the notice of this number.
    Make(usize),
    /// Claims its send.
    Claim(usize),
    /// Records that it was told.
    Record(usize),
}

/// A commit on its way to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Commit {
    replica: usize,
    epoch: u8,
    /// The number of the turn.
    turn: u8,
    /// When its statement was sent.
    sent_at: u8,
    write: Write,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Database {
    epoch: u8,
    /// The replica that holds the lease, and its start: another start is somebody else.
    holder: Option<(usize, u8)>,
    expires_at: u8,
    turn: u8,
    sends: Vec<Send>,
    /// The epoch of the newest commit.
    last: u8,
}

/// What an engine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Doing {
    Nothing,
    /// It waits for the answer to a commit, which may be there.
    Waits(Commit, Option<Answer>),
    /// The answer is lost.
    DoesNotKnow(Commit),
    /// The send is claimed; its request is next.
    Sends(usize),
    /// The request has ended; whether it arrived is known.
    Sent(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Done,
    Fenced,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Engine {
    epoch: u8,
    /// When the lease ends, as far as the engine knows.
    until: u8,
    turn: u8,
    /// Its memory of the store.
    sends: Vec<Send>,
    doing: Doing,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Process {
    Dead,
    Frozen(Option<Engine>),
    /// With an engine if it is active.
    Runs(Option<Engine>),
}

/// A request on its way to the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Request {
    replica: usize,
    epoch: u8,
    notice: usize,
    /// When it is given up.
    until: u8,
    /// Whether the process froze meanwhile, so that it could not give it up.
    froze: bool,
}

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Broken {
    /// The commit of an engine landed among those of a later one.
    Interleaved,
    /// A number was given twice.
    NumberUsedTwice,
    /// Something left that was not committed.
    Uncommitted,
    /// Something left that was known to have arrived.
    SentAgain,
    /// Two engines had requests on their way at once, and nobody froze.
    TwoSend,
    /// The store says of a notice that it was told, and it never arrived: nobody will send it again.
    Lost,
    /// An engine goes on with a notice that the store does not have.
    Invented,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    now: u8,
    database: Database,
    processes: Vec<Process>,
    /// How often each replica was started.
    starts: Vec<u8>,
    wire: Vec<Commit>,
    requests: Vec<Request>,
    arrived: [u8; NOTICES],
    kills: u8,
    freezes: u8,
    cuts: u8,
    broken: Option<Broken>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Tick,
    TakeOver(usize),
    Renew(usize),
    StandBy(usize),
    Begin(usize, Write),
    /// A commit reaches the database.
    Arrive(usize),
    /// A commit is lost on its way.
    Lose(usize),
    /// The connection of a replica is cut: no answer comes, but what is on its way may arrive.
    Cut(usize),
    Hear(usize),
    ReadBack(usize),
    Request(usize),
    /// A request reaches the destination, and its answer the replica.
    Deliver(usize),
    /// The same, but the answer is lost.
    DeliverUnheard(usize),
    Kill(usize),
    Start(usize),
    Hang(usize),
    Thaw(usize),
}

impl World {
    fn engine_mut(&mut self, replica: usize) -> Option<&mut Engine> {
        match &mut self.processes[replica] {
            Process::Runs(engine) => engine.as_mut(),
            _ => None,
        }
    }

    fn stand_by(&mut self, replica: usize) {
        self.processes[replica] = Process::Runs(None);
    }

    fn breaks(&mut self, promise: Broken) {
        self.broken = self.broken.or(Some(promise));
    }
}

fn change(sends: &mut Vec<Send>, write: Write) {
    match write {
        Write::Make(_) => sends.push(Send::Due),
        Write::Claim(notice) => sends.iter_mut().skip(notice).take(1).for_each(|send| *send = Send::Claimed),
        Write::Record(notice) => sends.iter_mut().skip(notice).take(1).for_each(|send| *send = Send::Arrived),
    }
}

impl Protocol {
    fn take_over(&self, world: &mut World, replica: usize) {
        let database = &mut world.database;
        database.epoch += 1;
        database.holder = Some((replica, world.starts[replica]));
        database.expires_at = world.now + TTL;
        let engine = Engine {
            epoch: database.epoch,
            until: database.expires_at,
            turn: database.turn,
            sends: database.sends.clone(),
            doing: Doing::Nothing,
        };
        world.processes[replica] = Process::Runs(Some(engine));
    }

    /// A commit at the database.
    fn arrive(&self, world: &mut World, commit: Commit) {
        let database = &mut world.database;
        let follows = commit.turn == database.turn + 1 || self.without == Without::Number;
        let holds = commit.epoch == database.epoch && world.now < database.expires_at && follows;
        let answer = if holds || self.without == Without::Fence { Answer::Done } else { Answer::Fenced };
        if answer == Answer::Done {
            if database.last > commit.epoch {
                world.broken = world.broken.or(Some(Broken::Interleaved));
            }
            if matches!(commit.write, Write::Make(number) if number < database.sends.len()) {
                world.broken = world.broken.or(Some(Broken::NumberUsedTwice));
            }
            change(&mut database.sends, commit.write);
            if matches!(commit.write, Write::Record(notice) if world.arrived[notice] == 0) {
                world.broken = world.broken.or(Some(Broken::Lost));
            }
            database.turn = commit.turn;
            database.expires_at = world.now + TTL;
            database.last = commit.epoch;
        }
        // A frozen process finds the answer when it goes on.
        if let Process::Runs(Some(engine)) | Process::Frozen(Some(engine)) = &mut world.processes[commit.replica]
            && engine.doing == Doing::Waits(commit, None)
        {
            engine.doing = Doing::Waits(commit, Some(answer));
        }
    }

    fn hear(&self, world: &mut World, replica: usize) -> Option<()> {
        let now = world.now;
        let engine = world.engine_mut(replica)?;
        let Doing::Waits(commit, Some(answer)) = engine.doing else { return None };
        match answer {
            Answer::Fenced => world.stand_by(replica),
            Answer::Done => {
                let from = if self.without == Without::Caution { now } else { commit.sent_at };
                Self::adopt(engine, commit);
                engine.until = from + TTL;
            }
        }
        Some(())
    }

    fn adopt(engine: &mut Engine, commit: Commit) {
        change(&mut engine.sends, commit.write);
        engine.turn = commit.turn;
        engine.doing = match commit.write {
            Write::Claim(notice) => Doing::Sends(notice),
            _ => Doing::Nothing,
        };
    }

    fn read_back(&self, world: &mut World, replica: usize) -> Option<()> {
        let (now, database) = (world.now, &mut world.database);
        let Process::Runs(Some(engine)) = &mut world.processes[replica] else { return None };
        let Doing::DoesNotKnow(commit) = engine.doing else { return None };
        if engine.epoch != database.epoch || now >= database.expires_at {
            world.stand_by(replica);
            return Some(());
        }
        engine.doing = Doing::Nothing;
        if database.turn == commit.turn || self.without == Without::Doubt {
            Self::adopt(engine, commit);
        }
        if engine.sends.len() > database.sends.len() {
            world.broken = world.broken.or(Some(Broken::Invented));
        }
        if self.without != Without::Number {
            database.turn += 1;
        }
        (database.expires_at, engine.until, engine.turn) = (now + TTL, now + TTL, database.turn);
        Some(())
    }

    fn request(&self, world: &mut World, replica: usize) -> Option<()> {
        let now = world.now;
        let engine = world.engine_mut(replica)?;
        let Doing::Sends(notice) = engine.doing else { return None };
        if now + LIMIT >= engine.until && self.without != Without::Margin {
            world.stand_by(replica);
            return Some(());
        }
        let epoch = engine.epoch;
        match world.database.sends.get(notice) {
            None | Some(Send::Due) => world.breaks(Broken::Uncommitted),
            Some(Send::Arrived) => world.breaks(Broken::SentAgain),
            Some(Send::Claimed) => {}
        }
        if world.requests.iter().any(|other| other.epoch != epoch && !other.froze) {
            world.breaks(Broken::TwoSend);
        }
        world.requests.push(Request { replica, epoch, notice, until: now + LIMIT, froze: false });
        Some(())
    }

    fn deliver(&self, world: &mut World, at: usize, is_heard: bool) {
        let request = world.requests.remove(at);
        world.arrived[request.notice] = 2.min(world.arrived[request.notice] + 1);
        let engine = world.engine_mut(request.replica).filter(|engine| engine.epoch == request.epoch);
        if let Some(engine) = engine.filter(|engine| engine.doing == Doing::Sends(request.notice)) {
            engine.doing = if is_heard { Doing::Sent(request.notice) } else { Doing::Nothing };
        }
    }

    /// A tick: requests that took too long are given up, where there is a process that can.
    fn tick(&self, world: &mut World) {
        world.now += 1;
        let now = world.now;
        let late: Vec<Request> = world.requests.iter().copied().filter(|one| !one.froze && one.until <= now).collect();
        world.requests.retain(|one| one.froze || one.until > now);
        for request in late {
            if let Some(engine) = world.engine_mut(request.replica).filter(|engine| engine.epoch == request.epoch)
                && engine.doing == Doing::Sends(request.notice)
            {
                engine.doing =
                    if self.without == Without::Receipt { Doing::Sent(request.notice) } else { Doing::Nothing };
            }
        }
    }

    fn freeze(&self, world: &mut World, replica: usize) {
        if let Process::Runs(engine) = &mut world.processes[replica] {
            world.processes[replica] = Process::Frozen(engine.take());
            world.freezes += 1;
            world.requests.iter_mut().filter(|one| one.replica == replica).for_each(|one| one.froze = true);
        }
    }

    fn writes(engine: &Engine) -> Vec<Write> {
        let mut writes = Vec::new();
        if engine.sends.len() < NOTICES {
            writes.push(Write::Make(engine.sends.len()));
        }
        let untold = engine.sends.iter().enumerate().filter(|(_, send)| **send != Send::Arrived);
        writes.extend(untold.map(|(notice, _)| Write::Claim(notice)));
        writes
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let database = Database { epoch: 0, holder: None, expires_at: 0, turn: 0, sends: Vec::new(), last: 0 };
        vec![World {
            now: 0,
            database,
            processes: vec![Process::Runs(None); REPLICAS],
            starts: vec![0; REPLICAS],
            wire: Vec::new(),
            requests: Vec::new(),
            arrived: [0; NOTICES],
            kills: 0,
            freezes: 0,
            cuts: 0,
            broken: None,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.broken.is_some() {
            return;
        }
        if world.now < END {
            steps.push(Step::Tick);
        }
        for (at, _) in world.wire.iter().enumerate() {
            steps.push(Step::Arrive(at));
            if world.cuts < self.cuts {
                steps.push(Step::Lose(at));
            }
        }
        for (at, _) in world.requests.iter().enumerate() {
            steps.extend([Step::Deliver(at), Step::DeliverUnheard(at)]);
        }
        for (replica, process) in world.processes.iter().enumerate() {
            match process {
                Process::Dead => steps.push(Step::Start(replica)),
                Process::Frozen(_) => steps.push(Step::Thaw(replica)),
                Process::Runs(engine) => {
                    if world.kills < self.kills {
                        steps.push(Step::Kill(replica));
                    }
                    if world.freezes < self.freezes {
                        steps.push(Step::Hang(replica));
                    }
                    let Some(engine) = engine else {
                        let me = (replica, world.starts[replica]);
                        if world.database.holder.is_none_or(|holder| holder == me)
                            || world.database.expires_at <= world.now
                        {
                            steps.push(Step::TakeOver(replica));
                        }
                        continue;
                    };
                    if world.now >= engine.until {
                        steps.push(Step::StandBy(replica));
                    }
                    match engine.doing {
                        Doing::Nothing => {
                            steps.push(Step::Renew(replica));
                            if engine.turn < TURNS {
                                steps.extend(Self::writes(engine).into_iter().map(|one| Step::Begin(replica, one)));
                            }
                        }
                        Doing::Waits(_, None) if world.cuts < self.cuts => steps.push(Step::Cut(replica)),
                        Doing::Waits(_, None) => {}
                        Doing::Waits(..) => {
                            steps.push(Step::Hear(replica));
                            if world.cuts < self.cuts {
                                steps.push(Step::Cut(replica));
                            }
                        }
                        Doing::DoesNotKnow(_) => steps.push(Step::ReadBack(replica)),
                        Doing::Sends(notice) => {
                            let on_its_way = |one: &Request| one.notice == notice && one.epoch == engine.epoch;
                            if !world.requests.iter().any(on_its_way) {
                                steps.push(Step::Request(replica));
                            }
                        }
                        Doing::Sent(notice) => steps.push(Step::Begin(replica, Write::Record(notice))),
                    }
                }
            }
        }
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut world = before.clone();
        match step {
            Step::Tick => self.tick(&mut world),
            Step::TakeOver(replica) => self.take_over(&mut world, replica),
            Step::Renew(replica) => {
                let (now, epoch, held) = (world.now, world.database.epoch, world.now < world.database.expires_at);
                let engine = world.engine_mut(replica)?;
                if engine.epoch == epoch && held {
                    engine.until = now + TTL;
                    world.database.expires_at = now + TTL;
                } else {
                    world.stand_by(replica);
                }
            }
            Step::StandBy(replica) => world.stand_by(replica),
            Step::Begin(replica, write) => {
                let sent_at = world.now;
                let engine = world.engine_mut(replica)?;
                let commit = Commit { replica, epoch: engine.epoch, turn: engine.turn + 1, sent_at, write };
                engine.doing = Doing::Waits(commit, None);
                world.wire.push(commit);
                world.wire.sort_by_key(|one| (one.epoch, one.turn));
            }
            Step::Arrive(at) => {
                let commit = world.wire.remove(at);
                self.arrive(&mut world, commit);
            }
            Step::Lose(at) => {
                let commit = world.wire.remove(at);
                world.cuts += 1;
                if let Some(engine) = world.engine_mut(commit.replica)
                    && engine.doing == Doing::Waits(commit, None)
                {
                    engine.doing = Doing::DoesNotKnow(commit);
                }
            }
            Step::Cut(replica) => {
                world.cuts += 1;
                let engine = world.engine_mut(replica)?;
                let Doing::Waits(commit, _) = engine.doing else { return None };
                engine.doing = Doing::DoesNotKnow(commit);
            }
            Step::Hear(replica) => self.hear(&mut world, replica)?,
            Step::ReadBack(replica) => self.read_back(&mut world, replica)?,
            Step::Request(replica) => self.request(&mut world, replica)?,
            Step::Deliver(at) => self.deliver(&mut world, at, true),
            Step::DeliverUnheard(at) => self.deliver(&mut world, at, false),
            Step::Kill(replica) => {
                world.processes[replica] = Process::Dead;
                world.kills += 1;
            }
            Step::Start(replica) => {
                world.starts[replica] += 1;
                world.stand_by(replica);
            }
            Step::Hang(replica) => self.freeze(&mut world, replica),
            Step::Thaw(replica) => {
                if let Process::Frozen(engine) = &mut world.processes[replica] {
                    world.processes[replica] = Process::Runs(engine.take());
                }
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let told_by_a_second = |_: &Self, world: &World| {
            world.broken.is_none() && world.database.epoch >= 2 && world.database.sends == [Send::Arrived; NOTICES]
        };
        vec![
            Property::always(KEPT, |_, world: &World| world.broken.is_none()),
            Property::sometimes("a second engine tells what the first one made", told_by_a_second),
            Property::sometimes("what was in flight when its engine died is told again", |_, world: &World| {
                world.arrived.iter().any(|times| *times > 1)
            }),
        ]
    }
}

/// What breaks, and how. Without a safeguard, one counterexample is enough.
fn breaks(protocol: Protocol) -> Option<Broken> {
    let whole = protocol.without == Without::Nothing;
    let enough = if whole { HasDiscoveries::All } else { HasDiscoveries::AnyFailures };
    let checker = protocol.checker().finish_when(enough).spawn_bfs().join();
    let broken = checker.discovery(KEPT).and_then(|path| path.last_state().broken);
    if broken.is_none() {
        checker.assert_no_discovery(KEPT);
        checker.assert_any_discovery("a second engine tells what the first one made");
        checker.assert_any_discovery("what was in flight when its engine died is told again");
    }
    broken
}

#[test]
fn whoever_dies_freezes_or_loses_an_answer_no_promise_is_broken() {
    for (kills, freezes, cuts) in [(1, 1, 0), (1, 0, 1), (0, 1, 1)] {
        let protocol = Protocol { without: Without::Nothing, kills, freezes, cuts };
        assert_eq!(breaks(protocol), None, "{kills} kills, {freezes} freezes, {cuts} cuts");
    }
}

#[test]
fn without_any_one_safeguard_a_promise_is_broken() {
    for (without, cuts, broken) in [
        (Without::Fence, 0, [Broken::Interleaved, Broken::NumberUsedTwice]),
        (Without::Margin, 0, [Broken::TwoSend; 2]),
        (Without::Number, 1, [Broken::NumberUsedTwice; 2]),
        (Without::Caution, 0, [Broken::TwoSend; 2]),
        (Without::Receipt, 0, [Broken::Lost; 2]),
        (Without::Doubt, 1, [Broken::Invented, Broken::Uncommitted]),
    ] {
        let found = breaks(Protocol { without, kills: 0, freezes: 0, cuts });
        assert!(found.is_some_and(|found| broken.contains(&found)), "{without:?}: {found:?}");
    }
}
