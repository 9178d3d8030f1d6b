//! From podbell.yaml to what commands need. All mistakes are reported at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::check_result::CheckResult;
use super::render;
use crate::app::reload::rule_files;
use crate::config::{self, Config, Loaded, Stage, Unresolved};
use crate::settings::ProcessEnvironment;
use podbell_core::diagnostic::Diagnostic;
use podbell_core::rules::{Names, Rules, compile};
use podbell_store::Location;

/// Which configuration.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "podbell.yaml", global = true)]
    pub config: PathBuf,
}

/// Reads podbell.yaml, without secrets. Mistakes are printed.
pub(super) fn load(path: &Path) -> anyhow::Result<(Config<Unresolved>, Loaded)> {
    let mut loaded = config::load(path);
    match loaded.config.take() {
        Some(config) if !loaded.has_errors() => Ok((config, loaded)),
        _ => Err(refuse(path, loaded)),
    }
}

/// Where the store is.
pub(super) fn store<S: Stage>(config: &Config<S>) -> anyhow::Result<Location> {
    Ok(config.store.location(&ProcessEnvironment)?)
}

/// Resolves the secrets. Every missing one is printed.
pub(super) fn resolve(config: Config<Unresolved>) -> anyhow::Result<Config> {
    config.resolve(&ProcessEnvironment).map_err(|errors| {
        let mut all = String::from("podbell.yaml names secrets that are missing or cannot be used:");
        for error in errors {
            // Writing into a string cannot fail.
            let _ = write!(all, "\n  {error}");
        }
        anyhow!(all)
    })
}

/// The rules of podbell.yaml, or the built-in set.
pub(super) fn rules<S: Stage>(path: &Path, config: &Config<S>, mut loaded: Loaded) -> anyhow::Result<Rules> {
    if !config.has_rules {
        let rules = podbell_core::rules::builtin::rules(&config.built_in_destinations());
        return Ok(rules.with_maintenance(config.maintenance.clone()));
    }
    let mut broken = false;
    for file in &loaded.rule_files {
        let mut compiled = compile(file);
        broken |= compiled.has_errors();
        loaded.diagnostics.append(&mut compiled.diagnostics);
    }
    if broken { Err(refuse(path, loaded)) } else { Ok(rule_files(loaded, config).in_force(&BTreeMap::new()).rules) }
}

/// The rules of these files, each file as an entry of its own. `None` after mistakes, which are printed.
pub(super) fn rules_of(files: &[PathBuf], names: &Names) -> io::Result<Option<Rules>> {
    let mut findings: Vec<Diagnostic> = Vec::new();
    let mut all = Vec::new();
    for (entry, path) in (0..).zip(files) {
        match config::lone_rule_file(path, entry, names.clone()) {
            Ok(file) => {
                let compiled = compile(&file);
                findings.extend(compiled.diagnostics.iter().filter(|finding| finding.is_error()).cloned());
                all.push(compiled);
            }
            Err(finding) => findings.push(*finding),
        }
    }
    if findings.is_empty() {
        return Ok(Some(Rules::of(all)));
    }
    render::findings(&mut anstream::stderr().lock(), &findings)?;
    Ok(None)
}

/// Prints the findings. The error only says that there were some.
fn refuse(path: &Path, loaded: Loaded) -> anyhow::Error {
    let report =
        CheckResult { files: vec![path.display().to_string()], findings: loaded.diagnostics, ..CheckResult::default() };
    // If standard output is gone, nobody can be told.
    let _ = render::text(&report);
    anyhow!("{0} cannot be used as it is; `podbell check {0}` shows the same", path.display())
}
