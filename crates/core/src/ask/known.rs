//! What answers need beside the store: the rules in force and the aliases of clusters.

use std::collections::BTreeMap;

use crate::event::Target;
use crate::mute::Muted;
use crate::rule::{Action, Conditions, Rule, RuleKey, Severity, UnacknowledgedStep};
use crate::rules::Rules;
use crate::scope::Scope;

/// The rules in force and the aliases of clusters. Made anew at each reload.
#[derive(Clone, Debug, Default)]
pub struct AnswerFacts {
    /// The rules that notify.
    pub rules: BTreeMap<RuleKey, KnownRule>,
    /// The aliases of clusters, by id.
    pub aliases: BTreeMap<String, String>,
}

/// A rule, as far as answers need it.
#[derive(Clone, Debug)]
pub struct KnownRule {
    /// Its identity.
    pub key: RuleKey,
    /// How urgent its incidents are.
    pub severity: Severity,
    /// The address of its runbook.
    pub runbook: Option<String>,
    /// Who else is told while nobody acknowledges an incident.
    pub unacknowledged: Vec<UnacknowledgedStep>,
    conditions: Vec<Conditions>,
}

impl AnswerFacts {
    /// Collects what answers need to know of these rules.
    pub fn new(rules: &Rules, aliases: BTreeMap<String, String>) -> Self {
        let tells = rules.iter().map(|(_, rule)| rule).filter(|rule| rule.action == Action::Notify);
        Self { rules: tells.map(|rule| (rule.settings.key.clone(), KnownRule::of(rule))).collect(), aliases }
    }

    /// The alias of a cluster.
    pub fn alias(&self, cluster: &str) -> Option<&str> {
        self.aliases.get(cluster).map(String::as_str)
    }

    /// Names the muted service's cluster by its alias, unless another cluster has the same alias.
    pub fn in_names(&self, what: &Muted) -> Muted {
        let mut what = what.clone();
        if let Muted::Service { cluster: Some(cluster), .. } = &mut what
            && let Some(alias) = self.aliases.get(cluster)
            && self.aliases.values().filter(|other| *other == alias).count() == 1
        {
            cluster.clone_from(alias);
        }
        what
    }

    /// The rule with this key.
    pub fn rule(&self, key: &RuleKey) -> Option<&KnownRule> {
        self.rules.get(key)
    }

    /// The rules of this name, or of this `file:name`.
    pub fn rules_named<'k>(&'k self, name: &str) -> impl Iterator<Item = &'k KnownRule> {
        self.rules.values().filter(move |rule| *rule.key.name == *name || rule.key.to_string() == name)
    }
}

impl KnownRule {
    fn of(rule: &Rule) -> Self {
        let conditions = std::iter::once(&rule.matching).chain(&rule.scopes).cloned().collect();
        let settings = &rule.settings;
        Self {
            key: settings.key.clone(),
            severity: settings.severity,
            runbook: settings.runbook.clone(),
            unacknowledged: settings.unacknowledged.clone(),
            conditions,
        }
    }

    /// Whether it could notify of anything that these services show. A rule that cannot is another team's.
    pub fn may_notify_of<'a>(&self, scope: &Scope, targets: impl IntoIterator<Item = &'a Target>) -> bool {
        scope.is_everything() || targets.into_iter().any(|target| self.conditions.iter().all(|one| one.admits(target)))
    }
}
