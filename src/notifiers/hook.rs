//! An incoming webhook or a robot of a group: a secret address to which messages are posted as JSON. What needs no more
//! than that is a [`HookNotifier`].

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::http_request::HttpRequest;
use super::redact::Redactor;
use super::reply::{self, Reply};
use super::{Attempt, ExamineContext, Notifier, Rendering, fingerprint};
use crate::examine::{Checked, Finding, Group, not_well};
use crate::settings::{Draft, SecretRef};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy};

/// Such an address, and what a platform says there.
pub(crate) struct Hook {
    url: Url,
    secrets: Vec<SecretString>,
    redactor: Redactor,
    replies: &'static Replies,
}

/// How a platform answers at its hooks.
pub(crate) struct Replies {
    /// What such an address is called in findings.
    pub what: &'static str,
    /// The segments of its addresses that are no secrets.
    pub public: &'static [&'static str],
    /// Whether an address is the platform's, so that it may be probed. Another program might act on a probe.
    pub is_own: fn(&Url) -> bool,
    /// What a reply means.
    pub classify: fn(&Reply) -> Outcome,
    /// Whether a reply, although unclear, refuses a message for its content.
    pub is_about_content: fn(&Reply) -> bool,
}

impl Replies {
    /// A program that is told by HTTP, whose status says everything.
    pub(crate) const BY_STATUS: Self = Self {
        what: "webhook",
        public: &["webhook", "webhooks"],
        is_own: |_| false,
        classify: reply::by_status,
        is_about_content: |_| false,
    };
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.replies.what)
    }
}

impl Hook {
    /// A hook at this address. Neither it nor `secrets` are shown where a reply repeats them.
    pub(crate) fn new(url: Url, secrets: Vec<SecretString>, replies: &'static Replies) -> Self {
        let redactor = Redactor::new(url.as_str(), &secrets, replies.public);
        Self { url, secrets, redactor, replies }
    }

    /// The limits of any address, without a pace.
    pub(crate) fn policy(&self) -> Policy {
        let all = std::iter::once(self.url.as_str()).chain(self.secrets.iter().map(|secret| secret.expose_secret()));
        Policy::of(fingerprint([self.url.as_str()]), fingerprint(all))
    }

    /// Makes one request.
    pub(crate) async fn deliver(&self, client: &reqwest::Client, request: HttpRequest) -> Outcome {
        match self.ask(client, request).await {
            Ok(reply) => (self.replies.classify)(&reply),
            Err(outcome) => outcome,
        }
    }

    /// Makes one request whose reply means what the caller knows.
    ///
    /// # Errors
    /// What the transport's failure means for the message.
    pub(crate) async fn ask(&self, client: &reqwest::Client, request: HttpRequest) -> Result<Reply, Outcome> {
        request.send(client, &self.url, &self.redactor).await
    }

    /// Checks whether the address would take messages. If it is the platform's, by an empty JSON object, which is
    /// refused so that nothing is posted; how it is refused distinguishes a live address from a dead one.
    pub(crate) async fn examine(&self, context: ExamineContext<'_>) -> Checked {
        let (ExamineContext { subject, net, now, test_follows }, what) = (context, self.replies.what);
        let group = Group::Destinations;
        if test_follows {
            return Checked::default();
        }
        // A hook that demands a signature refuses the probe for the lack of it.
        if !self.secrets.is_empty() || !(self.replies.is_own)(&self.url) {
            return net.reached(group, subject, what, self.url.clone()).await.into();
        }
        let reply = match HttpRequest::post(b"{}".to_vec(), now).send(&net.client, &self.url, &self.redactor).await {
            Err(outcome) => return not_well(group, subject, what, &outcome).into(),
            Ok(reply) => reply,
        };
        let alive = || Finding::ok(group, subject, format!("{what}: lives: it refused an empty message, as it should"));
        let finding = match (self.replies.classify)(&reply) {
            Outcome::ContentRejected { .. } => alive(),
            Outcome::Unclear { .. } if (self.replies.is_about_content)(&reply) => alive(),
            outcome if outcome.arrived() => Finding::warn(
                group,
                subject,
                format!("{what}: took an empty message, which the real one refuses"),
                "check the address: does something else answer there?",
            ),
            outcome => not_well(group, subject, what, &outcome),
        };
        let clocks = reply.clocks.map(|clocks| (subject.to_owned(), clocks)).into_iter().collect();
        Checked { findings: vec![finding], clocks, ..Checked::default() }
    }
}

/// The draft of a robot at a secret address, whose requests are signed if there is a secret.
pub(crate) fn signed_robot(
    url: Option<SecretRef>,
    secret: Option<SecretRef>,
    robot: fn(Url, Option<SecretString>) -> Arc<dyn Notifier>,
) -> Option<Draft<dyn Notifier>> {
    let url = url?;
    Some(Draft::<dyn Notifier>::new(move |secrets| {
        let address = secrets.url(&url);
        let secret = secret.as_ref().and_then(|secret| secrets.get(secret));
        Some(robot(address?, secret))
    }))
}

/// What a platform takes at its hooks.
pub(crate) struct HookForm {
    /// How it answers.
    pub replies: Replies,
    /// How fast it may be sent to.
    pub pace: Pace,
    /// What every request adds to the query of the address.
    pub query: Option<(&'static str, &'static str)>,
    /// The body of a message.
    pub body: fn(&mut Rendering<'_>) -> serde_json::Value,
}

/// A hook that takes one message a notice, and whose address is all that it needs.
pub(crate) struct HookNotifier {
    hook: Hook,
    form: &'static HookForm,
}

impl fmt::Debug for HookNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hook.fmt(f)
    }
}

impl HookNotifier {
    /// The hook of a platform at this address.
    pub(crate) fn new(url: Url, form: &'static HookForm) -> Self {
        Self { hook: Hook::new(url, Vec::new(), &form.replies), form }
    }
}

impl Notifier for HookNotifier {
    fn policy(&self) -> Policy {
        Policy { pace: Some(self.form.pace), ..self.hook.policy() }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        (self.form.body)(rendering).to_string().into_bytes()
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        let query = self.form.query.map(|(key, value)| (key, value.to_owned()));
        let request = HttpRequest::post(attempt.body, attempt.now).query(query.into_iter().collect());
        Box::pin(self.hook.deliver(attempt.client, request))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        Box::pin(self.hook.examine(context))
    }
}
