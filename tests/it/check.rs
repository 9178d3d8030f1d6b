//! `podbell check` from the outside: what it prints and how it ends.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use assert_cmd::cargo::CommandCargoExt as _;

/// Exit code and output of `podbell check` in a folder with these files.
fn check(files: &[(&str, &str)], args: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(folder.path(), name, text.as_bytes());
    }
    run(folder.path(), args)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn run(folder: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("podbell").unwrap();
    let output = command.current_dir(folder).arg("check").args(args).env_clear().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

const HEAD: &str = "version: 1\ndefaults: {notify: [slack]}\nrules:\n";

/// The findings of one rule file, without the notes at the end.
fn findings(rules: &str) -> String {
    let (code, text) = check(&[("rules.yaml", &format!("{HEAD}{rules}"))], &["rules.yaml"]);
    format!(
        "exit {code}\n{}",
        text.replace(
            "note: Without podbell.yaml (--config) names of destinations and people are taken as they are.\n",
            ""
        )
    )
}

const CONFIG: &str = r#"
sources:
  - {name: prod, kind: qcloud, region: gz, secret_id: "${ID}", secret_key: "${KEY}", services: [{cluster: c, discover: true}]}
notifiers:
  - {name: team-slack, kind: slack, url: "${URL}"}
  - {name: ops-wecom, kind: wecom, url: "${URL}"}
mentions: {"@oncall": {slack: S1}}
"#;

#[test]
fn every_mistake_of_a_file_is_shown_at_once() {
    insta::assert_snapshot!(findings(
        r#"  - name: a
    match: {reasons: BackOff, message: "pulling image"}
    open_when: {count: 3, within: 5}
  - name: a
    match: {reason: /*test*/, level: Waring}
    groupby: [cluster]
    severity: critcal
    open_when: {count: 2}
  - name: c
    match: {namespace: [], objName: [*test*]}
    action: ignored
    send_resolved: yes
  - name: d
    match: {reason: Foo, message: "/a(b/", objType: "/x/gi"}
    escalate: {counts: [10, 5], object: 3}
    remind_every: 1.5h
  - name: e
    notify: []
    notify: slack
    except: [{}]
    labels: [a]
  - reason: BackOff
    group_by: [worklod, cluster, cluster]
    open_when: 3
  - name: f
    match: {reason: Unhealthy}
    open_when: {lasts: 5m, settled: 5m}
  - name: g
    match: {reason: Unhealthy}
    open_when: {count: 3, within: 10m, settled: 2h}
  - name: h
    match: {reason: Unhealthy}
    open_when: {count: 3, within: 10m, settled: 5}
"#
    ));
}

#[test]
fn mistakes_of_yaml_end_a_file_with_a_place_and_advice() {
    let cases: [(&str, &str); 6] = [
        ("a tab", "  - name: a\n\tmatch: {}\n"),
        ("an open quote", "  - name: \"a\n    match: {}\n"),
        ("an open bracket", "  - name: a\n    match: {reason: [a\n"),
        ("a colon in a text", "  - name: a: b\n"),
        ("two documents", "  - name: a\n    match: {reason: a}\n---\nversion: 1\n"),
        ("a tag", "  - name: !foo a\n    match: {reason: a}\n"),
    ];
    let all: Vec<String> = cases.iter().map(|(what, text)| format!("## {what}\n{}", findings(text))).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn rules_that_can_never_fire_are_found() {
    insta::assert_snapshot!(findings(
        r#"  - {name: slow, match: {reason: [BackOff, Failed]}, open_when: {count: 5, within: 30m}}
  - {name: quiet, match: {reason: Unhealthy}, action: ignore}
  - {name: shadowed, match: {reason: BackOff, namespace: shop}}
  - {name: heard in part, match: {reason: BackOff, objType: Pod}, notify: [slack, hook]}
  - {name: ignored, match: {reason: Unhealthy, message: "*probe*"}, notify: hook}
  - {name: fine, match: {reason: "Unhealthy*"}}
  - {name: nothing left, match: {reason: Evicted, objName: web-1}, except: {objName: "web-*"}}
"#
    ));
    let scoped = "version: 1\nscope: {namespace: [shop, \"shop-*\"]}\nrules:\n  - {name: a, match: {namespace: shop-1}, notify: x}\n  - {name: b, match: {namespace: other}, notify: x}\n";
    let (code, text) = check(&[("rules.yaml", scoped)], &["rules.yaml"]);
    assert_eq!(code, 1);
    assert!(text.contains("the rule `b` can never fire: its `namespace` is outside of the scope"), "{text}");
    assert!(!text.contains("the rule `a`"), "{text}");
}

#[test]
fn names_are_compared_with_podbell_yaml() {
    let rules = "version: 1\nrules:\n  - {name: a, match: {reason: a}, notify: [team-slak], mention: [\"@oncal\"]}\n  - {name: b, match: {reason: b}, notify: [ops-wecom], mention: {critical: [\"@oncall\"]}}\n";
    let config = format!(
        "{CONFIG}rules:\n  - {{files: teams/*.yaml, may_notify: [team-slack]}}\n  - none/*.yaml\n  - missing.yaml\n"
    );
    let files = [("podbell.yaml", config.as_str()), ("teams/a.yaml", rules)];
    let (code, text) = check(&files, &[]);
    assert_eq!(code, 1);
    insta::assert_snapshot!(text);
    let (_, one) = check(&files, &["--config", "podbell.yaml", "teams/a.yaml"]);
    assert!(one.contains("this file may not notify `ops-wecom`"), "{one}");
}

#[test]
fn warnings_alone_are_no_failure_and_say_so_to_machines() {
    let rules = "version: 1\nrules:\n  - {name: a, match: {message: pulling}, notify: x}\n";
    let (code, text) = check(&[("rules.yaml", rules)], &["rules.yaml", "--output", "json"]);
    assert_eq!(code, 0);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    insta::assert_json_snapshot!(json);
}

#[test]
fn the_examples_are_good() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for args in [&["rules.example.yaml"][..], &["--config", "podbell.example.yaml"], &["podbell.example.yaml"]] {
        let (code, text) = run(root, args);
        assert_eq!((code, text.contains("all good")), (0, true), "{args:?}: {text}");
    }
}

#[test]
fn what_is_no_rule_file_gives_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "latin.yaml", b"version: 1\nrules:\n  - name: caf\xe9\n");
    write(folder.path(), "empty.yaml", b"");
    write(folder.path(), "list.yaml", b"- a\n- b\n");
    write(folder.path(), "test.yaml", b"rule_files: [a.yaml]\ntests: []\n");
    write(folder.path(), "big.yaml", &vec![b'#'; 5 << 20]);
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let files = ["latin.yaml", "empty.yaml", "list.yaml", "test.yaml", "big.yaml", "folder", "missing.yaml"];
    let (code, text) = run(folder.path(), &files);
    assert_eq!(code, 1);
    insta::assert_snapshot!(text);
}

#[test]
fn bombs_end_fast() {
    let nested = format!("{HEAD}{}", "  - [".repeat(100_000));
    let laughs: String = (1..30).map(|i| format!("a{i}: &a{i} [*a{}, *a{}]\n", i - 1, i - 1)).collect();
    let laughs = format!("a0: &a0 [x, x]\n{laughs}");
    let texts = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(100_000));
    let classes = format!(
        "{HEAD}  - name: a\n    match: {{message: [{}]}}\n",
        format!("'/(?i){}/', ", r"\w".repeat(500)).repeat(300)
    );
    let keys: String = (0..60_000).map(|i| format!("k{i}: 1\n")).collect();
    let rules: String = (0..300)
        .map(|i| {
            format!(
                "  - {{name: r{i}, match: {{reason: [{}]}}}}\n",
                (0..900).map(|j| format!("a{j},")).collect::<String>()
            )
        })
        .collect();
    let rules = format!("{HEAD}{rules}");
    let destinations = format!(
        "{HEAD}  - {{name: a, match: {{reason: a}}, notify: [{}]}}\n",
        (0..60_000).map(|i| format!("d{i},")).collect::<String>()
    );
    for (what, text) in [
        ("nested", nested),
        ("laughs", laughs),
        ("texts", texts),
        ("classes", classes),
        ("keys", keys),
        ("rules", rules),
        ("destinations", destinations),
    ] {
        let started = podbell::clock::monotonic();
        let (code, _) = check(&[("rules.yaml", &text)], &["rules.yaml"]);
        assert_eq!(code, 1, "{what}");
        // Unoptimised, on a busy machine.
        assert!(started.elapsed() < Duration::from_secs(20), "{what} took {:?}", started.elapsed());
        eprintln!("{what}: {:?}", started.elapsed());
    }
}

#[test]
fn a_missing_podbell_yaml_and_rules_that_name_no_rule_are_said_with_what_to_do() {
    let (code, text) = check(&[], &[]);
    assert_eq!(code, 1);
    assert!(text.contains("name another with --config FILE, or begin with podbell.example.yaml"), "{text}");
    let config = format!("{CONFIG}rules: [teams/*.yaml]\n");
    let (code, text) = check(&[("podbell.yaml", &config)], &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("error: `teams/*.yaml` matches no file") && text.contains("take the glob out"), "{text}");
    let config = format!("{CONFIG}rules: []\n");
    let (code, text) = check(&[("podbell.yaml", &config)], &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("podbell.yaml: 0 rules: all good"), "{text}");
    assert!(text.contains("`rules:` names no rule, so nothing is told"), "{text}");
    let (code, text) = check(&[("podbell.yaml", CONFIG)], &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("podbell.yaml: the built-in rules: all good"), "{text}");
}

#[test]
fn mistakes_in_what_keeps_rules_quiet_are_explained() {
    insta::assert_snapshot!(findings(
        r#"  - name: node
    match: {objType: Node}
    group_by: [cluster, objName]
    inhibit: {rules: [pod, gone], equal: [cluster, namespace]}
    active: {days: [mon-fri, funday], hours: "9-18", zone: Asia/Shangai}
  - name: pod
    match: {objType: Pod}
    inhibit: {rules: "nod*", equal: cluster}
  - {name: never, match: {reason: x}, active: []}
  - {name: empty, match: {reason: y}, active: {days: []}}
  - {name: itself, match: {reason: z}, inhibit: {rules: itself, equal: workload}}
maintenance:
  - {name: a, from: "2026-12-01 22:00", until: "2026-12-01 21:00", zone: Asia/Shanghai}
  - {name: a, until: tomorrow}
  - {name: b, until: "2026-12-01T22:00:00+08:00", match: {reason: Failed}}
  - {name: c}
"#
    ));
    let fine = check(
        &[(
            "rules.yaml",
            "version: 1
maintenance: {name: move, until: \"2026-12-01 22:00\", match: {cluster: cls-1, workload: 'db-*'}}
rules:
  - {name: a, match: {objType: Node}, notify: [x], inhibit: [{rules: ['b*'], equal: [cluster]}]}
  - {name: b, match: {objType: Pod}, notify: [x], active: [{days: [sat, sun]}, {hours: [\"22:00-06:00\", \"12:00-13:00\"]}]}
",
        )],
        &["rules.yaml"],
    );
    assert_eq!(fine.0, 0, "{}", fine.1);
    assert!(fine.1.contains("all good"), "{}", fine.1);
}

#[test]
fn a_line_a_day_and_maintenance_of_podbell_yaml_are_checked() {
    let config = CONFIG.replace("kind: slack, ", "kind: slack, daily: 9am, ")
        + "maintenance: [{name: move, until: never}]\nrules: [rules.yaml]\n";
    let rules = format!("{HEAD}  - {{name: a, match: {{reason: x}}, notify: [team-slack]}}\n")
        .replace("[slack]", "[team-slack]");
    insta::assert_snapshot!(check(&[("podbell.yaml", &config), ("rules.yaml", &rules)], &[]).1);
}

#[test]
fn a_secret_that_signs_nothing_a_missing_recording_and_a_runbook_that_is_no_address_are_found() {
    let config = CONFIG.replace("sources:", "sources:\n  - {name: replay, kind: file, path: gone.jsonl}")
        + "rules: [rules.yaml]\n";
    let config = config.replace(
        "mentions:",
        "  - {name: audit, kind: webhook, url: \"https://example.com\", secret: \"not base64!\"}\nmentions:",
    );
    let rules = "version: 1\nrules: [{name: a, match: {reason: x}, notify: [audit], runbook: wiki/pages}]\n";
    let (code, said) = check(&[("podbell.yaml", &config), ("rules.yaml", rules)], &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("warning: there is no file gone.jsonl yet"), "{said}");
    assert!(said.contains("error: a webhook's secret is base64"), "{said}");
    assert!(!said.contains("not base64!"), "secrets are not shown: {said}");
    assert!(said.contains("warning: a runbook is a web address"), "{said}");
}

#[test]
fn a36_typical_mistakes_are_errors_with_a_place_and_a_suggestion() {
    for (rule, place, says, suggests) in [
        ("{name: a, match: {reasons: BackOff}}", "rules.yaml:4:23", "unknown key `reasons`", "did you mean `reason`?"),
        (
            "{name: a, match: {message: \"/*test*/\"}}",
            "rules.yaml:4:34",
            "repetition",
            "for a glob leave the slashes out",
        ),
        ("{name: a, match: {reason: x}, group_wait: 5}", "rules.yaml:4:47", "`5` has no unit", "write `5s`"),
        ("{name: a, match: {reason: x, reason: y}}", "rules.yaml:4:34", "`reason` is there twice", "keep one of them"),
        ("{name: a,\n\tmatch: {reason: x}}", "rules.yaml:5:1", "does not allow a tab", "indent with spaces"),
    ] {
        let (code, said) = check(&[("rules.yaml", &format!("{HEAD}  - {rule}\n"))], &["rules.yaml"]);
        assert_eq!(code, 1, "{said}");
        for part in [place, says, suggests] {
            assert!(said.contains(part), "{rule}: no {part:?} in\n{said}");
        }
    }
}

#[test]
fn mistakes_in_the_steps_for_what_nobody_acknowledges_are_shown_at_their_places() {
    let rules = "version: 1
defaults: {notify: [team-slack]}
rules:
  - name: a
    match: {reason: Failed}
    unacknowledged:
      - {after: 15m, notify: [team-slak]}
      - {after: 15m, notify: [ops-wecom]}
      - {after: 1h, notify: []}
      - {after: 2h}
      - {notify: [ops-wecom], afer: 3h}
  - {name: b, match: {reason: BackOff}, unacknowledged: 15m}
  - {name: c, match: {reason: Killing}, action: ignore, unacknowledged: [{after: 5m, notify: team-slack}]}
";
    let config = format!("{CONFIG}rules: [{{files: r.yaml, may_notify: [team-slack]}}]\n");
    let (code, text) = check(&[("podbell.yaml", &config), ("r.yaml", rules)], &["--config", "podbell.yaml"]);
    let found: Vec<&str> = text.lines().filter(|line| line.starts_with("error") || line.contains("-->")).collect();
    assert_eq!(code, 1, "{text}");
    assert_eq!(
        found.join("\n"),
        "error: unknown destination `team-slak`
 --> r.yaml:7:31
error: steps must grow: the one before comes as late or later
 --> r.yaml:8:17
error: this file may not notify `ops-wecom`
 --> r.yaml:8:31
error: `notify` lists nothing
 --> r.yaml:9:29
error: the key `notify` is missing
  --> r.yaml:10:10
error: the key `after` is missing
  --> r.yaml:11:10
error: this file may not notify `ops-wecom`
  --> r.yaml:11:19
error: unknown key `afer`
  --> r.yaml:11:31
error: expected a step such as {after: 15m, notify: [on-call]}, found a text
  --> r.yaml:12:57
  --> r.yaml:13:73"
    );
    assert!(text.contains("a rule with `action: ignore` tells nobody"), "{text}");
}

#[test]
fn steps_and_their_absence_in_defaults_are_taken() {
    let rules = "  - {name: a, match: {reason: Failed}, unacknowledged: {after: 15m, notify: phone}}
  - {name: b, match: {reason: BackOff}, unacknowledged: off}
  - {name: c, match: {reason: Killing}, unacknowledged: []}
";
    assert!(findings(rules).starts_with("exit 0"), "{}", findings(rules));
}
