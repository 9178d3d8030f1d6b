//! For tests of tables: checks phrases against `docs/glossary.md`, which says the words that both languages use for the
//! same thing. The root crate includes this file for its own tables.

/// The page.
const PAGE: &str = include_str!("../../../docs/glossary.md");

/// One row of the page.
struct Term {
    /// In English, in the singular.
    en: &'static str,
    /// In Chinese.
    zh: &'static str,
    /// Chinese words that other people use for it, and podbell does not.
    never: Vec<&'static str>,
}

fn terms() -> impl Iterator<Item = Term> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.filter_map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let (en, zh, never) = (cells.next()?, cells.next()?, cells.next()?);
        Some(Term { en, zh, never: never.split('、').filter(|word| !word.is_empty()).collect() })
    })
}

/// What is wrong with a phrase: a Chinese word that the glossary does not want, or a term of the English that the
/// Chinese has no word for.
pub(crate) fn breaches(en: &str, zh: &str) -> Vec<String> {
    let (en, zh) = (without_names(en), without_names(zh));
    let mut breaches = Vec::new();
    for Term { en: term, zh: word, never } in terms() {
        breaches
            .extend(never.iter().filter(|never| zh.contains(**never)).map(|never| format!("{never} for {word}: {zh}")));
        let said = en.to_lowercase().match_indices(&term.to_lowercase()).any(|(at, _)| is_word(&en, at, term.len()));
        if said && !zh.contains(word) {
            breaches.push(format!("no {word} for {term}: {en} / {zh}"));
        }
    }
    breaches
}

/// A phrase without the names of its placeholders, which are not words; the forms of a choice stay.
fn without_names(phrase: &str) -> String {
    let parts = phrase.split('{').enumerate().map(|(at, part)| match part.split_once(['|', '}']) {
        Some((_, rest)) if at > 0 => rest,
        _ => part,
    });
    parts.collect::<Vec<_>>().join("{")
}

/// Whether these letters of a phrase are a word, in singular or plural. The name of a command in backticks is not a
/// word.
fn is_word(phrase: &str, at: usize, len: usize) -> bool {
    let letter = |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '-' | '`');
    let before = phrase[..at].chars().next_back();
    let after = phrase[at + len..].strip_prefix('s').unwrap_or(&phrase[at + len..]).chars().next();
    !before.is_some_and(letter) && !after.is_some_and(|c| letter(c) || c == ':')
}

mod tests {
    use super::*;

    #[test]
    fn a_word_that_the_glossary_does_not_want_is_found() {
        assert_eq!(terms().find(|term| term.en == "mute").unwrap().zh, "静默");
        assert!(breaches("{n} open incidents", "{n} 个未恢复的告警").is_empty());
        assert_eq!(breaches("{n} {n|incident|incidents}", "{n} 个事故").len(), 2);
        assert_eq!(breaches("End the mute", "解除静音").len(), 2);
        assert!(breaches("{services} fail", "{services}失败").is_empty(), "the name of a placeholder is no word");
        assert!(breaches("unmuted", "解除").is_empty(), "a part of another word is none");
    }
}
