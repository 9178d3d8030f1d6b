//! Splits what people type into words. Understands the quotes of every keyboard, the dashes that phones make, and the
//! characters of Chinese keyboards. Knows no command.

use super::mistake::Mistake;

/// The longest text that is read, in characters.
pub(super) const MAX_CHARS: usize = 2_000;
pub(super) const MAX_WORDS: usize = 50;

/// One word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The word without quotes, in the characters of an English keyboard.
    pub text: String,
    /// Whether it was quoted: a quoted word is never an option.
    pub quoted: bool,
    /// Where it begins in the text.
    pub start: usize,
}

impl Word {
    /// The name of the option, if it is one: what follows the dashes. Phones turn two hyphens into one dash, so their
    /// number does not count.
    pub(super) fn option(&self) -> Option<(String, Option<&str>)> {
        let name = self.text.trim_start_matches('-');
        let is_one = !self.quoted && name.len() < self.text.len() && name.starts_with(|c: char| c.is_alphabetic());
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        is_one.then(|| (name.to_lowercase(), value))
    }
}

/// The words of a text.
pub(super) fn split(text: &str) -> Result<Vec<Word>, Mistake> {
    if text.chars().nth(MAX_CHARS).is_some() {
        return Err(Mistake::TooLong);
    }
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(is_gap);
        let Some(first) = rest.chars().next() else { return Ok(words) };
        if words.len() == MAX_WORDS {
            return Err(Mistake::TooManyWords);
        }
        let start = text.len() - rest.len();
        let (word, after) = match quoted(rest, first) {
            Some((inside, after)) => (Word { text: plain(inside), quoted: true, start }, after),
            None => unquoted(rest, start),
        };
        rest = after;
        if word.quoted || !word.text.is_empty() {
            words.push(word);
        }
    }
}

/// Reads a word without quotes; the value of an option may be quoted, as in `--reason="no room"`.
fn unquoted(rest: &str, start: usize) -> (Word, &str) {
    let end = rest.find(is_gap).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    let value = word.char_indices().find(|(_, c)| matches!(c, '=' | '＝' | ':' | '：'));
    if let Some((at, sign)) = value {
        let (name, opened) = rest.split_at(at + sign.len_utf8());
        if let Some((inside, after)) = opened.chars().next().and_then(|first| quoted(opened, first)) {
            return (Word { text: plain(name) + &plain(inside), quoted: false, start }, after);
        }
    }
    (Word { text: plain(word), quoted: false, start }, after)
}

/// The text between quotes, and what follows. A quote closes only at the end of a word, so an apostrophe
/// does not close it. A quote that is never closed is an ordinary character.
fn quoted(text: &str, first: char) -> Option<(&str, &str)> {
    let kind = quote(first)?;
    let inside = text.get(first.len_utf8()..)?;
    let closes = |(at, c): &(usize, char)| {
        let after = inside.get(at + c.len_utf8()..).unwrap_or_default();
        quote(*c) == Some(kind) && after.chars().next().is_none_or(is_gap)
    };
    let (end, closing) = inside.char_indices().find(closes)?;
    Some((inside.get(..end)?, inside.get(end + closing.len_utf8()..)?))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    Single,
    Double,
    Corner,
    Code,
}

fn quote(c: char) -> Option<Quote> {
    match c {
        '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '＂' => Some(Quote::Double),
        '\'' | '‘' | '’' | '‚' | '‛' | '＇' => Some(Quote::Single),
        '「' | '」' | '『' | '』' => Some(Quote::Corner),
        '`' => Some(Quote::Code),
        _ => None,
    }
}

fn is_gap(c: char) -> bool {
    c.is_whitespace()
}

/// A text without what would make its first word an option: the dashes before it, however they are typed.
#[must_use]
pub fn without_dashes(text: &str) -> &str {
    text.trim_start_matches(|c: char| {
        c.is_whitespace() || plain(c.encode_utf8(&mut [0; 4])).trim_matches('-').is_empty()
    })
}

/// Replaces characters that phones and Chinese keyboards make by those of an English keyboard.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Invisible characters: nobody types them on purpose.
            '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{202a}'..='\u{202e}' => {}
            '—' | '―' => plain.push_str("--"),
            '–' | '‐' | '‑' | '‒' | '−' => plain.push('-'),
            // Full-width forms have the same order as ASCII.
            '\u{ff01}'..='\u{ff5e}' => plain.extend(char::from_u32(u32::from(c) - 0xfee0)),
            '、' => plain.push(','),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        split(text).unwrap().into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_split_as_people_type_them() {
        assert_eq!(words("  web  -n shop "), ["web", "-n", "shop"]);
        assert_eq!(words("web　－n　ｓｈｏｐ"), ["web", "-n", "shop"], "a Chinese keyboard");
        assert_eq!(words("web —since 2h"), ["web", "--since", "2h"], "a phone");
        assert_eq!(words("“two words” ‘a b’ \"c d\" `e f` 「g h」"), ["two words", "a b", "c d", "e f", "g h"]);
        assert_eq!(words("--reason=“no room” x"), ["--reason=no room", "x"]);
        assert_eq!(words("rule:'a b'"), ["rule:a b"]);
        assert_eq!(words("don't 'tis \"open"), ["don't", "'tis", "\"open"], "no quote is ever waited for");
        assert_eq!(words("'don't do'"), ["don't do"]);
        assert_eq!(words("＃1042\u{200b}"), ["#1042"]);
        assert_eq!(words("\u{200b}"), Vec::<String>::new());
    }

    #[test]
    fn a_text_without_its_dashes_begins_with_no_option() {
        for dashes in ["", "-", "--", "—", "―", "－－", " \u{200b}-\u{2060}−", "‐ ‑"] {
            assert_eq!(without_dashes(&format!("{dashes}help -n deploying")), "help -n deploying", "{dashes:?}");
        }
    }

    #[test]
    fn an_option_is_known_by_its_dashes_however_many_there_are() {
        let option = |text: &str| {
            let words = split(text).unwrap();
            words[0].option().map(|(name, value)| (name, value.map(str::to_owned)))
        };
        assert_eq!(option("—since"), Some(("since".into(), None)));
        assert_eq!(option("–Since=2h"), Some(("since".into(), Some("2h".into()))));
        assert_eq!(option("-n"), Some(("n".into(), None)));
        assert_eq!(option("“-n”"), None, "quoted: a word");
        assert_eq!(option("-5"), None);
        assert_eq!(option("web"), None);
    }

    #[test]
    fn what_is_too_long_is_refused() {
        assert_eq!(split(&"a".repeat(MAX_CHARS + 1)), Err(Mistake::TooLong));
        assert_eq!(split(&"a ".repeat(MAX_WORDS + 1)), Err(Mistake::TooManyWords));
        assert!(split(&"a ".repeat(MAX_WORDS)).is_ok());
    }
}
