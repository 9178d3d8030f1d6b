//! podbell.yaml as it may be shown: findings quote lines, and a line may hold a secret that was
//! written out. Works on the text, not on its meaning, so that it also holds where a key is misspelt
//! or the YAML is broken. Byte for byte, so that every span stays where it is.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// A key whose value may be a secret, up to the value.
#[allow(clippy::expect_used, reason = "a constant")]
static KEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)\b[\w-]*(?:secret|secert|token|key|passw|url|proxy)[\w-]*["']?[ \t]*:[ \t]*"#)
        .expect("an expression")
});

/// The text with stars in place of whatever may be a secret. References (`${NAME}`, `{file: …}`)
/// and the hosts of addresses stay.
pub fn masked(text: &str) -> String {
    let mut hidden = Vec::new();
    for key in KEY.find_iter(text) {
        let value = value(text, key.end());
        // Of an address, what follows the scheme is looked at below.
        if !text[value.clone()].contains("://") && !text[value.clone()].starts_with(['{', '[']) {
            hidden.push(value);
        }
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

/// The value that begins here: to its closing quote, or to whatever ends a plain one.
fn value(text: &str, start: usize) -> Range<usize> {
    let rest = &text[start..];
    match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let end = rest[1..].find(quote).map_or(rest.len(), |at| at + 1);
            start + 1..start + end
        }
        _ => start..start + reference_aware_end(rest, &[',', '}', ']', '\n', '\r']),
    }
}

/// What an address holds beside its host: user and password, path and query.
fn of_address(text: &str, start: usize) -> Vec<Range<usize>> {
    let end = start + reference_aware_end(&text[start..], &['"', '\'', ' ', '\t', ',', '}', ']', '\n', '\r']);
    let authority = start + text[start..end].find(['/', '?', '#']).unwrap_or(end - start);
    // A password may itself hold a slash.
    let host = text[start..end].rfind('@').map_or(start, |at| start + at);
    vec![start..host, authority.max(host)..end]
}

/// Where one of these is first met outside a `${…}`.
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
            ("secret_key: \"密\"", "secret_key: \"***\""),
        ] {
            assert_eq!(masked(text), shown);
            assert_eq!(masked(text).len(), text.len());
        }
    }
}
