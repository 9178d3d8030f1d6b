//! Finds services and workloads by the names that people use: found, ambiguous or unknown. The caller passes only what
//! the reader may see, so that no answer reveals more.

use serde::Serialize;

use super::args;
use super::formatter::{AnswerFormatter, narrowed, word};
use super::mistake::Mistake;
use super::spec::Args;
use crate::event::Target;
use crate::message::Message;
use crate::translated;

/// How many similar names are offered.
const MAX_NEAR: usize = 5;
/// How many choices are listed.
const MAX_CHOICES: usize = 10;

/// A service or workload as a person names it. `None` matches anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The cluster's id or alias.
    pub cluster: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The service's name, or a workload's.
    pub name: String,
}

impl Named {
    /// From `web`, `shop/web` or `prod/shop/web`, and the options beside it.
    pub(super) fn read(written: &str, args: &Args, command: &'static str) -> Result<Self, Mistake> {
        let mut parts = written.rsplit('/');
        let mut part = || parts.next().map(|part| args::name(part, command)).transpose();
        let (name, namespace, cluster, more) = (part()?, part()?, part()?, part()?);
        let no_name = || Mistake::NoName { command, word: written.to_owned() };
        if more.is_some() {
            return Err(no_name());
        }
        let one = |written: Option<String>, option: &Option<String>, name| match (written, option) {
            (Some(written), Some(option)) if written != *option => Err(Mistake::Twice { command, option: name }),
            (written, option) => Ok(written.or_else(|| option.clone())),
        };
        Ok(Self {
            cluster: one(cluster, &args.cluster, "cluster")?,
            namespace: one(namespace, &args.namespace, "namespace")?,
            name: name.ok_or_else(no_name)?,
        })
    }

    /// Whether a target is in this namespace and cluster. People name a cluster by its id or alias. `node/n1` means the
    /// service of a node, which has no namespace.
    pub fn lies_in(&self, target: &Target, alias: Option<&str>) -> bool {
        let of_node = |kind: &str| {
            target.namespace.is_empty() && target.service.split_once('/') == Some((kind, self.name.as_str()))
        };
        self.namespace.as_ref().is_none_or(|namespace| **namespace == *target.namespace || of_node(namespace))
            && self.cluster.as_ref().is_none_or(|name| **name == *target.cluster || Some(name.as_str()) == alias)
    }

    /// As the arguments of a command.
    pub fn typed(&self) -> String {
        format!("{}{}", word(&self.name), narrowed(&self.namespace, &self.cluster))
    }
}

/// A service or workload that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FoundService {
    /// The namespace.
    pub namespace: String,
    /// The cluster's id.
    pub cluster: String,
    /// What people call the cluster.
    pub alias: Option<String>,
    /// The name.
    pub name: String,
    /// Whether it is only the name of a workload, not of a service.
    pub workload: bool,
}

impl FoundService {
    /// `shop/web`.
    pub fn short(&self) -> String {
        if self.namespace.is_empty() { self.name.clone() } else { format!("{}/{}", self.namespace, self.name) }
    }

    /// The alias such as `prod-gz`, or else the id.
    pub fn cluster_for_people(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.cluster)
    }

    /// The name that means this place and no other.
    pub fn named(&self) -> Named {
        Named {
            cluster: Some(self.cluster_for_people().to_owned()),
            namespace: Some(self.namespace.clone()),
            name: self.name.clone(),
        }
    }
}

/// An ambiguous word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// What was typed.
    pub word: String,
    /// For each meaning, the command that is not ambiguous.
    pub commands: Vec<String>,
}

impl Choice {
    pub(super) fn answer(&self, formatter: &AnswerFormatter<'_>) -> Message {
        let mut blocks = vec![formatter.filled(&formatter.texts.several(self.commands.len()), &[&self.word])];
        blocks.extend(
            self.commands.iter().take(MAX_CHOICES).map(|command| formatter.meant(std::slice::from_ref(command))),
        );
        blocks.extend(formatter.more(self.commands.len().saturating_sub(MAX_CHOICES) as u64));
        formatter.message(format!("❓ {}", formatter.texts.which()), blocks)
    }
}

/// What kind of thing was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A service or workload.
    Service,
    /// An incident.
    Incident,
    /// A rule.
    Rule,
    /// Something to mute: neither service nor rule.
    Thing,
    /// A mute.
    Mute,
}

translated! { Kind;
    Service: "There is no service {} here.", "未找到名为 {} 的服务。";
    Incident: "There is no incident {} here.", "未找到告警 {}。";
    Rule: "There is no rule {} here.", "未找到名为 {} 的规则。";
    Thing: "There is no service, incident or rule {} here.", "未找到名为 {} 的服务、告警或规则。";
    Mute: "Nothing is muted as {}.", "未找到针对 {} 的静默。";
}

/// A name that nothing has, or nothing that the reader may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unknown {
    /// What was looked for.
    pub kind: Kind,
    /// What was typed.
    pub word: String,
    /// The commands with the nearest names.
    pub near: Vec<String>,
}

impl Unknown {
    pub(super) fn answer(&self, formatter: &AnswerFormatter<'_>) -> Message {
        let mut blocks = vec![formatter.filled(self.kind.say(formatter.style.language), &[&self.word])];
        if !self.near.is_empty() {
            blocks.push(formatter.meant(&self.near));
        }
        let list = match self.kind {
            Kind::Service | Kind::Thing => "events",
            Kind::Incident | Kind::Rule => "incidents",
            Kind::Mute => "mutes",
        };
        blocks.push(formatter.next(&[list.to_owned()]));
        formatter.message(format!("❓ {}", formatter.texts.not_found()), blocks)
    }
}

/// The names that are nearest to a word, the nearest first.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let word = word.to_lowercase();
    let letters = word.chars().count();
    let close = (letters / 3).max(1);
    let mut near: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            // Whoever types a part of a name means that name.
            let part = letters >= 3 && lower.contains(&word);
            // The distance is at least the difference in length.
            let apart = lower.chars().count().abs_diff(letters);
            let distance = if part {
                1
            } else if apart > close {
                return None;
            } else {
                strsim::damerau_levenshtein(&word, &lower)
            };
            (distance <= close).then_some((distance, name))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(MAX_NEAR).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_are_those_with_few_letters_changed_or_with_the_word_in_them() {
        let names = ["web", "web-frontend", "billing", "bill", "checkout"];
        assert_eq!(nearest("wbe", names), ["web"]);
        assert_eq!(nearest("front", names), ["web-frontend"]);
        assert_eq!(nearest("chekout", names), ["checkout"]);
        assert_eq!(nearest("zzz", names), Vec::<String>::new());
        assert_eq!(nearest("", names), Vec::<String>::new());
    }
}
