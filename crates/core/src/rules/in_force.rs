//! Which rules are in force when some files have mistakes. A file that is refused keeps its last good
//! version; if it never had one, the built-in rules cover what it would have covered. Nobody is
//! silenced by a typo.
//!
//! Pure: the texts on disk and the last good ones are arguments.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builtin;
use super::compile::{Compiled, RuleFile, compile};
use super::set::Rules;
use super::settings::Partial;
use crate::diagnostic::{Diagnostic, Source};
use crate::rule::Destination;
use crate::rule::quiet::Maintenance;
use crate::source::Problem;

const LAST_GOOD: &str = "its last good version holds";

/// The rule files of podbell.yaml, as they are on disk.
#[derive(Clone, Debug, Default)]
pub struct RuleFiles {
    /// The files in reading order.
    pub files: Vec<RuleFile>,
    /// What is named and cannot be read, in reading order.
    pub unread: Vec<UnreadRules>,
    /// Whether podbell.yaml has `rules:` at all; if not, the built-in rules are in force.
    pub named: bool,
    /// The destinations of the built-in rules.
    pub chats: Vec<Destination>,
    /// The operator's planned work.
    pub maintenance: Vec<Maintenance>,
}

/// A glob of `rules:` that matches no file, or a file that cannot be read. Whoever wrote it expects rules, and nobody
/// may be silenced by their absence.
#[derive(Clone, Debug)]
pub struct UnreadRules {
    /// How many files come before it.
    pub before: usize,
    /// A file without text, named like the glob or the file, with its bounds.
    pub file: RuleFile,
    /// What is wrong, at its place in podbell.yaml or in the file.
    pub error: Diagnostic,
}

/// The rules in force.
#[derive(Debug)]
pub struct InForce {
    /// The rules.
    pub rules: Rules,
    /// Names and texts of the files that are good.
    pub good: Vec<(String, String)>,
    /// The files that were refused, and why.
    pub refused: Vec<(String, Problem)>,
}

impl RuleFiles {
    /// The rules in force, given the last good text of each file.
    pub fn in_force(&self, last_good: &BTreeMap<String, String>) -> InForce {
        if !self.named {
            let rules = builtin::rules(&self.chats).with_maintenance(self.maintenance.clone());
            return InForce { rules, good: Vec::new(), refused: Vec::new() };
        }
        let (mut files, mut good, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        let last_good = |file: &RuleFile| {
            let text = last_good.get(&*file.source.name)?;
            Some(compile(&with_text(file, text))).filter(|compiled| !compiled.has_errors())
        };
        let mut unread = self.unread.iter().peekable();
        for place in 0..=self.files.len() {
            while let Some(UnreadRules { file, error, .. }) = unread.next_if(|unread| unread.before <= place) {
                let (instead, held) = match last_good(file) {
                    Some(before) => (before, LAST_GOOD),
                    None => (self.stand_in(file, &Compiled::default()), "the built-in rules apply in its place"),
                };
                files.push(instead);
                refused.push((file.source.name.to_string(), refusal(error, held)));
            }
            let Some(file) = self.files.get(place) else { break };
            let name = file.source.name.to_string();
            let compiled = compile(file);
            let Some(error) = first_error(&compiled) else {
                good.push((name, file.source.text.to_string()));
                files.push(compiled);
                continue;
            };
            let (instead, held) = match last_good(file) {
                Some(before) => (before, LAST_GOOD),
                None => {
                    (self.stand_in(file, &compiled), "it never had a good version: the built-in rules apply instead")
                }
            };
            files.push(instead);
            refused.push((name, refusal(&error, held)));
        }
        InForce { rules: Rules::of(files).with_maintenance(self.maintenance.clone()), good, refused }
    }

    /// The built-in rules in the place of a file: with its entry and bounds, and as far as they could be read, its
    /// scope and destinations.
    fn stand_in(&self, file: &RuleFile, broken: &Compiled) -> Compiled {
        let exists = |to: &Destination| {
            let known = |names: &Option<Vec<Destination>>| names.as_ref().is_none_or(|names| names.contains(to));
            known(&file.names.destinations) && known(&file.names.may_notify)
        };
        let own = broken.notify.clone().filter(|names| names.iter().all(exists));
        let allowed = file.names.may_notify.clone().map(|names| names.into_iter().filter(exists).collect::<Vec<_>>());
        let notify = own.or(allowed).filter(|names| !names.is_empty()).unwrap_or_else(|| self.chats.clone());
        let mut instead = compile(&RuleFile {
            source: Source::new(&format!("{} for {}", builtin::FILE, file.source.name), builtin::TEXT),
            defaults: Partial::notifying(notify),
            ..file.clone()
        });
        for located in &mut instead.rules {
            located.rule.scopes.extend(broken.scope.clone());
        }
        instead
    }
}

fn with_text(file: &RuleFile, text: &str) -> RuleFile {
    let source: Arc<Source> = Source::shown_as(&file.source.name, &file.source.shown, text);
    RuleFile { source, ..file.clone() }
}

fn first_error(compiled: &Compiled) -> Option<Diagnostic> {
    compiled.diagnostics.iter().find(|finding| finding.is_error()).cloned()
}

/// The problem, as the operator reads it.
pub fn refusal(error: &Diagnostic, held: &str) -> Problem {
    Problem {
        code: "rules".to_owned(),
        text: error.to_string(),
        advice: format!("mend the file; `podbell check` shows every mistake. Until then {held}"),
        gone: false,
    }
}
