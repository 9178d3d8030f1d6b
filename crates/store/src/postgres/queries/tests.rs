//! When a reader prepares what it asks.

use std::path::Path;

use super::*;
use crate::{Claim, Location, Reader as _, test_server};

const NOW: Time = Time::from_millis(1_800_000_000_000);

#[test]
fn the_second_question_on_a_connection_finds_its_statements_prepared() {
    let address = test_server::database();
    let server = Arc::new(Server::parse(address.strip_prefix("postgres://").unwrap(), Path::new("/")).unwrap());
    let Claim::Active(_owner) = Location::Postgres(server.clone()).candidate("first").claim(NOW).unwrap() else {
        panic!()
    };
    let mut reader = Reader::open(&server).unwrap();
    let known =
        |reader: &Reader| reader.session.query(Call::new("SELECT name FROM pg_prepared_statements")).unwrap().len();
    assert_eq!(reader.snapshot().unwrap().service_count().unwrap(), 0);
    assert_eq!(known(&reader), 0, "another question needs none");
    for prepared in [0, by_name::calls("", NOW).len()] {
        assert!(reader.snapshot().unwrap().services_to_show("web", NOW).unwrap().is_empty());
        assert_eq!(known(&reader), prepared);
    }
}
