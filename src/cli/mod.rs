//! The command line: one file per command. Exit codes: 0 good, 1 findings or failure, 2 usage.

mod check;
mod render;

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
    /// Explain every mistake of podbell.yaml and rule files at once.
    Check(check::Args),
}

/// Reads the command line and runs the command.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Check(args) => check::run(&args),
    }
}
