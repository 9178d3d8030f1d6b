//! One connection. All that leaves together is pipelined, and each call has a time limit of its own: a connection that
//! is cut in one direction must not hang, and the kernel notices that too late.
//!
//! A pooler may give each transaction another connection to the server: nothing is kept in a session but statements that
//! are prepared where no pooler stands between.

mod prepare;
mod read;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::prepare::Statements;
use super::call::Call;
use super::column::get;
use super::error::PostgresError;
use super::server::{Password, Server, TlsMode};
use super::{blocking, passfile, tls};

/// How long connecting to one host may take.
const CONNECT: Duration = Duration::from_secs(3);
/// After how long without an acknowledgement of what was sent the kernel gives a connection up.
const UNACKNOWLEDGED: Duration = Duration::from_secs(6);
/// The oldest version of the server, as `server_version_num`.
const OLDEST: i64 = 130_000;

/// A value and its type.
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);
/// What waits for the responses of one call.
type Waiting<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, tokio_postgres::Error>> + 'a>>;

/// A connection to the server.
pub(super) struct Session {
    server: Arc<Server>,
    client: Client,
    /// Reads and writes the connection.
    task: tokio::task::JoinHandle<()>,
    tls: Option<MakeRustlsConnect>,
    /// How long a call may take that has no limit of its own.
    limit: Duration,
    statements: Mutex<Statements>,
}

/// Why a pipeline failed, and at which of its calls.
#[derive(Debug)]
pub(super) struct Failed {
    pub error: PostgresError,
    /// The call that the server refused; `None` when the connection failed, so that what was sent may have been done.
    pub refused: Option<usize>,
}

impl Session {
    /// Connects to the first host that answers and, unless the address says otherwise, takes writes.
    pub(super) fn open(server: &Arc<Server>) -> Result<Self, PostgresError> {
        let failed = |why: String| PostgresError::Connect { server: server.to_string(), why };
        let runtime = blocking::runtime().map_err(|error| failed(error.to_string()))?;
        let tls = tls::of(server).map_err(|error| failed(error.to_string()))?;
        let mut last = None;
        for (host, port) in &server.hosts {
            let config = config(server, host, *port).map_err(|error| failed(error.to_string()))?;
            match Self::open_host(server, &config, tls.clone(), runtime) {
                Ok(session) => return Ok(session),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| failed("it names no host".to_owned())))
    }

    fn open_host(
        server: &Arc<Server>,
        config: &Config,
        tls: Option<MakeRustlsConnect>,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<Self, PostgresError> {
        let connect = async {
            // The task must not end with this future, so it is spawned where the connection's type is known.
            match &tls {
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    Ok((client, runtime.spawn(run(connection))))
                }
                Some(connector) => {
                    let (client, connection) = config.connect(connector.clone()).await?;
                    Ok((client, runtime.spawn(run(connection))))
                }
            }
        };
        // Name, connection, TLS, password, and the question whether it takes writes.
        let limit = CONNECT * 2;
        let connected = blocking::wait(limit, connect);
        let failed = |why: String| PostgresError::Connect { server: server.to_string(), why };
        let (client, task) = connected
            .map_err(|error| failed(error.to_string()))?
            .ok_or_else(|| PostgresError::Slow { server: server.to_string(), limit })?
            .map_err(|error| PostgresError::connecting(&**server, &error))?;
        let (server, statements) = (server.clone(), Mutex::default());
        Ok(Self { server, client, task, tls, limit: super::CALL_LIMIT, statements })
    }

    /// Refuses a server that is too old, and a database that cannot hold every text.
    pub(super) fn check_version(&self) -> Result<(), PostgresError> {
        let settings = "SELECT current_setting('server_version_num')::int8, current_setting('server_version'),
            current_setting('server_encoding')";
        let read = |row: &Row| Ok((get::<i64>(row, 0)?, get::<String>(row, 1)?, get::<String>(row, 2)?));
        let settings = self.read(Call::new(settings), "the server's settings", read)?;
        let server = || self.server.to_string();
        for (number, found, encoding) in settings {
            if number < OLDEST {
                return Err(PostgresError::TooOld { server: server(), found });
            }
            if encoding != "UTF8" {
                return Err(PostgresError::Encoding { server: server(), encoding });
            }
        }
        Ok(())
    }

    /// Whether the connection ended.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed() || self.task.is_finished()
    }

    pub(super) fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Sets how long a call may take that has no limit of its own.
    pub(super) fn limit_calls(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Runs one statement.
    pub(super) fn query(&self, call: Call<'_>) -> Result<Vec<Row>, PostgresError> {
        self.query_within(call, self.limit)
    }

    /// Runs one statement, with a time limit of its own.
    pub(super) fn query_within(&self, call: Call<'_>, limit: Duration) -> Result<Vec<Row>, PostgresError> {
        let mut rows = self.pipeline(&[call], limit).map_err(|failed| failed.error)?;
        Ok(rows.pop().unwrap_or_default())
    }

    /// Sends all calls at once and waits for all responses. After a call that failed, the server runs those that
    /// follow unless they are in one transaction with it.
    pub(super) fn pipeline(&self, calls: &[Call<'_>], limit: Duration) -> Result<Vec<Vec<Row>>, Failed> {
        let parameters: Vec<_> = calls.iter().map(Call::parameters).collect();
        let prepared = self.statements().prepared(calls);
        let each = calls.iter().zip(&parameters).zip(&prepared);
        let waiting: Vec<Waiting<'_>> =
            each.map(|((call, parameters), prepared)| self.sending(call, parameters, prepared.as_ref())).collect();
        let done = self.wait(limit, all_in_order(waiting)).map_err(|error| Failed { error, refused: None })?;
        let mut all = Vec::with_capacity(done.len());
        for (at, rows) in done.into_iter().enumerate() {
            all.push(rows.map_err(|error| {
                self.statements().failed(&error);
                // A server that goes away says so, too, whatever became of the statement.
                let ends = error.is_closed() || error.as_db_error().is_none_or(|error| error.severity() == "FATAL");
                Failed { error: PostgresError::of(&*self.server, error), refused: (!ends).then_some(at) }
            })?);
        }
        self.statements().ran(calls, &parameters);
        Ok(all)
    }

    /// What sends a call when it is polled first, and then waits for its rows.
    fn sending<'a>(
        &'a self,
        call: &'a Call<'_>,
        parameters: &'a [Parameter<'a>],
        prepared: Option<&'a Statement>,
    ) -> Waiting<'a> {
        let Some(statement) = prepared else { return Box::pin(self.client.query_typed(call.sql(), parameters)) };
        let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
        Box::pin(async move { self.client.query(statement, &values).await })
    }

    /// Runs statements without parameters.
    pub(super) fn run_script(&self, statements: &str, limit: Duration) -> Result<(), PostgresError> {
        let done = self.wait(limit, self.client.batch_execute(statements))?;
        done.map_err(|error| PostgresError::of(&*self.server, error))
    }

    /// Waits for what the server responds. The connection does not survive the limit, because what is still on its way would
    /// be taken for the responses of later calls.
    fn wait<T>(&self, limit: Duration, responses: impl Future<Output = T>) -> Result<T, PostgresError> {
        let server = || self.server.to_string();
        let done = blocking::wait(limit, responses)
            .map_err(|error| PostgresError::Broken { server: server(), why: error.to_string() })?;
        done.ok_or_else(|| {
            self.task.abort();
            PostgresError::Slow { server: server(), limit }
        })
    }

    /// Sends statements without parameters and does not wait for their responses.
    pub(super) fn send(&self, statements: &str) {
        // A future of the client sends when it is polled first.
        let _ = pin!(self.client.batch_execute(statements)).poll(&mut Context::from_waker(Waker::noop()));
    }

    /// What ends the query that this connection runs, and the connection with it, from another thread.
    pub(super) fn canceller(&self) -> crate::Cancel {
        let (token, tls, task) = (self.client.cancel_token(), self.tls.clone(), self.task.abort_handle());
        Box::new(move || {
            // Without its connection, the request cannot hit a later query of another caller.
            task.abort();
            let (token, tls) = (token.clone(), tls.clone());
            let Ok(runtime) = blocking::runtime() else { return };
            runtime.spawn(async move {
                let cancel = async {
                    match tls {
                        None => token.cancel_query(NoTls).await,
                        Some(tls) => token.cancel_query(tls).await,
                    }
                };
                // The statement's own limit ends it otherwise.
                drop(tokio::time::timeout(CONNECT, cancel).await);
            });
        })
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("server", &self.server).field("closed", &self.is_closed()).finish()
    }
}

async fn run<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the store ended");
    }
}

/// Polls all futures in the order of their calls until all are done. The client sends a statement when its future is
/// polled first, so this order is the order in which the server runs them.
async fn all_in_order<T>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        let mut all_done = true;
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *done = Some(value),
                    Poll::Pending => all_done = false,
                }
            }
        }
        if all_done { Poll::Ready(done.iter_mut().filter_map(Option::take).collect()) } else { Poll::Pending }
    })
    .await
}

fn config(server: &Server, host: &str, port: u16) -> Result<Config, passfile::PassfileError> {
    let mut config = Config::new();
    config
        .host(host)
        .port(port)
        .user(&server.user)
        .dbname(&server.database)
        .application_name("podbell")
        .connect_timeout(CONNECT)
        .tcp_user_timeout(UNACKNOWLEDGED)
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(3))
        .keepalives_retries(3)
        .ssl_mode(match server.tls {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        });
    if server.wants_writable {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    match &server.password {
        Password::None => {}
        Password::Written(password) => {
            config.password(password.expose_secret());
        }
        Password::File(path) => {
            let wanted = passfile::Wanted { host, port, database: &server.database, user: &server.user };
            config.password(passfile::look_up(path, wanted)?.expose_secret());
        }
    }
    Ok(config)
}
