//! `kind: console`: podbell's own terminal.

use std::io::Write as _;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::examine::{Checked, Finding, Group};
use crate::notifiers::terminal;
use crate::notifiers::{
    Attempt, Audience, ExamineContext, Notifier, NotifierForm, NotifierKind, Rendering, fingerprint,
};
use crate::settings::Draft;
use podbell_core::outbox::{Outcome, Policy};

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "console",
    audience: Audience::Terminal,
    forms: &[NotifierForm { about: "Standard output of `podbell run`.", keys: &[] }],
    read: |_, _, _| Some(Draft::new(|_| Some(console()))),
    elsewhere: |_| None,
    people: None,
    preview: |_| console(),
};

fn console() -> Arc<dyn Notifier> {
    Arc::new(Console)
}

/// Standard output.
#[derive(Debug)]
pub(crate) struct Console;

impl Notifier for Console {
    fn policy(&self) -> Policy {
        let endpoint = fingerprint(["console"]);
        Policy::of(endpoint.clone(), endpoint)
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        terminal::lines(&rendering.message, rendering.content, rendering.style)
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(print(attempt.body))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        let found = "console: standard output of `podbell run`";
        let finding = Finding::ok(Group::Destinations, context.subject, found);
        Box::pin(std::future::ready(finding.into()))
    }
}

/// Prints it. A terminal that is gone is no reason to lose a message: the delivery is tried again.
async fn print(body: Vec<u8>) -> Outcome {
    let printed = tokio::task::spawn_blocking(move || {
        // Lock it while writing, so that two messages never mix.
        let mut out = anstream::stdout().lock();
        out.write_all(&body).and_then(|()| out.flush())
    });
    match printed.await {
        Ok(Ok(())) => Outcome::Delivered,
        Ok(Err(error)) => Outcome::Unclear { retry_after: None, why: format!("cannot print: {error}") },
        Err(_) => Outcome::Unclear { retry_after: None, why: "printing was interrupted".into() },
    }
}
