//! Reads the services of one name and what there is about the first of them in one round trip. Who asks about a service names
//! it; read one after the other, the services and what there is about the chosen one would be two round trips.

use tokio_postgres::Row;

use super::{Snapshot, events, incidents, services};
use crate::postgres::CALL_LIMIT;
use crate::postgres::call::Call;
use crate::postgres::column::{Column, get, target, target_from};
use crate::{AtPlace, PlaceName, Service, StoreError};
use podbell_core::event::Target;
use podbell_core::time::Time;

/// For how many services of a name their events, incidents and rollouts are read at once. Few names have more; those
/// services are read when they are chosen.
const PREFETCHED: usize = 4;

/// See the module.
pub(super) struct ByName {
    name: String,
    now: Time,
    /// Whose rows were read.
    targets: Vec<Target>,
    of_service: Vec<Row>,
    of_workload: Vec<Row>,
    mutes: Vec<Row>,
    seen: Vec<Row>,
    rollouts: Vec<Row>,
}

impl Snapshot<'_> {
    /// The services of a name, and what there is about the first of them.
    pub(super) fn by_name(&self, name: &str, now: Time) -> Result<(Vec<Service>, ByName), StoreError> {
        let rows = self.session.pipeline(&calls(name, now), CALL_LIMIT).map_err(|failed| failed.error)?;
        let mut rows = rows.into_iter();
        let mut next = || rows.next().unwrap_or_default();
        let services = self.services_in(&next())?;
        let targets = services.iter().take(PREFETCHED).map(|service| service.target.clone()).collect();
        let mutes = next();
        let [of_service, of_workload, seen, rollouts] = [next(), next(), next(), next()];
        Ok((services, ByName { name: name.to_owned(), now, targets, of_service, of_workload, mutes, seen, rollouts }))
    }

    /// What was read about one place, if all of it was.
    pub(super) fn of_place(
        &self,
        known: &ByName,
        place: PlaceName<'_>,
        targets: &[&Target],
        now: Time,
    ) -> Result<Option<AtPlace>, StoreError> {
        let all = targets.iter().all(|target| known.targets.contains(target));
        if known.name != place.name || known.now != now || targets.is_empty() || !all {
            return Ok(None);
        }
        let here = |row: &Row| Ok(get::<&str>(row, 4)? == place.namespace && get::<&str>(row, 5)? == place.cluster);
        let mut at = AtPlace {
            of_service: self.stored_in(self.those(&known.of_service, here)?)?,
            of_workload: self.stored_in(self.those(&known.of_workload, here)?)?,
            mutes: self.mutes_of(&known.mutes)?,
            ..AtPlace::default()
        };
        for wanted in targets {
            let seen = self.those(&known.seen, |row| Ok(target(row)? == **wanted))?;
            at.seen.extend(self.seen_of(seen)?);
            let rollouts = self.those(&known.rollouts, |row| Ok(target_from(row, 2)? == **wanted))?;
            at.rollouts.extend(self.rollouts_in(rollouts, now)?);
        }
        Ok(Some(at))
    }

    fn those<'r>(&self, rows: &'r [Row], wanted: impl Fn(&Row) -> Column<bool>) -> Result<Vec<&'r Row>, StoreError> {
        let one = |row: &'r Row| Ok(wanted(row)?.then_some(row));
        Ok(self.session.decode(rows, "what there is about a service", one)?.into_iter().flatten().collect())
    }
}

/// What is read of a name, in the order in which `by_name` takes the rows.
fn calls(name: &str, now: Time) -> Vec<Call<'_>> {
    let mut calls = vec![services::named(name), incidents::mutes(now)];
    calls.extend(queries().map(|query| Call::new(query).text(name)));
    calls
}

/// The incidents of services and of workloads, events, rollouts. Each has one parameter, the name.
pub(super) fn queries() -> [String; 4] {
    let first = format!(
        "(SELECT id, source, cluster, namespace, service FROM podbell.target
          WHERE service COLLATE \"C\" = $1 ORDER BY id LIMIT {PREFETCHED})"
    );
    let at_places = |found: &str| {
        let found = found.replace("$2", "p.namespace").replace("$3", "p.cluster");
        format!(
            "SELECT {}, p.namespace, p.cluster FROM (SELECT DISTINCT namespace, cluster FROM {first} t) p
             CROSS JOIN LATERAL ({found}) found {}",
            incidents::STORED_COLUMNS,
            incidents::STORED_OF_FOUND
        )
    };
    [
        at_places(incidents::OF_SERVICE),
        at_places(incidents::OF_WORKLOAD),
        format!(
            "SELECT {} FROM {first} t CROSS JOIN LATERAL (SELECT * FROM podbell.series WHERE target = t.id
             ORDER BY sid, episode LIMIT 5000) s ORDER BY t.id, s.sid, s.episode",
            events::COLUMNS
        ),
        format!(
            "SELECT r.workload, r.body, t.source, t.cluster, t.namespace, t.service FROM {first} t CROSS JOIN LATERAL
             (SELECT workload, body FROM podbell.rollout WHERE source = t.source AND cluster = t.cluster AND
              namespace = t.namespace AND service = t.service ORDER BY workload COLLATE \"C\" LIMIT 500) r
             ORDER BY t.id, r.workload COLLATE \"C\""
        ),
    ]
}
