//! `podbell backup`: a verified copy of the store, while podbell runs.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;

use super::setup::{self, ConfigArgs};
use crate::clock;
use crate::examine::{size, span};
use podbell_core::time::Time;
use podbell_store::{Backup, Existing};

const EXAMPLES: &str = "\
To restore a backup, start podbell with it as its store: see docs/operations.md.

Examples:
  podbell backup /backup/podbell.db                   while podbell runs, or not
  podbell backup --force /backup/podbell.db           replace the backup that is there
  kubectl exec podbell-0 -- podbell backup --config /etc/podbell/podbell.yaml - > podbell.db";

/// Where the backup goes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// The file to write; `-` is standard output.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
}

/// Writes the backup and says what is in it.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (config, _) = setup::load(&args.config.config)?;
    let store = setup::store(&config)?;
    let now = clock::now();
    if args.file == Path::new("-") {
        let mut out = io::stdout().lock();
        if out.is_terminal() {
            bail!("a backup is not text: name a file, or redirect standard output");
        }
        let backup = store.back_up_to(&mut out, now)?;
        anstream::eprintln!("wrote {}", contents(&backup, now));
        return Ok(ExitCode::SUCCESS);
    }
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let backup = store.back_up(&args.file, existing, now)?;
    anstream::println!("wrote {}: {}", args.file.display(), contents(&backup, now));
    Ok(ExitCode::SUCCESS)
}

/// What a backup holds, in a line.
fn contents(backup: &Backup, now: Time) -> String {
    let age = match backup.last_alive {
        Some(alive) => format!("podbell's last sign of life in it is {} old", span(now.since(alive).as_secs())),
        None => "no podbell has run on it yet".to_owned(),
    };
    format!("{}, commit {}; {age}", size(backup.bytes), backup.commit)
}
