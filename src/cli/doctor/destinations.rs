//! Whether messages would arrive: without sending one, or with `--send` by sending one.

use crate::cli::send_test;
use crate::clock;
use crate::config::NotifierConfig;
use crate::examine::{Checked, Finding, Group, Net, why_not};
use crate::notifiers::{Audience, ExamineContext, Notifiers};

/// Looks at one destination.
pub(super) async fn check(notifier: &NotifierConfig, net: &Net, notifiers: &Notifiers, send: bool) -> Checked {
    let subject = &*notifier.name;
    let context = ExamineContext { subject, net, test_follows: send, now: clock::now() };
    let mut checked = notifier.platform.examine(context).await;
    if send && notifier.kind.audience != Audience::Terminal {
        let outcome = send_test::send(notifiers, subject).await;
        checked.findings.push(match (outcome.arrived(), why_not(&outcome)) {
            (true, _) => Finding::ok(Group::Destinations, subject, "the test message arrived"),
            (false, (found, advice)) => {
                let advice = advice.unwrap_or_else(|| "ask those who run it why they refuse it".to_owned());
                Finding::fail(Group::Destinations, subject, format!("the test message: {found}"), advice)
            }
        });
        if outcome.arrived() {
            checked.arrived = Some(subject.to_owned());
        }
    }
    checked
}
