//! An incident as bytes, the same for every adapter: MessagePack, fields by position. Its details are nested bytes that
//! are decoded only when they are needed.
//!
//! A new field goes to the end of its struct and has `#[serde(default)]`, so that rows written without it can still be
//! read. Any other change needs a new version. The encoding is neither JSON nor has it field names: decoding ten
//! thousand incidents is most of a start, JSON takes twice as long, and names are a third of the bytes. What people
//! search for is in columns beside it.

use std::error::Error;

use xxhash_rust::xxh3::xxh3_64;

use podbell_core::incident::Incident;

/// The version of the encoding; 1 and 2 were never released. A higher one in the store is refused.
pub(crate) const VERSION: i64 = 3;

/// The first byte of version 3: one that MessagePack never uses.
const MARK: u8 = 0xc1;
/// The length of the hash at the end, over all bytes before it. Details are decoded only when they are needed, but a
/// damaged row must be found earlier.
const HASH: usize = 8;

/// Why an incident cannot be written or read.
pub(crate) type CodecError = Box<dyn Error + Send + Sync>;

/// An incident as bytes.
///
/// # Errors
/// When it cannot be encoded, which does not happen to a valid incident.
pub(crate) fn write(incident: &Incident) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![MARK];
    rmp_serde::encode::write(&mut bytes, incident)?;
    let hash = xxh3_64(&bytes);
    bytes.extend_from_slice(&hash.to_le_bytes());
    Ok(bytes)
}

/// An incident from its bytes.
///
/// # Errors
/// When the bytes are not an incident.
pub fn read(bytes: &[u8]) -> Result<Incident, CodecError> {
    let [MARK, ..] = bytes else { return Err("it is not an incident".into()) };
    let (content, hash) = bytes.split_last_chunk::<HASH>().ok_or("it is cut off")?;
    if xxh3_64(content) != u64::from_le_bytes(*hash) {
        return Err("it is damaged".into());
    }
    Ok(rmp_serde::from_slice(content.get(1..).unwrap_or_default())?)
}

#[cfg(test)]
pub(crate) mod tests {
    use litemap::LiteMap;
    use serde::Serialize;

    use super::*;
    use podbell_core::event::Target;
    use podbell_core::incident::notification_state::{NotificationState, PendingNotice};
    use podbell_core::incident::rhythm::Rhythm;
    use podbell_core::incident::standing::EndEvidence;
    use podbell_core::incident::{Details, ObjectState, Phase, Topic};
    use podbell_core::notice::{LastNotified, Newest, ReasonCount};
    use podbell_core::rule::{Field, RuleKey};
    use podbell_core::time::Time;

    /// `NotificationState` before the fields for flapping and holding were added.
    #[derive(Default, Serialize)]
    struct Older {
        told: Option<LastNotified>,
        count_step: u64,
        object_step: u64,
        topics: usize,
        next: Option<PendingNotice>,
    }

    pub(crate) fn incident() -> Incident {
        let at = Time::from_millis(7);
        let seen = ObjectState { occurred: at, heard: at, standing: Vec::new(), silent: None, gone: None };
        Incident {
            id: 9,
            rule: RuleKey { file: "r.yaml".into(), name: "pulls".into() },
            group: vec![(Field::Cluster, "cls-1".into())],
            phase: Phase::Resolved { at },
            recent: vec![at],
            targets: vec![Target::new("prod", "cls-1", "shop", "web")],
            workload: "web".into(),
            occurrences: 12,
            older: 3,
            first_at: at,
            last_at: at,
            last_sign: at,
            first_seen: at,
            reopened: 2,
            blind: vec![(at, at)],
            notifications: LiteMap::new(),
            details: Details {
                objects: LiteMap::from_iter([("Pod/web-1".into(), seen)]),
                reasons: vec![ReasonCount { reason: "Failed".into(), occurrences: 12 }],
                topics: vec![Topic { key: "k".into(), words: "w".into(), trouble_class: String::new() }],
                newest: Newest { reason: "Failed".into(), ..Newest::default() },
                newest_seen: at,
                episodes: vec![3, 9],
                unlisted: None,
                current: Vec::new(),
                gathered: Vec::new(),
                ..Details::default()
            }
            .into(),
            acknowledged: None,
            signs: EndEvidence::default(),
            slowest: 0,
            ended_by: None,
            shape: None,
            streaks: Vec::new(),
            status: None,
            affected: 0,
            unacknowledged: None,
            follows: None,
            rhythm: Rhythm::default(),
            joined: Vec::new(),
        }
    }

    #[test]
    fn an_incident_is_read_as_it_was_written() {
        let bytes = write(&incident()).unwrap();
        let read = read(&bytes).unwrap();
        assert_eq!((read.id, read.occurrences, read.reopened), (9, 12, 2));
        assert_eq!(*read.details, *incident().details);
        assert_eq!(write(&read).unwrap(), bytes);
    }

    #[test]
    fn a_row_with_any_damaged_or_missing_byte_is_refused_before_it_is_needed() {
        let bytes = write(&incident()).unwrap();
        for at in 1..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(read(&damaged).is_err(), "byte {at}");
            assert!(read(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn what_was_written_before_a_field_was_added_is_still_read() {
        let bytes = rmp_serde::to_vec(&Older { count_step: 100, topics: 2, ..Older::default() }).unwrap();
        let read: NotificationState = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(read, NotificationState { count_step: 100, topics: 2, ..NotificationState::default() });
    }
}
