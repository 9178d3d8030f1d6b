//! `podbell outbox`: what is on its way, what was given up, and sending it again.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;

use super::setup::{self, ConfigArgs};
use super::{plain, utc};
use crate::cli::Output;
use crate::clock;
use podbell_core::notice::{Notice, NoticeBody};
use podbell_core::outbox::{DeliveryId, DestinationHealth};
use podbell_core::time::Time;
use podbell_store::{Command, DeliveryResult, ListedDelivery, Listing, Location, Snapshot, StoreError};

/// How long to wait for an answer of the running service.
const TIMEOUT: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  podbell outbox list                    what waits and what was given up
  podbell outbox list --all              what was sent, too
  podbell outbox retry 42                send a dead delivery again
  podbell outbox retry --all             all of them, oldest first
  podbell outbox drop 43                 give a waiting delivery up";

/// What to do with deliveries.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List deliveries, oldest first: those that wait and those that were given up.
    List {
        /// Of this destination only.
        #[arg(long, value_name = "NAME")]
        destination: Option<String>,
        /// Also those that were sent or merged into another message.
        #[arg(long)]
        all: bool,
        /// Show at most this many of the newest.
        #[arg(long, default_value_t = 200, value_name = "N")]
        limit: u32,
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Send dead deliveries again.
    Retry {
        /// Which one.
        #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
        id: Option<u64>,
        /// All of them, oldest first.
        #[arg(long)]
        all: bool,
        /// With --all: of this destination only.
        #[arg(long, value_name = "NAME", requires = "all")]
        destination: Option<String>,
    },
    /// Give a waiting delivery up.
    Drop {
        /// Which one.
        #[arg(value_name = "ID")]
        id: u64,
    },
}

/// Lists, or asks the running service.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (config, _) = setup::load(&args.config.config)?;
    let store = setup::store(&config)?;
    Ok(match args.action {
        Action::List { destination, all, limit, output } => {
            list(&*store.reader()?.snapshot()?, &Listing { destination, all, limit }, output)?;
            ExitCode::SUCCESS
        }
        Action::Retry { id: Some(id), .. } => ask(&store, &Command::RetryDelivery { id: DeliveryId(id) })?,
        Action::Retry { destination, .. } => ask(&store, &Command::RetryAll { destination })?,
        Action::Drop { id } => ask(&store, &Command::DropDelivery { id: DeliveryId(id) })?,
    })
}

fn list(store: &dyn Snapshot, listing: &Listing, output: Output) -> Result<(), StoreError> {
    let listed = store.list_deliveries(listing)?;
    let mut out = anstream::stdout();
    // A closed pipe, as with `head`, is no failure.
    let _ = match output {
        Output::Json => super::print_json(&listed),
        Output::Text if listed.is_empty() => writeln!(out, "Nothing waits, nothing was given up."),
        Output::Text => listed.iter().try_for_each(|delivery| writeln!(out, "{}", line(delivery))),
    };
    if output == Output::Text {
        let now = clock::now();
        for (name, health) in store.destinations()? {
            let waits = listed.iter().any(|delivery| *delivery.destination == *name && delivery.done_at.is_none());
            if let Some(why) = waits.then(|| why_it_waits(&health, now)).flatten() {
                let _ = writeln!(out, "{name} {why}");
            }
        }
    }
    Ok(())
}

/// Why a destination's deliveries wait.
fn why_it_waits(health: &DestinationHealth, now: Time) -> Option<String> {
    if let Some(paused) = &health.paused {
        let (since, code, text) = (utc(paused.since), &paused.code, &paused.text);
        return Some(format!(
            "is paused since {since}: {code}: {text}. `podbell send-test` ends the pause if it arrives"
        ));
    }
    let next = health.rate_limited_until.max(health.retry_at).filter(|next| *next > now)?;
    Some(format!("is tried next at {}; {} failures in a row", utc(next), health.failures))
}

fn line(delivery: &ListedDelivery) -> String {
    let mut line = format!(
        "{:>6}  {}  {:<8} {:<16} {}",
        delivery.id,
        utc(delivery.notice.made_at),
        delivery.state.as_str(),
        delivery.destination,
        gist(&delivery.notice)
    );
    if let Some(attempts) = delivery.attempts.filter(|attempts| *attempts > 1) {
        line.push_str(&format!(" (tried {attempts} times)"));
    }
    if let Some(into) = delivery.folded_into {
        line.push_str(&format!(" (told by {into})"));
    }
    if let Some(why) = &delivery.why {
        line.push_str(&format!(": {why}"));
    }
    line
}

fn gist(notice: &Notice) -> String {
    let kind = notice.kind.as_str();
    let text = match &notice.body {
        NoticeBody::Incident(story) => {
            let reason = story.reasons.first().map_or("", |reason| reason.reason.as_str());
            format!("{kind} #{} {}/{} {reason}", story.incident, story.namespace, story.workload)
        }
        NoticeBody::Trouble(trouble) => format!("{kind} #{} trouble {}", trouble.incident, trouble.code),
        NoticeBody::Info(_) => kind.to_owned(),
    };
    // Text of a cluster must not control the terminal.
    plain(&text)
}

/// Puts a command in the inbox, and prints the answer if a service runs to give one.
fn ask(store: &Location, command: &Command) -> Result<ExitCode, StoreError> {
    let running = store.is_owned();
    let inbox = store.inbox()?;
    let id = inbox.submit(None, command, clock::now())?;
    if !running {
        anstream::println!("podbell is not running: it will carry this out at its next start");
        return Ok(ExitCode::SUCCESS);
    }
    let start = clock::monotonic();
    while start.elapsed() < TIMEOUT {
        if let Some(answer) = inbox.answer(id)? {
            let Ok(result) = serde_json::from_str::<DeliveryResult>(&answer) else {
                // A service of another version.
                anstream::println!("{}", plain(&answer));
                return Ok(ExitCode::SUCCESS);
            };
            anstream::println!("{}", plain(&said(&result)));
            return Ok(if result.is_refused() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    anstream::println!(
        "podbell has not answered within 10 s; the command stays in its inbox and will be carried out later"
    );
    Ok(ExitCode::SUCCESS)
}

fn said(result: &DeliveryResult) -> String {
    match result {
        DeliveryResult::DueAgain { id, destination } => format!("delivery {} is due again for {destination}", id.0),
        DeliveryResult::AllDueAgain { deliveries: 1 } => "1 delivery is due again".to_owned(),
        DeliveryResult::AllDueAgain { deliveries } => format!("{deliveries} deliveries are due again"),
        DeliveryResult::GivenUp { id, others: 0 } => format!("delivery {} was given up", id.0),
        DeliveryResult::GivenUp { id, others: 1 } => {
            format!("delivery {} was given up, with another of the same message", id.0)
        }
        DeliveryResult::GivenUp { id, others } => {
            format!("delivery {} was given up, with {others} others of the same message", id.0)
        }
        DeliveryResult::Works { destination } => format!("{destination} takes messages again"),
        DeliveryResult::Unknown { id } => format!("there is no delivery {}", id.0),
        DeliveryResult::NotDead { id, state } => format!("delivery {} is {state}, not dead", id.0),
        DeliveryResult::NotWaiting { id } => {
            format!("delivery {} does not wait: it is on its way, settled, or there is none", id.0)
        }
        DeliveryResult::NoDestination { destination } => format!("{destination} is not a destination of this service"),
    }
}
