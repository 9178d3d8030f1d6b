//! One failure is one incident, whoever tells it and under how many names; another failure is told at once and for
//! itself; what is over is not told as worse.

use podbell_core::event::{Event, Level};
use podbell_core::message::{Style, compose};
use podbell_core::rule::Severity;
use podbell_core::translations::Language;

use crate::support::events::{at, warning};
use crate::support::world::{World, web};

const POD: &str = "web-6d4cf56db6-x2x7v";

fn titles(world: &World) -> Vec<String> {
    let notices = world.log.iter().flat_map(|request| &request.notices);
    let title = |notice: &podbell_core::notice::Notice| {
        let style = Style { language: Language::En, time_zone: jiff::tz::TimeZone::UTC, now: notice.made_at };
        compose(notice, &style).title
    };
    notices.map(title).collect()
}

fn incidents(world: &World) -> std::collections::BTreeSet<u64> {
    let notices = world.log.iter().flat_map(|request| &request.notices);
    notices.filter_map(|notice| notice.body.incident()).collect()
}

#[test]
fn the_reasons_by_which_one_pod_does_not_start_are_one_incident() {
    let failures: [&[(&str, &str)]; 4] = [
        &[
            ("Failed", "Error: failed to start container: exec: \"nope\""),
            ("BackOff", "Back-off restarting failed container"),
        ],
        &[
            ("Failed", "Error: ErrImagePull"),
            ("BackOff", "Back-off pulling image \"x\""),
            ("Failed", "Error: ImagePullBackOff"),
        ],
        &[("FailedCreatePodSandBox", "no network"), ("Failed", "Error: context deadline exceeded")],
        &[
            ("FailedMount", "secret \"x\" not found"),
            ("FailedMount", "timed out waiting"),
            ("Failed", "Error: configmap"),
        ],
    ];
    for failure in failures {
        for mut world in World::of_both_sets() {
            for minute in 1..20_i64 {
                world.run_until(minute * 60);
                let list: Vec<Event<'static>> = failure
                    .iter()
                    .zip(0..)
                    .filter(|(_, n)| minute > *n)
                    .map(|((reason, message), n)| {
                        let count = (minute - n) as u64;
                        warning(POD, reason, message, count, 50 + n * 60, minute * 60 - 5)
                    })
                    .collect();
                world.poll(&web(), &list);
            }
            assert_eq!(incidents(&world).len(), 1, "{failure:?}: {:?}", world.told());
        }
    }
}

#[test]
fn runs_with_generated_names_are_one_incident() {
    let names: [fn(u32) -> String; 6] = [
        |n| format!("runner-kxwg{}-project-4711-concurrent-{n}-xdzb9tlw", random(n)),
        |n| format!("build-{}-unit-tests-pod", random(n)),
        |n| format!("nightly-{}-{}", random(n), 2_093_482_734 + n),
        |n| format!("etl-load-4g{}z{}", random(n), n % 10),
        |n| format!("shop-main-{n}-{}-{}-{}", random(n), random(n + 7), random(n + 9)),
        // Of a maker that nobody knows.
        |n| format!("sandbox-{}7{}-step", random(n), random(n + 3)),
    ];
    for name in names {
        for mut world in World::of_both_sets() {
            for minute in 1..100_i64 {
                world.run_until(minute * 60);
                // A new pod every three minutes, each with three failed pulls.
                let run = u32::try_from(minute / 3).unwrap();
                let count = (minute % 3 + 1) as u64;
                let first = i64::from(run) * 180 - 5;
                let pod = name(run);
                world
                    .poll(&web(), &[warning(&pod, "Failed", "Error: ImagePullBackOff", count, first, minute * 60 - 5)]);
            }
            let opened = world.told().iter().filter(|line| line.contains("opened")).count();
            assert!(opened <= 2, "{}: {opened} opened", name(1));
            assert!(world.told().len() <= 8, "{}: {:?}", name(1), world.told());
        }
    }
}

#[test]
fn runs_go_on_to_be_one_incident_when_their_rule_has_another_name() {
    let rules = "version: 1\nrules:\n  - {name: pulls, match: {reason: Failed}, group_by: [cluster, namespace, workload], notify: [team]}\n";
    let numbers = |renames: bool| {
        let mut world = World::with_rules(rules);
        world.watch(&[web()]);
        world.poll(&web(), &[]);
        for minute in 1..90_i64 {
            world.run_until(minute * 60);
            if renames && minute == 45 {
                world.reload(&[&rules.replace("pulls", "images")]);
            }
            let run = minute / 3;
            let pod = format!("etl-load-4g{}z{}", random(u32::try_from(run).unwrap()), run % 10);
            let count = (minute % 3 + 1) as u64;
            world.poll(
                &web(),
                &[warning(&pod, "Failed", "Error: ImagePullBackOff", count, run * 180 - 5, minute * 60 - 5)],
            );
        }
        incidents(&world)
    };
    let known = numbers(false);
    assert!(known.len() <= 2, "{known:?}");
    assert_eq!(numbers(true), known);
}

/// Five characters as Kubernetes draws them.
fn random(n: u32) -> String {
    let letters = b"bcdfghjklmnpqrstvwxz2456789";
    let mut seed = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851;
    let mut text: String = (0..4)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(letters[(seed >> 33) as usize % letters.len()])
        })
        .collect();
    text.insert(2, char::from(b"2456789"[n as usize % 7]));
    text
}

#[test]
fn workloads_that_people_named_are_told_each() {
    for mut world in World::of_both_sets() {
        for minute in 1..40_i64 {
            world.run_until(minute * 60);
            let names = ["cart", "checkout", "ledger", "search", "api-v2", "svc-1", "svc-2", "svc-3", "worker-eu"];
            let shown = names.iter().zip(1..).filter(|(_, began)| began * 3 < minute);
            let list: Vec<_> = shown
                .map(|(name, began)| {
                    let count = (minute - began * 3) as u64;
                    let pod = format!("{name}-6d4cf56db6-x2x7v");
                    warning(&pod, "Failed", "Error: ImagePullBackOff", count, began * 180, minute * 60 - 5)
                })
                .collect();
            world.poll(&web(), &list);
        }
        assert_eq!(incidents(&world).len(), 9, "{:?}", titles(&world));
    }
}

#[test]
fn another_kind_of_trouble_is_told_at_once_and_stands_first_in_the_title() {
    let mut world = World::builtin();
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    let crash = |count, last| warning(POD, "BackOff", "Back-off restarting failed container", count, 50, last);
    world.run_until(60);
    world.poll(&web(), &[crash(40, 55)]);
    world.run_until(120);
    world.poll(&web(), &[crash(44, 115), warning(POD, "Evicted", "The node was low on resource: memory", 1, 110, 110)]);
    world.run_until(180);
    assert_eq!(world.told(), ["75s team opened #1", "135s team escalated #1"]);
    assert!(titles(&world)[1].contains("shop/web: Evicted, BackOff"), "{}", titles(&world)[1]);
}

#[test]
fn other_trouble_than_what_was_over_is_no_return_of_it() {
    let mut world = World::builtin();
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "Failed", "Error: ImagePullBackOff", 9, 30, 55)]);
    world.poll_until(&web(), &[], 2400);
    world.run_until(2460);
    world.poll(&web(), &[warning(POD, "OOMKilling", "Memory cgroup out of memory", 1, 2450, 2450)]);
    world.run_until(2500);
    assert_eq!(world.told(), ["75s team opened #1", "960s team resolved #1", "2475s team opened #2"]);
    assert!(titles(&world)[2].contains("shop/web: OOMKilling"), "{}", titles(&world)[2]);
}

#[test]
fn what_is_back_names_what_is_back() {
    let mut world = World::builtin();
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    let list = [
        warning(POD, "FailedMount", "secret \"x\" not found", 3, 30, 55),
        warning(POD, "Failed", "Error: configmap \"x\" not found", 9, 30, 55),
    ];
    world.run_until(60);
    world.poll(&web(), &list);
    world.poll_until(&web(), &[], 1800);
    world.run_until(1860);
    world.poll(&web(), &[warning(POD, "FailedMount", "secret \"x\" not found", 4, 30, 1855)]);
    let title = titles(&world).pop().unwrap();
    assert!(title.contains("back again #1 · shop/web: FailedMount · "), "{title}");
}

#[test]
fn what_waited_to_be_told_as_worse_is_not_told_once_it_is_over() {
    let mut world = World::builtin();
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    let failed = |name: &str, last| {
        let event = warning(name, "BackoffLimitExceeded", "Job has reached the specified backoff limit", 1, last, last);
        Event { obj_type: "Job".into(), ..event }
    };
    let mut list = vec![failed("report-28391040", 50)];
    world.run_until(60);
    world.poll(&web(), &list);
    // Worse two minutes later, but told five minutes after the first notice at the earliest.
    list.extend((0..6).map(|n| failed(&format!("report-2839105{n}"), 160 + n)));
    world.run_until(180);
    world.poll(&web(), &list);
    // Mended before that.
    let completed = warning("report-28391060", "Completed", "Job completed", 1, 290, 290);
    list.push(Event { obj_type: "Job".into(), level: Level::Normal, ..completed });
    world.run_until(300);
    world.poll(&web(), &list);
    world.poll_until(&web(), &list, 1200);
    assert_eq!(world.told(), ["75s team opened #1", "480s team resolved #1"]);
}

#[test]
fn a_reminder_needs_a_read_since_the_last_notice() {
    let rules = "version: 1\nrules:\n  - {name: r, match: {reason: '*'}, notify: [team], severity: critical, resolve_after: 3d}\n";
    let mut world = World::with_rules(rules);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "Odd", "m", 1, 30, 55)]);
    world.poll_until(&web(), &[], 600);
    // Nothing is read for a day.
    world.run_until(86_400);
    assert_eq!(world.told(), ["75s team opened #1"]);
    world.poll(&web(), &[]);
    world.run_until(86_500);
    assert_eq!(world.told(), ["75s team opened #1", "86400s team reminded #1"]);
    let notice = world.last_notice();
    let style = Style { language: Language::En, time_zone: jiff::tz::TimeZone::UTC, now: at(86_500) };
    assert_eq!(notice.severity, Severity::Critical);
    assert!(compose(notice, &style).text().contains("blind from"), "{}", compose(notice, &style).text());
}

fn built_in() -> World {
    let [mut world, _] = World::of_both_sets();
    world.run_until(76);
    world
}

/// The newest notice of an incident: its title, its text and what it quotes.
fn newest(world: &World) -> (String, String) {
    let notice = world.last_notice();
    let style = Style { language: Language::En, time_zone: jiff::tz::TimeZone::UTC, now: world.now };
    let message = compose(notice, &style);
    (message.title.clone(), message.text())
}

#[test]
fn an_image_that_is_missing_is_quoted_by_its_cause_whatever_the_kubelet_says_after_it() {
    let mut world = built_in();
    let missing = "Failed to pull image \"r.example.com/shop/cart:v5\": rpc error: code = NotFound desc = failed to resolve reference: not found";
    let pod = "cart-6b44db576f-2lq7h";
    world.poll(
        &web(),
        &[
            warning(pod, "Failed", missing, 2, 60, 75),
            warning(pod, "Failed", "Error: ErrImagePull", 2, 60, 75),
            warning(pod, "BackOff", "Back-off pulling image \"r.example.com/shop/cart:v5\"", 1, 76, 76),
            warning(pod, "Failed", "Error: ImagePullBackOff", 1, 76, 76),
        ],
    );
    world.run_until(200);
    let (_, text) = newest(&world);
    assert!(text.contains("not found") && !text.contains("Error: "), "{text}");
    assert!(text.contains("the registry has no such image or tag"), "{text}");
}

#[test]
fn a_command_that_is_not_there_is_said_with_what_to_look_at_and_not_with_a_log_that_is_empty() {
    let mut world = built_in();
    let cause = "Error: failed to create containerd task: OCI runtime create failed: unable to start container process: exec: \"/usr/bin/invoiced\": stat /usr/bin/invoiced: no such file or directory: unknown";
    let pod = "invoice-fb5f898-x2x7v";
    world.poll(&web(), &[warning(pod, "Failed", cause, 3, 60, 75)]);
    world.run_until(80);
    let back_off = warning(pod, "BackOff", "Back-off restarting failed container", 6, 62, 110);
    world.poll(&web(), &[warning(pod, "Failed", cause, 3, 60, 75), back_off]);
    world.run_until(900);
    let (title, text) = newest(&world);
    assert!(text.contains("no such file or directory") && text.contains("the command is not in the image"), "{text}");
    assert!(text.contains("describe pod") && !text.contains("--previous"), "{title} {text}");
}

#[test]
fn what_is_about_nodes_is_titled_by_the_nodes_and_not_by_a_service_whose_list_shows_it() {
    let rules = "version: 1\ndefaults: {notify: [team]}\nrules: [{name: nodes, match: {reason: NodeNotReady}, group_by: [cluster]}]\n";
    let mut world = World::with_rules(rules);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    let down =
        |name: &str| Event { obj_type: "Node".into(), ..warning(name, "NodeNotReady", "Node is not ready", 1, 59, 59) };
    world.poll(&web(), &[down("node-1")]);
    world.run_until(200);
    assert!(newest(&world).0.contains("node-1: NodeNotReady"), "{}", newest(&world).0);
    let names = |title: &str| !title.contains("web: ");
    assert!(names(&newest(&world).0));
    let mut several = World::with_rules(rules);
    several.watch(&[web()]);
    several.poll(&web(), &[]);
    several.run_until(60);
    several.poll(&web(), &["n1", "n2", "n3"].map(down));
    several.run_until(200);
    assert!(newest(&several).0.contains(" +1: NodeNotReady"), "{}", newest(&several).0);
}
