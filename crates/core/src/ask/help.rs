//! `help`: what can be typed.

use super::formatter::AnswerFormatter;
use super::spec::{Parse, Spec};
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

pub(super) fn answer(about: Option<&'static str>, commands: &[&Spec], formatter: &AnswerFormatter<'_>) -> Message {
    let (texts, language) = (formatter.texts, formatter.style.language);
    let Some(row) = commands.iter().find(|row| Some(row.name) == about) else {
        let fact = |row: &Spec| Fact { label: row.name.to_owned(), value: vec![data(row.about.say(language))] };
        let blocks = vec![
            formatter.line(texts.help()),
            Block::Facts(commands.iter().map(|row| fact(row)).collect()),
            formatter.next(&["events".to_owned(), "help mute".to_owned()]),
        ];
        return formatter.message(format!("💡 {}", texts.help_title()), blocks);
    };
    let mut blocks = vec![formatter.line(row.about.say(language)), formatter.type_this(row.usage)];
    let options: Vec<Fact> = row
        .options()
        .map(|option| Fact { label: option.usage(), value: vec![data(option.about.say(language))] })
        .collect();
    blocks.extend((!options.is_empty()).then_some(Block::Facts(options)));
    // Leave out an example that only repeats the usage.
    let examples = row.examples.iter().filter(|example| row.examples.len() > 1 || example.contains(" --"));
    blocks.extend(examples.map(|example| formatter.example(example)));
    formatter.message(format!("💡 {}", row.name), blocks)
}
