//! The command line: one file per command. Exit codes: 0 good, 1 findings or failure, 2 usage.

mod ask;
mod backtest;
mod backup;
mod check;
mod check_result;
mod completions;
mod demo;
mod doctor;
mod emulate;
mod explain;
mod junit;
mod logs;
mod man;
mod outbox;
mod preview;
mod record;
mod remote;
mod render;
mod run;
mod schema;
mod send_test;
mod setup;
mod store;
mod test;
mod test_case;
mod values;

use std::future::Future;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use podbell_core::time::Time;

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

/// Prints what machines read.
fn print_json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
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
    /// Print the JSON Schema of a kind of file or of a webhook's messages, or the OpenAPI document of the API.
    Schema(schema::Args),
    /// Print a script that lets a shell complete podbell's commands and options.
    Completions(completions::Args),
    /// Write manual pages, one for each command.
    #[command(hide = true)]
    Man(man::Args),
    /// Send one message to a destination and say whether it arrived.
    SendTest(send_test::Args),
    /// Write a verified copy of the store, while podbell runs.
    Backup(backup::Args),
    /// Move what podbell remembers to another store.
    Store(store::Args),
    /// See what is on its way and what was given up, and send it again.
    Outbox(outbox::Args),
    #[command(flatten)]
    Chat(ask::ChatCommand),
    /// Serve the legacy API from a recording, for trying things out; make such recordings.
    Emulate(Box<emulate::Emulate>),
}

/// Reads the command line and runs the command.
pub fn main() -> ExitCode {
    run(typed()).unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        anstream::eprintln!("error: {}", with_causes(&error));
        ExitCode::FAILURE
    })
}

/// Parses the command line. `podbell help` before a command of the chats accepts whatever that command accepts.
fn typed() -> Command {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match words.as_slice() {
        [help, rest @ ..]
            if help == "help" && rest.first().is_some_and(|word| ask::ChatCommand::has_subcommand(word)) =>
        {
            Command::Chat(ask::ChatCommand::help(rest.to_vec()))
        }
        _ => Cli::parse().command,
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
        Command::Completions(args) => completions::run(&args, described()),
        Command::Man(args) => man::run(&args, described()),
        Command::SendTest(args) => send_test::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Store(args) => store::run(&args),
        Command::Outbox(args) => outbox::run(args),
        Command::Chat(command) => ask::run(command),
        Command::Emulate(args) => emulate::main(*args),
    }
}

/// All commands with all their options, as scripts of shells and manual pages show them.
fn described() -> clap::Command {
    ask::ChatCommand::describe(Cli::command())
}

/// Runs a command's future on a runtime of its own. One worker carries 10,000 services; with more workers, waking
/// each other is a third of the work.
fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let output = runtime.block_on(future);
    // A thread blocked on standard input must not keep the process alive.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(output)
}

/// SIGTERM and Ctrl-C. After [`Signals::listen`] they no longer end the process by themselves.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes over the signals.
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    async fn stop_requested(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Whether the reader closed the pipe, as `head` does: that is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<io::Error>().map(io::Error::kind);
    error.chain().filter_map(io).any(|kind| kind == io::ErrorKind::BrokenPipe)
}

/// An error with its causes, each once: many errors already contain the text of their cause.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| match cause.to_string() {
        cause if said.is_empty() => cause,
        cause if said.contains(&cause) => said,
        cause => format!("{said}: {cause}"),
    })
}

/// A moment as the terminal shows it.
fn utc(time: Time) -> String {
    time.timestamp().strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Removes control characters: words of others must not move the cursor.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
