//! `podbell doctor`: checks everything that podbell needs in order to tell, without disturbing a podbell that runs:
//! no lock, no write, no connection of its chats, and no message unless asked for.
//!
//! One file per group; judging is pure and separate from looking. All checks run concurrently, each with a
//! deadline, and are printed in a fixed order.

mod clock;
mod configuration;
mod database;
mod destinations;
mod print;
mod rules;
mod server;
mod store;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use secrecy::{ExposeSecret as _, SecretString};

use super::check_result::CheckResult;
use super::setup::ConfigArgs;
use super::{Output, check, send_test};
use crate::app::assemble;
use crate::config::{self, Config, Partly, Stage};
use crate::examine::{Checked, Finding, FindingLevel, Group, Net};
use crate::notifiers::Notifiers;
use crate::otlp;
use crate::redact::spellings;
use crate::settings::ProcessEnvironment;
use podbell_core::rule::Destination;
use podbell_store::Location;

/// How long each check may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// Shorter secrets could be ordinary words; every real one is longer.
const SHORTEST: usize = 6;

const EXAMPLES: &str = "\
Examples:
  podbell doctor                         look at everything; sends no message
  podbell doctor --send                  and send a test message to each destination
  podbell doctor --config /etc/podbell/podbell.yaml --output json

Exit codes: 0 no failures (there may be warnings), 1 failures, 2 usage.";

/// What to look at.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Send a real test message to each destination, as `send-test` does.
    #[arg(long)]
    send: bool,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Looks, prints, and says by exit code whether something fails.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let findings = super::block_on(examine(&args.config.config, args.send))?;
    match args.output {
        Output::Text => print::text(&findings)?,
        Output::Json => super::print_json(&findings)?,
    }
    let fails = findings.iter().any(|finding| finding.verdict == FindingLevel::Fail);
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// All findings, in the order of the output.
async fn examine(path: &Path, send: bool) -> Vec<Finding> {
    let mut loaded = config::load(path);
    let shown = path.display().to_string();
    let check = if path == Path::new("podbell.yaml") {
        "podbell check".to_owned()
    } else {
        format!("podbell check --config {shown}")
    };
    let all_well = "can be read, and every key is known".to_owned();
    let mut findings =
        configuration::of_diagnostics(Group::Configuration, &shown, all_well, &loaded.findings(), &check);
    // Even with mistakes, check what could be read.
    let Some(config) = loaded.config.take() else { return findings };
    let mut report = CheckResult::default();
    let rules = check::rule_files(&loaded.rule_files, check::slowest_poll(&loaded), &mut report);
    let chats = config.built_in_destinations();
    let destinations: Vec<(Destination, bool)> =
        config.notifiers.iter().map(|notifier| (notifier.name.clone(), chats.contains(&notifier.name))).collect();
    let of_rules = rules::judge(&rules::RulesFacts {
        given: config.has_rules,
        files: loaded.rule_files.len(),
        rules: &rules,
        diagnostics: &report.findings,
        destinations: &destinations,
        operators: if config.operator.notify == config.default_operators() { &[] } else { &config.operator.notify },
        check: &check,
    });
    let (names, proxied) = (names(&config), config.http.proxy.is_some());
    let Partly { config, store, missing, known } = config.resolve_partly(&ProcessEnvironment);
    findings.extend(configuration::of_secrets(&missing, known.len()));
    findings.extend(of_rules);
    let config = Arc::new(config);
    let net = match assemble::http_options(&config.http).and_then(|options| Ok(Net::new(&options)?)) {
        Ok(net) if proxied == config.http.proxy.is_some() => Some(Arc::new(net)),
        Ok(_) => {
            findings.push(offline("the proxy's secret is missing"));
            None
        }
        Err(error) => {
            findings.push(offline(&error.to_string()));
            None
        }
    };
    let tasks = tasks(&config, store.as_ref(), net.as_ref(), send);
    let all = join_all(tasks.into_iter().map(|(group, subject, task)| in_time(group, subject, task))).await;
    let mut clocks = Vec::new();
    for checked in all {
        findings.extend(checked.findings);
        clocks.extend(checked.clocks);
        if let (Some(store), Some(destination)) = (&store, checked.arrived) {
            send_test::end_pause(store, &destination);
        }
    }
    findings.extend(left_out(&names, &self::names(&config)));
    let is_dated = |name: &str| config.sources.iter().any(|source| source.name == name && source.facts.is_dated);
    findings.extend(clock::judge(&clocks, is_dated));
    findings.push(server::switches(&config));
    // The sort is stable, so that within a group the order stays that of podbell.yaml.
    findings.sort_by_key(|finding| finding.group);
    hide(&mut findings, &known);
    findings
}

/// One check. It never fails: its findings say what is wrong.
type Task = (Group, String, BoxFuture<'static, Checked>);

/// All checks that must be awaited.
fn tasks(config: &Arc<Config>, store: Option<&Location>, net: Option<&Arc<Net>>, send: bool) -> Vec<Task> {
    let check = |store: Location| -> BoxFuture<'static, Checked> {
        match store {
            Location::Postgres(server) => Box::pin(async move { database::check(server).await }),
            other => Box::pin(store::check(other)),
        }
    };
    let mut tasks: Vec<Task> =
        store.map(|store| (Group::Store, "store".to_owned(), check(store.clone()))).into_iter().collect();
    let Some(net) = net else { return tasks };
    for one in &config.sources {
        let (source, http) = (one.source.clone(), net.client.clone());
        let task = async move { source.examine(&http).await };
        tasks.push((Group::Sources, one.name.clone(), Box::pin(task)));
    }
    tasks.extend(of_destinations(config, net, send));
    for one in &config.chats {
        let (chat, net, public_url) = (one.chat.clone(), net.clone(), config.server.public_url.clone());
        let task = async move { chat.examine(&net, public_url.as_ref()).await };
        tasks.push((Group::Chats, one.name.clone(), Box::pin(task)));
    }
    let (listen, here) = (config.server.listen, net.clone());
    tasks.push((Group::Server, "listen".to_owned(), Box::pin(async move { server::listen(listen, &here).await })));
    if let Some(url) = config.server.public_url.clone() {
        let net = net.clone();
        let task = async move { server::public_url(&url, &net).await };
        tasks.push((Group::Server, "public_url".to_owned(), Box::pin(task)));
    }
    if let Some(collector) = assemble::collector(config) {
        let client = net.client.clone();
        let task = async move { otlp::examine(&client, &collector).await.into() };
        tasks.push((Group::Destinations, "export.otlp".to_owned(), Box::pin(task)));
    }
    let (config, net) = (config.clone(), net.clone());
    let heartbeat = async move { server::heartbeat(&config, &net).await.map(Checked::from).unwrap_or_default() };
    tasks.push((Group::Server, "operator.heartbeat".to_owned(), Box::pin(heartbeat)));
    tasks
}

fn of_destinations(config: &Arc<Config>, net: &Arc<Net>, send: bool) -> Vec<Task> {
    let notifiers: Arc<Notifiers> = Arc::new(assemble::notifiers(config, net.client.clone()));
    let task = |at: usize| -> Task {
        let (config, net, notifiers) = (config.clone(), net.clone(), notifiers.clone());
        let name = config.notifiers.get(at).map(|notifier| notifier.name.to_string()).unwrap_or_default();
        let task = async move {
            match config.notifiers.get(at) {
                Some(notifier) => destinations::check(notifier, &net, &notifiers, send).await,
                None => Checked::default(),
            }
        };
        (Group::Destinations, name, Box::pin(task))
    };
    (0..config.notifiers.len()).map(task).collect()
}

/// A check, or the finding that it took too long.
async fn in_time(group: Group, subject: String, task: BoxFuture<'static, Checked>) -> Checked {
    tokio::time::timeout(DEADLINE, task).await.unwrap_or_else(|_| {
        let found = format!("no answer within {} s", DEADLINE.as_secs());
        let advice = match group {
            Group::Store => {
                "the file system or the database hangs: look at the disk or the server, or choose another place"
            }
            Group::Server if subject == "listen" => {
                "something takes the connection and says nothing: a podbell that hangs? restart it"
            }
            _ => "check the network between, the firewall and http.proxy",
        };
        Finding::fail(group, subject, found, advice).into()
    })
}

fn offline(why: &str) -> Finding {
    let found = format!("{why}; nothing that needs the network was tried");
    Finding::fail(Group::Configuration, "http", found, "correct `http:` in podbell.yaml")
}

/// All components, by group and name.
fn names<S: Stage>(config: &Config<S>) -> BTreeSet<(Group, String)> {
    let sources = config.sources.iter().map(|source| (Group::Sources, source.name.clone()));
    let notifiers = config.notifiers.iter().map(|notifier| (Group::Destinations, notifier.name.to_string()));
    let chats = config.chats.iter().map(|chat| (Group::Chats, chat.name.clone()));
    let heartbeat = config.operator.heartbeat.iter().map(|_| (Group::Server, "operator.heartbeat".to_owned()));
    sources.chain(notifiers).chain(chats).chain(heartbeat).collect()
}

/// A finding for each component that is not tried because it lacks a secret.
fn left_out(all: &BTreeSet<(Group, String)>, whole: &BTreeSet<(Group, String)>) -> Vec<Finding> {
    let finding = |(group, name): &(Group, String)| {
        Finding::warn(*group, name, "not tried: its secret is missing", "see the configuration above")
    };
    all.difference(whole).map(finding).collect()
}

/// Hides secrets that others may have repeated.
fn hide(findings: &mut [Finding], known: &[SecretString]) {
    let secrets = known.iter().map(|secret| secret.expose_secret()).filter(|secret| secret.len() >= SHORTEST);
    let mut all: Vec<String> = secrets.flat_map(spellings).collect();
    all.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
    for finding in findings {
        for text in [Some(&mut finding.found), finding.advice.as_mut()].into_iter().flatten() {
            for spelling in all.iter().filter(|spelling| spelling.len() >= SHORTEST) {
                if text.contains(spelling.as_str()) {
                    *text = text.replace(spelling, "[hidden]");
                }
            }
        }
    }
}
