//! A whole podbell in virtual time: the real engine and a real store, receivers that behave as a
//! test says, and a log of everything that was told. No socket, no clock, no sleep.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::events::{START, at};
use podbell::app::assemble::NotifierRenderer;
use podbell::engine::{ActionRequest, Engine, EngineEvent, EngineParts, NewRules, Renderer, SendJob};
use podbell::notifiers::Notifiers;
use podbell::sources::SourceEvent;
use podbell_core::event::{Event, Target};
use podbell_core::mute::Author;
use podbell_core::notice::Notice;
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy, SendContent};
use podbell_core::rule::Destination;
use podbell_core::rule::quiet::{Hours, Maintenance};
use podbell_core::rules::Rules;
use podbell_core::rules::compile::{RuleFile, compile};
use podbell_core::rules::in_force::{InForce, RuleFiles};
use podbell_core::scope::Scope;
use podbell_core::source::{Extent, Problem, SourceInfo, TargetEntry};
use podbell_core::step::Setup;
use podbell_core::step::daily::DailyAt;
use podbell_core::time::{Jump, Time};
use podbell_core::user_action::{Act, ActionResult, UserAction};
use podbell_store::sqlite::Store;
use podbell_store::{Location, Reader, StoreError};

/// A store of the kind that the environment asks for: a file, or a database with PODBELL_TEST_STORE=postgres.
fn new_store(folder: &TempDir) -> Location {
    match std::env::var("PODBELL_TEST_STORE") {
        #[cfg(feature = "outside")]
        Ok(kind) if kind == "postgres" => {
            Location::parse(&super::postgres::database(), std::path::Path::new("/")).unwrap()
        }
        Ok(kind) => panic!("PODBELL_TEST_STORE={kind} is not known, or needs --features outside"),
        Err(_) => Location::from(folder.path().join("podbell.db")),
    }
}

/// The body of a test's message: the notices it holds.
struct Plain;

impl Renderer for Plain {
    /// For `void` there is never anything to send.
    fn render(&self, to: &Destination, content: &SendContent<'_>, id: &str, _now: Time) -> Vec<u8> {
        if **to == *"void" {
            return Vec::new();
        }
        let SendContent { notices, content, storm, .. } = content;
        let storm = storm.map(|storm| storm.notices);
        json!({"id": id, "content": content, "notices": notices, "storm": storm}).to_string().into_bytes()
    }
}

/// A pace of a platform that takes few messages: 20 a minute, 5 of them kept for critical ones.
pub const TWENTY_A_MINUTE: Pace = Pace { limit: 20, per: Duration::from_secs(61), kept_for_critical: 5 };

/// One request that reached a receiver.
#[derive(Clone, Debug)]
pub struct Request {
    /// When, in seconds of virtual time.
    pub at: f64,
    /// To whom.
    pub to: String,
    /// Its id.
    pub id: String,
    /// Its body.
    pub body: Vec<u8>,
    /// The notices it tells, oldest first.
    pub notices: Vec<Notice>,
    /// What the receiver answered.
    pub outcome: Outcome,
    /// Of a digest: the notices of its storm.
    pub storm: Option<u64>,
}

/// A receiver's behaviour: the outcome and after how long it is known.
pub type Behaviour = Box<dyn FnMut(Time, u32) -> (Outcome, Duration) + Send>;

/// Real notifiers, and what carries their requests out, at a moment of virtual time.
#[derive(Clone)]
pub struct Wire {
    pub notifiers: Arc<Notifiers>,
    pub deliver: Arc<CarryOut>,
}

/// Carries out a request at a moment of virtual time.
pub type CarryOut = dyn Fn(&SendJob, Time) -> Outcome + Send + Sync;

/// What a world is made with.
pub struct WorldSpec {
    /// Rule files; none for the built-in set.
    pub rules: Vec<String>,
    /// Destinations and their pace.
    pub destinations: Vec<(&'static str, Option<Pace>)>,
    /// Who hears of podbell's own trouble.
    pub operator: Vec<&'static str>,
    /// Destinations that get digests.
    pub digests: Vec<&'static str>,
    /// Destinations that want a line a day, and at which minute (UTC).
    pub daily: Vec<(&'static str, u16)>,
    /// The operator's planned work, as in podbell.yaml.
    pub maintenance: Vec<Maintenance>,
    /// Real notifiers in the place of receivers.
    pub through: Option<Wire>,
    /// What its source is set up to show.
    pub extent: Extent,
}

impl Default for WorldSpec {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            destinations: vec![("team", None)],
            operator: Vec::new(),
            digests: Vec::new(),
            daily: Vec::new(),
            extent: Extent::Found,
            maintenance: Vec::new(),
            through: None,
        }
    }
}

/// See the module.
pub struct World {
    folder: TempDir,
    /// Where podbell's store is.
    location: Location,
    spec: WorldSpec,
    engine: Option<Engine>,
    /// Now.
    pub now: Time,
    behaviours: BTreeMap<String, Behaviour>,
    attempts: BTreeMap<String, u32>,
    answers: VecDeque<(Time, EngineEvent)>,
    /// Everything that reached a receiver.
    pub log: Vec<Request>,
    /// Fingerprints by destination, to change URLs.
    pub fingerprints: BTreeMap<String, String>,
    /// By how much the clock was set so far; seconds of this world do not count it.
    pub skew: Jump,
    /// At which second the clock will be set, and by how many.
    pub jumps: VecDeque<(i64, i64)>,
}

/// The target of most tests.
pub fn web() -> Target {
    Target::new("prod", "cls-1", "shop", "web")
}

impl World {
    /// A world under one rule file, told to `team`.
    pub fn with_rules(rules: &str) -> Self {
        Self::new(WorldSpec { rules: vec![rules.to_owned()], ..WorldSpec::default() })
    }

    /// A world with the built-in rules, told to `team`.
    pub fn builtin() -> Self {
        Self::new(WorldSpec::default())
    }

    /// A world with `rules/kubernetes.yaml`, told to `team`.
    pub fn shipped() -> Self {
        let rules = include_str!("../../../rules/kubernetes.yaml").replace("team-slack", "team");
        Self::new(WorldSpec { rules: vec![rules], ..WorldSpec::default() })
    }

    /// A world for each set of rules that podbell comes with, with a target that was read once, empty.
    pub fn of_both_sets() -> [Self; 2] {
        [Self::builtin(), Self::shipped()].map(|mut world| {
            world.watch(&[web()]);
            world.poll(&web(), &[]);
            world
        })
    }

    /// A world.
    pub fn new(spec: WorldSpec) -> Self {
        let mut world = Self::asleep(spec);
        world.start();
        world
    }

    /// One in which podbell was not started yet.
    pub fn asleep(spec: WorldSpec) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            location: new_store(&folder),
            folder,
            spec,
            engine: None,
            now: START,
            behaviours: BTreeMap::new(),
            attempts: BTreeMap::new(),
            answers: VecDeque::new(),
            log: Vec::new(),
            fingerprints: BTreeMap::new(),
            skew: Jump::NONE,
            jumps: VecDeque::new(),
        }
    }

    /// Starts podbell on the store as it is.
    pub fn start(&mut self) {
        self.try_start().unwrap();
        self.turn(Vec::new());
    }

    /// The same up to its first turn, if the store lets it.
    pub fn try_start(&mut self) -> Result<(), StoreError> {
        // A child that another test starts has the lock's file for a moment, until it is another program.
        let store = self.location.writer(Duration::from_secs(20), self.now)?;
        let chats: Vec<Destination> = self.spec.destinations.iter().map(|(name, _)| (*name).into()).collect();
        let files = self.rule_files();
        let InForce { rules, good, refused } = files.in_force(&store.good_rules()?);
        let info = SourceInfo {
            poll_every: Duration::from_secs(60),
            memory: Duration::from_secs(3600),
            first_poll_window: Duration::from_secs(600),
            utc_offset_seconds: 28_800,
            aliases: BTreeMap::from([("cls-1".to_owned(), "prod-gz".to_owned())]),
            extent: self.spec.extent.clone(),
        };
        let setup = Setup {
            rules,
            sources: BTreeMap::from([(Arc::from("prod"), info)]),
            operator: self.spec.operator.iter().map(|name| (*name).into()).collect(),
            destinations: chats.iter().cloned().collect(),
            daily: self.spec.daily.iter().map(|(name, minute)| ((*name).into(), daily(*minute))).collect(),
        };
        let policies = self.spec.destinations.iter().map(|(name, pace)| {
            let url = self.fingerprints.get(*name).cloned().unwrap_or_else(|| format!("url-of-{name}"));
            let policy = Policy {
                endpoint: url.as_str().into(),
                fingerprint: url.as_str().into(),
                pace: *pace,
                concurrency: if pace.is_some() { 1 } else { 4 },
                threads: None,
                digest_after: self.spec.digests.contains(name).then_some(3),
            };
            ((*name).into(), policy)
        });
        let (policies, renderer): (_, Box<dyn Renderer>) = match &self.spec.through {
            Some(wire) => (wire.notifiers.policies(), Box::new(NotifierRenderer(wire.notifiers.clone()))),
            None => (policies.collect(), Box::new(Plain)),
        };
        let parts = EngineParts { store, setup, policies, renderer, chance: Box::new(|| 0.5) };
        let mut engine = Engine::new(parts, self.now)?;
        engine.take_rules(NewRules::AsMade { good, refused });
        self.engine = Some(engine);
        Ok(())
    }

    fn rule_files(&self) -> RuleFiles {
        let files = self.spec.rules.iter().enumerate().map(|(entry, text)| rule_file(entry, text)).collect();
        let chats = self.spec.destinations.iter().map(|(name, _)| (*name).into()).collect();
        RuleFiles {
            files,
            unread: Vec::new(),
            named: !self.spec.rules.is_empty(),
            chats,
            maintenance: self.spec.maintenance.clone(),
        }
    }

    /// The rule files are these now, and podbell sees it.
    pub fn reload(&mut self, rules: &[&str]) {
        self.spec.rules = rules.iter().map(|text| (*text).to_owned()).collect();
        let files = self.rule_files();
        self.happen(EngineEvent::Rules(Box::new(NewRules::Files(files))));
    }

    /// The same, and in the same turn a later look finds something that cannot be used.
    pub fn reload_then_refuse(&mut self, rules: &[&str], error: Problem) {
        self.spec.rules = rules.iter().map(|text| (*text).to_owned()).collect();
        let files = self.rule_files();
        self.turn(vec![
            EngineEvent::Rules(Box::new(NewRules::Files(files))),
            EngineEvent::Rules(Box::new(NewRules::Refused(error))),
        ]);
    }

    /// Ends podbell without a word, as `kill -9` does. Answers on their way are lost.
    pub fn kill(&mut self) {
        self.engine = None;
        self.answers.clear();
    }

    /// Changes what podbell is started with.
    pub fn respec(&mut self, change: impl FnOnce(&mut WorldSpec)) {
        change(&mut self.spec);
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().expect("podbell runs")
    }

    /// How a receiver behaves from now on, by the time and the number of the attempt, counted from
    /// 1; without this it takes everything at once.
    pub fn receiver(&mut self, name: &str, behaviour: impl FnMut(Time, u32) -> (Outcome, Duration) + Send + 'static) {
        self.behaviours.insert(name.to_owned(), Box::new(behaviour));
        self.attempts.remove(name);
    }

    /// A target is watched.
    pub fn watch(&mut self, targets: &[Target]) {
        let targets = targets.iter().map(|target| TargetEntry { target: target.clone(), discovered: false }).collect();
        self.happen(EngineEvent::Source(SourceEvent::TargetList { source: "prod".into(), targets, complete: true }));
    }

    /// A discovery of the source.
    pub fn discover(&mut self, targets: &[Target], complete: bool) {
        let targets = targets.iter().map(|target| TargetEntry { target: target.clone(), discovered: true }).collect();
        self.happen(EngineEvent::Source(SourceEvent::TargetList { source: "prod".into(), targets, complete }));
    }

    /// A good poll of a target, which is watched from then on.
    pub fn poll(&mut self, target: &Target, events: &[Event<'static>]) {
        if self.engine().state().is_some_and(|state| state.target(target).is_none()) {
            let targets = vec![TargetEntry { target: target.clone(), discovered: false }];
            self.happen(EngineEvent::Source(SourceEvent::TargetList {
                source: "prod".into(),
                targets,
                complete: false,
            }));
        }
        let event = SourceEvent::Polled { target: target.clone(), at: self.now, events: events.to_vec() };
        self.happen(EngineEvent::Source(event));
    }

    /// A failed poll of a target.
    pub fn fail(&mut self, target: &Target, code: &str) {
        let error =
            Problem { code: code.into(), text: "it failed".into(), advice: "mend it".into(), gone: code == "-16013" };
        self.happen(EngineEvent::Source(SourceEvent::Failed { target: target.clone(), at: self.now, error }));
    }

    /// A person does something, and hears what came of it.
    pub fn act(&mut self, who: &str, scope: &Scope, act: Act) -> ActionResult {
        let action =
            UserAction { by: Author { name: who.to_owned(), via: "chat".to_owned() }, scope: scope.clone(), act };
        let (said, heard) = std::sync::mpsc::channel();
        let answer = Box::new(move |done| said.send(done).unwrap());
        self.happen(EngineEvent::Action(ActionRequest { action: Box::new(action), answer }));
        heard.try_recv().expect("an answer with the turn").expect("it was written")
    }

    /// Polls with the same list each minute until `seconds`.
    pub fn poll_until(&mut self, target: &Target, events: &[Event<'static>], seconds: i64) {
        while self.now.plus(Duration::from_secs(60)) <= at(seconds) {
            let next = self.now.plus(Duration::from_secs(60));
            self.run_to(next);
            self.poll(target, events);
        }
    }

    /// A turn in which this happens, if the store lets it.
    pub fn try_turn(&mut self, mut happened: Vec<EngineEvent>) -> Result<(), StoreError> {
        let now = self.now;
        happened.extend(self.ready_answers());
        for job in self.engine().turn(happened, now)? {
            self.send(job);
        }
        Ok(())
    }

    /// Lets time pass up to `seconds` after the start.
    pub fn run_until(&mut self, seconds: i64) {
        while let Some((at_second, by)) = self.jumps.front().copied().filter(|(at_second, _)| *at_second <= seconds) {
            self.jumps.pop_front();
            self.run_to(at(at_second).moved(self.skew));
            self.set_clock(by);
        }
        self.run_to(at(seconds).moved(self.skew));
    }

    /// Somebody sets the clock.
    pub fn set_clock(&mut self, by_seconds: i64) {
        let by = Jump::between(at(0), at(by_seconds));
        self.skew = self.skew.and(by);
        self.now = self.now.moved(by);
        self.answers.iter_mut().for_each(|(at, _)| at.carry(by));
        if let Some(engine) = &mut self.engine {
            engine.clock_set(by, self.now);
        }
    }

    /// Lets time pass, carrying out whatever falls due.
    pub fn run_to(&mut self, until: Time) {
        loop {
            let now = self.now;
            let wake = self.engine().next_timer(now);
            let answer = self.answers.iter().map(|(at, _)| *at).min();
            let next = [wake, answer].into_iter().flatten().min().filter(|next| *next <= until);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            let ready = self.ready_answers();
            self.turn(ready);
        }
        self.now = self.now.max(until);
        let ready = self.ready_answers();
        self.turn(ready);
    }

    fn ready_answers(&mut self) -> Vec<EngineEvent> {
        let (ready, later): (Vec<_>, Vec<_>) = self.answers.drain(..).partition(|(at, _)| *at <= self.now);
        self.answers = later.into();
        ready.into_iter().map(|(_, happened)| happened).collect()
    }

    /// A source says something.
    pub fn say(&mut self, event: SourceEvent) {
        self.happen(EngineEvent::Source(event));
    }

    fn happen(&mut self, happened: EngineEvent) {
        self.turn(vec![happened]);
    }

    fn turn(&mut self, happened: Vec<EngineEvent>) {
        let now = self.now;
        let mut next = happened;
        loop {
            let jobs = self.engine().turn(std::mem::take(&mut next), now).unwrap();
            for job in jobs {
                self.send(job);
            }
            next = self.ready_answers();
            if next.is_empty() {
                break;
            }
        }
    }

    fn send(&mut self, job: SendJob) {
        if let Some(wire) = self.spec.through.clone() {
            let outcome = (wire.deliver)(&job, self.now);
            self.answers.push_back((self.now, EngineEvent::Answered(job.send, outcome)));
            return;
        }
        let to = job.destination.to_string();
        let attempt = self.attempts.entry(to.clone()).or_default();
        *attempt += 1;
        let (outcome, after) = match self.behaviours.get_mut(&to) {
            Some(behaviour) => behaviour(self.now, *attempt),
            None => (Outcome::Delivered, Duration::ZERO),
        };
        let body: serde_json::Value = serde_json::from_slice(&job.body).unwrap();
        assert_eq!(body["id"], job.message_id, "the id is part of the frozen body");
        self.log.push(Request {
            at: (self.now.moved(self.skew.undone()).millis() - START.millis()) as f64 / 1000.0,
            to,
            id: job.message_id,
            notices: serde_json::from_value(body["notices"].clone()).unwrap(),
            storm: body["storm"].as_u64(),
            body: job.body,
            outcome: outcome.clone(),
        });
        self.answers.push_back((self.now.plus(after), EngineEvent::Answered(job.send, outcome)));
    }

    /// What was told, one line a delivered message: `75s team opened #1`, folded ones with `+`.
    pub fn told(&self) -> Vec<String> {
        self.log.iter().filter(|request| request.outcome == Outcome::Delivered).map(Request::line).collect()
    }

    /// The same of one destination.
    pub fn told_to(&self, name: &str) -> Vec<String> {
        let mine = |request: &&Request| request.to == name && request.outcome == Outcome::Delivered;
        self.log.iter().filter(mine).map(Request::line).collect()
    }

    /// The newest notice that reached anybody.
    pub fn last_notice(&self) -> &Notice {
        self.log.last().and_then(|request| request.notices.last()).expect("something was told")
    }

    /// The store, opened beside podbell: its inbox, and what waits in it.
    pub fn store(&self) -> Store {
        Store::beside(&self.store_path()).unwrap()
    }

    /// A reader of the store beside podbell.
    pub fn reader(&self) -> Box<dyn Reader> {
        self.location.reader().unwrap()
    }

    /// Where podbell's store is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Lets podbell go on with another store when it starts next.
    #[cfg(feature = "outside")]
    pub fn move_to(&mut self, location: Location) {
        self.location = location;
    }

    /// Where the store lies.
    pub fn store_path(&self) -> std::path::PathBuf {
        self.folder.path().join("podbell.db")
    }
}

impl Request {
    fn line(&self) -> String {
        let kinds: Vec<&str> = self.notices.iter().map(|notice| notice.kind.as_str()).collect();
        let incident =
            self.notices.last().and_then(|n| n.body.incident()).map_or(String::new(), |id| format!(" #{id}"));
        format!("{}s {} {}{}", self.at, self.to, kinds.join("+"), incident)
    }
}

fn daily(minute: u16) -> DailyAt {
    DailyAt(Hours::daily(minute, jiff::tz::TimeZone::UTC))
}

fn rule_file(entry: usize, text: &str) -> RuleFile {
    RuleFile {
        source: podbell_core::diagnostic::Source::new(&format!("rules-{entry}.yaml"), text),
        entry: u32::try_from(entry).unwrap(),
        scope: None,
        names: Default::default(),
        defaults: Default::default(),
    }
}

/// Rule files, compiled.
pub fn compiled(files: &[String]) -> Rules {
    Rules::of(files.iter().enumerate().map(|(entry, text)| {
        let done = compile(&rule_file(entry, text));
        assert!(!done.has_errors(), "{:?}", done.diagnostics);
        done
    }))
}
