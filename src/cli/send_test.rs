//! `podbell send-test DESTINATION`: does a message arrive there, and if not, why?

use std::process::ExitCode;

use super::setup::{self, ConfigArgs};
use crate::app::assemble;
use crate::clock;
use crate::examine::why_not;
use crate::notifiers::Notifiers;
use podbell_core::notice::{Info, Notice, NoticeBody, NoticeKind};
use podbell_core::outbox::{Outcome, SendContent};
use podbell_core::rule::Severity;
use podbell_store::{Command, Location};

const EXAMPLES: &str = "\
Examples:
  podbell send-test team-chat
  podbell send-test ops-chat --config /etc/podbell/podbell.yaml";

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
    // Drop everything else: its secrets need not be available.
    config.notifiers.retain(|notifier| *notifier.name == *args.destination);
    config.sources.clear();
    config.drop_what_is_served();
    let config = setup::resolve(config)?;
    let notifiers = assemble::notifiers(&config, assemble::client(&config.http)?);
    let outcome = super::block_on(send(&notifiers, &args.destination))?;
    if !outcome.arrived() {
        anstream::println!("{}: {}", args.destination, words(&outcome));
        return Ok(ExitCode::FAILURE);
    }
    anstream::println!("{}: arrived", args.destination);
    end_pause(&setup::store(&config)?, &args.destination);
    Ok(ExitCode::SUCCESS)
}

/// Sends one test message.
pub(super) async fn send(notifiers: &Notifiers, destination: &str) -> Outcome {
    let now = clock::now();
    let id = format!("msg_test_{}", now.millis());
    let body = notifiers.render(destination, &SendContent::full(&[test_notice(destination)]), &id, now);
    notifiers.deliver(destination, &id, body, now).await
}

/// Ends the pause of this destination in a running podbell: the test showed that it works again.
pub(super) fn end_pause(store: &Location, destination: &str) {
    if !store.exists() {
        return;
    }
    let command = Command::DestinationWorks { destination: destination.to_owned() };
    if let Err(error) = store.inbox().and_then(|inbox| inbox.submit(None, &command, clock::now())) {
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

/// Why it did not arrive, and what to do.
fn words(outcome: &Outcome) -> String {
    match why_not(outcome) {
        (what, None) => what,
        (what, Some(advice)) if matches!(outcome, Outcome::InvalidDestination { .. }) => {
            format!("{what}. What to do: {advice}")
        }
        (what, Some(advice)) => format!("{what}. {advice}"),
    }
}
