//! Actions and the shapes of their answers.

use serde::Serialize;

use super::auth::{self, Asked};
use super::play::Shown;
use super::{Shared, lock};
use crate::core::time::Time;
use crate::sources::qcloud::{china, codes};
use crate::sources::recording::WrittenEvent;
use crate::sources::wall_clock::WallClock;

/// What the real API lists on one page at most.
const MAX_PAGE: usize = 100;
/// What it lists when it is not told.
const PAGE: usize = 20;

/// An error with its code.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: i64,
    message: String,
}

impl Refusal {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<T> {
    code: i64,
    message: String,
    code_desc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data {
    #[serde(rename_all = "camelCase")]
    Events { event_list: Vec<serde_json::Value> },
    #[serde(rename_all = "camelCase")]
    Clusters { total_count: usize, clusters: Vec<Cluster> },
    #[serde(rename_all = "camelCase")]
    Services { total_count: usize, services: Vec<Service> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    cluster_id: String,
    cluster_name: String,
    status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    service_name: String,
    namespace: String,
    status: &'static str,
}

/// The body of the answer; its HTTP status is 200 whatever it says, as with the real API.
pub(super) fn answer(state: &Shared, asked: &Asked<'_>, now: Time) -> Vec<u8> {
    let answer = match checked(state, asked, now) {
        Ok(data) => Answer { code: 0, message: String::new(), code_desc: "Success", data: Some(data) },
        Err(refusal) => {
            let code_desc = codes::meaning(refusal.code).desc;
            let message = format!("({}) {}", refusal.code, refusal.message);
            Answer { code: refusal.code, message, code_desc, data: None }
        }
    };
    serde_json::to_vec(&answer).unwrap_or_default()
}

fn checked(state: &Shared, asked: &Asked<'_>, now: Time) -> Result<Data, Refusal> {
    let action = asked.need("Action")?;
    auth::check(asked, &state.config, &state.nonces, now)?;
    if let Some(code) = lock(&state.faults).pop_front().filter(|code| *code != 0) {
        return Err(Refusal::new(code, "asked for"));
    }
    match action {
        "DescribeServiceEvent" => events(state, asked, now),
        "DescribeCluster" => clusters(state, asked, now),
        "DescribeClusterService" => services(state, asked, now),
        other => Err(Refusal::new(4000, format!("unknown Action {other}"))),
    }
}

fn events(state: &Shared, asked: &Asked<'_>, now: Time) -> Result<Data, Refusal> {
    let (cluster, service) = (asked.need("clusterId")?, asked.need("serviceName")?);
    let namespace = asked.get("namespace").unwrap_or("default");
    match state.config.play.shown(cluster, namespace, service, now) {
        Shown::List(events) => {
            let clock = WallClock::new(china());
            let written = events.iter().map(|event| serde_json::to_value(WrittenEvent::new(event, &clock)));
            Ok(Data::Events { event_list: written.filter_map(Result::ok).collect() })
        }
        Shown::Error(code, words) => Err(Refusal::new(code, words)),
    }
}

fn clusters(state: &Shared, asked: &Asked<'_>, now: Time) -> Result<Data, Refusal> {
    let all = state.config.play.clusters(now);
    let page = page(asked, Some(PAGE))?;
    let cluster = |id: &String| Cluster { cluster_id: id.clone(), cluster_name: id.clone(), status: "Running" };
    Ok(Data::Clusters { total_count: all.len(), clusters: page.of(&all).map(cluster).collect() })
}

fn services(state: &Shared, asked: &Asked<'_>, now: Time) -> Result<Data, Refusal> {
    let cluster = asked.need("clusterId")?;
    if !state.config.play.knows_cluster(cluster) {
        return Err(Refusal::new(codes::NO_CLUSTER, format!("cluster {cluster} not found")));
    }
    let mut all = state.config.play.services(cluster, now);
    if asked.get("allnamespace") != Some("1") {
        let wanted = asked.get("namespace").unwrap_or("default");
        all.retain(|(namespace, _)| namespace == wanted);
    }
    let page = page(asked, None)?;
    let service = |(namespace, name): &(String, String)| Service {
        service_name: name.clone(),
        namespace: namespace.clone(),
        status: "Normal",
    };
    Ok(Data::Services { total_count: all.len(), services: page.of(&all).map(service).collect() })
}

struct Page {
    offset: usize,
    limit: usize,
}

impl Page {
    fn of<'a, T: 'a>(&self, all: impl IntoIterator<Item = &'a T>) -> impl Iterator<Item = &'a T> {
        all.into_iter().skip(self.offset).take(self.limit)
    }
}

/// The part that is asked for; without `limit`, `unasked` or everything.
fn page(asked: &Asked<'_>, unasked: Option<usize>) -> Result<Page, Refusal> {
    let number = |name: &str| -> Result<Option<usize>, Refusal> {
        let parse =
            |text: &str| text.parse().map_err(|_| Refusal::new(4000, format!("parameter {name} is not a number")));
        asked.get(name).map(parse).transpose()
    };
    let limit = number("limit")?.map(|limit| limit.min(MAX_PAGE)).or(unasked).unwrap_or(usize::MAX);
    Ok(Page { offset: number("offset")?.unwrap_or(0), limit })
}
