//! Actions and the shapes of their answers.

use std::collections::BTreeSet;

use serde::Serialize;

use super::super::{china, codes};
use super::ApiRequest;
use crate::components::recordings::written::WrittenEvent;
use crate::sources::wall_clock::WallClock;
use podbell_core::event::Event;

/// The most that the real API lists on one page.
const MAX_PAGE: usize = 100;
/// How many clusters the real API lists by default.
const PAGE: usize = 20;

/// An error with its code.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The API's number for it.
    pub(crate) code: i64,
    message: String,
}

impl Refusal {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// A cluster that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClusterRow {
    /// Its id.
    pub(crate) id: String,
    /// What people call it.
    pub(crate) name: String,
}

/// What there is to see.
pub(crate) trait View {
    /// The clusters.
    fn clusters(&self) -> Result<BTreeSet<ClusterRow>, Refusal>;
    /// The services of a cluster, as (namespace, name).
    ///
    /// # Errors
    /// [`codes::NO_CLUSTER`] if there is no such cluster.
    fn services(&self, cluster: &str) -> Result<BTreeSet<(String, String)>, Refusal>;
    /// The events of a service.
    ///
    /// # Errors
    /// [`codes::NO_CLUSTER`], [`codes::NO_SERVICE`].
    fn events(&self, cluster: &str, namespace: &str, service: &str) -> Result<Vec<Event<'static>>, Refusal>;
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// `DescribeServiceEvent`.
    Events { cluster: String, namespace: String, service: String },
    /// `DescribeCluster`.
    Clusters { ids: BTreeSet<String>, page: Page },
    /// `DescribeClusterService`; without a namespace, all of them.
    Services { cluster: String, namespace: Option<String>, page: Page },
    /// `DescribeClusterNameSpaces`.
    Namespaces { cluster: String },
}

impl Query {
    /// What a request asks.
    ///
    /// # Errors
    /// When the action is unknown, or a parameter is missing.
    pub(crate) fn of(asked: &ApiRequest) -> Result<Self, Refusal> {
        let cluster = || asked.need("clusterId").map(str::to_owned);
        match asked.need("Action")? {
            "DescribeServiceEvent" => Ok(Self::Events {
                cluster: cluster()?,
                service: asked.need("serviceName")?.to_owned(),
                namespace: asked.get("namespace").unwrap_or("default").to_owned(),
            }),
            "DescribeCluster" => {
                let ids = asked.params.iter().filter(|(name, _)| name.starts_with("clusterIds."));
                Ok(Self::Clusters { ids: ids.map(|(_, id)| id.clone()).collect(), page: Page::of(asked, Some(PAGE))? })
            }
            "DescribeClusterService" => Ok(Self::Services {
                cluster: cluster()?,
                namespace: (asked.get("allnamespace") != Some("1"))
                    .then(|| asked.get("namespace").unwrap_or("default").to_owned()),
                page: Page::of(asked, None)?,
            }),
            "DescribeClusterNameSpaces" => Ok(Self::Namespaces { cluster: cluster()? }),
            other => Err(Refusal::new(4000, format!("unknown Action {other}"))),
        }
    }

    /// Looks it up.
    ///
    /// # Errors
    /// When there is no such thing to see.
    pub(crate) fn look(&self, view: &impl View) -> Result<Data, Refusal> {
        match self {
            Self::Events { cluster, namespace, service } => {
                let clock = WallClock::new(china());
                let events = view.events(cluster, namespace, service)?;
                let written = events.iter().map(|event| serde_json::to_value(WrittenEvent::new(event, &clock)));
                Ok(Data::Events { event_list: written.filter_map(Result::ok).collect() })
            }
            Self::Clusters { ids, page } => {
                let mut all = view.clusters()?;
                all.retain(|cluster| ids.is_empty() || ids.contains(&cluster.id));
                let total_count = all.len();
                let cluster = |row: ClusterRow| Cluster {
                    cluster_id: row.id,
                    cluster_name: row.name,
                    description: "",
                    status: "Running",
                };
                Ok(Data::Clusters { total_count, clusters: page.cut(all).map(cluster).collect() })
            }
            Self::Services { cluster, namespace, page } => {
                let mut all = view.services(cluster)?;
                all.retain(|(of, _)| namespace.as_ref().is_none_or(|wanted| wanted == of));
                let total_count = all.len();
                let service = |(namespace, service_name)| Service { service_name, namespace, status: "Normal" };
                Ok(Data::Services { total_count, services: page.cut(all).map(service).collect() })
            }
            Self::Namespaces { cluster } => {
                let all: BTreeSet<String> = view.services(cluster)?.into_iter().map(|(of, _)| of).collect();
                let namespace = |name| Namespace { name, description: "", status: "Active", created_at: "" };
                Ok(Data::Namespaces { total_count: all.len(), namespaces: all.into_iter().map(namespace).collect() })
            }
        }
    }
}

/// The part of a list that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    offset: usize,
    limit: usize,
}

impl Page {
    /// Without `limit`: `unasked`, or everything.
    fn of(asked: &ApiRequest, unasked: Option<usize>) -> Result<Self, Refusal> {
        let number = |name: &str| -> Result<Option<usize>, Refusal> {
            let parse =
                |text: &str| text.parse().map_err(|_| Refusal::new(4000, format!("parameter {name} is not a number")));
            asked.get(name).map(parse).transpose()
        };
        let limit = number("limit")?.map(|limit| limit.min(MAX_PAGE)).or(unasked).unwrap_or(usize::MAX);
        Ok(Self { offset: number("offset")?.unwrap_or(0), limit })
    }

    fn cut<T>(self, all: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
        all.into_iter().skip(self.offset).take(self.limit)
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

/// What is answered.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Data {
    #[serde(rename_all = "camelCase")]
    Events { event_list: Vec<serde_json::Value> },
    #[serde(rename_all = "camelCase")]
    Clusters { total_count: usize, clusters: Vec<Cluster> },
    #[serde(rename_all = "camelCase")]
    Services { total_count: usize, services: Vec<Service> },
    #[serde(rename_all = "camelCase")]
    Namespaces { total_count: usize, namespaces: Vec<Namespace> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cluster {
    cluster_id: String,
    cluster_name: String,
    description: &'static str,
    status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Service {
    service_name: String,
    namespace: String,
    status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Namespace {
    name: String,
    description: &'static str,
    status: &'static str,
    /// Not known here, but clients read the key.
    created_at: &'static str,
}

/// The body of the answer; its HTTP status is 200 whatever it says, as with the real API.
pub(crate) fn body(result: Result<Data, Refusal>) -> Vec<u8> {
    let answer = match result {
        Ok(data) => Answer { code: 0, message: String::new(), code_desc: "Success", data: Some(data) },
        Err(refusal) => {
            let code_desc = codes::meaning(refusal.code).desc;
            let message = format!("({}) {}", refusal.code, refusal.message);
            Answer { code: refusal.code, message, code_desc, data: None }
        }
    };
    serde_json::to_vec(&answer).unwrap_or_default()
}
