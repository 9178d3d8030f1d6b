//! Event lists as the API answers them, of any length: the words of the real recordings in
//! `tests/fixtures/data/lists`, under other names and times. A fifth are Warnings, as in the larger
//! collection that the recordings' README counts.

use std::fmt::Write as _;
use std::path::Path;

/// Every so many-th event is a Warning.
const WARNINGS: usize = 5;
/// How many events in a row are about one object.
const PER_OBJECT: usize = 8;

/// What real lists say, each once.
#[derive(Debug)]
pub struct Words {
    normal: Vec<Template>,
    warning: Vec<Template>,
}

/// One event without times, count and name, as JSON.
#[derive(Debug)]
struct Template {
    /// Up to the name.
    head: String,
    /// Whether the name is a pod's.
    pod: bool,
    /// From the name on.
    tail: String,
}

impl Words {
    /// Reads the recordings.
    pub fn real() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data/lists");
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let mut words = Self { normal: Vec::new(), warning: Vec::new() };
        let mut seen = std::collections::HashSet::new();
        for path in paths {
            let list: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            for event in list["data"]["eventList"].as_array().unwrap() {
                let template = Template::of(event);
                if seen.insert((template.head.clone(), template.tail.clone())) {
                    let warning = event["level"] == "Warning";
                    (if warning { &mut words.warning } else { &mut words.normal }).push(template);
                }
            }
        }
        words
    }

    /// An answer with `size` events of `service`, whose counts and last times are as `reading` says
    /// by the event's place; every first time is `first_seen`.
    pub fn answer<'t>(
        &self,
        size: usize,
        service: &str,
        seed: usize,
        first_seen: &str,
        reading: impl Fn(usize) -> (u64, &'t str),
    ) -> String {
        let mut json = String::with_capacity(size * 320 + 100);
        json.push_str(r#"{"code":0,"message":"","codeDesc":"Success","data":{"eventList":["#);
        for place in 0..size {
            if place > 0 {
                json.push(',');
            }
            let (count, last_seen) = reading(place);
            let template = self.template(place, seed);
            let object = place / PER_OBJECT;
            let _ = write!(json, r#"{{"firstSeen":"{first_seen}","lastSeen":"{last_seen}","count":{count},"#);
            json.push_str(&template.head);
            let _ = match template.pod {
                true => write!(json, "{service}-6d4cf56db6-{}", suffix(object)),
                false => write!(json, "{service}-{object}"),
            };
            json.push_str(&template.tail);
        }
        json.push_str("]}}");
        json
    }

    /// Lists differ from each other by where they begin in the recordings.
    fn template(&self, place: usize, seed: usize) -> &Template {
        let (warnings, normals) = (place / WARNINGS, place - place / WARNINGS);
        match place % WARNINGS {
            0 => &self.warning[(warnings + seed) % self.warning.len()],
            _ => &self.normal[(normals + seed) % self.normal.len()],
        }
    }
}

impl Template {
    fn of(event: &serde_json::Value) -> Self {
        let text = |key: &str| serde_json::to_string(event[key].as_str().unwrap_or_default()).unwrap();
        let head = format!(r#""level":{},"objType":{},"objName":""#, text("level"), text("objType"));
        let tail = format!(r#"","reason":{},"message":{}}}"#, text("reason"), text("message"));
        Self { head, pod: event["objType"] == "Pod", tail }
    }
}

/// Five characters as Kubernetes draws them for a pod.
fn suffix(mut number: usize) -> String {
    const RANDOM: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut letters = String::with_capacity(5);
    for _ in 0..5 {
        letters.push(char::from(RANDOM[number % RANDOM.len()]));
        number /= RANDOM.len();
    }
    letters
}
