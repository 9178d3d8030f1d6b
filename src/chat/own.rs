//! What chat adapters say by themselves, for when the desk is not asked or is slow. Pure.

use podbell_core::message::Language;

/// What the adapter says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
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
    /// The desk broke down.
    Broken,
}

impl Own {
    /// In the reader's language. Names nothing that the reader does not know.
    pub fn text(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Working, Language::En) => "Working on it; the answer follows.",
            (Self::Working, Language::Zh) => "正在处理，稍后回复。",
            (Self::Slow, Language::En) => {
                "This takes longer than the chat waits. Ask again in a moment; whether a change was made, `show` and `mutes` say."
            }
            (Self::Slow, Language::Zh) => {
                "处理时间超过聊天平台的等待时间，请稍后再问；操作是否已执行，可用 `show` 或 `mutes` 查看。"
            }
            (Self::Busy, Language::En) => "Too many questions at once. Nothing was done; try again in a moment.",
            (Self::Busy, Language::Zh) => "同时提问太多，未执行任何操作，请稍后再试。",
            (Self::TooLong, Language::En) => "That is too long for a command. Nothing was done; try `help`.",
            (Self::TooLong, Language::Zh) => "命令过长，未执行任何操作。请输入 `help` 查看用法。",
            (Self::NotYou, Language::En) => "You are not on podbell's list. Ask whoever runs it.",
            (Self::NotYou, Language::Zh) => "您不在 podbell 的名单中，请联系管理员。",
            (Self::NotHere, Language::En) => "podbell does not answer here. Ask whoever runs it.",
            (Self::NotHere, Language::Zh) => "podbell 不在此处应答，请联系管理员。",
            (Self::Broken, Language::En) => "Something broke down; it may or may not be done. Ask `show` or `mutes`.",
            (Self::Broken, Language::Zh) => "内部出错，操作可能已执行，也可能未执行。请用 `show` 或 `mutes` 查看。",
        }
    }
}
