//! A sample incident in every kind of notice: what templates are checked with and previews show.

use std::collections::BTreeMap;

use crate::event::Level;
use crate::notice::{
    CloseReason, FLAPPING, FollowedRollout, LastNotified, Newest, Notice, NoticeBody, NoticeKind, ReasonCount, Story,
};
use crate::rollout::Rollout;
use crate::rule::{Destination, Field, RuleKey, Severity};
use crate::time::Time;

/// The time of the samples, 2026-01-02 03:04:00 UTC.
pub const NOW: Time = Time::from_millis(1_767_323_040_000);

/// What a sample notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A problem started.
    Opened,
    /// It got worse.
    Escalated,
    /// Nobody acknowledged it.
    Unacknowledged,
    /// It is still there.
    Reminded,
    /// It came back.
    Reopened,
    /// It comes back again and again.
    Flapping,
    /// It went quiet.
    Resolved,
    /// Its rule or its targets are gone.
    Closed,
}

impl Kind {
    /// Every kind, in the order in which an incident goes through them.
    pub const ALL: [Self; 8] = [
        Self::Opened,
        Self::Escalated,
        Self::Unacknowledged,
        Self::Reminded,
        Self::Reopened,
        Self::Flapping,
        Self::Resolved,
        Self::Closed,
    ];

    /// The word of the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flapping => "flapping",
            Self::Unacknowledged => "unacknowledged",
            kind => kind.of().as_str(),
        }
    }

    fn of(self) -> NoticeKind {
        match self {
            Self::Opened | Self::Unacknowledged => NoticeKind::Opened,
            Self::Escalated => NoticeKind::Escalated,
            Self::Reminded => NoticeKind::Reminded,
            Self::Reopened | Self::Flapping => NoticeKind::Reopened,
            Self::Resolved => NoticeKind::Resolved,
            Self::Closed => NoticeKind::Closed,
        }
    }
}

/// An incident 40 minutes old, that nobody was notified of: an image that cannot be pulled.
pub fn story() -> Story {
    let pods = ["web-6d4cf56db6-x2x7v", "web-6d4cf56db6-9rkxq", "web-6d4cf56db6-b7c2d"];
    let minutes = |n: u64| NOW.minus(std::time::Duration::from_secs(n * 60));
    Story {
        incident: 1042,
        rule: RuleKey { file: "rules.yaml".into(), name: "sample".into() },
        group: BTreeMap::from([
            (Field::Cluster, "cls-xxxxx".to_owned()),
            (Field::Namespace, "shop".to_owned()),
            (Field::Workload, "web".to_owned()),
        ]),
        source: "prod".into(),
        cluster: "cls-xxxxx".into(),
        cluster_alias: Some("prod-gz".into()),
        namespace: "shop".into(),
        workload: "web".into(),
        services: vec!["web".into()],
        reasons: vec![
            ReasonCount { reason: "BackOff".into(), occurrences: 120 },
            ReasonCount { reason: "Failed".into(), occurrences: 14 },
        ],
        occurrences: 134,
        in_all: 134,
        objects: 6,
        object_names: pods.map(str::to_owned).into(),
        newest: Newest {
            level: Level::Warning,
            obj_type: "Pod".into(),
            obj_name: pods[0].into(),
            reason: "BackOff".into(),
            message: "Back-off pulling image \"registry.example.com/shop/web:v5\"".into(),
        },
        first_at: minutes(40),
        last_at: minutes(1),
        first_seen: minutes(41),
        reopened: 0,
        told: None,
        news: Vec::new(),
        quiet_seconds: 0,
        mute_over: None,
        unacknowledged_seconds: None,
        acknowledged: None,
        ended_by: None,
        status: None,
        ready: None,
        affected: Vec::new(),
        affected_count: 0,
        pod: None,
        rollout: None,
        closed_because: None,
        blind: Vec::new(),
        mentions: vec!["@oncall".into()],
        runbook: Some("https://wiki.example.com/image-pull".into()),
        labels: BTreeMap::new(),
        metadata: None,
        template: Default::default(),
    }
}

/// The same incident without the facts that it may lack.
pub(crate) fn bare(story: &Story) -> Story {
    Story {
        cluster_alias: None,
        newest: Newest {
            obj_name: String::new(),
            reason: "Unknown".into(),
            message: String::new(),
            ..story.newest.clone()
        },
        mentions: Vec::new(),
        runbook: None,
        rollout: None,
        ..story.clone()
    }
}

/// The rollout that such an incident may have begun after.
pub(crate) fn rollout() -> FollowedRollout {
    let image = |tag: &str| vec![format!("registry.example.com/shop/web:{tag}")];
    let rollout =
        Rollout { at: NOW.minus(std::time::Duration::from_secs(42 * 60)), before: image("v4"), after: image("v5") };
    FollowedRollout { after_seconds: 120, rollout }
}

/// A notice about that incident.
pub fn notice(kind: Kind, story: &Story, severity: Severity, to: Vec<Destination>) -> Notice {
    let told_at = story.first_at.plus(std::time::Duration::from_secs(600));
    let told = LastNotified { at: told_at, occurrences: (story.occurrences / 4).max(1), objects: 1 };
    let again = Story { told: Some(told), ..story.clone() };
    let story = match kind {
        Kind::Opened => story.clone(),
        Kind::Escalated => Story { news: vec!["Failed: Error: ErrImagePull".into()], ..again },
        Kind::Unacknowledged => Story { unacknowledged_seconds: Some(900), ..story.clone() },
        Kind::Reminded => again,
        Kind::Reopened => Story { reopened: 1, ..again },
        Kind::Flapping => Story { reopened: FLAPPING, ..again },
        Kind::Resolved => Story { quiet_seconds: 900, ..again },
        Kind::Closed => Story { closed_because: Some(CloseReason::RuleRemoved), ..again },
    };
    let body = NoticeBody::Incident(Box::new(story));
    Notice { id: 1, kind: kind.of(), caused_at: NOW, made_at: NOW, severity, to, body }
}
