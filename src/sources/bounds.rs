//! Length limits for texts from outside, applied before they are stored. Kubernetes keeps names below 254
//! characters and messages below 1,024, but a server may send anything in a list.

use std::borrow::Cow;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::SourceEvent;
use podbell_core::enrichment::PodState;
use podbell_core::event::{Event, Target};
use podbell_core::mute::Muted;
use podbell_core::source::{ObjectName, Problem, WatchCoverage};
use podbell_core::user_action::{Act, UserAction};

/// The limit of a name, a kind or a reason, in bytes.
const MAX_NAME: usize = 512;
/// The limit of a message, in bytes.
const MAX_MESSAGE: usize = 8 * 1024;
/// The limit of a person's words, and of another side's words about an error.
const MAX_WORDS: usize = 4 * 1024;

/// Cuts a text that is too long, and replaces what not every store holds: the character NUL. A hash in the mark keeps
/// texts apart that start alike.
fn cut(text: &str, most: usize) -> Option<String> {
    let storable = text.contains('\0').then(|| text.replace('\0', "\u{fffd}"));
    let text = storable.as_deref().unwrap_or(text);
    if text.len() <= most {
        return storable;
    }
    let mark = format!("… [cut, {:08x}]", xxh3_64(text.as_bytes()) & 0xffff_ffff);
    let end = text.floor_char_boundary(most.saturating_sub(mark.len()));
    Some(format!("{}{mark}", text.get(..end).unwrap_or_default()))
}

fn shared(text: &mut Arc<str>) {
    if let Some(cut) = cut(text, MAX_NAME) {
        *text = cut.into();
    }
}

fn lent(text: &mut Cow<'static, str>, most: usize) {
    if let Some(cut) = cut(text, most) {
        *text = Cow::Owned(cut);
    }
}

fn owned(text: &mut String, most: usize) {
    if let Some(cut) = cut(text, most) {
        *text = cut;
    }
}

fn target(target: &mut Target) {
    let Target { source: _, cluster, namespace, service } = target;
    [cluster, namespace, service].into_iter().for_each(shared);
}

fn events(events: &mut [Event<'static>]) {
    for event in events {
        let Event { obj_type, obj_name, reason, message, node, .. } = event;
        node.iter_mut().for_each(|node| lent(node, MAX_NAME));
        [obj_type, obj_name, reason].into_iter().for_each(|text| lent(text, MAX_NAME));
        lent(message, MAX_MESSAGE);
    }
}

fn error(error: &mut Problem) {
    owned(&mut error.code, MAX_NAME);
    [&mut error.text, &mut error.advice].into_iter().for_each(|text| owned(text, MAX_WORDS));
}

fn covers(covers: &mut WatchCoverage) {
    covers.namespace.iter_mut().for_each(shared);
}

fn pod(state: &mut PodState) {
    [&mut state.pod, &mut state.node, &mut state.phase].into_iter().for_each(|text| owned(text, MAX_NAME));
    for container in &mut state.containers {
        [&mut container.name, &mut container.waiting].into_iter().for_each(|text| owned(text, MAX_NAME));
        container.ended.iter_mut().for_each(|end| owned(&mut end.reason, MAX_NAME));
    }
    if let Some(log) = &mut state.log {
        owned(&mut log.container, MAX_NAME);
        owned(&mut log.text, MAX_WORDS);
    }
}

impl SourceEvent {
    /// The event with every text cut to what may be stored.
    #[must_use]
    pub(crate) fn bounded(mut self) -> Self {
        match &mut self {
            Self::TargetList { targets, .. } => targets.iter_mut().for_each(|entry| target(&mut entry.target)),
            Self::Polled { target: of, events: list, .. } => {
                target(of);
                events(list);
            }
            Self::Unusable { target: of, .. } => target(of),
            Self::Failed { target: of, error: why, .. } => {
                target(of);
                error(why);
            }
            Self::DiscoveryFailed { error: why, .. } => error(why),
            Self::PartialObservation { lists, .. } => {
                for seen in lists {
                    target(&mut seen.target);
                    events(&mut seen.events);
                    events(&mut seen.gone);
                }
            }
            Self::ListCompleted { covers: of, shown, .. } => {
                covers(of);
                shown.iter_mut().for_each(target);
            }
            Self::Deleted { objects, .. } => {
                for ObjectName { namespace, kind, name } in objects {
                    [namespace, kind, name].into_iter().for_each(|text| owned(text, MAX_NAME));
                }
            }
            Self::WatchProgress { covers: of, .. } => covers(of),
            Self::Health { reports, .. } => {
                for report in reports {
                    target(&mut report.target);
                    shared(&mut report.name);
                }
            }
            Self::Enriched { state, .. } => pod(state),
            Self::Templates { reports, .. } => {
                // What they run was bounded when it was read.
                for report in reports {
                    target(&mut report.target);
                    shared(&mut report.name);
                }
            }
            Self::WatchFailed { covers: of, error: why, .. } => {
                covers(of);
                error(why);
            }
        }
        self
    }
}

/// The same for a user action.
pub(crate) fn user_action(action: &mut UserAction) {
    [&mut action.by.name, &mut action.by.via].into_iter().for_each(|text| owned(text, MAX_NAME));
    let what = match &mut action.act {
        Act::Mute { what, why, .. } => {
            why.iter_mut().for_each(|why| owned(why, MAX_WORDS));
            what
        }
        Act::Unmute { what } => what,
        Act::Acknowledge { .. } => return,
    };
    if let Muted::Service { cluster, namespace, service } = what {
        let names = cluster.iter_mut().chain(namespace).chain(std::iter::once(service));
        names.for_each(|text| owned(text, MAX_NAME));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_short_whole_at_its_end_and_still_another_than_what_begins_alike() {
        let long = "名".repeat(1_000_000);
        let (one, other) = (cut(&format!("{long}a"), MAX_NAME).unwrap(), cut(&format!("{long}b"), MAX_NAME).unwrap());
        assert!(one.len() <= MAX_NAME && one.starts_with("名名") && one.contains("… [cut, "), "{one}");
        assert_ne!(one, other);
        assert_eq!(cut(&"x".repeat(MAX_NAME), MAX_NAME), None);
    }
}
