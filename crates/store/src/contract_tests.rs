//! What every adapter must do. An adapter is tested by one line at the end of this file.

use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(feature = "outside")]
use crate::{AvailabilityChange, ThreadRow};
use crate::{
    Batch, Command, DecisionFilter, ErrorKind, IncidentRow, Incidents, Listing, Location, NoticeRow, SendRow, Writer,
    incident_codec,
};
use podbell_core::diff::ChangeKind;
use podbell_core::event::{Event, Level, Target};
use podbell_core::incident::Incident;
use podbell_core::notice::{Info, Notice, NoticeBody, NoticeKind};
use podbell_core::outbox::{Content, Delivery, DeliveryId, DeliveryState, DestinationHealth, SendId, SendResult};
use podbell_core::rollout::Rollouts;
use podbell_core::rule::{Destination, Severity};
use podbell_core::series::{EpisodeKey, SeriesId};
use podbell_core::step::{SeriesRow, TargetState, WorkloadKey};
use podbell_core::time::Time;

const NOW: Time = Time::from_millis(1_800_000_000_000);

#[path = "contract_tests/readers.rs"]
mod readers;

use readers::{
    a_reader_sees_what_is_committed_and_a_snapshot_stays_as_it_was, what_is_read_for_several_at_once_is_in_their_order,
    what_is_read_with_a_name_is_what_is_read_about_its_place,
};

fn after(seconds: u64) -> Time {
    NOW.plus(Duration::from_secs(seconds))
}

fn open(location: &Location) -> Box<dyn Writer> {
    location.writer(Duration::ZERO, NOW).unwrap()
}

fn web() -> Target {
    Target::new("prod", "cls-1", "shop", "web")
}

fn at(seconds: u64) -> Batch {
    Batch { now: after(seconds), ..Batch::default() }
}

fn key(id: u8) -> EpisodeKey {
    EpisodeKey { series: SeriesId([id; 16]), first_seen: NOW }
}

fn series(target: &Target, id: u8, count: u64) -> SeriesRow {
    let event = Event {
        first_seen: NOW,
        last_seen: NOW,
        count,
        level: Level::Warning,
        obj_type: "Pod".into(),
        obj_name: "web-0".into(),
        reason: "Failed".into(),
        message: "m".into(),
        ..Event::default()
    };
    SeriesRow {
        target: target.clone(),
        key: key(id),
        event,
        observed_at: NOW,
        change: Some((ChangeKind::Appeared, count)),
    }
}

fn notice(id: u64) -> Notice {
    Notice {
        id,
        kind: NoticeKind::Info,
        caused_at: NOW,
        made_at: NOW,
        severity: Severity::Info,
        to: vec!["team".into()],
        body: NoticeBody::Info(Info::Test { destination: "team".into() }),
    }
}

fn notice_row(id: u64) -> NoticeRow {
    let facts = serde_json::to_string(&notice(id)).unwrap();
    NoticeRow { id, kind: "info", severity: "info", incident: None, made_at: NOW, facts }
}

fn incident_row(id: u64) -> IncidentRow {
    let incident = Incident { id, ..incident_codec::tests::incident() };
    IncidentRow {
        id,
        rule_file: "r.yaml".into(),
        rule_name: "pulls".into(),
        group_key: format!("[{id}]"),
        targets: vec![web()],
        workload: "web".into(),
        phase: "open",
        last_at: NOW,
        ended_at: None,
        state: incident_codec::write(&incident).unwrap(),
    }
}

/// A notice, its delivery to `team`, and the send that claims it.
fn told(id: u64) -> Batch {
    let delivery = Delivery {
        id: DeliveryId(id),
        notice: id,
        incident: None,
        kind: NoticeKind::Info,
        severity: Severity::Info,
        made_at: NOW,
        born: Duration::ZERO,
        content: Content::Full,
    };
    let destination: Destination = "team".into();
    Batch {
        notices: vec![notice_row(id)],
        deliveries: vec![(destination.clone(), delivery)],
        delivery_states: vec![(DeliveryId(id), DeliveryState::Claimed { send: SendId(id) })],
        sends: vec![SendRow { id: SendId(id), destination, claimed_at: NOW, body: format!("body {id}").into_bytes() }],
        ..at(1)
    }
}

/// Puts rows of most kinds into a store.
#[cfg(feature = "outside")]
pub(crate) fn fill(writer: &mut dyn Writer) {
    let thread = ThreadRow {
        place: "place".into(),
        parent: podbell_core::outbox::Parent { channel: "C1".into(), message: "17.4".into() },
        since: NOW,
        shown: None,
    };
    let batch = Batch {
        heartbeat: Some(after(1)),
        rules_generation: Some(u64::MAX),
        good_rules: vec![("r.yaml".into(), "version: 1".into())],
        targets: vec![(
            web(),
            TargetState::restored(Some(NOW), Some(podbell_core::step::Failing::restored(NOW, Some(3))), true),
        )],
        series: vec![series(&web(), 1, 3), SeriesRow { change: None, ..series(&web(), 2, 4) }],
        gaps: vec![AvailabilityChange::Down { since: NOW, at: after(1) }],
        incidents: vec![incident_row(9)],
        destinations: vec![(
            "team".into(),
            "print".into(),
            serde_json::to_string(&DestinationHealth::default()).unwrap(),
        )],
        attempts: vec![("hook".into(), NOW)],
        threads: vec![("team".into(), 9, Some(thread))],
        rollouts: vec![((web(), "web".into()), Some("{\"last\":[]}".into()))],
        ..told(7)
    };
    writer.commit(&batch).unwrap();
}

fn a_new_store_is_empty_and_its_numbers_begin_at_1(location: &Location) {
    let loaded = open(location).load().unwrap();
    assert!(loaded.state.targets.is_empty() && loaded.state.incidents.is_empty() && loaded.outbox.sends.is_empty());
    assert_eq!((loaded.state.next_incident, loaded.state.next_notice, loaded.state.next_mute), (1, 1, 1));
    assert_eq!((loaded.outbox.next_delivery, loaded.outbox.next_send, loaded.rules_generation), (1, 1, None));
}

fn what_was_committed_is_loaded_by_the_next_process(location: &Location) {
    let health = serde_json::to_string(&DestinationHealth::default()).unwrap();
    let batch = Batch {
        heartbeat: Some(after(1)),
        rules_generation: Some(u64::MAX),
        good_rules: vec![("r.yaml".into(), "version: 1".into())],
        targets: vec![(web(), TargetState::restored(Some(NOW), None, true))],
        incidents: vec![incident_row(9)],
        destinations: vec![("team".into(), "print".into(), health)],
        attempts: vec![("hook".into(), NOW)],
        ..told(7)
    };
    let mut writer = open(location);
    let seed = writer.load().unwrap().state.seed;
    writer.commit(&batch).unwrap();
    drop(writer);
    let mut writer = open(location);
    let loaded = writer.load().unwrap();
    assert_eq!((loaded.state.seed, loaded.state.heartbeat), (seed, Some(after(1))));
    let targets: Vec<_> = loaded.state.targets.iter().map(|(target, state)| (target, state.discovered)).collect();
    assert_eq!(targets, [(&web(), true)]);
    assert_eq!(loaded.state.incidents.iter().map(|incident| incident.occurrences).collect::<Vec<_>>(), [12]);
    assert_eq!(loaded.rules_generation, Some(u64::MAX));
    assert_eq!(writer.good_rules().unwrap().into_iter().collect::<Vec<_>>(), batch.good_rules);
    let outbox = loaded.outbox;
    assert_eq!((outbox.destinations.len(), outbox.attempts.len()), (1, 1));
    assert_eq!(outbox.sends, [(SendId(7), "team".into(), 1)]);
    assert_eq!(
        outbox.deliveries.iter().map(|(_, delivery, send)| (delivery.id, *send)).collect::<Vec<_>>(),
        [(DeliveryId(7), Some(SendId(7)))]
    );
    assert_eq!((loaded.state.next_notice, outbox.next_delivery, outbox.next_send), (8, 8, 8));
    assert_eq!(writer.notices(&[7]).unwrap()[&7], notice(7));
    assert_eq!(writer.bodies(&[SendId(7)]).unwrap()[&SendId(7)], b"body 7");
}

fn rollouts_are_loaded_shown_and_forgotten(location: &Location) {
    let known = r#"{"hash":["abcd",1800000000000],"template":{"revision":"2","images":["web:v5"]},
        "last":[{"at":1700000000000},{"at":1800000000000,"before":["web:v4"],"after":["web:v5"]}]}"#;
    let (web, api): (WorkloadKey, WorkloadKey) = ((web(), "web".into()), (web(), "api".into()));
    let mut writer = open(location);
    let rollouts = vec![(web.clone(), Some(known.to_owned())), (api.clone(), Some("{\"last\":[]}".to_owned()))];
    writer.commit(&Batch { rollouts, ..at(1) }).unwrap();
    drop(writer);
    let mut writer = open(location);
    let loaded: BTreeMap<WorkloadKey, Rollouts> = writer.load().unwrap().state.rollouts.into_iter().collect();
    assert_eq!(loaded.keys().collect::<Vec<_>>(), [&api, &web]);
    assert_eq!(loaded[&web], serde_json::from_str(known).unwrap());
    let mut reader = location.reader().unwrap();
    let shown = reader.snapshot().unwrap().rollouts(&[&web.0], after(60)).unwrap();
    let images: Vec<_> = shown.iter().map(|one| (&*one.workload, one.rollout.images())).collect();
    assert_eq!(images, [("web", Some("web:v4 → web:v5".to_owned()))], "those of the last day");
    writer.commit(&Batch { rollouts: vec![(web.clone(), None)], ..at(2) }).unwrap();
    writer.reconnect().unwrap();
    let left: Vec<WorkloadKey> = writer.load().unwrap().state.rollouts.into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, [api]);
    assert!(reader.snapshot().unwrap().rollouts(&[&web.0], after(60)).unwrap().is_empty());
}

fn a_batch_is_written_whole_or_not_at_all(location: &Location) {
    let mut writer = open(location);
    writer.commit(&told(1)).unwrap();
    // The rows before the notice could be written, but the number of the notice is taken.
    let torn = Batch {
        heartbeat: Some(after(2)),
        targets: vec![(web(), TargetState::default())],
        series: vec![series(&web(), 1, 3)],
        incidents: vec![incident_row(5)],
        notices: vec![notice_row(1)],
        ..at(2)
    };
    assert!(writer.commit(&torn).is_err());
    writer.reconnect().unwrap();
    let loaded = writer.load().unwrap();
    assert!(loaded.state.targets.is_empty() && loaded.state.incidents.is_empty() && loaded.state.heartbeat.is_none());
    // The writer stays usable.
    writer.commit(&Batch { notices: vec![notice_row(2)], ..torn }).unwrap();
    assert_eq!(writer.load().unwrap().state.targets.len(), 1);
}

fn readings_are_those_of_the_asked_targets_and_go_with_them(location: &Location) {
    let mut writer = open(location);
    let (api, new) = (Target::new("prod", "cls-1", "shop", "api"), Target::new("prod", "cls-1", "shop", "new"));
    let targets = [web(), api.clone()].map(|target| (target, TargetState::default())).to_vec();
    let rows = vec![series(&web(), 1, 3), series(&web(), 2, 1), series(&web(), 2, 4), series(&api, 1, 9)];
    writer.commit(&Batch { targets, series: rows, ..at(1) }).unwrap();
    let counts = |writer: &dyn Writer| {
        let found = writer.readings(&[web(), new.clone(), api.clone()]).unwrap();
        found
            .into_iter()
            .map(|(_, rows)| rows.iter().map(|(_, reading, _)| reading.count).collect())
            .collect::<Vec<Vec<_>>>()
    };
    assert_eq!(counts(&*writer), [vec![3, 4], vec![], vec![9]], "the later of two rows holds");
    let forgotten = [(web(), key(1))].into();
    writer.commit(&Batch { forgotten, targets_gone: vec![api.clone()], ..at(2) }).unwrap();
    assert_eq!(counts(&*writer), [vec![4], vec![], vec![]]);
    writer.commit(&Batch { targets: vec![(api.clone(), TargetState::default())], ..at(3) }).unwrap();
    assert_eq!(counts(&*writer), [vec![4], vec![], vec![]], "one that comes back is new");
}

fn a_command_is_answered_once_and_one_that_was_taken_back_is_not_there(location: &Location) {
    let mut writer = open(location);
    let inbox = location.inbox().unwrap();
    let command = Command::RetryAll { destination: None };
    let [first, second] = [1, 2].map(|seconds| inbox.submit(None, &command, after(seconds)).unwrap());
    assert!(inbox.withdraw(second).unwrap());
    let waiting = writer.inbox().unwrap();
    assert_eq!(waiting.iter().map(|item| (item.id, &item.command)).collect::<Vec<_>>(), [(first, &command)]);
    assert_eq!(inbox.answer(first).unwrap(), None);
    let answered = waiting.into_iter().map(|item| (item, "done".to_owned())).collect();
    writer.commit(&Batch { answered, ..at(3) }).unwrap();
    assert!(writer.inbox().unwrap().is_empty());
    assert_eq!(inbox.answer(first).unwrap().as_deref(), Some("done"));
    assert!(!inbox.withdraw(first).unwrap(), "it was carried out");
}

fn a_command_that_two_replicas_hand_over_is_carried_out_once(location: &Location) {
    let mut writer = open(location);
    let (inbox, other) = (location.inbox().unwrap(), location.inbox().unwrap());
    let command = Command::RetryAll { destination: None };
    let first = inbox.submit(Some("chat/1"), &command, after(1)).unwrap();
    assert_eq!(other.submit(Some("chat/1"), &command, after(2)).unwrap(), first);
    assert_ne!(other.submit(Some("chat/2"), &command, after(2)).unwrap(), first);
    let answered: Vec<_> = writer.inbox().unwrap().into_iter().map(|item| (item, "done".to_owned())).collect();
    assert_eq!(answered.len(), 2);
    writer.commit(&Batch { answered, ..at(3) }).unwrap();
    assert_eq!(other.submit(Some("chat/1"), &command, after(4)).unwrap(), first, "also after it was answered");
    assert_eq!(other.submitted("chat/1").unwrap(), Some(crate::InboxItem { id: first, command }));
    assert_eq!(other.submitted("chat/3").unwrap(), None);
    assert_eq!(other.answer(first).unwrap().as_deref(), Some("done"));
    assert!(writer.inbox().unwrap().is_empty());
}

fn texts_of_any_length_and_with_any_character_are_stored(location: &Location) {
    let mut writer = open(location);
    let mut row = series(&web(), 1, 3);
    row.event.message = format!("nul \0 {}", "語".repeat(20_000)).into();
    row.event.reason = "\u{10ffff}'\"\\".into();
    let incident = IncidentRow { group_key: noise(9_000), ..incident_row(9) };
    let held = vec![("team".into(), noise(9_000), Some("{}".to_owned())), ("team".into(), noise(9_000), None)];
    let targets = vec![(web(), TargetState::default())];
    writer.commit(&Batch { targets, series: vec![row], incidents: vec![incident], held, ..at(1) }).unwrap();
    let mut reader = location.reader().unwrap();
    let seen = reader.snapshot().unwrap().seen(&[&web()]).unwrap();
    assert!(seen[0].event.message.starts_with("nul ") && seen[0].event.message.ends_with('語'));
    assert_eq!(seen[0].event.reason, "\u{10ffff}'\"\\");
}

/// A text that no compression makes short.
fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b' ' + u8::try_from(state >> 58).unwrap())
    };
    (0..length).map(|_| letter()).collect()
}

fn one_group_has_one_open_incident(location: &Location) {
    let mut writer = open(location);
    writer.commit(&Batch { incidents: vec![incident_row(9)], ..at(1) }).unwrap();
    let ended = IncidentRow { ended_at: Some(after(2)), phase: "resolved", ..incident_row(9) };
    let next = IncidentRow { group_key: "[9]".into(), ..incident_row(10) };
    writer.commit(&Batch { incidents: vec![ended, next], ..at(2) }).unwrap();
    let mut reader = location.reader().unwrap();
    assert_eq!(reader.snapshot().unwrap().incidents_below(99, 10, Incidents::All).unwrap(), [10, 9]);
    let displaces = IncidentRow { group_key: "[9]".into(), ..incident_row(11) };
    writer.commit(&Batch { incidents: vec![displaces], ..at(3) }).unwrap();
    assert_eq!(reader.snapshot().unwrap().incidents_below(99, 10, Incidents::All).unwrap(), [11, 9]);
}

fn deliveries_go_through_their_states(location: &Location) {
    let mut writer = open(location);
    writer.commit(&told(1)).unwrap();
    writer.commit(&told(2)).unwrap();
    let states = vec![
        (DeliveryId(1), DeliveryState::Dead { at: after(2), why: "gone".into() }),
        (DeliveryId(2), DeliveryState::Folded { at: after(2), into: DeliveryId(1) }),
    ];
    let settled = vec![(SendId(1), SendResult::Refused), (SendId(2), SendResult::Refused)];
    writer.commit(&Batch { delivery_states: states, settled, ..at(2) }).unwrap();
    let dead = |writer: &dyn Writer| {
        let of = |to| writer.dead_deliveries(to).unwrap().iter().map(|one| one.delivery.id.0).collect::<Vec<_>>();
        [of(None), of(Some("team")), of(Some("other"))]
    };
    assert_eq!(dead(&*writer), [vec![1], vec![1], vec![]]);
    let mut reader = location.reader().unwrap();
    let snapshot = reader.snapshot().unwrap();
    let listed = snapshot.list_deliveries(&Listing { all: true, limit: 10, ..Listing::default() }).unwrap();
    let shown: Vec<_> = listed.iter().map(|one| (one.id, one.why.as_deref(), one.folded_into, one.attempts)).collect();
    assert_eq!(shown, [(1, Some("gone"), None, None), (2, None, Some(1), None)]);
    let queues = [crate::Queue { destination: "team".to_owned(), waiting: 0, dead: 1 }];
    assert_eq!(snapshot.queues().unwrap(), queues);
    drop(snapshot);
    let due = DeliveryState::Due { content: Content::Full, born: Duration::from_secs(5) };
    let renamed = vec![("team".into(), "crew".into()), ("crew".into(), "squad".into())];
    writer
        .commit(&Batch { delivery_states: vec![(DeliveryId(1), due)], destinations_renamed: renamed, ..at(3) })
        .unwrap();
    assert!(dead(&*writer).iter().all(Vec::is_empty));
    writer.reconnect().unwrap();
    let outbox = writer.load().unwrap().outbox;
    let open: Vec<_> =
        outbox.deliveries.iter().map(|(to, one, send)| (&**to, one.id.0, one.born.as_secs(), *send)).collect();
    assert_eq!(open, [("squad", 1, 5, None)]);
    let found = writer.deliveries(&[DeliveryId(2), DeliveryId(7), DeliveryId(1)]).unwrap();
    assert_eq!(
        found.iter().map(|one| (one.delivery.id.0, one.state.as_str())).collect::<Vec<_>>(),
        [(2, "folded"), (1, "due")]
    );
}

fn numbers_are_never_used_twice_after_their_rows_were_deleted(location: &Location) {
    let mut writer = open(location);
    writer.commit(&told(41)).unwrap();
    let sent = vec![(DeliveryId(41), DeliveryState::Sent { at: after(2) })];
    writer
        .commit(&Batch { delivery_states: sent, settled: vec![(SendId(41), SendResult::Delivered)], ..at(2) })
        .unwrap();
    while writer.delete_old(after(100 * 86_400)).unwrap() {}
    assert!(writer.deliveries(&[DeliveryId(41)]).unwrap().is_empty());
    let loaded = writer.load().unwrap();
    assert_eq!((loaded.state.next_notice, loaded.outbox.next_delivery, loaded.outbox.next_send), (42, 42, 42));
}

fn a_notice_or_a_body_that_must_be_there_and_is_not_is_damage(location: &Location) {
    let mut writer = open(location);
    writer.commit(&told(1)).unwrap();
    assert_eq!(writer.notices(&[1, 2]).unwrap_err().kind(), ErrorKind::Damaged);
    assert_eq!(writer.bodies(&[SendId(1), SendId(2)]).unwrap_err().kind(), ErrorKind::Damaged);
}

fn a_send_keeps_its_message_id_over_a_start_and_new_ones_have_others(location: &Location) {
    let mut writer = open(location);
    writer.commit(&told(1)).unwrap();
    let (first, unused) = (writer.message_id(SendId(1)), writer.message_id(SendId(2)));
    drop(writer);
    let writer = open(location);
    assert_eq!(writer.message_id(SendId(1)), first);
    assert_ne!(writer.message_id(SendId(2)), unused, "a backup may have told something under that id");
}

fn a_store_has_one_writer(location: &Location) {
    let writer = open(location);
    assert!(location.is_owned());
    let other = location.writer(Duration::ZERO, NOW).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::InUse);
    drop(writer);
    assert!(!location.is_owned());
}

/// The tests of one adapter. `$new` makes the location of a store that does not exist yet, and a guard that keeps it
/// alive.
macro_rules! adapter {
    ($adapter:ident, $new:expr) => {
        adapter!($adapter, $new,
            a_new_store_is_empty_and_its_numbers_begin_at_1,
            what_was_committed_is_loaded_by_the_next_process,
            a_batch_is_written_whole_or_not_at_all,
            a_reader_sees_what_is_committed_and_a_snapshot_stays_as_it_was,
            what_is_read_for_several_at_once_is_in_their_order,
            what_is_read_with_a_name_is_what_is_read_about_its_place,
            readings_are_those_of_the_asked_targets_and_go_with_them,
            a_command_is_answered_once_and_one_that_was_taken_back_is_not_there,
            a_command_that_two_replicas_hand_over_is_carried_out_once,
            texts_of_any_length_and_with_any_character_are_stored,
            one_group_has_one_open_incident,
            deliveries_go_through_their_states,
            numbers_are_never_used_twice_after_their_rows_were_deleted,
            a_notice_or_a_body_that_must_be_there_and_is_not_is_damage,
            a_send_keeps_its_message_id_over_a_start_and_new_ones_have_others,
            a_store_has_one_writer,
            rollouts_are_loaded_shown_and_forgotten,
        );
    };
    ($adapter:ident, $new:expr, $($test:ident,)*) => {
        mod $adapter {
            $(
                #[test]
                fn $test() {
                    let (location, _kept) = $new;
                    super::$test(&location);
                }
            )*
        }
    };
}

adapter!(sqlite, {
    let folder = tempfile::tempdir().unwrap();
    (crate::Location::from(folder.path().join("podbell.db")), folder)
});

#[cfg(feature = "outside")]
fn postgres(address: &str) -> Location {
    let rest = address.strip_prefix("postgres://").unwrap();
    let server = crate::postgres::Server::parse(rest, std::path::Path::new("/")).unwrap();
    Location::Postgres(std::sync::Arc::new(server))
}

#[cfg(feature = "outside")]
adapter!(postgres_direct, (super::postgres(&crate::test_server::database()), ()));
#[cfg(feature = "outside")]
adapter!(postgres_behind_a_pooler, (super::postgres(&crate::test_server::pooled_database()), ()));
