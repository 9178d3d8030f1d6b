//! Statements that are prepared, and where they are not.

use super::*;
use crate::test_server;

const SERVICES: &str = "SELECT service FROM podbell.target WHERE service = $1";

fn prepared(session: &Session) -> Option<Vec<tokio_postgres::Statement>> {
    session.prepare(&[Call::new(SERVICES).text("")]).unwrap()
}

#[test]
fn statements_are_prepared_where_the_server_itself_answers() {
    let address = test_server::database();
    let location = location(&address);
    active(&location, "first").commit(&one_target("web")).unwrap();
    // Whatever a client says about encryption before it connects is said before it cancels, too.
    for mode in ["disable", "prefer", "require"] {
        let session = Session::open(&server(&format!("{address}?sslmode={mode}"))).unwrap();
        let statements = prepared(&session).unwrap();
        for (name, found) in [("web", 1), ("api", 0), ("web", 1)] {
            let rows = session.query(Call::new(SERVICES).text(name).with_prepared(statements.first())).unwrap();
            assert_eq!(rows.len(), found, "{name}");
        }
        let known = session.query(Call::new("SELECT name FROM pg_prepared_statements")).unwrap();
        assert_eq!(known.len(), 1, "{mode}");
    }
}

#[test]
fn nothing_is_prepared_behind_a_pooler() {
    let address = test_server::pooled_database();
    drop(active(&location(&address), "first"));
    let session = Session::open(&server(&address)).unwrap();
    assert!(prepared(&session).is_none());
    let known = session.query(Call::new("SELECT name FROM pg_prepared_statements")).unwrap();
    assert!(known.is_empty(), "a pooled connection is given to others, too");
}

#[test]
fn what_the_server_refuses_to_prepare_is_asked_unprepared() {
    let session = Session::open(&server(&test_server::database())).unwrap();
    let prepared = session.prepare(&[Call::new("SELECT no_such_function($1)").text("")]).unwrap();
    assert!(prepared.is_none());
    assert_eq!(session.query(Call::new("SELECT 1")).unwrap().len(), 1, "the connection goes on");
}

#[test]
fn a_prepared_statement_that_is_lost_costs_one_question() {
    let address = test_server::database();
    let location = location(&address);
    active(&location, "first").commit(&one_target("web")).unwrap();
    for loss in ["DEALLOCATE ALL", "ALTER TABLE podbell.target ALTER service TYPE varchar"] {
        let mut session = Session::open(&server(&address)).unwrap();
        let statements = prepared(&session).unwrap();
        let ask = |session: &Session| session.query(Call::new(SERVICES).text("web").with_prepared(statements.first()));
        assert_eq!(ask(&session).unwrap().len(), 1);
        session.query(Call::new(loss)).unwrap();
        let refused = ask(&session).unwrap_err().to_string();
        assert!(refused.contains("prepared statement") || refused.contains("cached plan"), "{refused}");
        session = Session::open(&server(&address)).unwrap();
        let again = prepared(&session).unwrap();
        assert_eq!(session.query(Call::new(SERVICES).text("web").with_prepared(again.first())).unwrap().len(), 1);
    }
}

#[test]
fn a_connection_that_ends_is_no_pooler() {
    let session = Session::open(&server(&test_server::database())).unwrap();
    session.query(Call::new("SELECT pg_terminate_backend(pg_backend_pid())")).unwrap_err();
    session.prepare(&[Call::new("SELECT 1")]).unwrap_err();
}
