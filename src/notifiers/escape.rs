//! Text from outside, made harmless for a platform. Pure; the last step of rendering, so that
//! nothing is escaped twice or not at all.

/// Slack: exactly these three characters are special in every kind of text; with them gone there
/// is no `<!channel>`, no `<@user>` and no link.
pub(super) fn slack(text: &str) -> String {
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

/// For a code span or a code block: inside of it nothing is markup but the backtick that would
/// end it, which becomes one that looks the same.
pub(super) fn backticks(text: &str) -> String {
    text.replace('`', "\u{2cb}")
}

/// An address between `<` and `>` of Slack: nothing may end it early or begin a label.
pub(super) fn slack_url(url: &str) -> String {
    url.replace('&', "&amp;").replace('<', "%3C").replace('>', "%3E").replace('|', "%7C")
}

/// WeCom knows no escape. The characters that make up its tags, links, mentions, bold and code
/// become their full-width twins: they read the same and mean nothing. `&` is among them, in case a
/// client reads `&lt;` as `<`.
pub(super) fn wecom(text: &str) -> String {
    let twin = |c| match c {
        '&' => '＆',
        '<' => '＜',
        '>' => '＞',
        '[' => '［',
        ']' => '］',
        '@' => '＠',
        '*' => '＊',
        '`' => '\u{2cb}',
        c => c,
    };
    text.chars().map(twin).collect()
}

/// An address in WeCom's `[x](address)`: nothing may end it early.
pub(super) fn wecom_url(url: &str) -> String {
    url.replace('<', "%3C").replace('>', "%3E").replace('(', "%28").replace(')', "%29").replace('@', "%40")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_text_is_escaped_as_the_vectors_say() {
        let vectors = include_str!("../../tests/fixtures/vectors/slack_escape.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 8);
        for case in cases {
            assert_eq!(slack(case["input"].as_str().unwrap()), case["expected"].as_str().unwrap(), "{}", case["name"]);
        }
    }
}
