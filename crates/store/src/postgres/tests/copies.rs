//! Copies of whole stores.

use std::time::Duration;

use super::*;
use crate::{Listing, Location, test_server};
use podbell_core::event::Target;
use podbell_core::time::Time;

/// What a store holds, as far as a writer and a reader show it; without what each start makes anew.
fn contents(location: &Location) -> String {
    let mut writer = location.writer(Duration::ZERO, NOW).unwrap();
    let loaded = writer.load().unwrap();
    let targets: Vec<Target> = loaded.state.targets.iter().map(|(target, _)| target.clone()).collect();
    let readings = writer.readings(&targets).unwrap();
    let mut reader = location.reader().unwrap();
    let snapshot = reader.snapshot().unwrap();
    let listed = snapshot.list_deliveries(&Listing { all: true, limit: 100, ..Listing::default() }).unwrap();
    let history = snapshot.history(Time::from_millis(0)).unwrap();
    let ids: Vec<String> = loaded.outbox.sends.iter().map(|(send, ..)| writer.message_id(*send)).collect();
    let rest =
        (snapshot.actions(9).unwrap(), snapshot.seen(&[&targets[0]]).unwrap(), writer.good_rules().unwrap(), ids);
    format!("{loaded:#?} {readings:?} {listed:?} {history:?} {rest:?}")
}

#[test]
fn a_store_is_copied_to_postgresql_and_back_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let file = Location::from(folder.path().join("podbell.db"));
    let database = location(&test_server::database());
    let back = Location::from(folder.path().join("back.db"));
    let mut writer = file.writer(Duration::ZERO, NOW).unwrap();
    crate::contract::fill(&mut *writer);
    drop(writer);
    let before = contents(&file);
    let counts = file.copy_to(&database).unwrap();
    assert_eq!(contents(&database), before);
    assert_eq!(database.copy_to(&back).unwrap(), counts);
    assert_eq!(contents(&back), before);
    assert!(back.writer(Duration::ZERO, NOW).unwrap().take_recoveries().is_empty(), "it is a store like any other");
    assert_eq!(
        std::fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().contains("copying") })
            .count(),
        0
    );
}

#[test]
fn every_field_of_every_table_is_copied_to_postgresql_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let [from, back] = ["podbell.db", "back.db"].map(|name| folder.path().join(name));
    let [file, copied] = [&from, &back].map(|path| Location::from(path.clone()));
    let database = location(&test_server::database());
    drop(file.writer(Duration::ZERO, NOW).unwrap());
    crate::sqlite::fill_every_table(&from);
    let counts = file.copy_to(&database).unwrap();
    assert!(counts.iter().all(|(_, rows)| *rows == 2), "{counts:?}");
    assert_eq!(database.copy_to(&copied).unwrap(), counts);
    let (before, after) = (crate::sqlite::dump(&from), crate::sqlite::dump(&back));
    assert!(before.len() > 40);
    assert_eq!(after, before);
    // New commands get numbers that no copied one has.
    let id = database.inbox().unwrap().submit(None, &crate::Command::RetryAll { destination: None }, NOW).unwrap();
    assert!(id > 100, "{id}");
}

#[test]
fn nothing_is_copied_over_a_store_or_while_podbell_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = Location::from(folder.path().join("podbell.db"));
    let database = location(&test_server::database());
    let missing = file.copy_to(&database).unwrap_err().to_string();
    assert!(missing.contains("holds no store"), "{missing}");
    let mut writer = file.writer(Duration::ZERO, NOW).unwrap();
    writer.commit(&one_target("web")).unwrap();
    let running = file.copy_to(&database).unwrap_err().to_string();
    assert!(running.contains("stop it first"), "{running}");
    drop(writer);
    let active = database.writer(Duration::ZERO, NOW).unwrap();
    let running = file.copy_to(&database).unwrap_err().to_string();
    assert!(running.contains("stop it first") && running.contains("postgres://"), "{running}");
    drop(active);
    file.copy_to(&database).unwrap();
    for (from, to) in [(&file, &database), (&database, &file)] {
        let error = from.copy_to(to).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
    }
    assert_eq!((targets(&database), targets(&file)), (1, 1));
}
