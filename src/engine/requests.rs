//! The requests of a turn. What they are made from is loaded at once, and they are complete before the commit.

use std::collections::{BTreeSet, HashMap};

use super::{Engine, InMemoryState, SendJob, TurnResult};
use podbell_core::message::fold;
use podbell_core::notice::Notice;
use podbell_core::outbox::{Claimed, MessageState, Outcome, SendContent, SendId, SendTask, is_end};
use podbell_store::StoreError;

/// How many notices are read beside those that are needed at once.
const READ_AHEAD: usize = 500;

impl Engine {
    /// Renders first attempts, and looks up the bodies of repeated ones.
    pub(super) fn prepare(
        &mut self,
        memory: &mut InMemoryState,
        jobs: Vec<SendTask>,
        turn: &mut TurnResult,
    ) -> Result<(), StoreError> {
        let mut bodies = self.load_for(&jobs, memory, turn)?;
        for job in jobs {
            match job {
                SendTask::First(claimed) => self.first(&claimed, memory, turn),
                SendTask::Again { send, destination } => {
                    // Never missing: loading would have failed.
                    let Some(body) = bodies.remove(&send) else { continue };
                    turn.jobs.push(SendJob { send, destination, message_id: self.store.message_id(send), body });
                }
            }
        }
        Ok(())
    }

    /// Reads what only the store has: the notices into memory, the bodies as a result. Two reads, however many requests there are.
    fn load_for(
        &self,
        jobs: &[SendTask],
        memory: &mut InMemoryState,
        turn: &TurnResult,
    ) -> Result<HashMap<SendId, Vec<u8>>, StoreError> {
        memory.notices.make_room();
        let (mut notices, mut destinations, mut bodies) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for job in jobs {
            match job {
                SendTask::First(claimed) => {
                    let carried = claimed.deliveries.iter().map(|delivery| delivery.notice);
                    let known = notices.len();
                    notices.extend(carried.filter(|id| in_memory(*id, memory, turn).is_none()));
                    if notices.len() > known {
                        destinations.insert(&claimed.destination);
                    }
                }
                SendTask::Again { send, .. } => bodies.push(*send),
            }
        }
        for destination in &destinations {
            let next = memory.outbox.upcoming(destination, READ_AHEAD / destinations.len());
            notices.extend(next.filter(|id| in_memory(*id, memory, turn).is_none()));
        }
        if !notices.is_empty() {
            let notices: Vec<u64> = notices.into_iter().collect();
            memory.notices.keep_read(self.store.notices(&notices)?);
        }
        if bodies.is_empty() { Ok(HashMap::new()) } else { self.store.bodies(&bodies) }
    }

    /// The first attempt of a send.
    fn first(&mut self, claimed: &Claimed, memory: &mut InMemoryState, turn: &mut TurnResult) {
        let Claimed { send, destination, .. } = claimed;
        let refresh = claimed.deliveries.is_empty();
        let notices: Vec<Notice> = match claimed.incident.filter(|_| refresh) {
            Some(incident) => memory.state.current_notice(&self.setup, incident, turn.now).into_iter().collect(),
            None => {
                let carried = claimed.deliveries.iter().map(|delivery| delivery.notice);
                carried.filter_map(|id| in_memory(id, memory, turn).cloned()).collect()
            }
        };
        let content = SendContent {
            notices: &notices,
            content: claimed.content,
            storm: claimed.storm,
            parent: claimed.parent.as_ref(),
            refresh,
        };
        let message_id = self.store.message_id(*send);
        let body = match notices.is_empty() {
            true => Vec::new(),
            false => self.renderer.render(destination, &content, &message_id, turn.now),
        };
        if body.is_empty() {
            return self.nothing_to_send(*send, destination, memory, turn);
        }
        // The state that the incident's message shows after this send. A reply in a thread changes no message.
        let told = fold(&notices)
            .filter(|told| claimed.storm.is_none() && (claimed.parent.is_none() || refresh || is_end(told.kind)));
        memory.outbox.will_show(destination, *send, told.as_ref().and_then(MessageState::from_notice));
        turn.bodies.insert(*send, body.clone());
        turn.jobs.push(SendJob { send: *send, destination: destination.clone(), message_id, body });
    }

    /// Drops a send with an empty body. Its deliveries are treated as if the platform had refused their content: they
    /// are given up and reported elsewhere if nothing shorter can be sent either.
    fn nothing_to_send(&mut self, send: SendId, destination: &str, memory: &mut InMemoryState, turn: &mut TurnResult) {
        let why = "podbell made an empty request of it".to_owned();
        tracing::error!(send = send.0, destination, "a request would be empty and is not sent");
        turn.outbox.claimed.retain(|claimed| claimed.send != send);
        let outcome = Outcome::ContentRejected { why };
        memory.outbox.record(send, outcome, (self.chance)(), turn.now, &mut turn.outbox);
    }
}

/// A notice of this turn, or a known one.
fn in_memory<'a>(id: u64, memory: &'a InMemoryState, turn: &'a TurnResult) -> Option<&'a Notice> {
    // Notices are sorted by number.
    let fresh = turn.writes.notices.binary_search_by_key(&id, |notice| notice.id);
    fresh.ok().and_then(|at| turn.writes.notices.get(at)).or_else(|| memory.notices.get(id))
}
