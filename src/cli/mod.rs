//! The command line: one file per command. Exit codes: 0 good, 1 findings or failure, 2 usage.

mod check;
mod demo;
mod emulate;
mod logs;
mod outbox;
mod render;
mod run;
mod send_test;
mod setup;

use std::future::Future;
use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tells a team in its chat what goes wrong in its container services.
#[derive(Debug, Parser)]
#[command(name = "podbell", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the services of podbell.yaml and tell what goes wrong.
    Run(run::Args),
    /// Show it all in a minute: an emulated cluster, its trouble, and what a team is told.
    Demo(demo::Args),
    /// Explain every mistake of podbell.yaml and rule files at once.
    Check(check::Args),
    /// Send one message to a destination and say whether it arrived.
    SendTest(send_test::Args),
    /// See what is on its way and what was given up, and send it again.
    Outbox(outbox::Args),
    /// Serve the legacy API from a recording, for trying things out; make such recordings.
    Emulate(Box<emulate::Emulate>),
}

/// Reads the command line and runs the command.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Check(args) => Ok(check::run(&args)),
        Command::SendTest(args) => send_test::run(&args),
        Command::Outbox(args) => outbox::run(args),
        Command::Emulate(args) => emulate::main(*args),
    };
    result.unwrap_or_else(|error| {
        anstream::eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Runs a command's future on a runtime of its own. One worker carries 10,000 services; a second
/// costs a seventh more processor time, for the two waking each other.
fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(future))
}

/// Waits for ctrl-c or SIGTERM.
async fn until_told_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        told = tokio::signal::ctrl_c() => told,
        _ = terminate.recv() => Ok(()),
    }
}
