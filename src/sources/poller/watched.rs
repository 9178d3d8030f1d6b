//! Which targets are polled, as discoveries come and go. Pure.

use std::collections::{BTreeMap, BTreeSet};

use podbell_core::event::Target;

/// A service is no longer polled after this many complete discoveries in a row missed it.
const MISSES: u8 = 2;

/// The configured targets, for ever, and the discovered ones, while they are found.
#[derive(Debug)]
pub(crate) struct PolledTargets {
    configured: BTreeSet<Target>,
    /// Each with the number of complete discoveries in a row that missed it.
    discovered: BTreeMap<Target, u8>,
    all: BTreeSet<Target>,
}

impl PolledTargets {
    /// Before the first discovery.
    pub(crate) fn new(configured: impl IntoIterator<Item = Target>) -> Self {
        let configured: BTreeSet<_> = configured.into_iter().collect();
        Self { all: configured.clone(), configured, discovered: BTreeMap::new() }
    }

    /// What is to be polled.
    pub(crate) fn targets(&self) -> &BTreeSet<Target> {
        &self.all
    }

    /// Applies a discovery. An incomplete one adds targets but removes none.
    pub(crate) fn discovered(&mut self, found: BTreeSet<Target>, complete: bool) {
        if complete {
            self.discovered.retain(|target, misses| {
                *misses = if found.contains(target) { 0 } else { *misses + 1 };
                *misses < MISSES
            });
        }
        self.discovered.extend(found.into_iter().map(|target| (target, 0)));
        self.all = self.configured.iter().chain(self.discovered.keys()).cloned().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<Target> {
        names.iter().map(|name| Target::new("prod", "cls-1", "default", name)).collect()
    }

    #[test]
    fn a12_only_two_complete_discoveries_in_a_row_end_the_polling_of_a_service() {
        let mut watched = PolledTargets::new(set(&["fixed"]));
        watched.discovered(set(&["a", "b"]), true);
        assert_eq!(*watched.targets(), set(&["fixed", "a", "b"]));
        for _ in 0..5 {
            watched.discovered(set(&["a"]), false);
        }
        watched.discovered(set(&["a"]), true);
        watched.discovered(set(&[]), false);
        assert_eq!(*watched.targets(), set(&["fixed", "a", "b"]));
        watched.discovered(set(&["a", "c"]), true);
        assert_eq!(*watched.targets(), set(&["fixed", "a", "c"]));
        watched.discovered(set(&["c"]), true);
        watched.discovered(set(&["a", "c"]), true);
        watched.discovered(set(&["c"]), true);
        assert_eq!(*watched.targets(), set(&["fixed", "a", "c"]), "misses must follow each other");
    }
}
