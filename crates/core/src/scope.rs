//! What a person may see and act on: a team's channel is bound to its own namespaces or services.
//!
//! A mute keeps the scope of its author, so that it never holds more than they may see.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{Names, Target};
use crate::rule::{Pattern, PatternError};

/// Keys that must all fit; of the patterns of a key one must fit. Without keys everything is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(with = "RawScope")]
#[serde(try_from = "RawScope", into = "RawScope")]
pub struct Scope {
    /// Patterns of clusters' ids.
    pub cluster: Vec<Pattern>,
    /// Patterns of namespaces.
    pub namespace: Vec<Pattern>,
    /// Patterns of services.
    pub service: Vec<Pattern>,
}

impl Scope {
    /// Whether it sees everything.
    pub fn is_everything(&self) -> bool {
        self == &Self::default()
    }

    /// Whether a service is within it.
    pub fn sees(&self, target: &Target) -> bool {
        self.sees_names(target.names())
    }

    /// Like [`Self::sees`], by the names of the service.
    pub fn sees_names(&self, names: Names<'_>) -> bool {
        let fits = |patterns: &[Pattern], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text.trim()))
        };
        fits(&self.cluster, names.cluster)
            && fits(&self.namespace, names.namespace)
            && fits(&self.service, names.service)
    }

    /// Whether something that these services show is within it: one of them is enough to see it.
    pub fn sees_any<'a>(&self, targets: impl IntoIterator<Item = &'a Target>) -> bool {
        self.is_everything() || targets.into_iter().any(|target| self.sees(target))
    }

    /// Whether all of these services are within it: a team must not silence what other teams' services show, too.
    pub fn covers<'a>(&self, targets: impl IntoIterator<Item = &'a Target>) -> bool {
        self.is_everything() || targets.into_iter().all(|target| self.sees(target))
    }
}

/// What a person may see, as texts.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Scope")]
struct RawScope {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cluster: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    namespace: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    service: Vec<String>,
}

impl TryFrom<RawScope> for Scope {
    type Error = PatternError;

    fn try_from(written: RawScope) -> Result<Self, PatternError> {
        let read = |texts: Vec<String>| texts.iter().map(|text| Pattern::parse(text)).collect::<Result<_, _>>();
        Ok(Self {
            cluster: read(written.cluster)?,
            namespace: read(written.namespace)?,
            service: read(written.service)?,
        })
    }
}

impl From<Scope> for RawScope {
    fn from(scope: Scope) -> Self {
        let write = |patterns: Vec<Pattern>| patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect();
        Self { cluster: write(scope.cluster), namespace: write(scope.namespace), service: write(scope.service) }
    }
}

/// What somebody may do within their scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rights {
    /// Ask only.
    #[default]
    Read,
    /// Acknowledge and mute, too.
    Write,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_back_as_it_was_written_and_sees_only_its_own() {
        let scope: Scope = serde_json::from_str(r#"{"namespace": ["shop", "shop-*"], "service": ["/^web/"]}"#).unwrap();
        let again: Scope = serde_json::from_str(&serde_json::to_string(&scope).unwrap()).unwrap();
        assert_eq!(scope, again);
        let target = |namespace, service| Target::new("prod", "cls-1", namespace, service);
        let (own, other) = (target("shop-eu", "web-1"), target("bank", "web-1"));
        assert!(scope.sees(&own) && !scope.sees(&other) && !scope.sees(&target("shop", "db")));
        assert!(scope.sees_any([&own, &other]) && !scope.covers([&own, &other]));
        assert!(Scope::default().covers([&own, &other]));
    }
}
