//! The Kubernetes API as a source: core/v1 events by list and watch.
//!
//! `api` carries requests, `follow` lists and watches one resource and survives every failure, `event` and `place`
//! are pure (what an event says, which service it belongs to), `owners` keeps what `place` asks for, `live` keeps
//! what is needed of the events that exist, `workloads` reports how workloads are, `signals` keeps what states say and no
//! event does, and `report` sends everything to the engine. Nothing is looked up for
//! an event: labels and owners come from watches.
//!
//! It has lists and watches of its own because kube's runtime would reopen a watch that ends at once without a
//! pause, and does not expose `Retry-After`.

use std::sync::Arc;

use podbell_core::source::WatchCoverage;

#[cfg(feature = "kubernetes")]
pub mod api;
mod config;
#[cfg(feature = "kubernetes")]
pub(crate) mod connect;
#[cfg(feature = "kubernetes")]
pub(crate) mod enrich;
pub mod event;
#[cfg(feature = "kubernetes")]
mod examine;
#[cfg(feature = "kubernetes")]
mod fault;
#[cfg(feature = "kubernetes")]
pub(crate) mod follow;
#[cfg(feature = "kubernetes")]
pub mod inspect;
pub(crate) mod kubectl;
#[cfg(feature = "kubernetes")]
pub(crate) mod live;
#[cfg(feature = "kubernetes")]
pub(crate) mod nodes;
#[cfg(feature = "kubernetes")]
mod object;
#[cfg(feature = "kubernetes")]
pub(crate) mod owners;
#[cfg(feature = "kubernetes")]
pub mod place;
#[cfg(feature = "kubernetes")]
mod report;
#[cfg(feature = "kubernetes")]
mod resource;
#[cfg(feature = "kubernetes")]
mod settings;
#[cfg(feature = "kubernetes")]
mod signals;
#[cfg(feature = "kubernetes")]
mod watch;
#[cfg(feature = "kubernetes")]
mod workloads;

pub use self::config::SOURCE;
#[cfg(feature = "kubernetes")]
pub use self::settings::{EVENT_TTL, KubernetesConfig, SERVICE_LABELS, Timing};
#[cfg(feature = "kubernetes")]
pub use self::watch::run;

/// Reads a core/v1 event; `None` if it is not one.
pub(crate) fn read_event(text: &str) -> Option<podbell_core::event::Event<'static>> {
    self::event::read(text).map(|event| event.event)
}

/// The watches of a source of these namespaces; of all if there are none.
fn covers(source: &Arc<str>, namespaces: &[String]) -> Vec<WatchCoverage> {
    let one = |namespace| WatchCoverage { source: source.clone(), namespace };
    match namespaces {
        [] => vec![one(None)],
        some => some.iter().map(|name| one(Some(name.as_str().into()))).collect(),
    }
}
