//! The command line: one file per command. Exit codes: 0 good, 1 findings or failure, 2 usage.

mod ask;
mod backtest;
mod check;
mod demo;
mod doctor;
mod emulate;
mod explain;
mod logs;
mod outbox;
mod preview;
mod record;
mod remote;
mod render;
mod run;
mod schema;
mod send_test;
mod setup;
mod test;
mod test_case;

use std::future::Future;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Tells a team in its chat what goes wrong in its container services.
#[derive(Debug, Parser)]
#[command(name = "podbell", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// How to print what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For machines.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the services of podbell.yaml and tell what goes wrong.
    Run(run::Args),
    /// Show it all in a minute: an emulated cluster, its trouble, and what a team is told.
    Demo(demo::Args),
    /// Explain every mistake of podbell.yaml and rule files at once.
    Check(check::Args),
    /// Check whether everything is right for podbell to tell, and say what to do. Sends nothing.
    Doctor(doctor::Args),
    /// Play rule tests: what successive polls show, and what must be told.
    Test(test::Args),
    /// Say what rules would have told of recorded polls.
    Backtest(Box<backtest::Args>),
    /// Save what a source shows, for backtests.
    Record(record::Args),
    /// Show how the messages of rules read, in each platform's shape.
    Preview(Box<preview::Args>),
    /// Say why something was told, or was not.
    Explain(Box<explain::Args>),
    /// Print the JSON Schema of a kind of file, for editors.
    Schema(schema::Args),
    /// Send one message to a destination and say whether it arrived.
    SendTest(send_test::Args),
    /// See what is on its way and what was given up, and send it again.
    Outbox(outbox::Args),
    /// What a service shows, as `/events` in a chat; alone: what is open now.
    Events(ask::Args),
    /// Open problems, the newest first.
    Incidents(ask::Args),
    /// One incident: what, where, since when, and what people did.
    Show(ask::Args),
    /// Say that you have an incident: no reminders until it comes back.
    Ack(ask::Args),
    /// Hold messages of a service, an incident or a rule for a while.
    Mute(ask::Args),
    /// End a mute before its time.
    Unmute(ask::Args),
    /// What is muted, by whom, until when.
    Mutes(ask::Args),
    /// Why an incident was told, or was not, in short.
    Why(ask::Args),
    /// Warnings that no rule told.
    Untold(ask::Args),
    /// Whether podbell runs and reads everything.
    Status(ask::Args),
    /// Serve the legacy API from a recording, for trying things out; make such recordings.
    Emulate(Box<emulate::Emulate>),
}

/// Reads the command line and runs the command.
pub fn main() -> ExitCode {
    let result = match typed() {
        Typed::Help(args) => ask::run("help", args),
        Typed::Command(command) => run(*command),
    };
    result.unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        anstream::eprintln!("error: {}", with_causes(&error));
        ExitCode::FAILURE
    })
}

/// What was typed.
enum Typed {
    /// `podbell help mute`, of a command of the chats: with everything that such a command takes.
    Help(ask::Args),
    Command(Box<Command>),
}

fn typed() -> Typed {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let of_chats =
        |word: &String| word != "help" && podbell_core::ask::help::COMMANDS.iter().any(|known| known.name == word);
    match words.as_slice() {
        [help, rest @ ..] if help == "help" && rest.first().is_some_and(of_chats) => {
            Typed::Help(ask::Args::of(rest.to_vec()))
        }
        _ => Typed::Command(Box::new(Cli::parse().command)),
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Check(args) => Ok(check::run(&args)),
        Command::Doctor(args) => doctor::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Backtest(args) => backtest::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Preview(args) => preview::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::SendTest(args) => send_test::run(&args),
        Command::Outbox(args) => outbox::run(args),
        Command::Events(args) => ask::run("events", args),
        Command::Incidents(args) => ask::run("incidents", args),
        Command::Show(args) => ask::run("show", args),
        Command::Ack(args) => ask::run("ack", args),
        Command::Mute(args) => ask::run("mute", args),
        Command::Unmute(args) => ask::run("unmute", args),
        Command::Mutes(args) => ask::run("mutes", args),
        Command::Why(args) => ask::run("why", args),
        Command::Untold(args) => ask::run("untold", args),
        Command::Status(args) => ask::run("status", args),
        Command::Emulate(args) => emulate::main(*args),
    }
}

/// Runs a command's future on a runtime of its own. One worker carries 10,000 services; with more
/// of them, waking each other is a third of the work.
fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let output = runtime.block_on(future);
    // A thread that waits for standard input must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(output)
}

/// SIGTERM and Ctrl-C. From [`Signals::listen`] on they end nothing by themselves.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over.
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    async fn told_to_stop(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// An error with its causes, each said once: many errors name their cause themselves.
/// Whoever read the output has enough of it, as `head`: that is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<io::Error>().map(io::Error::kind);
    error.chain().filter_map(io).any(|kind| kind == io::ErrorKind::BrokenPipe)
}

fn with_causes(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| match cause.to_string() {
        cause if said.is_empty() => cause,
        cause if said.contains(&cause) => said,
        cause => format!("{said}: {cause}"),
    })
}
