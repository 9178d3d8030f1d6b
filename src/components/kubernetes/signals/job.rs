//! The signals of a job: that it failed, or that a run of a cron job completed, which ends what earlier runs began. The
//! word of the latter is that of the controller's event.

use super::{Condition, Conditioned, Signal, StateSignal};
use podbell_core::event::Level;
use podbell_core::workload;

/// The signals of a job.
pub(in super::super) fn of_job(text: &str) -> Vec<StateSignal> {
    let job: Option<Conditioned> = serde_json::from_str(text).ok();
    job.and_then(|job| failed(&job).or_else(|| completed(&job))).into_iter().collect()
}

fn condition<'a>(job: &'a Conditioned, kind: &str) -> Option<&'a Condition> {
    job.status.conditions.iter().flatten().find(|one| one.r#type == kind && one.status == "True")
}

fn completed(job: &Conditioned) -> Option<StateSignal> {
    let (namespace, name) = (job.metadata.namespace.as_str(), job.metadata.name.as_str());
    let at = condition(job, "Complete").filter(|_| workload::is_a_scheduled_run(name))?.changed_at()?;
    let (level, reason, message) = (Level::Normal, "Completed", "Job completed".to_owned());
    Some(Signal { level, kind: "Job", namespace, name, node: "", reason, message, at }.now())
}

fn failed(job: &Conditioned) -> Option<StateSignal> {
    let failed = condition(job, "Failed")?;
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
    fn a_job_that_failed_is_a_signal_in_its_controllers_words_and_so_is_a_run_that_completed() {
        let named = |name: &str, condition: &str, status: &str| {
            json!({
                "metadata": {"name": name, "namespace": "batch"},
                "spec": {"selector": {"matchLabels": {"a": "b"}}},
                "status": {"conditions": [{
                    "type": condition, "status": status, "reason": "BackoffLimitExceeded",
                    "message": "Job has reached the specified backoff limit", "lastTransitionTime": "2026-01-01T10:00:00Z",
                }]},
            })
            .to_string()
        };
        let job = |condition: &str, status: &str| named("report-28391234", condition, status);
        let failed = of_job(&job("Failed", "True"));
        assert_eq!(failed[0].event.event.message, "Job has reached the specified backoff limit (BackoffLimitExceeded)");
        assert_eq!((&*failed[0].event.event.reason, &*failed[0].event.event.obj_type), ("JobFailed", "Job"));
        assert!(of_job(&job("Failed", "False")).is_empty() && of_job(&job("Complete", "False")).is_empty());
        let completed = of_job(&job("Complete", "True"));
        assert_eq!((&*completed[0].event.event.reason, completed[0].event.event.level), ("Completed", Level::Normal));
        assert!(of_job(&named("migrate", "Complete", "True")).is_empty(), "a job that runs once");
        assert!(of_job("{}").is_empty());
    }
}
