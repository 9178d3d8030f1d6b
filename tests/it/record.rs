//! `podbell record`: what a source shows becomes a recording that backtests and the emulator play.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::emulated::{SECRET_KEY, emulator};
use crate::support::process::{PATIENCE, Process, eventually, podbell, printed};
use crate::support::receiver::Receiver;
use crate::support::site::Site;

/// Quiet, then a Warning whose count grows, then a refusal that only this service gets.
const PLAY: &str = r#"{"at": "2026-01-01 00:00:00", "eventList": []}
{"at": "2026-01-01 00:00:02", "eventList": [{"firstSeen": "2026-01-01 00:00:02", "lastSeen": "2026-01-01 00:00:02", "count": 3, "level": "Warning", "objType": "Pod", "objName": "web-6d4cf56db6-x2x7v", "reason": "pod启动失败", "message": "no such image"}]}
{"at": "2026-01-01 00:00:04", "eventList": [{"firstSeen": "2026-01-01 00:00:02", "lastSeen": "2026-01-01 00:00:04", "count": 700, "level": "Warning", "objType": "Pod", "objName": "web-6d4cf56db6-x2x7v", "reason": "pod启动失败", "message": "no such image"}]}
"#;

/// A site that polls an emulated service each second; only the source's secrets are there.
async fn site() -> (Site, podbell::components::qcloud::emulator::Emulator) {
    let emulator = emulator(PLAY, 1, None).await;
    let site = Site::quick(&emulator.endpoint(), "http://127.0.0.1:1/hook");
    site.edit("{cluster: c, discover: true}", "{cluster: c, namespace: default, names: [web]}");
    (site, emulator)
}

fn lines(site: &Site) -> usize {
    std::fs::read_to_string(site.path("out.jsonl")).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn a_recording_tells_in_a_backtest_what_happened_and_goes_on_after_it_was_cut_off() {
    let (site, emulator) = site().await;
    site.edit("url: \"http://127.0.0.1:1/hook\"", "url: \"${NOT_SET}\"");
    let others = "chats: [{kind: slack, name: ops, signing_secret: \"${NOT_SET}\"}]\ngateway: {keys: [{secret_id: a, secret_key: \"${NOT_SET}\"}]}\n";
    let written = std::fs::read_to_string(site.path("podbell.yaml")).unwrap();
    site.write("podbell.yaml", &format!("{written}{others}"));
    let mut recording = Process::start(podbell(&site.path(""), &["record", "--out", "out.jsonl"]));
    eventually(PATIENCE, "700 occurrences are recorded", || {
        std::fs::read_to_string(site.path("out.jsonl")).ok().filter(|text| text.contains("700"))
    })
    .await;
    recording.signal(Signal::TERM);
    assert!(recording.end(Duration::from_secs(12)).await.success(), "{}", recording.stderr());
    assert!(recording.stderr().contains(" polls, 0 of them failed"), "{}", recording.stderr());
    // A crash in the middle of a line: the half goes, the rest stays.
    let text = std::fs::read_to_string(site.path("out.jsonl")).unwrap();
    site.write("out.jsonl", &format!("{text}{{\"at\": \"2026-"));
    let before = lines(&site) - 1;
    emulator.stop().await;
    let mut recording = Process::start(podbell(&site.path(""), &["record", "--out", "out.jsonl", "--for", "3s"]));
    assert!(recording.end(PATIENCE).await.success(), "{}", recording.stderr());
    assert!(lines(&site) > before, "it went on");
    let text = std::fs::read_to_string(site.path("out.jsonl")).unwrap();
    assert!(text.contains("\"error\":"), "polls that failed are recorded: {text}");
    let output = podbell(&site.path(""), &["backtest", "out.jsonl", "--output", "json"]).output().unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["warning_changes"], 2, "{report:#}");
    assert!(report["failed_polls"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn the_source_to_record_must_be_known() {
    let (site, _emulator) = site().await;
    let (code, said) = site.command(&["record", "--source", "staging"]).await;
    assert_eq!(code, 1);
    assert!(said.contains("there is no source staging; there are: prod"), "{said}");
    site.edit(SECRET_KEY, "\"${NOT_SET_ANYWHERE}\"");
    let (code, said) = site.command(&["record"]).await;
    assert_eq!(code, 1);
    assert!(said.contains("NOT_SET_ANYWHERE is not set"), "{said}");
}

#[tokio::test]
async fn the_running_services_history_can_be_tested_while_it_runs() {
    let emulator = emulator(PLAY, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    site.edit("{cluster: c, discover: true}", "{cluster: c, namespace: default, names: [web]}");
    let mut running = site.run().await;
    let look = || {
        (site.path("podbell.db").exists() && !site.rows("SELECT id FROM observation WHERE count = 700").is_empty())
            .then_some(())
    };
    eventually(PATIENCE, "the change is observed", look).await;
    let (code, said) = site.command(&["backtest", "--last", "2d"]).await;
    assert!(code == 2 && said.contains("podbell keeps the history of 24h"), "{said}");
    let (code, said) = site.command(&["backtest", "--last", "1d"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("everything → audit") && said.contains("#1"), "{said}");
    site.write("other.yaml", "version: 1\nrules:\n  - {name: none, match: {reason: Other}, notify: [audit]}\n");
    let (code, said) = site.command(&["backtest", "--last", "1h", "--compare", "other.yaml"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("0 notices more"), "{said}");
    assert!(running.process.stop().await.success());
}
