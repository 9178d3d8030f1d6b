//! Crash points: named places at which a debug build kills itself, so that the tests can prove
//! what a killed process loses. Nothing of this is in a release build.

/// Ends the process with SIGKILL if the environment variable `PODBELL_CRASH` is `name#n` and this
/// is the n-th pass.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::crash::pass($name);
    };
}

/// Counts a pass of a crash point, and kills the process at the planned one.
#[cfg(debug_assertions)]
pub fn pass(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PLAN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSES: AtomicU64 = AtomicU64::new(0);
    let plan = PLAN.get_or_init(|| {
        let plan = std::env::var("PODBELL_CRASH").ok()?;
        let (name, n) = plan.split_once('#')?;
        Some((name.to_owned(), n.parse().ok()?))
    });
    let Some((wanted, n)) = plan else { return };
    if wanted == name && PASSES.fetch_add(1, Ordering::SeqCst) + 1 == *n {
        // SIGKILL cannot be handled: nothing gets a chance to tidy up.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
