//! What reading a rule file needs beside its text.

use std::collections::BTreeMap;

use crate::rule::Destination;
use crate::yaml::Reader;

/// The names that podbell.yaml defines; `None` where there is no podbell.yaml.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Notifiers.
    pub destinations: Option<Vec<Destination>>,
    /// Keys of `mentions:`.
    pub mentions: Option<Vec<String>>,
    /// The destinations that the operator lets this file notify.
    pub may_notify: Option<Vec<Destination>>,
}

/// What reading a setting needs.
pub(super) struct Context<'a> {
    pub reader: &'a mut Reader,
    pub names: &'a Names,
    /// The labels that are known so far: those of `defaults`, then the rule's.
    pub labels: BTreeMap<String, String>,
}
