//! The few fields that are read of objects other than events.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An object's metadata, and a service's selector.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Object {
    /// Metadata.
    pub metadata: Meta,
    /// Of services and pods.
    pub spec: Spec,
}

/// Metadata.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Meta {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Its owners.
    pub owner_references: Option<Vec<Owner>>,
}

/// What describes an object: read only for rules that look at it, because annotations can be large.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DescribedObject {
    /// Metadata.
    pub metadata: Describing,
}

/// Labels and annotations.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Describing {
    /// Its labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Its annotations.
    pub annotations: Option<BTreeMap<String, String>>,
}

/// An owner of an object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Owner {
    /// Such as `ReplicaSet`.
    pub kind: String,
    /// Its name, in the same namespace.
    pub name: String,
    /// Whether it manages the object.
    pub controller: Option<bool>,
}

/// The part of a service that selects its pods, and that of a pod which tells where it is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec {
    /// Labels that a service's pods have. Other kinds have another shape of it, which is left out.
    #[serde(deserialize_with = "labels")]
    pub selector: Option<BTreeMap<String, String>>,
    /// The node of a pod.
    pub node_name: Option<String>,
}

fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    let read = Option::<BTreeMap<String, serde_json::Value>>::deserialize(deserializer)?;
    let text = |(key, value): (String, serde_json::Value)| Some((key, value.as_str()?.to_owned()));
    Ok(read.map(|labels| labels.into_iter().filter_map(text).collect()))
}

impl Meta {
    /// The owner that manages it, else the first.
    pub(crate) fn owner(&self) -> Option<&Owner> {
        let owners = self.owner_references.as_ref()?;
        owners.iter().find(|owner| owner.controller == Some(true)).or_else(|| owners.first())
    }
}

#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    metadata: Version<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version<'a> {
    #[serde(borrow)]
    resource_version: std::borrow::Cow<'a, str>,
}

/// The version of an object, from which a watch continues.
pub(crate) fn version(object: &RawValue) -> Option<String> {
    let read: Versioned<'_> = serde_json::from_str(object.get()).ok()?;
    Some(read.metadata.resource_version.into_owned())
}
