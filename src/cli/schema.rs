//! `podbell schema`: JSON Schemas of podbell's files, for editors.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::config;

const EXAMPLES: &str = "\
Examples:
  podbell schema rules > rules.schema.json       rule files
  podbell schema config > podbell.schema.json    podbell.yaml
  podbell schema tests > tests.schema.json       rule tests

An editor with the YAML language server reads it when the file begins with
  # yaml-language-server: $schema=rules.schema.json";

/// Of what.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Which kind of file.
    #[arg(value_enum)]
    of: Of,
}

/// Kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    /// Rule files.
    Rules,
    /// podbell.yaml.
    Config,
    /// Rule tests.
    Tests,
}

/// Prints the schema.
///
/// # Errors
/// When standard output is gone.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let schema = match args.of {
        Of::Rules => podbell_core::rules::keys::schema(),
        Of::Config => config::schema(),
        Of::Tests => podbell_core::ruletest::keys::schema(),
    };
    writeln!(io::stdout().lock(), "{schema:#}")?;
    Ok(ExitCode::SUCCESS)
}
