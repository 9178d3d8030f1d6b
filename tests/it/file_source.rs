//! The file source while it runs.

use std::path::Path;
use std::time::Duration;

use podbell::clock;
use podbell::components::file::recording::Scope;
use podbell::components::file::{self, FileConfig};
use podbell::sources::SourceEvent;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

struct Running {
    events: mpsc::Receiver<SourceEvent>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(path: &Path) -> Running {
    let mut config = FileConfig::new("recorded", path);
    config.poll_every = Duration::from_millis(20);
    config.scope = Scope { namespace: Some("shop".into()), ..Scope::default() };
    let (sender, events) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let task = tokio::spawn(file::run(config, sender, stop.clone()));
    Running { events, stop, task }
}

impl Running {
    /// The next event but target lists, as target and result.
    async fn next(&mut self) -> (String, Result<usize, String>) {
        loop {
            let event = timeout(Duration::from_secs(10), self.events.recv()).await.expect("in time").expect("running");
            match event {
                SourceEvent::Polled { target, events, at } => {
                    assert!(clock::now().since(at) < Duration::from_secs(5), "played now");
                    return (target.to_string(), Ok(events.len()));
                }
                SourceEvent::Failed { target, error, .. } => return (target.to_string(), Err(error.code)),
                SourceEvent::TargetList { .. } | SourceEvent::Unusable { entries: 0, .. } => {}
                SourceEvent::DiscoveryFailed { source, error, .. } => return (source.to_string(), Err(error.code)),
                watched => panic!("{watched:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_recording_whose_end_is_missing_is_played_once_and_its_last_answers_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("play.jsonl");
    let text = r#"{"at": "2026-01-01 00:00:00", "service": "web", "eventList": []}
        {"at": "2026-01-01 00:00:00", "service": "web", "eventList": [{"firstSeen": "2026-01-01 00:00:00"}]}
        {"at": "2026-01-01 00:00:01", "serv"#;
    std::fs::write(&path, text).unwrap();
    let mut running = start(&path);
    let web = "recorded/any/shop/web".to_owned();
    assert_eq!(running.next().await, (web.clone(), Ok(0)));
    assert_eq!(running.next().await, (web.clone(), Ok(1)));
    assert_eq!(running.next().await, ("recorded".to_owned(), Err("file".to_owned())));
    for _ in 0..5 {
        assert_eq!(running.next().await, (web.clone(), Ok(1)), "it does not begin again");
    }
    running.stop.cancel();
}

#[tokio::test]
async fn a_recording_is_played_once_and_its_last_answers_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("play.jsonl");
    let text = r#"{"at": "2026-01-01 00:00:00", "service": "web", "eventList": []}
        {"at": "2026-01-01 00:00:00", "service": "db", "error": "-16013"}
        {"at": "2026-01-01 00:00:01", "service": "web", "eventList": [{"firstSeen": "2026-01-01 00:00:00"}]}"#;
    std::fs::write(&path, text).unwrap();
    let mut running = start(&path);
    let (web, db) = ("recorded/any/shop/web".to_owned(), "recorded/any/shop/db".to_owned());
    assert_eq!(running.next().await, (web.clone(), Ok(0)));
    assert_eq!(running.next().await, (db.clone(), Err("-16013".into())));
    let begun = clock::monotonic();
    assert_eq!(running.next().await, (web.clone(), Ok(1)));
    assert!(begun.elapsed() > Duration::from_millis(900), "at its own pace");
    for _ in 0..3 {
        assert_eq!(running.next().await, (db.clone(), Err("-16013".into())));
        assert_eq!(running.next().await, (web.clone(), Ok(1)));
    }
    running.stop.cancel();
    timeout(Duration::from_secs(5), running.task).await.expect("ends when told to").unwrap();
}

#[tokio::test]
async fn a_single_answer_is_read_anew_and_a_broken_file_is_trouble_until_it_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("answer.json");
    let target = "recorded/any/shop/any".to_owned();
    let mut running = start(&path);
    // A file that cannot be read is the source's trouble: nobody knows of which targets it speaks.
    assert_eq!(running.next().await, ("recorded".to_owned(), Err("file".into())));
    let event = r#"{"firstSeen": "2026-01-01 00:00:00"}"#;
    for (text, outcome) in [
        (format!("[{event}]"), Ok(1)),
        (format!("{{\"code\": 0, \"data\": {{\"eventList\": [{event}, {event}]}}}}"), Ok(2)),
        ("{\"code\": 0, \"da".to_owned(), Err("file".to_owned())),
        ("[]".to_owned(), Ok(0)),
    ] {
        // As a job would: written aside, then put in place.
        let aside = dir.path().join("aside");
        std::fs::write(&aside, text).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        let whose = if outcome.is_ok() { target.clone() } else { "recorded".to_owned() };
        while running.next().await != (whose.clone(), outcome.clone()) {}
    }
    drop(running.events);
    timeout(Duration::from_secs(5), running.task).await.expect("ends when nobody listens").unwrap();
}
