//! Rules and the events they belong to, through the public way: YAML in, claims out.

use std::time::Duration;

use proptest::prelude::*;

use podbell_core::diagnostic::Source;
use podbell_core::event::{Event, Level, Subject, Target};
use podbell_core::rule::{
    Action, Conditions, CountSteps, Destination, Field, OpenWhen, Pattern, Rule, RuleKey, RuleSettings, Severity,
};
use podbell_core::rules::settings::Partial;
use podbell_core::rules::{Names, RuleFile, RuleId, Rules, compile};
use podbell_core::time::Time;

/// The rules of these files, one entry each.
fn rules(files: &[&str]) -> Rules {
    let mut all = Vec::new();
    for (entry, text) in (0..).zip(files) {
        let file = RuleFile {
            source: Source::new(&format!("{entry}.yaml"), *text),
            entry,
            scope: None,
            names: Names::default(),
            defaults: Partial::default(),
        };
        let compiled = compile(&file);
        assert!(!compiled.has_errors(), "{:?}", compiled.diagnostics);
        all.extend(compiled.rules.into_iter().map(|located| located.rule));
    }
    Rules::new(all)
}

fn event(level: Level, reason: &str, name: &str, message: &str) -> Event<'static> {
    Event {
        first_seen: Time::default(),
        last_seen: Time::default(),
        count: 1,
        level,
        obj_type: "Pod".into(),
        obj_name: name.to_owned().into(),
        reason: reason.to_owned().into(),
        message: message.to_owned().into(),
        ..Event::default()
    }
}

/// Claims as `name>destination,destination`.
fn claims(rules: &Rules, namespace: &str, event: &Event<'_>) -> Vec<String> {
    let target = Target::new("prod", "cls-1", namespace, "web");
    let claims = rules.claims(&Subject { target: &target, event, workload: "web" });
    let name = |id| rules.get(id).settings.key.name.to_string();
    claims.iter().map(|claim| format!("{}>{}", name(claim.rule), claim.destinations.join(","))).collect()
}

const EXAMPLE: &str = include_str!("../../rules.example.yaml");

#[test]
fn the_example_means_what_its_comments_say() {
    let rules = rules(&[EXAMPLE]);
    let pull = event(Level::Warning, "Failed", "web-1", "Error: ErrImagePull");
    assert_eq!(claims(&rules, "shop-eu", &pull), ["image-pull>team-slack,ops-wecom"]);
    assert_eq!(claims(&rules, "other", &pull), [""; 0]);
    let canary = event(Level::Warning, "Failed", "canary-1", "Error: ErrImagePull");
    assert_eq!(claims(&rules, "shop", &canary), [""; 0]);
    let settings = &rules.get(RuleId(0)).settings;
    assert_eq!(settings.severity, Severity::Critical);
    assert_eq!(settings.open_when, OpenWhen { count: Some(3), within: Duration::from_secs(1200), ..OpenWhen::AT_ONCE });
    assert_eq!((settings.min_gap, settings.remind_every), (Duration::ZERO, Some(Duration::from_secs(4 * 3600))));
    assert_eq!(settings.escalate.counts, CountSteps::Listed(vec![10, 100, 1000]));
    assert_eq!((settings.escalate.objects.as_slice(), settings.escalate.news), (&[5, 20][..], true));
    assert_eq!(settings.mention[&Severity::Critical], ["@oncall"]);
}

#[test]
fn a_teams_ignore_leaves_the_operators_rule_alone_and_one_destination_gets_one_message() {
    let team = "version: 1\nrules:\n  - {name: quiet, match: {reason: Unhealthy}, action: ignore}\n  - {name: pull, match: {message: \"*pull*\"}, notify: slack}\n";
    let operator =
        "version: 1\ndefaults: {notify: [slack, hook]}\nrules:\n  - {name: audit, match: {level: Warning}}\n";
    let rules = rules(&[team, operator]);
    let said = |reason, message| claims(&rules, "shop", &event(Level::Warning, reason, "web-1", message));
    assert_eq!(said("Failed", "cannot pull"), ["pull>slack", "audit>hook"]);
    assert_eq!(said("Unhealthy", "cannot pull"), ["audit>slack,hook"]);
}

#[test]
fn normal_events_sustain_only_what_they_are_about() {
    let off = "version: 1\nrules:\n  - {name: off, match: {reason: a}, notify: x, sustain: off}\n  - {name: own, match: {reason: b}, notify: x, sustain: {reason: Pulling}}\n";
    let rules = rules(&[EXAMPLE, off]);
    let target = Target::new("prod", "cls-1", "shop", "web");
    let check = |reason: &str, level, expected: [bool; 3]| {
        let event = event(level, reason, "web-1", "Back-off pulling image");
        let subject = Subject { target: &target, event: &event, workload: "web" };
        let ids = ["image-pull", "off", "own"].map(|name| rules.iter().find(|(_, r)| &*r.settings.key.name == name));
        let said = ids.map(|found| found.is_some_and(|(id, _)| rules.sustains(id, &subject)));
        assert_eq!(said, expected, "{reason}");
        assert_eq!(rules.could_sustain(&subject), expected.contains(&true), "{reason}");
    };
    check("BackOff", Level::Normal, [true, false, false]);
    check("操作重试", Level::Normal, [true, false, false]);
    check("BackOff", Level::Warning, [false, false, false]);
    check("Pulling", Level::Normal, [true, false, true]);
}

#[test]
fn group_keys_follow_group_by() {
    let rules =
        rules(&["version: 1\nrules:\n  - {name: a, match: {reason: a}, notify: x, group_by: [namespace, reason]}\n"]);
    let (target, event) = (Target::new("prod", "cls-1", "shop", "web"), event(Level::Warning, "a", "web-1", ""));
    let subject = Subject { target: &target, event: &event, workload: "web" };
    let key = rules.group_key(RuleId(0), &subject);
    assert_eq!(key, [(Field::Namespace, "shop".to_owned()), (Field::Reason, "a".to_owned())]);
    let found = rules.find(&RuleKey { file: "0.yaml".into(), name: "a".into() });
    assert_eq!(found, Some(RuleId(0)));
    assert!(rules.matches(RuleId(0), &subject));
}

/// The claims by trying every rule: what the index must agree with.
fn by_trying_all(rules: &Rules, subject: &Subject<'_>) -> Vec<(RuleId, Vec<Destination>)> {
    let (mut claims, mut ignored, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for (id, rule) in rules.iter() {
        if ignored.contains(&rule.entry) || !fits(rule, subject) {
            continue;
        }
        if rule.action == Action::Ignore {
            ignored.push(rule.entry);
            continue;
        }
        let won: Vec<_> = rule.settings.notify.iter().filter(|to| !taken.contains(*to)).cloned().collect();
        taken.extend(won.iter().cloned());
        if !won.is_empty() {
            claims.push((id, won));
        }
    }
    claims
}

fn fits(rule: &Rule, subject: &Subject<'_>) -> bool {
    let fit = |conditions: &Conditions| {
        conditions.keys().iter().all(|(field, patterns)| {
            patterns.iter().any(|pattern| {
                let text = field.of(subject);
                match pattern.as_str().strip_prefix('/') {
                    None => pattern.matches(text),
                    Some(rest) => {
                        let (source, flags) = rest.rsplit_once('/').unwrap();
                        let mut builder = regex::RegexBuilder::new(source);
                        builder.case_insensitive(flags == "i").build().unwrap().is_match(text)
                    }
                }
            })
        })
    };
    fit(&rule.matching) && rule.scopes.iter().all(fit) && !rule.except.iter().any(fit)
}

/// Few letters, among them those that fold in odd ways, so that things meet.
fn word() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![Just('a'), Just('b'), Just('K'), Just('s'), Just('S'), Just('ſ'), Just('\u{212A}'), Just('失')],
        0..7,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

fn pattern() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        word(),
        Just("[ab]".into()),
        Just("(a|ss)".into()),
        Just("k?".into()),
        Just("b+".into()),
        Just(".*".into()),
        Just("^".into()),
        Just("(?i:kS)".into())
    ];
    prop_oneof![
        word(),
        (word(), word()).prop_map(|(a, b)| format!("{a}*{b}")),
        (word(), word(), word()).prop_map(|(a, b, c)| format!("*{a}{b}*{c}")),
        (proptest::collection::vec(piece, 1..5), any::<bool>()).prop_map(|(pieces, fold)| format!(
            "/{}/{}",
            pieces.concat(),
            if fold { "i" } else { "" }
        )),
    ]
}

fn some_conditions() -> impl Strategy<Value = Conditions> {
    let field = proptest::sample::select(vec![Field::Namespace, Field::Reason, Field::Message, Field::ObjName]);
    let key = (field, proptest::collection::vec(pattern(), 1..3));
    proptest::collection::vec(key, 0..3).prop_map(|keys| {
        keys.into_iter().fold(Conditions::any(), |conditions, (field, patterns)| {
            let patterns: Vec<_> = patterns.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
            if patterns.is_empty() { conditions } else { conditions.with(field, patterns) }
        })
    })
}

fn some_rule() -> impl Strategy<Value = Rule> {
    let destinations = proptest::sample::subsequence(vec!["x", "y", "z"], 1..3);
    (some_conditions(), proptest::option::of(some_conditions()), some_conditions(), destinations, 0..3_u32, 0..6_u8)
        .prop_map(|(matching, except, scope, notify, entry, ignore)| {
            let key = RuleKey { file: "f".into(), name: "n".into() };
            let notify = notify.into_iter().map(Destination::from).collect();
            Rule {
                matching,
                except: except.into_iter().collect(),
                scopes: vec![scope],
                entry,
                action: if ignore == 0 { Action::Ignore } else { Action::Notify },
                ..Rule::new(RuleSettings::new(key, Severity::Warning, notify))
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_index_agrees_with_trying_every_rule(
        rules in proptest::collection::vec(some_rule(), 0..30),
        texts in proptest::collection::vec((word(), word(), word(), word(), word()), 1..8),
    ) {
        let rules = Rules::new(rules);
        for (namespace, reason, name, head, tail) in texts {
            let target = Target::new("prod", "cls-1", &namespace, "web");
            let event = event(Level::Warning, &reason, &name, &format!("{head}{tail}"));
            let subject = Subject { target: &target, event: &event, workload: "web" };
            let fast: Vec<_> = rules.claims(&subject).into_iter().map(|claim| (claim.rule, claim.destinations)).collect();
            prop_assert_eq!(fast, by_trying_all(&rules, &subject));
        }
    }

    #[test]
    fn any_text_is_a_rule_file_or_explained(text in "(?s)(version: 1\n)?(rules:\n)?([ -]{0,6}(name|match|notify|reason|open_when|[a-z&*!|>'\"{}\\[\\]#%@`,:?-]{0,3}):?[ \t\n]{1,3}.{0,6}){0,12}") {
        let names = Names::default();
        let file = RuleFile { source: Source::new("a.yaml", text.as_str()), entry: 0, scope: None, names, defaults: Partial::default() };
        let compiled = compile(&file);
        for diagnostic in &compiled.diagnostics {
            let line = diagnostic.source.position(diagnostic.span.start).0;
            let _ = (&diagnostic.source.text[diagnostic.source.line(line)], diagnostic.to_string());
        }
    }

    #[test]
    fn any_bytes_are_a_pattern_or_explained(text in "(?s).{0,40}", expression in "[a-z(\\[{*+?|)\\]}\\\\^$.,0-9ſK失-]{0,20}") {
        for text in [text.clone(), format!("/{expression}/i"), format!("/{text}/")] {
            if let Ok(pattern) = Pattern::parse(&text) {
                let _ = pattern.matches(&expression);
            }
        }
    }
}
