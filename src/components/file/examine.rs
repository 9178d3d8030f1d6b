//! A recording: is it there, can it be read, where does it end?

use std::path::Path;

use super::FileConfig;
use super::recording::RecordingError;
use crate::examine::{Checked, Finding, Group, count};
use podbell_core::time::Time;

/// At most this many polls are read: the whole recording may take too long.
const MAX: usize = 20_000;

/// What was read.
struct Read {
    polls: usize,
    all: bool,
    single: bool,
    last: Option<Time>,
    skipped: usize,
}

/// Reads it, off the async runtime.
pub(super) async fn examine(source: &FileConfig) -> Checked {
    let subject = source.name.to_string();
    if source.path == Path::new("-") {
        return Finding::ok(Group::Sources, subject, "standard input, read once when podbell runs").into();
    }
    let (path, zone) = (source.path.clone(), source.time_zone.clone());
    let shown = path.display().to_string();
    let read = tokio::task::spawn_blocking(move || read(&path, zone)).await;
    let fail = |found: String, advice: &str| Finding::fail(Group::Sources, subject.clone(), found, advice).into();
    match read {
        Err(_) => fail(format!("{shown} could not be read"), "try again"),
        Ok(Err(RecordingError::Io(error))) => {
            fail(format!("{shown} cannot be read: {error}"), "check `path:`, and let podbell's user read the file")
        }
        Ok(Err(error)) => {
            fail(format!("{shown}: {error}"), "make it with `podbell record`, or save one answer of the API as it is")
        }
        Ok(Ok(read)) => {
            let mut findings = vec![Finding::ok(Group::Sources, subject.clone(), words(&shown, &read))];
            if read.skipped > 0 {
                let found = format!("{} of {shown} cannot be understood", count(read.skipped, "event"));
                let advice = "they are left out; compare them with docs/emulate.md";
                findings.push(Finding::warn(Group::Sources, subject, found, advice));
            }
            findings.into()
        }
    }
}

fn read(path: &Path, zone: jiff::tz::TimeZone) -> Result<Read, RecordingError> {
    let mut recording = super::open(path, zone)?;
    let mut read = Read { polls: 0, all: true, single: false, last: None, skipped: 0 };
    for poll in recording.by_ref() {
        read.last = Some(poll?.at);
        read.polls += 1;
        if read.polls == MAX {
            read.all = false;
            break;
        }
    }
    (read.single, read.skipped) = (recording.is_single(), recording.skipped());
    Ok(read)
}

fn words(shown: &str, read: &Read) -> String {
    let time = |time: Time| time.timestamp().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    match read.last {
        None => format!("{shown} can be read and is empty"),
        Some(last) if read.single => format!("{shown} is a single answer; its newest event is of {}", time(last)),
        Some(last) if read.all => format!("{shown}: {}, the last of {}", count(read.polls, "poll"), time(last)),
        Some(last) => format!("{shown}: at least {MAX} polls; the first {MAX}, up to {}, can be read", time(last)),
    }
}
