//! Findings for people and for machines.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::cli::plain;
use crate::examine::{Finding, FindingLevel, count};

/// For people: colours where there is a terminal.
pub(super) fn text(findings: &[Finding]) -> io::Result<()> {
    lines(&mut anstream::stdout().lock(), findings)
}

fn lines(out: &mut impl Write, findings: &[Finding]) -> io::Result<()> {
    for (at, finding) in findings.iter().enumerate() {
        let first = at.checked_sub(1).and_then(|before| findings.get(before)).map(|before| before.group);
        if first != Some(finding.group) {
            let bold = Style::new().bold();
            writeln!(out, "{}{bold}{}{bold:#}", if at == 0 { "" } else { "\n" }, finding.group.as_str())?;
        }
        let (sign, style) = sign(finding.verdict);
        writeln!(out, "  {style}{sign}{style:#}  {}: {}", plain(&finding.subject), plain(&finding.found))?;
        if let Some(advice) = &finding.advice {
            writeln!(out, "        {}", plain(advice))?;
        }
    }
    writeln!(out, "\n{}", summary(findings))
}

fn sign(verdict: FindingLevel) -> (&'static str, Style) {
    match verdict {
        FindingLevel::Ok => ("ok  ", AnsiColor::Green.on_default()),
        FindingLevel::Warn => ("warn", AnsiColor::Yellow.on_default().bold()),
        FindingLevel::Fail => ("fail", AnsiColor::Red.on_default().bold()),
    }
}

fn summary(findings: &[Finding]) -> String {
    let of = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    match (of(FindingLevel::Fail), of(FindingLevel::Warn)) {
        (0, 0) => format!("{}: all good", count(findings.len(), "check")),
        (fails, warnings) => {
            format!("{}: {}, {}", count(findings.len(), "check"), count(fails, "failure"), count(warnings, "warning"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examine::Group;

    #[test]
    fn a_finding_is_a_line_and_what_to_do_stands_below_it() {
        let findings = [
            Finding::ok(Group::Store, "folder", "can be written"),
            Finding::fail(Group::Sources, "prod", "4100\u{1b}[2J", "check the key"),
        ];
        let mut out = anstream::StripStream::new(Vec::new());
        lines(&mut out, &findings).unwrap();
        let text = String::from_utf8(out.into_inner()).unwrap();
        let wanted = "store\n  ok    folder: can be written\n\nsources\n  fail  prod: 4100 [2J\n        check the key\n\n\
                      2 checks: 1 failure, 0 warnings\n";
        assert_eq!(text, wanted);
    }
}
