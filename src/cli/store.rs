//! `podbell store copy`: moves everything that podbell remembers to another store.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use podbell_store::Location;

const EXAMPLES: &str = "\
Stop podbell first. Afterwards write the new store into podbell.yaml and start it: it goes on where it was, and tells
nothing twice. The old store stays as it is; never start podbell on it again.

Examples:
  podbell store copy sqlite:podbell.db 'postgres://podbell@db/podbell?sslmode=verify-full&passfile=pgpass'
  podbell store copy 'postgres://podbell@db/podbell?passfile=pgpass' sqlite:podbell.db";

/// What to do with stores.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy a store into one that is empty or not there, and check that everything arrived.
    #[command(after_help = EXAMPLES)]
    Copy {
        /// The store that is there, written as `store:` of podbell.yaml.
        #[arg(value_name = "FROM")]
        from: String,
        /// Where it goes: a file that is not there, or a database without a store.
        #[arg(value_name = "TO")]
        to: String,
    },
}

/// Copies, and says how much there was.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Command::Copy { from, to } = &args.command;
    let [from, to] = [("FROM", from), ("TO", to)].map(|(what, text)| {
        // The text itself is not shown: it may hold a password.
        let read = Location::parse(text, Path::new(""));
        read.map_err(|error| anyhow::anyhow!("{what}: {error}; write it like `store:` of podbell.yaml"))
    });
    let (from, to) = (from?, to?);
    let counts = from.copy_to(&to)?;
    let rows: u64 = counts.iter().map(|(_, rows)| rows).sum();
    let of = |wanted: &str| counts.iter().find(|(table, _)| *table == wanted).map_or(0, |(_, rows)| *rows);
    anstream::println!(
        "copied {from} to {to}: {rows} rows, all of which arrived ({} services, {} incidents, {} deliveries)",
        of("target"),
        of("incident"),
        of("delivery")
    );
    anstream::println!("now write the new store into podbell.yaml, and never start podbell on the old one again");
    Ok(ExitCode::SUCCESS)
}
