//! The command line: one file per command. Exit codes: 0 good, 1 findings or failure, 2 usage.

mod emulate;

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
    /// Serves the legacy API from a recording, for trying things out; makes such recordings.
    Emulate(emulate::Emulate),
}

/// Reads the command line and runs the command.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Emulate(args) => emulate::main(args),
    };
    result.unwrap_or_else(|error| {
        anstream::eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Runs a command's future on a runtime of its own.
fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future))
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
