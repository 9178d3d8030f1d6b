//! The events that exist in the cluster, with only what is needed to read the next change of each: the other events
//! of its episode, and the target that it was attributed to, which never changes.
//!
//! Several events of the API can be one episode: two containers of a pod with the same trouble since the same
//! second. A list shows them together and the diff adds them up; a watch shows them one by one, so the sum is kept
//! here. When one of them is deleted while another is left, its count stays in the sum: a smaller sum would read as
//! a new run.

use std::collections::HashMap;
use std::sync::Arc;

use super::event::KubeEvent;
use podbell_core::event::{Event, Target};
use podbell_core::series::{EpisodeKey, Identities};
use podbell_core::time::Time;

/// See the module.
#[derive(Debug)]
pub(crate) struct Live {
    identities: Identities,
    events: HashMap<u128, One>,
    episodes: HashMap<(EpisodeKey, usize), Sum>,
    generation: u32,
}

#[derive(Debug)]
struct One {
    episode: EpisodeKey,
    target: Arc<Target>,
    count: u64,
    generation: u32,
}

#[derive(Debug, Default)]
struct Sum {
    /// Events that exist.
    events: u32,
    /// The sum of their counts, and of those of deleted events.
    count: u64,
    last_seen: Time,
}

impl Default for Live {
    fn default() -> Self {
        // Any seed will do: the keys are only compared with each other.
        Self { identities: Identities::new(0), events: HashMap::new(), episodes: HashMap::new(), generation: 0 }
    }
}

impl Live {
    /// The target of a known event.
    pub(crate) fn target(&self, id: u128) -> Option<Arc<Target>> {
        self.events.get(&id).map(|one| one.target.clone())
    }

    /// Adds or updates an event. Returns its episode, and the event with the sums of its episode.
    pub(crate) fn put(&mut self, event: KubeEvent, target: Arc<Target>) -> (EpisodeKey, Event<'static>) {
        let KubeEvent { id, mut event, .. } = event;
        let episode = self.identities.episode(&event);
        // A message that changes in place starts another episode of the same object.
        if self.events.get(&id).is_some_and(|one| one.episode != episode) {
            self.remove(id);
        }
        let place = Arc::as_ptr(&target) as usize;
        let sum = self.episodes.entry((episode, place)).or_default();
        match self.events.get_mut(&id) {
            Some(one) => {
                sum.count = sum.count.saturating_sub(one.count).saturating_add(event.count);
                (one.count, one.generation) = (event.count, self.generation);
            }
            None => {
                sum.count = sum.count.saturating_add(event.count);
                sum.events += 1;
                let one = One { episode, target, count: event.count, generation: self.generation };
                self.events.insert(id, one);
            }
        }
        sum.last_seen = sum.last_seen.max(event.last_seen);
        (event.count, event.last_seen) = (sum.count, sum.last_seen);
        (episode, event)
    }

    /// Removes a deleted event. Returns its target if nothing is left of its episode.
    pub(crate) fn remove(&mut self, id: u128) -> Option<Arc<Target>> {
        let one = self.events.remove(&id)?;
        let key = (one.episode, Arc::as_ptr(&one.target) as usize);
        let sum = self.episodes.get_mut(&key)?;
        sum.events = sum.events.saturating_sub(1);
        if sum.events > 0 {
            return None;
        }
        self.episodes.remove(&key);
        Some(one.target)
    }

    /// A list begins.
    pub(crate) fn list_begins(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    /// A list ends: what it did not show is gone.
    pub(crate) fn list_ends(&mut self) {
        let generation = self.generation;
        let gone: Vec<u128> =
            self.events.iter().filter(|(_, one)| one.generation != generation).map(|(id, _)| *id).collect();
        for id in gone {
            self.remove(id);
        }
        self.events.shrink_to_fit();
        self.episodes.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(uid: &str, count: u64, last: u32) -> KubeEvent {
        let text = json!({"metadata": {"uid": uid, "namespace": "shop"}, "count": count,
            "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-1"}, "message": "m", "type": "Warning",
            "firstTimestamp": "2026-01-02T03:04:05Z", "lastTimestamp": format!("2026-01-02T03:04:{last}Z")});
        super::super::event::read(&text.to_string()).unwrap()
    }

    #[test]
    fn events_of_one_episode_are_added_up_and_a_deleted_one_stays_in_the_sum() {
        let target = Arc::new(Target::new("prod", "c", "shop", "web"));
        let mut live = Live::default();
        let put = |live: &mut Live, uid: &str, count, last| {
            let (_, event) = live.put(event(uid, count, last), target.clone());
            (event.count, event.last_seen.seconds() % 60)
        };
        assert_eq!(put(&mut live, "a", 5, 10), (5, 10));
        assert_eq!(put(&mut live, "b", 7, 20), (12, 20));
        assert_eq!(put(&mut live, "a", 6, 15), (13, 20));
        assert!(live.remove(event("b", 7, 20).id).is_none(), "the other is still there");
        assert_eq!(put(&mut live, "a", 8, 30), (15, 30));
        assert!(live.remove(event("a", 8, 30).id).is_some());
        assert!(live.remove(event("a", 8, 30).id).is_none(), "once");
        assert_eq!(put(&mut live, "c", 1, 40), (1, 40));
    }

    #[test]
    fn a_new_list_drops_what_it_does_not_show() {
        let target = Arc::new(Target::new("prod", "c", "shop", "web"));
        let mut live = Live::default();
        live.put(event("a", 5, 10), target.clone());
        live.put(event("b", 5, 10), target.clone());
        live.list_begins();
        live.put(event("b", 5, 10), target.clone());
        live.list_ends();
        assert_eq!(live.events.len(), 1);
        assert!(live.target(event("a", 5, 10).id).is_none());
    }
}
