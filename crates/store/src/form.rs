//! The engine's private state of an incident as bytes: MessagePack, its fields in their order, its details
//! as bytes within, which are read when they are needed.
//!
//! A new field goes to the end of its struct and has `#[serde(default)]`: then what was written without
//! it is still read. Any other change is a new version. Neither JSON nor names: reading ten thousand of
//! them back is most of a start, JSON takes twice as long, and names are a third of the bytes. What
//! people look for stands in columns beside it.

use std::error::Error;

use litemap::LiteMap;
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

use podbell_core::event::Target;
use podbell_core::incident::standing::Signs;
use podbell_core::incident::telling::Telling;
use podbell_core::incident::{Details, Incident, Phase, Sighting, Topic};
use podbell_core::notice::{Newest, ReasonCount};
use podbell_core::rules::rule::{Destination, Field, RuleKey};
use podbell_core::time::Time;

/// The version of the form: 1 was JSON and 2 had the details not apart; both are still read. A higher
/// one in the store is refused.
pub(super) const VERSION: i64 = 3;

/// How version 3 begins: a byte that MessagePack never uses.
const MARK: u8 = 0xc1;
/// How it ends: a hash of what lies between. Details are taken apart only when they are needed, and a
/// damaged row is to be found before.
const HASH: usize = 8;

/// Why a form cannot be written or read.
pub(super) type FormError = Box<dyn Error + Send + Sync>;

/// An incident as bytes.
///
/// # Errors
/// When it cannot be written; of a valid incident that does not happen.
pub fn write(incident: &Incident) -> Result<Vec<u8>, FormError> {
    let mut bytes = vec![MARK];
    rmp_serde::encode::write(&mut bytes, incident)?;
    let hash = xxh3_64(&bytes);
    bytes.extend_from_slice(&hash.to_le_bytes());
    Ok(bytes)
}

/// An incident from its bytes.
///
/// # Errors
/// When the bytes are none.
pub fn read(bytes: &[u8]) -> Result<Incident, FormError> {
    match bytes {
        [MARK, ..] => {
            let (content, hash) = bytes.split_last_chunk::<HASH>().ok_or("it is cut off")?;
            if xxh3_64(content) != u64::from_le_bytes(*hash) {
                return Err("it is damaged".into());
            }
            Ok(rmp_serde::from_slice(content.get(1..).unwrap_or_default())?)
        }
        // No map of MessagePack begins like that.
        [b'{', ..] => Ok(serde_json::from_slice::<Whole>(bytes)?.into()),
        _ => Ok(rmp_serde::from_slice::<Whole>(bytes)?.into()),
    }
}

/// An incident of versions 1 and 2: everything in one.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Whole {
    id: u64,
    rule: RuleKey,
    group: Vec<(Field, String)>,
    phase: Phase,
    recent: Vec<Time>,
    targets: Vec<Target>,
    workload: String,
    occurrences: u64,
    older: u64,
    first_at: Time,
    last_at: Time,
    last_sign: Time,
    first_seen: Time,
    objects: LiteMap<Box<str>, Sighting>,
    reasons: Vec<ReasonCount>,
    topics: Vec<Topic>,
    newest: Newest,
    newest_seen: Time,
    reopened: u32,
    blind: Vec<(Time, Time)>,
    episodes: Vec<u64>,
    telling: LiteMap<Destination, Telling>,
}

impl From<Whole> for Incident {
    fn from(whole: Whole) -> Self {
        let Whole { objects, reasons, topics, newest, newest_seen, episodes, .. } = whole;
        Self {
            id: whole.id,
            rule: whole.rule,
            group: whole.group,
            phase: whole.phase,
            recent: whole.recent,
            targets: whole.targets,
            workload: whole.workload,
            occurrences: whole.occurrences,
            older: whole.older,
            first_at: whole.first_at,
            last_at: whole.last_at,
            last_sign: whole.last_sign,
            first_seen: whole.first_seen,
            reopened: whole.reopened,
            blind: whole.blind,
            telling: whole.telling,
            details: Details {
                objects,
                reasons,
                topics,
                newest,
                newest_seen,
                episodes,
                unlisted: None,
                current: Vec::new(),
                gathered: Vec::new(),
            }
            .into(),
            acknowledged: None,
            signs: Signs::default(),
            slowest: 0,
            ended_by: None,
            shape: None,
            runs: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use podbell_core::incident::telling::Next;
    use podbell_core::notice::Told;

    /// What a destination knew before it could flap or be held.
    #[derive(Default, Serialize)]
    struct Older {
        told: Option<Told>,
        count_step: u64,
        object_step: u64,
        topics: usize,
        next: Option<Next>,
    }

    fn of_version_2() -> Whole {
        let at = Time::from_millis(7);
        let seen = Sighting { occurred: at, heard: at, standing: Vec::new(), silent: None };
        Whole {
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
            objects: LiteMap::from_iter([("Pod/web-1".into(), seen)]),
            reasons: vec![ReasonCount { reason: "Failed".into(), occurrences: 12 }],
            topics: vec![Topic { key: "k".into(), words: "w".into(), family: String::new() }],
            newest: Newest { reason: "Failed".into(), ..Newest::default() },
            newest_seen: at,
            reopened: 2,
            blind: vec![(at, at)],
            episodes: vec![3, 9],
            telling: LiteMap::new(),
        }
    }

    #[test]
    fn an_incident_of_version_2_is_read_and_written_in_version_3() {
        let read_2 = read(&rmp_serde::to_vec(&of_version_2()).unwrap()).unwrap();
        let bytes = write(&read_2).unwrap();
        let read_3 = read(&bytes).unwrap();
        assert_eq!((read_3.id, read_3.occurrences, read_3.reopened), (9, 12, 2));
        assert_eq!(*read_3.details, *read_2.details);
        assert_eq!(read_3.details.reasons[0].occurrences, 12);
        assert_eq!(write(&read_3).unwrap(), bytes);
    }

    #[test]
    fn a_row_with_any_damaged_or_missing_byte_is_refused_before_it_is_needed() {
        let bytes = write(&of_version_2().into()).unwrap();
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
        let read: Telling = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(read, Telling { count_step: 100, topics: 2, ..Telling::default() });
    }
}
