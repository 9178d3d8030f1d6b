//! Statements that are prepared, and where they are not.

use super::*;
use crate::postgres::error::PostgresError;
use crate::test_server;

const SERVICES: &str = "SELECT service FROM podbell.target WHERE service = $1";

fn ask(session: &Session, name: &str) -> Result<usize, PostgresError> {
    session.query(Call::new(SERVICES).text(name)).map(|rows| rows.len())
}

/// Asks as often as makes a statement worth being prepared.
fn ask_repeatedly(session: &Session) {
    for (name, found) in [("web", 1), ("api", 0), ("web", 1)] {
        assert_eq!(ask(session, name).unwrap(), found, "{name}");
    }
    session.prepare_repeated().unwrap();
}

fn prepared(session: &Session) -> Vec<String> {
    let rows = session.query(Call::new("SELECT statement FROM pg_prepared_statements ORDER BY statement")).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// A store with the service `web`.
fn store() -> String {
    let address = test_server::database();
    active(&location(&address), "first").commit(&one_target("web")).unwrap();
    address
}

#[test]
fn what_repeats_is_prepared_where_the_server_itself_answers() {
    let address = store();
    // Whatever a client says about encryption before it connects is said before it cancels, too.
    for mode in ["disable", "prefer", "require"] {
        let session = Session::open(&server(&format!("{address}?sslmode={mode}"))).unwrap();
        assert!(ask(&session, "web").is_ok() && ask(&session, "api").is_ok());
        session.prepare_repeated().unwrap();
        assert_eq!(prepared(&session), [""; 0], "{mode}: it may not come again");
        ask_repeatedly(&session);
        assert_eq!(prepared(&session), [SERVICES], "{mode}");
        ask_repeatedly(&session);
    }
}

#[test]
fn nothing_is_prepared_behind_a_pooler() {
    let address = test_server::pooled_database();
    active(&location(&address), "first").commit(&one_target("web")).unwrap();
    let session = Session::open(&server(&address)).unwrap();
    ask_repeatedly(&session);
    ask_repeatedly(&session);
    assert_eq!(prepared(&session), [""; 0], "a pooled connection is given to others, too");
}

#[test]
fn what_begins_or_ends_a_transaction_or_reads_a_cursor_is_not_prepared() {
    let session = Session::open(&server(&store())).unwrap();
    for _ in 0..3 {
        let calls = ["BEGIN", "DECLARE many NO SCROLL CURSOR FOR SELECT 1", "FETCH 5 FROM many", "COMMIT"];
        session.pipeline(&calls.map(Call::new), crate::postgres::CALL_LIMIT).unwrap();
        session.prepare_repeated().unwrap();
    }
    assert_eq!(prepared(&session), [""; 0]);
}

#[test]
fn what_the_server_refuses_to_prepare_is_asked_unprepared() {
    let session = Session::open(&server(&store())).unwrap();
    session.query(Call::new("CREATE FUNCTION made_up(text) RETURNS text AS 'SELECT $1' LANGUAGE sql")).unwrap();
    let made_up = || session.query(Call::new("SELECT made_up($1)").text("x"));
    assert!(made_up().is_ok() && made_up().is_ok() && made_up().is_ok());
    session.query(Call::new("DROP FUNCTION made_up")).unwrap();
    session.prepare_repeated().unwrap();
    assert!(made_up().is_err());
    assert_eq!(ask(&session, "web").unwrap(), 1, "the connection goes on");
}

#[test]
fn a_prepared_statement_that_is_lost_costs_one_question() {
    for loss in ["DEALLOCATE ALL", "ALTER TABLE podbell.target ALTER service TYPE varchar"] {
        let session = Session::open(&server(&store())).unwrap();
        ask_repeatedly(&session);
        session.query(Call::new(loss)).unwrap();
        let refused = ask(&session, "web").unwrap_err().to_string();
        assert!(refused.contains("prepared statement") || refused.contains("cached plan"), "{refused}");
        ask_repeatedly(&session);
    }
}

#[test]
fn a_connection_that_ends_is_no_pooler() {
    let session = Session::open(&server(&store())).unwrap();
    assert!((0..3).all(|_| ask(&session, "web").is_ok()));
    session.query(Call::new("SELECT pg_terminate_backend(pg_backend_pid())")).unwrap_err();
    session.prepare_repeated().unwrap_err();
}
