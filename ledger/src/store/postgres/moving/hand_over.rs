//! The hand-over: the shard leaves its old group and is open in the new one.
//!
//! ```text
//!   new   BEGIN · lock the row ·                        · the rest, the state · open it        COMMIT
//!   old   BEGIN ·                lock the row · read it ·                 mark it · COMMIT
//! ```
//!
//! Before the old group's commit nothing has changed. After it the shard is on its way: nobody decides anything for it until
//! the new group's commit, and all of it is still in the old one. So whoever meets it on its way does the same again,
//! the mark left out. The new group's commit is sent only when the old one's is acknowledged, its standby included.
//!
//! In the old group's transaction every other shard's row is raised too, last: a group of theirs that relied on the keys of
//! this shard has ended by then, and the next one learns that it left. Among them are rows that another hand-over has locked
//! which comes from the other side; so before any row each takes a lock of its own in both databases, that of the smaller
//! name first, and no two wait for each other.

use ledger_model::ShardId;

use super::MoveFault;
use super::arrival::{Arrival, only_one, rows_between};
use super::end::{End, Standing};
use super::piece::Piece;
use crate::state::ShardState;
use crate::store::StoreFault;
use crate::store::postgres::frame::signed;
use crate::store::postgres::link::Deadline;
use crate::store::postgres::reader::column;
use crate::store::row::unpack;

/// One hand-over at a time leaves a database or comes to it, since it takes the row of every shard there.
const ALONE: &str = "SELECT pg_advisory_xact_lock(1751478885)";

const MARK: &str = "UPDATE shard SET moved_to = $2, left_at = sequence, epoch = epoch + 1 WHERE shard = $1";
const TELL_OTHERS: &str = "UPDATE shard SET moves = moves + 1 WHERE shard <> $1";

const OPEN_HOPS: &str = "SELECT key FROM open_hop WHERE key > $1 AND key < $2";
const NO_OPEN_HOPS: &str = "DELETE FROM open_hop WHERE key > $1 AND key < $2";
const WRITE_OPEN_HOPS: &str = "INSERT INTO open_hop (key) SELECT unnest($1::bytea[])";

const OPEN: &str = "UPDATE shard SET arrives_from = NULL, epoch = greatest(epoch, $2) + 1, state = $3 \
     WHERE shard = $1 AND sequence = $4 AND flushed = $4 AND arrives_from IS NOT NULL";

/// How a hand-over ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handed {
    Over,
    /// More is left to be brought than orders may wait for; nothing has changed.
    TooMuch,
}

pub(super) struct HandOver<'a> {
    pub(super) from: &'a mut End,
    pub(super) to: &'a mut End,
    pub(super) arrival: &'a mut Arrival,
    /// Records that may be left to be brought.
    pub(super) rest_max: i64,
    /// By when the old group's commit is sent, or nothing is changed.
    pub(super) deadline: Deadline,
}

impl HandOver<'_> {
    pub(super) fn run(&mut self) -> Result<Handed, MoveFault> {
        self.begin_alone()?;
        let shard = self.arrival.shard;
        let arriving = self.to.take(shard)?;
        let come = signed(self.arrival.position.sequence).map_err(MoveFault::Content)?;
        if arriving.is_none_or(|row| !row.arrives_from(self.from.name()) || row.sequence != come) {
            return Err(MoveFault::TakenByAnother);
        }
        let standing = self.from.take(shard)?.ok_or(MoveFault::NotHere)?;
        let has_left = standing.left_for(self.to.name());
        if !has_left && !standing.is_here() {
            return Err(MoveFault::NotHere);
        }
        if standing.sequence - come > self.rest_max {
            self.from.roll_back()?;
            self.to.roll_back()?;
            return Ok(Handed::TooMuch);
        }
        self.bring_rest(&standing)?;
        if !has_left {
            self.mark(shard)?;
        }
        self.open(shard, &standing)?;
        self.from.commit()?;
        self.to.commit()?;
        Ok(Handed::Over)
    }

    /// No order waits yet.
    fn begin_alone(&mut self) -> Result<(), MoveFault> {
        let mut ends = [&mut *self.from, &mut *self.to];
        ends.sort_by(|left, right| left.name().cmp(right.name()));
        for end in ends {
            end.begin_in_time(self.deadline)?;
            end.batch(ALONE)?;
        }
        Ok(())
    }

    fn bring_rest(&mut self, standing: &Standing) -> Result<(), MoveFault> {
        while signed(self.arrival.position.sequence).map_err(MoveFault::Content)? < standing.sequence {
            let Arrival {
                shard,
                position,
                flushed,
            } = *self.arrival;
            let piece = Piece::read(self.from, shard, position, flushed)?;
            let piece = piece.ok_or(MoveFault::Content(StoreFault::Inconsistent(
                "the journal ends before its shard",
            )))?;
            self.arrival.write(self.to, &piece)?;
        }
        let state: ShardState = unpack("shard's state", &standing.state).map_err(MoveFault::Content)?;
        let position = self.arrival.position;
        if (state.sequence, state.head) != (position.sequence, position.head) {
            return Err(MoveFault::Content(StoreFault::Inconsistent(
                "what was brought of the journal is not what the shard stands at",
            )));
        }
        let [after, end] = rows_between(self.arrival.shard);
        let hops = self.from.rows(OPEN_HOPS, &[&after, &end])?;
        let keys = hops
            .iter()
            .map(|row| column::<&[u8]>(row, 0))
            .collect::<Result<Vec<_>, _>>();
        let keys = keys.map_err(MoveFault::Content)?;
        self.to.execute(NO_OPEN_HOPS, &[&after, &end])?;
        self.to.execute(WRITE_OPEN_HOPS, &[&keys])?;
        Ok(())
    }

    fn mark(&self, shard: ShardId) -> Result<(), MoveFault> {
        let shard = i16::from(shard.number());
        only_one(self.from.execute(MARK, &[&shard, &self.to.name()])?)?;
        self.from.execute(TELL_OTHERS, &[&shard])?;
        Ok(())
    }

    fn open(&self, shard: ShardId, standing: &Standing) -> Result<(), MoveFault> {
        let shard = i16::from(shard.number());
        let opened = self
            .to
            .execute(OPEN, &[&shard, &standing.epoch, &standing.state, &standing.sequence])?;
        only_one(opened)
    }
}
