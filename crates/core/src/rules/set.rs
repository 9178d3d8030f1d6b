//! All rules in reading order, and which of them an event belongs to.
//!
//! Owns the order of reading, `ignore` and the claiming of destinations. Never counts or times
//! anything: that is the incident machine, which calls this for every change.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;
use xxhash_rust::xxh3::Xxh3Default;

use super::compile::Compiled;
use super::index::{Index, Keys};
use crate::event::{Level, Subject, Target};
use crate::map::FastMap;
use crate::metadata::MetadataKey;
use crate::rule::condition::{Conditions, EventFields};
use crate::rule::pattern::Interner;
use crate::rule::quiet::Maintenance;
use crate::rule::{Action, Destination, Field, Rule, RuleKey, RuleSettings};

/// The place of a rule in the reading order of one [`Rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// A rule that matched a change and the destinations it won.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which rule.
    pub rule: RuleId,
    /// Never empty; in the order of the rule's `notify`.
    pub destinations: Vec<Destination>,
}

/// What a rule is held back by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InhibitedBy {
    /// The other rule.
    pub by: RuleId,
    /// The values that must be equal, see [`crate::rule::quiet::Inhibit`].
    pub equal: Vec<Field>,
    /// Whether the other rule's incident lists what it holds back.
    pub into_cause: bool,
}

/// All checked rules.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    by_key: FastMap<RuleKey, RuleId>,
    generation: u64,
    /// Over [`required`].
    index: Index,
    /// The conditions that sustain any rule, each once.
    sustains: Vec<Conditions>,
    sustain_index: Index,
    /// The levels that any rule looks at: most events are Normal, most rules are not about those.
    levels: Vec<Level>,
    /// The other rules of a rule's family.
    relatives: HashMap<RuleId, Vec<RuleId>>,
    /// What each rule is held back by.
    inhibited_by: HashMap<RuleId, Vec<InhibitedBy>>,
    maintenance: Vec<Maintenance>,
}

impl Rules {
    /// The rules in reading order.
    pub fn new(mut rules: Vec<Rule>) -> Self {
        share_patterns(&mut rules);
        let by_key = (0..).map(RuleId).zip(&rules).map(|(id, rule)| (rule.settings.key.clone(), id)).collect();
        let generation = generation(&rules, &[]);
        let looks_at = |level: &Level| rules.iter().any(|rule| looks_at(rule, *level));
        let levels = [Level::Normal, Level::Warning].into_iter().filter(looks_at).collect();
        let index = Index::new(rules.iter().map(required));
        let mut seen = HashSet::new();
        let sustains: Vec<Conditions> = rules
            .iter()
            .filter_map(|rule| rule.sustain.as_ref())
            .filter(|sustain| seen.insert(serialized(sustain)))
            .cloned()
            .collect();
        let sustain_index = Index::new(sustains.iter().map(|sustain| sustain.keys().iter().collect()));
        let inhibited_by = inhibited_by(&rules, &by_key);
        let relatives = relatives(&rules);
        let maintenance = Vec::new();
        Self { rules, by_key, generation, index, sustains, sustain_index, levels, relatives, inhibited_by, maintenance }
    }

    /// The rules of files in reading order, and their maintenance.
    pub fn of(files: impl IntoIterator<Item = Compiled>) -> Self {
        let (mut rules, mut maintenance) = (Vec::new(), Vec::new());
        for file in files {
            rules.extend(file.rules.into_iter().map(|located| located.rule));
            maintenance.extend(file.maintenance);
        }
        Self::new(rules).with_maintenance(maintenance)
    }

    /// The same rules with more planned work.
    #[must_use]
    pub fn with_maintenance(mut self, more: Vec<Maintenance>) -> Self {
        if !more.is_empty() {
            self.maintenance.extend(more);
            self.generation = generation(&self.rules, &self.maintenance);
        }
        self
    }

    /// Planned work.
    pub fn maintenance(&self) -> &[Maintenance] {
        &self.maintenance
    }

    /// The other rules of a rule's family, whose open incidents it joins.
    pub(crate) fn relatives(&self, id: RuleId) -> &[RuleId] {
        self.relatives.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The rules whose open incidents hold those of this rule, and which values must be equal.
    pub fn inhibited_by(&self, id: RuleId) -> &[InhibitedBy] {
        self.inhibited_by.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Which rules an event belongs to. Rules are read in order; `ignore` ends the reading of its
    /// own entry; the first rule that matches claims a destination.
    pub fn claims(&self, subject: &Subject<'_>) -> Vec<Claim> {
        if !self.levels.contains(&subject.event.level) {
            return Vec::new();
        }
        let facts = EventFields::new(subject);
        let mut claims: Vec<Claim> = Vec::new();
        let mut ignored: Vec<u32> = Vec::new();
        for id in self.index.candidates(&facts).into_iter().map(RuleId) {
            let rule = self.get(id);
            if ignored.contains(&rule.entry) || !fits(rule, &facts) {
                continue;
            }
            match rule.action {
                Action::Ignore => ignored.push(rule.entry),
                Action::Notify => claims.extend(claim(id, rule, &facts, &claims)),
            }
        }
        claims
    }

    /// The `ignore` rules that end the reading of their entries for this event.
    pub(crate) fn ignored_by(&self, subject: &Subject<'_>) -> Vec<RuleId> {
        let facts = EventFields::new(subject);
        let mut found: Vec<RuleId> = Vec::new();
        for id in self.index.candidates(&facts).into_iter().map(RuleId) {
            let rule = self.get(id);
            let read = !found.iter().any(|other| self.get(*other).entry == rule.entry);
            if read && rule.action == Action::Ignore && fits(rule, &facts) {
                found.push(id);
            }
        }
        found
    }

    /// The rule. An id is good only for the [`Rules`] it came from; keep [`RuleKey`]s over reloads.
    ///
    /// # Panics
    /// If the id came from a longer set of rules.
    pub fn get(&self, id: RuleId) -> &Rule {
        &self.rules[id.0 as usize]
    }

    /// The rule of this file and name.
    pub fn find(&self, key: &RuleKey) -> Option<RuleId> {
        self.by_key.get(key).copied()
    }

    /// Whether the rule on its own matches, whatever the rules before it say.
    pub fn matches(&self, id: RuleId, subject: &Subject<'_>) -> bool {
        fits(self.get(id), &EventFields::new(subject))
    }

    /// Whether the event keeps an incident of the rule open, if it is about one of its objects.
    pub fn sustains(&self, id: RuleId, subject: &Subject<'_>) -> bool {
        let (rule, facts) = (self.get(id), EventFields::new(subject));
        rule.sustain.as_ref().is_some_and(|sustain| sustain.fit(&facts))
            && rule.scopes.iter().all(|scope| scope.fit(&facts))
    }

    /// Whether any rule could be sustained by the event: a quick "no" for nearly all of them.
    pub fn could_sustain(&self, subject: &Subject<'_>) -> bool {
        let facts = EventFields::new(subject);
        let mut candidates = self.sustain_index.candidates(&facts).into_iter();
        candidates.any(|place| self.sustains[place as usize].fit(&facts))
    }

    /// The values that identify an incident of the rule, in the order of its `group_by`.
    pub fn group_key(&self, id: RuleId, subject: &Subject<'_>) -> Vec<(Field, String)> {
        self.get(id).settings.group_by.iter().map(|field| (*field, field.of(subject).to_owned())).collect()
    }

    /// The rules that could notify of what a target shows, judged by the target alone.
    pub(crate) fn notifying_rules<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = &'a Rule> {
        self.rules
            .iter()
            .filter(|rule| rule.action == Action::Notify && required_of(rule).all(|one| one.admits(target)))
    }

    /// The labels and annotations that any rule looks at, groups by or chooses destinations by. Sources need to know no
    /// others.
    pub fn metadata_keys(&self) -> BTreeSet<MetadataKey> {
        let of_rule = |rule: &Rule| {
            let all = [&rule.matching].into_iter().chain(&rule.except).chain(&rule.sustain).chain(&rule.scopes);
            let matched = all.flat_map(Conditions::keys).map(|(field, _)| *field);
            let chosen = rule.settings.routing.as_ref().map(|routing| routing.by);
            matched.chain(rule.settings.group_by.iter().copied()).chain(chosen).collect::<Vec<_>>()
        };
        self.rules.iter().flat_map(of_rule).filter_map(|field| field.place().err()).collect()
    }

    /// A hash that is equal for equal content; cached verdicts are valid for one hash.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// All rules in reading order.
    pub fn iter(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        (0..).map(RuleId).zip(&self.rules)
    }

    /// How many rules there are.
    pub fn count(&self) -> usize {
        self.rules.len()
    }
}

/// Whether a rule's conditions all hold for an event.
fn fits(rule: &Rule, facts: &EventFields<'_>) -> bool {
    rule.matching.fit(facts)
        && rule.scopes.iter().all(|scope| scope.fit(facts))
        && !rule.except.iter().any(|except| except.fit(facts))
}

/// Whether events of this level can match.
fn looks_at(rule: &Rule, level: Level) -> bool {
    let key = rule.matching.key(Field::Level);
    key.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(level.as_str())))
}

/// The conditions that all must hold.
fn required_of(rule: &Rule) -> impl Iterator<Item = &Conditions> {
    rule.scopes.iter().chain([&rule.matching])
}

/// The keys without which a rule cannot match.
fn required(rule: &Rule) -> Keys<'_> {
    required_of(rule).flat_map(Conditions::keys).collect()
}

/// For each rule the others of its family: of the same file, with the same `group_by`.
fn relatives(rules: &[Rule]) -> HashMap<RuleId, Vec<RuleId>> {
    let mut families: HashMap<_, Vec<RuleId>> = HashMap::new();
    for (id, rule) in (0..).map(RuleId).zip(rules) {
        let RuleSettings { key, family, group_by, .. } = &rule.settings;
        if let (Some(family), Action::Notify) = (family, rule.action) {
            families.entry((&key.file, family, group_by)).or_default().push(id);
        }
    }
    let members = families.values().flat_map(|family| family.iter().map(move |id| (*id, family)));
    members.map(|(id, family)| (id, family.iter().filter(|other| **other != id).copied().collect())).collect()
}

/// For each rule those that inhibit it.
fn inhibited_by(rules: &[Rule], by_key: &FastMap<RuleKey, RuleId>) -> HashMap<RuleId, Vec<InhibitedBy>> {
    let mut held: HashMap<RuleId, Vec<InhibitedBy>> = HashMap::new();
    for (id, rule) in (0..).map(RuleId).zip(rules) {
        for inhibit in &rule.settings.inhibits {
            if let Some(other) = by_key.get(&inhibit.rule) {
                let (equal, into_cause) = (inhibit.equal.clone(), inhibit.into_cause);
                held.entry(*other).or_default().push(InhibitedBy { by: id, equal, into_cause });
            }
        }
    }
    held
}

/// Makes equal patterns one: less memory, and each expression is built and tried once.
fn share_patterns(rules: &mut [Rule]) {
    let mut interner = Interner::default();
    for rule in rules {
        let all =
            [&mut rule.matching].into_iter().chain(&mut rule.except).chain(&mut rule.sustain).chain(&mut rule.scopes);
        for pattern in all.flat_map(Conditions::patterns_mut) {
            interner.intern(pattern);
        }
    }
}

/// The rule's claim to the destinations that earlier claims left.
fn claim(id: RuleId, rule: &Rule, facts: &EventFields<'_>, earlier: &[Claim]) -> Option<Claim> {
    let taken = |destination: &Destination| earlier.iter().any(|claim| claim.destinations.contains(destination));
    let destinations: Vec<_> = rule.settings.notify_of(facts).iter().filter(|to| !taken(to)).cloned().collect();
    (!destinations.is_empty()).then_some(Claim { rule: id, destinations })
}

/// A hash of the whole content of rules and planned work.
fn generation(rules: &[Rule], maintenance: &[Maintenance]) -> u64 {
    let mut hasher = Xxh3Default::new();
    rules.iter().for_each(|rule| hasher.update(&serialized(rule)));
    maintenance.iter().for_each(|planned| hasher.update(&serialized(planned)));
    hasher.digest()
}

/// The serialized forms of what means the same are equal; debug output need not be. These types always serialize.
fn serialized(said: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(said).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Target};
    use crate::rule::quiet::{Active, Hours};
    use crate::rule::{Pattern, RuleSettings, Severity};
    use crate::rules::builtin;
    use crate::time::Time;

    fn rule(entry: u32, name: &str, reason: &str, notify: &[&str]) -> Rule {
        let key = RuleKey { file: format!("{entry}.yaml").into(), name: name.into() };
        let notify = notify.iter().map(|name| Destination::from(*name)).collect();
        let mut rule = Rule::new(RuleSettings::new(key, Severity::Warning, notify));
        rule.matching = rule.matching.with(Field::Reason, vec![Pattern::parse(reason).unwrap()]);
        rule.entry = entry;
        rule
    }

    fn ignore(rule: Rule) -> Rule {
        Rule { action: Action::Ignore, ..rule }
    }

    /// What the rules say of an event, as `name>destination,destination`.
    fn said(rules: &Rules, level: Level, reason: &str, message: &str) -> Vec<String> {
        let target = Target::new("prod", "cls-1", "shop", "web");
        let event = Event {
            first_seen: Time::default(),
            last_seen: Time::default(),
            count: 1,
            level,
            obj_type: "Pod".into(),
            obj_name: "web-6d4cf56db6-x2x7v".into(),
            reason: reason.into(),
            message: message.into(),
            ..Event::default()
        };
        let claims = rules.claims(&Subject { target: &target, event: &event, workload: "web" });
        claims
            .iter()
            .map(|claim| format!("{}>{}", rules.get(claim.rule).settings.key.name, claim.destinations.join(",")))
            .collect()
    }

    #[test]
    fn the_first_rule_that_matches_claims_a_destination() {
        let rules = Rules::new(vec![
            rule(0, "a", "BackOff", &["slack"]),
            rule(0, "b", "Back*", &["slack", "wecom"]),
            rule(1, "c", "*", &["slack"]),
            rule(1, "d", "*", &["wecom", "hook"]),
        ]);
        assert_eq!(said(&rules, Level::Warning, "BackOff", ""), ["a>slack", "b>wecom", "d>hook"]);
        assert_eq!(said(&rules, Level::Warning, " Other\n", ""), ["c>slack", "d>wecom,hook"]);
        assert_eq!(said(&rules, Level::Normal, "BackOff", ""), [""; 0]);
    }

    #[test]
    fn ignore_ends_the_reading_of_its_own_entry_only() {
        let rules = Rules::new(vec![
            rule(0, "before", "BackOff", &["slack"]),
            ignore(rule(0, "quiet", "*", &[])),
            rule(0, "after", "*", &["wecom"]),
            rule(1, "audit", "*", &["slack", "hook"]),
        ]);
        assert_eq!(said(&rules, Level::Warning, "BackOff", ""), ["before>slack", "audit>hook"]);
        assert_eq!(said(&rules, Level::Warning, "Other", ""), ["audit>slack,hook"]);
    }

    #[test]
    fn scope_and_except_narrow_a_rule() {
        let namespace =
            |pattern: &str| Conditions::any().with(Field::Namespace, vec![Pattern::parse(pattern).unwrap()]);
        let mut scoped = rule(0, "scoped", "*", &["slack"]);
        scoped.scopes = vec![namespace("shop"), namespace("sho*")];
        let mut outside = rule(0, "outside", "*", &["wecom"]);
        outside.scopes = vec![namespace("shop"), namespace("other")];
        let mut excepted = rule(0, "excepted", "*", &["hook"]);
        excepted.except =
            vec![namespace("none"), Conditions::any().with(Field::Workload, vec![Pattern::exactly("web")])];
        let rules = Rules::new(vec![scoped, outside, excepted]);
        assert_eq!(said(&rules, Level::Warning, "BackOff", ""), ["scoped>slack"]);
    }

    #[test]
    fn the_built_in_set_tells_warnings_and_knows_noise() {
        let rules = builtin::rules(&["slack".into()]);
        let told = |reason, message| said(&rules, Level::Warning, reason, message);
        assert_eq!(told("FailedMount", "x"), ["warnings>slack"]);
        assert_eq!(told("Unhealthy", "x"), ["unhealthy>slack"]);
        assert_eq!(told("FailedCreate", "x"), ["pods-not-created>slack"]);
        assert_eq!(told("FailedScheduling", "x"), ["scheduling>slack"]);
        assert_eq!(told("InvalidDiskCapacity", "x"), [""; 0]);
        assert_eq!(told("FailedScheduling", "skip schedule deleting pod: shop/web"), [""; 0]);
        assert_eq!(said(&rules, Level::Normal, "Pulled", ""), [""; 0]);
    }

    #[test]
    fn equal_rules_have_equal_generations() {
        let make = |reason| Rules::new(vec![rule(0, "a", reason, &["slack"])]).generation();
        assert_eq!(make("BackOff"), make("BackOff"));
        assert_ne!(make("BackOff"), make("Failed"));
    }

    #[test]
    fn hours_of_another_time_zone_are_another_generation_though_they_are_written_the_same() {
        let make = |zone: &str| {
            let mut rule = rule(0, "a", "BackOff", &["slack"]);
            let zone = jiff::tz::TimeZone::get(zone).unwrap();
            rule.settings.active = Some(Active { hours: vec![Hours::daily(540, zone)] });
            Rules::new(vec![rule]).generation()
        };
        assert_eq!(make("Asia/Shanghai"), make("Asia/Shanghai"));
        assert_ne!(make("Asia/Shanghai"), make("Europe/Paris"));
    }

    #[test]
    fn an_exact_text_and_an_expression_of_the_same_letters_are_two_generations() {
        let make = |pattern: Pattern| {
            let mut rule = rule(0, "a", "BackOff", &["slack"]);
            rule.matching = Conditions::any().with(Field::Message, vec![pattern]);
            Rules::new(vec![rule]).generation()
        };
        assert_ne!(make(Pattern::exactly("/x/")), make(Pattern::parse("/x/").unwrap()));
    }
}
