//! What came of a backtest, for people and for machines.

use std::collections::BTreeSet;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::Args;
use podbell_core::backtest::{NotNotifiedReason, Report, Untold};
use podbell_core::message::{Message, Style as Reader, compose};
use podbell_core::notice::{Notice, NoticeBody};
use podbell_core::rule::{Destination, RuleKey};
use podbell_core::time::Time;
use podbell_core::translations::{Language, number};

/// At most this many lines of each table are printed.
const MAX_LINES: usize = 20;

const ADDED: Style = AnsiColor::Green.on_default();
const GONE: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();
const HEAD: Style = Style::new().bold();

fn message(notice: &Notice, zone: &TimeZone) -> Message {
    compose(notice, &Reader { language: Language::En, time_zone: zone.clone(), now: notice.made_at })
}

/// One notice on one line.
fn line(notice: &Notice, zone: &TimeZone) -> String {
    let at = notice.made_at.timestamp().to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S");
    let rule = match &notice.body {
        NoticeBody::Incident(story) => format!("{} → {}  ", story.rule.name, notice.to.join(", ")),
        _ => String::new(),
    };
    format!("{at}  {rule}{}", message(notice, zone).title)
}

/// For people: every notice, then the counts.
pub(super) fn text(report: &Report, args: &Args) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    if !args.summary {
        for notice in &report.notices {
            writeln!(out, "{}", line(notice, &args.time_zone))?;
        }
        if !report.notices.is_empty() {
            writeln!(out)?;
        }
    }
    writeln!(out, "{HEAD}{}{HEAD:#}", totals(report))?;
    let destinations: BTreeSet<&Destination> = report.messages.iter().map(|sent| &sent.to).collect();
    for name in destinations {
        let messages = report.messages.iter().filter(|sent| sent.to == *name);
        let digests = messages.clone().filter(|sent| is_digest(report, &sent.notices)).count();
        writeln!(out, "  to {name}: {} messages, {digests} of them digests", number(messages.count() as u64))?;
    }
    table(&mut out, "notices by rule", report.by_rule.iter().map(|(rule, n)| (*n, rule.to_string())))?;
    table(&mut out, "noisiest workloads", workloads(report))?;
    let never: Vec<String> =
        report.by_rule.iter().filter(|(_, n)| **n == 0).map(|(rule, _)| rule.to_string()).collect();
    if !never.is_empty() {
        writeln!(out, "\n{HEAD}rules that never told anything{HEAD:#}")?;
        never.iter().take(MAX_LINES).try_for_each(|rule| writeln!(out, "  {rule}"))?;
    }
    if !report.untold.is_empty() {
        writeln!(out, "\n{HEAD}Warnings that nobody was told of{HEAD:#}")?;
        for untold in report.untold.iter().take(MAX_LINES) {
            writeln!(out, "  {}", untold_line(untold))?;
        }
        let more = report.untold.len().saturating_sub(MAX_LINES);
        if more > 0 {
            writeln!(out, "  {DIM}and {more} more{DIM:#}")?;
        }
    }
    Ok(())
}

fn totals(report: &Report) -> String {
    format!(
        "{} polls ({} failed), {} events : {} Warning changes : {} incidents : {} notices : {} messages",
        number(report.polls),
        number(report.failed_polls),
        number(report.events),
        number(report.warning_changes),
        number(incidents(report).len() as u64),
        number(report.notices.len() as u64),
        number(report.messages.len() as u64),
    )
}

fn incidents(report: &Report) -> BTreeSet<u64> {
    report.notices.iter().filter_map(|notice| notice.body.incident()).collect()
}

/// Whether a message is about more than one incident.
fn is_digest(report: &Report, notices: &[u64]) -> bool {
    let incident = |id: &u64| {
        let place = report.notices.binary_search_by_key(id, |notice| notice.id).ok()?;
        report.notices[place].body.incident()
    };
    notices.iter().filter_map(incident).collect::<BTreeSet<u64>>().len() > 1
}

fn workloads(report: &Report) -> impl Iterator<Item = (u64, String)> {
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    for notice in &report.notices {
        if let NoticeBody::Incident(story) = &notice.body {
            *counts.entry(format!("{}/{}", story.namespace, story.workload)).or_default() += 1;
        }
    }
    counts.into_iter().map(|(name, n)| (n, name))
}

/// Prints a table, the largest number first. Zeros are left out.
fn table(out: &mut impl Write, head: &str, rows: impl Iterator<Item = (u64, String)>) -> io::Result<()> {
    let mut rows: Vec<(u64, String)> = rows.filter(|(n, _)| *n > 0).collect();
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    writeln!(out, "\n{HEAD}{head}{HEAD:#}")?;
    for (n, name) in rows.iter().take(MAX_LINES) {
        writeln!(out, "  {:>7}  {name}", number(*n))?;
    }
    let more = rows.len().saturating_sub(MAX_LINES);
    if more > 0 { writeln!(out, "  {DIM}and {more} more{DIM:#}") } else { Ok(()) }
}

fn untold_line(untold: &Untold) -> String {
    let Untold { namespace, workload, reason, changes, occurrences, .. } = untold;
    let (changes, times) = (number(*changes), number(*occurrences));
    format!("{changes:>7} changes, {times} times  {namespace}/{workload} {reason}: {}", because(&untold.because))
}

fn because(because: &NotNotifiedReason) -> String {
    match because {
        NotNotifiedReason::NoRule => "no rule matches it".to_owned(),
        NotNotifiedReason::Ignored(rule) => format!("ignored by {rule}"),
        NotNotifiedReason::TooFew(rule) => format!("too few for open_when of {rule}"),
        NotNotifiedReason::Held(rule) => format!("held back: see `active`, `maintenance` and `inhibit` of {rule}"),
        NotNotifiedReason::TooLate(rule) => format!("the recording ended before {rule} told it"),
    }
}

/// Identifies a notice under either set of rules. The rule's name is no part of it: it may differ.
type Same<'a> = (i64, &'static str, String, Vec<&'a str>);

fn same(notice: &Notice) -> Same<'_> {
    let place = match &notice.body {
        NoticeBody::Incident(story) => format!("{}/{}/{}", story.cluster, story.namespace, story.workload),
        _ => String::new(),
    };
    let mut to: Vec<&str> = notice.to.iter().map(|name| &**name).collect();
    to.sort_unstable();
    (notice.caused_at.millis(), notice.kind.as_str(), place, to)
}

/// For people: what the other rules would add and take away.
pub(super) fn difference(before: &Report, after: &Report, args: &Args) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    let (old, new): (BTreeSet<Same<'_>>, BTreeSet<Same<'_>>) =
        (before.notices.iter().map(same).collect(), after.notices.iter().map(same).collect());
    let gone = before.notices.iter().filter(|notice| !new.contains(&same(notice))).map(|notice| (notice, false));
    let added = after.notices.iter().filter(|notice| !old.contains(&same(notice))).map(|notice| (notice, true));
    let mut all: Vec<(&Notice, bool)> = gone.chain(added).collect();
    all.sort_by_key(|(notice, _)| (notice.made_at, notice.id));
    for (notice, added) in &all {
        let (sign, style) = if *added { ("+", ADDED) } else { ("-", GONE) };
        writeln!(out, "{style}{sign} {}{style:#}", line(notice, &args.time_zone))?;
    }
    if !all.is_empty() {
        writeln!(out)?;
    }
    let added = all.iter().filter(|(_, added)| *added).count();
    writeln!(out, "--rules:   {}", totals(before))?;
    writeln!(out, "--compare: {}", totals(after))?;
    writeln!(out, "{HEAD}{added} notices more, {} fewer{HEAD:#}", all.len() - added)
}

/// For machines.
pub(super) fn as_json(report: &Report, skipped: usize, args: &Args) -> Value {
    let zone = &args.time_zone;
    let time = |at: Time| at.timestamp().to_string();
    let notice = |notice: &Notice| {
        let NoticeBody::Incident(story) = &notice.body else { return None };
        let message = message(notice, zone);
        Some(json!({
            "at": time(notice.made_at),
            "caused_at": time(notice.caused_at),
            "notice": notice.kind.as_str(),
            "rule": story.rule.name,
            "rule_file": story.rule.file,
            "incident": story.incident,
            "severity": notice.severity.as_str(),
            "to": notice.to,
            "text": message.text(),
            "title": message.title,
            "cluster": story.cluster,
            "namespace": story.namespace,
            "workload": story.workload,
            "reasons": story.reasons.iter().map(|reason| &reason.reason).collect::<Vec<_>>(),
            "occurrences": story.occurrences,
            "objects": story.objects,
        }))
    };
    let untold = |untold: &Untold| {
        json!({
            "cluster": untold.cluster,
            "namespace": untold.namespace,
            "workload": untold.workload,
            "reason": untold.reason,
            "because": because(&untold.because),
            "changes": untold.changes,
            "occurrences": untold.occurrences,
        })
    };
    let never: Vec<&RuleKey> = report.by_rule.iter().filter(|(_, n)| **n == 0).map(|(rule, _)| rule).collect();
    json!({
        "polls": report.polls,
        "failed_polls": report.failed_polls,
        "events": report.events,
        "skipped_entries": skipped,
        "warning_changes": report.warning_changes,
        "incidents": incidents(report).len(),
        "notices": report.notices.iter().filter_map(notice).collect::<Vec<_>>(),
        "messages": report.messages.len(),
        "open": report.open,
        "never_fired": never.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "untold": report.untold.iter().map(untold).collect::<Vec<_>>(),
    })
}
