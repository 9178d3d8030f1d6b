//! `podbell completions`: lets a shell complete podbell's commands and options. Generated from the command
//! definitions.

use std::io::{self, Write};
use std::process::ExitCode;

use clap_complete::{Shell, generate};

const EXAMPLES: &str = "\
Examples:
  podbell completions bash > /etc/bash_completion.d/podbell
  podbell completions zsh > \"${fpath[1]}/_podbell\"
  podbell completions fish > ~/.config/fish/completions/podbell.fish";

/// For which shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: &Args, mut commands: clap::Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    generate(args.shell, &mut commands, "podbell", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
