//! What the parser takes and what it refuses.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

fn shanghai() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

fn parse(body: &str) -> Result<EventList<'_>, AnswerError> {
    parse_events(body.as_bytes(), &shanghai())
}

const SAMPLE: &str = r#"{"code": 0, "message": "", "codeDesc": "Success", "data": {"eventList": [
  {"firstSeen": "2016-11-08 16:15:15", "lastSeen": "2016-11-09 16:59:56", "count": 6530, "level": "Warning", "objType": "Pod",
   "objName": "frontend-542052039-h2yj8", "reason": "pod启动失败", "message": "failed to \"StartContainer\"\n"},
  {"firstSeen": "2016-11-08 16:15:15", "lastSeen": "2016-11-09 16:59:56", "count": "6530", "level": "Normal", "objType": "Pod",
   "objName": "frontend-542052039-h2yj8", "reason": "操作重试", "message": "Back-off pulling image", "unknown": {"x": [1]}}]}}"#;

#[test]
fn the_sample_of_the_documentation_reads() {
    let list = parse(SAMPLE).unwrap();
    assert_eq!((list.events.len(), list.skipped), (2, 0));
    let event = &list.events[0];
    assert_eq!(event.first_seen.seconds(), 1_478_592_915);
    assert_eq!(event.count, 6530);
    assert_eq!(event.level, Level::Warning);
    assert_eq!(event.reason, "pod启动失败");
    assert_eq!(event.message, "failed to \"StartContainer\"\n");
    assert!(matches!(event.obj_name, Cow::Borrowed(_)), "texts without escapes are borrowed");
    assert_eq!((list.events[1].count, list.events[1].level), (6530, Level::Normal));
}

#[test]
fn both_envelopes_and_codes_of_both_types_are_taken() {
    let event = r#"[{"firstSeen": "2016-11-08 16:15:15", "count": 1, "level": "Warning", "reason": "x"}]"#;
    for body in [
        format!(r#"{{"code": 0, "data": {{"eventList": {event}}}}}"#),
        format!(r#"{{"code": "0", "data": {{"eventList": {event}}}}}"#),
        format!(r#"{{"code": 0, "eventList": {event}}}"#),
        format!(r#"{{"code": "0", "data": null, "eventList": {event}}}"#),
        format!(r#"{{"eventList": {event}, "data": [], "code": 0}}"#),
        format!("\u{feff}{{\"eventList\": {event}}}"),
    ] {
        assert_eq!(parse(&body).unwrap().events.len(), 1, "{body}");
    }
}

#[test]
fn only_a_list_that_is_there_can_be_empty() {
    for body in [r#"{"code":0,"data":{"eventList":[]}}"#, r#"{"code":0,"data":{"eventList":null}}"#] {
        assert_eq!(parse(body), Ok(EventList::default()), "{body}");
    }
    for body in
        [r#"{"code":0}"#, r#"{"code":0,"data":{}}"#, r#"{"code":0,"data":null}"#, r#"{"code":0,"data":[]}"#, "[]", "7"]
    {
        assert!(matches!(parse(body), Err(AnswerError::Malformed(_))), "{body}");
    }
}

#[test]
fn a_refusal_is_told_with_its_code_and_words() {
    for (body, code, message) in [
        (r#"{"code": 4100, "message": "sign error", "codeDesc": "X"}"#, "4100", "sign error"),
        (
            r#"{"code": "-16013", "message": "", "codeDesc": "ServiceNotFound", "data": {"eventList": []}}"#,
            "-16013",
            "ServiceNotFound",
        ),
        (r#"{"code": "InternalError", "data": ""}"#, "InternalError", "no message"),
    ] {
        assert_eq!(parse(body), Err(AnswerError::Refused { code: code.into(), message: message.into() }));
    }
}

#[test]
fn what_is_no_answer_is_told_apart() {
    assert_eq!(parse(""), Err(AnswerError::CutOff));
    assert_eq!(parse(&SAMPLE[..SAMPLE.len() - 20]), Err(AnswerError::CutOff));
    assert!(matches!(parse("<html><body>502</body></html>"), Err(AnswerError::NotJson(_))));
}

#[test]
fn one_bad_entry_does_not_silence_the_others() {
    let body = r#"{"code":0,"data":{"eventList":[
        null, 5, "x", [1], true, -1.5, {}, {"firstSeen": "soon"}, {"firstSeen": {"a": 1}, "reason": " "},
        {"firstSeen": "2016-11-08 16:15:15", "lastSeen": "later"},
        {"firstSeen": "2016-11-08 16:15:15", "reason": null, "message": 5, "objName": ["x"], "count": -3, "reason": "Twice"}]}}"#;
    let list = parse(body).unwrap();
    assert_eq!((list.events.len(), list.skipped), (2, 9));
    let event = &list.events[1];
    assert_eq!((&*event.reason, &*event.message, &*event.obj_name), ("Twice", "5", ""));
    assert_eq!((event.count, event.last_seen), (1, Time::UNKNOWN));
    assert_eq!(event.level, Level::Warning, "a level that is missing is not silenced");
}

#[test]
fn a_date_that_cannot_be_read_is_unknown_and_costs_nothing_else() {
    let good = "2026-11-20 08:02:00";
    let bad = ["", "0001-01-01 00:00:00", "1970-01-01 00:00:00", "1970-01-01 08:00:00", "2026/11/20 08:02:00", "soon"];
    for (first, last) in bad.into_iter().flat_map(|bad| [(bad, good), (good, bad), (bad, bad)]) {
        let body = format!(r#"{{"eventList":[{{"firstSeen":"{first}","lastSeen":"{last}","reason":"Failed"}}]}}"#);
        let list = parse(&body).unwrap();
        let dates: Vec<bool> =
            list.events.iter().flat_map(|e| [e.first_seen, e.last_seen]).map(Time::is_unknown).collect();
        assert_eq!(dates, [first != good, last != good], "{first:?} {last:?}");
    }
}

#[test]
fn counts_come_in_many_shapes() {
    for (count, read) in [
        ("3", 3),
        ("\"7\"", 7),
        ("0", 1),
        ("null", 1),
        ("-2", 1),
        ("2.0", 2),
        ("\"x\"", 1),
        ("18446744073709551615", i64::MAX as u64),
    ] {
        let body = format!(
            r#"{{"code":0,"data":{{"eventList":[{{"firstSeen":"2016-11-08 16:15:15","reason":"x","count":{count}}}]}}}}"#
        );
        assert_eq!(parse(&body).unwrap().events[0].count, read, "{count}");
    }
}

#[test]
fn a_broken_character_is_replaced() {
    let mut body = SAMPLE.replace("Back-off", "Back?off").into_bytes();
    let at = body.iter().position(|byte| *byte == b'?').unwrap();
    body[at] = 0xff;
    let list = parse_events(&body, &shanghai()).unwrap();
    assert_eq!(list.events[1].message, "Back\u{fffd}off pulling image");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_events(&bytes, &TimeZone::UTC);
    }

    #[test]
    fn no_damage_to_an_answer_makes_it_panic(at in 0..SAMPLE.len(), byte in any::<u8>(), cut in 0..SAMPLE.len()) {
        let mut body = SAMPLE.as_bytes().to_vec();
        body[at] = byte;
        let _ = parse_events(&body, &TimeZone::UTC);
        prop_assert!(parse_events(&SAMPLE.as_bytes()[..cut], &TimeZone::UTC).is_err(), "a cut answer is never a list");
    }
}
