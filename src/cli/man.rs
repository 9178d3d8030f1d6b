//! `podbell man`: writes manual pages, one for each command. Packages are made with it, so it is not in the help.
//! Generated from the command definitions.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

/// Where to.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of the pages: podbell.1, podbell-run.1, …
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes the pages.
pub(super) fn run(args: &Args, commands: clap::Command) -> anyhow::Result<ExitCode> {
    let folder = &args.folder;
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(commands.disable_help_subcommand(true), folder))
        .with_context(|| format!("cannot write manual pages to {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}
