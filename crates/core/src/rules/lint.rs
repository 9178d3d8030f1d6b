//! What rules do to each other: rules that can never fire, and rules that fire later than intended.
//!
//! Looks at all rules in reading order. Says only what is certain: conditions are compared as
//! written, so a rule it stays silent about may still be covered in a way nobody can see.

use std::cell::Cell;
use std::collections::HashMap;

use super::compile::Located;
use crate::diagnostic::Diagnostic;
use crate::rule::condition::Conditions;
use crate::rule::pattern::Pattern;
use crate::rule::{Action, Destination, Field, OpenWhen, Rule};

/// More earlier rules without an exact key than this are not compared.
const MAX_GENERAL: usize = 200;
/// More earlier rules that share an exact key than this are not compared.
const MAX_SHARED: usize = 400;
/// After this many comparisons of patterns the rest is not looked at.
const MAX_COMPARISONS: usize = 20_000_000;

/// Looks at the rules of all files in reading order.
pub fn lint(rules: &[Located]) -> Vec<Diagnostic> {
    let mut earlier = Earlier::default();
    let mut found = Vec::new();
    for (place, located) in rules.iter().enumerate().filter(|(_, located)| located.sound) {
        found.extend(judge(located, rules, &earlier));
        earlier.add(place, &located.rule);
    }
    found
}

fn judge(located: &Located, rules: &[Located], earlier: &Earlier) -> Option<Diagnostic> {
    let rule = &located.rule;
    let name = &rule.settings.key.name;
    if let Some(field) = outside_scope(rule) {
        let message = format!("the rule `{name}` can never fire: its `{field}` is outside of the scope");
        let help = "the scope is set in this file's `scope:` or in podbell.yaml";
        return Some(Diagnostic::error(&located.source, located.at.clone(), message).help(help));
    }
    if rule.except.iter().any(|except| conditions_cover(except, rule)) {
        let message = format!("the rule `{name}` can never fire: its `except` leaves out all it matches");
        return Some(Diagnostic::error(&located.source, located.at.clone(), message).help("narrow the `except`"));
    }
    let mut left: Vec<&Destination> = rule.settings.notify.iter().collect();
    let mut later = None;
    for other in earlier.candidates(rule).into_iter().filter_map(|place| rules.get(place)) {
        if !earlier.affords(&other.rule, rule) || !covers(&other.rule, rule) {
            continue;
        }
        match (other.rule.action, rule.action) {
            (Action::Ignore, _) if other.rule.entry == rule.entry => {
                let message = format!("the rule `{name}` can never fire: {} ignores all it matches", place_of(other));
                let error = Diagnostic::error(&located.source, located.at.clone(), message);
                return Some(error.help("move it up, or narrow the rule that ignores with `except`"));
            }
            (Action::Notify, Action::Notify) => {
                let before = left.len();
                // Which destinations such a rule wins is not known before the event.
                if other.rule.settings.routing.is_some() {
                    continue;
                }
                left.retain(|to| !other.rule.settings.notify.contains(to));
                let slower = slowness(&other.rule.settings.open_when) > slowness(&rule.settings.open_when);
                if left.is_empty() {
                    return Some(shadowed(located, other, slower));
                }
                later = later.or((slower && left.len() < before).then_some(other));
            }
            _ => {}
        }
    }
    later.map(|other| heard_late(located, other))
}

fn shadowed(located: &Located, other: &Located, slower: bool) -> Diagnostic {
    let name = &located.rule.settings.key.name;
    let message = format!("the rule `{name}` can never fire: {} matches all of it first", place_of(other));
    let help = match slower {
        true => "the first rule that matches claims a destination, opened or not: move this rule up",
        false => "move it up, or give it a destination that the other one does not notify",
    };
    Diagnostic::error(&located.source, located.at.clone(), message).help(help)
}

fn heard_late(located: &Located, other: &Located) -> Diagnostic {
    let name = &located.rule.settings.key.name;
    let opens = match other.rule.settings.open_when {
        OpenWhen { count: Some(count), .. } => format!("at {count} occurrences"),
        OpenWhen { lasts, .. } => format!("after {} s", lasts.unwrap_or_default().as_secs()),
    };
    let message =
        format!("the rule `{name}` is not heard everywhere: {} matches first and opens only {opens}", place_of(other));
    Diagnostic::warning(&located.source, located.at.clone(), message)
        .help("the first rule that matches claims a destination, opened or not: move this rule up")
}

/// How many occurrences a rule waits for; one that waits for time alone is slower than any.
fn slowness(open_when: &OpenWhen) -> u32 {
    open_when.count.unwrap_or(u32::MAX)
}

fn place_of(located: &Located) -> String {
    let (line, _) = located.source.position(located.at.start);
    format!("`{}` ({}:{line})", located.rule.settings.key.name, located.source.shown)
}

/// A key whose exact texts are all outside of a scope.
fn outside_scope(rule: &Rule) -> Option<Field> {
    let outside = |field: &Field, patterns: &[Pattern]| {
        let scopes = rule.scopes.iter().filter_map(|scope| scope.key(*field));
        !patterns.is_empty()
            && scopes.into_iter().any(|scope| {
                patterns
                    .iter()
                    .all(|pattern| pattern.exact().is_some_and(|text| !scope.iter().any(|within| within.matches(text))))
            })
    };
    rule.matching.keys().iter().find(|(field, patterns)| outside(field, patterns)).map(|(field, _)| *field)
}

/// Whether everything that `rule` matches, `other` matches too.
fn covers(other: &Rule, rule: &Rule) -> bool {
    conditions_cover(&other.matching, rule)
        && other.scopes.iter().all(|scope| conditions_cover(scope, rule))
        && other.except.iter().all(|except| rule.except.contains(except))
}

/// Whether everything that `rule` matches meets these conditions.
fn conditions_cover(conditions: &Conditions, rule: &Rule) -> bool {
    conditions.keys().iter().all(|(field, patterns)| {
        let own = rule.scopes.iter().chain([&rule.matching]).filter_map(|own| own.key(*field));
        // Without the label a condition does not match, whatever its pattern.
        let always_there = field.place().is_ok();
        (always_there && patterns.iter().any(Pattern::matches_everything))
            || own.into_iter().any(|own| patterns_cover(patterns, own))
    })
}

fn patterns_cover(wide: &[Pattern], narrow: &[Pattern]) -> bool {
    !narrow.is_empty()
        && narrow.iter().all(|pattern| {
            wide.iter().any(|wide| wide == pattern || pattern.exact().is_some_and(|text| wide.matches(text)))
        })
}

/// Earlier rules by what a rule that they cover must have in common with them.
#[derive(Default)]
struct Earlier {
    shared: HashMap<(Field, String), Vec<usize>>,
    general: Vec<usize>,
    compared: Cell<usize>,
}

impl Earlier {
    fn add(&mut self, place: usize, rule: &Rule) {
        let exact = rule.matching.keys().iter().filter(|(field, patterns)| {
            *field != Field::Level && !patterns.is_empty() && patterns.iter().all(|pattern| pattern.exact().is_some())
        });
        // Names of places distinguish rules better than reasons do.
        match exact.min_by_key(|(field, _)| *field) {
            Some((field, patterns)) => {
                for text in patterns.iter().filter_map(Pattern::exact) {
                    let places = self.shared.entry((*field, text.to_owned())).or_default();
                    if places.len() < MAX_SHARED {
                        places.push(place);
                    }
                }
            }
            None if self.general.len() < MAX_GENERAL => self.general.push(place),
            None => {}
        }
    }

    /// Whether the limit still allows comparing these two.
    fn affords(&self, other: &Rule, rule: &Rule) -> bool {
        let size = |rule: &Rule| 1 + rule.matching.keys().iter().map(|(_, patterns)| patterns.len()).sum::<usize>();
        self.compared.set(self.compared.get().saturating_add(size(other).saturating_mul(size(rule))));
        self.compared.get() <= MAX_COMPARISONS
    }

    fn candidates(&self, rule: &Rule) -> Vec<usize> {
        let keys = rule.scopes.iter().chain([&rule.matching]).flat_map(Conditions::keys);
        // A rule that covers this one has all of its texts: looking for one of each key is enough.
        let texts = keys.filter_map(|(field, patterns)| Some((*field, patterns.first()?.exact()?.to_owned())));
        let mut places: Vec<usize> =
            texts.filter_map(|key| self.shared.get(&key)).flatten().chain(&self.general).copied().collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}
