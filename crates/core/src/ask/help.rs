//! `help`: what can be typed.

use super::Command;
use super::scribe::Scribe;
use super::words::Word;
use crate::message::{Block, Fact, Message, Span, data};

/// A command, and how it is typed.
pub struct Known {
    /// Its name.
    pub name: &'static str,
    /// With its arguments.
    pub usage: &'static str,
}

/// Every command, in the order in which people learn them.
pub const COMMANDS: [Known; 11] = [
    Known {
        name: "events",
        usage: "events [SERVICE] [-n NAMESPACE] [-c CLUSTER] [--since 2h] [--all] [--reason X] [--page N]",
    },
    Known { name: "incidents", usage: "incidents [-n NAMESPACE] [-c CLUSTER] [--all] [--page N]" },
    Known { name: "show", usage: "show ID" },
    Known { name: "ack", usage: "ack ID" },
    Known { name: "mute", usage: "mute SERVICE|ID|rule:NAME 2h [why]" },
    Known { name: "unmute", usage: "unmute SERVICE|ID|rule:NAME" },
    Known { name: "mutes", usage: "mutes" },
    Known { name: "why", usage: "why ID [--page N]" },
    Known { name: "untold", usage: "untold [-n NAMESPACE] [-c CLUSTER] [--since 24h] [--page N]" },
    Known { name: "status", usage: "status" },
    Known { name: "help", usage: "help [COMMAND]" },
];

/// How a command is typed.
pub(super) fn usage(name: &str) -> &'static str {
    COMMANDS.iter().find(|known| known.name == name).map_or("help", |known| known.usage)
}

/// Whatever follows, help is given.
pub(super) fn parse(words: &[Word]) -> Command {
    let about = words.first().and_then(|word| {
        let name = word.text.trim_start_matches('/').to_lowercase();
        COMMANDS.iter().find(|known| known.name == name)
    });
    Command::Help { about: about.map(|known| known.name).filter(|name| *name != "help") }
}

pub(super) fn answer(about: Option<&'static str>, scribe: &Scribe<'_>) -> Message {
    let talk = scribe.talk;
    let Some(name) = about else {
        let fact = |known: &Known| Fact { label: known.name.to_owned(), value: says(talk.about(known.name)) };
        let blocks = vec![
            scribe.line(talk.help()),
            Block::Facts(COMMANDS.iter().map(fact).collect()),
            scribe.next(&["events".to_owned(), "help mute".to_owned()]),
        ];
        return scribe.message(format!("💡 {}", talk.help_title()), blocks);
    };
    let mut blocks = vec![scribe.line(talk.about(name)), scribe.type_this(usage(name))];
    blocks.extend(examples(name).iter().map(|example| scribe.example(example)));
    scribe.message(format!("💡 {name}"), blocks)
}

fn says(text: &str) -> Vec<Span> {
    vec![data(text)]
}

fn examples(name: &str) -> &'static [&'static str] {
    match name {
        "events" => {
            &["events web", "events web -n shop --since 2h", "events shop/web --reason BackOff --all", "events"]
        }
        "incidents" => &["incidents", "incidents -n shop --all"],
        "mute" => &["mute web 2h deploying", "mute 1042 30m", "mute rule:image-pull 1d"],
        "unmute" => &["unmute web", "unmute 1042"],
        "show" | "ack" | "why" => &[],
        "untold" => &["untold --since 2h"],
        _ => &[],
    }
}
