//! `podbell check` finds what can be read and does not do what is meant.

use std::process::Command;

use assert_cmd::cargo::CommandCargoExt as _;

/// What `podbell SUBCOMMAND` says in a folder with these files, and its exit code.
fn podbell(files: &[(&str, &str)], args: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = Command::cargo_bin("podbell").unwrap();
    let output = command.current_dir(folder.path()).args(args).env_clear().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

/// What is found of one `match`.
fn of_match(conditions: &str) -> String {
    let rules = format!("version: 1\ndefaults: {{notify: [chat]}}\nrules:\n  - {{name: a, match: {{{conditions}}}}}\n");
    podbell(&[("rules.yaml", &rules)], &["check", "rules.yaml"]).1
}

#[test]
fn a_pattern_that_no_name_can_fit_is_a_warning_with_what_to_write_instead() {
    for (conditions, instead) in [
        (r#"namespace: "*test*|*temp*""#, r#"["*test*", "*temp*"]"#),
        (r#"objType: "Pod|Deployment""#, r#"["Pod", "Deployment"]"#),
        (r#"reason: "(Failed|BackOff)""#, r#"["Failed", "BackOff"]"#),
        (r#"workload: ".*-test-.*""#, r#"write "*-test-*""#),
        (r#"reason: "^Failed.*$""#, r#"write "Failed*""#),
        (r#"objName: "^cart""#, r#"write "cart""#),
        (r#"objName: "cart-?""#, "/^cart-.$/"),
        (r#"objName: "cart-[0-9]""#, "/^cart-[0-9]$/"),
        (r#"service: "{web,api}""#, "a list means any of them"),
        (r#"reason: "(?i)backoff""#, "/backoff/i"),
        (r#"message: "(?i)oom""#, "/oom/i"),
        (r#"message: ".*OOM.*""#, r#"write "*OOM*""#),
        (r#"message: "*pull*|*image*""#, r#"["*pull*", "*image*"]"#),
        (r#"message: "%OOM%""#, r#"write "*OOM*""#),
        (r#"namespace: "!kube-system""#, r#"except: [{namespace: "kube-system"}]"#),
        (r#"reason: "Failed, BackOff""#, r#"["Failed", "BackOff"]"#),
        (r#"namespace: "shop bank""#, "[shop, bank]"),
        ("reason: CrashLoopBackOff", "the event's reason is `BackOff`"),
        ("reason: crashloopbackoff", "the event's reason is `BackOff`"),
        ("reason: [Unhealthy, ContainerCreating]", "FailedMount"),
        ("reason: ContainerCreating", "FailedMount"),
        ("reason: Pending", "FailedScheduling"),
        ("reason: NotReady", "NodeNotReady"),
        ("reason: /CrashLoopBackOff|ContainerCreating/", "the event's reason is `BackOff`"),
        ("reason: \"CrashLoop*\"", "the event's reason is `BackOff`"),
        ("reason: ErrImagePull", "the event's reason is `Failed`"),
        ("reason: evicted", "did you mean `Evicted`?"),
        ("reason: FAILEDMOUNT", "did you mean `FailedMount`?"),
        ("objType: pod", "did you mean `Pod`?"),
        ("objType: deployments", "did you mean `Deployment`?"),
        ("objType: pvc", "did you mean `PersistentVolumeClaim`?"),
        ("objType: Container", "did you mean `Pod`?"),
        ("namespace: Shop", r#"write "shop""#),
        (r#"workload: "Cart-*""#, r#"write "cart-*""#),
    ] {
        let said = of_match(conditions);
        assert!(said.contains("warning: ") && said.contains(instead), "{conditions}: {said}");
        assert!(said.contains("rules.yaml:4:"), "{conditions} has a place: {said}");
    }
}

#[test]
fn what_events_have_is_no_warning() {
    for conditions in [
        "reason: [Failed, BackOff, ErrImagePull, \"pod启动失败\", 操作重试]",
        "reason: \"*BackOff\"",
        "reason: /BackOff|Failed/",
        "reason: \"Node*\"",
        "reason: ReconcileError",
        "reason: \"Error*\"",
        "objType: [Pod, Node, MyKind, HorizontalPodAutoscaler]",
        r#"objName: "system:node:ip-10-0-0-1.ec2.internal""#,
        r#"cluster: "arn:aws:eks:eu-west-1:123456789012:cluster/Prod""#,
        r#"message: "*a|b is (not) found?*""#,
        r#"message: "/^Error: (a|b).*[0-9]$/""#,
        r#"namespace: ["team-*", "/^shop(-[a-z]+)?$/"]"#,
    ] {
        let said = of_match(conditions);
        assert!(said.contains("all good"), "{conditions}: {said}");
    }
}

#[test]
fn the_same_is_found_wherever_patterns_are() {
    let rules = "version: 1
scope: {namespace: \"Shop\"}
defaults: {notify: [chat]}
maintenance:
  - {name: m, until: \"2999-01-01 00:00\", match: {namespace: \"a|b\"}}
rules:
  - name: a
    match: {reason: BackOff}
    except: [{objName: \"cart-?\"}]
    sustain: {level: Normal, reason: crashloopbackoff}
";
    let (_, said) = podbell(&[("rules.yaml", rules)], &["check", "rules.yaml"]);
    assert!(said.contains("0 errors, 4 warnings"), "{said}");
    let chat = "sources: [{name: f, kind: file, path: rules.yaml}]
notifiers: [{name: s, kind: console}]
chats: [{name: c, kind: slack, signing_secret: \"${S}\", channels: [{id: C0123ABC, namespace: \"shop|bank\"}]}]
";
    let (_, said) = podbell(&[("podbell.yaml", chat), ("rules.yaml", "x")], &["check"]);
    assert!(said.contains("`shop|bank`"), "{said}");
}

fn config(more: &str) -> String {
    format!(
        "sources: [{{name: f, kind: file, path: list.json}}]
store: sqlite:podbell.db
server: {{listen: \"127.0.0.1:0\"}}
{more}
"
    )
}

const CHATS: &str = "notifiers:
  - {name: hook, kind: slack, url: \"http://127.0.0.1:1/x\"}
  - {name: wc, kind: wecom, url: \"http://127.0.0.1:1/y\"}
";

/// Everything written in podbell.yaml that keeps `run` from starting.
const REFUSED: &[(&str, &str)] = &[
    ("a name for a Slack id", "mentions: {\"@x\": {slack: zhangsan}}"),
    ("an address for a Slack id", "mentions: {\"@x\": {slack: ann@example.com}}"),
    ("a WeCom user in characters", "mentions: {\"@x\": {wecom: 张三}}"),
    ("a WeCom user with a blank", "mentions: {\"@x\": {wecom: \"zhang san\"}}"),
    ("a certificate file that is not there", "http: {ca_file: nothere.pem}"),
    ("a certificate file that is none", "http: {ca_file: list.json}"),
    ("a proxy that is no address", "http: {proxy: \"::nonsense\"}"),
    ("an address that is none", "notifiers: [{name: a, kind: slack, url: \"ftp://127.0.0.1/x\"}]"),
    (
        "a webhook's secret that is no base64",
        "notifiers: [{name: a, kind: webhook, url: \"http://a/\", secret: \"%%\"}]",
    ),
    ("two notifiers of one name", "notifiers: [{name: a, kind: console}, {name: a, kind: console}]"),
    ("a token that is too short", "server: {listen: \"127.0.0.1:0\", tokens: [{name: a, token: short}]}"),
    ("an address to listen on that is none", "server: {listen: nowhere}"),
    (
        "a key of WeCom that is none",
        "chats: [{name: c, kind: wecom-app, corp_id: ww1, agent_id: 1, secret: sssss, token: tttt, encoding_aes_key: short}]",
    ),
    ("a rule file that is not there", "rules: [nothere.yaml]"),
];

#[test]
fn what_run_refuses_check_finds_with_its_place() {
    for (what, written) in REFUSED {
        let own = ["notifiers", "server"].map(|key| written.starts_with(key));
        let notifiers = if own[0] { "" } else { CHATS };
        let yaml = config(&format!("{notifiers}{written}"));
        let yaml = if own[1] { yaml.replace("server: {listen: \"127.0.0.1:0\"}\n", "") } else { yaml };
        let files = [("podbell.yaml", yaml.as_str()), ("list.json", "{}")];
        let (code, said) = podbell(&files, &["check"]);
        assert!(code == 1 && said.contains("error: ") && said.contains("podbell.yaml:"), "{what}: {said}");
        let (code, refused) = podbell(&files, &["run", "--store-wait", "0"]);
        assert!(code == 1, "{what}: {refused}");
        let first = said.lines().find(|line| line.starts_with("error: ")).unwrap();
        assert!(refused.contains(first), "{what}: run says the same: {refused}");
    }
}

#[test]
fn mentions_are_understood_as_people_write_them() {
    for (written, slack, wecom) in [
        ("{slack: U0123ABC, wecom: zhangsan}", "<@U0123ABC>", "<@zhangsan>"),
        ("{slack: \"@U0123ABC\", wecom: \"@zhangsan\"}", "<@U0123ABC>", "<@zhangsan>"),
        ("{slack: \"<@U0123ABC>\", wecom: \"<@zhangsan>\"}", "<@U0123ABC>", "<@zhangsan>"),
        ("{slack: \"<!subteam^S0123ABC>\", wecom: all}", "<!subteam^S0123ABC>", "<@all>"),
        ("{slack: \"@here\", wecom: \"@all\"}", "<!here>", "<@all>"),
        ("{slack: \"<!channel>\", wecom: \"<@all>\"}", "<!channel>", "<@all>"),
    ] {
        let yaml = config(&format!("{CHATS}mentions: {{\"@x\": {written}}}\nrules: [r.yaml]"));
        let rules =
            "version: 1\nrules:\n  - {name: all, match: {level: Warning}, notify: [hook, wc], mention: [\"@x\"]}\n";
        let files = [("podbell.yaml", yaml.as_str()), ("list.json", "{}"), ("r.yaml", rules)];
        assert!(podbell(&files, &["check"]).1.contains("all good"), "{written}");
        for (platform, body) in [("slack", slack), ("wecom", wecom)] {
            let (code, said) = podbell(&files, &["preview", "--config", "podbell.yaml", "--platform", platform]);
            let body = [body.to_owned(), body.replace('<', "\\u003c").replace('>', "\\u003e")];
            assert!(code == 0 && body.iter().any(|body| said.contains(body)), "{platform} {written}: {said}");
        }
    }
}

#[test]
fn hours_on_no_named_clock_are_a_warning_where_readers_have_another() {
    let rules = |zone: &str| {
        format!(
            "version: 1
defaults: {{notify: [ops]}}
maintenance:
  - {{name: m, from: \"2999-01-01 00:00\", until: \"2999-01-02 00:00\"{zone}}}
rules:
  - {{name: a, match: {{reason: BackOff}}, active: {{days: mon-fri, hours: \"09:00-18:00\"{zone}}}}}
"
        )
    };
    let said = |rules: &str, zone: &str| {
        let yaml = config(&format!(
            "notifiers: [{{name: ops, kind: wecom, url: \"http://127.0.0.1:1/x\"{zone}}}]\nrules: [r.yaml]"
        ));
        podbell(&[("podbell.yaml", &yaml), ("list.json", "{}"), ("r.yaml", rules)], &["check"]).1
    };
    let unsaid = said(&rules(""), ", time_zone: Asia/Shanghai");
    assert!(unsaid.contains("0 errors, 2 warnings") && unsaid.contains("zone: Asia/Shanghai"), "{unsaid}");
    assert!(unsaid.contains("r.yaml:6:") && unsaid.contains("r.yaml:4:"), "{unsaid}");
    assert!(said(&rules(", zone: Asia/Shanghai"), ", time_zone: Asia/Shanghai").contains("all good"));
    assert!(said(&rules(", zone: UTC"), ", time_zone: Asia/Shanghai").contains("all good"), "said is meant");
    assert!(said(&rules(""), "").contains("all good"), "UTC for readers of UTC");
    let offsets = rules(", zone: UTC").replace("00:00\"", "00:00:00+08:00\"").replace(" 00:00:00", "T00:00:00");
    assert!(said(&offsets, ", time_zone: Asia/Shanghai").contains("all good"));
}

#[test]
fn an_edge_in_the_hour_of_a_clock_change_and_planned_work_that_is_over_are_warnings() {
    let check = |maintenance: &str, active: &str| {
        let rules = format!(
            "version: 1\ndefaults: {{notify: [ops]}}\nmaintenance: [{maintenance}]\nrules:\n  \
             - {{name: a, match: {{reason: BackOff}}, active: {active}}}\n"
        );
        podbell(&[("rules.yaml", &rules)], &["check", "rules.yaml"]).1
    };
    let office = "{hours: \"09:00-18:00\", zone: Europe/Berlin}";
    let at =
        |from: &str, until: &str| format!("{{name: m, from: \"{from}\", until: \"{until}\", zone: Europe/Berlin}}");
    let good = at("2999-01-01 02:30", "2999-01-01 03:30");
    for (active, said) in [
        ("{hours: \"02:30-18:00\", zone: Europe/Berlin}", "02:30 is skipped on 2026-03-29 in Europe/Berlin"),
        ("{days: sat, hours: \"22:00-02:30\", zone: Europe/Berlin}", "02:30 is skipped"),
        ("{hours: \"01:30-18:00\", zone: America/New_York}", "01:30 is there twice on 2026-11-01"),
        ("{days: mon-fri, hours: \"02:30-18:00\", zone: Europe/Berlin}", "all good"),
        ("{hours: \"02:00-03:00\", zone: Asia/Shanghai}", "all good"),
        (office, "all good"),
    ] {
        let checked = check(&good, active);
        assert!(checked.contains(said), "{active}: {checked}");
    }
    // Sundays on which the clock of Berlin changes: in 2997 as well, by the law of today.
    for (maintenance, said) in [
        (at("2026-03-29 02:30", "2999-01-01 00:00"), "`2026-03-29 02:30` is skipped there"),
        (at("2026-10-25 02:15", "2999-01-01 00:00"), "`2026-10-25 02:15` is there twice"),
        (at("2025-12-01 02:00", "2025-12-01 22:00"), "the maintenance `m` ended"),
    ] {
        let checked = check(&maintenance, office);
        assert!(checked.contains(said) && checked.contains("0 errors, 1 warning"), "{maintenance}: {checked}");
    }
    let yaml = config(&format!("{CHATS}maintenance: [{}]", at("2025-12-01 02:00", "2025-12-01 22:00")));
    let (_, said) = podbell(&[("podbell.yaml", &yaml), ("list.json", "{}")], &["check"]);
    assert!(said.contains("the maintenance `m` ended"), "{said}");
}

#[test]
fn a_zone_that_several_places_share_is_asked_for_and_not_guessed() {
    for (zone, meant) in [
        ("CST", "Asia/Shanghai"),
        ("CST", "America/Chicago"),
        ("cst", "Asia/Shanghai"),
        ("IST", "Asia/Kolkata"),
        ("BST", "Europe/London"),
        ("Asia/Beijing", "Asia/Shanghai"),
        ("UTC+8", "Asia/Shanghai"),
        ("GMT+08:00", "Asia/Shanghai"),
        ("UTC-5", "Etc/GMT+5"),
        ("China Standard Time", "Asia/Shanghai"),
        ("Asia/Shangai", "did you mean `Asia/Shanghai`?"),
        ("XYZ", "the name of a place"),
    ] {
        let yaml = config(&format!("notifiers: [{{name: s, kind: console, time_zone: \"{zone}\"}}]"));
        let (code, said) = podbell(&[("podbell.yaml", &yaml), ("list.json", "{}")], &["check"]);
        assert!(code == 1 && said.contains(meant) && !said.contains("CET"), "{zone}: {said}");
        let rules = format!(
            "version: 1\nrules:\n  - {{name: a, match: {{reason: BackOff}}, notify: [s], active: {{hours: \"09:00-18:00\", zone: \"{zone}\"}}}}\n"
        );
        let (code, said) = podbell(&[("rules.yaml", &rules)], &["check", "rules.yaml"]);
        assert!(code == 1 && said.contains(meant) && !said.contains("CET"), "{zone}: {said}");
    }
}
