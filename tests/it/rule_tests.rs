//! `podbell test` from the outside: what it runs, prints and how it ends.

use std::fmt::Write as _;
use std::path::Path;

use crate::support::process::{podbell, printed};

/// A rule file whose steps a test expects.
const STEPS: &str = "version: 1
rules:
  - {name: pulls, match: {reason: Failed}, notify: [team], unacknowledged: [{after: 3m, notify: [on-call]}]}
";

const RULES: &str = r#"version: 1
defaults: {notify: [team]}
rules:
  - name: quiet
    match: {reason: Unhealthy}
    action: ignore
  - name: pulls
    match: {reason: [Failed, BackOff]}
    escalate: {counts: [10, 100]}
    notify: [team, ops]
  - {name: rest, match: {}}
"#;

/// Exit code and output of `podbell test` on these tests, under [`RULES`].
fn run(tests: &str, args: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), tests);
    let args: Vec<&str> = ["test", "a.test.yaml"].iter().chain(args).copied().collect();
    let output = podbell(folder.path(), &args).output().unwrap();
    // The time it took is another each time.
    let text = regex::Regex::new(r"in \d+\.\d+ s").unwrap().replace(&printed(&output), "in 0.00 s").into_owned();
    (output.status.code().unwrap(), text)
}

fn write(folder: &Path, tests: &str) {
    std::fs::write(folder.join("rules.yaml"), RULES).unwrap();
    std::fs::write(folder.join("a.test.yaml"), format!("rule_files: [rules.yaml]\ntests:\n{tests}")).unwrap();
}

/// A test of one event; `event` and `expect` are in flow style.
fn one(event: &str, expect: &str) -> (i32, String) {
    run(&format!("  - {{name: one, events: [{event}], expect: {expect}}}\n"), &[])
}

#[track_caller]
fn passes(event: &str, expect: &str) {
    let (code, text) = one(event, expect);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn counts_are_successive_polls_and_exactly_what_is_expected_must_come() {
    passes(
        r#"{reason: Failed, objName: web-1, counts: "1 12 12x15"}"#,
        "[{at: 0m, notice: opened, rule: pulls, to: [ops, team]}, {at: 1m, notice: escalated}, {at: 16m, notice: resolved}]",
    );
}

#[test]
fn a_gap_is_no_change_and_no_end() {
    passes(r#"{reason: Failed, counts: "5 _x10 5"}"#, "[{at: 0m, notice: opened}]");
    passes(r#"{reason: Failed, counts: "5 _x15"}"#, "[{notice: opened}, {at: 15m, notice: resolved}]");
}

#[test]
fn failed_polls_end_nothing() {
    passes(r#"{reason: Failed, counts: "5 !x40"}"#, "[{at: 0m, notice: opened}]");
    passes(r#"{reason: Failed, counts: "5 !x20 5"}"#, "[{notice: opened}, {at: 15m, notice: resolved}]");
}

#[test]
fn an_empty_expectation_means_silence() {
    passes(r#"{reason: Unhealthy, counts: "5 500"}"#, "[]");
    passes(r#"{reason: Failed, level: Normal, counts: "5 500"}"#, "[]");
    let (code, text) = one(r#"{reason: Failed, counts: "5"}"#, "[]");
    assert_eq!(code, 1);
    assert!(text.contains("+ {at: 0m, notice: opened, rule: pulls, to: [ops, team]}"), "{text}");
}

#[test]
fn severity_title_and_text_are_compared_where_they_are_given() {
    let event = r#"{objName: web-6d4cf56db6-x2x7v, reason: Failed, message: "no such image", counts: "5"}"#;
    passes(event, r#"[{notice: opened, severity: warning, title: "*default/web*", text: "/no such image/"}]"#);
    for other in ["severity: critical", "title: other", "text: /other/"] {
        assert_eq!(one(event, &format!("[{{notice: opened, {other}}}]")).0, 1, "{other}");
    }
}

#[test]
fn vague_expectations_are_paired_so_that_as_many_as_possible_hold() {
    // The first fits all three; taking the earliest for it would leave the second without one.
    passes(r#"{reason: Failed, counts: "5 12 12x15"}"#, "[{rule: pulls}, {notice: opened}, {at: 1m}]");
}

#[test]
fn several_targets_have_lists_of_their_own() {
    let (code, text) = run(
        r#"  - name: two services
    every: 30s
    events:
      - {service: web, reason: Failed, objName: web-1, counts: "1 2"}
      - {service: api, namespace: other, reason: Oops, objName: api-1, counts: "_ 1"}
    expect:
      - {at: 0m, notice: opened, rule: pulls, title: "*default/web*"}
      - {at: 30s, notice: opened, rule: rest, to: team, title: "*other/api*"}
"#,
        &[],
    );
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_difference_is_readable_and_says_where() {
    let (code, text) = run(
        r#"  - name: a pull that fails
    events:
      - {objName: web-6d4cf56db6-x2x7v, reason: Failed, message: "no such image", counts: "1 12 12 120 120"}
    expect:
      - {at: 0m, notice: opened, rule: pulls}
      - {at: 2m, notice: escalated, rule: pulls}
      - {at: 4m, notice: resolved, rule: pulls}
  - name: one that passes
    events: [{reason: Unhealthy, counts: "1"}]
    expect: []
"#,
        &[],
    );
    insta::assert_snapshot!(format!("exit {code}\n{text}"));
}

#[test]
fn where_only_words_differ_the_words_are_shown() {
    let (code, text) = one(
        r#"{objName: web-6d4cf56db6-x2x7v, reason: Failed, message: "no such image", counts: "5"}"#,
        "[{notice: opened, severity: critical, text: /no such volume/}]",
    );
    insta::assert_snapshot!(format!("exit {code}\n{text}"));
}

#[test]
fn every_mistake_of_a_test_file_is_shown_at_once() {
    let (code, text) = run(
        r#"  - name: counts
    event: []
    events:
      - {reason: Failed, counts: "1 many 3"}
      - {reason: Failed, counts: "_ !"}
      - {reason: Failed, count: 3}
    expects: []
  - name: counts
    every: 0s
    start: yesterday
    events: [{reason: Failed, level: warning, counts: 1}]
    expect:
      - {at: 5, notice: opend}
      - {title: "/(/"}
"#,
        &[],
    );
    insta::assert_snapshot!(format!("exit {code}\n{text}"));
}

#[test]
fn unknown_rules_and_destinations_are_errors_with_a_suggestion() {
    let (code, text) = one(r#"{reason: Failed, counts: "1"}"#, "[{rule: puls, to: [teem]}]");
    insta::assert_snapshot!(format!("exit {code}\n{text}"));
}

#[test]
fn rule_files_that_cannot_be_used_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "  - {name: a, events: [{reason: x, counts: 1}], expect: []}\n");
    std::fs::write(
        folder.path().join("rules.yaml"),
        "version: 1\nrules:\n  - {name: a, match: {raeson: x}, notify: t}\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("b.test.yaml"), "rule_files: [none.yaml, \"no/*.yaml\"]\ntests: []\n").unwrap();
    let output = podbell(folder.path(), &["test", "a.test.yaml", "b.test.yaml", "c.test.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(printed(&output));
}

#[test]
fn files_that_are_no_test_files_are_told_as_what_they_are() {
    let good = "rule_files: [rules.yaml]\ntests:\n  - {name: 失败, events: [{reason: Failed, counts: 1}], expect: [{rule: pulls}]}\n";
    let marked = format!("\u{feff}{}", good.replace('\n', "\r\n"));
    let wide: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let gbk = b"rule_files: [rules.yaml]\ntests:\n  - {name: \xca\xa7\xb0\xdc}\n";
    let cut = good.len() - 30;
    for (bytes, code, words) in [
        (good.as_bytes(), 0, "1 passed"),
        (marked.as_bytes(), 0, "1 passed"),
        (&[b"\xff\xfe", &wide[..]].concat(), 1, "not UTF-8"),
        (gbk, 1, "a.test.yaml:3:13"),
        (&good.as_bytes()[..cut], 1, "a.test.yaml:3:"),
        (good.replace("Failed", "Fai\0led").as_bytes(), 1, "a.test.yaml:3:37"),
        (b"", 1, "expected a test file"),
        (RULES.as_bytes(), 1, "this is a rule file, not a test of one"),
        (b"rule_files: [rules.yaml]\ntests: []\n", 1, "no test to run"),
        (b"{\"at\": \"2026-01-01 10:00:00\", \"eventList\": []}\n", 1, "the key `rule_files` is missing"),
        (&[b'['; 100_000], 1, "recursion limit"),
        (&[b'x'; 5_000_000], 1, "at most 4194304 are allowed"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "");
        std::fs::write(folder.path().join("a.test.yaml"), bytes).unwrap();
        let output = podbell(folder.path(), &["test", "a.test.yaml"]).output().unwrap();
        let said = printed(&output);
        assert!(output.status.code() == Some(code) && said.contains(words), "{words}: {said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let output = podbell(folder.path(), &["test", "."]).output().unwrap();
    assert!(printed(&output).contains("this is a directory"), "{}", printed(&output));
}

#[test]
fn coverage_names_what_no_test_fired_and_can_be_enforced() {
    let tests = r#"  - name: a pull that fails
    events: [{reason: Failed, counts: "1 12x6"}]
    expect: [{notice: opened}, {at: 1m, notice: escalated}]
  - name: noise
    events: [{reason: Unhealthy, counts: "1"}]
    expect: []
"#;
    let (code, text) = run(tests, &["--coverage"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(text, @r"
    not fired: rules.yaml:rest
    not fired: rules.yaml:pulls: escalation at 100 occurrences
    coverage: 3 of 5 rules and steps, 60%
    ok: 2 passed, 0 failed, in 0.00 s
    ");
    assert_eq!(run(tests, &["--min-coverage", "60"]).0, 0);
    let (code, text) = run(tests, &["--min-coverage", "61"]);
    assert_eq!(code, 1);
    assert!(text.contains("less than the 61%"), "{text}");
}

#[test]
fn some_tests_can_be_chosen_by_name() {
    let tests = "  - {name: a stuck image, events: [{reason: Failed, counts: 1}], expect: []}\n  \
                   - {name: noise, events: [{reason: Unhealthy, counts: 1}], expect: []}\n";
    assert_eq!(run(tests, &[]).0, 1);
    for chosen in ["noise", "noi", "n*e", "/^NOISE$/i"] {
        let (code, text) = run(tests, &["--run", chosen]);
        assert_eq!((code, text.contains("1 passed")), (0, true), "{chosen}: {text}");
    }
    let (code, text) = run(tests, &["--run", "other"]);
    assert_eq!((code, text.as_str()), (1, "error: no test to run: --run fits none\n"));
    assert_eq!(run(tests, &["--run", "/(/"]).0, 2);
}

#[test]
fn a_junit_report_tells_a_build_server_what_failed() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "  - {name: \"a <stuck> image\", events: [{reason: Failed, counts: 1}], expect: []}\n  \
           - {name: noise, events: [{reason: Unhealthy, counts: 1}], expect: []}\n",
    );
    let output = podbell(folder.path(), &["test", "a.test.yaml", "--junit", "report.xml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report = std::fs::read_to_string(folder.path().join("report.xml")).unwrap();
    insta::assert_snapshot!(regex::Regex::new(r#"time="[^"]*""#).unwrap().replace_all(&report, "time=\"…\""));
    let output = podbell(folder.path(), &["test", "a.test.yaml", "--junit", "no/folder.xml"]).output().unwrap();
    assert!(printed(&output).contains("cannot write no/folder.xml"), "{}", printed(&output));
}

#[test]
fn machines_can_read_the_results() {
    let (code, text) = run(
        "  - {name: a, events: [{reason: Failed, counts: 1}], expect: [{notice: resolved}]}\n",
        &["--output", "json", "--coverage"],
    );
    assert_eq!(code, 1);
    let said: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(said["tests"][0]["passed"], false);
    assert_eq!(said["tests"][0]["missing"][0], "{notice: resolved}");
    assert_eq!(said["tests"][0]["unexpected"][0], "{at: 0m, notice: opened, rule: pulls, to: [ops, team]}");
    assert_eq!(said["coverage"]["items"], 5);
}

#[test]
fn a_thousand_cases_run_in_one_go() {
    let mut tests = String::new();
    for case in 0..1000 {
        let _ = writeln!(
            tests,
            "  - {{name: case {case}, events: [{{reason: Failed, counts: \"1 12 12x20\"}}], \
             expect: [{{at: 0m, notice: opened}}, {{at: 1m, notice: escalated}}, {{at: 16m, notice: resolved}}]}}"
        );
    }
    let (code, text) = run(&tests, &[]);
    assert_eq!((code, text.as_str()), (0, "ok: 1000 passed, 0 failed, in 0.00 s\n"));
}

#[test]
fn the_example_and_the_shipped_rules_pass_their_tests_and_are_covered() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (rules, tests) in
        [("rules.example.yaml", "rules.example.test.yaml"), ("rules/kubernetes.yaml", "rules/kubernetes.test.yaml")]
    {
        let output = podbell(root, &["test", tests, "--min-coverage", "100"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        let output = podbell(root, &["check", rules]).output().unwrap();
        assert!(printed(&output).contains("all good"), "{}", printed(&output));
    }
}

#[test]
fn a_step_for_what_nobody_acknowledged_is_expected_like_any_notice() {
    let folder = tempfile::tempdir().unwrap();
    let tests = "  - name: one
    events: [{reason: Failed, counts: \"1x20\"}]
    expect:
      - {at: 0m, notice: opened, to: [team]}
      - {at: 3m, notice: opened, to: [on-call], text: \"/Nobody acknowledged this for 3 min/\"}
      - {at: 15m, notice: resolved, to: [team]}
      - {at: 15m, notice: resolved, to: [on-call]}
";
    write(folder.path(), tests);
    std::fs::write(folder.path().join("rules.yaml"), STEPS).unwrap();
    let output = podbell(folder.path(), &["test", "a.test.yaml"]).output().unwrap();
    assert!(output.status.success(), "{}", printed(&output));
}
