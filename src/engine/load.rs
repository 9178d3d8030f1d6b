//! What a turn needs of the store, read before anything is taken in.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Engine, INBOX, InMemoryState, Inputs};
use crate::sources::SourceEvent;
use podbell_core::event::Target;
use podbell_core::outbox::DeliveryId;
use podbell_core::time::Time;
use podbell_store::{Command, InboxItem, ReadingRow, StoreError, StoredDelivery};

#[derive(Default)]
pub(super) struct TurnInputs {
    /// Readings of targets that are polled for the first time since the start, and of their whole namespaces.
    pub readings: Vec<(Target, Vec<ReadingRow>)>,
    /// The waiting commands.
    pub requests: Vec<Request>,
    /// The last good rule files, if rules are to be replaced.
    pub good_rules: BTreeMap<String, String>,
}

/// A command of the inbox with the deliveries that it names.
pub(super) struct Request {
    pub item: InboxItem,
    pub deliveries: Vec<StoredDelivery>,
}

impl Engine {
    /// Reads what the inputs of this turn refer to: a bounded number of reads, however many inputs there are.
    pub(super) fn load(
        &mut self,
        memory: &InMemoryState,
        inputs: &Inputs,
        now: Time,
    ) -> Result<TurnInputs, StoreError> {
        self.recoveries.extend(self.store.take_recoveries());
        let mut loaded = TurnInputs::default();
        let wanted = wanted(memory, &inputs.events);
        if !wanted.is_empty() {
            loaded.readings = self.store.readings(&wanted)?;
        }
        if !self.new_rules.is_empty() {
            loaded.good_rules = self.store.good_rules()?;
        }
        if now >= self.last_inbox.plus(INBOX) {
            self.last_inbox = now;
            loaded.requests = self.load_requests()?;
        }
        Ok(loaded)
    }

    fn load_requests(&self) -> Result<Vec<Request>, StoreError> {
        let items = self.store.inbox()?;
        let named: Vec<DeliveryId> = items.iter().filter_map(|item| delivery_of(&item.command)).collect();
        let mut deliveries: HashMap<DeliveryId, StoredDelivery> = HashMap::new();
        if !named.is_empty() {
            let rows = self.store.deliveries(&named)?;
            deliveries.extend(rows.into_iter().map(|row| (row.delivery.id, row)));
        }
        let dead = self.load_dead(&items)?;
        let request = |item: InboxItem| {
            let deliveries = match &item.command {
                Command::RetryAll { destination } => {
                    let is_asked = |row: &&StoredDelivery| {
                        destination.as_deref().is_none_or(|destination| *row.destination == *destination)
                    };
                    dead.iter().filter(is_asked).cloned().collect()
                }
                command => delivery_of(command).and_then(|id| deliveries.get(&id).cloned()).into_iter().collect(),
            };
            Request { item, deliveries }
        };
        Ok(items.into_iter().map(request).collect())
    }

    /// The dead deliveries that commands ask to retry: of one destination, or all if several are named.
    fn load_dead(&self, items: &[InboxItem]) -> Result<Vec<StoredDelivery>, StoreError> {
        let mut asked = items.iter().filter_map(|item| match &item.command {
            Command::RetryAll { destination } => Some(destination.as_deref()),
            _ => None,
        });
        let Some(first) = asked.next() else { return Ok(Vec::new()) };
        self.store.dead_deliveries(first.filter(|_| asked.all(|other| other == first)))
    }
}

fn delivery_of(command: &Command) -> Option<DeliveryId> {
    match command {
        Command::RetryDelivery { id } => Some(*id),
        _ => None,
    }
}

/// The targets whose readings these events need.
fn wanted(memory: &InMemoryState, events: &[SourceEvent]) -> Vec<Target> {
    let mut wanted = BTreeSet::new();
    let mut add = |target: &Target| {
        // `readings_to_load` returns the whole namespace of a target.
        if !wanted.contains(target) {
            wanted.extend(memory.state.readings_to_load(target));
        }
    };
    for event in events {
        match event {
            SourceEvent::Polled { target, .. } => add(target),
            SourceEvent::PartialObservation { lists, .. } => lists.iter().for_each(|seen| add(&seen.target)),
            _ => {}
        }
    }
    wanted.into_iter().collect()
}
