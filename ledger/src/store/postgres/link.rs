//! One session with whichever server of the group takes writes: how it is made, lost, and bounded in time.
//!
//! A link has a runtime of its own on the thread that uses it, so that a call wakes nobody else. What is asked together is sent
//! together and answered in one round trip. A link that was lost, or did not answer in time, is never used again: what it
//! was doing may still be done, and only a new one can say.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::error::Severity;
use tokio_postgres::{Client, NoTls};

use super::settings::GroupSettings;
use crate::store::StoreFault;

#[derive(Debug, thiserror::Error)]
pub(super) enum CallFault {
    /// The server said no; it was told nothing it would act on later.
    #[error("PostgreSQL refused")]
    Refused(#[source] tokio_postgres::Error),
    #[error("the connection to PostgreSQL was lost")]
    Lost(#[source] tokio_postgres::Error),
    #[error("PostgreSQL did not answer within {} ms", .0.as_millis())]
    Late(Duration),
    #[error("the connection to PostgreSQL is not there")]
    Closed,
    #[error("a runtime for the connection cannot be made")]
    Runtime(#[source] std::io::Error),
    #[error("the connection to PostgreSQL cannot be set up")]
    Settings(#[from] super::settings::SettingsFault),
    /// There is nothing here to be asked.
    #[error("the database is not what was looked for")]
    NotOurs(#[source] StoreFault),
}

impl CallFault {
    pub(super) fn of(source: tokio_postgres::Error) -> Self {
        let severity = source
            .as_db_error()
            .map(tokio_postgres::error::DbError::parsed_severity);
        match severity {
            Some(Some(Severity::Fatal | Severity::Panic)) | None => Self::Lost(source),
            Some(_) => Self::Refused(source),
        }
    }

    /// A key of this transaction is another's.
    pub(super) fn is_key_taken(&self) -> bool {
        match self {
            Self::Refused(source) => source.code() == Some(&tokio_postgres::error::SqlState::UNIQUE_VIOLATION),
            Self::Lost(_) | Self::Late(_) | Self::Closed | Self::Runtime(_) | Self::Settings(_) | Self::NotOurs(_) => {
                false
            }
        }
    }

    pub(super) fn unreachable(self) -> StoreFault {
        match self {
            Self::NotOurs(fault) => fault,
            other => StoreFault::Unreachable(Box::new(other)),
        }
    }
}

/// By when a call, or several that belong together, must be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    limit: Duration,
    at: Instant,
}

impl Deadline {
    pub(super) fn after(limit: Duration) -> Self {
        Self {
            limit,
            at: Instant::now() + limit,
        }
    }
}

pub(super) struct Link {
    settings: Arc<GroupSettings>,
    /// Made with the first connection.
    runtime: Option<Runtime>,
    driven: Option<JoinHandle<()>>,
}

impl Link {
    /// Not connected yet.
    pub(super) fn new(settings: Arc<GroupSettings>) -> Self {
        Self {
            settings,
            runtime: None,
            driven: None,
        }
    }

    pub(super) fn settings(&self) -> &Arc<GroupSettings> {
        &self.settings
    }

    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.settings.call_limit)
    }

    /// Never used again, whatever it is doing. The server learns of it at once.
    pub(super) fn close(&mut self) {
        if let (Some(driven), Some(runtime)) = (self.driven.take(), &self.runtime) {
            driven.abort();
            runtime.block_on(async {
                let _cancelled = driven.await;
            });
        }
    }

    pub(super) fn connect(&mut self, deadline: Deadline) -> Result<Client, CallFault> {
        self.close();
        if self.runtime.is_none() {
            let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
            self.runtime = Some(made.map_err(CallFault::Runtime)?);
        }
        let wanted = self.settings.driver();
        let tls = self.settings.tls()?;
        let client = self.bounded(deadline, async {
            // the connection is driven by this thread, while it waits for an answer
            match tls {
                None => {
                    let (client, connection) = wanted.connect(NoTls).await?;
                    Ok((client, driven(connection)))
                }
                Some(tls) => {
                    let (client, connection) = wanted.connect(tls).await?;
                    Ok((client, driven(connection)))
                }
            }
        });
        // whatever a server says instead of letting us in, there is no connection
        let (client, driven) = client.map_err(|fault| match fault {
            CallFault::Refused(source) => CallFault::Lost(source),
            other => other,
        })?;
        self.driven = Some(driven);
        Ok(client)
    }

    /// Waits for what is asked on this link. After anything but a refusal the link is not to be used any more.
    pub(super) fn bounded<T>(
        &self,
        deadline: Deadline,
        asked: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, CallFault> {
        let runtime = self.runtime.as_ref().ok_or(CallFault::Closed)?;
        runtime.block_on(async {
            match tokio::time::timeout_at(deadline.at.into(), asked).await {
                Ok(answered) => answered.map_err(CallFault::of),
                Err(_) => Err(CallFault::Late(deadline.limit)),
            }
        })
    }
}

/// Ends with the connection; whoever asks on it is told.
fn driven(connection: impl Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async {
        if let Err(fault) = connection.await {
            tracing::warn!(%fault, "a connection to PostgreSQL ended");
        }
    })
}

impl Drop for Link {
    /// Links are dropped wherever their ledger is, on an executor's thread too, where waiting is not allowed.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("group", &self.settings.name)
            .field("connected", &self.driven.is_some())
            .finish_non_exhaustive()
    }
}
