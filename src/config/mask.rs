//! podbell.yaml with its secrets masked: findings quote lines, and a line may contain a secret. Works on the text,
//! not on parsed YAML, so that misspelt keys and broken YAML are masked, too. Replaces byte for byte, so that every
//! span stays valid.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// Matches a key whose value may be a secret, up to the value.
#[allow(clippy::expect_used, reason = "a constant")]
static KEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)\b[\w-]*(?:(?:secret|secert|token|key|pas+w|pwd|credential|url|proxy|headers)[\w-]*|pass)["']?[ \t]*:[ \t]*"#)
        .expect("an expression")
});

/// The text with stars in place of whatever may be a secret. References (`${NAME}`, `{file: …}`)
/// and the hosts of addresses stay.
pub(crate) fn masked(text: &str) -> String {
    let mut hidden = Vec::new();
    for key in KEY.find_iter(text) {
        let values = match text[key.end()..].chars().next() {
            Some('[') => items(text, key.end()),
            Some('{') if key.as_str().to_lowercase().contains("headers") => values_of_map(text, key.end()),
            Some('{') => continue,
            Some('\n' | '\r' | '|' | '>' | '#') => lines_below(text, key.start(), key.end()),
            _ => vec![value(text, key.end())],
        };
        // Addresses are masked below, behind their scheme.
        hidden.extend(values.into_iter().filter(|value| !text[value.clone()].contains("://")));
    }
    for (at, _) in text.match_indices("://") {
        hidden.extend(of_address(text, at + 3));
    }
    let mut bytes = text.as_bytes().to_vec();
    for span in hidden {
        for part in without_references(text, span) {
            let secrets = bytes.get_mut(part).unwrap_or_default();
            secrets.iter_mut().filter(|byte| **byte != b'\n' && **byte != b'\r').for_each(|byte| *byte = b'*');
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The value that starts here: up to its closing quote, or up to what ends a plain scalar.
fn value(text: &str, start: usize) -> Range<usize> {
    let rest = &text[start..];
    match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => start + 1..start + 1 + closing(&rest[1..], quote),
        _ => start..start + reference_aware_end(rest, &[',', '}', ']', '\n', '\r']),
    }
}

/// Where a quoted scalar ends: a quote may stand in it, as `\"` or `''`.
fn closing(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next_is_quote = chars.peek().is_some_and(|(_, next)| *next == quote);
        match c {
            '\\' if quote == '"' => drop(chars.next()),
            c if c == quote && quote == '\'' && next_is_quote => drop(chars.next()),
            c if c == quote => return at,
            _ => {}
        }
    }
    text.len()
}

/// The scalars of a list in brackets.
fn items(text: &str, start: usize) -> Vec<Range<usize>> {
    let mut items = Vec::new();
    let mut at = start + 1;
    loop {
        at += text[at..].len() - text[at..].trim_start_matches([' ', '\t', '\n', '\r', ',', '"', '\'']).len();
        match text[at..].chars().next() {
            None | Some(']') => return items,
            Some('{') => at += reference_aware_end(&text[at..], &['}']) + 1,
            Some(_) => {
                // The opening quote of a quoted item was skipped above.
                let ends: &[char] = if text[..at].ends_with(['"', '\'']) { &['"', '\''] } else { &[',', ']', '\n'] };
                let end = at + reference_aware_end(&text[at..], ends).max(1);
                items.push(at..end);
                at = end;
            }
        }
        at = at.min(text.len());
    }
}

/// The values of a map in braces.
fn values_of_map(text: &str, start: usize) -> Vec<Range<usize>> {
    let mut values = Vec::new();
    let mut at = start + 1;
    while let Some(colon) = text[at..].find([':', '}']) {
        let after = at + colon + 1;
        if text[at + colon..].starts_with('}') {
            break;
        }
        let begin = after + text[after..].len() - text[after..].trim_start_matches([' ', '\t', '\n', '\r']).len();
        // A reference to a file: not the secret itself.
        if text[begin..].starts_with('{') {
            at = (begin + reference_aware_end(&text[begin..], &['}']) + 1).min(text.len());
            continue;
        }
        let found = value(text, begin);
        at = found.end.max(begin + 1).min(text.len());
        values.push(found);
    }
    values
}

/// The lines that belong to a key whose value begins below it: a list, a block of text.
fn lines_below(text: &str, key: usize, end: usize) -> Vec<Range<usize>> {
    let column = key - text[..key].rfind('\n').map_or(0, |at| at + 1);
    let mut lines = Vec::new();
    let mut at = end + text[end..].find('\n').map_or(text.len() - end, |at| at + 1);
    for line in text[at..].split_inclusive('\n') {
        let content = line.trim_start_matches([' ', '\t']);
        let indent = line.len() - content.len();
        let item = content.starts_with("- ");
        if !content.trim().is_empty() {
            if indent < column || indent == column && !item {
                break;
            }
            let words = if item { content[2..].trim_start() } else { content };
            if !words.starts_with(['{', '#']) && !words.starts_with("file:") {
                let start = at + line.len() - words.len();
                lines.push(start..at + line.trim_end().len());
            }
        }
        at += line.len();
    }
    lines
}

/// The parts of an address other than its host: user and password, path and query.
fn of_address(text: &str, start: usize) -> Vec<Range<usize>> {
    let end = start + reference_aware_end(&text[start..], &['"', '\'', ' ', '\t', ',', '}', ']', '\n', '\r']);
    let authority = start + text[start..end].find(['/', '?', '#']).unwrap_or(end - start);
    // A password may itself hold a slash.
    let host = text[start..end].rfind('@').map_or(start, |at| start + at);
    vec![start..host, authority.max(host)..end]
}

/// Where one of `ends` first occurs outside a `${…}`.
fn reference_aware_end(text: &str, ends: &[char]) -> usize {
    let mut inside = false;
    for (at, c) in text.char_indices() {
        match c {
            '{' if text[..at].ends_with('$') => inside = true,
            '}' if inside => inside = false,
            c if ends.contains(&c) && (!inside || c == '\n') => return at,
            _ => {}
        }
    }
    text.len()
}

/// A span without its `${NAME}`s.
fn without_references(text: &str, span: Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut from = span.start;
    while let Some(at) = text[from..span.end].find("${") {
        let end = text[from + at..span.end].find('}').map_or(span.end, |close| from + at + close + 1);
        parts.push(from..from + at);
        from = end;
    }
    parts.push(from..span.end);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_out_secrets_become_stars_and_nothing_moves() {
        for (text, shown) in [
            ("secret_key: abc", "secret_key: ***"),
            ("secret_kye: abc # x\nregion: gz", "secret_kye: *******\nregion: gz"),
            ("{token: \"a b\", region: gz}", "{token: \"***\", region: gz}"),
            ("secret_id: ${ID}", "secret_id: ${ID}"),
            ("secret: whsec_${ID}x, a: b", "secret: ******${ID}*, a: b"),
            ("secret_key: {file: key.txt}", "secret_key: {file: key.txt}"),
            ("url: \"https://hooks.example.com/a/b\"", "url: \"https://hooks.example.com****\""),
            ("url: https://${HOST}/x${Y}", "url: https://${HOST}**${Y}"),
            ("adress: htp://u:p@h:1?k=v }", "adress: htp://***@h:1**** }"),
            ("url: hooks.example.com/a", "url: *******************"),
            ("name: prod", "name: prod"),
            ("{user: podbell, pass: hunter2, port: 25}", "{user: podbell, pass: *******, port: 25}"),
            ("{secret_key: \"ab\\\"cd\", region: gz}", "{secret_key: \"******\", region: gz}"),
            ("secret_key: 'it''s'", "secret_key: '*****'"),
            ("pasword: a b\npwd: c", "pasword: ***\npwd: *"),
            ("smtp_pass: x\npasses: 3", "smtp_pass: *\npasses: 3"),
            ("secret: [abc, \"d e\", ${F}, {file: g}], a: b", "secret: [***, \"***\", ${F}, {file: g}], a: b"),
            ("- secret:\n    - abc\n    - ${D}\n  kind: x", "- secret:\n    - ***\n    - ${D}\n  kind: x"),
            ("secret_key: |\n  abc\n\n  de\nregion: gz", "secret_key: |\n  ***\n\n  **\nregion: gz"),
            ("secret_key:\n  file: key.txt\nregion: gz", "secret_key:\n  file: key.txt\nregion: gz"),
            ("headers: {a-b: xyz, c: \"d e\"}, d: e", "headers: {a-b: ***, c: \"***\"}, d: e"),
            ("headers: {a: Bearer ${T}, b: {file: g}}", "headers: {a: *******${T}, b: {file: g}}"),
            ("headers:\n  x: abc\nregion: gz", "headers:\n  ******\nregion: gz"),
            ("headers: {a:", "headers: {a:"),
            ("secret: [", "secret: ["),
            ("secret: [{", "secret: [{"),
            ("secret:", "secret:"),
            ("secret_key: \"密\"", "secret_key: \"***\""),
        ] {
            assert_eq!(masked(text), shown);
            assert_eq!(masked(text).len(), text.len());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_keeps_its_length_and_its_lines(text in r#"(secret|url|: |:|\[|\]|\{|\}|"|'|,|\$\{|://|@|/| |- |\n|\||密|x){0,30}"#) {
            let shown = masked(&text);
            proptest::prop_assert_eq!(shown.len(), text.len());
            proptest::prop_assert_eq!(shown.lines().count(), text.lines().count());
        }
    }
}
