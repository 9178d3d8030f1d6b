//! Small things about text: cleaning what comes from a cluster, cutting, shell commands.

/// How many characters of one text from a cluster are used at most. Every platform's budget is smaller.
pub(super) const MAX_TEXT: usize = 8_000;
/// How many characters of a name are shown.
pub(super) const MAX_NAME: usize = 253;

/// Text of a cluster on one line: no control characters, no runs of blanks, at most `most`
/// characters.
pub fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut gap = false;
    for c in text.chars().take(most.saturating_mul(2).saturating_add(64)) {
        if c.is_whitespace() || c == '\u{85}' {
            gap = !line.is_empty();
            continue;
        }
        if std::mem::take(&mut gap) {
            line.push(' ');
        }
        line.push(visible(c));
    }
    clip(&line, most)
}

/// Text of a cluster on its own lines: no control characters but the line feed, no blank lines
/// around it, at most [`MAX_TEXT`] characters.
pub(super) fn lines(text: &str) -> String {
    let text: String = text
        .trim()
        .chars()
        .take(MAX_TEXT + 1)
        .filter(|c| *c != '\r')
        .map(|c| match c {
            '\n' => '\n',
            '\t' | '\u{2028}' | '\u{2029}' => ' ',
            c => visible(c),
        })
        .collect();
    clip(text.trim(), MAX_TEXT)
}

/// Makes control characters visible, and characters that reorder text on the screen, which can disguise what a line
/// says.
fn visible(c: char) -> char {
    let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || reorders || c == '\u{feff}' { char::REPLACEMENT_CHARACTER } else { c }
}

/// At most `most` characters; what is missing shows as `…`.
pub fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => {
            let keep = text.char_indices().nth(most.saturating_sub(1)).map_or(0, |(at, _)| at);
            format!("{}…", &text[..keep])
        }
    }
}

/// The command for a closer look. `None` unless the names are valid in Kubernetes: names come from outside, and this
/// line is pasted into a shell. `namespace`: `None` if it is not known, empty if the source has none.
pub(super) fn kubectl_describe(namespace: Option<&str>, kind: &str, name: &str) -> Option<String> {
    let kind_is_safe = (1..=63).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_alphanumeric());
    if !kind_is_safe || !is_object_name(name) {
        return None;
    }
    let kind = kind.to_ascii_lowercase();
    if namespace == Some("") || CLUSTER_WIDE.contains(&kind.as_str()) {
        return Some(format!("kubectl describe {kind} {name}"));
    }
    let namespace = namespace?;
    is_object_name(namespace).then(|| format!("kubectl -n {namespace} describe {kind} {name}"))
}

/// Kinds that live in no namespace, though their events do.
const CLUSTER_WIDE: [&str; 10] = [
    "node",
    "namespace",
    "persistentvolume",
    "storageclass",
    "clusterrole",
    "clusterrolebinding",
    "customresourcedefinition",
    "ingressclass",
    "priorityclass",
    "csinode",
];

/// Whether it is a DNS subdomain: nothing in it means anything to a shell, and it does not begin like an option.
pub(super) fn is_object_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    bytes.len() <= MAX_NAME && bytes.iter().all(|b| inner(*b)) && edge(bytes.first()) && edge(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_given_for_names_that_kubernetes_gives_out_and_for_no_others() {
        let pod = |name| kubectl_describe(Some("shop"), "Pod", name);
        assert_eq!(pod("web-6d4cf56db6-x2x7v").as_deref(), Some("kubectl -n shop describe pod web-6d4cf56db6-x2x7v"));
        for name in ["", "a b", "a;rm -rf ~", "$(x)", "-n", "a`x`", "a\nb", "名", "a'b", &"a".repeat(254)] {
            assert_eq!(pod(name), None, "{name}");
        }
        assert_eq!(
            kubectl_describe(Some("default"), "Node", "10.0.0.7").as_deref(),
            Some("kubectl describe node 10.0.0.7")
        );
        assert_eq!(kubectl_describe(Some("a;b"), "Pod", "web"), None);
        assert_eq!(kubectl_describe(Some("shop"), "Pod --x", "web"), None);
        assert_eq!(kubectl_describe(None, "Pod", "web"), None);
    }

    #[test]
    fn text_is_cut_between_characters_and_shows_it() {
        assert_eq!(clip("告警告警", 3), "告警…");
        assert_eq!(clip("告警", 2), "告警");
        assert_eq!(one_line(" a\n\tb\0c ", 9), "a b\u{fffd}c");
        assert_eq!(lines("\n a\r\nb\u{202e}c\n"), "a\nb\u{fffd}c");
    }
}
