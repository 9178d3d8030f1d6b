//! `podbell explain`: why something was told, or was not.
//!
//! Explains what happened from the store's decisions, and a typed or listed event from the rules. It only prints:
//! the core decides.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use anyhow::{Context as _, bail};
use jiff::tz::TimeZone;

use super::test_case::{Rows, Sketch};
use super::{plain, setup, utc};
use crate::app::reload::rule_files;
use crate::components::recordings::recording::parse_single;
use podbell_core::event::{Event, Level, Subject, Target};
use podbell_core::incident::hold::HoldReason;
use podbell_core::incident::{Incident, Phase};
use podbell_core::metadata::Metadata;
use podbell_core::notice::{NoticeBody, NoticeKind};
use podbell_core::rule::quiet::Window;
use podbell_core::rule::{CountScope, OpenWhen};
use podbell_core::rules::explain::RuleVerdict;
use podbell_core::rules::{Names, RuleId, Rules, builtin};
use podbell_core::step::decision::{Decision, Effect, Verdict};
use podbell_core::time::Time;
use podbell_core::trail::{Line, Trail};
use podbell_core::translations::number;
use podbell_core::workload;
use podbell_store::{DecisionFilter, KEPT_DECISIONS, ListedDelivery};

const EXAMPLES: &str = "\
Examples:
  podbell explain '#1042'                              how an incident came about, and what was told of it
  podbell explain --workload web --reason BackOff      what became of the newest Warnings of a workload
  podbell explain '#1042' --as-test                    a ready test case for `podbell test`
  podbell explain --rules rules.yaml --namespace shop --name web-1 --reason Failed --message 'no such image'
  podbell explain --list answer.json --rules rules.yaml";

const HEAD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const YES: Style = AnsiColor::Green.on_default();

/// What to explain.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// An incident, such as '#1042'.
    #[arg(value_name = "INCIDENT", value_parser = incident)]
    incident: Option<u64>,
    /// The configuration: where the store is, and the rules unless --rules names others.
    #[arg(long, value_name = "FILE", default_value = "podbell.yaml")]
    config: PathBuf,
    /// Explain a typed event, or those of --list, by these rule files instead of the rules of podbell.yaml.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// A list of events, as the API answers it: every Warning in it.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Only changes or listed events of this workload; of a typed event, its service.
    #[arg(long, visible_alias = "service", value_name = "NAME")]
    workload: Option<String>,
    /// Only those of this namespace; of a typed event, its namespace.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// With this reason.
    #[arg(long)]
    reason: Option<String>,
    /// Of a typed event: its cluster.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Of a typed event: its level.
    #[arg(long, default_value = "Warning", value_parser = ["Warning", "Normal"])]
    level: String,
    /// Of a typed event: the kind of its object.
    #[arg(long, value_name = "KIND", default_value = "Pod")]
    kind: String,
    /// Of a typed event: a label of its object, its owner or its namespace.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// Of a typed event: an annotation.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    annotation: Vec<(String, String)>,
    /// Of a typed event: the name of its object.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Of a typed event: its message.
    #[arg(long)]
    message: Option<String>,
    /// Of a typed event: its count.
    #[arg(long, default_value_t = 1, value_name = "N")]
    count: u64,
    /// Print a test case for `podbell test` instead.
    #[arg(long)]
    as_test: bool,
    /// Show what every rule says of each change; by default only of the newest.
    #[arg(long)]
    each_rule: bool,
    /// How many changes to show, the newest first. The first page also shows those that opened or escalated the incident.
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Which page; page 2 shows older changes.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    page: u32,
}

fn incident(text: &str) -> anyhow::Result<u64> {
    let number = text.trim_start_matches('#').parse();
    number.with_context(|| format!("`{text}` is not an incident; write one such as '#1042'"))
}

/// Explains.
///
/// # Errors
/// When the store, the rules or the list cannot be read.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let typed = !args.rules.is_empty() || args.list.is_some() || args.name.is_some() || args.message.is_some();
    if typed && args.incident.is_none() {
        return of_events(args);
    }
    let (config, loaded) = setup::load(&args.config)?;
    let mut reader = setup::store(&config)?.reader()?;
    let store = reader.snapshot()?;
    let filter = DecisionFilter {
        incident: args.incident,
        namespace: args.namespace.clone(),
        workload: args.workload.clone(),
        reason: args.reason.clone(),
    };
    if args.as_test {
        let decisions = store.decisions(&filter, 100_000)?;
        let rules = match args.rules.as_slice() {
            [] => setup::rules(&args.config, &config, loaded)?,
            files => match setup::rules_of(files, &Names::default())? {
                Some(rules) => rules,
                None => return Ok(ExitCode::FAILURE),
            },
        };
        return as_test(&Rows::of_decisions(&decisions), rules, args);
    }
    let decisions = store.decisions(&filter, usize::MAX)?;
    let told = args.incident.map(|id| store.deliveries_of(id)).transpose()?.unwrap_or_default();
    let worse: Vec<Time> =
        (told.iter().filter(|one| one.notice.kind == NoticeKind::Escalated)).map(|one| one.notice.caused_at).collect();
    let trail = Trail::new(decisions, args.incident, &worse, args.page, args.limit as usize);
    let mut out = anstream::stdout().lock();
    let incident = match args.incident {
        None => None,
        Some(id) => Some(store.incident(id)?.with_context(|| format!("there is no incident #{id}"))?),
    };
    if let Some(incident) = &incident {
        print_head(&mut out, incident)?;
    }
    // The rules in force in the service: for a file with mistakes, its last good version.
    let rules = rule_files(loaded, &config).in_force(&store.good_rules()?).rules;
    print_trail(&mut out, &trail, &rules, args.each_rule)?;
    for (to, notification) in incident.iter().flat_map(|incident| &incident.notifications) {
        if let Some(held) = &notification.held {
            writeln!(out, "held back from {to}: {}", held_by(held))?;
        }
    }
    if trail.all == 0 {
        let kept = number(KEPT_DECISIONS);
        writeln!(out, "No Warning change of that kind among the newest {kept}.")?;
    }
    if args.incident.is_some() {
        print_deliveries(&mut out, &told)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_head(out: &mut impl Write, incident: &Incident) -> io::Result<()> {
    let phase = match incident.phase {
        Phase::Gathering => "gathers: nobody knows of it yet".to_owned(),
        Phase::Open => "open".to_owned(),
        Phase::Resolved { at } => format!("resolved at {}", utc(at)),
    };
    let (id, rule, times) = (incident.id, &incident.rule, number(incident.occurrences));
    writeln!(out, "{HEAD}#{id} {}, rule {rule}{HEAD:#}: {phase}, {times} occurrences", incident.workload)
}

/// The changes of a page; the way of the newest one through the rules, or of each.
fn print_trail(out: &mut impl Write, trail: &Trail, rules: &Rules, each_rule: bool) -> io::Result<()> {
    let newest = trail.changes().next_back().cloned().map(Box::new);
    for line in &trail.lines {
        match line {
            Line::Change(decision) => {
                print_decision(out, decision)?;
                if each_rule || newest.as_ref() == Some(decision) {
                    print_steps_of(out, rules, decision)?;
                }
            }
            Line::LeftOut(n) => writeln!(out, "{DIM}... {} more changes here{DIM:#}", number(*n))?,
        }
    }
    if trail.is_part() {
        let (page, pages, all) = (trail.page, trail.pages, number(trail.all));
        let older = trail.older().map(|page| format!(" --page {page} has older ones,")).unwrap_or_default();
        writeln!(out, "page {page} of {pages}, of {all} changes:{older} --limit N has more on a page")?;
    }
    Ok(())
}

fn print_decision(out: &mut impl Write, decision: &Decision) -> io::Result<()> {
    let Decision { target, obj_type, obj_name, reason, message, new, count, .. } = decision;
    let change = match decision.change {
        podbell_core::diff::ChangeKind::Appeared => "appeared",
        podbell_core::diff::ChangeKind::Increased => "increased",
        podbell_core::diff::ChangeKind::Restarted => "restarted",
    };
    let (new, count) = (number(*new), number(*count));
    let head = plain(&format!("{target}  {obj_type} {obj_name} {reason}"));
    writeln!(out, "{HEAD}{}{HEAD:#}  {head}: {change}, {new} new, {count} in all", utc(decision.at))?;
    writeln!(out, "    {DIM}{}{DIM:#}", plain(message))?;
    writeln!(out, "    {DIM}rules {:016x}{DIM:#}", decision.rules)?;
    match &decision.verdict {
        Verdict::NoRule => writeln!(out, "    not told: no rule matches it"),
        Verdict::Ignored(rules) => {
            let rules: Vec<String> = rules.iter().map(ToString::to_string).collect();
            writeln!(out, "    not told: ignored by {}", rules.join(" and "))
        }
        Verdict::Claimed(claimed) => claimed.iter().try_for_each(|one| {
            let incident = one.incident.map(|id| format!(" #{id}")).unwrap_or_default();
            let effect = match one.effect {
                Effect::SeenElsewhere => "another service had shown the same before".to_owned(),
                Effect::Gathers { have, need } => format!("incident{incident} gathers: {have} of {need}"),
                Effect::Gone => format!("incident{incident}: its object was deleted before the event was written"),
                Effect::Over => format!("incident{incident}: what the event reports was over when it was written"),
                Effect::TooYoung { until } => {
                    let until = utc(until);
                    format!(
                        "incident{incident}: its object is new; the event counts if the trouble goes on after {until}"
                    )
                }
                Effect::Waits => format!("incident{incident} is not open yet: the trouble has not lasted long enough"),
                Effect::Opened => format!("incident{incident} opened"),
                Effect::Reopened => format!("incident{incident} came back"),
                Effect::Counted => format!("counted in incident{incident}, which is open"),
            };
            writeln!(out, "    rule {} wins {}: {effect}", one.rule, one.to.join(", "))?;
            one.held.iter().try_for_each(|(to, held)| writeln!(out, "      held from {to}: {}", held_by(held)))
        }),
    }
}

fn held_by(held: &HoldReason) -> String {
    match held {
        HoldReason::Window { window: Window::Hours(name), until } => {
            format!("outside of its active hours {name}, until {}", utc(*until))
        }
        HoldReason::Window { window: Window::Maintenance { name, .. }, until } => {
            format!("maintenance {name}, until {}", utc(*until))
        }
        HoldReason::Mute { mute, until } => format!("mute {mute}, until {}; see `podbell mutes`", utc(*until)),
        HoldReason::Inhibition { incident, .. } => {
            format!("inhibited while incident #{incident} is open, which explains it")
        }
    }
}

fn print_deliveries(out: &mut impl Write, deliveries: &[ListedDelivery]) -> io::Result<()> {
    if deliveries.is_empty() {
        return writeln!(out, "nobody was told of it");
    }
    writeln!(out, "\n{HEAD}told{HEAD:#}")?;
    for delivery in deliveries {
        let notice = &delivery.notice;
        let because = match (&notice.body, notice.caused_at == notice.made_at) {
            (NoticeBody::Incident(_), false) => format!(", caused at {}", utc(notice.caused_at)),
            _ => String::new(),
        };
        let done = delivery.done_at.map(|at| format!(" at {}", utc(at))).unwrap_or_default();
        let folded = delivery.folded_into.map(|into| format!(" into delivery {into}")).unwrap_or_default();
        let why = delivery.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let (made, kind) = (utc(notice.made_at), notice.kind.as_str());
        let (to, state) = (&delivery.destination, delivery.state.as_str());
        let digest = match delivery.together {
            0 | 1 => String::new(),
            n => format!(", in a digest of {} incidents", number(n)),
        };
        writeln!(out, "  {made}  {kind}{because} → {to}: {state}{done}{digest}{folded}{why}")?;
    }
    Ok(())
}

/// Explains a typed event, or those of a list.
fn of_events(args: &Args) -> anyhow::Result<ExitCode> {
    let (rules, source) = match args.rules.as_slice() {
        [] => {
            let (config, loaded) = setup::load(&args.config)?;
            let source = config.sources.first().map_or("any", |source| source.name.as_str()).to_owned();
            (setup::rules(&args.config, &config, loaded)?, source)
        }
        files => match setup::rules_of(files, &Names::default())? {
            Some(rules) => (rules, "any".to_owned()),
            None => return Ok(ExitCode::FAILURE),
        },
    };
    let open = |name: &Option<String>| name.clone().unwrap_or_else(|| "any".to_owned());
    let target = Target::new(&source, &open(&args.cluster), &open(&args.namespace), &open(&args.workload));
    let events = match &args.list {
        Some(path) => {
            let list = listed(path, args)?;
            list.say(path)?;
            list.wanted
        }
        None => vec![typed(args)],
    };
    if args.as_test {
        return as_test(&Rows::of_events(&target, &events), rules, args);
    }
    let mut out = anstream::stdout().lock();
    for event in &events {
        let workload = workload::of(&event.obj_type, &event.obj_name);
        let Event { obj_type, obj_name, reason, .. } = event;
        writeln!(out, "{HEAD}{}{HEAD:#}  workload {workload}", plain(&format!("{obj_type} {obj_name} {reason}")))?;
        let told = print_steps(&mut out, &rules, &Subject { target: &target, event, workload }, "  ")?;
        writeln!(
            out,
            "  {}\n",
            if told { "it would be told, once `open_when` is met" } else { "nobody would be told" }
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what every rule says of a past change. Its text was stored shortened.
fn print_steps_of(out: &mut impl Write, rules: &Rules, decision: &Decision) -> io::Result<()> {
    let same = rules.generation() == decision.rules;
    writeln!(out, "    {DIM}{}{DIM:#}", if same { "rule by rule:" } else { "rule by rule, as the rules are now:" })?;
    let event = Event {
        metadata: decision.metadata.clone(),
        first_seen: decision.at,
        last_seen: decision.at,
        count: decision.count,
        level: Level::Warning,
        obj_type: decision.obj_type.as_str().into(),
        obj_name: decision.obj_name.as_str().into(),
        reason: decision.reason.as_str().into(),
        message: decision.message.as_str().into(),
        node: (!decision.node.is_empty()).then(|| decision.node.as_str().into()),
        signal: decision.signal,
        ..Event::default()
    };
    let subject = Subject { target: &decision.target, event: &event, workload: &decision.workload };
    print_steps(out, rules, &subject, "      ").map(drop)
}

/// Prints what every rule says of an event. Returns whether any rule tells it.
fn print_steps(out: &mut impl Write, rules: &Rules, subject: &Subject<'_>, margin: &str) -> io::Result<bool> {
    let mut told = false;
    for step in rules.explain(subject) {
        let style = if matches!(step.because, RuleVerdict::Claims(_)) { YES } else { DIM };
        told |= matches!(step.because, RuleVerdict::Claims(_));
        writeln!(out, "{margin}{style}{}: {}{style:#}", step.rule, plain(&step.because.to_string()))?;
        if let (RuleVerdict::Claims(_), Some(id)) = (&step.because, rules.find(&step.rule)) {
            conditions(out, rules, id, margin)?;
        }
    }
    Ok(told)
}

/// Prints the conditions between a match and a notice.
fn conditions(out: &mut impl Write, rules: &Rules, id: RuleId, margin: &str) -> io::Result<()> {
    let rule = &rules.get(id).settings;
    let OpenWhen { count, within, per, lasts, settled } = rule.open_when;
    let of = if per == CountScope::Object { " of one object" } else { "" };
    if let Some(count) = count.filter(|count| *count > 1) {
        writeln!(out, "{margin}  opens at {count} occurrences{of} within {} s", within.as_secs())?;
    }
    if let Some(settled) = settled {
        let seconds = settled.as_secs();
        writeln!(out, "{margin}  counts what an object does before it is {seconds} s old only if it goes on then")?;
    }
    if let Some(lasts) = lasts {
        writeln!(out, "{margin}  opens when it lasts for {} s", lasts.as_secs())?;
    }
    if let Some(active) = &rule.active {
        writeln!(out, "{margin}  held outside of its active hours: {active}")?;
    }
    for inhibited in rules.inhibited_by(id) {
        let by = &rules.get(inhibited.by).settings.key;
        let equal = inhibited.equal.iter().map(|field| field.as_str()).collect::<Vec<_>>().join(", ");
        let listed = if inhibited.into_cause { ", which lists it" } else { "" };
        writeln!(out, "{margin}  held while an incident of {by} with the same {equal} is open{listed}")?;
    }
    for step in &rule.unacknowledged {
        let (after, to) = (step.after.as_secs(), step.notify.join(", "));
        writeln!(out, "{margin}  tells {to}, too, if nobody acknowledges it for {after} s")?;
    }
    for planned in rules.maintenance().iter().filter(|one| one.file.as_ref().is_none_or(|file| *file == rule.key.file))
    {
        let from = planned.from.map(|from| format!(" from {}", utc(from))).unwrap_or_default();
        writeln!(
            out,
            "{margin}  held during the maintenance {}{from} until {}, if it is about this",
            planned.name,
            utc(planned.until)
        )?;
    }
    Ok(())
}

fn pair(text: &str) -> anyhow::Result<(String, String)> {
    let (key, value) = text.split_once('=').context("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn typed(args: &Args) -> Event<'static> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default().into();
    Event {
        metadata: Metadata::of(args.label.clone(), args.annotation.clone()).map(Arc::new),
        first_seen: Time::default(),
        last_seen: Time::default(),
        count: args.count,
        level: if args.level == "Normal" { Level::Normal } else { Level::Warning },
        obj_type: args.kind.clone().into(),
        obj_name: text(&args.name),
        reason: text(&args.reason),
        message: text(&args.message),
        ..Event::default()
    }
}

/// What a list contains.
struct Listed {
    /// The Warnings that the other options name.
    wanted: Vec<Event<'static>>,
    /// All events.
    events: usize,
    warnings: usize,
    /// Entries that could not be understood.
    skipped: usize,
}

impl Listed {
    /// Prints how much was left out, and why nothing is left to explain.
    fn say(&self, path: &Path) -> anyhow::Result<()> {
        let path = path.display();
        let Self { events, warnings, skipped, .. } = self;
        if *events == 0 && *skipped > 0 {
            bail!("{path}: none of its {skipped} entries can be understood as an event");
        }
        if *skipped > 0 {
            anstream::eprintln!("warning: {path}: {skipped} entries could not be understood and are left out");
        }
        if self.wanted.is_empty() {
            let why = match (events, warnings) {
                (0, _) => "it holds no event".to_owned(),
                (_, 0) => format!("none of its {events} events is a Warning"),
                _ => format!("none of its {warnings} Warnings is one that the other options name"),
            };
            anstream::eprintln!("{path}: {why}, so there is nothing to explain.");
        }
        Ok(())
    }
}

fn listed(path: &Path, args: &Args) -> anyhow::Result<Listed> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let list = parse_single(&text, &TimeZone::UTC).with_context(|| path.display().to_string())?;
    let is = |asked: &Option<String>, fact: &str| asked.as_ref().is_none_or(|asked| asked == fact.trim());
    let named = |event: &Event<'_>| is(&args.reason, &event.reason) && is(&args.name, &event.obj_name);
    let (events, skipped) = (list.events.len(), list.skipped);
    let all: Vec<Event<'static>> = list.events.into_iter().filter(|event| event.level == Level::Warning).collect();
    let warnings = all.len();
    Ok(Listed { wanted: all.into_iter().filter(named).collect(), events, warnings, skipped })
}

fn as_test(rows: &Rows, rules: Rules, args: &Args) -> anyhow::Result<ExitCode> {
    let name = match args.incident {
        Some(id) => format!("as in incident {id}"),
        None => "what happened".to_owned(),
    };
    if rules.iter().any(|(_, rule)| *rule.settings.key.file == *builtin::FILE) {
        bail!("the built-in rules are in no file that a test could name: name rule files with --rules FILE");
    }
    let Some(sketch) = Sketch::new(&name, rows, rules) else { bail!("there is nothing to make a test of") };
    write!(anstream::stdout().lock(), "{sketch}")?;
    Ok(ExitCode::SUCCESS)
}
