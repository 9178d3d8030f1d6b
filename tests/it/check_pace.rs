//! `podbell check` on windows that are too narrow for how often reporters speak, or podbell reads.

use podbell_core::diagnostic::Source;
use podbell_core::rules::{Names, RuleFile, compile, pace};
use std::time::Duration;

/// The first words of what is found in a rule, and of the help.
fn found(rule: &str, poll_every: Option<u64>) -> Vec<String> {
    let text = format!("version: 1\ndefaults: {{notify: [chat]}}\nrules:\n  - {{name: r, {rule}}}\n");
    let file = RuleFile {
        source: Source::new("r.yaml", &text),
        entry: 0,
        scope: None,
        names: Names::default(),
        defaults: Default::default(),
    };
    let compiled = compile(&file);
    assert!(!compiled.has_errors(), "{:?}", compiled.diagnostics);
    let found = pace::check(&compiled.rules, poll_every.map(Duration::from_secs));
    found.iter().map(|finding| finding.help.clone().unwrap()).collect()
}

#[test]
fn a_count_of_what_the_kubelet_or_a_scheduler_says_needs_a_window_as_wide_as_their_silence() {
    for (rule, help) in [
        ("match: {reason: BackOff}, open_when: {count: 3, within: 10m}", Some("`within: 15m`")),
        ("match: {reason: [Odd, Failed]}, open_when: {count: 2, within: 9m}", Some("`within: 10m`")),
        ("match: {reason: \"FailedM*\"}, open_when: {count: 5, within: 20m}", Some("`within: 25m`")),
        ("match: {reason: FailedScheduling}, open_when: {count: 2, within: 20m}", Some("`within: 1h12m`")),
        ("match: {reason: BackOff}, open_when: {count: 3, within: 15m}", None),
        ("match: {reason: BackOff}, open_when: {count: 3, within: 5m, lasts: 5m}", None),
        ("match: {reason: BackOff}, open_when: {count: 1}", None),
        ("match: {reason: Evicted}, open_when: {count: 3, within: 1m}", None),
        ("match: {reason: \"*\"}, open_when: {count: 3, within: 1m}", None),
        ("match: {message: /x/}, open_when: {count: 3, within: 1m}", None),
        ("match: {reason: BackOff}, action: ignore, open_when: {count: 3, within: 1m}", None),
    ] {
        let found = found(rule, None);
        assert_eq!(found.len(), usize::from(help.is_some()), "{rule}: {found:?}");
        assert!(help.is_none_or(|help| found[0].contains(help)), "{rule}: {found:?}");
    }
}

#[test]
fn a_window_of_less_than_the_time_between_two_polls_is_doubted() {
    let rule = "match: {reason: Odd}, open_when: {count: 3, within: 20s}";
    assert_eq!(found(rule, Some(60)).len(), 1);
    assert!(found(rule, Some(60))[0].contains("`within: 1m`"));
    assert_eq!(found(rule, Some(15)), [""; 0]);
    assert_eq!(found(rule, None), [""; 0], "what watches sees everything when it happens");
    // Two occurrences of an entry are dated both.
    assert_eq!(found("match: {reason: Odd}, open_when: {count: 2, within: 20s}", Some(60)), [""; 0]);
}

#[test]
fn a_silence_that_is_shorter_than_the_reporters_is_doubted() {
    for (rule, help) in [
        ("match: {reason: Unhealthy}, resolve_after: 2m", Some("`resolve_after: 10m`")),
        ("match: {reason: FailedScheduling}, resolve_after: 10m, until: silence", Some("`resolve_after: 41m`")),
        ("match: {reason: FailedScheduling}, resolve_after: 10m", None),
        ("match: {reason: Unhealthy}, resolve_after: 5m", None),
        ("match: {reason: Odd}, resolve_after: 1s", None),
    ] {
        let found = found(rule, None);
        assert_eq!(found.len(), usize::from(help.is_some()), "{rule}: {found:?}");
        assert!(help.is_none_or(|help| found[0].contains(help)), "{rule}: {found:?}");
    }
}
