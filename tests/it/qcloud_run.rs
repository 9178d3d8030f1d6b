//! The qcloud source as a whole: what it says while it polls.

use std::time::Duration;

use podbell::components::qcloud::{self, ApiConfig, ServiceSelection};
use podbell::sources::SourceEvent;
use podbell_core::event::Target;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::emulated::{config, emulator};
use crate::support::scripted::{Reply, Scripted};

struct Running {
    events: mpsc::Receiver<SourceEvent>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn start(config: ApiConfig) -> Running {
    let (sender, events) = mpsc::channel(16);
    let stop = CancellationToken::new();
    let task = tokio::spawn(qcloud::run(config, crate::support::receiver::client(), sender, stop.clone()));
    Running { events, stop, task }
}

impl Running {
    async fn next(&mut self) -> SourceEvent {
        timeout(Duration::from_secs(10), self.events.recv()).await.expect("in time").expect("still running")
    }

    /// Reads on until an event is what is looked for.
    async fn until<T>(&mut self, mut wanted: impl FnMut(&SourceEvent) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(&self.next().await) {
                return found;
            }
        }
    }
}

fn named(names: &[&str]) -> ServiceSelection {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    ServiceSelection::Named { cluster: "c".into(), namespace: "default".into(), names }
}

fn names(event: &SourceEvent) -> Option<(Vec<String>, bool)> {
    match event {
        SourceEvent::TargetList { targets, complete, .. } => {
            Some((targets.iter().map(|entry| entry.target.service.to_string()).collect(), *complete))
        }
        _ => None,
    }
}

#[tokio::test]
async fn configured_services_are_told_first_and_then_polled_each_interval() {
    let play = r#"{"at": "2026-01-01 00:00:00", "cluster": "c", "service": "a", "eventList": []}
        {"at": "2026-01-01 00:00:00", "cluster": "c", "service": "b", "error": "4102"}"#;
    let emulator = emulator(play, 1, None).await;
    let mut config = config(&emulator.endpoint());
    config.poll_every = Duration::from_millis(50);
    config.services = vec![named(&["a", "b", "missing"])];
    let mut running = start(config);
    let first = running.next().await;
    assert_eq!(names(&first).unwrap(), (vec!["a".into(), "b".into(), "missing".into()], true));
    let mut seen = [0, 0, 0];
    while seen.iter().any(|times| *times < 3) {
        match running.next().await {
            SourceEvent::Polled { target, events, .. } if &*target.service == "a" => {
                assert!(events.is_empty());
                seen[0] += 1;
            }
            // Said of the first list only: the store may remember a trouble of it.
            SourceEvent::Unusable { target, entries: 0, .. } if &*target.service == "a" && seen[0] == 1 => {}
            SourceEvent::Failed { target, error, .. } if &*target.service == "b" => {
                assert_eq!((&*error.code, error.gone), ("4102", false));
                seen[1] += 1;
            }
            SourceEvent::Failed { target, error, .. } if &*target.service == "missing" => {
                assert_eq!((&*error.code, error.gone), ("-16013", true));
                seen[2] += 1;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    drop(running.events);
    timeout(Duration::from_secs(5), running.task).await.expect("ends when nobody listens any more").unwrap();
}

#[tokio::test]
async fn discovered_services_come_and_go() {
    let play = r#"{"at": "2026-01-01 00:00:00", "cluster": "c", "service": "a", "eventList": []}
        {"at": "2026-01-01 00:00:00", "cluster": "c", "service": "b", "error": "-16013"}
        {"at": "2026-01-01 00:00:10", "cluster": "c", "service": "b", "eventList": []}
        {"at": "2026-01-01 00:00:20", "cluster": "c", "service": "a", "error": "-16013"}"#;
    let emulator = emulator(play, 20, None).await;
    let mut config = config(&emulator.endpoint());
    config.poll_every = Duration::from_millis(50);
    config.rediscover_every = Duration::from_millis(50);
    config.services = vec![ServiceSelection::Discover { cluster: Some("c".into()) }];
    let mut running = start(config);
    for wanted in [vec!["a"], vec!["a", "b"], vec!["b"]] {
        running.until(|event| names(event).filter(|(names, complete)| *complete && *names == wanted)).await;
    }
    let b = Target::new("prod", "c", "default", "b");
    let polled =
        |event: &SourceEvent| matches!(event, SourceEvent::Polled { target, .. } if *target == b).then_some(());
    running.until(polled).await;
    // Two complete discoveries later, `a` is asked for no more.
    for _ in 0..3 {
        running.until(names).await;
    }
    let mut target_lists = 0;
    while target_lists < 4 {
        match running.next().await {
            SourceEvent::TargetList { .. } => target_lists += 1,
            SourceEvent::Polled { target, .. } | SourceEvent::Failed { target, .. } => assert_eq!(target, b),
            other => panic!("{other:?}"),
        }
    }
    running.stop.cancel();
    timeout(Duration::from_secs(5), running.task).await.expect("ends when told to").unwrap();
}

#[tokio::test]
async fn a12_a_failed_discovery_is_told_and_goes_on_polling_what_is_known() {
    let play = r#"{"at": "2026-01-01 00:00:00", "cluster": "c", "service": "a", "eventList": []}
        {"at": "2026-01-01 00:00:20", "cluster": "c", "service": "a", "error": "-16009"}"#;
    let emulator = emulator(play, 20, None).await;
    let mut config = config(&emulator.endpoint());
    config.poll_every = Duration::from_millis(50);
    config.rediscover_every = Duration::from_millis(50);
    // Of the second cluster nothing can be read, ever: no discovery is complete.
    let discover = |cluster: &str| ServiceSelection::Discover { cluster: Some(cluster.into()) };
    config.services = vec![discover("c"), discover("unknown")];
    let mut running = start(config);
    assert_eq!(running.until(names).await, (vec!["a".to_owned()], false));
    let failed = |event: &SourceEvent| match event {
        SourceEvent::DiscoveryFailed { error, .. } => Some(error.code.clone()),
        _ => None,
    };
    assert_eq!(running.until(failed).await, "-16009");
    // The service is found no more, but that is no proof.
    running.until(|event| names(event).filter(|(names, _)| names.is_empty())).await;
    for _ in 0..3 {
        running.until(names).await;
    }
    running.until(|event| matches!(event, SourceEvent::Failed { .. }).then_some(())).await;
}

#[tokio::test]
async fn told_to_stop_it_finishes_what_is_in_flight() {
    let body = r#"{"code": 0, "data": {"eventList": []}}"#;
    let server = Scripted::start([Reply::Late(Duration::from_millis(300), body.into())]).await;
    let mut config = config(&server.endpoint);
    config.poll_every = Duration::from_secs(60);
    config.services = vec![named(&["a"])];
    let mut running = start(config);
    running.until(names).await;
    while server.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    running.stop.cancel();
    assert!(matches!(running.next().await, SourceEvent::Polled { .. }));
    timeout(Duration::from_secs(5), running.task).await.expect("ends").unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_slow_service_delays_no_other() {
    let body = r#"{"code": 0, "data": {"eventList": []}}"#;
    let server = Scripted::start([Reply::Hang, Reply::Http(200, body.into())]).await;
    let mut config = config(&server.endpoint);
    config.poll_every = Duration::from_millis(50);
    config.services = vec![named(&["a", "b"])];
    let mut running = start(config);
    for _ in 0..5 {
        running.until(|event| matches!(event, SourceEvent::Polled { .. }).then_some(())).await;
    }
}
