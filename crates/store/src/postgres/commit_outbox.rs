//! The outbox of a batch as statements.

use super::call::{Call, last_of_each};
use crate::rows::sql;
use crate::{Batch, SendRow, ThreadRow};
use podbell_core::outbox::DeliveryState;
use podbell_core::rule::Destination;
use podbell_core::time::Time;

/// In this order: what is told, to whom, how far it is.
pub(super) fn outbox<'a>(calls: &mut Vec<Call<'a>>, batch: &'a Batch) {
    if !batch.notices.is_empty() {
        let rows = &batch.notices;
        let insert = "INSERT INTO podbell.notice SELECT * FROM unnest($1, $2, $3, $4, $5, $6)";
        calls.push(
            Call::new(insert)
                .numbers(rows.iter().map(|row| sql(row.id)))
                .texts(rows.iter().map(|row| row.kind))
                .texts(rows.iter().map(|row| row.severity))
                .maybe_numbers(rows.iter().map(|row| row.incident.map(sql)))
                .numbers(rows.iter().map(|row| row.made_at.millis()))
                .texts(rows.iter().map(|row| &*row.facts)),
        );
    }
    renamed(calls, &batch.destinations_renamed);
    if !batch.destinations_gone.is_empty() {
        for delete in [
            "DELETE FROM podbell.destination WHERE name = ANY ($1)",
            "DELETE FROM podbell.thread WHERE destination = ANY ($1)",
        ] {
            calls.push(Call::new(delete).texts(batch.destinations_gone.iter().map(|name| &**name)));
        }
    }
    deliveries(calls, batch);
    sends(calls, batch);
    threads(calls, batch);
    if !batch.destinations.is_empty() {
        let rows = last_of_each(batch.destinations.iter().collect(), |(name, ..)| name.clone());
        let upsert = "INSERT INTO podbell.destination SELECT * FROM unnest($1, $2, $3)
            ON CONFLICT (name) DO UPDATE SET fingerprint = excluded.fingerprint, health = excluded.health";
        calls.push(
            Call::new(upsert)
                .texts(rows.iter().map(|(name, ..)| &**name))
                .texts(rows.iter().map(|(_, fingerprint, _)| &**fingerprint))
                .texts(rows.iter().map(|(.., health)| &**health)),
        );
    }
}

/// Renames destinations, one after the other: a later one may rename what an earlier one made.
fn renamed<'a>(calls: &mut Vec<Call<'a>>, renamed: &'a [(Destination, Destination)]) {
    if renamed.is_empty() {
        return;
    }
    let mut names: Vec<(&'a str, &'a str)> = Vec::new();
    for (from, to) in renamed {
        for (_, name) in names.iter_mut().filter(|(_, name)| **name == **from) {
            *name = to;
        }
        if !names.iter().any(|(first, _)| **first == **from) {
            names.push((from, to));
        }
    }
    for table in ["delivery", "send", "thread"] {
        let update = format!(
            "UPDATE podbell.{table} t SET destination = u.name FROM unnest($1, $2) AS u (first, name) WHERE t.destination = u.first"
        );
        let call = Call::new(update).texts(names.iter().map(|(first, _)| *first));
        calls.push(call.texts(names.iter().map(|(_, name)| *name)));
    }
    let delete = Call::new("DELETE FROM podbell.destination WHERE name = ANY ($1)");
    calls.push(delete.texts(renamed.iter().map(|(from, _)| &**from)));
}

fn deliveries<'a>(calls: &mut Vec<Call<'a>>, batch: &'a Batch) {
    if !batch.deliveries.is_empty() {
        let insert = "INSERT INTO podbell.delivery (id, notice, destination, state, content, born)
            SELECT id, notice, destination, 'due', 'full', born FROM unnest($1, $2, $3, $4) AS u (id, notice, destination, born)";
        let rows = &batch.deliveries;
        calls.push(
            Call::new(insert)
                .numbers(rows.iter().map(|(_, delivery)| sql(delivery.id.0)))
                .numbers(rows.iter().map(|(_, delivery)| sql(delivery.notice)))
                .texts(rows.iter().map(|(to, _)| &**to))
                .numbers(rows.iter().map(|(_, delivery)| millis(delivery.born))),
        );
    }
    if batch.delivery_states.is_empty() {
        return;
    }
    let rows: Vec<StateRow<'a>> = batch.delivery_states.iter().map(|(_, state)| StateRow::of(state)).collect();
    let update = "UPDATE podbell.delivery d SET state = u.state,
            send = CASE u.state WHEN 'claimed' THEN u.send WHEN 'due' THEN NULL WHEN 'dead' THEN NULL ELSE d.send END,
            done_at = CASE u.state WHEN 'claimed' THEN d.done_at ELSE u.done_at END,
            why = CASE u.state WHEN 'due' THEN NULL WHEN 'dead' THEN u.why ELSE d.why END,
            content = coalesce(u.content, d.content), born = coalesce(u.born, d.born),
            folded_into = coalesce(u.folded_into, d.folded_into)
        FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) AS u (id, state, send, done_at, folded_into, why, content, born)
        WHERE d.id = u.id";
    calls.push(
        Call::new(update)
            .numbers(batch.delivery_states.iter().map(|(id, _)| sql(id.0)))
            .texts(rows.iter().map(|row| row.state))
            .maybe_numbers(rows.iter().map(|row| row.send))
            .maybe_numbers(rows.iter().map(|row| row.done_at))
            .maybe_numbers(rows.iter().map(|row| row.folded_into))
            .maybe_texts(rows.iter().map(|row| row.why))
            .maybe_texts(rows.iter().map(|row| row.content))
            .maybe_numbers(rows.iter().map(|row| row.born)),
    );
}

/// A delivery's state as columns. The statement decides which of the absent ones are kept and which are cleared.
#[derive(Default)]
struct StateRow<'a> {
    state: &'static str,
    send: Option<i64>,
    done_at: Option<i64>,
    folded_into: Option<i64>,
    why: Option<&'a str>,
    content: Option<&'a str>,
    born: Option<i64>,
}

impl<'a> StateRow<'a> {
    fn of(state: &'a DeliveryState) -> Self {
        match state {
            DeliveryState::Due { content, born } => {
                Self { state: "due", content: Some(content.as_str()), born: Some(millis(*born)), ..Self::default() }
            }
            DeliveryState::Claimed { send } => Self { state: "claimed", send: Some(sql(send.0)), ..Self::default() },
            DeliveryState::Sent { at } => Self { state: "sent", done_at: Some(at.millis()), ..Self::default() },
            DeliveryState::Folded { at, into } => {
                Self { state: "folded", done_at: Some(at.millis()), folded_into: Some(sql(into.0)), ..Self::default() }
            }
            DeliveryState::Dead { at, why } => {
                Self { state: "dead", done_at: Some(at.millis()), why: Some(why), ..Self::default() }
            }
        }
    }
}

fn sends<'a>(calls: &mut Vec<Call<'a>>, batch: &'a Batch) {
    if !batch.sends.is_empty() {
        let rows: &'a [SendRow] = &batch.sends;
        let insert = "INSERT INTO podbell.send (id, destination, claimed_at, attempts, body)
            SELECT id, destination, claimed_at, 1, body FROM unnest($1, $2, $3, $4) AS u (id, destination, claimed_at, body)";
        calls.push(
            Call::new(insert)
                .numbers(rows.iter().map(|row| sql(row.id.0)))
                .texts(rows.iter().map(|row| &*row.destination))
                .numbers(rows.iter().map(|row| row.claimed_at.millis()))
                .bytes(rows.iter().map(|row| &*row.body)),
        );
    }
    if !batch.repeated.is_empty() {
        let rows = last_of_each(batch.repeated.iter().collect(), |(send, _)| send.0);
        let update =
            "UPDATE podbell.send s SET attempts = u.attempts FROM unnest($1, $2) AS u (id, attempts) WHERE s.id = u.id";
        let call = Call::new(update).numbers(rows.iter().map(|(send, _)| sql(send.0)));
        calls.push(call.numbers(rows.iter().map(|(_, attempts)| i64::from(*attempts))));
    }
    if !batch.settled.is_empty() {
        let rows = last_of_each(batch.settled.iter().collect(), |(send, _)| send.0);
        let update =
            "UPDATE podbell.send s SET settled = u.settled FROM unnest($1, $2) AS u (id, settled) WHERE s.id = u.id";
        let call = Call::new(update).numbers(rows.iter().map(|(send, _)| sql(send.0)));
        calls.push(call.texts(rows.iter().map(|(_, result)| result.as_str())));
    }
    if !batch.attempts.is_empty() {
        let insert = Call::new("INSERT INTO podbell.attempt SELECT * FROM unnest($1, $2)");
        let call = insert.numbers(batch.attempts.iter().map(|(_, at)| at.millis()));
        calls.push(call.texts(batch.attempts.iter().map(|(endpoint, _)| &**endpoint)));
    }
}

/// The messages that stand for incidents.
fn threads<'a>(calls: &mut Vec<Call<'a>>, batch: &'a Batch) {
    let rows = last_of_each(batch.threads.iter().collect(), |(to, incident, _)| (to.clone(), *incident));
    let set: Vec<(&'a str, i64, &'a ThreadRow)> =
        rows.iter().filter_map(|(to, incident, thread)| Some((&**to, sql(*incident), thread.as_ref()?))).collect();
    if !set.is_empty() {
        let upsert = "INSERT INTO podbell.thread SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (destination, incident) DO UPDATE SET place = excluded.place, channel = excluded.channel,
                message = excluded.message, since = excluded.since, shown = excluded.shown, shown_at = excluded.shown_at";
        let shown = || set.iter().map(|(.., thread)| thread.shown.as_ref());
        calls.push(
            Call::new(upsert)
                .texts(set.iter().map(|(to, ..)| *to))
                .numbers(set.iter().map(|(_, incident, _)| *incident))
                .texts(set.iter().map(|(.., thread)| &*thread.place))
                .texts(set.iter().map(|(.., thread)| &*thread.parent.channel))
                .texts(set.iter().map(|(.., thread)| &*thread.parent.message))
                .numbers(set.iter().map(|(.., thread)| thread.since.millis()))
                .maybe_texts(shown().map(|shown| shown.map(|(shown, _)| &**shown)))
                .maybe_numbers(shown().map(|shown| shown.map(|(_, at): &(String, Time)| at.millis()))),
        );
    }
    let over: Vec<_> = rows.iter().filter(|(.., thread)| thread.is_none()).collect();
    if !over.is_empty() {
        let delete = "DELETE FROM podbell.thread WHERE (destination, incident) IN (SELECT * FROM unnest($1, $2))";
        let call = Call::new(delete).texts(over.iter().map(|(to, ..)| &**to));
        calls.push(call.numbers(over.iter().map(|(_, incident, _)| sql(*incident))));
    }
}

fn millis(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
