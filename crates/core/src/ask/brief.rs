//! An incident on one line, with its mutes and its acknowledgement.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formatter::AnswerFormatter;
use super::known::AnswerFacts;
use crate::incident::{Incident, Phase};
use crate::message::{self, Block, Span, words};
use crate::mute::{Acknowledged, Author, Mute};
use crate::notice::NoticeKind;
use crate::rule::{Field, RuleKey, Severity};
use crate::scope::Scope;
use crate::time::Time;
use crate::user_action::Act;

/// How many reasons are listed.
const MAX_REASONS: usize = 2;

/// An entry of the action log: what a person did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// Who did it.
    pub by: Author,
    /// What they did.
    pub act: Act,
    /// When they did it.
    pub at: Time,
}

/// An incident as the store keeps it.
#[derive(Clone, Debug)]
pub struct StoredIncident {
    /// The incident.
    pub incident: Incident,
    /// When it ended for good.
    pub ended_at: Option<Time>,
    /// Who acknowledged it.
    pub acknowledged: Option<Acknowledged>,
}

/// The summary of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Incident")]
pub struct Brief {
    /// Its number.
    pub id: u64,
    /// Its rule.
    pub rule: RuleKey,
    /// How urgent it is.
    pub severity: Severity,
    /// Since when it is over; not set while it is open.
    pub resolved_at: Option<Time>,
    /// The cluster, as people call it.
    pub cluster: String,
    /// The namespace; empty if the incident spans several.
    pub namespace: String,
    /// The workload; empty if the incident spans several.
    pub workload: String,
    /// Reasons, the most frequent first.
    pub reasons: Vec<String>,
    /// How often it occurred.
    pub occurrences: u64,
    /// Distinct objects within the last hour.
    pub objects: u64,
    /// The kind of the objects.
    pub obj_type: String,
    /// When podbell saw the first occurrence.
    pub first_at: Time,
    /// When podbell saw the newest occurrence.
    pub last_at: Time,
    /// The mutes that hold it now.
    pub muted: Vec<Mute>,
    /// Who acknowledged it.
    pub acknowledged: Option<Acknowledged>,
}

impl Brief {
    /// Summarizes an incident for a reader who may see only some of its targets.
    pub fn of(kept: &StoredIncident, scope: &Scope, known: &AnswerFacts, mutes: &[Mute], now: Time) -> Self {
        let StoredIncident { incident, ended_at, acknowledged } = kept;
        let target = incident.targets.iter().find(|target| scope.sees(target));
        let one = |field| incident.group.iter().any(|(grouped, _)| *grouped == field);
        let shown =
            |field, text: Option<&str>| if one(field) { text.unwrap_or_default().to_owned() } else { String::new() };
        let cluster = target.map(|target| &*target.cluster);
        let mut reasons: Vec<_> = incident.details.reasons.iter().collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.occurrences));
        Self {
            id: incident.id,
            rule: incident.rule.clone(),
            severity: known.rule(&incident.rule).map(|rule| rule.severity).unwrap_or_default(),
            resolved_at: if let Phase::Resolved { at } = incident.phase { Some(at) } else { *ended_at },
            cluster: shown(Field::Cluster, cluster.map(|id| known.alias(id).unwrap_or(id))),
            namespace: shown(Field::Namespace, target.map(|target| &*target.namespace)),
            workload: match one(Field::Workload) || one(Field::ObjName) {
                true => incident.workload.clone(),
                false => String::new(),
            },
            reasons: reasons.iter().map(|reason| reason.reason.clone()).collect(),
            occurrences: incident.occurrences,
            objects: incident.objects_lately(now).max(1),
            obj_type: incident.details.newest.obj_type.clone(),
            first_at: incident.first_at,
            last_at: incident.last_at,
            muted: mutes.iter().filter(|mute| incident.is_muted_by(mute)).cloned().collect(),
            acknowledged: acknowledged.clone(),
        }
    }

    /// `shop/web`, or the part of it that is known, or else the cluster.
    pub fn place(&self) -> String {
        let parts = [&self.namespace, &self.workload].into_iter().filter(|part| !part.is_empty());
        let place = parts.cloned().collect::<Vec<_>>().join("/");
        if place.is_empty() { self.cluster.clone() } else { place }
    }

    /// One sign: how urgent it is, or that it is over.
    pub fn sign(&self) -> &'static str {
        let kind = if self.resolved_at.is_some() { NoticeKind::Resolved } else { NoticeKind::Opened };
        message::sign(kind, self.severity)
    }

    /// `🔴 #1042 · shop/web: BackOff · 134 times · 6 pods · 3 min ago · muted by …`.
    pub(super) fn line(&self, formatter: &AnswerFormatter<'_>) -> Block {
        let mut spans = vec![words(format!("{} #{} · ", self.sign(), self.id))];
        spans.push(message::data(&format!("{}: {}", self.place(), few(&self.reasons))));
        spans.push(words(formatter.figures(self.occurrences, (self.objects, &self.obj_type), self.last_at)));
        self.people(formatter, &mut spans);
        Block::Line(spans)
    }

    fn people(&self, formatter: &AnswerFormatter<'_>, spans: &mut Vec<Span>) {
        // Show only the mute that ends last.
        if let Some(mute) = self.muted.iter().max_by_key(|mute| mute.until) {
            spans.push(words(" · 🔇 "));
            spans.extend(formatter.mute(mute));
        }
        if let Some(acknowledged) = &self.acknowledged {
            spans.push(words(" · 🙋 "));
            spans.extend(formatter.fill(formatter.texts.has_it(), &[&acknowledged.by.name]));
        }
    }
}

/// The first few reasons, and how many more there are.
pub fn few(reasons: &[String]) -> String {
    let named = reasons.iter().take(MAX_REASONS).map(String::as_str).collect::<Vec<_>>().join(", ");
    match reasons.len().saturating_sub(MAX_REASONS) {
        0 => named,
        more => format!("{named} +{more}"),
    }
}
