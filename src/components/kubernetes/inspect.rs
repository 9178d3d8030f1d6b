//! Looks at a cluster for `podbell doctor`: its version, what podbell's account may do, one event. Watches nothing.
//! The doctor interprets the result.

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Api;
use super::fault::Fault;
use super::resource::Resource;
use super::settings::Enrich;
use super::{KubernetesConfig, event};
use crate::http::Clocks;
use podbell_core::time::Time;

/// Everything that is listed and watched.
const RESOURCES: [Resource; 12] = [
    Resource::Events,
    Resource::Pods,
    Resource::Services,
    Resource::ReplicaSets,
    Resource::Jobs,
    Resource::Deployments,
    Resource::StatefulSets,
    Resource::DaemonSets,
    Resource::Nodes,
    Resource::Autoscalers,
    Resource::CronJobs,
    Resource::Namespaces,
];
const VERBS: [&str; 2] = ["list", "watch"];
/// The permissions are checked in at most this many namespaces.
const MAX_NAMESPACES: usize = 20;

/// Something that the account may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The resource.
    pub resource: Resource,
    /// `list` or `watch`.
    pub verb: &'static str,
}

/// Where events are read.
#[derive(Debug)]
pub struct NamespaceRights {
    /// The namespace; `None`: every one.
    pub namespace: Option<String>,
    /// What the account may not do there, as the server says.
    pub missing: Result<Vec<Missing>, Fault>,
    /// Whether it may read the logs of pods there; `None`: nothing asks for them.
    pub logs: Option<Result<bool, Fault>>,
    /// When any of the events there was last seen; `None`: there are none.
    pub event: Result<Option<Time>, Fault>,
}

/// What can be seen.
#[derive(Debug)]
pub struct Inspection {
    /// The server's version, such as `v1.33.1`.
    pub version: String,
    /// Where events are read.
    pub places: Vec<NamespaceRights>,
    /// How many namespaces were not looked at.
    pub left_out: usize,
    /// The server's clock.
    pub clocks: Option<Clocks>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

#[derive(Deserialize)]
struct Review {
    status: Allowed,
}

#[derive(Deserialize)]
struct Allowed {
    #[serde(default)]
    allowed: bool,
}

/// Looks at the cluster.
///
/// # Errors
/// When the server cannot be reached, or is not an API server.
pub async fn inspect(config: &KubernetesConfig) -> Result<Inspection, Fault> {
    let api = Api::new(config);
    let (body, clocks) = api.ask("/version", None).await?;
    let version: Version = serde_json::from_slice(&body).map_err(Fault::nonsense)?;
    let namespaces: Vec<Option<String>> = match config.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let looked = namespaces.iter().take(MAX_NAMESPACES).map(|namespace| place(&api, config, namespace.clone()));
    let places = join_all(looked).await;
    let left_out = namespaces.len() - places.len();
    Ok(Inspection { version: version.git_version, places, left_out, clocks })
}

async fn place(api: &Api, config: &KubernetesConfig, namespace: Option<String>) -> NamespaceRights {
    // What belongs to no namespace cannot be granted in one.
    let wanted = RESOURCES.iter().filter(|resource| namespace.is_none() || !resource.is_of_the_cluster());
    let all = wanted.flat_map(|resource| VERBS.map(|verb| Missing { resource: *resource, verb }));
    let lacks = async |one: Missing| {
        let Missing { resource, verb } = one;
        let asked = json!({"verb": verb, "group": resource.group(), "resource": resource.name()});
        may(api, namespace.as_deref(), asked).await.map(|may| (!may).then_some(one))
    };
    let asked = join_all(all.map(lacks)).await;
    let missing = asked.into_iter().filter_map(Result::transpose).collect();
    let logs = match config.enrich {
        Enrich::Logs => {
            let asked = json!({"verb": "get", "group": "", "resource": "pods", "subresource": "log"});
            Some(may(api, namespace.as_deref(), asked).await)
        }
        Enrich::Off | Enrich::State => None,
    };
    let event = one_event(api, namespace.as_deref()).await;
    NamespaceRights { namespace, missing, logs, event }
}

/// Whether the account has a permission, given as the attributes of a review without their namespace.
async fn may(api: &Api, namespace: Option<&str>, mut attributes: Value) -> Result<bool, Fault> {
    attributes["namespace"] = json!(namespace.unwrap_or_default());
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    });
    let (body, _) = api.ask("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", Some(&review)).await?;
    let review: Review = serde_json::from_slice(&body).map_err(Fault::nonsense)?;
    Ok(review.status.allowed)
}

/// Reads one event: being able to read it says more than a permission.
async fn one_event(api: &Api, namespace: Option<&str>) -> Result<Option<Time>, Fault> {
    #[derive(Deserialize)]
    struct List {
        items: Option<Vec<Box<serde_json::value::RawValue>>>,
    }
    let (body, _) = api.ask(&format!("{}?limit=1", Resource::Events.path(namespace)), None).await?;
    let list: List = serde_json::from_slice(&body).map_err(Fault::nonsense)?;
    let first = list.items.unwrap_or_default().into_iter().next();
    Ok(first.and_then(|item| event::read(item.get())).map(|read| read.event.last_seen))
}
