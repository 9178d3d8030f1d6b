//! The signals of a node: that its kubelet is away, that it is short of something, and the end of either. The words are
//! those of the kubelet's and the node controller's events, so that one end ends what the other began.

use super::{Conditioned, Signal, StateSignal};
use podbell_core::event::Level;

/// The conditions that matter: the status that is well, and the reasons of being well and not.
const CONDITIONS: [(&str, &str, &str, &str); 4] = [
    ("Ready", "True", "NodeReady", "NodeNotReady"),
    ("DiskPressure", "False", "NodeHasNoDiskPressure", "NodeHasDiskPressure"),
    ("MemoryPressure", "False", "NodeHasSufficientMemory", "NodeHasInsufficientMemory"),
    ("PIDPressure", "False", "NodeHasSufficientPID", "NodeHasInsufficientPID"),
];

/// The signals of a node. Of what is well only what changed lately is shown: older ones are left out like old events.
pub(in super::super) fn of_node(text: &str) -> Vec<StateSignal> {
    let Ok(Conditioned { metadata, status }) = serde_json::from_str(text) else { return Vec::new() };
    let conditions = status.conditions.unwrap_or_default();
    let signal = |(kind, well, good, bad): (&str, &str, &'static str, &'static str)| {
        let condition = conditions.iter().find(|one| one.r#type == kind)?;
        // While the kubelet is away nobody knows whether the node is short of anything.
        if condition.status == "Unknown" && kind != "Ready" {
            return None;
        }
        let is_well = condition.status == well;
        let (level, reason) = if is_well { (Level::Normal, good) } else { (Level::Warning, bad) };
        let words = condition.message.as_deref().filter(|message| !message.is_empty() && !is_well);
        let message = words.map_or_else(
            || format!("Node {} status is now: {reason}", metadata.name),
            |words| format!("Node {}: {words}", metadata.name),
        );
        let (name, at) = (metadata.name.as_str(), condition.changed_at()?);
        let signal = Signal { level, kind: "Node", namespace: "", name, node: name, reason, message, at }.now();
        Some(if is_well { signal } else { signal.while_it_lasts() })
    };
    CONDITIONS.into_iter().filter_map(signal).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(conditions: &[(&str, &str)]) -> Vec<String> {
        let condition = |(kind, status): &(&str, &str)| json!({"type": kind, "status": status, "message": "m", "lastTransitionTime": "2026-01-01T10:00:00Z"});
        let conditions: Vec<_> = conditions.iter().map(condition).collect();
        let node = json!({"metadata": {"name": "n1"}, "status": {"conditions": conditions}}).to_string();
        of_node(&node).iter().map(|one| format!("{} {}", one.event.event.level, one.event.event.reason)).collect()
    }

    #[test]
    fn a_nodes_conditions_are_signals_with_the_words_of_its_events() {
        assert_eq!(words(&[("Ready", "Unknown"), ("DiskPressure", "Unknown")]), ["Warning NodeNotReady"]);
        assert_eq!(words(&[("Ready", "False")]), ["Warning NodeNotReady"]);
        assert_eq!(
            words(&[("Ready", "True"), ("DiskPressure", "True"), ("MemoryPressure", "True"), ("PIDPressure", "True")]),
            [
                "Normal NodeReady",
                "Warning NodeHasDiskPressure",
                "Warning NodeHasInsufficientMemory",
                "Warning NodeHasInsufficientPID"
            ]
        );
        assert_eq!(
            words(&[("MemoryPressure", "False"), ("NetworkUnavailable", "True")]),
            ["Normal NodeHasSufficientMemory"]
        );
        assert!(of_node("[]").is_empty());
    }
}
