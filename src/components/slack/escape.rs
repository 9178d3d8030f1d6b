//! Text from outside, made harmless for Slack. Pure; the last step of rendering, so that nothing is escaped twice or
//! not at all.

/// Exactly these three characters are special in every kind of text; with them escaped there is no `<!channel>`, no
/// `<@user>` and no link.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

/// What a character costs. Slack counts characters and does not say of which kind. UTF-16 units after escaping are
/// never fewer than its count.
pub(crate) fn cost(c: char) -> usize {
    match c {
        '&' => "&amp;".len(),
        '<' | '>' => "&lt;".len(),
        c => c.len_utf16(),
    }
}

/// For a code span or a code block: the only markup inside is the backtick that ends it, which is replaced by a
/// character that looks the same.
pub(crate) fn backticks(text: &str) -> String {
    text.replace('`', "\u{2cb}")
}

/// An address between `<` and `>`: nothing may end it early or begin a label.
pub(crate) fn url(url: &str) -> String {
    url.replace('&', "&amp;").replace('<', "%3C").replace('>', "%3E").replace('|', "%7C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_the_vectors_say() {
        let vectors = include_str!("../../../tests/fixtures/vectors/slack_escape.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 8);
        for case in cases {
            assert_eq!(text(case["input"].as_str().unwrap()), case["expected"].as_str().unwrap(), "{}", case["name"]);
        }
    }
}
