//! SQL sessions: to our own postgres over its UNIX socket, to another instance over TLS.

use std::future::Future;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The superuser that the manager is, by peer authentication on the socket.
pub const SUPERUSER: &str = "postgres";

/// A session could not be made, or a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// No session. Worth retrying: postgres may be starting.
    #[error("failed to connect to {to}")]
    Connect {
        /// Socket directory or host, with port.
        to: String,
        /// Why not.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The statement failed.
    #[error("failed to {what}")]
    Statement {
        /// In words; never the statement's text, which may hold a password.
        what: &'static str,
        /// Why.
        #[source]
        source: tokio_postgres::Error,
    },
    /// No answer in time. The session is of no use any more; the statement may or may not have been done.
    #[error("failed to {what}: no answer within {after:?}")]
    Deadline {
        /// In words.
        what: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// A row has another shape than the statement says; a bug, or a foreign version.
    #[error("failed to {what}: {problem}")]
    Unexpected {
        /// In words.
        what: &'static str,
        /// What was odd.
        problem: String,
    },
}

impl SqlError {
    /// The SQLSTATE, where postgres gave one.
    #[must_use]
    pub fn state(&self) -> Option<&SqlState> {
        match self {
            Self::Connect { source, .. } | Self::Statement { source, .. } => source.code(),
            Self::Deadline { .. } | Self::Unexpected { .. } => None,
        }
    }

    /// Whether postgres is there but does not take sessions yet (or any more): 57P03 `cannot_connect_now`.
    #[must_use]
    pub fn is_not_ready(&self) -> bool {
        self.state() == Some(&SqlState::CANNOT_CONNECT_NOW)
    }
}

/// Where a session on the same machine goes.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// Directory of the UNIX socket.
    pub socket_dir: &'a Path,
    /// The port in the socket's name.
    pub port: u16,
    /// Which database.
    pub database: &'a str,
    /// `application_name`, which shows who we are in `pg_stat_activity`.
    pub application_name: &'a str,
}

/// Where a session to another instance goes.
#[derive(Clone, Copy, Debug)]
pub struct Remote<'a> {
    /// Host name or IP address.
    pub host: &'a str,
    /// TCP port.
    pub port: u16,
    /// Role, proven by the client certificate in the TLS configuration.
    pub user: &'a str,
    /// Which database.
    pub database: &'a str,
    /// `application_name`.
    pub application_name: &'a str,
}

/// One session. Dropping it closes the connection; it never cancels a statement that waits for a synchronous
/// standby, since a cancelled wait would acknowledge a commit that only this instance has.
#[derive(Debug)]
pub struct Session {
    client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    /// Connects to our own postgres as the superuser.
    pub async fn local(to: Local<'_>, deadline: Duration) -> Result<Self, SqlError> {
        Self::local_as(SUPERUSER, to, deadline).await
    }

    /// The same as another role that the socket lets us be.
    pub async fn local_as(user: &str, to: Local<'_>, deadline: Duration) -> Result<Self, SqlError> {
        let mut config = Config::new();
        config
            .host_path(to.socket_dir)
            .port(to.port)
            .user(user)
            .dbname(to.database)
            .application_name(to.application_name)
            // What the manager commits is its own, and may not wait for standbys: there may be none yet.
            .options("-c synchronous_commit=local")
            .ssl_mode(SslMode::Disable);
        let named = format!("{}:{}", to.socket_dir.display(), to.port);
        let (client, connection) = connected(named, deadline, config.connect(NoTls)).await?;
        Ok(Self { client, driver: tokio::spawn(drive(connection)) })
    }

    /// Connects to another instance. `tls` decides whom to believe (`pgherd_pki`: chain checked, host name
    /// not, as `sslmode=verify-ca`) and holds the client certificate.
    pub async fn remote(to: Remote<'_>, tls: ClientConfig, deadline: Duration) -> Result<Self, SqlError> {
        let mut config = Config::new();
        config
            .host(to.host)
            .port(to.port)
            .user(to.user)
            .dbname(to.database)
            .application_name(to.application_name)
            .connect_timeout(deadline)
            .ssl_mode(SslMode::Require);
        let named = format!("{}:{}", to.host, to.port);
        let connecting = config.connect(MakeRustlsConnect::new(tls));
        let (client, connection) = connected(named, deadline, connecting).await?;
        Ok(Self { client, driver: tokio::spawn(drive(connection)) })
    }

    /// The client, for queries; wrap them in [`within`].
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements without parameters or result.
    pub async fn batch(&self, what: &'static str, sql: &str, deadline: Duration) -> Result<(), SqlError> {
        within(what, deadline, self.client.batch_execute(sql)).await
    }

    /// One row, one column.
    pub async fn scalar<T>(&self, what: &'static str, sql: &str, deadline: Duration) -> Result<T, SqlError>
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        let row = within(what, deadline, self.client.query_one(sql, &[])).await?;
        row.try_get(0).map_err(|source| SqlError::Statement { what, source })
    }
}

/// Gives a statement a deadline. After it the session should be dropped: the answer may still come.
pub async fn within<T>(
    what: &'static str,
    deadline: Duration,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, SqlError> {
    match tokio::time::timeout(deadline, statement).await {
        Ok(result) => result.map_err(|source| SqlError::Statement { what, source }),
        Err(_) => Err(SqlError::Deadline { what, after: deadline }),
    }
}

async fn connected<T>(
    to: String,
    deadline: Duration,
    connecting: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, SqlError> {
    match tokio::time::timeout(deadline, connecting).await {
        Ok(result) => result.map_err(|source| SqlError::Connect { to, source }),
        Err(_) => Err(SqlError::Deadline { what: "connect", after: deadline }),
    }
}

async fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    if let Err(error) = connection.await {
        // Who waits for a statement gets the error; this is for sessions that idled when postgres went.
        tracing::debug!(%error, "SQL connection ended");
    }
}

/// The socket's path, as postgres names it.
#[must_use]
pub fn socket_path(socket_dir: &Path, port: u16) -> std::path::PathBuf {
    socket_dir.join(format!(".s.PGSQL.{port}"))
}

/// Whether the postmaster listens at all; cheaper than a session, and does not need a free slot.
pub async fn is_listening(socket_dir: &Path, port: u16) -> io::Result<bool> {
    match tokio::net::UnixStream::connect(socket_path(socket_dir, port)).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(false),
        Err(error) => Err(error),
    }
}
