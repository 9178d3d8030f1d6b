//! `podbell events`, `ack`, `mute` and the others: the commands of chats, in a terminal. The words go to the same
//! parser and the same query service; only the form of the answer is the terminal's.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Args as _, CommandFactory as _, FromArgMatches, Parser, Subcommand};
use jiff::tz::TimeZone;

use super::remote::{self, who};
use super::{Output, block_on, setup};
use crate::app::reload::rule_files;
use crate::chat::inbox_sink::InboxSink;
use crate::chat::{Entry, QueryService, Question, RuleCatalog, Speaker};
use crate::clock;
use crate::notifiers::terminal::terminal;
use podbell_core::ask::{self, Answer, AnswerFacts, Prompt, word};
use podbell_core::message::Style;
use podbell_core::mute::Author;
use podbell_core::scope::Scope;
use podbell_core::translations::Language;
use podbell_store::Readers;

/// How long the running service may take to carry out an action.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The query service's deadline. It is longer than the inbox's, whose answer says more than a timeout.
const QUERY_TIMEOUT: Duration = Duration::from_secs(15);

/// The words that follow, as in a chat. clap would read `--help` and options itself; here the parser of chats does.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
struct Args {
    /// What a person would type after the command in a chat.
    #[arg(value_name = "WORD", num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// The terminal's own options: in any place among the words.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, args_override_self = true, help_template = "{options}")]
struct TerminalOptions {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "podbell.yaml")]
    config: String,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Ask the podbell at this URL over its API, with the token in PODBELL_TOKEN.
    #[arg(long)]
    url: Option<String>,
    /// In which language: en or zh.
    #[arg(long, default_value = "en")]
    language: Language,
}

/// A command of the chats. Its subcommand and help are those of its row in [`ask::COMMANDS`].
#[derive(Debug)]
pub(super) struct ChatCommand {
    name: &'static str,
    words: Vec<String>,
}

impl ChatCommand {
    /// The command `help` with these words.
    pub(super) fn help(words: Vec<String>) -> Self {
        Self { name: "help", words }
    }

    /// The subcommands with all their options: for scripts of shells and manual pages, which read nothing.
    pub(super) fn describe(commands: clap::Command) -> clap::Command {
        Self::specs().fold(commands, |commands, spec| {
            commands.mut_subcommand(spec.name, |_| {
                let own = TerminalOptions::augment_args(clap::Command::new(spec.name)).help_template("");
                let described = spec.options().fold(own, |described, option| {
                    let arg = Arg::new(option.long).short(option.short).long(option.long).help(option.about.en);
                    described.arg(match option.value {
                        Some(value) => arg.value_name(value),
                        None => arg.action(ArgAction::SetTrue),
                    })
                });
                let words =
                    Arg::new("words").value_name("WORD").num_args(0..).help("What is asked about, as in a chat");
                described
                    .about(about(spec))
                    .disable_help_flag(false)
                    .override_usage(format!("podbell {}", spec.usage))
                    .args(spec.takes_words().then_some(words))
                    .after_help(examples(spec))
            })
        })
    }

    /// The commands that become subcommands. `help` does not: the terminal has its own.
    fn specs() -> impl Iterator<Item = &'static ask::Spec> {
        ask::COMMANDS.into_iter().filter(|spec| spec.name != "help")
    }
}

impl Subcommand for ChatCommand {
    fn augment_subcommands(all: clap::Command) -> clap::Command {
        Self::specs()
            .fold(all, |all, spec| all.subcommand(Args::augment_args(clap::Command::new(spec.name)).about(about(spec))))
    }

    fn augment_subcommands_for_update(all: clap::Command) -> clap::Command {
        Self::augment_subcommands(all)
    }

    fn has_subcommand(name: &str) -> bool {
        Self::specs().any(|spec| spec.name == name)
    }
}

impl FromArgMatches for ChatCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (name, given) = matches.subcommand().ok_or_else(missing)?;
        let spec = Self::specs().find(|spec| spec.name == name).ok_or_else(missing)?;
        Ok(Self { name: spec.name, words: Args::from_arg_matches(given)?.words })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn about(spec: &ask::Spec) -> &'static str {
    spec.about.en.trim_end_matches('.')
}

fn examples(spec: &ask::Spec) -> String {
    let examples = spec.examples.iter().map(|example| format!("\n  podbell {example}"));
    format!("Examples:{}", examples.collect::<String>())
}

pub(super) fn run(command: ChatCommand) -> anyhow::Result<ExitCode> {
    let (own, words) = split(command.words);
    let asked = TerminalOptions::parse_from(own);
    let text = std::iter::once(command.name.to_owned()).chain(words.iter().map(|one| as_word(one)));
    let text = text.collect::<Vec<_>>().join(" ");
    let style = Style { language: asked.language, time_zone: TimeZone::UTC, now: clock::now() };
    let parsed = ask::parse(Entry::Podbell, &text);
    let (answer, known) = match parsed {
        Err(mistake) => (Answer::Mistake(mistake), AnswerFacts::default()),
        Ok(ask::Command::Help { about }) => (Answer::Help { about }, AnswerFacts::default()),
        Ok(_) => match &asked.url {
            Some(url) => return remote::ask(url, &text, asked.language, asked.output),
            None => answer(&asked, text, &style)?,
        },
    };
    print(&answer, &known, &style, asked.output)?;
    if let (Answer::Help { about: Some(_) }, Output::Text) = (&answer, asked.output) {
        anstream::print!("{}", TerminalOptions::command().render_help().ansi());
    }
    Ok(match &answer {
        Answer::Mistake(_) => ExitCode::from(2),
        answer if answer.is_good() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn answer(asked: &TerminalOptions, text: String, style: &Style) -> anyhow::Result<(Answer, AnswerFacts)> {
    let (config, loaded) = setup::load(asked.config.as_ref())?;
    let store = setup::store(&config)?;
    let ended = !store.is_owned();
    // The rules in force in the service: for a file with mistakes, its last good version.
    let good = store.reader()?.snapshot()?.good_rules()?;
    let aliases = config.aliases();
    let rules = rule_files(loaded, &config).in_force(&good).rules;
    let known = AnswerFacts::new(&rules, aliases);
    let catalog = Arc::new(RuleCatalog::new(known.clone()));
    let sink = Arc::new(InboxSink::new(store.clone(), TIMEOUT));
    let queries =
        QueryService::new(Readers::new(store, 1), sink, catalog).at(Prompt::Terminal).with_patience(QUERY_TIMEOUT);
    let speaker = Speaker {
        author: Author { name: who(), via: Author::COMMAND_LINE.to_owned() },
        scope: Scope::default(),
        may_write: true,
    };
    let question = Question { speaker, entry: Entry::Podbell, text, style: style.clone(), key: None };
    let mut answer = block_on(async move { queries.answer(&question).await })?;
    if let Answer::Status(status) = &mut answer {
        status.ended = ended;
    }
    Ok((answer, known))
}

fn print(answer: &Answer, known: &AnswerFacts, style: &Style, output: Output) -> anyhow::Result<()> {
    let said = match output {
        Output::Text => terminal(&answer.in_names(known).compose(style, Prompt::Terminal)),
        Output::Json => serde_json::to_string_pretty(answer)? + "\n",
    };
    // A closed pipe, as with `head`, is no failure. Mistakes go to standard error, not among the answers.
    let _ = match answer {
        Answer::Mistake(_) if output == Output::Text => anstream::stderr().lock().write_all(said.as_bytes()),
        _ => anstream::stdout().lock().write_all(said.as_bytes()),
    };
    Ok(())
}

/// A shell word as one word of the chat language, which splits at blanks. Options keep their form.
fn as_word(text: &str) -> String {
    let quote =
        |text: &str| if text.is_empty() || text.contains(char::is_whitespace) { word(text) } else { text.to_owned() };
    match text.split_once('=') {
        Some((name, value)) if name.starts_with('-') => format!("{name}={}", quote(value)),
        _ => quote(text),
    }
}

/// The terminal's own options, and the words left for the parser.
fn split(words: Vec<String>) -> (Vec<String>, Vec<String>) {
    let command = TerminalOptions::command();
    let is_own = |name: &str| {
        let long = name.strip_prefix("--");
        long.is_some() && command.get_arguments().any(|arg| arg.get_long() == long)
    };
    let (mut own, mut left) = (Vec::new(), Vec::new());
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        if word.split_once('=').is_some_and(|(name, _)| is_own(name)) {
            own.push(word);
        } else if is_own(&word) {
            let value = rest.next().map(|value| format!("={value}")).unwrap_or_default();
            own.push(word + &value);
        } else {
            left.push(word);
        }
    }
    (own, left)
}
