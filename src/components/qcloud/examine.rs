//! Examines the legacy API by real signed calls, a few for each entry of `services:`. Pure functions judge the
//! answers.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::future::join_all;

use super::client::Client;
use super::{ApiConfig, MEMORY, ServiceSelection, discovery};
use crate::clock;
use crate::examine::{Checked, Finding, Group, count, span};
use crate::sources::poller::PaceVerdict;
use podbell_core::event::Target;
use podbell_core::source::Problem;
use podbell_core::step::clock_hint;
use podbell_core::time::Time;

/// At most this many services of an entry are read.
const READ: usize = 5;
/// The deadline of one entry; a bit less than that of the whole check.
const DEADLINE: Duration = Duration::from_secs(9);
/// The deadline of one request.
const TIMEOUT: Duration = Duration::from_secs(7);

/// What was read of one entry of `services:`.
#[derive(Debug, Default)]
struct Looked {
    subject: String,
    /// How many services it stands for.
    total: usize,
    discovered: bool,
    /// How many lists were read.
    read: usize,
    /// When the newest and the oldest event of them were last seen.
    newest: Option<Time>,
    oldest: Option<Time>,
    /// Nothing of it was read in time.
    late: bool,
    /// What could not be read: a service, or the entry as a whole.
    failed: Vec<(String, Problem)>,
}

/// Asks the API.
pub(super) async fn examine(source: &ApiConfig, http: reqwest::Client) -> Checked {
    let mut config = source.clone();
    config.timeout = TIMEOUT;
    let client = Client::new(config, http);
    let looks = source.services.iter().map(|selection| look(&client, selection));
    let looked = join_all(looks).await;
    let clocks = client.clocks();
    // Ages are judged by the source's own clock, because this machine's may be wrong.
    let ahead = clocks.map_or(0, |clocks| clocks.ahead());
    let now = Time::from_millis(clock::now().millis().saturating_sub(ahead.saturating_mul(1000)));
    let mut findings: Vec<Finding> = looked.iter().flat_map(|looked| reading(looked, now)).collect();
    findings.extend(late(&looked, source.requests_per_second));
    findings.extend(time_zone(source, &looked, now));
    findings.extend(pace(source, watched(source, &looked)));
    Checked {
        findings,
        clocks: clocks.map(|clocks| (source.name.to_string(), clocks)).into_iter().collect(),
        arrived: None,
    }
}

/// How many services are watched in all. A named service counts as discovered if its cluster is discovered.
fn watched(source: &ApiConfig, looked: &[Looked]) -> usize {
    let discovered = |cluster: &str| {
        source.services.iter().any(|selection| match selection {
            ServiceSelection::Discover { cluster: Some(other) } => other == cluster,
            ServiceSelection::Discover { cluster: None } => true,
            ServiceSelection::Named { .. } => false,
        })
    };
    let counts = source.services.iter().zip(looked).filter(|(selection, _)| match selection {
        ServiceSelection::Named { cluster, .. } => !discovered(cluster),
        ServiceSelection::Discover { .. } => true,
    });
    counts.map(|(_, looked)| looked.total).sum()
}

async fn look(client: &Client, selection: &ServiceSelection) -> Looked {
    let name = &client.config().name;
    let subject = match selection {
        ServiceSelection::Named { cluster, namespace, .. } => format!("{name}: {cluster}/{namespace}"),
        ServiceSelection::Discover { cluster: Some(cluster) } => format!("{name}: {cluster}"),
        ServiceSelection::Discover { cluster: None } => format!("{name}: every cluster"),
    };
    let mut looked = Looked { subject, ..Looked::default() };
    let late = tokio::time::timeout(DEADLINE, read(client, selection, &mut looked)).await.is_err();
    looked.late = late && looked.failed.is_empty() && looked.read == 0;
    looked
}

/// Entries of which nothing was read in time. They share the source's request rate: if others were read, the rate
/// is why.
fn late(looked: &[Looked], rate: NonZeroU32) -> Vec<Finding> {
    let others = looked.iter().any(|looked| looked.read > 0);
    let finding = |looked: &Looked| {
        let found = format!("no answer within {} s", DEADLINE.as_secs());
        if others {
            let found = format!("{found}, at the pace of {rate} requests/s for all entries");
            let advice = "other entries were read, so this one only waited for its turn at this request rate; `podbell run` will read it";
            Finding::warn(Group::Sources, &looked.subject, found, advice)
        } else {
            let advice = "check the network between; is the API slow, or requests_per_second very low?";
            Finding::fail(Group::Sources, &looked.subject, found, advice)
        }
    };
    looked.iter().filter(|looked| looked.late).map(finding).collect()
}

async fn read(client: &Client, selection: &ServiceSelection, looked: &mut Looked) {
    let targets = match selection {
        ServiceSelection::Named { cluster, namespace, names } => {
            looked.total = names.len();
            let target = |name: &String| Target::new(&client.config().name, cluster, namespace, name);
            names.iter().take(READ).map(target).collect()
        }
        ServiceSelection::Discover { cluster } => {
            looked.discovered = true;
            match discovery::glimpse(client, cluster.as_deref()).await {
                Ok(glimpse) => {
                    looked.total = glimpse.total;
                    glimpse.targets
                }
                Err(error) => return looked.failed.push((looked.subject.clone(), error)),
            }
        }
    };
    for target in targets.iter().take(READ) {
        let subject = || format!("{}: {}/{}/{}", target.source, target.cluster, target.namespace, target.service);
        match client.events(target).await {
            Ok(list) => {
                looked.read += 1;
                let seen = || list.events.iter().map(|event| event.last_seen).filter(|at| !at.is_unknown());
                looked.newest = looked.newest.into_iter().chain(seen()).max();
                looked.oldest = looked.oldest.into_iter().chain(seen()).min();
            }
            // Others may exist.
            Err(error) if error.gone => looked.failed.push((subject(), error)),
            Err(error) => return looked.failed.push((subject(), error)),
        }
    }
}

/// What could be read of an entry, and what could not.
fn reading(looked: &Looked, now: Time) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (subject, error) in &looked.failed {
        let found = match error.code.parse::<i64>() {
            Ok(code) => format!("the API answers {code}: {}", error.text),
            Err(_) => error.text.clone(),
        };
        findings.push(Finding::fail(Group::Sources, subject, found, &error.advice));
    }
    if looked.late || looked.read == 0 && !looked.failed.is_empty() {
        return findings;
    }
    let services = count(looked.total, "service");
    if looked.total == 0 {
        let advice = "check the cluster's id and the source's region; if nothing runs there yet, all is well";
        findings.push(Finding::warn(Group::Sources, &looked.subject, "no services are there", advice));
        return findings;
    }
    let how = if looked.discovered { "found" } else { "named" };
    let lists = count(looked.read, "list");
    let newest = match looked.newest {
        Some(newest) => format!("the newest event is {}", age(newest, now)),
        None => "no events in the last hour".to_owned(),
    };
    let found = format!("{services} {how}, {lists} read, {newest}");
    findings.push(Finding::ok(Group::Sources, &looked.subject, found));
    findings
}

fn age(time: Time, now: Time) -> String {
    match now.since(time).as_secs() {
        0 if time > now => format!("{} in the future", span(time.since(now).as_secs())),
        seconds => format!("{} old", span(seconds)),
    }
}

/// Whether the times of the lists are those of `time_zone`.
fn time_zone(source: &ApiConfig, looked: &[Looked], now: Time) -> Option<Finding> {
    let subject = format!("{}: time zone", source.name);
    if looked.iter().all(|looked| looked.read == 0) {
        return None;
    }
    let zone = source.time_zone.iana_name().unwrap_or("time_zone");
    let newest = looked.iter().filter_map(|looked| looked.newest).max();
    let oldest = looked.iter().filter_map(|looked| looked.oldest).min();
    let (Some(newest), Some(oldest)) = (newest, oldest) else {
        return Some(Finding::ok(Group::Sources, subject, format!("{zone}; there is no event to tell by")));
    };
    let offset = source.time_zone.to_offset(now.timestamp());
    let of = |time: Time| now.millis().saturating_sub(time.millis());
    Some(match clock_hint(of(newest), of(oldest), Some(offset.seconds())) {
        None => Finding::ok(Group::Sources, subject, format!("{zone} fits: the newest event is {}", age(newest, now))),
        Some(hint) => {
            let advice = match &hint.zone {
                Some(zone) => format!("set `time_zone: {zone}` for this source"),
                None => "set `time_zone:` of this source to the zone of the API's times".to_owned(),
            };
            let found = format!(
                "with {zone} events look {} h off: the newest is {}",
                hint.hours.unsigned_abs(),
                age(newest, now)
            );
            Finding::fail(Group::Sources, subject, found, advice)
        }
    })
}

/// Compares how often each service is really read with how long the API remembers.
fn pace(source: &ApiConfig, services: usize) -> Option<Finding> {
    let subject = format!("{}: pace", source.name);
    if services == 0 {
        return None;
    }
    let rate = source.requests_per_second;
    let remembers = format!("the API shows events for {}", span(MEMORY.as_secs()));
    let every = |interval: Duration| format!("{}, each read every{}", count(services, "service"), seconds(interval));
    Some(match PaceVerdict::of(services, rate, source.poll_every, MEMORY) {
        PaceVerdict::Holds => {
            Finding::ok(Group::Sources, subject, format!("{}; {remembers}", every(source.poll_every)))
        }
        PaceVerdict::Slower(real) => {
            let found = format!("{}, not every{}; {remembers}", every(real), seconds(source.poll_every));
            Finding::warn(
                Group::Sources,
                subject,
                found,
                "raise requests_per_second if the API allows it, or poll_every",
            )
        }
        PaceVerdict::BlindAfter(real) => {
            let found = format!("{}, but {remembers}: events will be missed", every(real));
            let advice = "raise requests_per_second, lower poll_every or watch fewer services";
            Finding::fail(Group::Sources, subject, found, advice)
        }
    })
}

fn seconds(interval: Duration) -> String {
    format!(" {}", span(interval.as_secs_f64().ceil() as u64))
}
