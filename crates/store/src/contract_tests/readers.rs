//! What readers see beside the writer.

use super::*;
use crate::{AtPlace, PlaceName, Snapshot};
use podbell_core::ask::StoredIncident;

pub(super) fn a_reader_sees_what_is_committed_and_a_snapshot_stays_as_it_was(location: &Location) {
    let mut writer = open(location);
    let mut reader = location.reader().unwrap();
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(snapshot.service_count().unwrap(), 0);
    let targets = vec![(web(), TargetState::restored(Some(NOW), None, false))];
    let batch = Batch { targets, series: vec![series(&web(), 1, 3)], incidents: vec![incident_row(9)], ..at(1) };
    writer.commit(&batch).unwrap();
    assert_eq!(snapshot.service_count().unwrap(), 0, "a snapshot is of one moment");
    drop(snapshot);
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(snapshot.services_named("web").unwrap().iter().map(|one| one.read_at).collect::<Vec<_>>(), [Some(NOW)]);
    assert_eq!(snapshot.seen(&[&web()]).unwrap().iter().map(|seen| seen.event.count).collect::<Vec<_>>(), [3]);
    assert_eq!(snapshot.open_of_service("cls-1", "shop", "web").unwrap(), [9]);
    assert_eq!(snapshot.timelines(&[&web()], NOW).unwrap()[0].warnings(), 3);
    assert_eq!(snapshot.history(NOW).unwrap().observations.len(), 1);
    assert!(snapshot.decisions(&DecisionFilter::default(), 10).unwrap().is_empty());
}

pub(super) fn what_is_read_for_several_at_once_is_in_their_order(location: &Location) {
    let mut writer = open(location);
    let api = Target::new("prod", "cls-1", "shop", "api");
    let targets = [web(), api.clone()].map(|target| (target, TargetState::default())).to_vec();
    let rows = vec![series(&web(), 1, 3), series(&web(), 2, 4), series(&api, 1, 9)];
    // More than are sent together.
    let incidents = (1..=300).map(incident_row).collect();
    writer.commit(&Batch { targets, series: rows, incidents, ..at(1) }).unwrap();
    let mut reader = location.reader().unwrap();
    let snapshot = reader.snapshot().unwrap();
    let ids: Vec<u64> = [7, 400].into_iter().chain((1..=300).rev()).collect();
    let kept: Vec<u64> = snapshot.stored_incidents(&ids).unwrap().iter().map(|kept| kept.incident.id).collect();
    let there: Vec<u64> = ids.iter().copied().filter(|id| *id <= 300).collect();
    assert_eq!(kept, there);
    let seen = |targets: &[&Target]| -> Vec<u64> {
        snapshot.seen(targets).unwrap().iter().map(|seen| seen.event.count).collect()
    };
    let mut of_web = seen(&[&web()]);
    of_web.sort_unstable();
    assert_eq!((of_web, seen(&[&api])), (vec![3, 4], vec![9]));
    assert_eq!((seen(&[&api, &web()])[0], seen(&[&web(), &api])[2], seen(&[])), (9, 9, vec![]));
    let warnings: Vec<u64> =
        snapshot.timelines(&[&api, &web(), &api], NOW).unwrap().iter().map(|line| line.warnings()).collect();
    assert_eq!(warnings[0], warnings[2]);
    assert!(warnings[0] != warnings[1]);
    let open = snapshot.open_of_services(&[&api, &web()]).unwrap();
    assert_eq!((open[0].len(), open[1].len()), (0, 50), "the newest");
    let place = crate::PlaceName { cluster: "cls-1", namespace: "shop", name: "web" };
    let at = snapshot.at_place(place, &[&api, &web()], NOW).unwrap();
    let ids = |kept: &[podbell_core::ask::StoredIncident]| -> std::collections::BTreeSet<u64> {
        kept.iter().map(|kept| kept.incident.id).collect()
    };
    assert_eq!(ids(&at.of_service), open[1].iter().copied().collect());
    let of_workload = snapshot.open_of_workload("cls-1", "shop", "web").unwrap();
    assert_eq!(ids(&at.of_workload), of_workload.into_iter().collect());
    assert!(!at.of_workload.is_empty() && at.mutes.is_empty() && at.rollouts.is_empty());
    assert_eq!(at.seen.iter().map(|seen| seen.event.count).collect::<Vec<_>>(), seen(&[&api, &web()]));
    assert!(snapshot.stored_incidents(&[]).unwrap().is_empty() && snapshot.timelines(&[], NOW).unwrap().is_empty());
}

/// Names that lie in one place, in two, in more than are read with a name, and in none.
pub(super) fn what_is_read_with_a_name_is_what_is_read_about_its_place(location: &Location) {
    let mut writer = open(location);
    let of = |source: &str, namespace: &str, service: &str| Target::new(source, "cls-1", namespace, service);
    let mut targets = vec![of("prod", "shop", "api"), of("prod", "shop", "web"), of("test", "shop", "web")];
    targets.push(of("prod", "pay", "web"));
    targets.extend((0..9).map(|n| of("prod", &format!("team-{n}"), "agent")));
    let shown = |id: u64, target: &Target, workload: &str| IncidentRow {
        targets: vec![target.clone()],
        workload: workload.into(),
        ..incident_row(id)
    };
    let numbered = || targets.iter().zip(1_u64..);
    let known = r#"{"last":[{"at":1800000000000,"before":["web:v4"],"after":["web:v5"]}]}"#;
    let batch = Batch {
        targets: targets.iter().map(|target| (target.clone(), TargetState::default())).collect(),
        series: numbered().flat_map(|(target, n)| [series(target, 1, n), series(target, 2, 50)]).collect(),
        // Of the service, and of a workload of the same name that another service shows.
        incidents: numbered()
            .flat_map(|(target, n)| {
                [shown(n, target, "other"), shown(n + 100, &of("prod", &target.namespace, "all"), &target.service)]
            })
            .collect(),
        rollouts: targets.iter().map(|target| ((target.clone(), "web".into()), Some(known.to_owned()))).collect(),
        ..at(1)
    };
    writer.commit(&batch).unwrap();
    let mut reader = location.reader().unwrap();
    for (name, services) in [("api", 1), ("web", 3), ("agent", 9), ("nobody", 0)] {
        let named: Vec<Target> = {
            let snapshot = reader.snapshot().unwrap();
            let to_show = snapshot.services_to_show(name, after(60)).unwrap();
            assert_eq!(format!("{to_show:?}"), format!("{:?}", snapshot.services_named(name).unwrap()));
            to_show.into_iter().map(|service| service.target).collect()
        };
        assert_eq!(named.len(), services);
        for namespace in named.iter().map(|target| target.namespace.clone()) {
            let here: Vec<&Target> = named.iter().filter(|target| target.namespace == namespace).collect();
            // In the other order than they are stored, or one of them only.
            for asked in [here.iter().rev().copied().collect::<Vec<_>>(), here[..1].to_vec(), vec![]] {
                let mut read = |to_show: &dyn Fn(&dyn Snapshot)| {
                    let snapshot = reader.snapshot().unwrap();
                    to_show(&*snapshot);
                    let place = PlaceName { cluster: "cls-1", namespace: &namespace, name };
                    sorted(snapshot.at_place(place, &asked, after(60)).unwrap())
                };
                let at = read(&|snapshot| drop(snapshot.services_to_show(name, after(60)).unwrap()));
                assert_eq!(format!("{at:?}"), format!("{:?}", read(&|_| {})), "{name} in {namespace}");
                let other = read(&|snapshot| drop(snapshot.services_to_show("api", after(60)).unwrap()));
                assert_eq!(format!("{at:?}"), format!("{other:?}"), "after another name");
                let found = (at.of_service.len(), at.of_workload.len(), at.seen.len(), at.rollouts.len());
                assert_eq!(found, (here.len(), here.len(), asked.len() * 2, asked.len()), "{name} in {namespace}");
            }
        }
    }
}

/// Incidents are in no order.
fn sorted(mut at: AtPlace) -> AtPlace {
    let id = |kept: &StoredIncident| kept.incident.id;
    at.of_service.sort_by_key(id);
    at.of_workload.sort_by_key(id);
    at
}
