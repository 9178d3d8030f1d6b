//! What a rule, or the defaults before it, say of the settings.
use crate::rule::quiet::Active;
use crate::rule::{
    Conditions, CountSteps, Destination, EndsBy, Field, OpenWhen, Routing, Severity, UnacknowledgedStep,
};
use crate::template::Template;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The settings of a rule or of `defaults`; `None` where nothing is given.
#[derive(Clone, Debug, Default)]
pub struct Partial {
    /// `severity`.
    pub severity: Option<Severity>,
    /// `open_when`.
    pub open_when: Option<OpenWhen>,
    /// `escalate.counts`.
    pub counts: Option<CountSteps>,
    /// `escalate.objects`.
    pub objects: Option<Vec<u64>>,
    /// `escalate.news`.
    pub news: Option<bool>,
    /// `sustain`; the inner `None` is `off`.
    pub sustain: Option<Option<Conditions>>,
    /// `group_by`.
    pub group_by: Option<Vec<Field>>,
    /// `group_wait`.
    pub group_wait: Option<Duration>,
    /// `min_gap`.
    pub min_gap: Option<Duration>,
    /// `resolve_after`.
    pub resolve_after: Option<Duration>,
    /// `recovered_after`.
    pub recovered_after: Option<Duration>,
    /// `until`.
    pub until: Option<EndsBy>,
    /// `family`.
    pub family: Option<Arc<str>>,
    /// `reopen_within`.
    pub reopen_within: Option<Duration>,
    /// `remind_every`; the inner `None` is `off`.
    pub remind_every: Option<Option<Duration>>,
    /// `send_resolved`.
    pub send_resolved: Option<bool>,
    /// `active`; the inner `None` is `off`.
    pub active: Option<Option<Active>>,
    /// `notify`: every destination that it names.
    pub notify: Option<Vec<Destination>>,
    /// How `notify` chooses among them, if it does.
    pub routing: Option<Routing>,
    /// `unacknowledged`; empty for `off`.
    pub unacknowledged: Option<Vec<UnacknowledgedStep>>,
    /// `mention`.
    pub mention: Option<BTreeMap<Severity, Vec<String>>>,
    /// `runbook`.
    pub runbook: Option<String>,
    /// `labels`.
    pub labels: BTreeMap<String, String>,
    /// `template`.
    pub template: Template,
}

impl Partial {
    /// This, with `other` in place of what is not given.
    #[must_use]
    pub(crate) fn or(self, other: &Self) -> Self {
        let mut labels = other.labels.clone();
        labels.extend(self.labels);
        let other = other.clone();
        Self {
            severity: self.severity.or(other.severity),
            open_when: self.open_when.or(other.open_when),
            counts: self.counts.or(other.counts),
            objects: self.objects.or(other.objects),
            news: self.news.or(other.news),
            sustain: self.sustain.or(other.sustain),
            group_by: self.group_by.or(other.group_by),
            group_wait: self.group_wait.or(other.group_wait),
            min_gap: self.min_gap.or(other.min_gap),
            resolve_after: self.resolve_after.or(other.resolve_after),
            recovered_after: self.recovered_after.or(other.recovered_after),
            until: self.until.or(other.until),
            family: self.family.or(other.family),
            reopen_within: self.reopen_within.or(other.reopen_within),
            remind_every: self.remind_every.or(other.remind_every),
            send_resolved: self.send_resolved.or(other.send_resolved),
            active: self.active.or(other.active),
            routing: if self.notify.is_some() { self.routing } else { other.routing },
            notify: self.notify.or(other.notify),
            unacknowledged: self.unacknowledged.or(other.unacknowledged),
            mention: self.mention.or(other.mention),
            runbook: self.runbook.or(other.runbook),
            labels,
            template: self.template.or(&other.template),
        }
    }
}

/// The names that podbell.yaml defines; `None` where there is no podbell.yaml.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Notifiers.
    pub destinations: Option<Vec<Destination>>,
    /// Keys of `mentions:`.
    pub mentions: Option<Vec<String>>,
    /// The destinations that the operator lets this file notify.
    pub may_notify: Option<Vec<Destination>>,
}
