//! The signal of a job that failed.

use super::{Conditioned, Signal, StateSignal};
use podbell_core::event::Level;

/// The signals of a job.
pub(in super::super) fn of_job(text: &str) -> Vec<StateSignal> {
    serde_json::from_str(text).ok().and_then(|job| failed(&job)).into_iter().collect()
}

fn failed(job: &Conditioned) -> Option<StateSignal> {
    let mut conditions = job.status.conditions.iter().flatten();
    let failed = conditions.find(|one| one.r#type == "Failed" && one.status == "True")?;
    let at = failed.changed_at()?;
    let words = failed.message.as_deref().filter(|message| !message.is_empty()).unwrap_or("the job failed");
    let reason = failed.reason.as_deref().filter(|reason| !reason.is_empty());
    let message = reason.map_or_else(|| words.to_owned(), |reason| format!("{words} ({reason})"));
    let (namespace, name) = (job.metadata.namespace.as_str(), job.metadata.name.as_str());
    let (level, reason) = (Level::Warning, "JobFailed");
    Some(Signal { level, kind: "Job", namespace, name, node: "", reason, message, at }.now())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_that_failed_is_a_signal_in_its_controllers_words() {
        let job = |condition: &str, status: &str| {
            json!({
                "metadata": {"name": "report-28391234", "namespace": "batch"},
                "spec": {"selector": {"matchLabels": {"a": "b"}}},
                "status": {"conditions": [{
                    "type": condition, "status": status, "reason": "BackoffLimitExceeded",
                    "message": "Job has reached the specified backoff limit", "lastTransitionTime": "2026-01-01T10:00:00Z",
                }]},
            })
            .to_string()
        };
        let failed = of_job(&job("Failed", "True"));
        assert_eq!(failed[0].event.event.message, "Job has reached the specified backoff limit (BackoffLimitExceeded)");
        assert_eq!((&*failed[0].event.event.reason, &*failed[0].event.event.obj_type), ("JobFailed", "Job"));
        assert!(of_job(&job("Failed", "False")).is_empty() && of_job(&job("Complete", "True")).is_empty());
        assert!(of_job("{}").is_empty());
    }
}
