//! What several replicas need of the adapter, on a real server.

mod address;
mod calls;
mod copies;
mod lease;
mod lost_answers;
mod prepared;

use std::path::Path;
use std::sync::Arc;

use super::Server;
use super::call::Call;
use super::session::Session;
use crate::{Batch, ClaimOutcome, Holder, Location, Writer};
use podbell_core::event::Target;
use podbell_core::step::TargetState;
use podbell_core::time::Time;

const NOW: Time = Time::from_millis(1_800_000_000_000);

fn server(address: &str) -> Arc<Server> {
    Arc::new(Server::parse(address.strip_prefix("postgres://").unwrap(), Path::new("/")).unwrap())
}

fn location(address: &str) -> Location {
    Location::Postgres(server(address))
}

fn active(location: &Location, replica: &str) -> Box<dyn Writer> {
    match location.candidate(replica).claim(NOW).unwrap() {
        ClaimOutcome::Active(writer) => writer,
        ClaimOutcome::Standby(holder) => panic!("{holder:?} is active"),
    }
}

fn standby(location: &Location) -> Holder {
    match location.candidate("another").claim(NOW).unwrap() {
        ClaimOutcome::Active(_) => panic!("it became active"),
        ClaimOutcome::Standby(holder) => holder,
    }
}

fn one_target(name: &str) -> Batch {
    let target = Target::new("prod", "cls-1", "shop", name);
    Batch { now: NOW, targets: vec![(target, TargetState::default())], ..Batch::default() }
}

fn targets(location: &Location) -> u64 {
    location.reader().unwrap().snapshot().unwrap().service_count().unwrap()
}

fn run(address: &str, sql: &'static str) {
    Session::open(&server(address)).unwrap().query(Call::new(sql)).unwrap();
}

/// As if the lease's time had passed.
fn expire(address: &str) {
    run(address, "UPDATE podbell.lease SET expires_at = clock_timestamp() - interval '1 millisecond'");
}
