//! The numbers of a [`HealthStatus`] as OpenMetrics.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::health::{HealthSnapshot, HealthStatus, Role};
use crate::otlp::Counts;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DestinationLabel {
    destination: String,
}

/// The page of `/metrics`.
pub(super) fn page(health: &HealthStatus) -> String {
    let snapshot = &health.snapshot();
    let mut registry = Registry::default();
    if let Some(bytes) = resident_bytes() {
        // The name that every Prometheus client gives it.
        gauge(&mut registry, "process_resident_memory_bytes", "Memory that the process uses", bytes);
    }
    let own = registry.sub_registry_with_prefix("podbell");
    ownership(own, health, snapshot.totals.unknown_commits);
    totals(own, snapshot);
    let help = "Turns of the engine that wrote something: reading what they need, deciding, committing";
    own.register_with_unit("turn_duration", help, Unit::Seconds, health.turns());
    sources(own, snapshot);
    destinations(own, snapshot);
    if let Some(counts) = health.exported() {
        self::exports(own, counts);
    }
    let mut page = String::new();
    // Writing into a string cannot fail.
    let _ = encode(&mut page, &registry);
    page
}

/// Whether this process owns the store. Metrics of the lease exist only with several replicas: alerts on them mean
/// nothing elsewhere.
fn ownership(registry: &mut Registry, health: &HealthStatus, unknown_commits: u64) {
    let active = health.role() == Role::Active;
    gauge(
        registry,
        "engine_active",
        "1 while this process owns the store and tells, 0 while it stands by",
        active.into(),
    );
    if !health.is_shared() {
        return;
    }
    let lease = health.lease();
    let epoch = lease.map_or(0, |lease| lease.epoch);
    gauge(registry, "lease_epoch", "The number of this ownership of the store, 0 while it stands by", epoch);
    let left: Gauge<f64, AtomicU64> = Gauge::default();
    left.set(lease.map_or(0.0, |lease| lease.left().as_secs_f64()));
    let help = "For how long this process certainly owns the store, 0 while it stands by";
    registry.register_with_unit("lease_left", help, Unit::Seconds, left);
    let help = "Transactions whose outcome was unknown at first, because the answer of the store was lost";
    count(registry, [("unknown_commits", help, unknown_commits)]);
}

fn totals(registry: &mut Registry, snapshot: &HealthSnapshot) {
    let totals = &snapshot.totals;
    let counters = [
        ("polls", "Lists that were read", totals.steps.polls),
        ("failed_polls", "Lists that could not be read", totals.failed_polls),
        ("events", "Entries of lists that were read", totals.steps.events),
        ("changes", "Episodes with new occurrences", totals.steps.changes),
        ("warning_changes", "Episodes of level Warning with new occurrences", totals.steps.warning_changes),
        ("notices", "Notices made", totals.notices),
        ("sends_delivered", "Messages that arrived", totals.delivered),
        ("sends_failed", "Requests whose message did not arrive", totals.undelivered),
        ("deliveries_given_up", "Deliveries that were given up", totals.given_up),
        ("commits", "Transactions of the store", totals.commits),
        ("failed_commits", "Transactions that the store did not take", totals.failed_commits),
    ];
    count(registry, counters);
    gauge(registry, "open_incidents", "Incidents that are open", snapshot.incidents);
    gauge(registry, "refused_rule_files", "Rule files that are refused now", snapshot.refused_rule_files);
    gauge(registry, "known_episodes", "Episodes of series that are known", snapshot.episodes);
}

fn exports(registry: &mut Registry, counts: &Counts) {
    let counters = [
        ("otlp_exported_records", "Records that the OTLP collector took", counts.exported()),
        ("otlp_dropped_records", "Records that were dropped because the collector was too slow", counts.dropped()),
        ("otlp_refused_records", "Records that the collector refused", counts.refused()),
        ("otlp_failed_requests", "Requests to the collector that are made again", counts.failed_requests()),
    ];
    count(registry, counters);
}

fn count<const N: usize>(registry: &mut Registry, counters: [(&str, &str, u64); N]) {
    for (name, help, value) in counters {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(signed(value));
    registry.register(name, help, gauge);
}

fn sources(registry: &mut Registry, snapshot: &HealthSnapshot) {
    type Gauges = Family<SourceLabel, Gauge>;
    let (known, targets, failing, unusable, read) = <(Gauges, Gauges, Gauges, Gauges, Gauges)>::default();
    for source in &snapshot.sources {
        let label = SourceLabel { source: source.name.clone() };
        known.get_or_create(&label).set(i64::from(source.read));
        targets.get_or_create(&label).set(signed(source.targets));
        failing.get_or_create(&label).set(signed(source.failing));
        unusable.get_or_create(&label).set(signed(source.unusable));
        if let Some(last) = source.last_good {
            read.get_or_create(&label).set(last.seconds());
        }
    }
    registry.register("source_read", "1 once anything of a source was read, 0 before", known);
    registry.register("targets", "Watched services", targets);
    registry.register("failing_targets", "Services that cannot be read", failing);
    registry.register("unusable_entries", "Entries of lists that cannot be understood now", unusable);
    registry.register("last_good_poll_timestamp_seconds", "When a list was last read", read);
}

fn destinations(registry: &mut Registry, snapshot: &HealthSnapshot) {
    type Gauges = Family<DestinationLabel, Gauge>;
    let (due, open, failures, paused, oldest) = <(Gauges, Gauges, Gauges, Gauges, Gauges)>::default();
    for destination in &snapshot.destinations {
        let label = DestinationLabel { destination: destination.name.clone() };
        due.get_or_create(&label).set(signed(destination.due));
        open.get_or_create(&label).set(signed(destination.open));
        failures.get_or_create(&label).set(signed(destination.failures));
        paused.get_or_create(&label).set(i64::from(destination.paused));
        if let Some(since) = destination.oldest_waiting {
            oldest.get_or_create(&label).set(since.seconds());
        }
    }
    registry.register("due_deliveries", "Deliveries that wait", due);
    registry.register("open_sends", "Requests that are not settled", open);
    registry.register("failures_in_a_row", "Failed requests since the last success", failures);
    registry.register("destination_paused", "1 while a destination is paused", paused);
    let help = "Since when the oldest message waits that has not arrived";
    registry.register("oldest_waiting_timestamp_seconds", help, oldest);
}

/// How much memory this process uses, if the system says.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
