//! The requests of a turn. What they are made from is loaded at once, and they are complete before the commit.

use std::collections::HashMap;

use super::{Engine, InMemoryState, SendJob, Turn};
use podbell_core::message::fold;
use podbell_core::notice::Notice;
use podbell_core::outbox::{Claimed, Job, MessageState, Outcome, SendContent, SendId, is_end};
use podbell_store::StoreError;

/// Notices and bodies of claimed sends that are not in memory.
struct Stored {
    notices: HashMap<u64, Notice>,
    bodies: HashMap<SendId, Vec<u8>>,
}

impl Engine {
    /// Renders first attempts, and looks up the bodies of repeated ones.
    pub(super) fn prepare(
        &mut self,
        memory: &mut InMemoryState,
        jobs: Vec<Job>,
        turn: &mut Turn,
    ) -> Result<(), StoreError> {
        let mut stored = self.load_for(&jobs, memory, turn)?;
        for job in jobs {
            match job {
                Job::First(claimed) => self.first(&claimed, &stored, memory, turn),
                Job::Again { send, destination } => {
                    // Never missing: loading would have failed.
                    let Some(body) = stored.bodies.remove(&send) else { continue };
                    turn.jobs.push(SendJob { send, destination, message_id: self.store.message_id(send), body });
                }
            }
        }
        Ok(())
    }

    /// The notices and bodies that only the store has: two reads, however many requests there are.
    fn load_for(&self, jobs: &[Job], memory: &InMemoryState, turn: &Turn) -> Result<Stored, StoreError> {
        let (mut notices, mut bodies) = (Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Job::First(claimed) => {
                    let carried = claimed.deliveries.iter().map(|delivery| delivery.notice);
                    notices.extend(carried.filter(|id| in_memory(*id, memory, turn).is_none()));
                }
                Job::Again { send, .. } => bodies.push(*send),
            }
        }
        notices.sort_unstable();
        notices.dedup();
        let notices = if notices.is_empty() { HashMap::new() } else { self.store.notices(&notices)? };
        let bodies = if bodies.is_empty() { HashMap::new() } else { self.store.bodies(&bodies)? };
        Ok(Stored { notices, bodies })
    }

    /// The first attempt of a send.
    fn first(&mut self, claimed: &Claimed, stored: &Stored, memory: &mut InMemoryState, turn: &mut Turn) {
        let Claimed { send, destination, .. } = claimed;
        let refresh = claimed.deliveries.is_empty();
        let notices: Vec<Notice> = match claimed.incident.filter(|_| refresh) {
            Some(incident) => memory.state.current_notice(&self.setup, incident, turn.now).into_iter().collect(),
            None => {
                let carried = claimed.deliveries.iter().map(|delivery| delivery.notice);
                let one = |id| in_memory(id, memory, turn).or_else(|| stored.notices.get(&id)).cloned();
                carried.filter_map(one).collect()
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
        // What the message shows, if it stands for its incident; a reply in a thread does not.
        let told = fold(&notices)
            .filter(|told| claimed.storm.is_none() && (claimed.parent.is_none() || refresh || is_end(told.kind)));
        memory.outbox.will_show(destination, *send, told.as_ref().and_then(MessageState::told_by));
        turn.bodies.insert(*send, body.clone());
        turn.jobs.push(SendJob { send: *send, destination: destination.clone(), message_id, body });
    }

    /// Drops a send with an empty body. Its deliveries are treated as if the platform had refused their content: they
    /// are given up and reported elsewhere if nothing shorter can be sent either.
    fn nothing_to_send(&mut self, send: SendId, destination: &str, memory: &mut InMemoryState, turn: &mut Turn) {
        let why = "podbell made an empty request of it".to_owned();
        tracing::error!(send = send.0, destination, "a request would be empty and is not sent");
        turn.outbox.claimed.retain(|claimed| claimed.send != send);
        let outcome = Outcome::Content { why };
        memory.outbox.record(send, outcome, (self.chance)(), turn.now, &mut turn.outbox);
    }
}

/// A notice of this turn, or a recent one.
fn in_memory<'a>(id: u64, memory: &'a InMemoryState, turn: &'a Turn) -> Option<&'a Notice> {
    // Notices are sorted by number.
    let fresh = turn.writes.notices.binary_search_by_key(&id, |notice| notice.id);
    fresh.ok().and_then(|at| turn.writes.notices.get(at)).or_else(|| memory.recent.get(id))
}
