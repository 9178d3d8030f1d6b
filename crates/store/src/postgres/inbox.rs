//! The inbox: every replica may hand commands to the one that is active.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::call::Call;
use super::column::get;
use super::error::PostgresError;
use super::migrate;
use super::server::Server;
use super::session::Session;
use crate::{Command, Inbox, InboxItem, StoreError};
use podbell_core::time::Time;

/// How long the server may take: shorter than a person waits.
const LIMIT: Duration = Duration::from_secs(3);

/// A connection for commands. One that broke off is made again with the next command.
struct Sender {
    server: Arc<Server>,
    session: Mutex<Session>,
}

/// Opens the store beside its owner, to hand it commands.
pub(crate) fn inbox(server: &Arc<Server>) -> Result<Box<dyn Inbox>, StoreError> {
    let session = connect(server)?;
    Ok(Box::new(Sender { server: server.clone(), session: Mutex::new(session) }))
}

fn connect(server: &Arc<Server>) -> Result<Session, PostgresError> {
    let mut session = Session::open(server)?;
    session.limit_calls(LIMIT);
    migrate::check_beside(&session)?;
    Ok(session)
}

impl Sender {
    fn run<T>(&self, run: impl FnOnce(&Session) -> Result<T, PostgresError>) -> Result<T, StoreError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if session.is_closed() {
            *session = connect(&self.server)?;
        }
        Ok(run(&session)?)
    }
}

impl Inbox for Sender {
    fn submit(&self, key: Option<&str>, command: &Command, now: Time) -> Result<i64, StoreError> {
        self.run(|session| {
            let json = serde_json::to_string(command).map_err(|error| session.damaged("a command", error))?;
            // An update without a change makes the row that is there the one that is returned.
            let insert = "INSERT INTO podbell.inbox (at, command, key) VALUES ($1, $2, $3)
                ON CONFLICT (key) WHERE key IS NOT NULL DO UPDATE SET key = excluded.key RETURNING id";
            let call = Call::new(insert).number(now.millis()).text(&json).maybe_text(key);
            let id = session.read(call, "a command", |row| get(row, 0))?.pop();
            id.ok_or_else(|| session.damaged("a command", "it has no number"))
        })
    }

    fn submitted(&self, key: &str) -> Result<Option<InboxItem>, StoreError> {
        let select = "SELECT id, command FROM podbell.inbox WHERE key = $1";
        let submitted = self.run(|session| {
            let read = |row: &_| Ok((get(row, 0)?, get::<String>(row, 1)?));
            let Some((id, json)) = session.read(Call::new(select).text(key), "a command", read)?.pop() else {
                return Ok(None);
            };
            let command = serde_json::from_str(&json).map_err(|error| session.damaged("a command", error))?;
            Ok(Some(InboxItem { id, command }))
        })?;
        Ok(submitted)
    }

    fn answer(&self, id: i64) -> Result<Option<String>, StoreError> {
        let select = "SELECT answer FROM podbell.inbox WHERE id = $1 AND done_at IS NOT NULL";
        let read = |session: &Session| session.read(Call::new(select).number(id), "an answer", |row| get(row, 0));
        Ok(self.run(read)?.pop().flatten())
    }

    fn withdraw(&self, id: i64) -> Result<bool, StoreError> {
        let delete = "DELETE FROM podbell.inbox WHERE id = $1 AND done_at IS NULL RETURNING id";
        Ok(!self.run(|session| session.query(Call::new(delete).number(id)))?.is_empty())
    }
}
