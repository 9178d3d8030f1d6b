//! `podbell send-test DESTINATION`: does a message arrive there, and if not, why?

use std::process::ExitCode;

use super::setup::{self, ConfigArgs};
use crate::app::assemble;
use crate::clock;
use crate::core::notice::{Info, Notice, NoticeBody, NoticeKind};
use crate::core::outbox::{Outcome, Parcel};
use crate::core::rules::Severity;
use crate::store::{Command, Store};

const EXAMPLES: &str = "\
Examples:
  podbell send-test team-slack
  podbell send-test ops-wecom --config /etc/podbell/podbell.yaml";

/// What to test.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A notifier of podbell.yaml.
    destination: String,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Sends one test message and says in one line what came of it.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (mut config, _) = setup::load(&args.config.config)?;
    let known: Vec<String> = config.notifiers.iter().map(|notifier| notifier.name.to_string()).collect();
    if !known.contains(&args.destination) {
        anyhow::bail!("there is no notifier {}; there are: {}", args.destination, known.join(", "));
    }
    // The secrets of the others need not be at hand.
    config.notifiers.retain(|notifier| *notifier.name == *args.destination);
    config.sources.clear();
    config.operator.heartbeat = None;
    let config = setup::resolve(config)?;
    let notifiers = assemble::notifiers(&config, assemble::client(&config.http)?)?;
    let now = clock::now();
    let id = format!("msg_test_{}", now.millis());
    let body = notifiers.freeze(&args.destination, &Parcel::full(&[test_notice(&args.destination)]), &id, now);
    let outcome = super::block_on(notifiers.deliver(&args.destination, &id, body, now))?;
    if !outcome.arrived() {
        anstream::println!("{}: {}", args.destination, words(&outcome));
        return Ok(ExitCode::FAILURE);
    }
    anstream::println!("{}: arrived", args.destination);
    end_pause(setup::store_path(&config), &args.destination);
    Ok(ExitCode::SUCCESS)
}

/// A running podbell may have paused this destination: it works again.
fn end_pause(store: &std::path::Path, destination: &str) {
    if !store.exists() {
        return;
    }
    let command = Command::DestinationWorks { destination: destination.to_owned() };
    if let Err(error) = Store::beside(store).and_then(|store| store.ask(&command, clock::now())) {
        anstream::eprintln!("note: the running podbell could not be told: {error}");
    }
}

fn test_notice(destination: &str) -> Notice {
    let now = clock::now();
    Notice {
        id: 0,
        kind: NoticeKind::Info,
        caused_at: now,
        made_at: now,
        severity: Severity::Info,
        to: vec![destination.into()],
        body: NoticeBody::Info(Info::Test { destination: destination.to_owned() }),
    }
}

/// Why not, and what to do.
fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered | Outcome::Posted(_) => "arrived".to_owned(),
        Outcome::Orphaned { why } => format!("not delivered: {why}"),
        // A reply means that it was reached: the address is right then.
        Outcome::Refused { why, retry_after } if replied(why) => match retry_after {
            Some(wait) => format!("not delivered: {why}. It asks to wait {} s: try again then", wait.as_secs()),
            None => format!("not delivered: {why}. It wants a pause: try again in a minute"),
        },
        Outcome::Refused { why, .. } => {
            format!(
                "not delivered: {why}. It cannot be reached: check the address, http or https, the proxy and the firewall"
            )
        }
        Outcome::Unclear { why, .. } if replied(why) => {
            format!("perhaps not delivered: {why}. It is in trouble itself: try again later, or ask those who run it")
        }
        Outcome::Unclear { why, .. } => {
            format!("perhaps not delivered: {why}. Check the address, the proxy and the firewall")
        }
        Outcome::Content { why } => format!("not delivered: it does not take the message: {why}"),
        Outcome::Dead { code, text, advice } if text.contains(code) => {
            format!("not delivered: {text}. What to do: {advice}")
        }
        Outcome::Dead { code, text, advice } => format!("not delivered: {code}: {text}. What to do: {advice}"),
    }
}

/// Whether this is what the other side answered, and not an error on the way there.
fn replied(why: &str) -> bool {
    why.starts_with("status ")
}
