//! How podbell's phrases are written down: as data, each in English and Chinese on one row. A table stands beside what
//! says it.
//!
//! The macro `translations!` makes a type of a table with a function for each row: a row without a language does not
//! compile, and neither does one whose placeholders differ between the languages ([`check`] runs in the compiler).
//! A row that nothing uses is dead code, which is a warning.
//!
//! - `{name}` is an argument of the row. Numbers are written with separators.
//! - `{name|problem|problems}` chooses by a number: the first form for 1, the second for all others; `#` in a form is
//!   the number itself.
//! - `{}` is where text from outside goes (a cluster, a person, a file). The composer puts it in as data, so that no
//!   platform takes it for markup; here it stays as it is.
//!
//! A macro of our own instead of Fluent: Fluent's files are read and resolved at run time, so that a missing key or a
//! wrong placeholder shows only when somebody reads the message, and each language has a file of its own.

mod language;

pub use language::{Language, UnknownLanguage};

/// Makes a type with a function for each row of a table: `key(argument, …): "English", "Chinese";`.
#[macro_export]
macro_rules! translations {
    (
        $(#[$meta:meta])* $vis:vis struct $table:ident;
        $( $(#[$row_meta:meta])* $key:ident $(( $($arg:ident),+ ))? : $en:literal, $zh:literal; )*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        $vis struct $table($crate::translations::Language);

        impl $table {
            /// Each row: its key, in English, in Chinese.
            #[cfg(test)]
            $vis const ROWS: &[(&str, &str, &str)] = &[$((stringify!($key), $en, $zh)),*];

            /// The table in a language.
            $vis fn of(language: $crate::translations::Language) -> Self {
                Self(language)
            }

            $( $crate::translations! { @row $(#[$row_meta])* $vis $key $(( $($arg),+ ))? : $en, $zh } )*
        }
    };
    (@row $(#[$meta:meta])* $vis:vis $key:ident : $en:literal, $zh:literal) => {
        $(#[$meta])*
        #[doc = $en]
        $vis fn $key(self) -> &'static str {
            const _: () = $crate::translations::check($en, $zh, &[]);
            self.0.choose($en, $zh)
        }
    };
    (@row $(#[$meta:meta])* $vis:vis $key:ident ( $($arg:ident),+ ) : $en:literal, $zh:literal) => {
        $(#[$meta])*
        #[doc = $en]
        $vis fn $key<'a>(self, $($arg: impl Into<$crate::translations::Value<'a>>),+) -> String {
            const _: () = $crate::translations::check($en, $zh, &[$(stringify!($arg)),+]);
            $crate::translations::resolve(self.0.choose($en, $zh), &[$((stringify!($arg), $arg.into())),+])
        }
    };
}

/// Gives each variant of an enum its text in both languages by rows `Variant: "English", "Chinese";`. The enum exists,
/// or the table makes it if `enum` is before its name.
#[macro_export]
macro_rules! translated {
    ($name:ident; $($variant:ident: $en:literal, $zh:literal;)*) => {
        impl $name {
            $crate::translated! { @say $name $($variant: $en, $zh;)* }
        }
    };
    ($(#[$meta:meta])* enum $name:ident; $($variant:ident: $en:literal, $zh:literal;)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $(#[doc = $en] $variant,)* }

        $crate::translated! { $name; $($variant: $en, $zh;)* }
    };
    (@say $name:ident $($variant:ident: $en:literal, $zh:literal;)*) => {
        /// Each row: its key, in English, in Chinese.
        #[cfg(test)]
        pub(crate) const ROWS: &[(&str, &str, &str)] = &[$((stringify!($variant), $en, $zh)),*];

        /// In words.
        pub(crate) fn say(&self, language: $crate::translations::Language) -> &'static str {
            $(const _: () = $crate::translations::check($en, $zh, &[]);)*
            match self {
                $(Self::$variant { .. } => language.choose($en, $zh),)*
            }
        }
    };
}

/// A phrase that is defined beside what it describes, and not in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// In English.
    pub en: &'static str,
    /// In Chinese.
    pub zh: &'static str,
}

impl Phrase {
    /// The same in both languages; the compiler checks one that is a constant.
    pub const fn new(en: &'static str, zh: &'static str) -> Self {
        check(en, zh, &[]);
        Self { en, zh }
    }

    /// In this language.
    pub fn say(self, language: Language) -> &'static str {
        language.choose(self.en, self.zh)
    }
}

/// An argument of a phrase.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Text that goes in as it is.
    Text(&'a str),
    /// A number; the forms of words follow it.
    Count(u64),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value<'_> {
    fn from(n: u64) -> Self {
        Self::Count(n)
    }
}

impl From<u32> for Value<'_> {
    fn from(n: u32) -> Self {
        Self::Count(n.into())
    }
}

impl From<usize> for Value<'_> {
    fn from(n: usize) -> Self {
        Self::Count(n as u64)
    }
}

impl Value<'_> {
    fn write(self) -> String {
        match self {
            Self::Text(text) => text.to_owned(),
            Self::Count(n) => number(n),
        }
    }
}

/// Replaces names by their arguments. Inserted text is not read again.
pub fn resolve(phrase: &str, values: &[(&str, Value<'_>)]) -> String {
    let mut text = String::with_capacity(phrase.len() + 16);
    let mut rest = phrase;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (inside, after) = after.split_once('}').unwrap_or((after, ""));
        rest = after;
        let mut parts = inside.split('|');
        let name = parts.next().unwrap_or_default();
        let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        match (value, parts.next(), parts.next()) {
            (Some(value), Some(one), Some(many)) => {
                let form = if matches!(value, Value::Count(1)) { one } else { many };
                text.push_str(&form.replace('#', &value.write()));
            }
            (Some(value), ..) => text.push_str(&value.write()),
            // The place of text from outside.
            (None, ..) => text.push_str("{}"),
        }
    }
    text.push_str(rest);
    text
}

/// Refuses, in the compiler, a row whose languages differ in their placeholders.
///
/// # Panics
/// For such a row.
pub const fn check(en: &str, zh: &str, args: &[&str]) {
    let (en, zh) = (check_one(en.as_bytes(), args), check_one(zh.as_bytes(), args));
    assert!(en == zh, "the languages have different numbers of places for text from outside");
}

/// Checks one language, and counts its places for text from outside.
const fn check_one(phrase: &[u8], args: &[&str]) -> usize {
    assert!(!phrase.is_empty(), "a language says nothing");
    assert!(args.len() <= MAX_ARGUMENTS, "more arguments than are checked");
    let mut used = [false; MAX_ARGUMENTS];
    let (mut places, mut at) = (0, 0);
    while at < phrase.len() {
        assert!(phrase[at] != b'}', "a brace closes nothing");
        if phrase[at] == b'{' {
            let start = at + 1;
            let (mut end, mut name_end, mut bars) = (start, start, 0);
            while end < phrase.len() && phrase[end] != b'}' {
                assert!(phrase[end] != b'{', "a placeholder in a placeholder");
                if phrase[end] == b'|' {
                    bars += 1;
                } else if bars == 0 {
                    name_end = end + 1;
                }
                end += 1;
            }
            assert!(end < phrase.len(), "a brace is not closed");
            assert!(bars == 0 || bars == 2, "a choice by number has two forms");
            if end == start {
                places += 1;
            } else {
                let arg = position(phrase, start, name_end, args);
                assert!(arg < args.len(), "a placeholder that is no argument of its row");
                used[arg] = true;
            }
            at = end;
        }
        at += 1;
    }
    let mut arg = 0;
    while arg < args.len() {
        assert!(used[arg], "a language leaves an argument out");
        arg += 1;
    }
    places
}

const MAX_ARGUMENTS: usize = 8;

/// The index of the argument with this name; the number of arguments if none has it.
const fn position(phrase: &[u8], start: usize, end: usize, args: &[&str]) -> usize {
    let mut arg = 0;
    while arg < args.len() {
        let name = args[arg].as_bytes();
        let mut same = name.len() == end - start;
        let mut at = 0;
        while same && at < name.len() {
            same = name[at] == phrase[start + at];
            at += 1;
        }
        if same {
            return arg;
        }
        arg += 1;
    }
    arg
}

/// `12345` as `12,345`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn numbers_have_thousands_separators() {
        let written: Vec<_> = [0, 7, 999, 1000, 70_944, 1_234_567].map(number).into();
        assert_eq!(written, ["0", "7", "999", "1,000", "70,944", "1,234,567"]);
    }

    #[test]
    fn forms_follow_their_number_and_what_is_put_in_is_not_read_again() {
        let say = |n: u64| resolve("{n} {n|problem|problems} in {place}", &[("n", n.into()), ("place", "{n}".into())]);
        assert_eq!(say(1), "1 problem in {n}");
        assert_eq!(say(0), "0 problems in {n}");
        assert_eq!(say(1182), "1,182 problems in {n}");
        let times = |n: u64| resolve("{n|once|# times}", &[("n", n.into())]);
        assert_eq!((times(1).as_str(), times(1182).as_str()), ("once", "1,182 times"));
        assert_eq!(resolve("Since {since}: {}", &[("since", "10:02".into())]), "Since 10:02: {}");
    }

    #[test]
    fn rows_whose_languages_differ_are_refused() {
        let refused = |en: &'static str, zh: &'static str, args: &'static [&'static str]| {
            catch_unwind(|| check(en, zh, args)).is_err()
        };
        assert!(!refused("{n} {n|problem|problems} of {}", "{} 的 {n} 个告警", &["n"]));
        assert!(refused("{n} of {}", "{n} 个", &["n"]), "text from outside in one language only");
        assert!(refused("{n}", "无", &["n"]), "an argument in one language only");
        assert!(refused("{m}", "{m}", &["n"]), "an unknown argument");
        assert!(refused("{n", "{n}", &["n"]) && refused("n}", "{n}", &["n"]), "braces");
        assert!(refused("{n|a}", "{n}", &["n"]), "one form");
        assert!(refused("", "无", &[]), "nothing");
    }
}
