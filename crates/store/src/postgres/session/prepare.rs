//! Statements that the server parses once for a connection, and usually plans once after their fifth use. Behind a pooler
//! each transaction may run on another connection, which does not have them, so they are prepared only where no pooler
//! stands between.
//!
//! To a client that connects, a pooler announces a number of its own for the process, because the processes of the server
//! change. So the number that was announced is compared with the process that runs a statement. The client discloses what
//! was announced only in its request to cancel a query, so such a request is written into memory and read.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::types::Type;
use tokio_postgres::{CancelToken, Statement};

use super::{Session, all_in_order};
use crate::postgres::blocking;
use crate::postgres::call::Call;
use crate::postgres::column::get;
use crate::postgres::error::PostgresError;

/// What waits for the description of one statement.
type Preparing<'a> = Pin<Box<dyn Future<Output = Result<Statement, tokio_postgres::Error>> + 'a>>;

impl Session {
    /// Prepares the statements of these calls, in their order; `None` behind a pooler, or when the server refuses.
    pub(in crate::postgres) fn prepare(&self, calls: &[Call<'_>]) -> Result<Option<Vec<Statement>>, PostgresError> {
        if !self.is_direct()? {
            return Ok(None);
        }
        let types: Vec<Vec<Type>> =
            calls.iter().map(|call| call.parameters().into_iter().map(|(_, kind)| kind).collect()).collect();
        let preparing = calls.iter().zip(&types).map(|(call, types)| self.preparing(call, types)).collect();
        let prepared: Result<Vec<_>, _> = self.wait(self.limit, all_in_order(preparing))?.into_iter().collect();
        match prepared.map_err(|error| PostgresError::of(&*self.server, error)) {
            Ok(prepared) => Ok(Some(prepared)),
            Err(PostgresError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn preparing<'a>(&'a self, call: &'a Call<'_>, types: &'a [Type]) -> Preparing<'a> {
        Box::pin(self.client.prepare_typed(call.sql(), types))
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
