//! One of the two databases of a move, on a session of its own that holds the mover's lock there.

use std::sync::Arc;
use std::time::Duration;

use ledger_model::{ShardCount, ShardId};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::MoveFault;
use crate::store::StoreFault;
use crate::store::postgres::link::{CallFault, Deadline, Link};
use crate::store::postgres::reader::{BARRIER, column};
use crate::store::postgres::residence::Residence;
use crate::store::postgres::schema;
use crate::store::postgres::settings::GroupSettings;

/// Of anything but a hand-over, where orders wait.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first half of an advisory lock whose second half is the shard.
const MOVER: i32 = 0x6D6F_7665;

/// A mover whose machine is gone is not to keep its lock for hours. Nothing to a session by a Unix socket.
const NOTICE_LOSS: &str = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 5";

const STANDING: &str = "SELECT epoch, sequence, flushed, state, moved_to, arrives_from FROM shard WHERE shard = $1";

pub(super) type Parameter<'a> = &'a (dyn ToSql + Sync);

pub(super) struct End {
    link: Link,
    client: Client,
    /// By when everything that is asked has to be done, where orders wait for it.
    deadline: Option<Deadline>,
}

/// A shard's row.
pub(super) struct Standing {
    pub(super) epoch: i64,
    pub(super) sequence: i64,
    pub(super) flushed: i64,
    pub(super) state: Vec<u8>,
    pub(super) residence: Residence,
}

impl End {
    /// For a move: prepares the database.
    pub(super) fn prepared(
        settings: &Arc<GroupSettings>,
        shards: ShardCount,
        shard: ShardId,
    ) -> Result<Self, MoveFault> {
        let mut link = Link::new(Arc::clone(settings));
        let client = schema::prepare(&mut link, shards).map_err(|source| match source {
            StoreFault::Unreachable(source) => MoveFault::Unreachable {
                group: settings.name.clone(),
                source,
            },
            source => MoveFault::Foreign {
                group: settings.name.clone(),
                source,
            },
        })?;
        Self::locked(link, client, shard, None)
    }

    /// For what is left of a move, while orders wait for it.
    pub(super) fn connected(
        settings: &Arc<GroupSettings>,
        shard: ShardId,
        deadline: Deadline,
    ) -> Result<Self, MoveFault> {
        let mut link = Link::new(Arc::clone(settings));
        let client = link.connect(deadline);
        let client = client.map_err(|fault| unreachable(&settings.name, fault))?;
        Self::locked(link, client, shard, Some(deadline))
    }

    fn locked(link: Link, client: Client, shard: ShardId, deadline: Option<Deadline>) -> Result<Self, MoveFault> {
        let end = Self { link, client, deadline };
        end.batch(&format!("{}; {NOTICE_LOSS}", schema::patience(PATIENCE)))?;
        let shard = i32::from(shard.number());
        let row = end.row("SELECT pg_try_advisory_lock($1, $2)", &[&MOVER, &shard])?;
        if !column::<bool>(&row, 0).map_err(MoveFault::Content)? {
            return Err(MoveFault::TakenByAnother);
        }
        // what is seen from now on outlives the loss of a server, as to any reader
        end.batch(BARRIER)?;
        Ok(end)
    }

    pub(super) fn group(&self) -> &Arc<GroupSettings> {
        self.link.settings()
    }

    pub(super) fn name(&self) -> &str {
        &self.group().name
    }

    /// Begins a transaction for which orders wait: no part of it takes longer than any call may.
    pub(super) fn begin_in_time(&mut self, deadline: Deadline) -> Result<(), MoveFault> {
        self.deadline = Some(deadline);
        let limit = self.group().call_limit.as_millis().max(1);
        self.batch(&format!(
            "BEGIN; SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {limit}; \
             SET LOCAL idle_in_transaction_session_timeout = {idle}",
            idle = 2 * limit
        ))
    }

    /// Its own call limit, whatever was used of the time before: a commit that is sent is waited for.
    pub(super) fn commit(&mut self) -> Result<(), MoveFault> {
        self.deadline = self.deadline.map(|_| self.link.deadline());
        self.batch("COMMIT")?;
        self.deadline = None;
        Ok(())
    }

    pub(super) fn roll_back(&mut self) -> Result<(), MoveFault> {
        self.deadline = None;
        self.batch("ROLLBACK")
    }

    pub(super) fn batch(&self, statements: &str) -> Result<(), MoveFault> {
        self.asked(self.client.batch_execute(statements))
    }

    pub(super) fn execute(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<u64, MoveFault> {
        self.asked(self.client.execute(statement, parameters))
    }

    pub(super) fn rows(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, MoveFault> {
        self.asked(self.client.query(statement, parameters))
    }

    pub(super) fn row(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Row, MoveFault> {
        self.asked(self.client.query_one(statement, parameters))
    }

    fn asked<T>(&self, asked: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, MoveFault> {
        let deadline = self.deadline.unwrap_or_else(|| Deadline::after(2 * PATIENCE));
        let answered = self.link.bounded(deadline, asked);
        answered.map_err(|fault| unreachable(self.name(), fault))
    }

    /// That this shard lives here too. Nothing relies on their knowing, so it takes one row at a time.
    pub(super) fn tell_others(&self, shard: ShardId) -> Result<(), MoveFault> {
        for row in self.rows(
            "SELECT shard FROM shard WHERE shard <> $1",
            &[&i16::from(shard.number())],
        )? {
            let other: i16 = column(&row, 0).map_err(MoveFault::Content)?;
            self.execute("UPDATE shard SET moves = moves + 1 WHERE shard = $1", &[&other])?;
        }
        Ok(())
    }

    /// `None` where the shard was never here.
    pub(super) fn standing(&self, shard: ShardId) -> Result<Option<Standing>, MoveFault> {
        self.read_standing(STANDING, shard)
    }

    /// With the lock on its row.
    pub(super) fn take(&self, shard: ShardId) -> Result<Option<Standing>, MoveFault> {
        self.read_standing(&format!("{STANDING} FOR UPDATE"), shard)
    }

    fn read_standing(&self, statement: &str, shard: ShardId) -> Result<Option<Standing>, MoveFault> {
        let rows = self.rows(statement, &[&i16::from(shard.number())])?;
        let standing = rows.first().map(|row| {
            Ok(Standing {
                epoch: column(row, 0)?,
                sequence: column(row, 1)?,
                flushed: column(row, 2)?,
                state: column(row, 3)?,
                residence: Residence::of(row, 4)?,
            })
        });
        standing.transpose().map_err(MoveFault::Content)
    }
}

impl Standing {
    pub(super) fn is_here(&self) -> bool {
        self.residence == Residence::Here
    }

    pub(super) fn left_for(&self, group: &str) -> bool {
        matches!(&self.residence, Residence::Moved { to } if to == group)
    }

    pub(super) fn arrives_from(&self, group: &str) -> bool {
        matches!(&self.residence, Residence::Arriving { from } if from == group)
    }
}

fn unreachable(group: &str, fault: CallFault) -> MoveFault {
    MoveFault::Unreachable {
        group: group.to_owned(),
        source: Box::new(fault),
    }
}
