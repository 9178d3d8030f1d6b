//! `kind: alertmanager` of `notifiers:`: one Alertmanager, or the members of its cluster. An incident is one alert there:
//! repeated while it is open, because Alertmanager ends what it hears nothing more of, and ended with it.
//! <https://prometheus.io/docs/alerting/latest/clients/>

mod alert;
mod keys;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use url::Url;

use self::keys::Login;
use crate::examine::{Checked, Finding, Group, not_well};
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;
use crate::notifiers::reply::{self, Reply};
use crate::notifiers::thread::Request;
use crate::notifiers::{
    Attempt, Audience, ExamineContext, Notifier, NotifierForm, NotifierKind, Rendering, fingerprint,
};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy, ThreadPolicy, Upkeep};
use podbell_core::time::Time;

/// How often an open alert is repeated.
const REPEAT_EVERY: Duration = Duration::from_secs(300);
/// How long an open alert stands without another word: long enough for a restart of podbell, and for a repetition that fails.
const STANDS_FOR: Duration = Duration::from_secs(1200);
/// Alertmanager has no limit of its own.
const PACE: Pace = Pace { limit: 300, per: Duration::from_secs(60), kept_for_critical: 60 };
/// The pace of changes and repetitions, which leave room for news. All of 4,000 open alerts are repeated before the first of them
/// ends.
const REPEATS: Pace = Pace { limit: 200, per: Duration::from_secs(60), kept_for_critical: 0 };
/// How long other members may take for an alert that one has taken.
const OTHERS_WITHIN: Duration = Duration::from_secs(1);
/// Once one member took the alert: how long to wait for members that did not take the last one. Once in `REPEAT_EVERY`,
/// such a member gets `OTHERS_WITHIN`.
const SILENT_WITHIN: Duration = Duration::from_millis(100);
/// Alerts belong to no place: behind another address they are the same ones, and are repeated there.
const PLACE: &str = "alertmanager";

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "alertmanager",
    audience: Audience::Programs,
    forms: &[
        NotifierForm {
            about: "Alertmanager of Prometheus: an incident is an alert there.",
            keys: &[&keys::URL, &keys::USER, &keys::PASSWORD],
        },
        NotifierForm { about: "The same, behind a proxy that wants a token.", keys: &[&keys::URL, &keys::TOKEN] },
    ],
    read: |map, _, reader| keys::read(map, reader),
    elsewhere: |key| match key {
        "user" | "password" => Some("`token`, or `user` and `password`: one of both"),
        "daily" => Some("a line a day is for people; Alertmanager gets incidents"),
        "digest" | "digest_after" => Some("Alertmanager groups alerts itself; only chats get digests"),
        _ => None,
    },
    people: None,
    preview: |url| Arc::new(Alertmanager::new(vec![url], Login::None)),
};

struct Alertmanager {
    members: Vec<Member>,
    login: Login,
}

/// One Alertmanager of a cluster.
struct Member {
    url: Url,
    /// Whether it took the last alert.
    takes: AtomicBool,
    /// When it last had the longer time to answer, in milliseconds; an open alert is repeated as often.
    awaited_at: AtomicI64,
}

impl fmt::Debug for Alertmanager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NOTIFIER.name)
    }
}

impl Alertmanager {
    fn new(urls: Vec<Url>, login: Login) -> Self {
        let member = |url| Member { url, takes: AtomicBool::new(true), awaited_at: AtomicI64::new(0) };
        Self { members: urls.into_iter().map(member).collect(), login }
    }

    fn addresses(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.url.as_str())
    }

    async fn ask(&self, client: &reqwest::Client, member: &Member, request: HttpRequest) -> Result<Reply, Outcome> {
        let request = match self.login.authorization() {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        };
        request.send(client, &member.url, &Redactor::new("", self.login.secrets(), &[])).await
    }

    /// Every member gets every alert: they only tell each other whom they notified.
    async fn send(&self, attempt: Attempt<'_>) -> Outcome {
        let mut request = match Request::read(&attempt.body, PLACE) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        let labels = request.arguments["labels"].to_string();
        if request.arguments.get("endsAt").is_none() {
            request.arguments["endsAt"] = json!(alert::rfc3339(attempt.now.plus(STANDS_FOR)));
        }
        let body = json!([request.arguments]).to_string().into_bytes();
        let answers = self.members.iter().enumerate().map(|(at, member)| {
            let post = HttpRequest::post(body.clone(), attempt.now).below(&["api", "v2", "alerts"]);
            async move {
                let answer = self.ask(attempt.client, member, post).await;
                (at, answer.map_or_else(|outcome| outcome, |reply| classify(&reply)))
            }
        });
        match self.best(answers.collect(), attempt.now).await {
            Some(Outcome::Delivered) => request.arrived("", &labels),
            Some(outcome) => outcome,
            None => Outcome::Unclear { retry_after: None, why: "no address is given".into() },
        }
    }

    /// The answer that counts. Once a member took the alert, the others have little time: one that does not answer must
    /// not hold up what the rest is told.
    async fn best(
        &self,
        mut answers: FuturesUnordered<impl Future<Output = (usize, Outcome)>>,
        now: Time,
    ) -> Option<Outcome> {
        let mut best: Option<Outcome> = None;
        let mut silent: BTreeSet<usize> = (0..self.members.len()).collect();
        let awaited: BTreeSet<usize> =
            self.members.iter().enumerate().filter(|(_, member)| member.is_awaited(now)).map(|(at, _)| at).collect();
        loop {
            let patience = match (best.as_ref().is_some_and(Outcome::arrived), !silent.is_disjoint(&awaited)) {
                (false, _) => Duration::MAX,
                (true, true) => OTHERS_WITHIN,
                (true, false) => SILENT_WITHIN,
            };
            let Ok(answer) = tokio::time::timeout(patience, answers.next()).await else {
                let late = Outcome::Unclear { retry_after: None, why: "it does not answer in time".into() };
                silent.iter().filter_map(|at| self.members.get(*at)).for_each(|member| member.note(&late));
                return best;
            };
            let Some((at, outcome)) = answer else { return best };
            silent.remove(&at);
            if let Some(member) = self.members.get(at) {
                member.note(&outcome);
            }
            best = best.into_iter().chain([outcome]).max_by_key(weight);
        }
    }
}

impl Member {
    /// Whether to wait `OTHERS_WITHIN` for this member: while it takes alerts, otherwise once in `REPEAT_EVERY`.
    fn is_awaited(&self, now: Time) -> bool {
        let before = Time::from_millis(self.awaited_at.load(Ordering::Relaxed));
        let is = self.takes.load(Ordering::Relaxed) || now.since(before) >= REPEAT_EVERY;
        if is {
            self.awaited_at.store(now.millis(), Ordering::Relaxed);
        }
        is
    }

    /// Logs when it stops or begins to take alerts, which the others hide.
    fn note(&self, outcome: &Outcome) {
        let takes = outcome.arrived();
        if self.takes.swap(takes, Ordering::Relaxed) == takes {
            return;
        }
        let host = self.url.authority();
        match takes {
            true => tracing::info!(host, "an Alertmanager takes alerts again"),
            false => tracing::warn!(host, ?outcome, "an Alertmanager does not take alerts"),
        }
    }
}

/// Which of several members' answers counts: one that took it is enough, and it is repeated where it may have been taken.
fn weight(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Delivered | Outcome::Posted(_) | Outcome::NotNeeded => 4,
        Outcome::Unclear { .. } => 3,
        Outcome::Refused { .. } | Outcome::Orphaned { .. } => 2,
        Outcome::ContentRejected { .. } => 1,
        Outcome::InvalidDestination { .. } => 0,
    }
}

impl Notifier for Alertmanager {
    fn policy(&self) -> Policy {
        let endpoint = fingerprint(self.addresses());
        let changes = fingerprint(self.addresses().chain(["changes"]));
        let login = self.login.authorization().unwrap_or_default();
        let threads = ThreadPolicy {
            place: PLACE.into(),
            endpoint: changes,
            pace: REPEATS,
            upkeep: Upkeep::ChangesAndEvery(REPEAT_EVERY),
        };
        let whole = fingerprint(self.addresses().chain([&*login]));
        Policy { pace: Some(PACE), threads: Some(threads), ..Policy::of(endpoint, whole) }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        Request::new(rendering, PLACE, alert::of(rendering)).stored()
    }

    fn shown_body<'a>(&self, stored: &'a [u8]) -> Cow<'a, [u8]> {
        Request::shown_body(stored)
    }

    // What is sent last is what the alert says.
    fn answers_in_threads(&self) -> bool {
        false
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(self.send(attempt))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            let mut checked = Checked::default();
            for member in &self.members {
                let request = HttpRequest::get(context.now).below(&["api", "v2", "status"]);
                let reply = self.ask(&context.net.client, member, request).await;
                checked.findings.push(finding(context.subject, member, reply.as_ref()));
                let clocks = reply.ok().and_then(|reply| reply.clocks);
                checked.clocks.extend(clocks.map(|clocks| (context.subject.to_owned(), clocks)));
            }
            checked
        })
    }
}

fn finding(subject: &str, member: &Member, reply: Result<&Reply, &Outcome>) -> Finding {
    let what = format!("Alertmanager at {}", member.url.authority());
    let group = Group::Destinations;
    let version = |reply: &Reply| {
        let status: Value = serde_json::from_str(&reply.body).ok()?;
        Some(status["versionInfo"]["version"].as_str()?.to_owned())
    };
    match reply {
        Err(outcome) => not_well(group, subject, &what, outcome),
        Ok(reply) => match version(reply).filter(|_| reply.status == 200) {
            Some(version) => Finding::ok(group, subject, format!("{what}: version {version} answers")),
            None if reply.status == 200 => not_well(group, subject, &what, &stranger(reply)),
            None => not_well(group, subject, &what, &classify(reply)),
        },
    }
}

fn stranger(reply: &Reply) -> Outcome {
    reply::success_not_of(reply, "Alertmanager")
}

/// What a reply means. What Alertmanager takes it answers with an empty body.
fn classify(reply: &Reply) -> Outcome {
    let advice = match reply.status {
        // Alertmanager says it in plain text.
        404 | 405 if reply.is_page() => return reply::in_between(reply),
        401 | 403 => "the server refuses podbell: check `user` and `password`, or `token`, in podbell.yaml",
        404 | 405 => {
            "there is no Alertmanager with API v2 (0.16 or newer): check `url` in podbell.yaml, and the prefix of its path"
        }
        200 if !reply.body.trim().is_empty() && serde_json::from_str::<Value>(&reply.body).is_err() => {
            return stranger(reply);
        }
        _ => return reply::of_platform(reply),
    };
    reply.invalid_destination(reply.status, advice)
}
