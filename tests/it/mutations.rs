//! Rule tests are tested: rules are damaged in every way below, one damage at a time, and the test
//! file beside them must notice.
//!
//! Every key that decides something is damaged, where its damage can be seen at all; what is left out
//! because it provably changes nothing says why. Survivors are printed.

use std::path::Path;
use std::time::Duration;

use podbell::config::{lone_rule_file, read_source};
use podbell_core::event::{Event, Subject};
use podbell_core::rule::{Action, Conditions, CountSteps, Field, Pattern, Rule, RuleSettings, Severity};
use podbell_core::rules::{Names, Rules, compile};
use podbell_core::ruletest::{self, Case, Coverage};
use podbell_core::time::Time;
use podbell_core::workload;

/// A rule file and the tests beside it.
struct Suite {
    rules: Vec<Rule>,
    cases: Vec<Case>,
}

/// Rules with one damage.
struct Mutant {
    /// The damaged rule, by its place.
    of: usize,
    what: String,
    rules: Vec<Rule>,
}

impl Suite {
    fn new(rules: &str, tests: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let compiled = compile(&lone_rule_file(&root.join(rules), 0, Names::default()).unwrap());
        assert!(!compiled.has_errors(), "{rules}: {:?}", compiled.diagnostics);
        let (file, findings) = ruletest::read(&read_source(tests, &root.join(tests)).unwrap());
        assert!(findings.is_empty(), "{tests}: {findings:?}");
        let rules = compiled.rules.into_iter().map(|located| located.rule).collect();
        Self { rules, cases: file.cases }
    }

    fn passes(&self, rules: Vec<Rule>, cases: impl Iterator<Item = usize>) -> bool {
        let setup = ruletest::setup(Rules::new(rules), &self.cases);
        let mut cases = cases.map(|place| &self.cases[place]);
        cases.all(|case| ruletest::run(case, &setup, &mut Coverage::default()).passed())
    }

    /// Cases that show something to the rule come first: most damage is noticed by them.
    fn in_order(&self, of: &Rule) -> impl Iterator<Item = usize> + use<> {
        let shows = |case: &Case| case.rows.iter().any(|row| fits(of, row));
        let (near, far): (Vec<usize>, Vec<usize>) = (0..self.cases.len()).partition(|place| shows(&self.cases[*place]));
        near.into_iter().chain(far)
    }

    /// At least nine of ten damages are noticed.
    #[track_caller]
    fn notices_damage(&self) {
        assert!(self.passes(self.rules.clone(), 0..self.cases.len()), "the rules pass their tests");
        let mutants = mutants(&self.rules);
        let survivors = |mutants: &[Mutant]| -> Vec<String> {
            let survives = |mutant: &&Mutant| self.passes(mutant.rules.clone(), self.in_order(&self.rules[mutant.of]));
            mutants.iter().filter(survives).map(|mutant| mutant.what.clone()).collect()
        };
        let (one, other) = mutants.split_at(mutants.len() / 2);
        let survived = std::thread::scope(|scope| {
            let other = scope.spawn(|| survivors(other));
            [survivors(one), other.join().unwrap()].concat()
        });
        println!("{} of {} survive:", survived.len(), mutants.len());
        survived.iter().for_each(|what| println!("  {what}"));
        assert!(survived.len() * 10 <= mutants.len(), "too many damages pass the tests: {survived:#?}");
    }
}

/// Whether a row of a test is about the rule, whatever other rules say.
fn fits(rule: &Rule, row: &ruletest::Row) -> bool {
    let event = Event {
        first_seen: Time::default(),
        last_seen: Time::default(),
        count: 1,
        level: row.level,
        obj_type: row.obj_type.as_str().into(),
        obj_name: row.obj_name.as_str().into(),
        reason: row.reason.as_str().into(),
        message: row.message.as_str().into(),
        ..Event::default()
    };
    let workload = workload::of(&event.obj_type, &event.obj_name);
    let subject = Subject { target: &row.target, event: &event, workload };
    let mut fitting = rule.matching.keys().iter();
    fitting.all(|(field, patterns)| patterns.iter().any(|pattern| pattern.matches(field.of(&subject))))
}

fn mutants(rules: &[Rule]) -> Vec<Mutant> {
    let mut all = Vec::new();
    for (of, rule) in rules.iter().enumerate() {
        let later = &rules[of + 1..];
        // What ignores only ends the reading of rules behind it: without any it says nothing at all.
        if rule.action == Action::Ignore && later.is_empty() {
            continue;
        }
        let mut damaged = damaged(rule);
        damaged.retain(|(_, damaged)| !is_equivalent(rule, damaged, later));
        for (what, damaged) in damaged {
            let mut rules = rules.to_vec();
            rules[of] = damaged;
            all.push(Mutant { of, what: format!("{}: {what}", rule.settings.key.name), rules });
        }
        if let Some(next) = later.first().filter(|next| !commute(rule, next)) {
            let mut rules = rules.to_vec();
            rules.swap(of, of + 1);
            let what = format!("{} and {} swapped", rule.settings.key.name, next.settings.key.name);
            all.push(Mutant { of, what, rules });
        }
    }
    all
}

/// An ignoring rule that also ignores what is Normal: nothing changes when no rule behind it would
/// have looked at that.
fn is_equivalent(rule: &Rule, damaged: &Rule, later: &[Rule]) -> bool {
    let level = |rule: &Rule| rule.matching.key(Field::Level).map(<[_]>::to_vec);
    let sees_normal = |other: &Rule| level(other).is_none_or(|any| any.iter().any(|pattern| pattern.matches("Normal")));
    let widened = rule.action == Action::Ignore && level(rule).is_some() && level(damaged).is_none();
    widened && damaged.action == Action::Ignore && later.iter().all(|other| !sees_normal(other) || apart(rule, other))
}

/// Whether the order of two rules makes no difference: both ignore, or nothing can match both.
fn commute(one: &Rule, other: &Rule) -> bool {
    (one.action == Action::Ignore && other.action == Action::Ignore) || apart(one, other)
}

/// Whether a key shows that no event matches both.
fn apart(one: &Rule, other: &Rule) -> bool {
    one.matching.keys().iter().any(|(field, patterns)| {
        let others = other.matching.key(*field);
        others.is_some_and(|others| patterns.iter().all(|a| others.iter().all(|b| no_text_fits_both(a, b))))
    })
}

fn no_text_fits_both(a: &Pattern, b: &Pattern) -> bool {
    match (a.exact(), b.exact()) {
        (Some(a), _) => !b.matches(a),
        (None, Some(b)) => !a.matches(b),
        // Two globs whose beginnings differ.
        (None, None) if !a.is_expression() && !b.is_expression() => {
            let (a, b) = (a.as_str().split('*').next().unwrap(), b.as_str().split('*').next().unwrap());
            !a.starts_with(b) && !b.starts_with(a)
        }
        (None, None) => false,
    }
}

/// A rule in every damaged form, and what was done to it.
fn damaged(rule: &Rule) -> Vec<(String, Rule)> {
    let mut all: Vec<(String, Rule)> = Vec::new();
    for (what, matching) in damaged_conditions("match", &rule.matching) {
        all.push((what, Rule { matching, ..rule.clone() }));
    }
    for (place, except) in rule.except.iter().enumerate() {
        for (what, except) in damaged_conditions("except", except) {
            let mut damaged = rule.clone();
            damaged.except[place] = except;
            all.push((what, damaged));
        }
        let mut damaged = rule.clone();
        damaged.except.remove(place);
        all.push((format!("except item {} dropped", place + 1), damaged));
    }
    for (place, scope) in rule.scopes.iter().enumerate() {
        for (what, scope) in damaged_conditions("scope", scope) {
            let mut damaged = rule.clone();
            damaged.scopes[place] = scope;
            all.push((what, damaged));
        }
    }
    let action = if rule.action == Action::Notify { Action::Ignore } else { Action::Notify };
    all.push(("action flipped".to_owned(), Rule { action, ..rule.clone() }));
    // Of what ignores, nothing else counts.
    if rule.action == Action::Notify {
        let settings = damaged_settings(&rule.settings).into_iter();
        all.extend(settings.map(|(what, settings)| (what, Rule { settings, ..rule.clone() })));
    }
    all
}

/// A key dropped, a pattern dropped, a pattern changed.
fn damaged_conditions(name: &str, conditions: &Conditions) -> Vec<(String, Conditions)> {
    let rebuilt = |place: usize, patterns: Option<Vec<Pattern>>| {
        let keys = conditions.keys().iter().enumerate();
        keys.fold(Conditions::any(), |built, (at, (field, old))| match (at == place, &patterns) {
            (false, _) => built.with(*field, old.clone()),
            (true, Some(new)) => built.with(*field, new.clone()),
            (true, None) => built,
        })
    };
    let mut all = Vec::new();
    for (place, (field, patterns)) in conditions.keys().iter().enumerate() {
        all.push((format!("{name}.{field} dropped"), rebuilt(place, None)));
        for (at, pattern) in patterns.iter().enumerate() {
            for changed in changed(pattern) {
                let mut patterns = patterns.clone();
                let what = format!("{name}.{field}: {} becomes {}", pattern.as_str(), changed.as_str());
                patterns[at] = changed;
                all.push((what, rebuilt(place, Some(patterns))));
            }
        }
    }
    all
}

/// A word that no test says; a glob without its star; an expression without one of its alternatives.
fn changed(pattern: &Pattern) -> Vec<Pattern> {
    let text = pattern.as_str();
    let Some((body, flags)) = text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) else {
        let other = if pattern.exact().is_some() { format!("{text}?") } else { text.replace('*', "") };
        return vec![Pattern::parse(&other).unwrap()];
    };
    let alternatives: Vec<&str> = body.split('|').collect();
    let without = |left_out: usize| {
        let kept: Vec<&str> =
            alternatives.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, kept)| *kept).collect();
        if kept.is_empty() { "^no such text$".to_owned() } else { kept.join("|") }
    };
    let all = (0..alternatives.len()).map(|left_out| format!("/{}/{flags}", without(left_out)));
    all.map(|text| Pattern::parse(&text).expect("alternatives stand at the top")).collect()
}

fn damaged_settings(settings: &RuleSettings) -> Vec<(String, RuleSettings)> {
    let mut all: Vec<(String, RuleSettings)> = Vec::new();
    let mut note = |what: String, change: &dyn Fn(&mut RuleSettings)| {
        let mut damaged = settings.clone();
        change(&mut damaged);
        all.push((what, damaged));
    };
    for severity in [Severity::Info, Severity::Warning, Severity::Critical] {
        if severity != settings.severity {
            note(format!("severity {}", severity.as_str()), &|settings| settings.severity = severity);
        }
    }
    let within = settings.open_when.within.max(Duration::from_secs(600));
    if settings.open_when.count.is_some() {
        note("one occurrence more to open".to_owned(), &|settings| {
            settings.open_when.count = settings.open_when.count.map(|count| count + 1);
            settings.open_when.within = within;
        });
    }
    if let (None, Some(lasts)) = (settings.open_when.count, settings.open_when.lasts) {
        note("half the time that it must last".to_owned(), &|settings| settings.open_when.lasts = Some(lasts / 2));
        note("twice the time that it must last".to_owned(), &|settings| settings.open_when.lasts = Some(lasts * 2));
    }
    if settings.open_when.count.is_some_and(|count| count > 1) {
        note("one occurrence less to open".to_owned(), &|settings| {
            settings.open_when.count = settings.open_when.count.map(|count| count - 1);
        });
        note("half the time to open".to_owned(), &|settings| settings.open_when.within /= 2);
        note("twice the time to open".to_owned(), &|settings| settings.open_when.within *= 2);
    }
    if let Some(settled) = settings.open_when.settled {
        note("new objects count".to_owned(), &|settings| settings.open_when.settled = None);
        note("objects are new for twice the time".to_owned(), &|settings| {
            settings.open_when.settled = Some(settled * 2);
        });
    }
    if settings.group_by.contains(&Field::Workload) {
        note("not grouped by workload".to_owned(), &|settings| {
            settings.group_by.retain(|field| *field != Field::Workload);
        });
    }
    note("resolved after twice the time".to_owned(), &|settings| settings.resolve_after *= 2);
    note("send_resolved flipped".to_owned(), &|settings| settings.send_resolved = !settings.send_resolved);
    for place in 0..settings.notify.len() {
        note(format!("{} is not told", settings.notify[place]), &|settings| {
            settings.notify.remove(place);
            settings.notify.push("nobody".into());
        });
    }
    note("somebody else is told, too".to_owned(), &|settings| settings.notify.push("somebody".into()));
    damaged_steps(settings, &mut note);
    if settings.runbook.is_some() {
        note("runbook dropped".to_owned(), &|settings| settings.runbook = None);
    }
    if !settings.labels.is_empty() {
        note("labels dropped".to_owned(), &|settings| settings.labels.clear());
    }
    if !settings.mention.is_empty() {
        note("nobody is mentioned".to_owned(), &|settings| settings.mention.clear());
    }
    all
}

/// Takes a damage: what it is, and how it is done.
type Note<'a> = &'a mut dyn FnMut(String, &dyn Fn(&mut RuleSettings));

/// What a file says of `escalate`; defaults are not the file's.
fn damaged_steps(settings: &RuleSettings, note: Note<'_>) {
    let default = RuleSettings::new(settings.key.clone(), settings.severity, Vec::new()).escalate;
    if settings.escalate.news != default.news {
        note("news flipped".to_owned(), &|settings| settings.escalate.news = default.news);
    }
    if let CountSteps::Listed(steps) = &settings.escalate.counts {
        for (place, step) in steps.iter().enumerate() {
            for to in [step - 1, step + 1] {
                let mut changed = steps.clone();
                changed[place] = to;
                note(format!("step {step} becomes {to} occurrences"), &|settings| {
                    settings.escalate.counts = CountSteps::Listed(changed.clone());
                });
            }
        }
    }
    if settings.escalate.objects != default.objects {
        for (place, step) in settings.escalate.objects.iter().enumerate() {
            for to in [step - 1, step + 1] {
                note(format!("step {step} becomes {to} objects"), &|settings| settings.escalate.objects[place] = to);
            }
        }
    }
}

#[test]
fn the_tests_of_the_shipped_rules_notice_nine_of_ten_damages() {
    Suite::new("rules/kubernetes.yaml", "rules/kubernetes.test.yaml").notices_damage();
}

#[test]
fn the_tests_of_the_example_notice_nine_of_ten_damages() {
    Suite::new("rules.example.yaml", "rules.example.test.yaml").notices_damage();
}
