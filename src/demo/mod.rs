//! The demo's cluster: three believable problems, second by second, as the legacy API would show them. Pure: makes
//! a recording, which [`crate::cli`] plays.

mod words;

use std::time::Duration;

pub(crate) use self::words::DemoTexts;
use crate::components::recordings::recording::{RecordedOutcome, RecordedPoll, Scope};
use podbell_core::event::{Event, Level};
use podbell_core::time::Time;
use podbell_core::translations::Phrase;

/// The demo's rules.
pub(crate) const RULES: &str = include_str!("rules.yaml");
/// The cluster and its namespace.
pub(crate) const CLUSTER: &str = "cls-demo0001";
/// What people call the cluster.
pub(crate) const CLUSTER_ALIAS: &str = "prod-gz";
/// The namespace.
pub(crate) const NAMESPACE: &str = "shop";
/// The services.
pub(crate) const SERVICES: [&str; 3] = ["web-service", "orders", "payments"];
/// How long one story takes, from its first event until it is over for good.
pub(crate) const STORY: Duration = Duration::from_secs(15);

/// What happens in one service, second by second after its story began.
struct Problem {
    service: &'static str,
    /// What a person would see happen.
    begins: Phrase,
    ends: Phrase,
    /// How often the pods fail in each second, one row each.
    pods: &'static [(&'static str, &'static [u64])],
    reason: &'static str,
    message: &'static str,
    /// The Normal event that the kubelet writes alongside.
    beside: Option<(&'static str, &'static str)>,
}

const PROBLEMS: [Problem; 3] = [
    Problem {
        service: "web-service",
        begins: Phrase::new(
            "somebody rolls out web-service with an image that does not exist",
            "有人发布了 web-service，但镜像不存在",
        ),
        ends: Phrase::new("the rollout is undone", "发布已回滚"),
        pods: &[
            ("web-service-542052039-h2yj8", &[1, 1, 2, 2, 2, 1]),
            ("web-service-542052039-x7k2p", &[0, 1, 1, 2, 1, 1]),
            ("web-service-542052039-q9d4z", &[0, 0, 1, 1, 2, 1]),
        ],
        reason: "pod启动失败",
        message: "Error syncing pod, skipping: failed to \"StartContainer\" for \"php-redis\" with ImagePullBackOff: \
                  \"Back-off pulling image \\\"registry.example.com/shop/web:v5\\\"\"\n",
        beside: Some(("操作重试", "Back-off pulling image \"registry.example.com/shop/web:v5\"")),
    },
    Problem {
        service: "orders",
        begins: Phrase::new(
            "the disk of orders-0 does not come back after a node was drained",
            "节点排空后，orders-0 的磁盘未能重新挂载",
        ),
        ends: Phrase::new("the disk is attached", "磁盘已挂载"),
        pods: &[("orders-0", &[1, 1, 1, 1, 1, 1, 1])],
        reason: "FailedMount",
        message: "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[data \
                  kube-api-access-4mkd7]: timed out waiting for the condition",
        beside: None,
    },
    Problem {
        service: "payments",
        begins: Phrase::new(
            "payments starts with a wrong password for its database",
            "payments 启动时使用了错误的数据库密码",
        ),
        ends: Phrase::new("the secret is corrected", "Secret 已更正"),
        pods: &[("payments-6d4cf56db6-x2x7v", &[1, 2, 2, 2, 3]), ("payments-6d4cf56db6-8fjzk", &[0, 1, 2, 2, 2])],
        reason: "BackOff",
        message: "Back-off restarting failed container",
        beside: None,
    },
];

/// Something that a spectator should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    /// How long after the start.
    pub after: Duration,
    /// What happens in the cluster.
    pub what: Phrase,
}

/// The story of each problem in turn, again and again: what a spectator sees.
pub(crate) fn beats(length: Duration) -> Vec<Beat> {
    let rounds = length.as_secs() / STORY.as_secs() + 1;
    (0..rounds)
        .flat_map(|round| {
            let problem = &PROBLEMS[round as usize % PROBLEMS.len()];
            let start = STORY * u32::try_from(round).unwrap_or(0) + LEAD;
            let lasts = Duration::from_secs(seconds(problem));
            [Beat { after: start, what: problem.begins }, Beat { after: start + lasts, what: problem.ends }]
        })
        .collect()
}

/// A story begins after the first contact.
const LEAD: Duration = Duration::from_secs(2);

fn seconds(problem: &Problem) -> u64 {
    problem.pods.iter().map(|(_, fails)| fails.len() as u64).max().unwrap_or(0)
}

/// What each service's list shows in each second from `start` on.
pub(crate) fn play(start: Time, length: Duration) -> Vec<RecordedPoll> {
    let mut polls = Vec::new();
    for second in 0..=length.as_secs() {
        for service in SERVICES {
            let scope = Scope {
                cluster: Some(CLUSTER.to_owned()),
                namespace: Some(NAMESPACE.to_owned()),
                service: Some(service.to_owned()),
            };
            let at = start.plus(Duration::from_secs(second));
            polls.push(RecordedPoll { at, scope, outcome: RecordedOutcome::List(list(service, start, second)) });
        }
    }
    polls
}

/// The whole list of a service at a second: routine, and every problem it has had so far.
fn list(service: &'static str, start: Time, second: u64) -> Vec<Event<'static>> {
    let mut events = routine(service, start);
    for round in 0..=second / STORY.as_secs() {
        let problem = &PROBLEMS[round as usize % PROBLEMS.len()];
        let began = round * STORY.as_secs() + LEAD.as_secs();
        if problem.service == service && second >= began {
            events.extend(trouble(problem, start, began, second - began));
        }
    }
    events
}

/// What a healthy service looks like: one good rollout half an hour ago.
fn routine(service: &'static str, start: Time) -> Vec<Event<'static>> {
    let seen = start.minus(Duration::from_secs(1800));
    let event = |obj_type: &'static str, obj_name: String, reason: &'static str, message: String| Event {
        first_seen: seen,
        last_seen: seen,
        count: 1,
        level: Level::Normal,
        obj_type: obj_type.into(),
        obj_name: obj_name.into(),
        reason: reason.into(),
        message: message.into(),
        ..Event::default()
    };
    let pod = format!("{service}-1892003711-4b7lm");
    vec![
        event(
            "Deployment",
            service.to_owned(),
            "ScalingReplicaSet",
            format!("Scaled up replica set {service}-1892003711 to 3"),
        ),
        event("Pod", pod.clone(), "Scheduled", format!("Successfully assigned {pod} to 10.0.12.7")),
        event(
            "Pod",
            pod.clone(),
            "Pulled",
            format!("Successfully pulled image \"registry.example.com/shop/{service}:v4\""),
        ),
        event("Pod", pod, "Started", "Started container".to_owned()),
    ]
}

fn trouble(problem: &Problem, start: Time, began: u64, age: u64) -> Vec<Event<'static>> {
    let at = |second: u64| start.plus(Duration::from_secs(began + second));
    let mut events = Vec::new();
    for (pod, fails) in problem.pods {
        let so_far = fails.iter().take(usize::try_from(age).unwrap_or(usize::MAX).saturating_add(1));
        let (mut count, mut first, mut last) = (0, None, 0);
        for (second, new) in (0..).zip(so_far) {
            if *new > 0 {
                count += new;
                first.get_or_insert(second);
                last = second;
            }
        }
        let Some(first) = first else { continue };
        let event = |level, reason: &'static str, message: &'static str| Event {
            first_seen: at(first),
            last_seen: at(last),
            count,
            level,
            obj_type: "Pod".into(),
            obj_name: (*pod).into(),
            reason: reason.into(),
            message: message.into(),
            ..Event::default()
        };
        events.push(event(Level::Warning, problem.reason, problem.message));
        events.extend(problem.beside.map(|(reason, message)| event(Level::Normal, reason, message)));
    }
    events
}
