//! Several replicas of the real binary on one real PostgreSQL: who is active, what standbys do, and what becomes of
//! everything that was committed when processes, networks and servers fail.

mod fleet;
mod rounds;
mod standby;
mod takeover;
