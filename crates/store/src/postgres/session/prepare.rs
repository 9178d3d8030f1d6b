//! Statements that ran before on a connection are prepared there: the server parses them once, and usually plans them once after
//! their fifth use. Behind a pooler
//! each transaction may run on another connection, which does not have them, so they are prepared only where no pooler
//! stands between.
//!
//! To a client that connects, a pooler announces a number of its own for the process, because the processes of the server
//! change. So the number that was announced is compared with the process that runs a statement. The client discloses what
//! was announced only in its request to cancel a query, so such a request is written into memory and read.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::types::Type;
use tokio_postgres::{CancelToken, Statement};

use super::{Parameter, Session, all_in_order};
use crate::postgres::blocking;
use crate::postgres::call::Call;
use crate::postgres::column::get;
use crate::postgres::error::PostgresError;

/// How often a statement has to run on a connection until it is prepared there.
const REPEATED: u32 = 3;
/// How many statements of a connection are counted.
const MAX: usize = 128;

/// What waits for the description of one statement.
type Preparing<'a> = Pin<Box<dyn Future<Output = Result<Statement, tokio_postgres::Error>> + 'a>>;

/// The statements that run on a connection, by their texts.
#[derive(Default)]
pub(super) struct Statements {
    known: HashMap<String, StatementState>,
    /// Whether no pooler stands between; `None` before it was asked.
    is_direct: Option<bool>,
}

enum StatementState {
    /// It ran so often, with parameters of these types.
    Ran(u32, Vec<Type>),
    Prepared(Statement),
    /// The server does not prepare it.
    Refused,
}

impl Statements {
    /// What is prepared of these calls.
    pub(super) fn prepared(&self, calls: &[Call<'_>]) -> Vec<Option<Statement>> {
        let prepared = |call: &Call<'_>| match self.known.get(call.sql()) {
            Some(StatementState::Prepared(statement)) => Some(statement.clone()),
            _ => None,
        };
        calls.iter().map(prepared).collect()
    }

    /// Counts what ran.
    pub(super) fn ran(&mut self, calls: &[Call<'_>], parameters: &[Vec<Parameter<'_>>]) {
        if self.is_direct == Some(false) {
            return;
        }
        for (call, parameters) in calls.iter().zip(parameters) {
            let is_full = self.known.len() >= MAX;
            match self.known.get_mut(call.sql()) {
                Some(StatementState::Ran(times, _)) => *times = times.saturating_add(1),
                Some(StatementState::Prepared(_) | StatementState::Refused) => {}
                None if is_full || !can_be_prepared(call.sql()) => {}
                None => {
                    let types = parameters.iter().map(|(_, kind)| kind.clone()).collect();
                    self.known.insert(call.sql().to_owned(), StatementState::Ran(1, types));
                }
            }
        }
    }

    /// A statement that somebody made the server forget, or whose tables were changed, fails once.
    pub(super) fn failed(&mut self, error: &tokio_postgres::Error) {
        if [Some(&SqlState::INVALID_SQL_STATEMENT_NAME), Some(&SqlState::FEATURE_NOT_SUPPORTED)].contains(&error.code())
        {
            *self = Self { known: HashMap::new(), is_direct: Some(false) };
        }
    }

    fn repeated(&self) -> Vec<(String, Vec<Type>)> {
        let repeated = |(sql, known): (&String, &StatementState)| match known {
            StatementState::Ran(times, types) if *times >= REPEATED => Some((sql.clone(), types.clone())),
            _ => None,
        };
        self.known.iter().filter_map(repeated).collect()
    }
}

/// Whether a statement can be prepared: the others begin or end transactions, or depend on a cursor of one.
fn can_be_prepared(sql: &str) -> bool {
    let first = sql.split_whitespace().next().unwrap_or_default();
    ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&first)
}

impl Session {
    pub(super) fn statements(&self) -> MutexGuard<'_, Statements> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prepares what ran repeatedly on this connection. To be called outside of a transaction, which a refusal would end. It waits
    /// only when there is something new to prepare.
    pub(in crate::postgres) fn prepare_repeated(&self) -> Result<(), PostgresError> {
        let repeated = self.statements().repeated();
        if repeated.is_empty() {
            return Ok(());
        }
        let known = self.statements().is_direct;
        let is_direct = known.map_or_else(|| self.is_direct(), Ok)?;
        self.statements().is_direct = Some(is_direct);
        if !is_direct {
            self.statements().known.clear();
            return Ok(());
        }
        let preparing =
            repeated.iter().map(|(sql, types)| -> Preparing<'_> { Box::pin(self.client.prepare_typed(sql, types)) });
        let described = self.wait(self.limit, all_in_order(preparing.collect()))?;
        for ((sql, _), described) in repeated.into_iter().zip(described) {
            let known = match described.map_err(|error| PostgresError::of(&*self.server, error)) {
                Ok(statement) => StatementState::Prepared(statement),
                Err(PostgresError::Refused { .. }) => StatementState::Refused,
                Err(error) => return Err(error),
            };
            self.statements().known.insert(sql, known);
        }
        Ok(())
    }

    /// Whether the process that was announced to this connection is the one that runs its statements.
    fn is_direct(&self) -> Result<bool, PostgresError> {
        let processes = self.read(Call::new("SELECT pg_backend_pid()"), "a process", |row| get::<i32>(row, 0))?;
        Ok(processes.first().is_some_and(|process| announced(&self.client.cancel_token()) == Some(*process)))
    }
}

/// The process that was announced to a connection.
fn announced(token: &CancelToken) -> Option<i32> {
    let memory = Memory::default();
    let written = memory.written.clone();
    blocking::wait(super::CONNECT, token.cancel_query_raw(memory, Unencrypted)).ok()??.ok()?;
    let written = written.lock().unwrap_or_else(PoisonError::into_inner);
    // Its end is two numbers of four bytes, the process and its secret ("CancelRequest" in PostgreSQL's message formats).
    let [process, _secret] = written.last_chunk::<8>()?.as_chunks::<4>().0 else { return None };
    Some(i32::from_be_bytes(*process))
}

/// Keeps what is written. Whoever reads gets `S`: a server says so that it speaks TLS.
#[derive(Default)]
struct Memory {
    written: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Memory {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        buffer.put_slice(b"S".get(..buffer.remaining().min(1)).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl TlsStream for Memory {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

/// In memory nothing needs to be encrypted, whatever the connection itself asks for.
struct Unencrypted;

impl TlsConnect<Memory> for Unencrypted {
    type Stream = Memory;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Memory>>;

    fn connect(self, memory: Memory) -> Self::Future {
        std::future::ready(Ok(memory))
    }
}
