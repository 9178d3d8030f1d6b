//! Templates: a team's own words for title and text of a message.
//!
//! Owns the engine and its bounds. A template sees facts and makes text; it reaches nothing else:
//! no file, no clock, no other template. What it may ask for is strict, so that a mistyped name is
//! an error and not a gap, and it has fuel for some steps and some text only, so that a template
//! that loops or explodes ends with an error. What the facts are is [`crate::message`]'s;
//! how they are read from YAML is [`crate::rules::template`]'s.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, escape_formatter};
use serde::{Deserialize, Serialize};

/// What one rendering may cost: one for each step, and one for each 64 bytes of text that is made. About three
/// megabytes and some milliseconds at most.
const FUEL: u64 = 50_000;

/// The template of a rule or destination; what it does not say stays built-in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Arc<str>>,
    /// The text below the title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Arc<str>>,
}

impl Template {
    /// Whether it has neither title nor text.
    pub(crate) fn is_empty(&self) -> bool {
        self.title.is_none() && self.text.is_none()
    }

    /// This, with `other` in place of what is not given.
    #[must_use]
    pub(crate) fn or(&self, other: &Self) -> Self {
        let first = |own: &Option<Arc<str>>, other: &Option<Arc<str>>| own.clone().or_else(|| other.clone());
        Self { title: first(&self.title, &other.title), text: first(&self.text, &other.text) }
    }
}

/// The facts that a template can use.
pub type TemplateValues = Value;

/// One half of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its title.
    Title,
    /// Its text.
    Text,
}

impl Part {
    /// The key in YAML.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Text => "text",
        }
    }
}

/// Why a template failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which half.
    pub part: Part,
    /// What is wrong, in English.
    pub why: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Which bytes of the template, if that is known.
    pub at: Option<Range<usize>>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part.as_str(), self.why)
    }
}

/// Renders one half with these facts.
pub(super) fn render(part: Part, source: &str, facts: &TemplateValues) -> Result<String, Failure> {
    let rendered = ENGINE.template_from_str(source).and_then(|template| template.render(facts.clone()));
    rendered.map_err(|error| failure(part, source, &error))
}

/// Names that a template asks for, such as `newest.reason`; empty if it cannot be read.
pub(super) fn asks_for(source: &str) -> Vec<String> {
    let mut names: Vec<String> = match ENGINE.template_from_str(source) {
        Ok(template) => template.undeclared_variables(true).into_iter().collect(),
        Err(_) => Vec::new(),
    };
    names.sort_unstable();
    names
}

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    // Escaping is the last step, and each platform does it in its own way.
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    // An absent fact becomes an empty text, not the word "none".
    engine.set_formatter(|out, state, value| {
        let nothing = Value::from("");
        escape_formatter(out, state, if value.is_none() { &nothing } else { value })
    });
    // Only in debug mode do errors know their place.
    engine.set_debug(true);
    engine
});

fn failure(part: Part, source: &str, error: &minijinja::Error) -> Failure {
    let at = error.range().filter(|at| source.get(at.clone()).is_some_and(|text| !text.is_empty()));
    let asked = at.clone().and_then(|at| source.get(at)).map(str::trim);
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let (why, help) = match error.kind() {
        ErrorKind::UndefinedError => {
            let what = asked.map_or_else(|| "something".to_owned(), |asked| format!("`{asked}`"));
            (format!("{what} is not there"), None)
        }
        ErrorKind::OutOfFuel => {
            let help = "use fewer loops, or put less text together";
            ("it takes too many steps or makes too much text".to_owned(), Some(help.to_owned()))
        }
        ErrorKind::UnknownFilter => (detail, asked.and_then(suggested_filter)),
        _ => (detail, None),
    };
    Failure { part, why, help, at }
}

/// Filters that people use; the engine does not list its own.
const FILTERS: [&str; 22] = [
    "upper",
    "lower",
    "title",
    "capitalize",
    "trim",
    "replace",
    "join",
    "split",
    "lines",
    "default",
    "first",
    "last",
    "length",
    "sort",
    "unique",
    "reverse",
    "items",
    "map",
    "select",
    "round",
    "indent",
    "list",
];

fn suggested_filter(asked: &str) -> Option<String> {
    let name = asked.rsplit('|').next()?.split('(').next()?.trim();
    let meant = crate::diagnostic::did_you_mean(name, FILTERS)?;
    Some(format!("did you mean `{meant}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(source: &str) -> Result<String, String> {
        let facts = minijinja::context! { name => "web", runbook => (), list => vec![1, 2] };
        render(Part::Text, source, &facts).map_err(|failure| failure.why)
    }

    #[test]
    fn a_template_sees_the_facts_and_escapes_nothing() {
        assert_eq!(rendered("{{ name|upper }} <&> {{ list|join(', ') }}").unwrap(), "WEB <&> 1, 2");
        assert_eq!(rendered("[{{ runbook }}]").unwrap(), "[]");
    }

    #[test]
    fn what_is_not_there_is_an_error_that_names_it() {
        assert_eq!(rendered("{{ nmae }}").unwrap_err(), "`nmae` is not there");
        assert_eq!(rendered("{% if nmae %}x{% endif %}").unwrap_err(), "`nmae` is not there");
        assert_eq!(rendered("{{ nmae|default('x') }}").unwrap(), "x");
    }

    #[test]
    fn what_loops_or_explodes_ends_with_an_error() {
        let doubling = "{% set x = 'x' %}".to_owned() + &"{% set x = x ~ x %}".repeat(60) + "{{ x }}";
        let nested = "{% for a in range(9999) %}".repeat(3) + "x" + &"{% endfor %}".repeat(3);
        let repeated = "{{ 'x' * 99999999999 }}";
        let captured = "{% set y %}{% for a in range(99999) %}{{ name }}{% endfor %}{% endset %}";
        for source in [doubling.as_str(), &nested, repeated, captured] {
            let why = rendered(source).unwrap_err();
            assert!(why.contains("too "), "{why}");
        }
    }

    #[test]
    fn a_template_reaches_nothing_outside() {
        for source in ["{% include 'x' %}", "{% import '/etc/passwd' as x %}", "{% extends 'x' %}"] {
            assert!(rendered(source).is_err(), "{source}");
        }
    }
}
