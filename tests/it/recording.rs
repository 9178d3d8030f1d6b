//! Recordings: what is read, what is refused with which line, and plays made of real lists.

use std::collections::BTreeMap;
use std::io::Read as _;

use jiff::tz::TimeZone;
use podbell::components::file::play_maker::{PlayOptions, make};
use podbell::components::file::recording::{
    RecordedHealth, RecordedObject, RecordedOutcome, RecordedPoll, RecordedTemplate, Recording, RecordingError, Scope,
    parse_single,
};
use podbell::components::file::written::write_poll;
use podbell::sources::wall_clock::WallClock;
use podbell_core::health::WorkloadKind;
use podbell_core::time::Time;
use proptest::prelude::*;

use crate::support::lists;

fn read(text: &str) -> Vec<Result<RecordedPoll, RecordingError>> {
    Recording::new(text.as_bytes(), TimeZone::UTC).collect()
}

fn error(text: &str) -> String {
    let all = read(text);
    let last = all.into_iter().last().unwrap();
    last.unwrap_err().to_string()
}

const EVENT: &str = r#"{"firstSeen": "2026-01-01 19:00:00", "lastSeen": "2026-01-01 19:10:00", "count": 2, "level": "Warning", "objType": "Pod", "objName": "web-1", "reason": "BackOff", "message": "x"}"#;

#[test]
fn polls_are_read_line_by_line() {
    let text = format!(
        "\u{feff}{{\"at\": \"2026-01-01 19:18:00\", \"cluster\": \"c\", \"namespace\": \"n\", \"service\": \"s\", \"eventList\": [{EVENT}]}}\r\n\n  \n{{\"eventList\": null, \"at\": \"2026-01-01 19:18:00\"}}\n{{\"at\": \"2026-01-01 19:19:00\", \"error\": \"timeout\", \"note\": 1}}"
    );
    let polls: Vec<_> = read(&text).into_iter().map(Result::unwrap).collect();
    assert_eq!(polls.len(), 3);
    assert_eq!(polls[0].at, Time::from_seconds(1_767_295_080));
    let scope = Scope { cluster: Some("c".into()), namespace: Some("n".into()), service: Some("s".into()) };
    assert_eq!(polls[0].scope, scope);
    assert_eq!(polls[0].outcome.list().unwrap()[0].count, 2);
    assert_eq!((&polls[1].scope, &polls[1].outcome), (&Scope::default(), &RecordedOutcome::List(vec![])));
    assert_eq!(polls[2].outcome, RecordedOutcome::Error("timeout".to_owned()));
}

#[test]
fn the_zone_is_that_of_all_times_of_the_recording() {
    let text = format!("{{\"at\": \"2026-01-01 19:18:00\", \"eventList\": [{EVENT}]}}");
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let poll = Recording::new(text.as_bytes(), zone).next().unwrap().unwrap();
    assert_eq!(poll.at, Time::from_seconds(1_767_295_080 - 8 * 3600));
    assert_eq!(poll.at.since(poll.outcome.list().unwrap()[0].last_seen).as_secs(), 480);
}

#[test]
fn mistakes_are_told_with_their_line() {
    let good = r#"{"at": "2026-01-01 19:18:00", "eventList": []}"#;
    for (bad, words) in [
        (r#"{"at": "2026-01-01 19:17:59", "eventList": []}"#, "earlier than the line before"),
        (r#"{"at": "yesterday", "eventList": []}"#, "is not YYYY-MM-DD"),
        (r#"{"at": "2026-01-01 19:18:00"}"#, "neither eventList nor error"),
        (r#"{"at": "2026-01-01 19:18:00", "eventList": [], "health": []}"#, "health stands in a line of its own"),
        (
            r#"{"at": "2026-01-01 19:18:00", "eventList": [], "templates": []}"#,
            "templates stand in a line of their own",
        ),
        (r#"{"at": "2026-01-01 19:18:00", "error": "x", "templates": []}"#, "templates stand in a line of their own"),
        (r#"{"at": "2026-01-01 19:18:00", "eventList": [], "error": "x"}"#, "exclude each other"),
        (r#"{"at": "2026-01-01 19:18:00", "eventLi"#, "cut off in the middle: EOF"),
        (r#"{"at": "2026-01-01 19:18:00", "eventList": {"a": 1}}"#, "expected a list of events"),
        ("{\"at\": \"2026-01-01 19:18:00\", \"error\": \"a\0b\"}", "control character"),
        (r#"{"eventList": []}"#, "missing field `at`"),
        ("what", "expected value"),
    ] {
        let error = error(&format!("{good}\n\n{bad}\n{good}\n"));
        assert!(error.starts_with("line 3: ") && error.contains(words), "{error}");
    }
    assert_eq!(read(&format!("{good}\nwhat\n{good}\n")).len(), 2, "after a mistake it ends");
    assert!(error(r#"{"at": "2026-01-01 19:18:00", "eventLi"#).starts_with("line 1: "), "a cut line is a line");
    assert!(error("what").contains("neither JSON lines"));
    assert!(error(r#"{"code": 4100, "message": "no"}"#).contains("4100"));
    assert!(read("\n\n").is_empty());
}

#[test]
fn other_encodings_and_packed_files_are_told_as_what_they_are() {
    let good = "{\"at\": \"2026-01-01 19:18:00\", \"eventList\": []}\n";
    let wide = |order: fn(u16) -> [u8; 2]| good.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let marked = |mark: [u8; 2], order| [mark.to_vec(), wide(order)].concat();
    // 失败 in GBK, in a line and in a single answer of several lines.
    let gbk = [good.as_bytes(), b"{\"at\": \"2026-01-01 19:19:00\", \"error\": \"\xca\xa7\xb0\xdc\"}\n"].concat();
    let single = b"{\n\"code\": 0,\n\"message\": \"\xca\xa7\xb0\xdc\"}".to_vec();
    for (bytes, words) in [
        (marked([0xff, 0xfe], u16::to_le_bytes), "UTF-16: convert it, for example with iconv"),
        (marked([0xfe, 0xff], u16::to_be_bytes), "UTF-16"),
        (wide(u16::to_le_bytes), "UTF-16"),
        (wide(u16::to_be_bytes), "UTF-16"),
        (vec![0x1f, 0x8b, 8, 0], "compressed with gzip: unpack it, for example with zcat"),
        (vec![0x28, 0xb5, 0x2f, 0xfd, 0], "compressed with zstd"),
        (gbk, "line 2: not UTF-8: convert it, for example with iconv -f GBK"),
        (single, "line 3: not UTF-8"),
        (vec![0; 1000], "not JSON"),
    ] {
        let error = Recording::new(&bytes[..], TimeZone::UTC).last().unwrap().unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
    let endless = b"{\"at\": \"2026-01-01 19:18:00\", \"error\": \"".chain(std::io::repeat(b'x'));
    let mut recording = Recording::new(std::io::BufReader::new(endless), TimeZone::UTC);
    let error = recording.next().unwrap().unwrap_err().to_string();
    assert_eq!(error, "line 1: longer than 67108864 bytes");
    assert!(recording.next().is_none());
}

#[test]
fn entries_that_cannot_be_understood_are_left_out_and_counted() {
    let text = format!(
        "{{\"at\": \"2026-01-01 19:18:00\", \"eventList\": [{EVENT}]}}\n{{\"at\": \"2026-01-01 19:19:00\", \"eventList\": [{EVENT}, 5, {{\"firstSeen\": \"yesterday\"}}]}}\n"
    );
    let mut recording = Recording::new(text.as_bytes(), TimeZone::UTC);
    assert_eq!((recording.by_ref().map(Result::unwrap).count(), recording.skipped()), (2, 2));
    assert_eq!(recording.first_skipped(), Some(2));
}

#[test]
fn a_single_answer_is_a_recording_of_one_poll() {
    for text in [
        format!("{{\"code\": 0, \"data\": {{\"eventList\": [{EVENT}]}}}}"),
        format!("\n{{\n \"code\": \"0\",\n \"data\": {{\n  \"eventList\": [\n{EVENT}\n]}}}}\n"),
        format!("{{\"eventList\": [{EVENT}]}}"),
        format!("[\n{EVENT}]\n"),
        format!("\u{feff}[{EVENT}, 5]"),
    ] {
        let mut recording = Recording::new(text.as_bytes(), TimeZone::UTC);
        let poll = recording.next().unwrap().unwrap();
        assert!(recording.next().is_none() && recording.is_single());
        let events = poll.outcome.list().unwrap();
        assert_eq!((events.len(), poll.at), (1, events[0].last_seen), "{text}");
    }
}

#[test]
fn every_real_list_reads_whole() {
    for (name, text) in lists() {
        let list = parse_single(&text, &TimeZone::UTC).unwrap();
        let raw: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(list.events.len(), raw["data"]["eventList"].as_array().unwrap().len(), "{name}");
        assert_eq!(list.skipped, 0, "{name}");
    }
}

#[test]
fn plays_of_real_lists_end_at_the_lists_counts_and_read_as_they_were_written() {
    for (name, text) in lists() {
        let events = parse_single(&text, &TimeZone::UTC).unwrap().events;
        let clock = WallClock::new(TimeZone::UTC);
        let mut written = Vec::new();
        for poll in make(events.clone(), &PlayOptions::default()).unwrap() {
            write_poll(&mut written, &poll, &clock).unwrap();
        }
        let polls: Vec<_> = Recording::new(&written[..], TimeZone::UTC).map(Result::unwrap).collect();
        assert!(polls[0].outcome.list().unwrap().is_empty(), "{name}: an empty poll goes first");
        assert!(polls.last().unwrap().outcome.list().unwrap().is_empty(), "{name}: it ends quiet");
        let key = |event: &podbell_core::event::Event<'_>| {
            (
                event.first_seen,
                event.level,
                event.obj_name.to_string(),
                event.reason.to_string(),
                event.message.to_string(),
            )
        };
        // Equal episodes of one list are told apart by nothing: their counts are added up.
        let sum = |events: &[podbell_core::event::Event<'_>]| {
            let mut sums = BTreeMap::new();
            for event in events {
                *sums.entry(key(event)).or_insert(0) += event.count;
            }
            sums
        };
        let mut most = BTreeMap::new();
        for poll in &polls {
            for (key, count) in sum(poll.outcome.list().unwrap()) {
                let entry = most.entry(key).or_insert(0);
                *entry = count.max(*entry);
            }
        }
        let expected = sum(&events);
        assert_eq!(most.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{name}");
        for (key, count) in expected {
            assert_eq!(most[&key], count, "{name}: {key:?}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(
        at in 0_i64..4_000_000_000,
        cluster in proptest::option::of(".{0,10}"),
        text in ".{0,40}",
        count in 1_u64..1 << 62,
        what in 0..6,
    ) {
        let events = parse_single(format!("[{EVENT}]").as_bytes(), &TimeZone::UTC).unwrap().events;
        let event = podbell_core::event::Event { count, message: text.clone().into(), ..events[0].clone() };
        let scope = Scope { cluster, ..Scope::default() };
        let health = RecordedHealth {
            kind: WorkloadKind::StatefulSet,
            name: text.as_str().into(),
            wanted: (count % 3 > 0).then_some(3),
            ready: 2,
            rolling_out: count % 2 == 0,
            deleted: count % 5 == 0,
        };
        let template = RecordedTemplate {
            kind: WorkloadKind::Deployment,
            name: text.as_str().into(),
            revision: count.to_string(),
            images: vec![text.clone(), "web:v5".into()],
        };
        let outcome = match what {
            0 => RecordedOutcome::Error(text),
            1 => RecordedOutcome::Health(vec![health]),
            2 => RecordedOutcome::Templates(vec![template]),
            3 => RecordedOutcome::Deleted(vec![RecordedObject { kind: "Pod".into(), name: text }]),
            4 => RecordedOutcome::Watched,
            _ => RecordedOutcome::List(vec![event]),
        };
        let poll = RecordedPoll { at: Time::from_seconds(at), scope, outcome };
        let mut line = Vec::new();
        write_poll(&mut line, &poll, &WallClock::new(TimeZone::UTC)).unwrap();
        let mut recording = Recording::new(&line[..], TimeZone::UTC);
        prop_assert_eq!(recording.next().unwrap().unwrap(), poll);
        prop_assert!(recording.next().is_none());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Recording::new(&bytes[..], TimeZone::UTC).count();
    }
}
