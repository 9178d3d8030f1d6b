//! `podbell demo`: an emulated cluster, its trouble, and what a team is told, in one process, without configuration
//! or network. Leaves nothing behind.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::SecretString;
use tokio::net::TcpListener;
use url::Url;

use crate::app::{self, Activate, Active, Ownership, Service, assemble};
use crate::clock;
use crate::components::Terminal;
use crate::components::legacy_api::emulator::{Emulator, EmulatorConfig, Play};
use crate::components::legacy_api::{self, ApiConfig, ServiceSelection};
use crate::demo::{self, DemoTexts};
use crate::engine::{Engine, EngineParts};
use crate::health::{HealthSnapshot, HealthStatus};
use crate::notifiers::{NamedNotifier, Notifiers};
use crate::tasks::SideTask;
use podbell_core::diagnostic::Source;
use podbell_core::rules::{Names, RuleFile, Rules, compile};
use podbell_core::source::{Extent, SourceInfo};
use podbell_core::step::Setup;
use podbell_core::template::Template;
use podbell_core::translations::Language;
use podbell_store::Location;

const SOURCE: &str = "demo";
/// Its lists are made at once, and their number grows with the square of the length.
const LONGEST: Duration = Duration::from_secs(3600);
const POLL_EVERY: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  podbell demo                 one problem from its start to its end, then a summary
  podbell demo --for 60s       several of them
  podbell demo --language zh   in Chinese";

/// The name of the one destination.
const DESTINATION: &str = "terminal";

/// How long, and in which language.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// How long it takes, such as 60s or 5m.
    #[arg(long = "for", value_name = "DURATION", default_value = "15s", value_parser = duration)]
    length: Duration,
    /// The language: en or zh.
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    language: Language,
}

fn duration(text: &str) -> anyhow::Result<Duration> {
    let length = podbell_core::yaml::parse_duration(text)?;
    anyhow::ensure!(!length.is_zero() && length <= LONGEST, "from 1s to 1h");
    Ok(length)
}

/// Plays the demo and prints a summary.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let folder = folder()?;
    let snapshot = super::block_on(play(&args, folder.path()))??;
    match summary(args.language, &snapshot) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// A temporary folder for the demo's store. Falls back to shared memory, for containers with a read-only root.
fn folder() -> anyhow::Result<tempfile::TempDir> {
    let first = match tempfile::tempdir() {
        Ok(folder) => return Ok(folder),
        Err(error) => error,
    };
    let others = ["/dev/shm", "/tmp", "/var/tmp", "."];
    others.iter().find_map(|place| tempfile::tempdir_in(place).ok()).ok_or_else(|| {
        anyhow::anyhow!(
            "the demo needs a folder to write in for as long as it runs, and there is none: {first}; set TMPDIR to one, or give the container a temporary /tmp (docker run --tmpfs /tmp)"
        )
    })
}

async fn play(args: &Args, folder: &std::path::Path) -> anyhow::Result<HealthSnapshot> {
    let (id, key) = ("demo-secret-id", SecretString::from("demo-secret-key"));
    let start = clock::now();
    let emulator = Emulator::start(
        TcpListener::bind("127.0.0.1:0").await?,
        EmulatorConfig {
            secret_id: SecretString::from(id),
            secret_key: key.clone(),
            token: None,
            play: Play::new(demo::play(start, args.length), start, NonZeroU32::MIN),
        },
    )?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    introduce(args.language, &emulator.endpoint(), &listener.local_addr()?.to_string())?;

    let mut source = ApiConfig::new(SOURCE, Url::parse(&emulator.endpoint())?, SecretString::from(id), key);
    source.poll_every = POLL_EVERY;
    source.requests_per_second = NonZeroU32::MIN.saturating_add(49);
    source.services = vec![ServiceSelection::Named {
        cluster: demo::CLUSTER.to_owned(),
        namespace: demo::NAMESPACE.to_owned(),
        names: demo::SERVICES.map(str::to_owned).to_vec(),
    }];

    let http = crate::http::client(&crate::http::HttpOptions::default())?;
    let terminal = NamedNotifier {
        name: DESTINATION.into(),
        platform: Arc::new(Terminal),
        language: args.language,
        time_zone: TimeZone::system(),
        // No digest: the demo shows in seconds what takes minutes, so an ordinary day would count as a storm.
        digest_after: None,
        template: Template::default(),
        logs: false,
    };
    let notifiers = Arc::new(Notifiers::new(vec![terminal], BTreeMap::new(), http.clone()));
    let store = Location::from(folder.join("podbell.db"));
    let compiled = compile(&rule_file());
    anyhow::ensure!(!compiled.has_errors(), "the demo's rules are wrong: {:?}", compiled.diagnostics);
    let (rendering, client) = (notifiers.clone(), http);
    let activate: Activate = Arc::new(move |store| {
        let parts = EngineParts {
            store,
            setup: setup(),
            policies: rendering.policies(),
            renderer: Box::new(assemble::NotifierRenderer(rendering.clone())),
            chance: Box::new(rand::random::<f64>),
        };
        let sources = vec![legacy_api::task(source.clone(), client.clone())];
        Ok(Active { engine: Engine::new(parts, start)?, sources, enricher: None, connections: Vec::new() })
    });
    let health = Arc::new(HealthStatus::default());
    let service = Service {
        ownership: Ownership::Sole(store.writer(Duration::ZERO, start)?),
        activate,
        rules: None,
        user_actions: None,
        damage: Box::pin(std::future::pending()),
        deliver: assemble::deliver(notifiers),
        exporter: None,
        sides: vec![assemble::server(listener, health.clone(), None, axum::Router::new()), narrator(args)],
        health: health.clone(),
    };
    let (length, signals) = (args.length, super::Signals::listen()?);
    let stop = async move {
        tokio::select! {
            () = tokio::time::sleep(length) => {}
            // Ctrl-C ends it early.
            () = signals.stop_requested() => {}
        }
    };
    app::run(service, stop).await?;
    emulator.stop().await;
    Ok(health.snapshot())
}

fn rule_file() -> RuleFile {
    RuleFile {
        source: Source::new("demo/rules.yaml", demo::RULES),
        entry: 0,
        scope: None,
        names: Names::default(),
        defaults: Default::default(),
    }
}

fn setup() -> Setup {
    let info = SourceInfo {
        poll_every: POLL_EVERY,
        memory: Duration::from_secs(3600),
        first_poll_window: Duration::from_secs(600),
        utc_offset_seconds: 28_800,
        aliases: BTreeMap::from([(demo::CLUSTER.to_owned(), demo::CLUSTER_ALIAS.to_owned())]),
        extent: Extent::Found,
    };
    Setup {
        rules: Rules::of([compile(&rule_file())]),
        sources: BTreeMap::from([(SOURCE.into(), info)]),
        operator: vec![DESTINATION.into()],
        destinations: [DESTINATION.into()].into(),
        daily: BTreeMap::new(),
    }
}

fn introduce(language: Language, endpoint: &str, server: &str) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    let texts = DemoTexts::of(language);
    writeln!(out, "{}\n{}\n", texts.cluster(endpoint), texts.metrics(&format!("http://{server}/metrics")))
}

/// Prints what happens in the cluster, so that people can judge the messages by it.
fn narrator(args: &Args) -> SideTask {
    let Args { length, language } = *args;
    Box::new(move |stopped| {
        Box::pin(async move {
            let mut last = Duration::ZERO;
            for beat in demo::beats(length) {
                tokio::select! {
                    () = tokio::time::sleep(beat.after.saturating_sub(last)) => {}
                    () = stopped.cancelled() => return,
                }
                last = beat.after;
                let dim = anstyle::Style::new().dimmed();
                // The reader may have closed the pipe (`| head`).
                let said = DemoTexts::of(language).in_the_cluster(beat.what.say(language));
                let _ = writeln!(anstream::stdout(), "{dim}· {said}{dim:#}\n");
            }
            // Wait for the stop: the service counts a side task that returns as finished.
            stopped.cancelled().await;
        })
    })
}

fn summary(language: Language, snapshot: &HealthSnapshot) -> std::io::Result<()> {
    let (texts, totals) = (DemoTexts::of(language), &snapshot.totals);
    let steps = &totals.steps;
    let counts = texts.summary(steps.polls, steps.events, steps.changes, steps.warning_changes, totals.delivered);
    writeln!(anstream::stdout().lock(), "{counts}\n{}", texts.next())
}
