//! A batch as statements: one for each kind of row, whatever the number of rows, and all of them sent at once.

use std::collections::HashMap;

use super::call::{Call, last_of_each};
use super::commit_outbox;
use super::error::PostgresError;
use super::writer::{Store, Targets};
use crate::rows::{self, MAX_OBSERVATIONS, MAX_REPORTS, sql};
use crate::{AvailabilityChange, Batch, DaysRow, IncidentRow, KEPT_DECISIONS, crash_point, incident_codec};
use podbell_core::event::{Level, Target};
use podbell_core::step::SeriesRow;
use podbell_core::time::Time;

impl Store {
    /// See [`crate::Writer::commit`].
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), PostgresError> {
        self.know_targets()?;
        let mut calls = Vec::new();
        if let Some(known) = &mut self.targets {
            targets(&mut calls, known, batch);
            series(&mut calls, &known.ids, batch);
            history(&mut calls, &known.ids, batch);
            tallies(&mut calls, &known.ids, batch);
        }
        incidents(&mut calls, batch);
        shown(&mut calls, &mut self.shown, batch);
        decisions(&mut calls, batch);
        people(&mut calls, batch);
        own(&mut calls, batch);
        commit_outbox::outbox(&mut calls, batch);
        meta(&mut calls, batch);
        crash_point!("commit.before");
        let committed = self.commit_fenced(calls);
        crash_point!("commit.after");
        committed.map(drop)
    }
}

fn targets<'a>(calls: &mut Vec<Call<'a>>, known: &mut Targets, batch: &'a Batch) {
    let gone: Vec<i64> = batch.targets_gone.iter().filter_map(|target| known.ids.remove(target)).collect();
    if !gone.is_empty() {
        for delete in [
            "DELETE FROM podbell.series WHERE target = ANY ($1)",
            "DELETE FROM podbell.target WHERE id = ANY ($1)",
            "DELETE FROM podbell.tally WHERE target = ANY ($1)",
        ] {
            calls.push(Call::new(delete).numbers(gone.clone()));
        }
    }
    if batch.targets.is_empty() {
        return;
    }
    let rows = last_of_each(batch.targets.iter().collect(), |(target, _)| target);
    let ids: Vec<i64> = rows.iter().map(|(target, _)| known.number(target)).collect();
    let failing = || rows.iter().map(|(_, state)| state.failing.as_ref());
    let upsert = "INSERT INTO podbell.target (id, source, cluster, namespace, service, last_good, failing_since, failing_trouble, discovered)
        SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (id) DO UPDATE SET last_good = excluded.last_good, failing_since = excluded.failing_since,
            failing_trouble = excluded.failing_trouble, discovered = excluded.discovered";
    calls.push(
        Call::new(upsert)
            .numbers(ids)
            .texts(rows.iter().map(|(target, _)| &*target.source))
            .texts(rows.iter().map(|(target, _)| &*target.cluster))
            .texts(rows.iter().map(|(target, _)| &*target.namespace))
            .texts(rows.iter().map(|(target, _)| &*target.service))
            .maybe_numbers(rows.iter().map(|(_, state)| state.last_good.map(Time::millis)))
            .maybe_numbers(failing().map(|failing| failing.map(|failing| failing.since.millis())))
            .maybe_numbers(failing().map(|failing| failing.and_then(|failing| failing.trouble).map(sql)))
            .flags(rows.iter().map(|(_, state)| state.discovered)),
    );
}

impl Targets {
    /// The number of a target; a new one gets the next.
    fn number(&mut self, target: &Target) -> i64 {
        if let Some(id) = self.ids.get(target) {
            return *id;
        }
        self.highest += 1;
        self.ids.insert(target.clone(), self.highest);
        self.highest
    }
}

fn series<'a>(calls: &mut Vec<Call<'a>>, ids: &HashMap<Target, i64>, batch: &'a Batch) {
    let known: Vec<(i64, &SeriesRow)> =
        batch.series.iter().filter_map(|row| Some((*ids.get(&row.target)?, row))).collect();
    let rows = last_of_each(known, |(target, row)| (*target, row.key));
    if !rows.is_empty() {
        let upsert =
            "INSERT INTO podbell.series (target, sid, episode, count, last_seen, level, obj_type, obj_name, reason,
                message, observed_at, silent, node, signal, metadata)
            SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
            ON CONFLICT (target, sid, episode) DO UPDATE SET count = excluded.count, last_seen = excluded.last_seen,
                level = excluded.level, obj_type = excluded.obj_type, obj_name = excluded.obj_name,
                reason = excluded.reason, message = excluded.message, observed_at = excluded.observed_at,
                silent = excluded.silent, node = excluded.node, signal = excluded.signal, metadata = excluded.metadata";
        let of = || rows.iter().map(|(_, row)| *row);
        let metadata =
            |row: &SeriesRow| row.event.metadata.as_deref().and_then(|metadata| serde_json::to_string(metadata).ok());
        calls.push(
            Call::new(upsert)
                .numbers(rows.iter().map(|(target, _)| *target))
                .bytes(of().map(|row| &row.key.series.0[..]))
                .numbers(of().map(|row| row.key.first_seen.millis()))
                .numbers(of().map(|row| sql(row.event.count)))
                .numbers(of().map(|row| row.event.last_seen.millis()))
                .numbers(of().map(|row| row.event.level as i64))
                .texts(of().map(|row| &*row.event.obj_type))
                .texts(of().map(|row| &*row.event.obj_name))
                .texts(of().map(|row| &*row.event.reason))
                .texts(of().map(|row| &*row.event.message))
                .numbers(of().map(|row| row.observed_at.millis()))
                .flags(of().map(|row| row.change.is_none() && row.event.level == Level::Warning))
                .maybe_texts(of().map(|row| row.event.node.as_deref()))
                .flags(of().map(|row| row.event.signal))
                .made_texts(of().map(metadata)),
        );
    }
    let forgotten: Vec<_> = batch.forgotten.iter().filter_map(|(target, key)| Some((*ids.get(target)?, key))).collect();
    if !forgotten.is_empty() {
        let delete = "DELETE FROM podbell.series WHERE (target, sid, episode) IN (SELECT * FROM unnest($1, $2, $3))";
        calls.push(
            Call::new(delete)
                .numbers(forgotten.iter().map(|(target, _)| *target))
                .bytes(forgotten.iter().map(|(_, key)| &key.series.0[..]))
                .numbers(forgotten.iter().map(|(_, key)| key.first_seen.millis())),
        );
    }
}

/// An entry of the history as its columns.
struct HistoryRow<'a> {
    at: Time,
    target: Option<i64>,
    episode: Option<(&'a [u8], i64)>,
    kind: i64,
    new: i64,
    count: i64,
    last_seen: i64,
}

fn history<'a>(calls: &mut Vec<Call<'a>>, ids: &HashMap<Target, i64>, batch: &'a Batch) {
    let gap = |gap: &AvailabilityChange| {
        let (at, target, kind, last_seen) = match gap {
            AvailabilityChange::Down { since, at } => (*at, None, rows::DOWN, since.millis()),
            AvailabilityChange::Failing { target, at } => (*at, ids.get(target).copied(), rows::FAILING, 0),
            AvailabilityChange::Readable { target, at } => (*at, ids.get(target).copied(), rows::READABLE, 0),
        };
        HistoryRow { at, target, episode: None, kind, new: 0, count: 0, last_seen }
    };
    let changed = |row: &'a SeriesRow| {
        let (kind, new) = row.change?;
        Some(HistoryRow {
            at: row.observed_at,
            target: Some(*ids.get(&row.target)?),
            episode: Some((&row.key.series.0[..], row.key.first_seen.millis())),
            kind: rows::change_number(kind),
            new: sql(new),
            count: sql(row.event.count),
            last_seen: row.event.last_seen.millis(),
        })
    };
    let all: Vec<HistoryRow<'a>> = batch.gaps.iter().map(gap).chain(batch.series.iter().filter_map(changed)).collect();
    if !all.is_empty() {
        let insert = "INSERT INTO podbell.observation (id, at, target, sid, episode, kind, new, count, last_seen)
            SELECT (SELECT coalesce(max(id), 0) FROM podbell.observation) + n, at, target, sid, episode, kind, new, count, last_seen
            FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY
                AS u (at, target, sid, episode, kind, new, count, last_seen, n)";
        calls.push(
            Call::new(insert)
                .numbers(all.iter().map(|row| row.at.millis()))
                .maybe_numbers(all.iter().map(|row| row.target))
                .maybe_bytes(all.iter().map(|row| row.episode.map(|(sid, _)| sid)))
                .maybe_numbers(all.iter().map(|row| row.episode.map(|(_, episode)| episode)))
                .numbers(all.iter().map(|row| row.kind))
                .numbers(all.iter().map(|row| row.new))
                .numbers(all.iter().map(|row| row.count))
                .numbers(all.iter().map(|row| row.last_seen)),
        );
        calls.push(beyond("observation", MAX_OBSERVATIONS));
    }
    if !batch.reports.is_empty() {
        let insert = "INSERT INTO podbell.report (id, at, about, last, body)
            SELECT (SELECT coalesce(max(id), 0) FROM podbell.report) + n, at, about, last, body
            FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS u (at, about, last, body, n)";
        let reports = || batch.reports.iter().map(|(_, report)| report);
        calls.push(
            Call::new(insert)
                .numbers(batch.reports.iter().map(|(at, _)| at.millis()))
                .made_texts(reports().map(|report| Some(report.replacement_key().to_string())))
                .flags(reports().map(podbell_core::history::ObjectReport::leaves_no_state))
                .made_texts(reports().map(|report| serde_json::to_string(report).ok())),
        );
        calls.push(beyond("report", MAX_REPORTS));
    }
}

/// Deletes the oldest rows of a table beyond a limit.
fn beyond(table: &str, most: i64) -> Call<'static> {
    let delete = format!("DELETE FROM podbell.{table} WHERE id <= (SELECT max(id) FROM podbell.{table}) - $1");
    Call::new(delete).number(most)
}

fn tallies<'a>(calls: &mut Vec<Call<'a>>, ids: &HashMap<Target, i64>, batch: &'a Batch) {
    let tallies = batch.tallies();
    let rows: Vec<_> = tallies.iter().filter_map(|row| Some((*ids.get(row.target)?, row))).collect();
    if rows.is_empty() {
        return;
    }
    let upsert = "INSERT INTO podbell.tally AS t SELECT * FROM unnest($1, $2, $3, $4)
        ON CONFLICT (target, quarter) DO UPDATE SET warnings = least(t.warnings + excluded.warnings, 1000000000),
            others = least(t.others + excluded.others, 1000000000)";
    calls.push(
        Call::new(upsert)
            .numbers(rows.iter().map(|(target, _)| *target))
            .numbers(rows.iter().map(|(_, row)| row.quarter))
            .numbers(rows.iter().map(|(_, row)| sql(row.warnings)))
            .numbers(rows.iter().map(|(_, row)| sql(row.others))),
    );
}

fn incidents<'a>(calls: &mut Vec<Call<'a>>, batch: &'a Batch) {
    if !batch.incidents_gone.is_empty() {
        let gone = || batch.incidents_gone.iter().copied().map(sql);
        calls.push(Call::new("DELETE FROM podbell.incident WHERE id = ANY ($1)").numbers(gone()));
        calls.push(Call::new("DELETE FROM podbell.shown WHERE incident = ANY ($1)").numbers(gone()));
    }
    let rows = last_of_each(batch.incidents.iter().collect(), |row: &&IncidentRow| row.id);
    if rows.is_empty() {
        return;
    }
    displaced(calls, &rows);
    let first = |row: &&'a IncidentRow| row.targets.first();
    let upsert =
        "INSERT INTO podbell.incident (id, rule_file, rule_name, group_key, cluster, namespace, workload, phase,
            last_at, ended_at, state, state_version)
        SELECT u.*, $12 FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS u
        ON CONFLICT (id) DO UPDATE SET rule_file = excluded.rule_file, rule_name = excluded.rule_name,
            group_key = excluded.group_key, cluster = excluded.cluster, namespace = excluded.namespace,
            workload = excluded.workload, phase = excluded.phase, last_at = excluded.last_at,
            ended_at = excluded.ended_at, state_version = excluded.state_version, state = excluded.state";
    calls.push(
        Call::new(upsert)
            .numbers(rows.iter().map(|row| sql(row.id)))
            .texts(rows.iter().map(|row| &*row.rule_file))
            .texts(rows.iter().map(|row| &*row.rule_name))
            .texts(rows.iter().map(|row| &*row.group_key))
            .texts(rows.iter().map(|row| first(row).map_or("", |target| &*target.cluster)))
            .texts(rows.iter().map(|row| first(row).map_or("", |target| &*target.namespace)))
            .texts(rows.iter().map(|row| &*row.workload))
            .texts(rows.iter().map(|row| row.phase))
            .numbers(rows.iter().map(|row| row.last_at.millis()))
            .maybe_numbers(rows.iter().map(|row| row.ended_at.map(Time::millis)))
            .bytes(rows.iter().map(|row| &*row.state))
            .number(incident_codec::VERSION),
    );
}

/// Deletes incidents in whose place another one opens: one group has one open incident.
fn displaced<'a>(calls: &mut Vec<Call<'a>>, rows: &[&'a IncidentRow]) {
    let open: Vec<&'a IncidentRow> = rows.iter().copied().filter(|row| row.ended_at.is_none()).collect();
    if open.is_empty() {
        return;
    }
    let delete =
        "DELETE FROM podbell.incident i USING unnest($1, $2, $3, $4) AS u (id, rule_file, rule_name, group_key)
        WHERE i.ended_at IS NULL AND md5(i.group_key) = md5(u.group_key) AND i.rule_file = u.rule_file
            AND i.rule_name = u.rule_name AND i.id <> u.id AND i.id <> ALL ($5)";
    calls.push(
        Call::new(delete)
            .numbers(open.iter().map(|row| sql(row.id)))
            .texts(open.iter().map(|row| &*row.rule_file))
            .texts(open.iter().map(|row| &*row.rule_name))
            .texts(open.iter().map(|row| &*row.group_key))
            .numbers(rows.iter().map(|row| sql(row.id))),
    );
}

/// The services of incidents, unless they are known. Services are only ever added, so an equal number means that none
/// is new.
fn shown<'a>(calls: &mut Vec<Call<'a>>, known: &mut HashMap<u64, usize>, batch: &'a Batch) {
    for id in &batch.incidents_gone {
        known.remove(id);
    }
    let mut rows: Vec<(u64, &'a Target)> = Vec::new();
    for incident in &batch.incidents {
        let count = incident.targets.len();
        if known.insert(incident.id, count) != Some(count) {
            rows.extend(incident.targets.iter().map(|target| (incident.id, target)));
        }
        if incident.ended_at.is_some() {
            known.remove(&incident.id);
        }
    }
    if rows.is_empty() {
        return;
    }
    let insert = "INSERT INTO podbell.shown SELECT * FROM unnest($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    calls.push(
        Call::new(insert)
            .numbers(rows.iter().map(|(incident, _)| sql(*incident)))
            .texts(rows.iter().map(|(_, target)| &*target.source))
            .texts(rows.iter().map(|(_, target)| &*target.cluster))
            .texts(rows.iter().map(|(_, target)| &*target.namespace))
            .texts(rows.iter().map(|(_, target)| &*target.service)),
    );
}

fn decisions<'a>(calls: &mut Vec<Call<'a>>, batch: &'a Batch) {
    if batch.decisions.is_empty() {
        return;
    }
    let insert = "INSERT INTO podbell.decision (id, incident, body)
        SELECT (SELECT coalesce(max(id), 0) FROM podbell.decision) + n, incident, body
        FROM unnest($1, $2) WITH ORDINALITY AS u (incident, body, n)";
    calls.push(
        Call::new(insert)
            .maybe_numbers(batch.decisions.iter().map(|(incident, _)| incident.map(sql)))
            .bytes(batch.decisions.iter().map(|(_, body)| &**body)),
    );
    calls.push(beyond("decision", sql(KEPT_DECISIONS)));
}

/// Mutes, acknowledgements and user actions.
fn people<'a>(calls: &mut Vec<Call<'a>>, batch: &'a Batch) {
    if !batch.mutes.is_empty() {
        let rows = last_of_each(batch.mutes.iter().collect(), |(id, ..)| *id);
        let upsert = "INSERT INTO podbell.mute (id, until, body) SELECT * FROM unnest($1, $2, $3)
            ON CONFLICT (id) DO UPDATE SET until = excluded.until, ended_at = NULL, body = excluded.body";
        calls.push(
            Call::new(upsert)
                .numbers(rows.iter().map(|(id, ..)| sql(*id)))
                .numbers(rows.iter().map(|(_, until, _)| until.millis()))
                .texts(rows.iter().map(|(.., body)| &**body)),
        );
    }
    if !batch.mutes_over.is_empty() {
        let end = Call::new("UPDATE podbell.mute SET ended_at = $2 WHERE id = ANY ($1)");
        calls.push(end.numbers(batch.mutes_over.iter().copied().map(sql)).number(batch.now.millis()));
    }
    let rows = last_of_each(batch.acknowledged.iter().collect(), |(incident, _)| *incident);
    let set: Vec<_> = rows.iter().filter_map(|(incident, body)| Some((*incident, body.as_deref()?))).collect();
    if !set.is_empty() {
        let upsert = "INSERT INTO podbell.acknowledged SELECT * FROM unnest($1, $2)
            ON CONFLICT (incident) DO UPDATE SET body = excluded.body";
        let call = Call::new(upsert).numbers(set.iter().map(|(incident, _)| sql(*incident)));
        calls.push(call.texts(set.iter().map(|(_, body)| *body)));
    }
    let cleared: Vec<i64> =
        rows.iter().filter(|(_, body)| body.is_none()).map(|(incident, _)| sql(*incident)).collect();
    if !cleared.is_empty() {
        calls.push(Call::new("DELETE FROM podbell.acknowledged WHERE incident = ANY ($1)").numbers(cleared));
    }
    if !batch.actions.is_empty() {
        let insert = "INSERT INTO podbell.action (id, at, incident, body)
            SELECT (SELECT coalesce(max(id), 0) FROM podbell.action) + n, at, incident, body
            FROM unnest($1, $2, $3) WITH ORDINALITY AS u (at, incident, body, n)";
        calls.push(
            Call::new(insert)
                .numbers(batch.actions.iter().map(|(at, ..)| at.millis()))
                .maybe_numbers(batch.actions.iter().map(|(_, incident, _)| incident.map(sql)))
                .texts(batch.actions.iter().map(|(.., body)| &**body)),
        );
    }
}

/// Podbell's own troubles, its sources, what windows hold, rollouts.
fn own<'a>(calls: &mut Vec<Call<'a>>, batch: &'a Batch) {
    if !batch.troubles.is_empty() {
        let rows = last_of_each(batch.troubles.iter().collect(), |(id, _)| *id);
        let upsert =
            "INSERT INTO podbell.trouble (id, over, state) SELECT id, false, state FROM unnest($1, $2) AS u (id, state)
            ON CONFLICT (id) DO UPDATE SET over = false, state = excluded.state";
        let call = Call::new(upsert).numbers(rows.iter().map(|(id, _)| sql(*id)));
        calls.push(call.texts(rows.iter().map(|(_, state)| &**state)));
    }
    if !batch.troubles_over.is_empty() {
        let over = Call::new("UPDATE podbell.trouble SET over = true WHERE id = ANY ($1)");
        calls.push(over.numbers(batch.troubles_over.iter().copied().map(sql)));
    }
    held(calls, batch);
    rollouts(calls, batch);
    if !batch.sources.is_empty() {
        let rows = last_of_each(batch.sources.iter().collect(), |(name, _)| name.clone());
        let upsert = "INSERT INTO podbell.source SELECT * FROM unnest($1, $2)
            ON CONFLICT (name) DO UPDATE SET state = excluded.state";
        let call = Call::new(upsert).texts(rows.iter().map(|(name, _)| &**name));
        calls.push(call.texts(rows.iter().map(|(_, state)| &**state)));
    }
}

fn held<'a>(calls: &mut Vec<Call<'a>>, batch: &'a Batch) {
    let rows = last_of_each(batch.held.iter().collect(), |(to, window, _)| (to.clone(), window.clone()));
    let set: Vec<_> =
        rows.iter().filter_map(|(to, window, state)| Some((&**to, &**window, state.as_deref()?))).collect();
    if !set.is_empty() {
        let upsert = r#"INSERT INTO podbell.held SELECT * FROM unnest($1, $2, $3)
            ON CONFLICT (destination, md5("window")) DO UPDATE SET state = excluded.state"#;
        calls.push(
            Call::new(upsert)
                .texts(set.iter().map(|(to, ..)| *to))
                .texts(set.iter().map(|(_, window, _)| *window))
                .texts(set.iter().map(|(.., state)| *state)),
        );
    }
    let over: Vec<_> = rows.iter().filter(|(.., state)| state.is_none()).collect();
    if !over.is_empty() {
        let delete = r#"DELETE FROM podbell.held WHERE (destination, md5("window")) IN
            (SELECT destination, md5("window") FROM unnest($1, $2) AS u (destination, "window"))"#;
        let call = Call::new(delete).texts(over.iter().map(|(to, ..)| &**to));
        calls.push(call.texts(over.iter().map(|(_, window, _)| &**window)));
    }
}

fn rollouts<'a>(calls: &mut Vec<Call<'a>>, batch: &'a Batch) {
    let rows = last_of_each(batch.rollouts.iter().collect(), |(key, _)| key.clone());
    let (set, over): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, body)| body.is_some());
    let keyed = |sql, rows: &[&'a (podbell_core::step::WorkloadKey, Option<String>)]| {
        Call::new(sql)
            .texts(rows.iter().map(|((target, _), _)| &*target.source))
            .texts(rows.iter().map(|((target, _), _)| &*target.cluster))
            .texts(rows.iter().map(|((target, _), _)| &*target.namespace))
            .texts(rows.iter().map(|((target, _), _)| &*target.service))
            .texts(rows.iter().map(|((_, workload), _)| &**workload))
    };
    if !set.is_empty() {
        let upsert = "INSERT INTO podbell.rollout SELECT * FROM unnest($1, $2, $3, $4, $5, $6)
            ON CONFLICT (source, cluster, namespace, service, workload) DO UPDATE SET body = excluded.body";
        calls.push(keyed(upsert, &set).maybe_texts(set.iter().map(|(_, body)| body.as_deref())));
    }
    if !over.is_empty() {
        let delete = "DELETE FROM podbell.rollout WHERE (source, cluster, namespace, service, workload) IN
            (SELECT * FROM unnest($1, $2, $3, $4, $5))";
        calls.push(keyed(delete, &over));
    }
}

/// The service itself: answers, rules, heartbeat.
fn meta<'a>(calls: &mut Vec<Call<'a>>, batch: &'a Batch) {
    if !batch.answered.is_empty() {
        let done = "UPDATE podbell.inbox i SET done_at = $3, answer = u.answer FROM unnest($1, $2) AS u (id, answer)
            WHERE i.id = u.id";
        let rows = last_of_each(batch.answered.iter().collect(), |(item, _)| item.id);
        calls.push(
            Call::new(done)
                .numbers(rows.iter().map(|(item, _)| item.id))
                .texts(rows.iter().map(|(_, answer)| &**answer))
                .number(batch.now.millis()),
        );
    }
    if !batch.good_rules.is_empty() {
        let rows = last_of_each(batch.good_rules.iter().collect(), |(name, _)| name.clone());
        let good = "INSERT INTO podbell.rule_file SELECT name, text, $3 FROM unnest($1, $2) AS u (name, text)
            ON CONFLICT (name) DO UPDATE SET text = excluded.text, good_at = excluded.good_at";
        calls.push(
            Call::new(good)
                .texts(rows.iter().map(|(name, _)| &**name))
                .texts(rows.iter().map(|(_, text)| &**text))
                .number(batch.now.millis()),
        );
    }
    let mut set: Vec<(&'static str, String)> = Vec::new();
    set.extend(batch.rules_generation.map(|generation| ("rules", generation.cast_signed().to_string())));
    set.extend(batch.heartbeat.map(|beat| ("heartbeat", beat.millis().to_string())));
    match &batch.days {
        None => {}
        Some(DaysRow::Counted(days)) => set.push(("days", days.clone())),
        Some(DaysRow::Unwanted) => calls.push(Call::new("DELETE FROM podbell.meta WHERE key = 'days'")),
    }
    if !set.is_empty() {
        let upsert = "INSERT INTO podbell.meta SELECT * FROM unnest($1, $2)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        let (keys, values): (Vec<_>, Vec<_>) = set.into_iter().unzip();
        calls.push(Call::new(upsert).texts(keys).made_texts(values.into_iter().map(Some)));
    }
}
