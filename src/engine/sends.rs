//! Sends: their bodies are frozen before the commit, their jobs handed out after it.

use super::{Batch, Engine, SendJob};
use crate::core::outbox::{Job, Parcel, SendId};
use crate::core::time::Time;
use crate::store::StoreError;

impl Engine {
    /// Renders the bodies of the sends that are claimed.
    pub(super) fn freeze_bodies(&self, batch: &mut Batch, now: Time) -> Result<(), StoreError> {
        for claimed in &batch.outbox.claimed {
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
            let id = self.message_id(claimed.send);
            let parcel = Parcel { notices: &notices, content: claimed.content, storm: claimed.storm };
            let body = self.freeze.freeze(&claimed.destination, &parcel, &id, now);
            batch.bodies.insert(claimed.send, body);
        }
        Ok(())
    }

    pub(super) fn send_job(&self, job: Job, batch: &mut Batch) -> Result<SendJob, StoreError> {
        let (send, destination, body) = match job {
            Job::First(claimed) => {
                (claimed.send, claimed.destination, batch.bodies.remove(&claimed.send).unwrap_or_default())
            }
            Job::Again { send, destination } => (send, destination, self.store.body(send)?.unwrap_or_default()),
        };
        Ok(SendJob { send, destination, message_id: self.message_id(send), body })
    }

    /// Unique over all stores, the same for every repetition.
    fn message_id(&self, send: SendId) -> String {
        format!("msg_{}_{}", self.store.uuid(), send.0)
    }
}
