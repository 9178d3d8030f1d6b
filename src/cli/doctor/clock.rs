//! Compares this machine's clock with those that podbell talks to. Pure.

use crate::examine::{Finding, Group, span};
use crate::http::Clocks;

/// An offset beyond this, in seconds, deserves a look.
const OFF: u64 = 30;
/// Beyond this, in seconds, signatures are refused.
const REFUSED: u64 = 300;

/// One finding for all clocks that agree, and one for each that does not. `checks`: who checks the time of
/// signatures.
pub(super) fn judge(clocks: &[(String, Clocks)], checks: impl Fn(&str) -> bool) -> Vec<Finding> {
    let off = |clocks: &Clocks| clocks.ahead().unsigned_abs();
    let (agree, differ): (Vec<_>, Vec<_>) = clocks.iter().partition(|(_, clocks)| off(clocks) <= OFF);
    let mut findings = Vec::new();
    if let Some(most) = agree.iter().map(|(_, clocks)| off(clocks)).max() {
        let names: Vec<&str> = agree.iter().map(|(name, _)| name.as_str()).collect();
        let found = format!("within {} of the clock of {}", span(most.max(1)), names.join(", "));
        findings.push(Finding::ok(Group::Clock, "this machine", found));
    }
    let alone = agree.is_empty();
    for (name, clocks) in differ {
        let seconds = off(clocks);
        let way = if clocks.ahead() > 0 { "ahead of" } else { "behind" };
        let found = format!("{seconds} s {way} the clock of {name}");
        let advice = "run NTP on this machine (chrony, systemd-timesyncd), or on its host if it is virtual";
        findings.push(if !alone && !checks(name) {
            // Others agree with this machine, so the other clock is off.
            let advice = format!("if {name} is yours, look at its clock; messages are not affected");
            Finding::warn(Group::Clock, name.as_str(), format!("{found}, and others agree with this machine"), advice)
        } else if seconds > REFUSED {
            let found = format!("{found}: signatures are refused, and times in messages are wrong");
            Finding::fail(Group::Clock, "this machine", found, advice)
        } else {
            Finding::warn(Group::Clock, "this machine", found, advice)
        });
    }
    if findings.is_empty() {
        let found = "not compared: nothing that was reached says what time it is";
        findings.push(Finding::ok(Group::Clock, "this machine", found));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examine::FindingLevel;
    use podbell_core::time::Time;

    fn clocks(name: &str, ahead: i64) -> (String, Clocks) {
        let now = Time::from_seconds(1_000_000);
        (name.to_owned(), Clocks { date: Time::from_seconds(1_000_000 - ahead), asked: now, answered: now })
    }

    #[test]
    fn clocks_that_agree_are_one_line_and_others_are_named_with_their_seconds() {
        let nobody = |_: &str| false;
        let found = judge(&[clocks("prod", 0), clocks("team", 31), clocks("old", -301), clocks("fine", 2)], nobody);
        let lines: Vec<(FindingLevel, &str)> = found.iter().map(|one| (one.verdict, one.found.as_str())).collect();
        assert_eq!(lines[0], (FindingLevel::Ok, "within 2 s of the clock of prod, fine"));
        assert_eq!(
            lines[1],
            (FindingLevel::Warn, "31 s ahead of the clock of team, and others agree with this machine")
        );
        assert_eq!(lines[2], (FindingLevel::Warn, "301 s behind the clock of old, and others agree with this machine"));
        let found = judge(&[clocks("team", 31), clocks("old", -301)], nobody);
        let lines: Vec<(FindingLevel, &str)> = found.iter().map(|one| (one.verdict, one.found.as_str())).collect();
        assert_eq!(lines[0], (FindingLevel::Warn, "31 s ahead of the clock of team"));
        assert!(lines[1].1.starts_with("301 s behind the clock of old: signatures are refused"), "{lines:?}");
        // Whoever checks signatures refuses them, even if other clocks agree.
        assert_eq!(
            judge(&[clocks("team", 0), clocks("prod", -301)], |name| name == "prod")[1].verdict,
            FindingLevel::Fail
        );
        assert_eq!(judge(&[], nobody)[0].verdict, FindingLevel::Ok);
    }

    #[test]
    fn a_slow_answer_says_less_and_never_something_wrong() {
        let slow = |date| {
            let (asked, answered) = (Time::from_seconds(1_000), Time::from_seconds(1_020));
            Clocks { date: Time::from_seconds(date), asked, answered }.ahead()
        };
        assert_eq!([slow(1_000), slow(1_010), slow(1_020), slow(999)], [0, 0, 0, 0]);
        assert_eq!((slow(900), slow(1_100)), (100, -80));
    }
}
