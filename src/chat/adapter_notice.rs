//! What chat adapters say by themselves, for when the query service is not asked or is slow. Pure.

use podbell_core::translated;

/// What the adapter says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdapterNotice {
    /// The answer follows.
    Working,
    /// The answer does not come in time, and cannot follow.
    Slow,
    /// Too many questions wait.
    Busy,
    /// The command is longer than any command.
    TooLong,
    /// This person may not ask.
    NotYou,
    /// This channel or conversation is not podbell's.
    NotHere,
    /// It was said so long ago that it is not carried out any more.
    Late,
    /// The query service broke down.
    Broken,
}

translated! { AdapterNotice;
    Working: "Working on it; the answer follows.", "正在处理，稍后回复。";
    Slow: "This takes longer than the chat waits. Ask again in a moment; whether a change was made, `show` and `mutes` say.", "处理时间超过聊天平台的等待时间，请稍后再问；操作是否已执行，可用 `show` 或 `mutes` 查看。";
    Busy: "Too many questions at once. Nothing was done; try again in a moment.", "同时提问太多，未执行任何操作，请稍后再试。";
    TooLong: "That is too long for a command. Nothing was done; try `help`.", "命令过长，未执行任何操作。请输入 `help` 查看用法。";
    NotYou: "You are not on podbell's list. Ask whoever runs it.", "您不在 podbell 的名单中，请联系管理员。";
    NotHere: "podbell does not answer here. Ask whoever runs it.", "podbell 不在此处应答，请联系管理员。";
    Late: "This was written while podbell was away. Nothing was done; write it again if it still matters.", "这条消息是在 podbell 离线期间发送的，未执行任何操作；如仍需要，请重新发送。";
    Broken: "Something broke down; it may or may not be done. Ask `show` or `mutes`.", "内部出错，操作可能已执行，也可能未执行。请用 `show` 或 `mutes` 查看。";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glossary;

    #[test]
    fn all_phrases_use_the_words_of_the_glossary() {
        let rows = AdapterNotice::ROWS.iter();
        let found: Vec<String> = rows.flat_map(|(_, en, zh)| glossary::breaches(en, zh)).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
