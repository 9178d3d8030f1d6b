//! The body of a webhook: documented JSON (docs/webhook.md). It is data, not a message: it carries the text of the
//! cluster as it is, cut only where no program could need more.

use serde_json::{Value, json};

use podbell_core::enrichment::PodState;
use podbell_core::health::Status;
use podbell_core::message::{self, Message, clip};
use podbell_core::mute::Author;
use podbell_core::notice::{CloseReason, Info, Notice, NoticeBody, StoreFate, Story, Trouble, TroubleSubject};
use podbell_core::outbox::Content;
use podbell_core::rule::quiet::Window;

/// The most of the newest text that is sent.
const MAX_TEXT: usize = 16_000;
/// The most of a short text: a reason, a name.
const MAX_NAME: usize = 1_000;
/// The most items of a list.
const MAX_LISTED: usize = 100;

/// What a webhook's message is made of, besides its words.
pub(super) struct RequestFacts<'a> {
    /// The folded notice.
    pub notice: &'a Notice,
    /// The numbers of all notices in it, ascending.
    pub notices: Vec<u64>,
    /// The id of the message, the same in every attempt.
    pub id: &'a str,
    /// Where the status page shows it.
    pub url: Option<&'a str>,
}

/// The body of the request.
pub(super) fn body(facts: &RequestFacts<'_>, message: &Message, content: Content) -> Value {
    let notice = facts.notice;
    let mut data = json!({
        "notice": notice.kind.as_str(),
        "notices": facts.notices,
        "severity": notice.severity.as_str(),
        "caused_at": notice.caused_at.timestamp().to_string(),
        "made_at": notice.made_at.timestamp().to_string(),
        "title": clip(&message.title, MAX_NAME),
        "text": clip(&message.text(), if content == Content::Full { MAX_TEXT } else { MAX_NAME }),
        "incident_id": notice.body.incident(),
    });
    if let (Some(fields), Some(url)) = (data.as_object_mut(), facts.url) {
        fields.insert("url".to_owned(), json!(url));
    }
    let (about, details) = match &notice.body {
        NoticeBody::Incident(story) => ("incident", incident(story, message, content)),
        NoticeBody::Trouble(trouble) => ("trouble", self::trouble(trouble)),
        NoticeBody::Info(info) => ("info", self::info(info)),
    };
    if let (Some(fields), true) = (data.as_object_mut(), content != Content::Minimal) {
        fields.insert(about.to_owned(), details);
    }
    json!({
        "id": facts.id,
        "type": format!("{about}.{}", word(notice)),
        "timestamp": notice.made_at.timestamp().to_string(),
        "data": data,
    })
}

/// The part of a message's type after the dot.
fn word(notice: &Notice) -> &'static str {
    match &notice.body {
        NoticeBody::Info(info) => match info {
            Info::FirstContact { .. } => "first_contact",
            Info::Blind { .. } => "blind",
            Info::Held { .. } => "held",
            Info::Daily { .. } => "daily",
            Info::Muted { .. } => "muted",
            Info::Store { .. } => "store",
            Info::Test { .. } => "test",
            Info::Dead { .. } => "dead",
        },
        NoticeBody::Incident(_) | NoticeBody::Trouble(_) => notice.kind.as_str(),
    }
}

fn incident(story: &Story, message: &Message, content: Content) -> Value {
    let most = if content == Content::Full { MAX_TEXT } else { MAX_NAME };
    let reasons = story.reasons.iter().take(MAX_LISTED);
    json!({
        "id": story.incident,
        "rule": {"file": &*story.rule.file, "name": &*story.rule.name},
        "group": &story.group,
        "source": name(&story.source),
        "cluster": name(&story.cluster),
        "cluster_alias": story.cluster_alias.as_deref().map(name),
        "namespace": name(&story.namespace),
        "workload": name(&story.workload),
        "services": names(&story.services),
        "reasons": reasons
            .map(|reason| json!({"reason": name(&reason.reason), "occurrences": reason.occurrences}))
            .collect::<Vec<_>>(),
        "occurrences": story.occurrences,
        "in_all": story.in_all,
        "objects": story.objects,
        "object_names": names(&story.object_names),
        "newest": {
            "level": story.newest.level.as_str(),
            "obj_type": name(&story.newest.obj_type),
            "obj_name": name(&story.newest.obj_name),
            "reason": name(&story.newest.reason),
            "message": clip(&story.newest.message, most),
        },
        "first_at": story.first_at.timestamp().to_string(),
        "last_at": story.last_at.timestamp().to_string(),
        "first_seen": story.first_seen.timestamp().to_string(),
        "reopened": story.reopened,
        "told": story.told.map(|told| json!({
            "at": told.at.timestamp().to_string(), "occurrences": told.occurrences, "objects": told.objects,
        })),
        "news": names(&story.news),
        "unacknowledged_seconds": story.unacknowledged_seconds,
        "quiet_seconds": story.quiet_seconds,
        "ended_by": story.ended_by.as_ref().map(|end| json!({
            "reason": name(&end.reason), "obj_type": name(&end.obj_type), "obj_name": name(&end.obj_name),
            "at": end.at.timestamp().to_string(),
        })),
        "rollout": story.rollout.as_ref().map(|followed| json!({
            "at": followed.rollout.at.timestamp().to_string(), "after_seconds": followed.after_seconds,
            "before": names(&followed.rollout.before), "after": names(&followed.rollout.after),
        })),
        "affected": story.affected.iter().map(|one| json!({
            "namespace": name(&one.namespace), "workload": name(&one.workload), "pods": one.pods,
        })).collect::<Vec<_>>(),
        "affected_count": story.affected_count,
        "status": story.status.map(Status::health).or(story.ready).map(|health| json!({
            "wanted": health.wanted, "ready": health.ready, "rolling_out": health.rolling_out,
        })),
        "pod": story.pod.as_ref().map(|pod| self::pod(pod, most)),
        "closed_because": story.closed_because.map(CloseReason::as_str),
        "blind": story.blind.iter().take(MAX_LISTED).map(|(from, until)| json!({
            "from": from.timestamp().to_string(), "until": until.timestamp().to_string(),
        })).collect::<Vec<_>>(),
        "runbook": &story.runbook,
        "labels": &story.labels,
        "command": message::command(story),
        "help": message::help(story, message.language).filter(|_| !message.over),
    })
}

fn pod(pod: &PodState, most: usize) -> Value {
    let containers = pod.containers.iter().map(|one| {
        let ended = one
            .ended
            .as_ref()
            .map(|end| json!({"reason": name(&end.reason), "exit_code": end.exit_code, "at": end.at.timestamp().to_string()}));
        json!({"name": name(&one.name), "waiting": name(&one.waiting), "restarts": one.restarts, "ended": ended})
    });
    let log = pod
        .log
        .as_ref()
        .map(|log| json!({"container": name(&log.container), "previous": log.previous, "text": clip(&log.text, most)}));
    json!({
        "name": name(&pod.pod), "node": name(&pod.node), "phase": name(&pod.phase),
        "containers": containers.collect::<Vec<_>>(), "log": log,
    })
}

fn trouble(trouble: &Trouble) -> Value {
    let (kind, name) = match &trouble.subject {
        TroubleSubject::Source(name) => ("source", name),
        TroubleSubject::Destination(name) => ("destination", name),
        TroubleSubject::Rules(name) => ("rules", name),
    };
    json!({
        "id": trouble.incident,
        "subject": {"kind": kind, "name": name},
        "code": self::name(&trouble.code),
        "text": clip(&trouble.text, MAX_NAME),
        "advice": clip(&trouble.advice, MAX_NAME),
        "affected": names(&trouble.affected),
        "affected_count": trouble.affected_count,
        "since": trouble.since.timestamp().to_string(),
        "until": trouble.until.map(|time| time.timestamp().to_string()),
    })
}

fn info(info: &Info) -> Value {
    match info {
        Info::FirstContact { source, services, already_there, clock_hint } => json!({
            "source": source, "services": services, "already_there": already_there,
            "clock_off_hours": clock_hint.as_ref().map(|hint| hint.hours),
        }),
        Info::Blind { source, services, from, until } => json!({
            "source": source, "services": services, "from": from.timestamp().to_string(), "until": until.timestamp().to_string(),
        }),
        Info::Held { window, from, until, over, over_count, still_open } => json!({
            "window": {"kind": window_kind(window), "name": name(window.name())}, "from": from.timestamp().to_string(), "until": until.timestamp().to_string(),
            "over": names(over), "over_count": over_count, "still_open": still_open,
        }),
        Info::Daily { since, until, events, messages, incidents, untold } => json!({
            "since": *since.timestamp().to_string(), "until": until.timestamp().to_string(), "events": events, "messages": messages,
            "incidents": incidents, "untold": untold,
        }),
        Info::Muted { what, by, why, until, holds } => json!({
            "what": name(what), "by": author(by), "why": why.as_deref().map(name), "until": until.timestamp().to_string(), "holds": holds,
        }),
        Info::Store { fate, kept } => store(fate, kept.as_deref()),
        Info::Test { destination } => json!({"destination": destination}),
        Info::Dead { destination, deliveries, why } => json!({
            "destination": destination, "deliveries": deliveries, "why": clip(why, MAX_NAME),
        }),
    }
}

fn store(fate: &StoreFate, kept: Option<&str>) -> Value {
    let (why, from, until, missing) = match fate {
        StoreFate::WentBack { commits, from, until } => (None, *from, Some(*until), *commits),
        StoreFate::Replaced { until } => (None, None, Some(*until), 0),
        StoreFate::Lost { until } => (None, None, *until, 0),
        StoreFate::Damaged { why, until } => (Some(why), None, *until, 0),
        StoreFate::Mended { why, rows } => (Some(why), None, None, *rows),
        StoreFate::Restored { from } => (None, Some(*from), None, 0),
        StoreFate::Rewritten | StoreFate::Unsure => (None, None, None, 0),
    };
    json!({
        "fate": fate.word(), "why": why.map(|why| name(why)), "from": from.map(|time| time.timestamp().to_string()), "until": until.map(|time| time.timestamp().to_string()),
        "missing": missing, "kept": kept.map(name),
    })
}

fn author(author: &Author) -> Value {
    json!({"name": name(&author.name), "via": name(&author.via)})
}

fn window_kind(window: &Window) -> &'static str {
    match window {
        Window::Hours(_) => "hours",
        Window::Maintenance { .. } => "maintenance",
    }
}

fn name(text: &str) -> String {
    clip(text, MAX_NAME)
}

fn names(texts: &[String]) -> Vec<String> {
    texts.iter().take(MAX_LISTED).map(|text| name(text)).collect()
}
