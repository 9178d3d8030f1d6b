//! The commands: one row each, in the order in which people learn them. Parsing, help, "did you mean", the list for
//! completion, the subcommands of the terminal and the API's description follow from the rows.

use super::mistake::Mistake;
use super::spec::{Parse, Spec};
use super::words::Word;
use super::{Command, ack, args, events, help, incidents, mute, mutes, show, status, unmute, untold, why};

/// Every command.
pub const COMMANDS: [&Spec; 11] = [
    &events::SPEC,
    &incidents::SPEC,
    &show::SPEC,
    &ack::SPEC,
    &mute::SPEC,
    &unmute::SPEC,
    &mutes::SPEC,
    &why::SPEC,
    &untold::SPEC,
    &status::SPEC,
    &help::SPEC,
];

/// The command of a name.
pub(crate) fn find(name: &str) -> Option<&'static Spec> {
    COMMANDS.into_iter().find(|row| row.name == name)
}

impl Spec {
    /// Reads what follows its name in `text`.
    pub(super) fn read(&self, words: &[Word], text: &str) -> Result<Command, Mistake> {
        let help = Command::Help { about: Some(self.name) };
        let args = || args::read(words, text, self);
        match self.parse {
            Parse::Query(parse) => match args()? {
                args if args.help => Ok(help),
                args => Ok(parse(args)?.map_or(help, Command::Query)),
            },
            Parse::Change(parse) => match args()? {
                args if args.help => Ok(help),
                args => Ok(Command::Change(parse(args)?)),
            },
            Parse::Help => Ok(Command::Help { about: words.first().and_then(help_about) }),
        }
    }
}

/// The command whose help is asked for. Unknown words, and `help` itself, get the general help.
fn help_about(word: &Word) -> Option<&'static str> {
    let row = find(&word.text.trim_start_matches('/').to_lowercase())?;
    (row.name != help::SPEC.name).then_some(row.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::spec::{Opt, OptionSpec};
    use crate::ask::{Entry, parse};

    #[test]
    fn every_row_is_found_by_its_name_and_its_examples_are_understood() {
        for row in COMMANDS {
            assert_eq!(COMMANDS.iter().filter(|other| other.name == row.name).count(), 1, "{} stands twice", row.name);
            assert!(row.usage.starts_with(row.name), "{}", row.usage);
            assert!(row.about.en.ends_with('.') && row.about.zh.ends_with('。'), "{}", row.name);
            for example in row.examples {
                let read = parse(Entry::Podbell, example).unwrap();
                assert!(example.starts_with(row.name) && !matches!(read, Command::Help { .. }), "{example}");
                assert_eq!(matches!(read, Command::Change(_)), row.writes(), "{example}");
            }
        }
    }

    #[test]
    fn a_usage_names_the_options_of_its_command_and_no_others() {
        for row in COMMANDS.into_iter().filter(|row| !row.writes()) {
            for opt in Opt::ALL {
                let OptionSpec { short, long, .. } = opt.spec();
                let named = row.usage.contains(&format!("[-{short} ")) || row.usage.contains(&format!("[--{long}"));
                assert_eq!(named, row.options.contains(&opt), "{} and --{long}", row.usage);
            }
        }
    }
}
