//! Mentions of people in Slack.

use crate::notifiers::{People, Rendering};

/// How ids of people are written.
pub(crate) const PEOPLE: People = People {
    platform: "Slack",
    help: "copy the member id (U0123ABC) from a profile, or a user group's (S0123ABC); or write here, channel, everyone. \
           Names can be taken by others, ids cannot",
    read,
};

/// The mentions of a message, as Slack writes them.
pub(crate) fn mentions(rendering: &mut Rendering<'_>) -> Vec<String> {
    rendering.mentioned("slack").iter().filter_map(|id| mention(id)).collect()
}

/// An id as people write it: bare, after an `@`, or as messages show it.
fn read(written: &str) -> Option<String> {
    let bare = written.trim();
    let bare = bare.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(bare);
    // Slack shows a label after the id.
    let bare = bare.split('|').next().unwrap_or_default();
    let bare = bare.trim_start_matches(['@', '!', '#']);
    let bare = bare.strip_prefix("subteam^").unwrap_or(bare);
    mention(bare).map(|_| bare.to_owned())
}

/// How Slack writes a mention of an id from podbell.yaml: a user, a user group, or one of `here`, `channel` and
/// `everyone`. `None` for anything else.
fn mention(id: &str) -> Option<String> {
    let is_id = (2..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    match id.chars().next()? {
        _ if matches!(id, "here" | "channel" | "everyone") => Some(format!("<!{id}>")),
        'U' | 'W' if is_id => Some(format!("<@{id}>")),
        'S' if is_id => Some(format!("<!subteam^{id}>")),
        _ => None,
    }
}
