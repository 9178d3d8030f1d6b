//! Sends: their bodies are frozen before the commit, their jobs handed out after it.

use super::{Batch, Engine, Mirror, SendJob};
use podbell_core::message::fold;
use podbell_core::notice::Notice;
use podbell_core::outbox::{Claimed, Face, Job, Parcel, is_end};
use podbell_core::time::Time;
use podbell_store::StoreError;

impl Engine {
    /// Renders the bodies of the sends that are claimed.
    pub(super) fn freeze_bodies(&self, mirror: &mut Mirror, batch: &mut Batch, now: Time) -> Result<(), StoreError> {
        for claimed in &batch.outbox.claimed {
            let refresh = claimed.deliveries.is_empty();
            let notices = match claimed.incident.filter(|_| refresh) {
                Some(incident) => mirror.state.portrait(&self.setup, incident, now).into_iter().collect(),
                None => self.notices_of(claimed, batch)?,
            };
            // What a message shows that stands for its incident; an answer in its thread does not.
            let told = fold(&notices)
                .filter(|told| claimed.storm.is_none() && (claimed.parent.is_none() || refresh || is_end(told.kind)));
            mirror.outbox.will_show(&claimed.destination, claimed.send, told.as_ref().and_then(Face::told_by));
            let id = self.store.message_id(claimed.send.0);
            let parcel = Parcel {
                notices: &notices,
                content: claimed.content,
                storm: claimed.storm,
                parent: claimed.parent.as_ref(),
                refresh,
            };
            let body = self.freeze.freeze(&claimed.destination, &parcel, &id, now);
            batch.bodies.insert(claimed.send, body);
        }
        Ok(())
    }

    /// The notices that a send carries.
    fn notices_of(&self, claimed: &Claimed, batch: &Batch) -> Result<Vec<Notice>, StoreError> {
        let mut notices = Vec::with_capacity(claimed.deliveries.len());
        for delivery in &claimed.deliveries {
            // They ascend by number.
            let fresh = batch.writes.notices.binary_search_by_key(&delivery.notice, |notice| notice.id);
            let fresh = fresh.ok().and_then(|at| batch.writes.notices.get(at));
            let notice = match fresh {
                Some(notice) => Some(notice.clone()),
                None => self.store.notice(delivery.notice)?,
            };
            notices.extend(notice);
        }
        Ok(notices)
    }

    /// Tells the outbox what became of incidents for which messages may stand.
    pub(super) fn tell_threads(mirror: &mut Mirror, batch: &mut Batch, now: Time) {
        if !mirror.outbox.has_threads() {
            return;
        }
        let changed = batch.writes.incidents.iter().chain(&batch.writes.acknowledged).copied();
        // Those whose message is new may have changed, or ended, while it was on its way.
        let new = batch.outbox.threads.iter().map(|(_, incident)| *incident);
        for incident in changed.chain(new).collect::<std::collections::BTreeSet<_>>() {
            if let Some(incident) = mirror.state.incident(incident) {
                mirror.outbox.want(incident.id, Face::of(incident), now);
            } else if mirror.state.trouble(incident).is_none() {
                mirror.outbox.end(incident, now, &mut batch.outbox);
            }
        }
        let ended = batch.writes.ended.iter().map(|ended| ended.incident.id);
        for incident in ended.chain(batch.writes.troubles_over.iter().copied()) {
            mirror.outbox.end(incident, now, &mut batch.outbox);
        }
    }

    pub(super) fn send_job(&self, job: Job, batch: &mut Batch) -> Result<SendJob, StoreError> {
        let (send, destination, body) = match job {
            Job::First(claimed) => {
                (claimed.send, claimed.destination, batch.bodies.remove(&claimed.send).unwrap_or_default())
            }
            Job::Again { send, destination } => (send, destination, self.store.body(send)?.unwrap_or_default()),
        };
        Ok(SendJob { send, destination, message_id: self.store.message_id(send.0), body })
    }
}
