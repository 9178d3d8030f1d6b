//! Parses a command's arguments: options in any position, then positional words.

use std::time::Duration;

use super::mistake::{Missing, Mistake};
use super::spec::{Args, Label, Opt, Spec};
use super::words::Word;
use crate::diagnostic::did_you_mean;
use crate::yaml::parse_duration;

/// The longest name that is accepted, in characters.
const MAX_NAME: usize = 253;
/// The last page that can be asked for.
const LAST_PAGE: u32 = 10_000;

/// Reads the words that follow a command in `text`.
pub(super) fn read(words: &[Word], text: &str, spec: &Spec) -> Result<Args, Mistake> {
    let mut args = Args::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if let Some((name, value)) = word.option() {
            if matches!(name.as_str(), "h" | "help") {
                args.help = true;
                continue;
            }
            let found = spec.options.iter().find(|opt| opt.spec().is_named(&name));
            let Some(opt) = found.copied() else {
                let unknown = unknown_option(word, &name, spec);
                // The free text begins at the first word that resembles no option.
                let is_text = matches!(unknown, Mistake::UnknownOption { meant: None, .. });
                if is_text && spec.free_text && args.arguments.len() == spec.arguments {
                    args.free_text = free_text(text, word, rest.as_slice());
                    break;
                }
                return Err(unknown);
            };
            if opt == Opt::All && value.is_none() {
                args.all = true;
                continue;
            }
            let value = match value {
                Some(value) => Some(value.to_owned()),
                None => rest.next().filter(|next| next.option().is_none()).map(|next| next.text.clone()),
            };
            let value = value.filter(|value| !value.is_empty());
            let value = value.ok_or(Mistake::NoValue { command: spec.name, option: opt.long() })?;
            set(&mut args, opt, value, spec)?;
        } else if let Some(label) = word.text.strip_prefix("label:").filter(|_| spec.options.contains(&Opt::Label)) {
            // As rule files write it.
            set(&mut args, Opt::Label, label.to_owned(), spec)?;
        } else if args.arguments.len() < spec.arguments {
            args.arguments.push(word.text.clone());
        } else if spec.free_text {
            args.free_text = free_text(text, word, rest.as_slice());
            break;
        } else {
            return Err(Mistake::Extra { command: spec.name, word: word.text.clone() });
        }
    }
    Ok(args)
}

fn set(args: &mut Args, opt: Opt, value: String, spec: &Spec) -> Result<(), Mistake> {
    let twice = match opt {
        Opt::Namespace => args.namespace.replace(value).is_some(),
        Opt::Cluster => args.cluster.replace(value).is_some(),
        Opt::Reason => args.reason.replace(value).is_some(),
        Opt::Label => args.label.replace(label(value, spec.name)?).is_some(),
        Opt::Since => args.since.replace(length(&value, spec.name)?).is_some(),
        Opt::Page => {
            let page = value.parse().ok().filter(|page| (1..=LAST_PAGE).contains(page));
            let page = page.ok_or(Mistake::NoNumber { command: spec.name, option: opt.long(), word: value })?;
            args.page.replace(page).is_some()
        }
        Opt::All => return Err(Mistake::Extra { command: spec.name, word: value }),
    };
    if twice { Err(Mistake::Twice { command: spec.name, option: opt.long() }) } else { Ok(()) }
}

fn label(word: String, command: &'static str) -> Result<Label, Mistake> {
    let pair = word.split_once('=').filter(|(key, _)| !key.is_empty());
    let pair = pair.map(|(key, value)| Label { key: key.to_owned(), value: value.to_owned() });
    pair.ok_or(Mistake::NoLabel { command, word })
}

fn unknown_option(word: &Word, name: &str, spec: &Spec) -> Mistake {
    let meant = did_you_mean(name, spec.options.iter().map(|opt| opt.long()));
    let meant = meant.and_then(|meant| spec.options.iter().map(|opt| opt.long()).find(|long| *long == meant));
    Mistake::UnknownOption { command: spec.name, word: word.text.clone(), meant }
}

/// Free text as it was typed. A single quoted word is unquoted.
fn free_text(text: &str, first: &Word, others: &[Word]) -> Option<String> {
    let said =
        if first.quoted && others.is_empty() { first.text.clone() } else { text.get(first.start..)?.trim().to_owned() };
    (!said.is_empty()).then_some(said)
}

/// Parses a duration such as `2h`, also with the unit words that people use.
pub(super) fn length(word: &str, command: &'static str) -> Result<Duration, Mistake> {
    const WORDS: [(&str, &str); 15] = [
        ("小时", "h"),
        ("分钟", "m"),
        ("分", "m"),
        ("天", "d"),
        ("秒", "s"),
        ("时", "h"),
        ("minutes", "m"),
        ("minute", "m"),
        ("mins", "m"),
        ("min", "m"),
        ("hours", "h"),
        ("hour", "h"),
        ("hrs", "h"),
        ("days", "d"),
        ("day", "d"),
    ];
    let short = WORDS.iter().fold(word.to_lowercase(), |short, (long, unit)| short.replace(long, unit));
    parse_duration(&short).map_err(|_| Mistake::NoTime { command, word: word.to_owned() })
}

/// The number of an incident: `1042` or `#1042`.
pub(super) fn id(word: &str) -> Option<u64> {
    let digits = word.trim_start_matches('#');
    let number = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() && digits.len() <= 18;
    digits.parse().ok().filter(|_| number)
}

/// The incident number that a command requires.
pub(super) fn only_id(args: &Args, command: &'static str) -> Result<u64, Mistake> {
    let word = args.arguments.first().ok_or(Mistake::Missing { command, what: Missing::Incident })?;
    id(word).ok_or_else(|| Mistake::NoIncident { command, word: word.clone() })
}

/// The name of a cluster object: not empty, not too long, without control characters.
pub(super) fn name(word: &str, command: &'static str) -> Result<String, Mistake> {
    let fits = !word.is_empty() && word.chars().count() <= MAX_NAME && !word.chars().any(char::is_control);
    if fits { Ok(word.to_owned()) } else { Err(Mistake::NoName { command, word: word.to_owned() }) }
}
