//! The Kubernetes source against what newer API servers, proxies and bad days do. Nothing is lost, nothing is told twice,
//! no failure is the end, and no loop turns without a pause.

use std::process::Command;
use std::time::Duration;

use podbell::clock;
use podbell::components::kubernetes::KubernetesConfig;
use podbell::sources::SourceEvent;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::kube::{Watching, ago};
use crate::support::kube_fake::{Fake, Mood, Refusal};
use crate::support::kube_objects::{event, kubeconfig, pod};
use crate::support::process::{PATIENCE, eventually};
use crate::support::world::compiled;

fn start(fake: &Fake) -> Watching {
    Watching::start(&kubeconfig(&fake.address, None, "good"), |_| {})
}

fn crash(count: u64) -> Value {
    event("shop", "web-6d4cf56db6-x2x7v", "BackOff", count, &ago(60), &ago(1))
}

fn other(number: usize) -> Value {
    event("shop", &format!("other-{number}"), "Failed", 1, &ago(60), &ago(60))
}

const PLACE: &str = "shop/web";
const WHAT: &str = "web-6d4cf56db6-x2x7v BackOff";

#[tokio::test]
async fn a_list_comes_page_by_page_as_whole_lists_and_what_follows_as_parts() {
    let fake = Fake::start().await;
    fake.put(crash(3));
    (0..1200).for_each(|number| fake.put(other(number)));
    let mut watching = start(&fake);
    watching.swept().await;
    assert_eq!(watching.known.len(), 1201);
    assert_eq!(fake.asked().iter().filter(|one| !one.watch).count(), 3, "pages of 500");
    let (whole, parts) = (watching.whole, watching.parts);
    assert!(whole > 0 && parts == 0);
    fake.put(crash(4));
    watching.reads(PLACE, WHAT, 4).await;
    assert_eq!((watching.whole, watching.parts), (whole, 1), "only what changed is said");
    watching.stop().await;
}

#[tokio::test]
async fn a_watch_is_taken_up_where_it_was_cut_at_any_point() {
    let fake = Fake::start().await;
    fake.put(crash(1));
    let cuts: Vec<Mood> = (0..6).map(Mood::CutAfter).collect();
    fake.moods(&cuts);
    let mut watching = start(&fake);
    watching.swept().await;
    for count in 2..30 {
        fake.put(crash(count));
        watching.reads(PLACE, WHAT, count).await;
    }
    assert_eq!(fake.lists(), 1, "nothing was listed again");
    watching.stop().await;
}

#[tokio::test]
async fn a_version_that_is_too_old_leads_to_a_new_list_once() {
    let fake = Fake::start().await;
    fake.put(crash(1));
    fake.moods(&[Mood::CutAfter(0)]);
    let mut watching = start(&fake);
    watching.swept().await;
    fake.compact();
    fake.put(crash(5));
    watching.reads(PLACE, WHAT, 5).await;
    assert_eq!(fake.lists(), 2);
    fake.put(crash(6));
    watching.reads(PLACE, WHAT, 6).await;
    assert_eq!(fake.lists(), 2, "the new list's version is good");
    watching.stop().await;
}

#[tokio::test]
async fn a_cluster_that_is_restored_from_a_copy_is_listed_and_its_new_past_is_watched() {
    let fake = Fake::start().await;
    fake.put(crash(1));
    fake.others_write(1000);
    let mut watching = start(&fake);
    watching.swept().await;
    fake.put(crash(2));
    watching.reads(PLACE, WHAT, 2).await;
    fake.restore(500, &[crash(1), other(1)]);
    watching.reads("shop/other", "other-1 Failed", 1).await;
    assert_eq!(fake.lists(), 2);
    fake.put(crash(3));
    watching.reads(PLACE, WHAT, 3).await;
    assert_eq!(fake.lists(), 2);
    watching.stop().await;
}

#[tokio::test]
async fn retry_after_is_a_wall() {
    let fake = Fake::start().await;
    fake.put(crash(1));
    fake.refuse(&[Refusal { status: 429, retry_after: Some(2) }]);
    let mut watching = start(&fake);
    watching.swept().await;
    let asked = fake.asked();
    assert!(asked[1].at - asked[0].at >= Duration::from_secs(2), "{asked:?}");
    let [error] = watching.errors.as_slice() else { panic!("{:?}", watching.errors) };
    assert_eq!(error.code, "http-429");
    watching.stop().await;
}

#[tokio::test]
async fn a_watch_that_closes_at_once_is_taken_up_with_growing_pauses() {
    let fake = Fake::start().await;
    fake.put(crash(1));
    fake.moods(&[Mood::ClosesAtOnce; 8]);
    let mut watching = start(&fake);
    watching.swept().await;
    fake.put(crash(2));
    watching.reads(PLACE, WHAT, 2).await;
    assert_eq!(watching.errors.iter().filter(|error| error.code == "closed").count(), 8);
    let watches = fake.watches();
    let span = watches[8].at - watches[0].at;
    assert!(span >= Duration::from_millis(10 + 20 + 40 + 80 + 4 * 100 - 50), "it turned too fast: {span:?}");
    assert!(fake.requests() < 40, "{} requests", fake.requests());
    assert_eq!(fake.lists(), 1);
    watching.stop().await;
}

#[tokio::test]
async fn bookmarks_move_a_quiet_watch_on_and_prove_that_nothing_was_missed() {
    let fake = Fake::start().await;
    fake.put(crash(1));
    let mut watching = start(&fake);
    watching.swept().await;
    fake.others_write(1000);
    watching.until(|_, event| matches!(event, SourceEvent::WatchProgress { .. }).then_some(())).await;
    // The next watch begins behind the bookmark: what was compacted before it is no loss.
    let begins_late = || {
        let last = fake.watches().last()?.query.get("resourceVersion")?.parse::<u64>().ok()?;
        (last > 1000).then_some(())
    };
    while begins_late().is_none() {
        watching.next().await;
    }
    assert_eq!(fake.lists(), 1);
    watching.stop().await;
}

#[tokio::test]
async fn a_watch_list_replaces_the_first_list_where_the_server_has_it() {
    for has in [true, false] {
        let fake = Fake::start().await;
        (0..700).for_each(|number| fake.put(other(number)));
        fake.put(crash(3));
        if has {
            fake.has_watch_lists();
        }
        let mut watching = Watching::start(&kubeconfig(&fake.address, None, "good"), |config| config.watch_list = true);
        watching.swept().await;
        assert_eq!(watching.known.len(), 701);
        assert_eq!(fake.lists(), usize::from(!has), "listed only where there is no watch-list");
        fake.put(crash(4));
        watching.reads(PLACE, WHAT, 4).await;
        watching.stop().await;
    }
}

#[tokio::test]
async fn a_watch_list_that_breaks_off_is_worth_nothing() {
    let fake = Fake::start().await;
    (0..700).for_each(|number| fake.put(other(number)));
    fake.has_watch_lists();
    fake.moods(&[Mood::CutAfter(600)]);
    let mut watching = Watching::start(&kubeconfig(&fake.address, None, "good"), |config| config.watch_list = true);
    watching.until(|watching, _| (!watching.errors.is_empty()).then_some(())).await;
    assert!(watching.known.is_empty(), "half a list is no list");
    (0..500).for_each(|number| fake.expire("shop", &format!("other-{number}.failed")));
    watching.swept().await;
    assert_eq!(watching.known.len(), 200, "what was there at the first attempt and is not now was said");
    watching.stop().await;
}

#[tokio::test]
async fn an_expired_token_is_said_and_the_renewed_kubeconfig_is_read() {
    let fake = Fake::start().await;
    fake.put(crash(1));
    fake.moods(&[Mood::CutAfter(0)]);
    let mut watching = start(&fake);
    watching.swept().await;
    fake.token("renewed");
    fake.put(crash(2));
    watching.until(|watching, _| watching.errors.iter().any(|error| error.code == "http-401").then_some(())).await;
    assert!(watching.errors.last().unwrap().advice.contains("renew the token"), "{:?}", watching.errors);
    watching.reconfigure(&kubeconfig(&fake.address, None, "renewed"));
    watching.reads(PLACE, WHAT, 2).await;
    assert_eq!(fake.lists(), 1, "the watch went on where it was");
    watching.stop().await;
}

#[tokio::test]
async fn a_forbidden_namespace_is_trouble_of_its_own_and_the_others_are_watched() {
    let fake = Fake::start().await;
    fake.put(crash(1));
    fake.forbid(&["secret"]);
    let namespaces = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let mut watching = Watching::start(&kubeconfig(&fake.address, None, "good"), |config| {
        config.namespaces = namespaces(&["secret", "shop"]);
    });
    let said = watching.until(|watching, event| match event {
        SourceEvent::WatchFailed { covers, error, .. } if watching.known.len() == 1 => {
            Some((covers.name(), error.code.clone()))
        }
        _ => None,
    });
    assert_eq!(said.await, ("namespace secret".to_owned(), "http-403".to_owned()));
    fake.put(crash(2));
    watching.reads(PLACE, WHAT, 2).await;
    watching.stop().await;
}

#[tokio::test]
async fn a_silent_connection_is_given_up_and_nothing_is_lost() {
    let fake = Fake::start().await;
    fake.put(crash(1));
    fake.moods(&[Mood::Silent]);
    let mut watching = Watching::start(&kubeconfig(&fake.address, None, "good"), |config| {
        config.timing.watch_for = Duration::from_secs(1);
    });
    watching.swept().await;
    fake.put(crash(2));
    watching.reads(PLACE, WHAT, 2).await;
    assert!(watching.errors.iter().any(|error| error.code == "timeout"), "{:?}", watching.errors);
    watching.stop().await;
}

#[tokio::test]
async fn an_event_that_expired_is_said_to_be_gone_and_one_without_sense_is_left_out() {
    let fake = Fake::start().await;
    fake.put(crash(1));
    fake.put(json!({"metadata": {"namespace": "shop", "name": "nonsense"}, "count": "many"}));
    let mut watching = start(&fake);
    watching.swept().await;
    assert_eq!(watching.known.len(), 1);
    fake.expire("shop", "web-6d4cf56db6-x2x7v.backoff");
    let gone = watching.until(|_, event| match event {
        SourceEvent::PartialObservation { lists, .. } => lists.iter().find(|seen| !seen.gone.is_empty()).cloned(),
        _ => None,
    });
    let gone = gone.await;
    assert_eq!((gone.target.service.as_ref(), gone.gone.len(), gone.events.len()), ("web", 1, 0));
    watching.stop().await;
}

#[tokio::test]
async fn labels_of_pods_say_which_service_an_event_belongs_to() {
    let fake = Fake::start().await;
    fake.pods(vec![pod("shop", "web-6d4cf56db6-x2x7v", json!({"qcloud-app": "web-service", "app": "web"}), None)]);
    fake.put(crash(1));
    let mut watching = start(&fake);
    watching.swept().await;
    watching.reads("shop/web-service", WHAT, 1).await;
    watching.stop().await;
}

/// What comes while no receipt is given back: all that may be under way, however slow the machine is, and then no more.
async fn take_without_storing(watching: &mut Watching) -> (Vec<SourceEvent>, usize) {
    // The next batch, of fewer than 1,000 events, waits when it has no room in 4,000.
    const MIN: usize = 3_001;
    let (mut kept, mut taken) = (Vec::new(), 0);
    loop {
        let event = match taken < MIN {
            true => watching.next().await,
            // A slow machine can only see less in this time.
            false => match tokio::time::timeout(Duration::from_millis(500), watching.events.recv()).await {
                Ok(event) => event.unwrap(),
                Err(_) => return (kept, taken),
            },
        };
        if let SourceEvent::PartialObservation { lists, .. } = &event {
            taken += lists.iter().map(|seen| seen.events.len()).sum::<usize>();
        }
        kept.push(event);
        assert!(taken <= 4000, "{taken}");
    }
}

#[tokio::test]
async fn when_nobody_takes_events_the_watch_is_not_read_on_and_memory_is_bounded() {
    let fake = Fake::start().await;
    let mut watching = start(&fake);
    watching.swept().await;
    // The receipts are kept, as by an engine whose store is slow.
    (0..20_000).for_each(|number| fake.put(other(number)));
    let (kept, mut taken) = take_without_storing(&mut watching).await;
    drop(kept);
    while taken < 20_000 {
        if let SourceEvent::PartialObservation { lists, .. } = watching.next().await {
            taken += lists.iter().map(|seen| seen.events.len()).sum::<usize>();
        }
    }
    watching.stop().await;
}

#[tokio::test]
async fn what_is_read_late_proves_silence_only_until_it_was_sent() {
    let fake = Fake::start().await;
    let mut watching = start(&fake);
    watching.swept().await;
    // Nobody takes more than this, so the bookmark and what follows it wait on the way.
    (0..4600).for_each(|number| fake.put(other(number)));
    let (kept, _) = take_without_storing(&mut watching).await;
    let marks = fake.marks();
    fake.others_write(10);
    eventually(PATIENCE, "a bookmark is on its way", || (fake.marks() > marks).then_some(())).await;
    let written = clock::now();
    fake.put(crash(1));
    drop(kept);
    let place = (PLACE.to_owned(), WHAT.to_owned());
    while !watching.known.contains_key(&place) {
        if let SourceEvent::WatchProgress { at, .. } = watching.next().await {
            assert!(at <= written, "what was written then is still to come");
        }
    }
    watching.stop().await;
}

#[tokio::test]
async fn what_could_not_be_stored_is_listed_again() {
    let fake = Fake::start().await;
    fake.put(crash(1));
    let mut watching = start(&fake);
    watching.swept().await;
    fake.put(crash(7));
    let lost = watching.until(|_, event| match event {
        SourceEvent::PartialObservation { receipt, .. } => Some(receipt.clone()),
        _ => None,
    });
    lost.await.lost();
    watching.known.clear();
    watching.swept().await;
    assert_eq!(watching.known.values().collect::<Vec<_>>(), [&7]);
    assert_eq!(fake.lists(), 2);
    watching.stop().await;
}

#[tokio::test]
async fn no_token_is_in_what_is_said_of_a_kubeconfig_that_cannot_be_used() {
    let fake = Fake::start().await;
    let good = kubeconfig(&fake.address, None, "good");
    let plugin = |says: &str| {
        let exec =
            format!("exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, args: [-c, \"{says}\"]}}");
        good.replace("token: good", &exec)
    };
    for (broken, words) in [
        (good.replace("token: good", "token: [s3cr3t]"), "the kubeconfig cannot be understood"),
        (good.replace("token: good", "token: s3cr3t, : ]"), "the kubeconfig cannot be understood"),
        (plugin("echo s3cr3t; exit 3"), "`exec` plugin failed with exit status: 3"),
        (plugin("echo s3cr3t: ["), "`exec` plugin printed cannot be understood"),
        (good.replace("current-context: test", "current-context: other"), "other"),
    ] {
        let mut watching = Watching::start(&broken, |_| {});
        watching.until(|watching, _| (!watching.errors.is_empty()).then_some(())).await;
        let error = &watching.errors[0];
        assert!(error.text.contains(words), "{error:?}");
        assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
        // Mended, it is read without a restart.
        watching.reconfigure(&good);
        watching.swept().await;
        watching.stop().await;
    }
}

#[tokio::test]
async fn a_kubeconfig_is_read_again_when_nobody_answers_where_it_leads() {
    let fake = Fake::start().await;
    let good = kubeconfig(&fake.address, None, "good");
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut watching = Watching::start(&good.replace(&fake.address, &format!("http://{gone}")), |_| {});
    watching.until(|watching, _| watching.errors.iter().any(|error| error.code == "connect").then_some(())).await;
    watching.reconfigure(&good);
    watching.swept().await;
    watching.stop().await;
}

#[tokio::test]
async fn a_credential_plugin_that_hangs_is_started_once() {
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    let starts = folder.path().join("starts");
    let script = format!("echo 1 >> {0}; read wait < {0}.fifo; exit 1", starts.display());
    assert!(Command::new("mkfifo").arg(folder.path().join("starts.fifo")).status().unwrap().success());
    let exec = format!("exec: {{apiVersion: client.authentication.k8s.io/v1, command: sh, args: [-c, \"{script}\"]}}");
    let good = kubeconfig(&fake.address, None, "good");
    let soon = |config: &mut KubernetesConfig| config.timing.patience = Duration::from_millis(300);
    let mut watching = Watching::start(&good.replace("token: good", &exec), soon);
    watching.until(|watching, _| (watching.errors.len() >= 3).then_some(())).await;
    assert!(watching.errors[0].text.contains("`exec` plugin wait"), "{:?}", watching.errors);
    assert_eq!(std::fs::read_to_string(&starts).unwrap().lines().count(), 1);
    // What it waited for comes, and the file is mended.
    watching.reconfigure(&good);
    std::fs::write(folder.path().join("starts.fifo"), "\n").unwrap();
    watching.swept().await;
    watching.stop().await;
}

#[tokio::test]
async fn a_wait_that_is_no_number_of_this_world_ends_nothing() {
    let fake = Fake::start().await;
    fake.refuse(&[Refusal { status: 429, retry_after: Some(u64::MAX) }]);
    let mut watching = start(&fake);
    watching.until(|_, event| matches!(event, SourceEvent::WatchFailed { .. }).then_some(())).await;
    watching.stop().await;
}

#[tokio::test]
async fn events_bring_the_labels_that_rules_look_at_and_other_rules_bring_others() {
    let keys = |field: &str| {
        let rules = format!("version: 1\nrules: [{{name: a, match: {{\"{field}\": \"*\"}}, notify: [x]}}]\n");
        compiled(&[rules]).metadata_keys()
    };
    let fake = Fake::start().await;
    fake.pods(vec![pod("shop", "web-6d4cf56db6-x2x7v", json!({"team": "a", "tier": "b", "app": "web"}), None)]);
    fake.put(crash(1));
    let (want, wanted) = watch::channel(keys("label:team"));
    let mut watching = Watching::start_with(&kubeconfig(&fake.address, None, "good"), wanted, |_| {});
    assert_eq!(watching.until(|_, event| newest_labels(event)).await, json!({"team": "a"}));
    watching.swept().await;
    want.send_replace(keys("label:tier"));
    // Each change is said with what is known by then: soon with the labels of the new rules.
    let mut count = 1;
    loop {
        count += 1;
        fake.put(crash(count));
        let labels = watching.until(|_, event| newest_labels(event)).await;
        if labels == json!({"tier": "b"}) {
            break;
        }
        assert_eq!(labels, json!({"team": "a"}), "never none in between");
    }
    drop(want);
    fake.put(crash(count + 1));
    assert_eq!(watching.until(|_, event| newest_labels(event)).await, json!({"tier": "b"}));
    watching.stop().await;
}

/// The labels of the newest event that is said.
fn newest_labels(event: &SourceEvent) -> Option<Value> {
    let SourceEvent::PartialObservation { lists, .. } = event else { return None };
    let events = lists.iter().flat_map(|list| &list.events);
    events.map(|event| event.metadata.as_ref().map(|all| json!(all.labels)).unwrap_or_default()).next_back()
}

#[tokio::test]
async fn the_nearest_label_counts_of_pod_workload_and_namespace_and_what_may_not_be_read_costs_no_event() {
    let rules = "version: 1
rules: [{name: a, match: {\"label:pod\": x, \"label:workload\": x, \"label:namespace\": x, \"label:all\": x}, notify: [x]}]
";
    let labels = |of: &str| json!({of: "1", "all": of, "unused": "1"});
    for hidden in [&[][..], &["namespaces"], &["deployments"], &["namespaces", "deployments", "pods", "replicasets"]] {
        let fake = Fake::start().await;
        fake.hide(hidden);
        let mut pod = pod("shop", "web-6d4cf56db6-x2x7v", json!({"pod": "1"}), Some(("Deployment", "web")));
        pod["metadata"]["labels"]["unused"] = json!("1");
        fake.pods(vec![pod]);
        let mut web = deployment("1", "web:v4");
        web["metadata"]["labels"] = labels("workload");
        fake.deployment(web);
        fake.objects("namespaces", vec![json!({"metadata": {"name": "shop", "labels": labels("namespace")}})]);
        fake.put(crash(1));
        let wanted = watch::channel(compiled(&[rules.to_owned()]).metadata_keys()).1;
        let mut watching = Watching::start_with(&kubeconfig(&fake.address, None, "good"), wanted, |_| {});
        let sees = |what: &str| !hidden.contains(&what);
        let mut expected = serde_json::Map::new();
        for (resource, of) in [("pods", "pod"), ("deployments", "workload"), ("namespaces", "namespace")] {
            if sees(resource) {
                expected.insert(of.to_owned(), json!("1"));
                if of != "pod" {
                    expected.entry("all").or_insert(json!(of));
                }
            }
        }
        let expected = if expected.is_empty() { Value::Null } else { Value::Object(expected) };
        assert_eq!(watching.until(|_, event| newest_labels(event)).await, expected, "without {hidden:?}");
        watching.stop().await;
    }
}

#[tokio::test]
async fn namespaces_are_read_only_while_a_rule_looks_at_labels_and_a_changed_label_holds_for_later_events() {
    let keys = |field: &str| {
        compiled(&[format!("version: 1\nrules: [{{name: a, match: {{{field}: x}}, notify: [x]}}]\n")]).metadata_keys()
    };
    let fake = Fake::start().await;
    let mut web = deployment("1", "web:v4");
    web["metadata"]["labels"] = json!({"team": "a"});
    fake.deployment(web.clone());
    fake.objects("namespaces", vec![json!({"metadata": {"name": "shop", "labels": {"team": "shop"}}})]);
    fake.put(crash(1));
    let (want, wanted) = watch::channel(keys("reason"));
    let mut watching = Watching::start_with(&kubeconfig(&fake.address, None, "good"), wanted, |_| {});
    assert_eq!(watching.until(|_, event| newest_labels(event)).await, Value::Null);
    assert_eq!(fake.requests_of("namespaces"), 0);
    want.send_replace(keys("\"label:team\""));
    // Pod and replica set are not known: the name leads to the deployment.
    let mut count = 1;
    let mut until = async |watching: &mut Watching, team: &str| loop {
        count += 1;
        fake.put(crash(count));
        if watching.until(|_, event| newest_labels(event)).await == json!({"team": team}) {
            break;
        }
    };
    until(&mut watching, "a").await;
    assert!(fake.requests_of("namespaces") > 0);
    web["metadata"]["labels"] = json!({"team": "b"});
    fake.deployment(web.clone());
    until(&mut watching, "b").await;
    web["metadata"]["labels"] = json!({});
    fake.deployment(web);
    until(&mut watching, "shop").await;
    watching.stop().await;
}

#[tokio::test]
async fn a_cron_job_labels_the_pods_of_its_runs_also_of_those_that_are_gone() {
    let rules = "version: 1\nrules: [{name: a, match: {\"label:team\": x}, notify: [x]}]\n";
    let fake = Fake::start().await;
    let labelled =
        |name: &str, team: &str| json!({"metadata": {"name": name, "namespace": "shop", "labels": {"team": team}}});
    fake.objects("cronjobs", vec![labelled("report", "data"), labelled("other", "x")]);
    fake.put(event("shop", "report-28391040-x2x7v", "BackOff", 1, &ago(60), &ago(1)));
    let wanted = watch::channel(compiled(&[rules.to_owned()]).metadata_keys()).1;
    let mut watching = Watching::start_with(&kubeconfig(&fake.address, None, "good"), wanted, |_| {});
    assert_eq!(watching.until(|_, event| newest_labels(event)).await, json!({"team": "data"}));
    watching.reads("shop/report", "report-28391040-x2x7v BackOff", 1).await;
    watching.stop().await;
}

/// An autoscaler with its conditions as the first version of the API shows them.
fn autoscaler(active: &str, changed: u64) -> Value {
    let condition =
        |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": ago(changed)});
    let conditions = json!([condition("AbleToScale", "True"), condition("ScalingActive", active)]).to_string();
    let annotations = json!({"autoscaling.alpha.kubernetes.io/conditions": conditions});
    json!({"metadata": {"name": "web", "namespace": "shop", "annotations": annotations}})
}

#[tokio::test]
async fn an_autoscaler_that_works_again_is_said_and_so_is_one_that_is_deleted() {
    let fake = Fake::start().await;
    fake.write("horizontalpodautoscalers", autoscaler("False", 60));
    fake.put(crash(1));
    let mut watching = start(&fake);
    watching.reads("shop/web", "web-6d4cf56db6-x2x7v BackOff", 1).await;
    fake.write("horizontalpodautoscalers", autoscaler("True", 1));
    watching.reads("shop/web", "web ScalingActive", 1).await;
    fake.delete("horizontalpodautoscalers", "shop", "web");
    let gone = loop {
        if let SourceEvent::Deleted { objects, .. } = watching.next().await {
            break objects;
        }
    };
    let gone: Vec<_> = gone.iter().map(|one| format!("{} {}/{}", one.kind, one.namespace, one.name)).collect();
    assert_eq!(gone, ["HorizontalPodAutoscaler shop/web"]);
    watching.stop().await;
}

/// A deployment of three ready pods.
fn deployment(revision: &str, image: &str) -> Value {
    json!({
        "metadata": {
            "name": "web", "namespace": "shop", "generation": 1,
            "annotations": {"deployment.kubernetes.io/revision": revision, "other": "x"},
        },
        "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "web", "image": image}]}}},
        "status": {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3},
    })
}

#[tokio::test]
async fn what_deployments_run_is_said_once_and_again_when_it_changes() {
    let fake = Fake::start().await;
    fake.deployment(deployment("1", "r.example.com/shop/web:v4"));
    let mut watching = start(&fake);
    let mut said: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut taken = 0;
    while taken < 2 {
        let SourceEvent::Templates { reports, .. } = watching.next().await else { continue };
        for report in reports {
            let place = format!("{}/{} {}", report.target.namespace, report.target.service, report.name);
            said.push((place, report.template.revision, report.template.images));
        }
        taken += 1;
        if taken == 1 {
            // The status changes, the annotations of others, then the template.
            let mut busy = deployment("1", "r.example.com/shop/web:v4");
            (busy["status"]["readyReplicas"], busy["metadata"]["annotations"]["other"]) = (json!(2), json!("y"));
            fake.deployment(busy);
            fake.deployment(deployment("2", "r.example.com/shop/web:v5"));
        }
    }
    let runs = |revision: &str, image: &str| {
        ("shop/web web".to_owned(), revision.to_owned(), vec![format!("r.example.com/shop/{image}")])
    };
    assert_eq!(said, [runs("1", "web:v4"), runs("2", "web:v5")]);
    watching.stop().await;
}
