//! Whether a store in a database can be used by several replicas, and whether a podbell runs on it.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::examine::{Checked, Finding, Group, size, span};
use podbell_core::time::Time;
use podbell_store::postgres::{self, Inspection, PostgresError, Server, StoreInfo, TlsMode};

/// Clocks that differ by more than this are wrong, in milliseconds: what is shown of times would mislead.
const OFF: u64 = 5_000;
/// A round trip that takes longer than this makes each commit slow.
const FAR: Duration = Duration::from_millis(30);
/// A heartbeat older than this, in seconds, means that podbell hangs: one is written every 10 s.
const ALIVE: u64 = 45;

/// Looks, off the async runtime: the server may not answer.
pub(super) async fn check(server: Arc<Server>) -> Checked {
    let inspection = tokio::task::spawn_blocking(move || {
        let inspection = postgres::inspect(&server, clock::now);
        judge(&server, inspection, clock::now())
    });
    match inspection.await {
        Ok(findings) => findings.into(),
        Err(_) => Finding::fail(Group::Store, "store", "could not be looked at", "try again").into(),
    }
}

fn judge(server: &Server, inspection: Result<Inspection, PostgresError>, now: Time) -> Vec<Finding> {
    let mut findings = vec![encryption(server)];
    let inspection = match inspection {
        Ok(inspection) => inspection,
        Err(error) => {
            let advice = "correct `store:`, or what keeps podbell from it; podbell needs PostgreSQL 13 or later";
            findings.insert(0, Finding::fail(Group::Store, "database", error.to_string(), advice));
            return findings;
        }
    };
    findings.insert(0, reached(server, &inspection));
    findings.push(rights(&inspection));
    findings.push(replication(&inspection));
    findings.push(clocks(inspection.ahead_ms));
    findings.push(pooler(&inspection));
    findings.push(running(inspection.store.as_ref(), now));
    findings
}

fn reached(server: &Server, inspection: &Inspection) -> Finding {
    let found = format!("{server} is PostgreSQL {}, {} ms away", inspection.version, inspection.round_trip.as_millis());
    if inspection.round_trip > FAR {
        let advice = "put podbell nearer to the database: each commit waits for it";
        return Finding::warn(Group::Store, "database", found, advice);
    }
    Finding::ok(Group::Store, "database", found)
}

fn encryption(server: &Server) -> Finding {
    let (found, is_safe) = match server.tls_mode() {
        TlsMode::VerifyFull => ("encrypted, and the server is checked", true),
        TlsMode::VerifyCa => ("encrypted, and the server's authority is checked", true),
        TlsMode::Require => ("encrypted; who the server is may not be checked", false),
        TlsMode::Prefer => ("encrypted if the server can; who it is is not checked", false),
        TlsMode::Disable => ("not encrypted", false),
    };
    if is_safe || server.is_local() {
        return Finding::ok(Group::Store, "encryption", found);
    }
    let advice = "write sslmode=verify-full into `store:`, with sslrootcert if the authority is your own";
    Finding::warn(Group::Store, "encryption", found, advice)
}

fn rights(inspection: &Inspection) -> Finding {
    match (inspection.may_write, &inspection.store) {
        (true, Some(_)) => Finding::ok(Group::Store, "rights", "the schema podbell can be written"),
        (true, None) => Finding::ok(Group::Store, "rights", "the schema podbell can be made"),
        (false, Some(_)) => {
            let advice = "let this user own the schema and its tables: ALTER SCHEMA podbell OWNER TO …";
            Finding::fail(Group::Store, "rights", "this user may not write the schema podbell", advice)
        }
        (false, None) => {
            let advice = "GRANT CREATE ON DATABASE … TO …, or make the schema: CREATE SCHEMA podbell AUTHORIZATION …";
            Finding::fail(Group::Store, "rights", "this user may not make the schema podbell", advice)
        }
    }
}

/// A failover to a standby server that lacks the last commits makes podbell repeat what they told.
fn replication(inspection: &Inspection) -> Finding {
    match (inspection.standbys, inspection.is_synchronous) {
        (_, true) => Finding::ok(Group::Store, "replication", "commits wait for a standby server"),
        (0, false) => {
            Finding::ok(Group::Store, "replication", "no standby server follows, as far as this user may see")
        }
        (standbys, false) => {
            let found =
                format!("{standbys} standby server(s) follow asynchronously: a failover can lose the last commits");
            let advice = "set synchronous_standby_names; otherwise podbell may tell something again after a failover, or forget a mute";
            Finding::warn(Group::Store, "replication", found, advice)
        }
    }
}

fn clocks(ahead_ms: i64) -> Finding {
    let off = ahead_ms.unsigned_abs();
    if off <= OFF {
        return Finding::ok(Group::Store, "clock", "the server's clock agrees with this one");
    }
    let than = if ahead_ms > 0 { "ahead of" } else { "behind" };
    let found = format!("the server's clock is {} {than} this one", span(off / 1000));
    let advice = "let NTP set both clocks; who is active does not depend on it, but times that are shown do";
    Finding::warn(Group::Store, "clock", found, advice)
}

fn pooler(inspection: &Inspection) -> Finding {
    if inspection.keeps_transactions {
        return Finding::ok(Group::Store, "pooler", "a transaction stays on one connection");
    }
    let found = "a pooler gives each statement another connection, so there are no transactions";
    Finding::fail(Group::Store, "pooler", found, "set its pool_mode to transaction or session")
}

fn running(seen: Option<&StoreInfo>, now: Time) -> Finding {
    let Some(seen) = seen else {
        return Finding::ok(Group::Store, "podbell", "nothing there yet; `podbell run` makes it");
    };
    if seen.version > seen.known {
        let found = format!(
            "written by a newer podbell (version {} of the format, this one knows {})",
            seen.version, seen.known
        );
        return Finding::fail(Group::Store, "podbell", found, "run that version, or restore a backup from before it");
    }
    let large = size(seen.bytes);
    let age = seen.heartbeat.map(|beat| now.since(beat).as_secs());
    match (&seen.holder, age) {
        (None, None) => Finding::ok(Group::Store, "podbell", "none has run on it yet"),
        (None, Some(age)) => {
            Finding::ok(Group::Store, "podbell", format!("{large}; none is active; the last one was {} ago", span(age)))
        }
        (Some(holder), Some(age)) if age > ALIVE => {
            let found = format!("{} is active, but its last sign of life is {} old", holder.replica, span(age));
            Finding::warn(Group::Store, "podbell", found, "look at its log; restart it if it hangs")
        }
        (Some(holder), _) => Finding::ok(
            Group::Store,
            "podbell",
            format!("{large}; {} is active (epoch {})", holder.replica, holder.epoch),
        ),
    }
}
