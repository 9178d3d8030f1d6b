//! Reloading rules while podbell runs: when their files change, on SIGHUP, and when asked over HTTP.
//!
//! Files are looked at once a second by content; a change is taken over when it stayed the same for
//! two, so that an editor that writes in two steps is one reload. Reads and checks; what holds in the
//! end is the engine's, which has the last good versions.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use super::BoxFuture;
use crate::clock;
use crate::config::{self, Config, Loaded};
use crate::core::diagnostic::Diagnostic;
use crate::core::rules::in_force::{RuleFiles, refusal};
use crate::core::rules::{Names, compile};
use crate::engine::NewRules;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long a change must stay the same.
const STABLE: Duration = Duration::from_secs(2);

/// Somebody wants a reload, and to know what came of it: a sentence, or what is wrong.
pub type Ask = oneshot::Sender<Result<String, String>>;
/// Watches files until the watch turns true.
pub type RulesTask = Box<dyn FnOnce(mpsc::Sender<NewRules>, watch::Receiver<bool>) -> BoxFuture<()> + Send>;

/// The rule files of a configuration that was read.
pub fn rule_files<S>(loaded: Loaded, config: &Config<S>) -> RuleFiles {
    RuleFiles {
        files: loaded.rule_files,
        named: config.has_rules,
        chats: config.chat_destinations(),
        maintenance: config.maintenance.clone(),
    }
}

/// What is watched, as it was when podbell started.
#[derive(Debug)]
pub struct Watched {
    /// podbell.yaml.
    pub path: PathBuf,
    /// What its `rules:` name.
    pub globs: Vec<String>,
    /// The names that rules may use: those of the notifiers that run.
    pub names: Names,
    /// The fingerprint of what holds.
    pub fingerprint: u64,
}

impl Watched {
    /// What a configuration that was just read names.
    pub fn new(path: &Path, loaded: &Loaded) -> Self {
        let globs = loaded.rule_globs.clone();
        let fingerprint = config::fingerprint(path, &globs);
        Self { path: path.to_owned(), globs, names: loaded.names.clone(), fingerprint }
    }

    /// The task that watches; `asks` are answered one by one.
    pub fn task(self, mut asks: mpsc::Receiver<Ask>) -> RulesTask {
        Box::new(move |rules, stopped| Box::pin(async move { Watcher::new(self, rules).run(&mut asks, stopped).await }))
    }
}

struct Watcher {
    watched: Watched,
    rules: mpsc::Sender<NewRules>,
    /// A change that may still be going on.
    changing: Option<(u64, Instant)>,
}

/// What a reload read.
struct Read {
    rules: NewRules,
    globs: Option<Vec<String>>,
    fingerprint: u64,
    answer: Result<String, String>,
}

impl Watcher {
    fn new(watched: Watched, rules: mpsc::Sender<NewRules>) -> Self {
        Self { watched, rules, changing: None }
    }

    async fn run(&mut self, asks: &mut mpsc::Receiver<Ask>, mut stopped: watch::Receiver<bool>) {
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
                () = ended(&mut stopped) => return,
                _ = look.tick() => self.look().await,
                () = hung_up(&mut hangup) => {
                    tracing::info!("SIGHUP: reading the rules again");
                    let _ = self.reload().await;
                }
                Some(ask) = asks.recv() => {
                    let answer = self.reload().await;
                    // Whoever asked may be gone.
                    let _ = ask.send(answer);
                }
            }
        }
    }

    async fn look(&mut self) {
        let (path, globs) = (self.watched.path.clone(), self.watched.globs.clone());
        let now = tokio::task::spawn_blocking(move || config::fingerprint(&path, &globs)).await;
        let Ok(now) = now else { return };
        if now == self.watched.fingerprint {
            self.changing = None;
            return;
        }
        match self.changing.filter(|(seen, _)| *seen == now) {
            None => self.changing = Some((now, clock::monotonic())),
            Some((_, since)) if since.elapsed() >= STABLE => {
                let _ = self.reload().await;
            }
            Some(_) => {}
        }
    }

    async fn reload(&mut self) -> Result<String, String> {
        let (path, globs, names) = (self.watched.path.clone(), self.watched.globs.clone(), self.watched.names.clone());
        let read = tokio::task::spawn_blocking(move || read(&path, &globs, &names)).await;
        let Ok(read) = read else { return Err("the rules could not be read".to_owned()) };
        self.changing = None;
        self.watched.fingerprint = read.fingerprint;
        self.watched.globs = read.globs.unwrap_or_else(|| std::mem::take(&mut self.watched.globs));
        if self.rules.send(read.rules).await.is_err() {
            return Err("podbell is ending".to_owned());
        }
        read.answer
    }
}

async fn ended(stopped: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
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

fn read(path: &Path, globs: &[String], names: &Names) -> Read {
    let mut loaded = config::load(path);
    // A file that changes while it is read is read again: its fingerprint will be another.
    let config = loaded.config.take().filter(|_| !loaded.has_errors());
    let Some(config) = config else {
        let error = loaded.diagnostics.iter().find(|finding| finding.is_error());
        let words = error.map(Diagnostic::to_string).unwrap_or_default();
        let refused = error.map(|error| refusal(error, "the rules stay as they were"));
        let rules = refused.map_or_else(|| NewRules::Files(RuleFiles::default()), NewRules::Refused);
        return Read { rules, globs: None, fingerprint: config::fingerprint(path, globs), answer: Err(words) };
    };
    for file in &mut loaded.rule_files {
        // Another notifier comes with the next start; until then it does not exist.
        file.names.destinations.clone_from(&names.destinations);
        file.names.mentions.clone_from(&names.mentions);
    }
    let globs = loaded.rule_globs.clone();
    let fingerprint = config::fingerprint(path, &globs);
    let files = rule_files(loaded, &config);
    let answer = checked(&files);
    Read { rules: NewRules::Files(files), globs: Some(globs), fingerprint, answer }
}

/// What to say to whoever asked for it.
fn checked(files: &RuleFiles) -> Result<String, String> {
    let mut rules = 0;
    let mut wrong = Vec::new();
    for file in &files.files {
        let compiled = compile(file);
        rules += compiled.rules.len();
        wrong.extend(compiled.diagnostics.iter().find(|finding| finding.is_error()).map(ToString::to_string));
    }
    match wrong.is_empty() {
        true => Ok(format!("{} rule files, {rules} rules", files.files.len())),
        false => Err(wrong.join("\n")),
    }
}
