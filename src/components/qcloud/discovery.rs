//! Finding services: which clusters there are, and which services they have.
//!
//! What a discovery found before it was cut off is reported as incomplete, and deletes nothing. The poller decides
//! which services are polled.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::ServiceSelection;
use super::client::Client;
use crate::sources::Problem;
use crate::sources::event_list::{self as answer, AnswerError};
use crate::sources::loose::{Integer, Text};
use crate::sources::poller::Discovery;
use podbell_core::event::Target;

/// How many clusters or services one answer may list; the API's own limit is 100.
const PAGE: usize = 100;
/// The most pages that are read, more than any account has: it ends a listing that would never end.
const MAX_PAGES: usize = 1_000;

/// Looks for every service of the clusters that are to be discovered.
pub async fn discover(client: &Client) -> Discovery {
    let mut found = Discovery::default();
    let (clusters, error) = clusters(client).await;
    found.error = error;
    for cluster in clusters {
        let (services, error) = services(client, &cluster).await;
        found.error = found.error.or(error);
        found.targets.extend(services);
    }
    found
}

/// A preview of what a discovery would find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DiscoveryPreview {
    /// The services of the first page.
    pub targets: Vec<Target>,
    /// How many there are in all, as far as the API says.
    pub total: usize,
}

/// Reads one page of a cluster's services; without a cluster, of the first cluster's.
///
/// # Errors
/// When the API refuses.
pub(crate) async fn glimpse(client: &Client, cluster: Option<&str>) -> Result<DiscoveryPreview, Problem> {
    let page = [("offset", "0"), ("limit", "100")];
    let cluster = match cluster {
        Some(cluster) => cluster.to_owned(),
        None => {
            let clusters = client.call("DescribeCluster", &page, read_clusters).await?;
            match clusters.items.into_iter().find(|id| !id.is_empty()) {
                Some(first) => first,
                None => return Ok(DiscoveryPreview::default()),
            }
        }
    };
    let params = [&[("clusterId", cluster.as_str()), ("allnamespace", "1")][..], &page].concat();
    let services = client.call("DescribeClusterService", &params, read_services).await?;
    let target = |(namespace, name): &(String, String)| Target::new(&client.config().name, &cluster, namespace, name);
    let targets: Vec<Target> = services.items.iter().filter(|(_, name)| !name.is_empty()).map(target).collect();
    Ok(DiscoveryPreview { total: services.total.unwrap_or(targets.len()).max(targets.len()), targets })
}

async fn clusters(client: &Client) -> (BTreeSet<String>, Option<Problem>) {
    let mut clusters = BTreeSet::new();
    let mut all = false;
    for selection in &client.config().services {
        match selection {
            ServiceSelection::Discover { cluster: Some(cluster) } => drop(clusters.insert(cluster.clone())),
            ServiceSelection::Discover { cluster: None } => all = true,
            ServiceSelection::Named { .. } => {}
        }
    }
    if !all {
        return (clusters, None);
    }
    let (listed, error) = pages(client, "DescribeCluster", &[], read_clusters).await;
    clusters.extend(listed.into_iter().filter(|id| !id.is_empty()));
    (clusters, error)
}

async fn services(client: &Client, cluster: &str) -> (Vec<Target>, Option<Problem>) {
    let params = [("clusterId", cluster), ("allnamespace", "1")];
    let (found, error) = pages(client, "DescribeClusterService", &params, read_services).await;
    let target = |(namespace, name): &(String, String)| Target::new(&client.config().name, cluster, namespace, name);
    let error = error.map(|error| Problem { text: format!("cluster {cluster}: {}", error.text), ..error });
    (found.iter().filter(|(_, name)| !name.is_empty()).map(target).collect(), error)
}

/// One page of a listing.
struct Page<T> {
    items: Vec<T>,
    total: Option<usize>,
}

/// Reads pages until everything is listed. What was read before an error is returned beside it.
async fn pages<T: Ord>(
    client: &Client,
    action: &str,
    params: &[(&str, &str)],
    read: fn(&[u8]) -> Result<Page<T>, AnswerError>,
) -> (BTreeSet<T>, Option<Problem>) {
    let mut all = BTreeSet::new();
    let mut offset = 0_usize;
    for _ in 0..MAX_PAGES {
        let (from, limit) = (offset.to_string(), PAGE.to_string());
        let mut params = params.to_vec();
        params.extend([("offset", &*from), ("limit", &*limit)]);
        let page = match client.call(action, &params, read).await {
            Ok(page) => page,
            Err(error) => return (all, Some(error)),
        };
        let (known, length) = (all.len(), page.items.len());
        all.extend(page.items);
        offset += length;
        match page.total {
            Some(total) if all.len() >= total => return (all, None),
            // Without a total, a page that is not full is the last one. A page that only repeats what is known
            // comes from a listing without pages.
            None if length < PAGE || all.len() == known => return (all, None),
            Some(total) if all.len() == known => return (all, Some(short(action, known, total))),
            Some(_) | None => {}
        }
    }
    let seen = all.len();
    (all, Some(short(action, seen, usize::MAX)))
}

fn short(action: &str, seen: usize, total: usize) -> Problem {
    Problem {
        code: "incomplete".to_owned(),
        text: format!("{action} listed {seen} of {total}"),
        advice: "wait for the next discovery; until then nothing is taken for deleted".to_owned(),
        gone: false,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClusterData<'a> {
    #[serde(default)]
    total_count: Integer,
    // No default: an answer without its list is not an empty list.
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    clusters: Option<Vec<Cluster<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cluster<'a> {
    #[serde(borrow, default)]
    cluster_id: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceData<'a> {
    #[serde(default)]
    total_count: Integer,
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    services: Option<Vec<Service<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Service<'a> {
    #[serde(borrow, default)]
    service_name: Text<'a>,
    #[serde(borrow, default)]
    namespace: Text<'a>,
}

fn read_clusters(body: &[u8]) -> Result<Page<String>, AnswerError> {
    let data: ClusterData<'_> = answer::parse_data(body)?;
    let items = data.clusters.unwrap_or_default().into_iter().map(|cluster| cluster.cluster_id.0.into_owned());
    Ok(Page { items: items.collect(), total: total(data.total_count) })
}

fn read_services(body: &[u8]) -> Result<Page<(String, String)>, AnswerError> {
    let data: ServiceData<'_> = answer::parse_data(body)?;
    let items = data.services.unwrap_or_default().into_iter().map(|service| {
        let namespace = if service.namespace.as_str().is_empty() { "default" } else { service.namespace.as_str() };
        (namespace.to_owned(), service.service_name.0.into_owned())
    });
    Ok(Page { items: items.collect(), total: total(data.total_count) })
}

fn total(count: Integer) -> Option<usize> {
    count.0.and_then(|count| usize::try_from(count).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_without_its_list_is_no_empty_listing() {
        assert!(read_services(br#"{"code": 0, "data": {}}"#).is_err());
        assert!(read_clusters(br#"{"code": 0, "data": []}"#).is_err());
        let empty = read_services(br#"{"code": 0, "data": {"totalCount": 0, "services": null}}"#).unwrap();
        assert!(empty.items.is_empty() && empty.total == Some(0));
    }
}
