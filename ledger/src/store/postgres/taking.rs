//! Taking a shard for a group: the group of servers where it lives, a session there that may write it, the lock on its row,
//! and what others did to it meanwhile.
//!
//! With the lock comes what the row says of where the shard lives, and whether another shard left the database since. So
//! nothing is decided here for a shard that has left, nor relying on the keys of another that has.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use ledger_model::ShardId;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::frame::{signed, unpack_rows, unsigned};
use super::held::Span;
use super::link::{CallFault, Deadline, Link};
use super::moving;
use super::reader::column;
use super::residence::{NeverHere, Residence};
use super::schema;
use super::settings::GroupSettings;
use super::statements::Writing;
use super::{Open, PostgresStore};
use crate::state::ShardState;
use crate::store::row::unpack;
use crate::store::{Store, StoreFault};

/// Groups of another process that are read at a time come to about this many bytes of rows.
const CAUGHT_UP_BYTES: i64 = 4 << 20;

const RAISE: &str = "UPDATE shard SET epoch = epoch + 1 WHERE shard = $1";

/// A shard that is followed further than this moves faster than it can be followed.
pub(super) const GROUPS_MAX: usize = 6;

#[derive(Debug, thiserror::Error)]
#[error("the shard was in none of the groups that were said to have it")]
pub(super) struct Astray;

/// The shards that live in the database of a group, as of when one last left it, or was found to have come.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    group: String,
    moves: Option<i64>,
    here: BTreeSet<u8>,
    /// A shard that was not here is said to be here now.
    has_come: Cell<bool>,
}

impl Neighbours {
    pub(super) fn has(&self, group: &str, shard: ShardId) -> bool {
        self.group == group && self.here.contains(&shard.number())
    }

    /// Who is here is asked with the next group.
    pub(super) fn may_have_come(&self) {
        self.has_come.set(true);
    }

    fn are_as(&self, group: &str, moves: i64) -> bool {
        self.group == group && self.moves == Some(moves) && !self.has_come.get()
    }
}

impl PostgresStore {
    /// Takes the shard in the group where it lives.
    pub(super) fn take_where_it_lives(&mut self, deadline: Deadline) -> Result<Row, StoreFault> {
        let mut left: Option<Arc<GroupSettings>> = None;
        for _ in 0..GROUPS_MAX {
            self.turn_to(self.whereabouts.servers(self.shard));
            let row = self.take_anew(deadline)?;
            match Residence::of(&row, 3)? {
                Residence::Here => {
                    self.meet_neighbours(deadline, column(&row, 5)?)?;
                    return Ok(row);
                }
                Residence::Moved { to } => {
                    self.abandon();
                    left = Some(Arc::clone(self.link.settings()));
                    self.whereabouts.moved(self.shard, &to)?;
                }
                Residence::Arriving { from } => {
                    self.abandon();
                    match left.take().filter(|left| left.name == from) {
                        // it has left there, so whoever brings it broke off, or is about to be done
                        Some(from) => moving::finish(&from, self.link.settings(), self.shard, deadline)?,
                        None => self.whereabouts.moved(self.shard, &from)?,
                    }
                }
            }
        }
        Err(StoreFault::Unreachable(Box::new(Astray)))
    }

    fn turn_to(&mut self, servers: Arc<GroupSettings>) {
        if servers.name != self.link.settings().name {
            self.give_up();
            // what is in memory would still be true, and is not worth a proof
            self.doubt();
            self.link = Link::new(servers);
        } else if self.open.is_none() && !Arc::ptr_eq(&servers, self.link.settings()) {
            self.link = Link::new(servers);
        }
    }

    /// Where a shard left the database since it was last looked at, or may have come: what lives here now. Called with the lock.
    fn meet_neighbours(&mut self, deadline: Deadline, moves: i64) -> Result<(), StoreFault> {
        let group = &self.link.settings().name;
        if self.neighbours.are_as(group, moves) {
            return Ok(());
        }
        let open = self.session().map_err(CallFault::unreachable)?;
        let rows = self.link.bounded(deadline, open.client.query(&open.writing.here, &[]));
        let rows = match rows {
            Ok(rows) => rows,
            Err(fault) => {
                self.give_up();
                return Err(fault.unreachable());
            }
        };
        let mut neighbours = Neighbours {
            group: group.clone(),
            moves: Some(moves),
            here: BTreeSet::new(),
            has_come: Cell::new(false),
        };
        for row in &rows {
            let number: i16 = column(row, 0)?;
            let number = u8::try_from(number).map_err(|_| StoreFault::Inconsistent("there is no such shard"))?;
            match Residence::of(row, 1)? {
                Residence::Here => {
                    neighbours.here.insert(number);
                }
                Residence::Moved { to } => self.tell_of(number, &to),
                Residence::Arriving { .. } => {}
            }
        }
        self.neighbours = neighbours;
        Ok(())
    }

    /// That another shard left this group, where the process still thinks it here.
    fn tell_of(&self, number: u8, to: &str) {
        let Some(shard) = self.shards.shard(number) else {
            return;
        };
        if self.whereabouts.servers(shard).name != self.link.settings().name {
            return;
        }
        if let Err(fault) = self.whereabouts.moved(shard, to) {
            tracing::warn!(%shard, to, %fault, "a shard moved to a group that is not known here");
        }
    }

    /// Gives up the session, with whatever it is doing.
    pub(super) fn give_up(&mut self) {
        self.open = None;
        self.in_transaction = false;
        self.is_broken.set(false);
        self.link.close();
    }

    fn connect(&mut self, deadline: Deadline) -> Result<(), CallFault> {
        self.give_up();
        let client = self.link.connect(deadline)?;
        let shard = self.number();
        let (made_for, raised, writing) = self.link.bounded(deadline, async {
            let made_for = client.query_one(schema::MADE_FOR, &[]).await?;
            // in a transaction of its own, for what the module's documentation says of late commits
            let raised = client.execute(RAISE, &[&shard]).await?;
            Ok((made_for, raised, Writing::prepare(&client).await?))
        })?;
        schema::check(&made_for, self.shards).map_err(CallFault::NotOurs)?;
        if raised == 0 {
            return Err(CallFault::NotOurs(StoreFault::Unreachable(Box::new(NeverHere(shard)))));
        }
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
    fn take_anew(&mut self, deadline: Deadline) -> Result<Row, StoreFault> {
        let taken = match self.take(deadline) {
            Err(CallFault::Lost(_) | CallFault::Closed) => self.connect(deadline).and_then(|()| self.take(deadline)),
            taken => taken,
        };
        taken.map_err(|fault| {
            match fault {
                CallFault::Refused(_) => self.abandon(),
                _ => self.give_up(),
            }
            fault.unreachable()
        })
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
