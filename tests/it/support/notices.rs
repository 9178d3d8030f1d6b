//! Notices in few words: one incident of a shop, in every kind.

use std::collections::BTreeMap;

use podbell_core::event::Level;
use podbell_core::notice::{
    ClockHint, CloseReason, Info, LastNotified, Newest, Notice, NoticeBody, NoticeKind, ReasonCount, Story, Trouble,
    TroubleSubject,
};
use podbell_core::rule::quiet::Window;
use podbell_core::rule::{Field, RuleKey, Severity};

use super::events::at;

/// An incident of `shop/web`, 40 minutes old, that nobody was told of.
pub fn story() -> Story {
    let pods = ["web-6d4cf56db6-x2x7v", "web-6d4cf56db6-9rkxq", "web-6d4cf56db6-b7c2d"];
    Story {
        incident: 1042,
        rule: RuleKey { file: "rules/shop.yaml".into(), name: "image-pull".into() },
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
        services: vec!["web".into(), "web-canary".into()],
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
        first_at: at(0),
        last_at: at(2340),
        first_seen: at(-30),
        reopened: 0,
        told: None,
        news: Vec::new(),
        quiet_seconds: 0,
        ended_by: None,
        status: None,
        ready: None,
        affected: Vec::new(),
        affected_count: 0,
        pod: None,
        rollout: None,
        closed_because: None,
        mute_over: None,
        unacknowledged_seconds: None,
        metadata: None,
        acknowledged: None,
        blind: Vec::new(),
        mentions: vec!["@oncall".into()],
        runbook: Some("https://wiki.example.com/image-pull?team=shop&page=1".into()),
        labels: BTreeMap::from([("team".to_owned(), "shop".to_owned())]),
        template: Default::default(),
    }
}

/// A notice of that incident, made 40 minutes after it began.
pub fn incident(id: u64, kind: NoticeKind, story: Story) -> Notice {
    Notice {
        id,
        kind,
        caused_at: at(2340),
        made_at: at(2400),
        severity: Severity::Critical,
        to: vec!["team-slack".into()],
        body: NoticeBody::Incident(Box::new(story)),
    }
}

pub fn own(id: u64, kind: NoticeKind, body: NoticeBody) -> Notice {
    Notice {
        id,
        kind,
        caused_at: at(2340),
        made_at: at(2400),
        severity: Severity::Critical,
        to: vec!["team-slack".into()],
        body,
    }
}

fn told() -> Option<LastNotified> {
    Some(LastNotified { at: at(600), occurrences: 34, objects: 2 })
}

/// A trouble with reading the source `prod`.
pub fn trouble() -> Trouble {
    Trouble {
        incident: 7,
        subject: TroubleSubject::Source("prod".into()),
        code: "4100".into(),
        text: "status 200: (4100) signature failure".into(),
        advice: "check secret_id and secret_key of this source".into(),
        affected: (0..8).map(|n| format!("cls-xxxxx/shop/web-{n}")).collect(),
        affected_count: 42,
        since: at(1800),
        until: None,
    }
}

/// One notice of every kind, with a name for each.
pub fn one_of_each() -> Vec<(&'static str, Notice)> {
    use NoticeKind::*;
    let again = Story { told: told(), ..story() };
    let first = Story {
        last_at: at(0),
        reasons: vec![ReasonCount { reason: "BackOff".into(), occurrences: 1 }],
        occurrences: 1,
        in_all: 40,
        objects: 1,
        object_names: vec!["web-6d4cf56db6-x2x7v".into()],
        first_seen: at(-90_000),
        ..story()
    };
    let worse =
        Story { news: vec!["Failed: Error: ErrImagePull".into()], blind: vec![(at(900), at(1200))], ..again.clone() };
    let over = Story { quiet_seconds: 900, ..again.clone() };
    let gone = Story { closed_because: Some(CloseReason::ServiceDeleted), ..again.clone() };
    let info = |info| NoticeBody::Info(info);
    let hint = Some(ClockHint { hours: -8, zone: Some("UTC".into()) });
    let to_wecom = Trouble {
        incident: 8,
        subject: TroubleSubject::Destination("ops-wecom".into()),
        code: "93000".into(),
        text: "status 200: invalid webhook url".into(),
        advice: "add a group robot in WeCom and put its new webhook URL into podbell.yaml".into(),
        affected: vec!["ops-wecom".into()],
        affected_count: 1,
        ..trouble()
    };
    let read_again = Trouble { until: Some(at(2340)), ..trouble() };
    vec![
        ("opened", incident(1, Opened, story())),
        ("opened, of an old problem", incident(2, Opened, first)),
        ("escalated", incident(3, Escalated, worse)),
        ("reminded", incident(4, Reminded, again.clone())),
        ("reopened", incident(5, Reopened, Story { reopened: 2, ..again })),
        ("resolved", incident(6, Resolved, over)),
        ("closed", incident(7, Closed, gone)),
        ("trouble with a source", own(8, Opened, NoticeBody::Trouble(Box::new(trouble())))),
        ("trouble with a destination", own(9, Opened, NoticeBody::Trouble(Box::new(to_wecom)))),
        ("trouble that is over", own(10, Resolved, NoticeBody::Trouble(Box::new(read_again)))),
        (
            "first contact",
            own(
                11,
                Info,
                info(self::Info::FirstContact {
                    source: "prod".into(),
                    services: 42,
                    already_there: 3,
                    clock_hint: hint,
                }),
            ),
        ),
        (
            "blind",
            own(
                12,
                Info,
                info(self::Info::Blind { source: "prod".into(), services: 42, from: at(-7_200), until: at(1_200) }),
            ),
        ),
        (
            "held during maintenance",
            own(
                15,
                Info,
                info(self::Info::Held {
                    window: Window::Maintenance { name: "db-upgrade".into(), file: None },
                    from: at(-7_200),
                    until: at(1_200),
                    over: vec!["shop/web: Failed, BackOff".into(), "shop/db: FailedMount".into()],
                    over_count: 7,
                    still_open: 2,
                }),
            ),
        ),
        (
            "held outside of its hours",
            own(
                16,
                Info,
                info(self::Info::Held {
                    window: Window::Hours("mon-fri 09:00-18:00 Asia/Shanghai".into()),
                    from: at(-7_200),
                    until: at(1_200),
                    over: vec!["shop/web: Unhealthy".into()],
                    over_count: 1,
                    still_open: 0,
                }),
            ),
        ),
        (
            "the day",
            own(
                17,
                Info,
                info(self::Info::Daily {
                    since: at(-85_200),
                    until: at(1_200),
                    events: 41_002,
                    messages: 9,
                    incidents: 3,
                    untold: 12,
                }),
            ),
        ),
        ("a test", own(14, Info, info(self::Info::Test { destination: "team-slack".into() }))),
        (
            "given up",
            own(
                13,
                Info,
                info(self::Info::Dead {
                    destination: "audit".into(),
                    deliveries: 3,
                    why: "24 h without success".into(),
                }),
            ),
        ),
    ]
}
