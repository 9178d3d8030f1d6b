//! `podbell preview`: how a rule's messages read, before anything goes wrong.
//!
//! Makes an incident from the rule's own `match` and renders it as a delivery would be.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::Style;
use anyhow::{Context as _, bail};
use jiff::tz::TimeZone;

use super::setup;
use crate::components::registry::NOTIFIERS;
use crate::config::{Config, Unresolved};
use crate::notifiers::{Audience, Mentions, NamedNotifier, Notifiers};
use podbell_core::diagnostic::did_you_mean;
use podbell_core::message::sample;
use podbell_core::notice::Notice;
use podbell_core::outbox::SendContent;
use podbell_core::rule::{Action, Destination, Rule, RuleSettings};
use podbell_core::rules::{Names, RuleId, Rules, builtin, example};
use podbell_core::template::Template;
use podbell_core::translations::Language;

const EXAMPLES: &str = "\
Examples:
  podbell preview                                        the rules of podbell.yaml, or the built-in ones
  podbell preview --rules rules/shop.yaml                a rule file, without podbell.yaml
  podbell preview --rule image-pull --notice opened,resolved --language zh
  podbell preview --rule image-pull --platform webhook   also the JSON, as it would be sent";

const HEAD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
/// Addresses under this one are never called and never shown.
const NOWHERE: &str = "https://preview.invalid/";

/// What to show.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Rule files [default: the rules of podbell.yaml, else the built-in ones].
    #[arg(long, value_name = "FILE", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// The configuration: names, languages, zones and templates of destinations [default:
    /// podbell.yaml if it is there and no --rules are given].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only this rule.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Only these kinds of notice [default: all that the rule tells].
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    notice: Vec<sample::Kind>,
    /// Also the body of the request to these platforms.
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = platform)]
    platform: Vec<&'static str>,
    /// In this language [default: the destination's, else English].
    #[arg(long)]
    language: Option<Language>,
}

fn platform(word: &str) -> anyhow::Result<&'static str> {
    let found = NOTIFIERS.iter().map(|kind| kind.name).find(|name| *name == word);
    found.with_context(|| format!("one of {}", NOTIFIERS.map(|kind| kind.name).join(", ")))
}

fn kind(word: &str) -> anyhow::Result<sample::Kind> {
    let known = sample::Kind::ALL.map(sample::Kind::as_str);
    let found = sample::Kind::ALL.into_iter().find(|kind| kind.as_str() == word);
    found.with_context(|| format!("one of {}", known.join(", ")))
}

/// Prints the messages.
///
/// # Errors
/// When the configuration or a rule file cannot be used, or there is no such rule.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(setting) = Setting::load(args)? else { return Ok(ExitCode::FAILURE) };
    let chosen = chosen(&setting.rules, args.rule.as_deref())?;
    let mut out = anstream::stdout().lock();
    for id in chosen {
        show(&mut out, &setting, id, args)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What messages are rendered with.
struct Setting {
    rules: Rules,
    config: Option<Config<Unresolved>>,
}

impl Setting {
    /// `None` after mistakes, which are printed.
    fn load(args: &Args) -> anyhow::Result<Option<Self>> {
        let usual = Path::new("podbell.yaml");
        let path = args.config.as_deref().or((args.rules.is_empty() && usual.exists()).then_some(usual));
        let Some(path) = path else {
            let rules = match args.rules.as_slice() {
                [] => Some(builtin::rules(&["chat".into()])),
                files => setup::rules_of(files, &Names::default())?,
            };
            return Ok(rules.map(|rules| Self { rules, config: None }));
        };
        let (config, loaded) = setup::load(path)?;
        let rules = match args.rules.as_slice() {
            [] => Some(setup::rules(path, &config, loaded)?),
            files => setup::rules_of(files, &loaded.names)?,
        };
        Ok(rules.map(|rules| Self { rules, config: Some(config) }))
    }

    /// The destinations of a rule, grouped where their messages are the same.
    fn readers(&self, settings: &RuleSettings, language: Option<Language>) -> Vec<ReaderGroup> {
        let mut readers: Vec<ReaderGroup> = Vec::new();
        for name in settings.destinations() {
            if readers.iter().any(|reader| reader.names.contains(name)) {
                continue;
            }
            let mut reader = self.reader(name);
            reader.language = language.unwrap_or(reader.language);
            match readers.iter_mut().find(|other| other.reads_like(&reader)) {
                Some(other) => other.names.push(name.clone()),
                None => readers.push(reader),
            }
        }
        readers
    }

    fn reader(&self, name: &Destination) -> ReaderGroup {
        let known = self.config.iter().flat_map(|config| &config.notifiers).find(|notifier| notifier.name == *name);
        ReaderGroup {
            names: vec![name.clone()],
            language: known.map(|notifier| notifier.language).unwrap_or_default(),
            time_zone: known.map_or(TimeZone::UTC, |notifier| notifier.time_zone.clone()),
            template: known.map(|notifier| notifier.template.clone()).unwrap_or_default(),
        }
    }

    fn mentions(&self) -> Mentions {
        self.config.as_ref().map(|config| config.mentions.clone()).unwrap_or_default()
    }

    /// The alias of a cluster, from the first source that has one.
    fn alias(&self, cluster: &str) -> Option<String> {
        let mut sources = self.config.iter().flat_map(|config| &config.sources);
        sources.find_map(|source| source.facts.aliases.get(cluster).cloned())
    }
}

/// Destinations whose messages are the same.
struct ReaderGroup {
    names: Vec<Destination>,
    language: Language,
    time_zone: TimeZone,
    template: Template,
}

impl ReaderGroup {
    fn reads_like(&self, other: &Self) -> bool {
        (self.language, &self.time_zone, &self.template) == (other.language, &other.time_zone, &other.template)
    }

    /// One notifier of each platform, with this reader's language, zone and template.
    fn notifiers(&self, mentions: Mentions) -> anyhow::Result<Notifiers> {
        let nowhere = url::Url::parse(NOWHERE)?;
        let each = NOTIFIERS.iter().map(|kind| NamedNotifier {
            name: kind.name.into(),
            platform: (kind.preview)(nowhere.clone()),
            language: self.language,
            time_zone: self.time_zone.clone(),
            digest_after: None,
            template: self.template.clone(),
            logs: false,
        });
        let client = crate::http::client(&crate::http::HttpOptions::default())?;
        Ok(Notifiers::new(each.collect(), mentions, client))
    }
}

/// The rules to show.
fn chosen(rules: &Rules, name: Option<&str>) -> anyhow::Result<Vec<RuleId>> {
    let named = |rule: &Rule| name.is_none_or(|name| *rule.settings.key.name == *name);
    let chosen: Vec<RuleId> = rules.iter().filter(|(_, rule)| named(rule)).map(|(id, _)| id).collect();
    if let (Some(name), true) = (name, chosen.is_empty()) {
        let known: Vec<&str> = rules.iter().map(|(_, rule)| &*rule.settings.key.name).collect();
        match did_you_mean(name, known.iter().copied()) {
            Some(meant) => bail!("there is no rule {name}; did you mean {meant}?"),
            None => bail!("there is no rule {name}; there are: {}", known.join(", ")),
        }
    }
    Ok(chosen)
}

fn show(out: &mut impl Write, setting: &Setting, id: RuleId, args: &Args) -> anyhow::Result<()> {
    let Rule { settings, action, .. } = setting.rules.get(id);
    writeln!(out, "{HEAD}=== rule {}{HEAD:#}", settings.key)?;
    if *action == Action::Ignore {
        writeln!(out, "{DIM}It ignores what it matches: nobody is told.{DIM:#}\n")?;
        return Ok(());
    }
    let example = example::of(&setting.rules, id, sample::NOW);
    if !example.fits {
        writeln!(
            out,
            "{DIM}podbell found no event that this rule matches; the one shown is not such an event.{DIM:#}"
        )?;
    }
    if !settings.mention.is_empty() && setting.config.is_none() {
        writeln!(out, "{DIM}Mentions are shown with podbell.yaml only (--config): it says who they are.{DIM:#}")?;
    }
    let story = example::story(&setting.rules, id, &example, setting.alias(&example.target.cluster));
    for reader in setting.readers(settings, args.language) {
        writeln!(out, "{DIM}--- to {} ({}){DIM:#}\n", reader.names.join(", "), reader.language.as_str())?;
        let notifiers = reader.notifiers(setting.mentions())?;
        for kind in kinds(settings, args, out)? {
            let notice = sample::notice(kind, &story, settings.severity, reader.names.clone());
            print_notice(out, &notifiers, &notice, args)?;
        }
    }
    Ok(())
}

/// The kinds of notice that were asked for, else all that the rule tells.
fn kinds(settings: &RuleSettings, args: &Args, out: &mut impl Write) -> io::Result<Vec<sample::Kind>> {
    if !args.notice.is_empty() {
        return Ok(args.notice.clone());
    }
    let silent = |kind: &sample::Kind| match kind {
        sample::Kind::Reminded if settings.remind_every.is_none() => Some("reminded (remind_every is off)"),
        sample::Kind::Resolved if !settings.send_resolved => Some("resolved (send_resolved is false)"),
        _ => None,
    };
    // Most rules have no steps: a line for each of them would say nothing.
    let unused = |kind: &sample::Kind| *kind == sample::Kind::Unacknowledged && settings.unacknowledged.is_empty();
    let untold: Vec<&str> = sample::Kind::ALL.iter().filter_map(silent).collect();
    if !untold.is_empty() {
        writeln!(out, "{DIM}Not told by this rule: {}.{DIM:#}\n", untold.join(", "))?;
    }
    Ok(sample::Kind::ALL.into_iter().filter(|kind| silent(kind).is_none() && !unused(kind)).collect())
}

fn print_notice(out: &mut impl Write, notifiers: &Notifiers, notice: &Notice, args: &Args) -> io::Result<()> {
    let body = |platform: &str| {
        let sent = SendContent::full(std::slice::from_ref(notice));
        let stored = notifiers.render(platform, &sent, "msg_preview", sample::NOW);
        notifiers.shown_body(platform, &stored).into_owned()
    };
    let terminal = NOTIFIERS.iter().find(|kind| kind.audience == Audience::Terminal).map_or("", |kind| kind.name);
    out.write_all(&body(terminal))?;
    for platform in args.platform.iter().filter(|platform| **platform != terminal) {
        writeln!(out, "{DIM}{platform}:{DIM:#}")?;
        out.write_all(&body(platform))?;
        writeln!(out, "\n")?;
    }
    Ok(())
}
