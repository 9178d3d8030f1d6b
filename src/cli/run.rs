//! `podbell run`: the service.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::logs::{self, LogArgs};
use super::setup::{self, ConfigArgs};
use crate::app::reload::{CurrentRules, LastRead, Reloading, WatchedFiles, rule_files};
use crate::app::{self, Activate, Active, Ownership, Service, ServiceError, assemble, chats, command_sink};
use crate::chat::{ExclusiveConnection, Queries, QueryService, RuleCatalog};
use crate::clock;
use crate::config::Config;
use crate::engine::{Engine, EngineParts, NewRules};
use crate::health::HealthStatus;
use crate::notifiers::Notifiers;
use crate::sources::WantedMetadata;
use podbell_core::ask::AnswerFacts;
use podbell_core::rules::in_force::{InForce, RuleFiles};
use podbell_store::{Location, Readers, StoreError, Writer};

/// At most this many questions are answered at once; others wait.
const READERS: usize = 4;
/// The same for a shared store, where a question waits for the network most of the time.
const SHARED_STORE_READERS: usize = 8;
/// The same for the gateway, apart from the above, so that tools that ask often delay nobody who types.
const GATEWAY_READERS: usize = 2;
/// In a rolling update the old process needs a moment to release the store.
const STORE_WAIT: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "\
Examples:
  podbell check && podbell run
  podbell run --config /etc/podbell/podbell.yaml --log-format json";

/// How to run.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    logs: LogArgs,
    /// How many seconds to wait for another podbell to let go of the store.
    #[arg(long, value_name = "SECONDS", default_value_t = STORE_WAIT.as_secs())]
    store_wait: u64,
}

/// Runs until SIGTERM or Ctrl-C.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    logs::start(&args.logs);
    // Raise the limit before anything is open.
    let files = crate::server::files::raise();
    tracing::debug!(files, "so many files may be open");
    let path = &args.config.config;
    let (config, loaded) = setup::load(path)?;
    let watched = WatchedFiles::new(path, &config, &loaded);
    let files = rule_files(loaded, &config);
    let config = setup::resolve(config)?;
    super::block_on(serve(config, files, watched, Duration::from_secs(args.store_wait)))??;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config, files: RuleFiles, watched: WatchedFiles, store_wait: Duration) -> anyhow::Result<()> {
    let location = setup::store(&config)?;
    // Reading the machine's certificates takes as long as a tenth of a large store: the store is read meanwhile.
    let options = assemble::http_options(&config.http)?;
    let client = tokio::task::spawn_blocking(move || crate::http::client(&options));
    let ownership = match location.is_shared() {
        true => Ownership::Shared { location: location.clone(), replica: replica_name() },
        false => Ownership::Sole(location.writer(store_wait, clock::now())?),
    };
    let ended = serve_on(ownership, client.await??, config, RuleSources { files, watched }).await;
    // The store was opened, so the file is certainly podbell's and may be marked as damaged.
    let of_store = |error: &anyhow::Error| match error.downcast_ref::<ServiceError>() {
        Some(ServiceError::Store(error)) => error.is_damage().then(|| error.why().to_owned()),
        _ => error.downcast_ref::<StoreError>().filter(|error| error.is_damage()).map(|error| error.why().to_owned()),
    };
    if let Some(why) = ended.as_ref().err().and_then(of_store) {
        let next = location.mark_damaged(&why);
        anyhow::bail!("the store {location} is damaged: {why}. podbell ends; {next}");
    }
    ended
}

/// The name of this process among the replicas: that of its machine, in Kubernetes its pod, and what differs at each start.
fn replica_name() -> String {
    format!("{}-{:08x}", rustix::system::uname().nodename().to_string_lossy(), rand::random::<u32>())
}

/// The rule files, and how they are watched.
struct RuleSources {
    files: RuleFiles,
    watched: WatchedFiles,
}

async fn serve_on(
    ownership: Ownership,
    client: reqwest::Client,
    config: Config,
    rule_sources: RuleSources,
) -> anyhow::Result<()> {
    let location = setup::store(&config)?;
    let listener = tokio::net::TcpListener::bind(config.server.listen).await.map_err(|error| {
        anyhow::anyhow!("cannot listen on {}: {error}; choose another server.listen", config.server.listen)
    })?;
    // With port 0 only the listener knows the port.
    let listen = listener.local_addr()?;
    let notifiers = Arc::new(assemble::notifiers(&config, client.clone()));
    let policies = notifiers.policies();
    let health = Arc::new(HealthStatus::default());
    let (asks, asked) = tokio::sync::mpsc::channel(1);
    let catalog = Arc::new(RuleCatalog::default());
    let (want, wanted) = tokio::sync::watch::channel(BTreeSet::new());
    let (known, aliases) = (catalog.clone(), config.aliases());
    let current = Arc::new(CurrentRules::new(rule_sources.files, move |rules| {
        known.set(AnswerFacts::new(rules, aliases.clone()));
        let keys = rules.metadata_keys();
        want.send_if_modified(|before| std::mem::replace(before, keys.clone()) != keys);
    }));
    let (sink, user_actions) = match location.is_shared() {
        true => command_sink::replica_sink(location.clone()),
        false => command_sink::command_sink(),
    };
    let readers = Readers::new(location.clone(), if location.is_shared() { SHARED_STORE_READERS } else { READERS });
    let queries = Arc::new(QueryService::new(readers, sink, catalog.clone()));
    let chats = chats::chats(&config, &client, &(queries.clone() as Arc<dyn Queries>))?;
    let page = assemble::page(&config, queries.clone(), health.clone(), &policies);
    let gateway = assemble::gateway(&config, Readers::new(location.clone(), GATEWAY_READERS), catalog.clone());
    let outside = chats.routes.merge(assemble::api(&config, queries)).merge(gateway).merge(page);
    let reload = assemble::reload(&config, asks);
    let mut sides = vec![assemble::server(listener, health.clone(), Some(reload), outside)];
    sides.extend(chats.connections);
    let connections = chats.exclusive;
    sides.extend(assemble::heartbeat(&config, &health, client.clone()));
    if location.is_shared() {
        current.show();
        tracing::info!(%listen, store = %location, "podbell answers questions; it sends messages once it owns the store");
    }
    let service = Service {
        ownership,
        rules: Some(Reloading { task: rule_sources.watched.task(asked), current: current.clone() }),
        user_actions: Some(user_actions),
        deliver: assemble::deliver(notifiers.clone()),
        sides,
        exporter: assemble::exporter(&config, &client, &health),
        damage: damage(&location, &health),
        health,
        activate: activation(Activation { config, location, client, notifiers, current, wanted, connections, listen }),
    };
    // From here on podbell shuts down in order, even if a signal comes at once.
    let signals = super::Signals::listen()?;
    app::run(service, signals.stop_requested()).await?;
    tracing::info!("ended");
    Ok(())
}

/// What an active period is built from.
struct Activation {
    config: Config,
    location: Location,
    client: reqwest::Client,
    notifiers: Arc<Notifiers>,
    current: Arc<CurrentRules>,
    wanted: WantedMetadata,
    connections: Vec<ExclusiveConnection>,
    listen: SocketAddr,
}

fn activation(activation: Activation) -> Activate {
    Arc::new(move |store| activation.activate(store))
}

impl Activation {
    fn activate(&self, store: Box<dyn Writer>) -> Result<Active, StoreError> {
        let now = clock::now();
        let LastRead { files, refused: unreadable } = self.current.get();
        // A file with mistakes keeps its last good version, across restarts, too.
        let InForce { rules, good, refused } = files.in_force(&store.good_rules()?);
        let rule_count = rules.count();
        let epoch = store.lease().map(|lease| lease.epoch);
        let parts = EngineParts {
            store,
            setup: assemble::setup(&self.config, rules, now),
            policies: self.notifiers.policies(),
            renderer: Box::new(assemble::NotifierRenderer(self.notifiers.clone())),
            chance: Box::new(rand::random::<f64>),
        };
        let mut engine = Engine::new(parts, now)?;
        // Reading a large store takes a while.
        engine.keep_lease()?;
        engine.take_rules(NewRules::AsMade { good, refused });
        if let Some(problem) = unreadable {
            engine.take_rules(NewRules::Refused(problem));
        }
        let current = self.current.clone();
        engine.on_rules(move |rules| current.show_in_force(rules));
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            sources = self.config.sources.len(),
            rules = rule_count,
            destinations = self.config.notifiers.len(),
            listen = %self.listen,
            store = %self.location,
            epoch,
            "podbell runs"
        );
        if rule_count == 0 {
            tracing::warn!("`rules:` names no rule: nothing will be told; without that key the built-in rules apply");
        }
        Ok(Active {
            engine,
            sources: assemble::sources(&self.config, &self.client, &self.wanted),
            enricher: assemble::enricher(&self.config),
            connections: self.connections.clone(),
        })
    }
}

/// Checks every page of the store once, on a thread that nobody waits for, after the first commit: a large store is
/// read in a start, and both would share the disk. Resolves only if something is wrong.
fn damage(location: &Location, health: &HealthStatus) -> BoxFuture<'static, StoreError> {
    let (location, mut commits) = (location.clone(), health.commits());
    let (found, damage) = tokio::sync::oneshot::channel();
    let check = move || match location.check_all() {
        // Nobody may listen any more: podbell is shutting down.
        Err(error) if error.is_damage() => drop(found.send(error)),
        Err(error) => tracing::warn!(%error, "the store's pages could not be checked"),
        Ok(()) => tracing::debug!("every page of the store is sound"),
    };
    Box::pin(async move {
        if commits.changed().await.is_ok() {
            std::thread::spawn(check);
        }
        match damage.await {
            Ok(error) => error,
            Err(_) => std::future::pending().await,
        }
    })
}
