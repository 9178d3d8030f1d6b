//! An incident on one line, and what people said of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formatter::AnswerFormatter;
use super::known::Known;
use crate::incident::{Incident, Phase};
use crate::message::{self, Block, Span, words};
use crate::mute::{Acknowledged, Author, Mute};
use crate::notice::NoticeKind;
use crate::rules::rule::{Field, RuleKey, Severity};
use crate::scope::Scope;
use crate::time::Time;
use crate::user_action::Act;

/// How many reasons are named.
const MOST_REASONS: usize = 2;

/// What people did, as the log of actions keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// Who.
    pub by: Author,
    /// What.
    pub act: Act,
    /// When.
    pub at: Time,
}

/// An incident as the store keeps it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The incident.
    pub incident: Incident,
    /// When it was over for good.
    pub ended_at: Option<Time>,
    /// Who has it.
    pub acknowledged: Option<Acknowledged>,
}

/// An incident in short.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Incident")]
pub struct Brief {
    /// Its number.
    pub id: u64,
    /// Its rule.
    pub rule: RuleKey,
    /// How urgent.
    pub severity: Severity,
    /// Since when it is over; none: it is open.
    pub resolved_at: Option<Time>,
    /// The cluster, as people call it.
    pub cluster: String,
    /// The namespace; empty where several are mixed.
    pub namespace: String,
    /// The workload; empty where several are mixed.
    pub workload: String,
    /// Reasons, the most frequent first.
    pub reasons: Vec<String>,
    /// Occurrences.
    pub occurrences: u64,
    /// Objects within the last hour.
    pub objects: u64,
    /// Their kind.
    pub obj_type: String,
    /// The first occurrence that podbell saw.
    pub first_at: Time,
    /// The newest.
    pub last_at: Time,
    /// The mutes that hold it now.
    pub muted: Vec<Mute>,
    /// Who has it.
    pub acknowledged: Option<Acknowledged>,
}

impl Brief {
    /// An incident in short, for a reader who may see some of it.
    pub fn of(kept: &Kept, scope: &Scope, known: &Known, mutes: &[Mute], now: Time) -> Self {
        let Kept { incident, ended_at, acknowledged } = kept;
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
            muted: mutes.iter().filter(|mute| mute.holds(incident)).cloned().collect(),
            acknowledged: acknowledged.clone(),
        }
    }

    /// `shop/web`, or as much of it as there is.
    pub fn place(&self) -> String {
        let parts = [&self.namespace, &self.workload].into_iter().filter(|part| !part.is_empty());
        let place = parts.cloned().collect::<Vec<_>>().join("/");
        if place.is_empty() { self.cluster.clone() } else { place }
    }

    /// How urgent it is, or that it is over, in one sign.
    pub fn sign(&self) -> &'static str {
        let kind = if self.resolved_at.is_some() { NoticeKind::Resolved } else { NoticeKind::Opened };
        message::sign(kind, self.severity)
    }

    /// `🔴 #1042 · shop/web: BackOff · 134 times · 6 pods · 3 min ago · muted by …`.
    pub(super) fn line(&self, formatter: &AnswerFormatter<'_>) -> Block {
        let mut spans = vec![words(format!("{} #{} · ", self.sign(), self.id))];
        spans.push(message::data(&format!("{}: {}", self.place(), few(&self.reasons))));
        let (times, objects) =
            (formatter.say.times(self.occurrences), formatter.say.objects(self.objects, &self.obj_type));
        let age = formatter.say.ago(self.last_at);
        spans.push(words(format!(" · {times} · {objects} · {age}")));
        self.people(formatter, &mut spans);
        Block::Line(spans)
    }

    fn people(&self, formatter: &AnswerFormatter<'_>, spans: &mut Vec<Span>) {
        // The mute that holds longest is the one that counts.
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

/// The first few of several reasons.
pub fn few(reasons: &[String]) -> String {
    let named = reasons.iter().take(MOST_REASONS).map(String::as_str).collect::<Vec<_>>().join(", ");
    match reasons.len().saturating_sub(MOST_REASONS) {
        0 => named,
        more => format!("{named} +{more}"),
    }
}
