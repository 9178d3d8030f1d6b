//! `help`: what can be typed.

use super::Command;
use super::formatter::AnswerFormatter;
use super::registry::{self, COMMANDS, Parse, Spec};
use super::words::Word;
use crate::message::{Block, Fact, Message, data};
use crate::translations::Phrase;

pub(super) const SPEC: Spec = Spec {
    name: "help",
    usage: "help [COMMAND]",
    about: Phrase::new("What you can ask; help COMMAND says more.", "可以问什么；help COMMAND 查看详情。"),
    examples: &[],
    options: &[],
    arguments: 1,
    free_text: false,
    parse: Parse::Help,
};

/// Never fails: unknown words get the general help.
pub(super) fn parse(words: &[Word]) -> Command {
    let about = words.first().and_then(|word| {
        let name = word.text.trim_start_matches('/').to_lowercase();
        registry::find(&name)
    });
    Command::Help { about: about.map(|row| row.name).filter(|name| *name != SPEC.name) }
}

pub(super) fn answer(about: Option<&'static str>, formatter: &AnswerFormatter<'_>) -> Message {
    let (texts, language) = (formatter.texts, formatter.style.language);
    let Some(row) = about.and_then(registry::find) else {
        let fact = |row: &Spec| Fact { label: row.name.to_owned(), value: vec![data(row.about.say(language))] };
        let blocks = vec![
            formatter.line(texts.help()),
            Block::Facts(COMMANDS.into_iter().map(fact).collect()),
            formatter.next(&["events".to_owned(), "help mute".to_owned()]),
        ];
        return formatter.message(format!("💡 {}", texts.help_title()), blocks);
    };
    let mut blocks = vec![formatter.line(row.about.say(language)), formatter.type_this(row.usage)];
    // Leave out an example that only repeats the usage.
    let examples = row.examples.iter().filter(|example| row.examples.len() > 1 || example.contains(" --"));
    blocks.extend(examples.map(|example| formatter.example(example)));
    formatter.message(format!("💡 {}", row.name), blocks)
}
