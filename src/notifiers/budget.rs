//! Length limits, each in the unit of its platform, and cutting text to fit: never inside a character, preferably
//! at the end of a line, and always visibly. Pure; called by the renderers.

use serde_json::Value;

use podbell_core::outbox::Content;

/// What cut text ends in.
const CUT: &str = "…";

/// How much of a quote a card shows, in bytes: the first that lets the whole request fit.
const QUOTES: [usize; 4] = [4_000, 1_200, 400, 100];
/// The same of a shortened card.
const SHORT_QUOTES: [usize; 2] = [400, 100];

/// A platform's unit of length: what one character costs.
pub(crate) type Cost = fn(char) -> usize;

/// Bytes of UTF-8.
pub(crate) fn bytes(c: char) -> usize {
    c.len_utf8()
}

/// The first request of at most `most` bytes, with ever shorter quotes. `None` for the plainest form, or if none fits.
pub(crate) fn first_that_fits(content: Content, most: usize, request: impl Fn(usize) -> Value) -> Option<Value> {
    let quotes: &[usize] = match content {
        Content::Full => &QUOTES,
        Content::Short => &SHORT_QUOTES,
        Content::Minimal => &[],
    };
    quotes.iter().map(|quote| request(*quote)).find(|request| request.to_string().len() <= most)
}

/// What a text costs.
pub(crate) fn cost(text: &str, of: Cost) -> usize {
    text.chars().map(of).sum()
}

/// As much of one line as fits, with `…` where it is cut.
pub(crate) fn fit(text: &str, limit: usize, of: Cost) -> String {
    if cost(text, of) <= limit {
        return text.to_owned();
    }
    let ellipsis = cost(CUT, of);
    if limit < ellipsis {
        return String::new();
    }
    format!("{}{CUT}", head(text, limit - ellipsis, of))
}

/// As many lines as fit, then how many more there are, in the words of `more`. The first line is cut if not even
/// that one fits.
pub(crate) fn fit_lines(text: &str, limit: usize, of: Cost, more: impl Fn(usize) -> String) -> String {
    if cost(text, of) <= limit {
        return text.to_owned();
    }
    let all = text.lines().count();
    let reserve = cost(&more(all), of) + 2 * of('\n');
    let whole = head(text, limit.saturating_sub(reserve), of);
    let Some(end) = whole.rfind('\n') else {
        return fit(text, limit, of);
    };
    let kept = whole.get(..end).unwrap_or_default();
    format!("{kept}\n{}", more(all - kept.lines().count()))
}

/// The longest beginning that costs at most `limit`. It never separates a base character from its combining marks.
fn head(text: &str, limit: usize, of: Cost) -> &str {
    let mut spent = 0;
    let mut end = 0;
    for (at, c) in text.char_indices() {
        spent += of(c);
        if spent > limit {
            break;
        }
        end = at + c.len_utf8();
    }
    let joins = |c: char| matches!(c, '\u{200d}' | '\u{fe0f}' | '\u{300}'..='\u{36f}' | '\u{1f3fb}'..='\u{1f3ff}');
    let head = text.get(..end).unwrap_or_default();
    let follows = text.get(end..).and_then(|rest| rest.chars().next());
    if follows.is_some_and(joins) || head.ends_with('\u{200d}') {
        let trimmed = head.trim_end_matches(joins);
        let mut whole = trimmed.chars();
        whole.next_back();
        return whole.as_str().trim_end_matches('\u{200d}');
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn more(n: usize) -> String {
        format!("+{n} more")
    }

    #[test]
    fn lines_that_do_not_fit_are_counted() {
        assert_eq!(fit_lines("one\ntwo\nthree\nfour", 15, bytes, more), "one\n+3 more");
        assert_eq!(fit_lines("one", 15, bytes, more), "one");
        assert_eq!(fit_lines(&"x".repeat(20), 15, bytes, more), format!("{}…", "x".repeat(12)));
    }

    #[test]
    fn a_family_of_joined_emoji_is_not_torn_apart() {
        assert_eq!(fit("ab👩\u{200d}👩", 12, bytes), "ab…");
        assert_eq!(fit("abe\u{301}fgh", 6, bytes), "ab…");
    }

    proptest! {
        #[test]
        fn whatever_is_cut_fits(text in "(?s).{0,200}", limit in 0usize..300) {
            for of in [bytes as Cost, char::len_utf16] {
                prop_assert!(cost(&fit(&text, limit, of), of) <= limit);
                prop_assert!(cost(&fit_lines(&text, limit, of, more), of) <= limit);
            }
        }
    }
}
