//! The hash map of tables with many entries.

use std::collections::HashMap;

/// A map whose keys are hashed several times as fast as the standard library's: at a start with ten thousand incidents,
/// hashing was a fifth of building the state. Each map has a random seed, so that names that somebody chose do not collide.
pub type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
