//! `podbell schema`: JSON Schemas of podbell's files, its API and its messages.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;

use crate::server::api::DOCUMENT;
use crate::{components, config};

const EXAMPLES: &str = "\
Examples:
  podbell schema rules > rules.schema.json       rule files
  podbell schema config > podbell.schema.json    podbell.yaml
  podbell schema tests > tests.schema.json       rule tests
  podbell schema api > openapi.json              the HTTP API
  podbell schema messages > message.schema.json  what a webhook gets

An editor with the YAML language server reads it when the file begins with
  # yaml-language-server: $schema=rules.schema.json";

/// Of what.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Of what.
    #[arg(value_enum)]
    of: SchemaKind,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaKind {
    /// Rule files.
    Rules,
    /// podbell.yaml.
    Config,
    /// Rule tests.
    Tests,
    /// The API, as an OpenAPI document.
    Api,
    /// What a webhook gets.
    Messages,
}

/// Prints the schema.
///
/// # Errors
/// When standard output is gone.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match args.of {
        SchemaKind::Rules => writeln!(out, "{:#}", podbell_core::rules::file_keys::schema())?,
        SchemaKind::Config => writeln!(out, "{:#}", config::schema())?,
        SchemaKind::Tests => writeln!(out, "{:#}", podbell_core::ruletest::keys::schema())?,
        SchemaKind::Api => out.write_all(DOCUMENT.as_bytes())?,
        SchemaKind::Messages => writeln!(out, "{:#}", components::message_schema())?,
    }
    Ok(ExitCode::SUCCESS)
}
