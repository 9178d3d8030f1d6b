//! What an event talks about, so that the same trouble in other words is not news.

use super::event::Event;
use super::reports::PULL;

/// The longest kind of message that is compared, in characters.
const KIND_CHARS: usize = 80;

/// The topic of a node that went away.
const NODE: &str = "node";

/// What an event talks about: one of the built-in families, or its reason and kind of message.
/// Two events of one topic are no news to each other.
pub(crate) fn of(event: &Event<'_>, workload: &str) -> String {
    if let Some(topic) = built_in_topic(event) {
        return match event.node() {
            // Another node that goes away is news.
            node if topic == NODE && event.obj_type.trim() == "Node" => format!("{topic} {node}"),
            _ => topic.to_owned(),
        };
    }
    format!("{}: {}", event.reason.trim(), kind_of_message(&event.message, &event.obj_name, workload))
}

/// The built-in families: reasons and texts by which the cluster reports one and the same cause.
fn built_in_topic(event: &Event<'_>) -> Option<&'static str> {
    let (reason, message) = (event.reason.trim(), event.message.as_ref());
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match reason {
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InspectFailed" => Some("image pull"),
        "CrashLoopBackOff" | "ContainerCrashed" => Some("crash loop"),
        "Failed" | "BackOff" | "FailedSync" | "pod启动失败" | "操作重试" if says(&PULL) => Some("image pull"),
        "BackOff" | "FailedSync" | "pod启动失败" | "操作重试"
            if says(&["CrashLoopBackOff", "ack-off restarting failed"]) =>
        {
            Some("crash loop")
        }
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => Some("volume"),
        "FailedScheduling" | "PodUnschedulable" => Some("scheduling"),
        "BackoffLimitExceeded" | "DeadlineExceeded" | "JobFailed" if event.obj_type.trim() == "Job" => Some("job"),
        "NodeNotReady" => Some(NODE),
        "Unhealthy" if says(&["Readiness"]) => Some("readiness probe"),
        "Unhealthy" if says(&["Liveness"]) => Some("liveness probe"),
        "Unhealthy" if says(&["Startup"]) => Some("startup probe"),
        _ => None,
    }
}

/// The message without quoted parts, names of objects, hashes, addresses, times and numbers; its first 80 characters.
/// Scripts without blanks between words are split where the script changes: of "磁盘已满98%" the number is dropped, and
/// the clause stays.
pub(crate) fn kind_of_message(message: &str, obj_name: &str, workload: &str) -> String {
    let mut kind = String::new();
    let unquoted = without_quotes(message);
    for (word, glued) in unquoted.split_whitespace().flat_map(pieces) {
        let dense = word.chars().any(is_dense);
        // Names of objects are also written inside of the clause.
        if glued && !dense && word.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
            continue;
        }
        if !dense && is_particular(word, obj_name, workload) {
            continue;
        }
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation() || is_punctuation(c));
        if word.is_empty() {
            continue;
        }
        if !kind.is_empty() {
            kind.push(' ');
        }
        match dense {
            true => kind.extend(word.chars().filter(|c| !is_numeral(*c))),
            false => kind.push_str(word),
        }
        if kind.len() > KIND_CHARS * 4 {
            break;
        }
    }
    kind.chars().take(KIND_CHARS).collect()
}

/// Splits a word where a script that is written without blanks begins or ends. The flag says that a piece is not the
/// whole word.
fn pieces(word: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest.char_indices().find(|(_, c)| is_dense(*c) != is_dense(first)).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some((piece, piece.len() < word.len()))
    })
}

/// Whether a character is a number in these scripts.
fn is_numeral(c: char) -> bool {
    c.is_numeric() || "〇一二三四五六七八九十百千万两".contains(c)
}

/// Whether a character is of a script that is written without blanks between words.
fn is_dense(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}'      // Thai, Lao
        | '\u{1000}'..='\u{109f}'    // Myanmar
        | '\u{1780}'..='\u{17ff}'    // Khmer
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' // Japanese
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' // Han
        | '\u{20000}'..='\u{3ffff}')
}

/// Punctuation of these scripts, and full-width forms of it.
fn is_punctuation(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{2018}'..='\u{201f}' | '…')
}

/// Whether a word names a particular thing: an object, a number, a hash, an address, a time.
fn is_particular(word: &str, obj_name: &str, workload: &str) -> bool {
    word.chars().any(char::is_numeric)
        || word.contains(['/', '_'])
        || (!obj_name.is_empty() && word.contains(obj_name))
        || (workload.len() > 2 && word.contains(workload))
        || word.trim_end_matches(['.', ',', ':']).contains('.')
}

/// Drops everything between quotes. A quote that is never closed, such as an apostrophe, drops
/// nothing.
fn without_quotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, quote, after)) = split_at_quote(rest) {
        out.push_str(before);
        match closing(after, quote) {
            Some(end) => {
                out.push(' ');
                rest = after.get(end + 1..).unwrap_or_default();
            }
            None => {
                out.push(quote);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn split_at_quote(text: &str) -> Option<(&str, char, &str)> {
    let at = text.find(['"', '\'', '`'])?;
    let quote = text.get(at..)?.chars().next()?;
    Some((text.get(..at)?, quote, text.get(at + 1..)?))
}

/// The position of the closing quote, past escaped ones.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices()
        .find(|&(_, c)| {
            let closes = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        })
        .map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::event::Level;
    use crate::time::Time;

    fn event(reason: &'static str, message: &'static str) -> Event<'static> {
        Event {
            first_seen: Time::default(),
            last_seen: Time::default(),
            count: 1,
            level: Level::Warning,
            obj_type: Cow::Borrowed("Pod"),
            obj_name: Cow::Borrowed("web-6d4cf56db6-x2x7v"),
            reason: Cow::Borrowed(reason),
            message: Cow::Borrowed(message),
            ..Event::default()
        }
    }

    #[test]
    fn a_kind_of_message_keeps_the_words_and_drops_the_particulars() {
        let cases = [
            (r#"Error: failed to "StartContainer" for "php" at 10.0.0.1:80"#, "Error failed to for at"),
            ("can't do it 12 times", "can't do it times"),
            ("pod web-6d4cf56db6-x2x7v is gone", "pod is gone"),
            (r#"a "quoted \" part" b"#, "a b"),
            ("读取 10.0.0.1 失败", "读取 失败"),
            ("服务web更新失败，错误码5003，正在第3次重试", "服务 更新失败 错误码 正在第 次重试"),
            ("磁盘已满98%", "磁盘已满"),
            ("第十一次重试失败", "第次重试失败"),
            ("容器alpha启动失败", "容器 启动失败"),
            ("磁盘已满９８％", "磁盘已满"),
            ("ディスク使用率98%を超えました", "ディスク使用率 を超えました"),
            ("พื้นที่ดิสก์เหลือ2%", "พื้นที่ดิสก์เหลือ"),
            ("ลองครั้งที่๑๒", "ลองครั้งที่"),
            ("", ""),
        ];
        for (message, kind) in cases {
            assert_eq!(kind_of_message(message, "web-6d4cf56db6-x2x7v", "web"), kind, "{message}");
        }
        assert_eq!(kind_of_message(&"é ".repeat(500), "x", "x").chars().count(), KIND_CHARS);
    }

    #[test]
    fn the_reasons_of_one_failed_image_pull_are_one_topic() {
        let pull = [
            event("Failed", "Error: ErrImagePull"),
            event("Failed", "Error: ImagePullBackOff"),
            event("BackOff", "Back-off pulling image \"x\""),
            event("pod启动失败", "failed to \"StartContainer\" with ImagePullBackOff"),
            event("Failed", "Failed to pull image \"x\": rpc error"),
        ];
        assert!(pull.iter().all(|event| of(event, "web") == "image pull"));
        assert_ne!(of(&event("BackOff", "Back-off restarting failed container"), "web"), "image pull");
        assert_ne!(of(&event("Failed", "Error: cannot create"), "web"), "image pull");
    }
}
