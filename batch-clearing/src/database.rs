//! Connections to PostgreSQL and what can go wrong on them.
//!
//! No TLS: PostgreSQL is reached over a Unix socket or loopback. Every wait has a limit, set on the connection.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, Row};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long sent bytes may stay unacknowledged before the peer counts as gone.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// What a connection is for; it decides how long one statement may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Many small transactions. A commit is acknowledged before it is on disk: the position goes with its rows, so
    /// after a crash of PostgreSQL both are back at the same place and the source is read on from there.
    Replication,
    /// Commands of the night: few, long, and durable when they return.
    Command,
}

impl Purpose {
    const fn settings(self) -> &'static str {
        match self {
            Self::Replication => {
                "SET statement_timeout = '30s'; SET lock_timeout = '30s'; SET synchronous_commit = off; \
                 SET client_min_messages = warning"
            }
            Self::Command => {
                "SET statement_timeout = '1h'; SET lock_timeout = '30s'; SET synchronous_commit = on; \
                 SET client_min_messages = warning"
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum DatabaseFault {
    #[error("the connection string of PostgreSQL cannot be read")]
    ConnectionString,
    #[error("PostgreSQL cannot be reached")]
    Connect(#[source] tokio_postgres::Error),
    #[error("PostgreSQL: {doing} failed")]
    Statement {
        doing: &'static str,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("PostgreSQL holds something unreadable as {0}")]
    Content(&'static str),
}

/// Says what was being done when a statement failed.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, DatabaseFault>;
}

impl<T> Doing<T> for Result<T, tokio_postgres::Error> {
    fn doing(self, doing: &'static str) -> Result<T, DatabaseFault> {
        self.map_err(|source| DatabaseFault::Statement { doing, source })
    }
}

impl DatabaseFault {
    /// Whether trying again later may help: the server is away, restarting, full or busy.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Connect(source) | Self::Statement { source, .. } => {
                // no state: the connection broke before the server could say anything
                source.code().is_none_or(is_passing_state)
            }
            Self::ConnectionString | Self::Content(_) => false,
        }
    }
}

fn is_passing_state(state: &SqlState) -> bool {
    const CLASSES: [&str; 7] = ["08", "25", "40", "53", "55", "57", "58"];
    CLASSES.iter().any(|class| state.code().starts_with(class))
}

/// Connects and drives the connection in a task that ends with it.
pub async fn connect(postgres: &str, purpose: Purpose) -> Result<Client, DatabaseFault> {
    let mut config: tokio_postgres::Config = postgres.parse().map_err(|_| DatabaseFault::ConnectionString)?;
    config
        .application_name("batch-clearing")
        .connect_timeout(CONNECT_LIMIT)
        .tcp_user_timeout(SILENCE_LIMIT);
    let (client, connection) = config.connect(NoTls).await.map_err(DatabaseFault::Connect)?;
    tokio::spawn(async move {
        if let Err(fault) = connection.await {
            tracing::warn!(%fault, "connection to PostgreSQL ended");
        }
    });
    client
        .batch_execute(purpose.settings())
        .await
        .doing("setting up the connection")?;
    Ok(client)
}

/// One column of a row, by place, parsed into a type of the model.
pub(crate) fn parsed<T: std::str::FromStr>(row: &Row, place: usize, what: &'static str) -> Result<T, DatabaseFault> {
    let text: &str = row.try_get(place).doing(what)?;
    text.trim_end().parse().map_err(|_| DatabaseFault::Content(what))
}

/// A count or number that PostgreSQL holds as `bigint` and that is never negative.
pub(crate) fn unsigned(row: &Row, place: usize, what: &'static str) -> Result<u64, DatabaseFault> {
    let value: i64 = row.try_get(place).doing(what)?;
    u64::try_from(value).map_err(|_| DatabaseFault::Content(what))
}
