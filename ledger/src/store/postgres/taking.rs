//! Taking a shard for a group: a session that may write it, the lock on its row, and what others did to it meanwhile.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::frame::{signed, unpack_rows, unsigned};
use super::held::Span;
use super::link::{CallFault, Deadline};
use super::reader::column;
use super::statements::Writing;
use super::{Open, PostgresStore};
use crate::state::ShardState;
use crate::store::StoreFault;
use crate::store::row::unpack;

/// Groups of another process that are read at a time come to about this many bytes of rows.
const CAUGHT_UP_BYTES: i64 = 4 << 20;

const RAISE: &str = "UPDATE shard SET epoch = epoch + 1 WHERE shard = $1";

impl PostgresStore {
    /// Gives up the session, with whatever it is doing.
    pub(super) fn give_up(&mut self) {
        self.open = None;
        self.in_transaction = false;
        self.is_broken.set(false);
        self.link.close();
    }

    pub(super) fn connect(&mut self, deadline: Deadline) -> Result<(), CallFault> {
        self.give_up();
        let client = self.link.connect(deadline)?;
        let shard = self.number();
        let writing = self.link.bounded(deadline, async {
            // in a transaction of its own, for what the module's documentation says of late commits
            client.execute(RAISE, &[&shard]).await?;
            Writing::prepare(&client).await
        })?;
        self.open = Some(Open { client, writing });
        Ok(())
    }

    pub(super) fn session(&self) -> Result<&Open, CallFault> {
        let usable = !self.is_broken.get();
        self.open.as_ref().filter(|_| usable).ok_or(CallFault::Closed)
    }

    /// Takes the shard on the session there is.
    fn take(&mut self, deadline: Deadline) -> Result<Row, CallFault> {
        let shard = self.number();
        let open = self.session()?;
        let taken = self.link.bounded(deadline, async {
            let ((), row) = futures::try_join!(open.client.batch_execute("BEGIN"), async {
                open.client.query_one(&open.writing.take, &[&shard]).await
            },)?;
            Ok(row)
        });
        self.in_transaction = true;
        taken
    }

    /// Takes the shard, on a new session where the one there was has been lost meanwhile: nothing was under way on it.
    pub(super) fn take_anew(&mut self, deadline: Deadline) -> Result<Row, CallFault> {
        if self.session().is_ok() {
            match self.take(deadline) {
                Err(CallFault::Lost(_) | CallFault::Closed) => {}
                taken => return taken,
            }
        }
        self.connect(deadline)?;
        self.take(deadline)
    }

    /// Brings what is in memory up to how the shard stands.
    pub(super) fn catch_up(&mut self, deadline: Deadline, row: &Row) -> Result<(), StoreFault> {
        let epoch: i64 = column(row, 0)?;
        let flushed = unsigned(column(row, 1)?)?;
        let state: ShardState = unpack("shard's state", column(row, 2)?)?;
        if state.shard != self.shard || state.sequence < self.seen {
            return Err(StoreFault::Inconsistent(
                "the database has lost groups that were committed",
            ));
        }
        let held = self.held.get_mut();
        let mut known = self.state.sequence;
        if !self.is_current || known < flushed {
            held.forget();
            self.is_current = true;
            known = flushed;
        } else if flushed > self.flushed {
            held.flushed(flushed);
        }
        self.flushed = flushed;
        while known < state.sequence {
            known = self.read_groups(deadline, known)?;
        }
        self.seen = state.sequence;
        self.state = state;
        self.epoch = epoch;
        Ok(())
    }

    /// Takes in groups after the record `known`; the last record of the last of them.
    fn read_groups(&mut self, deadline: Deadline, known: u64) -> Result<u64, StoreFault> {
        let after = signed(known)?;
        let shard = self.number();
        let open = self.session().map_err(CallFault::unreachable)?;
        let rows = self.link.bounded(deadline, async {
            let wanted: [&(dyn ToSql + Sync); 3] = [&shard, &after, &CAUGHT_UP_BYTES];
            open.client.query(&open.writing.groups, &wanted).await
        });
        let rows = rows.map_err(CallFault::unreachable)?;
        if rows.is_empty() {
            return Err(StoreFault::Inconsistent("the journal ends before its shard"));
        }
        let mut known = known;
        for row in rows {
            let first = unsigned(column(&row, 0)?)?;
            let last = unsigned(column(&row, 1)?)?;
            if first != known + 1 || last < first {
                return Err(StoreFault::Inconsistent("a group is missing in the journal"));
            }
            let changes = unpack_rows(column(&row, 2)?)?;
            self.held.get_mut().apply(changes, Span { first, last });
            known = last;
        }
        Ok(known)
    }
}
