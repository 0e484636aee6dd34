//! One shard's carrier: from the journal to the partition, piece by piece.
//!
//! ```text
//!   connect ─▶ look ─▶ wait for something to ship ─▶ take over ─▶ look ─▶ append, append, …
//!      ▲                (standing by: and for nobody                          │ any fault
//!      └────────────────  else to have shipped lately) ◀──────────────────────┘
//! ```
//!
//! Nothing is remembered over a fault but where the partition was known to end: the next connection looks again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ledger_journal::JournalRecord;
use ledger_model::ShardCount;
use tokio::runtime::Handle;

use super::board::Board;
use super::{Broker, Connect, FinishBy, ForeignEnd, PartitionEnd, Route, ShipFault};
use crate::feed::Feed;
use crate::meters::Meters;

/// Bytes of records in one transaction, about: what a carrier holds in memory.
const PIECE_BYTES: usize = 512 << 10;
/// From one transaction to the next, unless there is a whole piece to ship: a transaction costs the broker a
/// few writes, whatever is in it.
const SHIP_EVERY: Duration = Duration::from_millis(50);
/// How often a carrier with nothing to do looks whether the partition still ends where it should.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long a carrier waits for records before it looks what else there is.
const PAUSE: Duration = Duration::from_millis(50);
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(15);

pub(super) struct Carrier {
    pub(super) shards: ShardCount,
    pub(super) route: Route,
    pub(super) connect: Arc<Connect>,
    pub(super) board: Arc<Board>,
    pub(super) meters: Arc<Meters>,
    pub(super) finish_by: Arc<FinishBy>,
    pub(super) runtime: Handle,
    /// Somebody else may be shipping this shard; it is not to be disturbed while it does.
    pub(super) standing_by: bool,
    pub(super) take_over_after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Ours,
    /// Nothing to do any more.
    Over,
}

impl Carrier {
    pub(super) fn run(mut self) {
        let shard = self.route.feed.shard;
        let mut pause = RETRY_FIRST;
        loop {
            let shipped = self.route.shipped();
            let Err(fault) = self.connection() else {
                return;
            };
            if !matches!(fault, ShipFault::Moved) {
                self.board.stands_still(shard, &fault);
            }
            if self.finish_by.is_requested() {
                tracing::warn!(%shard, "stopped without a broker; the journal is shipped at the next start");
                return;
            }
            self.standing_by |= matches!(fault, ShipFault::Fenced);
            // a connection that shipped something was good: start over quickly
            pause = if self.route.shipped() > shipped || matches!(fault, ShipFault::Moved | ShipFault::Fenced) {
                RETRY_FIRST
            } else {
                (pause * 2).min(RETRY_MOST)
            };
            self.wait(pause);
        }
    }

    fn wait(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.finish_by.is_requested() {
            std::thread::sleep(PAUSE);
        }
    }

    /// The life of one connection. Ends well only when it was asked to finish.
    fn connection(&mut self) -> Result<(), ShipFault> {
        let shard = self.route.feed.shard;
        let mut broker = (self.connect)(shard)?;
        broker.prepare(self.shards)?;
        self.look(broker.as_mut())?;
        if self.standing_by {
            self.board.stands_still(shard, &ShipFault::Fenced);
        } else {
            self.board.ships(shard);
        }
        if self.wait_for_turn(broker.as_mut())? == Turn::Over {
            return Ok(());
        }
        broker.take_over()?;
        // now it cannot change any more behind our back
        self.look(broker.as_mut())?;
        self.standing_by = false;
        self.board.ships(shard);
        self.carry(broker.as_mut())
    }

    /// Waits until there is something to ship that nobody else is shipping.
    fn wait_for_turn(&mut self, broker: &mut dyn Broker) -> Result<Turn, ShipFault> {
        let mut looked = Instant::now();
        let mut progress = Instant::now();
        loop {
            let shipped = self.route.shipped();
            let behind = self.route.feed.known()? > shipped;
            if self.finish_by.is_requested() && (self.standing_by || !behind) {
                return Ok(Turn::Over);
            }
            if behind && (!self.standing_by || progress.elapsed() >= self.take_over_after) {
                return Ok(Turn::Ours);
            }
            self.wait_for_records(shipped);
            if looked.elapsed() >= LOOK_EVERY {
                self.look(broker)?;
                looked = Instant::now();
            }
            if !behind || self.route.shipped() != shipped {
                progress = Instant::now();
            }
        }
    }

    /// Ships what comes until it is asked to finish.
    fn carry(&mut self, broker: &mut dyn Broker) -> Result<(), ShipFault> {
        let mut looked = Instant::now();
        loop {
            let shipped = self.route.shipped();
            if self.route.feed.known()? > shipped {
                let records = self.route.feed.reader.journal(shipped.saturating_add(1), PIECE_BYTES)?;
                let begun = Instant::now();
                self.append(broker, shipped, &records)?;
                looked = Instant::now();
                let is_full = records.iter().map(Vec::len).sum::<usize>() >= PIECE_BYTES / 2;
                if !is_full && !self.finish_by.is_requested() {
                    std::thread::sleep(SHIP_EVERY.saturating_sub(begun.elapsed()));
                }
            } else if self.finish_by.is_requested() {
                return Ok(());
            } else {
                self.wait_for_records(shipped);
                if looked.elapsed() >= LOOK_EVERY {
                    self.look(broker)?;
                    looked = Instant::now();
                }
            }
            if self.finish_by.is_over() {
                tracing::warn!("stopped before all of the journal was shipped; the rest is shipped at the next start");
                return Ok(());
            }
        }
    }

    fn append(&self, broker: &mut dyn Broker, shipped: u64, records: &[Vec<u8>]) -> Result<(), ShipFault> {
        if records.is_empty() {
            return Ok(());
        }
        broker.append(shipped.saturating_add(1), records)?;
        let count = u64::try_from(records.len()).expect("a length in memory fits 64 bits");
        let shipped = shipped.saturating_add(count);
        self.route.shipped.store(shipped, Ordering::Release);
        self.meters.shipped(count);
        Ok(())
    }

    /// Sees where the partition ends, and goes on from there.
    fn look(&self, broker: &mut dyn Broker) -> Result<(), ShipFault> {
        let (shard, known) = (self.route.feed.shard, self.route.shipped());
        let end = last_shipped(&self.route.feed, &broker.end()?)?;
        if end < known {
            tracing::warn!(%shard, known, end, "the partition ends before what it had acknowledged; the rest is sent again");
            self.meters.shipped_again(shard);
        }
        self.route.shipped.store(end, Ordering::Release);
        Ok(())
    }

    fn wait_for_records(&mut self, after: u64) {
        self.runtime.block_on(self.route.feed.wait_past(after, PAUSE));
    }
}

/// Number of the record a partition ends with, 0 where it is empty; a fault where that is not of this journal.
fn last_shipped(feed: &Feed, end: &PartitionEnd) -> Result<u64, ShipFault> {
    let PartitionEnd::Record(last) = end else {
        return Ok(0);
    };
    let record = JournalRecord::decode(last).map_err(|_| ShipFault::Foreign(ForeignEnd::Unreadable))?;
    if record.shard != feed.shard {
        return Err(ShipFault::Foreign(ForeignEnd::OtherShard(record.shard)));
    }
    match feed.reader.journal(record.sequence, 1)?.first() {
        Some(ours) if ours == last => Ok(record.sequence),
        Some(_) => Err(ShipFault::Foreign(ForeignEnd::OtherRecord(record.sequence))),
        None => Err(ShipFault::Foreign(ForeignEnd::Ahead(record.sequence))),
    }
}
