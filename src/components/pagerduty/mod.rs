//! `kind: pagerduty` of `notifiers:`: a service of PagerDuty, through the Events API. An incident is one alert there: it is
//! triggered, acknowledged and resolved with it. <https://developer.pagerduty.com/docs/send-alert-event>

mod event;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use self::event::Action;
use crate::examine::{Checked, Group};
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;
use crate::notifiers::reply::{self, Reply};
use crate::notifiers::{
    Attempt, Audience, ConfiguredChats, ExamineContext, Notifier, NotifierForm, NotifierKind, Rendering, fingerprint,
};
use crate::settings::keys::{Address, HTTP};
use crate::settings::{Draft, Secret, SecretKind};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Parent, Policy, ThreadPolicy, Upkeep};
use podbell_core::yaml::key::Key;
use podbell_core::yaml::{MapReader, Reader};

/// The Events API.
const API: &str = "https://events.pagerduty.com/v2/enqueue";
/// 120 a minute are allowed for an integration.
const PACE: Pace = Pace { limit: 120, per: Duration::from_secs(61), kept_for_critical: 30 };

const KEY: Key<Secret> = Key::required(
    "routing_key",
    Secret(SecretKind::Any),
    "The integration key of an Events API v2 integration of the service.",
);
const EVENTS_API: Key<Address> =
    Key::with_default("api", HTTP, API, "The Events API; in Europe https://events.eu.pagerduty.com/v2/enqueue.");

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "pagerduty",
    audience: Audience::Programs,
    forms: &[NotifierForm {
        about: "A service of PagerDuty: an incident is an alert there.",
        keys: &[&KEY, &EVENTS_API],
    }],
    read,
    elsewhere: |key| match key {
        "daily" => Some("a line a day is for people; PagerDuty gets incidents"),
        "digest" | "digest_after" => Some("PagerDuty groups alerts itself; only chats get digests"),
        _ => None,
    },
    people: None,
    preview: |url| Arc::new(Service { key: SecretString::from(String::new()), api: url }),
};

fn read(map: &mut MapReader<'_>, _: &ConfiguredChats, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    let (key, api) = (KEY.take(map, reader), EVENTS_API.take(map, reader));
    let (key, api) = (key?, api?);
    Some(Draft::<dyn Notifier>::new(move |secrets| Some(Arc::new(Service { key: secrets.get(&key)?, api }))))
}

struct Service {
    key: SecretString,
    api: Url,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NOTIFIER.name)
    }
}

impl Service {
    async fn send(&self, attempt: Attempt<'_>) -> Outcome {
        let Ok(Value::Object(mut event)) = serde_json::from_slice::<Value>(&attempt.body) else {
            return Outcome::ContentRejected { why: "the stored request cannot be read".into() };
        };
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (action, alert) = (text("event_action"), text("dedup_key"));
        // A notice that changes nothing for the alert, such as new counts, is not sent.
        if action == Action::Nothing.as_str() {
            return Outcome::NotNeeded;
        }
        event.insert("routing_key".to_owned(), Value::from(self.key.expose_secret()));
        let body = Value::Object(event).to_string().into_bytes();
        let redactor = Redactor::new("", std::slice::from_ref(&self.key), &[]);
        match HttpRequest::post(body, attempt.now).send(attempt.client, &self.api, &redactor).await {
            Ok(reply) => match classify(&reply) {
                // From now on acknowledgements follow.
                Outcome::Delivered if action == Action::Trigger.as_str() => {
                    Outcome::Posted(Parent { channel: "".into(), message: alert.into() })
                }
                outcome => outcome,
            },
            Err(outcome) => outcome,
        }
    }
}

impl Notifier for Service {
    fn policy(&self) -> Policy {
        let (api, key) = (self.api.as_str(), self.key.expose_secret());
        let (place, endpoint) = (fingerprint([api, key]), fingerprint([api, key, "changes"]));
        let threads = ThreadPolicy { place: place.clone(), endpoint, pace: PACE, upkeep: Upkeep::Acknowledgements };
        Policy { pace: Some(PACE), threads: Some(threads), ..Policy::of(place.clone(), place) }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        event::of(rendering).to_string().into_bytes()
    }

    // Each event of an alert is read on its own.
    fn answers_in_threads(&self) -> bool {
        false
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(self.send(attempt))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        // The Events API has no request that checks the key without triggering an alert: only try the connection.
        Box::pin(async move {
            let ExamineContext { subject, net, .. } = context;
            net.reached(Group::Destinations, subject, "PagerDuty", self.api.clone()).await.into()
        })
    }
}

/// What a reply means: 202 says that the event was taken.
fn classify(reply: &Reply) -> Outcome {
    let says = |word: &str| reply.body.to_lowercase().contains(word);
    match reply.status {
        202 => Outcome::Delivered,
        200..=299 => reply::success_not_of(reply, "PagerDuty"),
        // What PagerDuty itself says is JSON.
        401 | 403 | 404 | 405 if reply.is_page() => reply::in_between(reply),
        400 | 401 | 403 | 404 if says("routing_key") || says("routing key") => reply.invalid_destination(reply.status, "the integration is gone or its key is wrong: add an Events API v2 integration to the service and put its key into podbell.yaml (`routing_key`)"),
        _ => reply::of_platform(reply),
    }
}
