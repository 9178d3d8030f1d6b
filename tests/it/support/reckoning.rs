//! The reckoning after a turmoil: what a store holds, against what its receivers heard.

use std::collections::{BTreeMap, BTreeSet};

use podbell_core::notice::Notice;

use super::receiver::Received;
use super::site::{Site, WEBHOOK_SECRET};
use super::turmoil::Turmoil;

/// A store whose tables can be read, whichever database it is in.
pub trait Ledger {
    /// The rows of a query, their columns joined by blanks.
    fn rows(&self, sql: &str) -> Vec<String>;

    /// The expression that shows bytes as hexadecimal digits.
    fn hex(&self, column: &str) -> String;
}

impl Ledger for Site {
    fn rows(&self, sql: &str) -> Vec<String> {
        Site::rows(self, sql)
    }

    fn hex(&self, column: &str) -> String {
        format!("hex({column})")
    }
}

/// The number of a request's send: message ids read `msg_<store>_<send>`.
pub fn number(request: &Received) -> u64 {
    request.header("webhook-id").unwrap().rsplit('_').next().unwrap().parse().unwrap()
}

struct Send {
    destination: String,
    attempts: usize,
    settled: String,
    body: Vec<u8>,
}

/// Holds a store against what the receivers heard. `most` says how often a send may have been taken.
pub fn reckon(turmoil: &Turmoil, store: &impl Ledger, most: impl Fn(u64) -> usize) {
    let sends = sends(store);
    let notices = notices(store);
    let mut requests: BTreeMap<u64, Vec<Received>> = BTreeMap::new();
    for request in turmoil.receiver.received() {
        assert!(request.is_signed_with(WEBHOOK_SECRET));
        requests.entry(number(&request)).or_default().push(request);
    }

    // What was heard was committed, each time with the same words, and not more often than allowed.
    let mut told: BTreeMap<(u64, String), Vec<u64>> = BTreeMap::new();
    for (id, requests) in &requests {
        let send = sends.get(id).unwrap_or_else(|| panic!("send {id} was told, but not committed"));
        for request in requests {
            assert_eq!(request.uri.path(), format!("/{}", send.destination));
            assert_eq!(request.body, send.body, "send {id}: the same words every time");
        }
        let taken = requests.iter().filter(|request| request.status == 200).count();
        assert!(taken <= most(*id), "send {id} was taken {taken} times, not at most {}", most(*id));
        assert!(requests.len() <= send.attempts, "send {id}: an attempt that was not committed");
        assert!(!send.settled.is_empty(), "send {id} is not settled");
        let body = requests[0].json();
        for notice in body["data"]["notices"].as_array().unwrap() {
            let notice = notice.as_u64().unwrap();
            assert!(notices.contains_key(&notice), "send {id} tells notice {notice}, which was not committed");
            if taken > 0 {
                told.entry((notice, send.destination.clone())).or_default().push(*id);
            }
        }
    }

    // What was committed was told to everybody it was for, in one message and no other.
    let mut expected = BTreeSet::new();
    for notice in notices.values() {
        for to in &notice.to {
            let key = (notice.id, to.to_string());
            let messages = told.get(&key).map(Vec::as_slice).unwrap_or_default();
            assert_eq!(messages.len(), 1, "notice {} to {to} came in sends {messages:?}", notice.id);
            expected.insert(key);
        }
    }
    assert!(told.keys().all(|key| expected.contains(key)), "told to somebody it was not for");
    let states = store.rows("SELECT state, count(*) FROM delivery WHERE state NOT IN ('sent', 'folded') GROUP BY 1");
    assert!(states.is_empty(), "{states:?}");
    assert_eq!(
        store.rows("SELECT 1 FROM delivery").len(),
        expected.len(),
        "one delivery for each notice and destination"
    );
    let delivered: BTreeSet<u64> =
        sends.iter().filter(|(_, send)| send.settled == "delivered").map(|(id, _)| *id).collect();
    let heard = requests.iter().filter(|(_, all)| all.iter().any(|request| request.status == 200));
    assert_eq!(heard.map(|(id, _)| *id).collect::<BTreeSet<_>>(), delivered, "recorded as delivered: what was taken");

    once_each(&notices);
}

/// No incident is opened twice, and none resolves more often than it was told to be there.
fn once_each(notices: &BTreeMap<u64, Notice>) {
    let mut kinds: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for notice in notices.values() {
        if let Some(incident) = notice.body.incident() {
            kinds.entry(incident).or_default().push(notice.kind.as_str());
        }
    }
    for (incident, kinds) in kinds {
        let count = |kind: &str| kinds.iter().filter(|one| **one == kind).count();
        assert_eq!(kinds.first(), Some(&"opened"), "#{incident}: {kinds:?}");
        assert_eq!(count("opened"), 1, "#{incident}: {kinds:?}");
        let starts = 1 + count("reopened");
        assert!(count("resolved") == starts || count("resolved") + 1 == starts, "#{incident}: {kinds:?}");
    }
}

/// Whether the store has seen everything that the cluster ever showed.
pub fn all_read(turmoil: &Turmoil, store: &impl Ledger) -> bool {
    let series = store.rows("SELECT obj_name, count FROM series ORDER BY 1").into_iter();
    series.eq(turmoil.counts.iter().map(|(pod, count)| format!("{pod} {count}")))
}

/// Every occurrence counts once, whatever died between its poll and its commit.
pub fn all_counted(turmoil: &Turmoil, store: &impl Ledger) {
    assert!(all_read(turmoil, store));
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for state in store.rows(&format!("SELECT {} FROM incident ORDER BY id", store.hex("state"))) {
        let incident = podbell_store::incident_codec::read(&bytes(&state)).unwrap();
        // What was there before the first contact is in the first incident; later ones repeat it.
        let counted = counted.entry(incident.workload).or_insert(incident.older);
        *counted += incident.occurrences;
    }
    let mut happened: BTreeMap<String, u64> = BTreeMap::new();
    for (pod, count) in &turmoil.counts {
        *happened.entry(pod.split('-').next().unwrap().to_owned()).or_default() += count;
    }
    assert_eq!(counted, happened);
}

fn sends(store: &impl Ledger) -> BTreeMap<u64, Send> {
    let body = store.hex("body");
    let rows = store.rows(&format!("SELECT id, destination, attempts, coalesce(settled, ''), {body} FROM send"));
    let send = |row: &String| {
        let [id, destination, attempts, settled, body] = row.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let (destination, settled): (&str, &str) = (destination, settled);
        let attempts = str::parse(attempts).unwrap();
        let send = Send { destination: destination.into(), attempts, settled: settled.into(), body: bytes(body) };
        (str::parse(id).unwrap(), send)
    };
    rows.iter().map(send).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn notices(store: &impl Ledger) -> BTreeMap<u64, Notice> {
    let notices = store.rows("SELECT facts FROM notice").into_iter();
    notices.map(|facts| serde_json::from_str::<Notice>(&facts).unwrap()).map(|notice| (notice.id, notice)).collect()
}
