//! The signal of an autoscaler: that it works. No event says so: its Warnings just stop. The word is that of its condition.

use serde::Deserialize;

use super::{Condition, Signal, StateSignal};
use podbell_core::event::Level;

/// The conditions that are true of an autoscaler that works.
const WORKS: [&str; 2] = ["AbleToScale", "ScalingActive"];

/// An autoscaler of `autoscaling/v1`, which every cluster serves. Later versions have the conditions in the status.
#[derive(Deserialize)]
struct Autoscaler {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    namespace: String,
    name: String,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(rename = "autoscaling.alpha.kubernetes.io/conditions")]
    conditions: Option<String>,
}

/// The signal of an autoscaler, since it works. One that has long worked has none: it is left out like an old event.
pub(in super::super) fn of_autoscaler(text: &str) -> Vec<StateSignal> {
    works(text).into_iter().collect()
}

fn works(text: &str) -> Option<StateSignal> {
    let Autoscaler { metadata } = serde_json::from_str(text).ok()?;
    let conditions: Vec<Condition> = serde_json::from_str(metadata.annotations.conditions.as_deref()?).ok()?;
    let since = |kind: &str| conditions.iter().find(|one| one.r#type == kind && one.status == "True")?.changed_at();
    let [able, active] = WORKS.map(since);
    let (at, level) = (able?.max(active?), Level::Normal);
    let (namespace, name, message) = (&*metadata.namespace, &*metadata.name, "The autoscaler works".to_owned());
    let kind = "HorizontalPodAutoscaler";
    Some(Signal { level, kind, namespace, name, node: "", reason: "ScalingActive", message, at }.now())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_autoscaler_that_works_is_a_signal_since_the_last_of_its_conditions_is_true() {
        let autoscaler = |able: &str, active: &str| {
            let condition = |kind: &str, status: &str, at: &str| json!({"type": kind, "status": status, "lastTransitionTime": at, "reason": "R"});
            let conditions = json!([
                condition("AbleToScale", able, "2026-01-01T10:00:00Z"),
                condition("ScalingActive", active, "2026-01-01T10:05:00Z"),
                condition("ScalingLimited", "True", "2026-01-01T10:09:00Z"),
            ]);
            let annotations = json!({"autoscaling.alpha.kubernetes.io/conditions": conditions.to_string()});
            json!({"metadata": {"name": "web", "namespace": "shop", "annotations": annotations}}).to_string()
        };
        let signals = of_autoscaler(&autoscaler("True", "True"));
        let [works] = &signals[..] else { panic!("{}", signals.len()) };
        let event = &works.event.event;
        assert_eq!(
            (&*event.obj_type, &*event.reason, event.level),
            ("HorizontalPodAutoscaler", "ScalingActive", Level::Normal)
        );
        assert_eq!(event.last_seen.timestamp().to_string(), "2026-01-01T10:05:00Z");
        for (able, active) in [("True", "False"), ("False", "True"), ("True", "Unknown")] {
            assert!(of_autoscaler(&autoscaler(able, active)).is_empty(), "{able} {active}");
        }
        for other in [
            "{}",
            r#"{"metadata": {"name": "a", "namespace": "b"}}"#,
            r#"{"metadata": {"name": "a", "namespace": "b", "annotations": {"autoscaling.alpha.kubernetes.io/conditions": "x"}}}"#,
        ] {
            assert!(of_autoscaler(other).is_empty(), "{other}");
        }
    }
}
