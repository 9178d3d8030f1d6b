//! The body of a webhook: documented JSON (docs/webhook.md). It is data, not a message: it carries the text of the
//! cluster as it is, cut only where no program could need more.

use serde_json::Value;

use super::message as written;
use podbell_core::enrichment::PodState;
use podbell_core::health::{Health, Status};
use podbell_core::message::{self, Message, clip};
use podbell_core::notice::{
    AffectedWorkload, EndedBy, FollowedRollout, Info, LastNotified, Notice, NoticeBody, ReasonCount, StoreFate, Story,
    Trouble, TroubleSubject,
};
use podbell_core::outbox::Content;
use podbell_core::rule::quiet::Window;
use podbell_core::time::Time;

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
    let mut data = written::Data {
        notice: notice.kind,
        notices: facts.notices.clone(),
        severity: notice.severity,
        caused_at: notice.caused_at.into(),
        made_at: notice.made_at.into(),
        title: clip(&message.title, MAX_NAME),
        text: clip(&message.text(), if content == Content::Full { MAX_TEXT } else { MAX_NAME }),
        incident_id: notice.body.incident(),
        url: facts.url,
        incident: None,
        trouble: None,
        info: None,
    };
    let details = content != Content::Minimal;
    let kind = match &notice.body {
        NoticeBody::Incident(story) => {
            data.incident = details.then(|| Box::new(incident(story, message, content)));
            format!("incident.{}", notice.kind.as_str())
        }
        NoticeBody::Trouble(trouble) => {
            data.trouble = details.then(|| self::trouble(trouble));
            format!("trouble.{}", notice.kind.as_str())
        }
        NoticeBody::Info(info) => {
            data.info = details.then(|| self::info(info));
            format!("info.{}", word(info))
        }
    };
    let message = written::Message { id: facts.id, kind, timestamp: notice.made_at.into(), data };
    // Keys of maps are texts, and nothing else can fail.
    serde_json::to_value(message).unwrap_or_default()
}

/// The part of an info's type after the dot: one of [`written::INFOS`].
fn word(info: &Info) -> &'static str {
    match info {
        Info::FirstContact { .. } => "first_contact",
        Info::Blind { .. } => "blind",
        Info::Held { .. } => "held",
        Info::Daily { .. } => "daily",
        Info::Muted { .. } => "muted",
        Info::Store { .. } => "store",
        Info::Test { .. } => "test",
        Info::Dead { .. } => "dead",
    }
}

fn incident<'a>(story: &'a Story, message: &Message, content: Content) -> written::Incident<'a> {
    let most = if content == Content::Full { MAX_TEXT } else { MAX_NAME };
    let reason =
        |reason: &ReasonCount| written::Reason { reason: name(&reason.reason), occurrences: reason.occurrences };
    let ended_by = |end: &EndedBy| written::EndingEvent {
        reason: name(&end.reason),
        obj_type: name(&end.obj_type),
        obj_name: name(&end.obj_name),
        at: end.at.into(),
    };
    let rollout = |followed: &FollowedRollout| written::Rollout {
        at: followed.rollout.at.into(),
        after_seconds: followed.after_seconds,
        before: names(&followed.rollout.before),
        after: names(&followed.rollout.after),
    };
    let affected = |one: &AffectedWorkload| written::Affected {
        namespace: name(&one.namespace),
        workload: name(&one.workload),
        pods: one.pods,
    };
    let readiness = |health: Health| written::Readiness {
        wanted: health.wanted,
        ready: health.ready,
        rolling_out: health.rolling_out,
    };
    let told =
        |told: LastNotified| written::Told { at: told.at.into(), occurrences: told.occurrences, objects: told.objects };
    let blind = |(from, until): &(Time, Time)| written::Span { from: (*from).into(), until: (*until).into() };
    written::Incident {
        id: story.incident,
        rule: written::Rule { file: &story.rule.file, name: &story.rule.name },
        group: &story.group,
        source: name(&story.source),
        cluster: name(&story.cluster),
        cluster_alias: story.cluster_alias.as_deref().map(name),
        namespace: name(&story.namespace),
        workload: name(&story.workload),
        services: names(&story.services),
        reasons: story.reasons.iter().take(MAX_LISTED).map(reason).collect(),
        occurrences: story.occurrences,
        in_all: story.in_all,
        objects: story.objects,
        object_names: names(&story.object_names),
        newest: written::NewestEvent {
            level: story.newest.level.as_str(),
            obj_type: name(&story.newest.obj_type),
            obj_name: name(&story.newest.obj_name),
            reason: name(&story.newest.reason),
            message: clip(&story.newest.message, most),
        },
        first_at: story.first_at.into(),
        last_at: story.last_at.into(),
        first_seen: story.first_seen.into(),
        reopened: story.reopened,
        told: story.told.map(told),
        news: names(&story.news),
        unacknowledged_seconds: story.unacknowledged_seconds,
        quiet_seconds: story.quiet_seconds,
        ended_by: story.ended_by.as_ref().map(ended_by),
        rollout: story.rollout.as_ref().map(rollout),
        affected: story.affected.iter().map(affected).collect(),
        affected_count: story.affected_count,
        status: story.status.map(Status::health).or(story.ready).map(readiness),
        pod: story.pod.as_ref().map(|pod| self::pod(pod, most)),
        closed_because: story.closed_because,
        blind: story.blind.iter().take(MAX_LISTED).map(blind).collect(),
        runbook: story.runbook.as_deref(),
        labels: &story.labels,
        command: message::command(story),
        help: message::help(story, message.language).filter(|_| !message.over),
    }
}

fn pod(pod: &PodState, most: usize) -> written::Pod {
    let containers = pod.containers.iter().map(|one| written::Container {
        name: name(&one.name),
        waiting: name(&one.waiting),
        restarts: one.restarts,
        ended: one.ended.as_ref().map(|end| written::Ended {
            reason: name(&end.reason),
            exit_code: end.exit_code,
            at: end.at.into(),
        }),
    });
    let log = pod.log.as_ref().map(|log| written::Log {
        container: name(&log.container),
        previous: log.previous,
        text: clip(&log.text, most),
    });
    written::Pod {
        name: name(&pod.pod),
        node: name(&pod.node),
        phase: name(&pod.phase),
        containers: containers.collect(),
        log,
    }
}

fn trouble(trouble: &Trouble) -> written::Trouble<'_> {
    written::Trouble {
        id: trouble.incident,
        subject: match &trouble.subject {
            TroubleSubject::Source(name) => written::Subject::Source(name),
            TroubleSubject::Destination(name) => written::Subject::Destination(name),
            TroubleSubject::Rules(name) => written::Subject::Rules(name),
        },
        code: name(&trouble.code),
        text: clip(&trouble.text, MAX_NAME),
        advice: clip(&trouble.advice, MAX_NAME),
        affected: names(&trouble.affected),
        affected_count: trouble.affected_count,
        since: trouble.since.into(),
        until: trouble.until.map(Into::into),
    }
}

fn info(info: &Info) -> written::Info<'_> {
    match info {
        Info::FirstContact { source, services, already_there, clock_hint } => written::Info::FirstContact {
            source,
            services: *services,
            already_there: *already_there,
            clock_off_hours: clock_hint.as_ref().map(|hint| hint.hours),
        },
        Info::Blind { source, services, from, until } => {
            written::Info::Blind { source, services: *services, from: (*from).into(), until: (*until).into() }
        }
        Info::Held { window, from, until, over, over_count, still_open } => written::Info::Held {
            window: written::Window { kind: window_kind(window), name: name(window.name()) },
            from: (*from).into(),
            until: (*until).into(),
            over: names(over),
            over_count: *over_count,
            still_open: *still_open,
        },
        Info::Daily { since, until, events, messages, incidents, untold } => written::Info::Daily {
            since: (*since).into(),
            until: (*until).into(),
            events: *events,
            messages: *messages,
            incidents: *incidents,
            untold: *untold,
        },
        Info::Muted { what, by, why, until, holds } => written::Info::Muted {
            what: name(what),
            by: written::By { name: name(&by.name), via: name(&by.via) },
            why: why.as_deref().map(name),
            until: (*until).into(),
            holds: *holds,
        },
        Info::Store { fate, kept } => store(fate, kept.as_deref()),
        Info::Test { destination } => written::Info::Test { destination },
        Info::Dead { destination, deliveries, why } => {
            written::Info::Dead { destination, deliveries: *deliveries, why: clip(why, MAX_NAME) }
        }
    }
}

fn store(fate: &StoreFate, kept: Option<&str>) -> written::Info<'static> {
    let (why, from, until, missing) = match fate {
        StoreFate::WentBack { commits, from, until } => (None, *from, Some(*until), *commits),
        StoreFate::Replaced { until } => (None, None, Some(*until), 0),
        StoreFate::Lost { until } => (None, None, *until, 0),
        StoreFate::Damaged { why, until } => (Some(why), None, *until, 0),
        StoreFate::Mended { why, rows } => (Some(why), None, None, *rows),
        StoreFate::Restored { from } => (None, Some(*from), None, 0),
        StoreFate::Rewritten | StoreFate::Unsure => (None, None, None, 0),
    };
    written::Info::Store {
        fate: fate.word(),
        why: why.map(|why| name(why)),
        from: from.map(Into::into),
        until: until.map(Into::into),
        missing,
        kept: kept.map(name),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_info_has_a_type_in_the_schema() {
        let time = Time::from_seconds(0);
        let by = podbell_core::mute::Author { name: String::new(), via: String::new() };
        let text = String::new;
        let window = Window::Hours("n".into());
        let infos = [
            Info::FirstContact { source: text(), services: 0, already_there: 0, clock_hint: None },
            Info::Blind { source: text(), services: 0, from: time, until: time },
            Info::Held { window, from: time, until: time, over: Vec::new(), over_count: 0, still_open: 0 },
            Info::Daily { since: time, until: time, events: 0, messages: 0, incidents: 0, untold: 0 },
            Info::Muted { what: text(), by, why: None, until: time, holds: 0 },
            Info::Store { fate: StoreFate::Unsure, kept: None },
            Info::Test { destination: text() },
            Info::Dead { destination: text(), deliveries: 0, why: text() },
        ];
        assert_eq!(infos.each_ref().map(word), written::INFOS);
    }
}
