//! Which incidents a mute is about.

use super::Incident;
use crate::mute::{Mute, Muted};

impl Incident {
    /// Whether it is what is muted. If several services show it, one that is muted is enough.
    pub(crate) fn is_meant_by(&self, muted: &Muted) -> bool {
        match muted {
            Muted::Service { service, .. } => self
                .targets
                .iter()
                .any(|target| muted.is_service(target) || muted.is_place(target) && *service == self.workload),
            Muted::Incident { id } => *id == self.id,
            Muted::Rule { rule } => *rule == self.rule,
        }
    }

    /// Whether a mute holds it. None does while it has targets that the mute's author may not see.
    pub fn is_muted_by(&self, mute: &Mute) -> bool {
        self.is_meant_by(&mute.what) && mute.scope.covers(&self.targets)
    }
}
