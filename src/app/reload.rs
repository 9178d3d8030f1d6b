//! Reloading rules while podbell runs: when their files change, on SIGHUP, and when asked over HTTP.
//!
//! The content of the files is compared once a second. A change is taken over when it stayed the same for two, so that
//! an editor that writes in two steps causes one reload. This module reads and checks; the engine, which has the last
//! good versions, decides which rules are in force.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::{self, Config, Loaded, Stage};
use crate::engine::NewRules;
use crate::examine::count;
use crate::server::{NotReloaded, ReloadRequest};
use podbell_core::diagnostic::{Diagnostic, Source};
use podbell_core::rule::Destination;
use podbell_core::rules::in_force::{InForce, RuleFiles, refusal};
use podbell_core::rules::{Names, Rules, compile};
use podbell_core::source::Problem;

/// How often files are compared.
const LOOK: Duration = Duration::from_secs(1);
/// How long a change must stay the same.
const STABLE: Duration = Duration::from_secs(2);

/// Watches files until `stopped` is cancelled.
pub(crate) type RulesTask = Box<dyn FnOnce(mpsc::Sender<NewRules>, CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// What reloads rules, and where the newest are kept.
pub struct Reloading {
    /// Watches the files.
    pub(crate) task: RulesTask,
    /// The rules for the next engine.
    pub(crate) current: Arc<CurrentRules>,
}

/// The rule files as they were read last, for an engine that is created later. Each replica reads its own.
pub(crate) struct CurrentRules {
    read: Mutex<LastRead>,
    /// Called with the rules in force.
    show: Box<dyn Fn(&Rules) + Send + Sync>,
}

/// The result of the newest good read of podbell.yaml, and of a bad one after it.
#[derive(Clone, Debug)]
pub(crate) struct LastRead {
    /// The files.
    pub files: RuleFiles,
    /// Why podbell.yaml was refused since.
    pub refused: Option<Problem>,
}

impl CurrentRules {
    /// Starts with these files; `show` is called with the rules in force.
    pub(crate) fn new(files: RuleFiles, show: impl Fn(&Rules) + Send + Sync + 'static) -> Self {
        Self { read: Mutex::new(LastRead { files, refused: None }), show: Box::new(show) }
    }

    /// What was read last.
    pub(crate) fn get(&self) -> LastRead {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what a reload read.
    pub(super) fn keep(&self, rules: &NewRules) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match rules {
            NewRules::Files(files) => *read = LastRead { files: files.clone(), refused: None },
            NewRules::Refused(problem) => read.refused = Some(problem.clone()),
            NewRules::AsMade { .. } => {}
        }
    }

    /// Shows these rules in force.
    pub(crate) fn show_in_force(&self, rules: &Rules) {
        (self.show)(rules);
    }

    /// Shows the rules of the files as they are, while no engine says which are in force: for the names of rules in
    /// questions and answers.
    pub(crate) fn show(&self) {
        let InForce { rules, .. } = self.get().files.in_force(&BTreeMap::new());
        (self.show)(&rules);
    }
}

/// The rule files of a configuration that was read.
pub(crate) fn rule_files<S: Stage>(loaded: Loaded, config: &Config<S>) -> RuleFiles {
    RuleFiles {
        files: loaded.rule_files,
        unread: loaded.unread_rules,
        named: config.has_rules,
        chats: config.built_in_destinations(),
        maintenance: config.maintenance.clone(),
    }
}

/// What `rules:` of podbell.yaml names, as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Globs {
    /// All globs.
    pub all: Vec<String>,
    /// Those that match no file.
    pub empty: Vec<String>,
}

/// What is watched, as it was when podbell started.
#[derive(Clone, Debug)]
pub(crate) struct WatchedFiles {
    /// podbell.yaml.
    pub path: PathBuf,
    /// What its `rules:` name.
    pub globs: Globs,
    /// The names that rules may use: those of the notifiers that run.
    pub names: Names,
    /// The chats that run.
    pub chats: Vec<Destination>,
    /// The fingerprint of the files in force.
    pub fingerprint: u64,
}

/// The globs of `rules:` that match no file.
fn unmatched_globs(loaded: &Loaded) -> Vec<String> {
    let names = loaded.unread_rules.iter().map(|unread| unread.file.source.name.to_string());
    names.filter(|name| config::is_glob(name)).collect()
}

impl WatchedFiles {
    /// What to watch for a configuration that was just read.
    pub(crate) fn new<S: Stage>(path: &Path, config: &Config<S>, loaded: &Loaded) -> Self {
        let globs = Globs { all: loaded.rule_globs.clone(), empty: unmatched_globs(loaded) };
        let (names, chats) = (loaded.names.clone(), config.built_in_destinations());
        Self { path: path.to_owned(), globs, names, chats, fingerprint: loaded.fingerprint }
    }

    /// The task that watches; `asks` are answered one by one.
    pub(crate) fn task(self, mut asks: mpsc::Receiver<ReloadRequest>) -> RulesTask {
        Box::new(move |rules, stopped| Box::pin(async move { Watcher::new(self, rules).run(&mut asks, stopped).await }))
    }
}

struct Watcher {
    watched: WatchedFiles,
    rules: mpsc::Sender<NewRules>,
    /// A change that may be incomplete: its fingerprint, and since when it is seen.
    changing: Option<(u64, Instant)>,
}

/// What a reload read.
struct Read {
    rules: NewRules,
    globs: Option<Globs>,
    fingerprint: u64,
    answer: Result<String, NotReloaded>,
}

impl Watcher {
    fn new(watched: WatchedFiles, rules: mpsc::Sender<NewRules>) -> Self {
        Self { watched, rules, changing: None }
    }

    async fn run(&mut self, asks: &mut mpsc::Receiver<ReloadRequest>, stopped: CancellationToken) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(signal) => Some(signal),
            Err(error) => {
                tracing::warn!(%error, "SIGHUP cannot be listened to; rules are reloaded when their files change");
                None
            }
        };
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopped.cancelled() => return,
                _ = look.tick() => self.look().await,
                () = hung_up(&mut hangup) => {
                    tracing::info!("SIGHUP: reading the rules again");
                    let _ = self.reload(Trigger::Request).await;
                }
                Some(ask) = asks.recv() => {
                    let answer = self.reload(Trigger::Request).await;
                    // The caller may be gone.
                    let _ = ask.send(answer);
                }
            }
        }
    }

    async fn look(&mut self) {
        let (path, globs) = (self.watched.path.clone(), self.watched.globs.all.clone());
        let now = tokio::task::spawn_blocking(move || config::fingerprint(&path, &globs)).await;
        let Ok(now) = now else { return };
        if now == self.watched.fingerprint {
            self.changing = None;
            return;
        }
        match self.changing.filter(|(seen, _)| *seen == now) {
            None => self.changing = Some((now, clock::monotonic())),
            Some((_, since)) if since.elapsed() >= STABLE => {
                let _ = self.reload(Trigger::Change).await;
            }
            Some(_) => {}
        }
    }

    async fn reload(&mut self, trigger: Trigger) -> Result<String, NotReloaded> {
        let watched = self.watched.clone();
        let read = tokio::task::spawn_blocking(move || read(&watched, trigger)).await;
        let Ok(read) = read else { return Err(NotReloaded("the rules could not be read".to_owned())) };
        self.changing = None;
        self.watched.fingerprint = read.fingerprint;
        if let Some(globs) = read.globs {
            self.watched.globs = globs;
        }
        if self.rules.send(read.rules).await.is_err() {
            return Err(NotReloaded("podbell is ending".to_owned()));
        }
        read.answer
    }
}

async fn hung_up(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            if signal.recv().await.is_none() {
                std::future::pending().await
            }
        }
        None => std::future::pending().await,
    }
}

/// Why rules are reloaded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// Their files changed.
    Change,
    /// Somebody asked for it: it is done even if files are gone.
    Request,
}

/// Reads the files.
fn read(watched: &WatchedFiles, trigger: Trigger) -> Read {
    // Taken before the files are read: a change meanwhile has another fingerprint and is read again.
    let before = config::fingerprint(&watched.path, &watched.globs.all);
    let mut loaded = config::load(&watched.path);
    let refused = |error: Problem| {
        let answer = Err(NotReloaded(error.text.clone()));
        Read { rules: NewRules::Refused(error), globs: None, fingerprint: before, answer }
    };
    let Some(config) = loaded.config.take().filter(|_| !loaded.has_errors()) else {
        let error = loaded.diagnostics.iter().find(|finding| finding.is_error());
        let error =
            error.cloned().unwrap_or_else(|| Diagnostic::error(&Source::new("", ""), 0..0, "it cannot be used"));
        return refused(refusal(&error, UNCHANGED));
    };
    // Files may be missing for a moment, while they are copied or a folder is not mounted.
    let vanished = unmatched_globs(&loaded).into_iter().find(|glob| !watched.globs.empty.contains(glob));
    if let Some(glob) = vanished.filter(|_| trigger == Trigger::Change) {
        let error = Problem {
            code: "rules".to_owned(),
            text: format!("{glob} matches no file any more"),
            advice: format!(
                "put the files back; if they are gone for good, take the glob out of podbell.yaml. Until then {UNCHANGED}"
            ),
            gone: false,
        };
        return refused(error);
    }
    for file in loaded.rule_files.iter_mut().chain(loaded.unread_rules.iter_mut().map(|unread| &mut unread.file)) {
        // A new notifier comes with the next start; until then rules cannot name it.
        file.names.destinations.clone_from(&watched.names.destinations);
        file.names.mentions.clone_from(&watched.names.mentions);
    }
    let globs = Globs { all: loaded.rule_globs.clone(), empty: unmatched_globs(&loaded) };
    let fingerprint = loaded.fingerprint;
    let mut files = rule_files(loaded, &config);
    let runs = |name: &Destination| watched.names.destinations.as_ref().is_none_or(|names| names.contains(name));
    files.chats.retain(runs);
    if files.chats.is_empty() {
        files.chats.clone_from(&watched.chats);
    }
    let answer = checked(&files);
    Read { rules: NewRules::Files(files), globs: Some(globs), fingerprint, answer }
}

const UNCHANGED: &str = "the rules stay as they were";

/// The answer to a reload that somebody asked for.
fn checked(files: &RuleFiles) -> Result<String, NotReloaded> {
    let mut rules = 0;
    let mut wrong = Vec::new();
    for file in &files.files {
        let compiled = compile(file);
        rules += compiled.rules.len();
        wrong.extend(compiled.diagnostics.iter().find(|finding| finding.is_error()).map(ToString::to_string));
    }
    wrong.extend(files.unread.iter().map(|unread| unread.error.to_string()));
    match wrong.is_empty() {
        true => Ok(format!("{}, {}", count(files.files.len(), "rule file"), count(rules, "rule"))),
        false => Err(NotReloaded(wrong.join("\n"))),
    }
}
