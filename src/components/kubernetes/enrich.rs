//! Asks the API server what a person would look up next: the state of a pod whose incident has just opened and, where the
//! operator allows it, the last lines of its log. Reading is pure.

use serde::Deserialize;

use super::api::Api;
use super::settings::Enrich;
use podbell_core::enrichment::{ContainerEnd, ContainerLog, ContainerState, PodQuestion, PodState};
use podbell_core::masks;

use super::signals::instant;

/// The most lines and bytes of a log.
const LINES: usize = 20;
const BYTES: usize = 2048;
/// The most containers that are told of.
const MAX_CONTAINERS: usize = 5;

#[derive(Deserialize)]
struct List {
    items: Vec<Pod>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Pod {
    metadata: Meta,
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    init_container_statuses: Option<Vec<Container>>,
    container_statuses: Option<Vec<Container>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    name: String,
    ready: bool,
    restart_count: u64,
    state: State,
    last_state: State,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<Waiting>,
    terminated: Option<Terminated>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Waiting {
    reason: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    reason: String,
    exit_code: i64,
    finished_at: Option<String>,
}

/// Asks about a pod. `None` if it is gone, or may not be read.
pub(super) async fn ask(api: &Api, how: Enrich, question: &PodQuestion) -> Option<PodState> {
    let PodQuestion { namespace, pod, .. } = question;
    if how == Enrich::Off || !is_name(namespace) || !is_name(pod) {
        return None;
    }
    // A list of one pod, because podbell needs the right `list` on pods anyway, and `get` on pods nowhere else.
    let address = format!("/api/v1/namespaces/{namespace}/pods?fieldSelector=metadata.name%3D{pod}&limit=1");
    let (body, _) = api.ask(&address, None).await.ok()?;
    let mut state = read(&body)?;
    if how == Enrich::Logs {
        state.log = log(api, question, &state).await;
    }
    Some(state)
}

/// The last lines of the container that is not well: those before its last start, if it was started again.
async fn log(api: &Api, question: &PodQuestion, state: &PodState) -> Option<ContainerLog> {
    let PodQuestion { namespace, pod, .. } = question;
    let container = state.containers.iter().max_by_key(|one| (one.ended.as_ref().map(|end| end.at), one.restarts))?;
    if !is_name(&container.name) {
        return None;
    }
    let previous = container.restarts > 0;
    let address = format!(
        "/api/v1/namespaces/{namespace}/pods/{pod}/log?container={}&previous={previous}&tailLines={LINES}&limitBytes={}",
        container.name,
        // Limited from the beginning of what is asked for, so leave room for long lines.
        BYTES * 8,
    );
    let (body, _) = api.ask(&address, None).await.ok()?;
    let text = last(&masks::mask(&String::from_utf8_lossy(&body)));
    (!text.is_empty()).then(|| ContainerLog { container: container.name.clone(), previous, text })
}

/// The last bytes of a text, in whole lines where possible.
fn last(text: &str) -> String {
    let text = text.trim_end();
    let from = text.len().saturating_sub(BYTES);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let tail = text.get(from..).unwrap_or_default();
    match (from, tail.split_once('\n')) {
        (1.., Some((_, lines))) => lines.to_owned(),
        _ => tail.to_owned(),
    }
}

fn read(body: &[u8]) -> Option<PodState> {
    let Pod { metadata, spec, status } = serde_json::from_slice::<List>(body).ok()?.items.into_iter().next()?;
    let all = [status.init_container_statuses, status.container_statuses].into_iter().flatten().flatten();
    let ill = all.filter(|one| !one.is_well()).map(Container::state);
    Some(PodState {
        pod: metadata.name,
        node: spec.node_name,
        phase: status.phase,
        containers: ill.take(MAX_CONTAINERS).collect(),
        log: None,
    })
}

impl Container {
    /// Whether there is nothing to tell of it. An init container that has finished is not ready, but has exit code 0.
    fn is_well(&self) -> bool {
        let ended_well = self.state.terminated.as_ref().is_some_and(|end| end.exit_code == 0);
        (self.ready || ended_well) && self.restart_count == 0
    }

    fn state(self) -> ContainerState {
        let end = self.state.terminated.or(self.last_state.terminated).and_then(|end| {
            let at = instant(end.finished_at.as_deref()?)?;
            Some(ContainerEnd { reason: end.reason, exit_code: end.exit_code, at })
        });
        let waiting = self.state.waiting.map(|waiting| waiting.reason).unwrap_or_default();
        ContainerState { name: self.name, waiting, restarts: self.restart_count, ended: end }
    }
}

/// Whether a text may be part of an address.
fn is_name(text: &str) -> bool {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    (1..=253).contains(&text.len()) && text.chars().all(fine)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_pod_only_what_is_not_well_is_told() {
        let end = json!({"terminated": {"reason": "Error", "exitCode": 1, "finishedAt": "2026-01-01T10:02:00Z"}});
        let pod = json!({"items": [{
            "metadata": {"name": "web-0"}, "spec": {"nodeName": "n1"},
            "status": {"phase": "Running",
                "initContainerStatuses": [{"name": "init", "ready": true, "restartCount": 0, "state": {"terminated": {"exitCode": 0}}}],
                "containerStatuses": [
                    {"name": "proxy", "ready": true, "restartCount": 0, "state": {"running": {}}},
                    {"name": "web", "ready": false, "restartCount": 5, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": end},
                ]},
        }]});
        let state = read(pod.to_string().as_bytes()).unwrap();
        assert_eq!((state.node.as_str(), state.phase.as_str(), state.containers.len()), ("n1", "Running", 1));
        let web = &state.containers[0];
        assert_eq!((web.name.as_str(), web.waiting.as_str(), web.restarts), ("web", "CrashLoopBackOff", 5));
        assert_eq!(web.ended.as_ref().map(|end| (end.reason.as_str(), end.exit_code)), Some(("Error", 1)));
        assert!(read(br#"{"items": []}"#).is_none() && read(b"no").is_none());
    }

    #[test]
    fn an_end_without_a_time_leaves_the_rest_of_the_pod() {
        let end = json!({"terminated": {"reason": "ContainerStatusUnknown", "exitCode": 137, "startedAt": null, "finishedAt": null}});
        let pod = json!({"items": [{
            "metadata": {"name": "web-0"}, "spec": {"nodeName": "n1"},
            "status": {"phase": "Running", "containerStatuses": [
                {"name": "web", "ready": false, "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": end},
            ]},
        }]});
        let state = read(pod.to_string().as_bytes()).unwrap();
        assert_eq!((state.containers[0].waiting.as_str(), &state.containers[0].ended), ("CrashLoopBackOff", &None));
    }

    #[test]
    fn of_a_long_log_the_last_whole_lines_are_kept() {
        let log: String = (0..500).map(|line| format!("line {line} 日志\n")).collect();
        let kept = last(&log);
        assert!(kept.len() <= BYTES && kept.starts_with("line ") && kept.ends_with("line 499 日志"), "{kept}");
        assert_eq!(last("one\ntwo\n"), "one\ntwo");
        assert_eq!(last(&"x".repeat(5000)).len(), BYTES);
    }

    #[test]
    fn names_that_would_change_the_address_are_not_asked_about() {
        assert!(is_name("web-6d4cf56db6-x2x7v"));
        for name in ["", "../secrets", "web?x=1", "Web", "a b"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
