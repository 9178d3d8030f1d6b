//! The rules of an installation without rule files: useful in the first minute, quiet about known
//! noise.

use std::time::Duration;

use super::condition::Conditions;
use super::pattern::Pattern;
use super::rule::{Action, Destination, Field, OpenWhen, Rule, RuleKey, RuleSettings, Severity};
use super::set::Rules;

/// The file name of built-in rules in their [`RuleKey`].
pub const FILE: &str = "builtin";

/// The built-in set, told to these destinations: every chat destination.
pub fn rules(notify: &[Destination]) -> Rules {
    let rule = |name: &str, conditions: Conditions| {
        let key = RuleKey { file: FILE.into(), name: name.into() };
        let settings = RuleSettings::new(key, Severity::Warning, notify.to_vec());
        Rule { matching: conditions, ..Rule::new(settings) }
    };
    let warning = || Conditions::any().with(Field::Level, vec![Pattern::exactly("Warning")]);
    let ignore = |rule: Rule| Rule { action: Action::Ignore, ..rule };
    let deleting = Pattern::parse("*skip schedule deleting pod*").into_iter().collect();
    let mut unhealthy = rule("unhealthy", warning().with(Field::Reason, vec![Pattern::exactly("Unhealthy")]));
    unhealthy.settings.open_when = OpenWhen { count: 3, within: Duration::from_secs(15 * 60) };
    Rules::new(vec![
        ignore(rule("deleting-pods", warning().with(Field::Message, deleting))),
        ignore(rule(
            "invalid-disk-capacity",
            warning().with(Field::Reason, vec![Pattern::exactly("InvalidDiskCapacity")]),
        )),
        unhealthy,
        rule("warnings", warning()),
    ])
}
