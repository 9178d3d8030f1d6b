//! Whether the store can be used, and whether a podbell runs on it.

use crate::clock;
use crate::examine::{Checked, Finding, Group, size, span};
use podbell_core::time::Time;
use podbell_store::{Fault, FileInfo, FileInspection, Location};

/// Less free space than this deserves a look; with less than the other podbell stops soon.
const LITTLE: u64 = 512 << 20;
const TOO_LITTLE: u64 = 32 << 20;
/// A heartbeat older than this, in seconds, means that podbell hangs: one is written every 10 s.
const ALIVE: u64 = 45;

/// Looks, off the async runtime: a file system may hang.
pub(super) async fn check(store: Location) -> Checked {
    let now = clock::now();
    match tokio::task::spawn_blocking(move || store.inspect_file()).await {
        Ok(Some(inspection)) => judge(&inspection, now).into(),
        // On a server: `database` looks at that.
        Ok(None) => Checked::default(),
        Err(_) => Finding::fail(Group::Store, "store", "could not be looked at", "try again").into(),
    }
}

/// What an inspection says.
fn judge(inspection: &FileInspection, now: Time) -> Vec<Finding> {
    let mut findings = Vec::new();
    let folder = inspection.folder.display().to_string();
    match inspection.place.as_ref().and(inspection.writable.as_ref()) {
        Ok(()) => findings.push(Finding::ok(Group::Store, "folder", format!("{folder} can be written and is local"))),
        Err(error) => findings.push(of_fault("folder", error)),
    }
    findings.extend(inspection.free.map(|free| space(&folder, free)));
    match &inspection.file {
        None if inspection.place.is_ok() => {
            findings.push(Finding::ok(Group::Store, "file", "not there yet; `podbell run` makes it"));
        }
        None => {}
        Some(Err(error)) => findings.push(of_fault("file", error)),
        Some(Ok(seen)) => {
            findings.push(format(*seen));
            findings.extend(gone_back(seen.behind));
            findings.push(running(seen.heartbeat, inspection.owned, now));
        }
    }
    findings
}

fn of_fault(subject: &str, fault: &Fault) -> Finding {
    Finding::fail(Group::Store, subject, fault.found.clone(), fault.advice.clone())
}

fn space(folder: &str, free: u64) -> Finding {
    let found = format!("{} free in {folder}", size(free));
    let advice = "make room: without space podbell can commit nothing, and tells nothing";
    match free {
        0..TOO_LITTLE => Finding::fail(Group::Store, "space", found, advice),
        TOO_LITTLE..LITTLE => Finding::warn(Group::Store, "space", found, advice),
        _ => Finding::ok(Group::Store, "space", found),
    }
}

/// A finding if the store lacks commits that it once had.
fn gone_back(behind: u64) -> Option<Finding> {
    (behind > 0).then(|| {
        let found = format!("it lacks the last {behind} commits that podbell made: its log is damaged or gone, or it is a backup");
        let advice = "after a backup was put in its place, start podbell, which notes it; otherwise look at the disk, and at who deletes files there";
        Finding::warn(Group::Store, "commits", found, advice)
    })
}

fn format(seen: FileInfo) -> Finding {
    let FileInfo { version, known, bytes, .. } = seen;
    let found = match version {
        0 => "empty; `podbell run` fills it".to_owned(),
        _ if version < known => {
            format!("version {version}, {}; the next start makes it version {known} and keeps a copy", size(bytes))
        }
        _ => format!("version {version}, {}", size(bytes)),
    };
    let found = match seen.all_looked_at {
        true => found,
        false => format!("{found}; too large for every page to be looked at now (podbell does so at each start)"),
    };
    Finding::ok(Group::Store, "file", found)
}

/// Whether a podbell runs on it.
fn running(heartbeat: Option<Time>, owned: bool, now: Time) -> Finding {
    let age = heartbeat.map(|beat| now.since(beat).as_secs());
    match (owned, age) {
        (false, None) => Finding::ok(Group::Store, "podbell", "none has run on it yet"),
        (false, Some(age)) => {
            let advice = "start it (`podbell run`), or look why it ended: nothing is told meanwhile";
            Finding::warn(Group::Store, "podbell", format!("does not run: last seen {} ago", span(age)), advice)
        }
        (true, None) => Finding::ok(Group::Store, "podbell", "starts"),
        (true, Some(age @ 0..=ALIVE)) => {
            Finding::ok(Group::Store, "podbell", format!("runs: its heartbeat is {} old", span(age)))
        }
        (true, Some(age)) => {
            let advice = "restart it, and look at its log and its disk: nothing is told meanwhile";
            Finding::fail(Group::Store, "podbell", format!("hangs: its heartbeat is {} old", span(age)), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examine::FindingLevel;

    #[test]
    fn space_and_heartbeats_are_judged() {
        let verdict = |free| space("/data", free).verdict;
        assert_eq!(
            [verdict(1 << 40), verdict(100 << 20), verdict(1 << 20)],
            [FindingLevel::Ok, FindingLevel::Warn, FindingLevel::Fail]
        );
        let now = Time::from_seconds(1_000_000);
        let beat = |seconds, owned| {
            let finding = running(Some(Time::from_seconds(seconds)), owned, now);
            (finding.verdict, finding.found)
        };
        let runs = |age: &str| (FindingLevel::Ok, format!("runs: its heartbeat is {age} old"));
        assert_eq!([beat(999_997, true), beat(1_000_020, true)], [runs("3 s"), runs("0 s")]);
        assert_eq!(beat(999_997, false), (FindingLevel::Warn, "does not run: last seen 3 s ago".to_owned()));
        assert_eq!(beat(1_000_000 - 7_300, true), (FindingLevel::Fail, "hangs: its heartbeat is 2 h old".to_owned()));
        assert_eq!([running(None, false, now).verdict, running(None, true, now).verdict], [FindingLevel::Ok; 2]);
    }
}
