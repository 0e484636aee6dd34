//! The write probe of a shard group: a small commit of its own, on a session of its own.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::Client;

use super::link::{CallFault, Deadline, Link};
use super::settings::GroupSettings;
use crate::hopping::homecoming::Probe;
use crate::store::StoreFault;

/// Writes one record to the log and waits for its commit, the standby included. Fails on a server that is in recovery or
/// read-only, or has no room.
const WRITE: &str = "UPDATE book SET shards = shards";

pub struct PostgresProbe {
    session: Mutex<Session>,
}

struct Session {
    link: Link,
    client: Option<Client>,
}

impl PostgresProbe {
    /// Connects when it is first used.
    pub fn new(settings: GroupSettings) -> Self {
        let link = Link::new(Arc::new(settings));
        Self {
            session: Mutex::new(Session { link, client: None }),
        }
    }
}

impl Session {
    fn write(&mut self, deadline: Deadline) -> Result<(), CallFault> {
        let client = match self.client.take() {
            Some(client) if !client.is_closed() => client,
            _ => self.link.connect(deadline)?,
        };
        let written = self.link.bounded(deadline, client.execute(WRITE, &[]));
        match written {
            Ok(_) => {
                self.client = Some(client);
                Ok(())
            }
            // whatever it is, the next probe begins at the beginning
            Err(fault) => {
                self.link.close();
                Err(fault)
            }
        }
    }
}

impl Probe for PostgresProbe {
    fn write(&self) -> Result<(), StoreFault> {
        // what could panic under the lock leaves nothing half done
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = session.link.deadline();
        session.write(deadline).map_err(CallFault::unreachable)
    }
}

impl std::fmt::Debug for PostgresProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresProbe").finish_non_exhaustive()
    }
}
