//! What a window holds back until its end.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::rule::Destination;
use crate::rule::quiet::Window;
use crate::time::Time;

/// What a window keeps from a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowBacklog {
    /// When the first held notice fell due.
    pub from: Time,
    /// The window's end.
    pub until: Time,
    /// The incidents that are held.
    pub incidents: BTreeSet<u64>,
    /// Those of them that ended meanwhile; the first ones in words, the others with an empty text.
    pub over: BTreeMap<u64, String>,
}

/// The destination, and the window that holds.
pub type HeldKey = (Destination, Window);
