//! How many files this process may open, and how many of them strangers may take: the store, polls and deliveries must
//! always find one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A higher limit does not help.
const ENOUGH: u64 = 16_384;
/// How many connections there are at most.
const MAX: usize = 1024;
/// Assumed where the system names no limit.
const USUAL: u64 = 1024;

/// Raises the soft limit as far as the hard one allows. Returns the new soft limit.
pub(crate) fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.current.unwrap_or(ENOUGH);
    let wanted = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if soft < wanted && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).is_ok() {
        return wanted;
    }
    soft
}

/// How many of them may be connections of strangers: less than half.
pub(super) fn most_connections() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(USUAL);
    bound(files)
}

fn bound(files: u64) -> usize {
    usize::try_from(files * 3 / 8).unwrap_or(MAX).clamp(4, MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_get_less_than_half_of_the_files() {
        assert_eq!([bound(16), bound(64), bound(1024), bound(1 << 20)], [6, 24, 384, MAX]);
    }
}
