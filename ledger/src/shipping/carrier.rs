//! One shard's carrier: from the journal to the partition, piece by piece.
//!
//! ```text
//!   connect ─▶ look ─▶ wait for something to ship ─▶ take over ─▶ look ─▶ append, append, …
//!      ▲                (standing by: and for nobody                          │ any fault
//!      └────────────────  else to have shipped lately) ◀──────────────────────┘
//! ```
//!
//! Nothing is remembered over a fault but where the partition was known to end: the next connection looks again.
//!
//! It goes on by steps, each of a few calls to the broker at the most, and never waits by itself: a thread steps it and
//! waits in between as it is told ([`Carrier::run`]), and so does a simulation, which waits for nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ledger_journal::{ChainHash, JournalRecord};
use ledger_model::ShardCount;
use tokio::runtime::Handle;

use super::board::Board;
use super::{Broker, Connect, FinishBy, ForeignEnd, PartitionEnd, Route, Shared, ShipFault, ShippingParts};
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

pub struct Carrier {
    pub(super) shards: ShardCount,
    pub(super) route: Route,
    pub(super) connect: Arc<Connect>,
    pub(super) board: Arc<Board>,
    pub(super) meters: Arc<Meters>,
    pub(super) finish_by: Arc<FinishBy>,
    /// Somebody else may be shipping this shard; it is not to be disturbed while it does.
    pub(super) standing_by: bool,
    pub(super) take_over_after: Duration,
    connection: Option<Connection>,
    /// How long was waited after the last fault.
    pause: Duration,
}

/// What is to be waited for before the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Nothing,
    /// Records after this one, but not for long.
    RecordsAfter(u64),
    /// Within a connection.
    Rest(Duration),
    /// After a fault; no longer than until it is asked to finish.
    Retry(Duration),
    /// There will be no next step.
    Over,
}

struct Connection {
    broker: Box<dyn Broker>,
    stage: Stage,
    /// When it was last seen where the partition ends.
    looked: Instant,
    /// How far the partition had come when there was a connection.
    shipped_before: u64,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Until there is something to ship that nobody else is shipping.
    Waiting {
        /// When there was nothing to ship, or somebody else shipped something.
        progress: Instant,
        /// Since the last step.
        waited: Option<Waited>,
    },
    /// Ships what comes until it is asked to finish.
    Carrying { waited: bool },
}

#[derive(Debug, Clone, Copy)]
struct Waited {
    behind: bool,
    shipped: u64,
}

/// What a carrier is made of that whoever has it steps.
#[derive(Debug)]
pub struct CarrierParts {
    /// Of the whole ledger.
    pub shards: ShardCount,
    pub route: Route,
    pub parts: ShippingParts,
}

impl Carrier {
    /// Stepped by whoever has it, and never asked to finish.
    pub fn assemble(parts: CarrierParts) -> Self {
        let CarrierParts { shards, route, parts } = parts;
        let ShippingParts {
            connect,
            meters,
            clock,
            lag_limits: _,
            take_over_after,
        } = parts;
        let board = Board::new(std::iter::once(route.feed.shard), Arc::clone(&meters), clock);
        let shared = Shared {
            shards,
            connect: Arc::new(connect),
            board: Arc::new(board),
            meters,
            finish_by: Arc::default(),
            take_over_after,
        };
        Self::of(route, &shared)
    }

    pub(super) fn of(route: Route, shared: &Shared) -> Self {
        let Shared {
            shards,
            connect,
            board,
            meters,
            finish_by,
            take_over_after,
        } = shared;
        Self {
            shards: *shards,
            standing_by: route.feed.reader.is_shared(),
            route,
            connect: Arc::clone(connect),
            board: Arc::clone(board),
            meters: Arc::clone(meters),
            finish_by: Arc::clone(finish_by),
            take_over_after: *take_over_after,
            connection: None,
            pause: RETRY_FIRST,
        }
    }

    /// Until it is asked to finish, on a thread of its own.
    pub(super) fn run(mut self, runtime: &Handle) {
        loop {
            match self.step(Instant::now()) {
                Next::Nothing => {}
                Next::RecordsAfter(number) => runtime.block_on(self.route.feed.wait_past(number, PAUSE)),
                Next::Rest(pause) => std::thread::sleep(pause),
                Next::Retry(pause) => self.wait(pause),
                Next::Over => return,
            }
        }
    }

    fn wait(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.finish_by.is_requested() {
            std::thread::sleep(PAUSE);
        }
    }

    /// Goes on by a step; `now` is the time on the clock that only goes forward.
    pub fn step(&mut self, now: Instant) -> Next {
        let shipped_before = self.route.shipped();
        let taken = self.connection.take();
        let shipped_before = taken.as_ref().map_or(shipped_before, |taken| taken.shipped_before);
        let stepped = match taken {
            None => self.connected(now).map(|connection| (connection, Next::Nothing)),
            Some(connection) => self.go_on(connection, now),
        };
        match stepped {
            Ok((_, Next::Over)) => Next::Over,
            Ok((connection, next)) => {
                self.connection = Some(connection);
                next
            }
            Err(fault) => self.failed(&fault, shipped_before),
        }
    }

    fn failed(&mut self, fault: &ShipFault, shipped_before: u64) -> Next {
        let shard = self.route.feed.shard;
        if !matches!(fault, ShipFault::Moved) {
            self.board.stands_still(shard, fault);
        }
        if self.finish_by.is_requested() {
            tracing::warn!(%shard, "stopped without a broker; the journal is shipped at the next start");
            return Next::Over;
        }
        self.standing_by |= matches!(fault, ShipFault::Fenced);
        // a connection that shipped something was good: start over quickly
        self.pause = if self.route.shipped() > shipped_before || matches!(fault, ShipFault::Moved | ShipFault::Fenced) {
            RETRY_FIRST
        } else {
            (self.pause * 2).min(RETRY_MOST)
        };
        Next::Retry(self.pause)
    }

    fn connected(&mut self, now: Instant) -> Result<Connection, ShipFault> {
        let shard = self.route.feed.shard;
        let shipped_before = self.route.shipped();
        let mut broker = (self.connect)(shard)?;
        broker.prepare(self.shards)?;
        self.look(broker.as_mut())?;
        if self.standing_by {
            self.board.stands_still(shard, &ShipFault::Fenced);
        } else {
            self.board.ships(shard);
        }
        Ok(Connection {
            broker,
            stage: Stage::Waiting {
                progress: now,
                waited: None,
            },
            looked: now,
            shipped_before,
        })
    }

    fn go_on(&mut self, mut connection: Connection, now: Instant) -> Result<(Connection, Next), ShipFault> {
        let next = match connection.stage {
            Stage::Waiting { progress, waited } => self.wait_for_turn(&mut connection, progress, waited, now)?,
            Stage::Carrying { waited } => self.carry(&mut connection, waited, now)?,
        };
        Ok((connection, next))
    }

    fn wait_for_turn(
        &mut self,
        connection: &mut Connection,
        mut progress: Instant,
        waited: Option<Waited>,
        now: Instant,
    ) -> Result<Next, ShipFault> {
        if let Some(Waited { behind, shipped }) = waited {
            self.look_if_due(connection, now)?;
            if !behind || self.route.shipped() != shipped {
                progress = now;
            }
        }
        let shipped = self.route.shipped();
        let behind = self.route.feed.known()? > shipped;
        if self.finish_by.is_requested() && (self.standing_by || !behind) {
            return Ok(Next::Over);
        }
        let has_waited = now.saturating_duration_since(progress) >= self.take_over_after;
        if behind && (!self.standing_by || has_waited) {
            self.take_over(connection)?;
            connection.looked = now;
            connection.stage = Stage::Carrying { waited: false };
            return Ok(Next::Nothing);
        }
        let waited = Some(Waited { behind, shipped });
        connection.stage = Stage::Waiting { progress, waited };
        Ok(Next::RecordsAfter(shipped))
    }

    fn take_over(&mut self, connection: &mut Connection) -> Result<(), ShipFault> {
        #[cfg(feature = "mutations")]
        if crate::mutation::is(crate::mutation::Mutation::NotTakenOver) {
            return Ok(());
        }
        connection.broker.take_over()?;
        // now it cannot change any more behind our back
        self.look(connection.broker.as_mut())?;
        self.standing_by = false;
        self.board.ships(self.route.feed.shard);
        Ok(())
    }

    fn carry(&mut self, connection: &mut Connection, waited: bool, now: Instant) -> Result<Next, ShipFault> {
        if waited {
            self.look_if_due(connection, now)?;
        }
        connection.stage = Stage::Carrying { waited: false };
        let shipped = self.route.shipped();
        let mut next = Next::Nothing;
        if self.route.feed.known()? > shipped {
            let records = self.route.feed.reader.journal(shipped.saturating_add(1), PIECE_BYTES)?;
            let begun = Instant::now();
            self.append(connection.broker.as_mut(), shipped, &records)?;
            connection.looked = now;
            let is_full = records.iter().map(Vec::len).sum::<usize>() >= PIECE_BYTES / 2;
            if !is_full && !self.finish_by.is_requested() {
                next = Next::Rest(SHIP_EVERY.saturating_sub(begun.elapsed()));
            }
        } else if self.finish_by.is_requested() {
            return Ok(Next::Over);
        } else {
            connection.stage = Stage::Carrying { waited: true };
            next = Next::RecordsAfter(shipped);
        }
        if self.finish_by.is_over() {
            tracing::warn!("stopped before all of the journal was shipped; the rest is shipped at the next start");
            return Ok(Next::Over);
        }
        Ok(next)
    }

    fn look_if_due(&self, connection: &mut Connection, now: Instant) -> Result<(), ShipFault> {
        if now.saturating_duration_since(connection.looked) >= LOOK_EVERY {
            self.look(connection.broker.as_mut())?;
            connection.looked = now;
        }
        Ok(())
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
        let partition = broker.end()?;
        let end = last_shipped(&self.route.feed, &partition)?;
        if partition == PartitionEnd::Empty && end > 0 && end != known {
            tracing::warn!(%shard, released = end, "records were released from the ledger; an empty partition begins after them");
        }
        #[cfg(feature = "mutations")]
        let end = crate::mutation::end(end, known);
        if end < known {
            tracing::warn!(%shard, known, end, "the partition ends before what it had acknowledged; the rest is sent again");
            self.meters.shipped_again(shard);
        }
        self.route.shipped.store(end, Ordering::Release);
        Ok(())
    }
}

impl std::fmt::Debug for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carrier")
            .field("shard", &self.route.feed.shard)
            .field("standing_by", &self.standing_by)
            .finish_non_exhaustive()
    }
}

/// Number of the record a partition ends with; where it is empty, of the one before the first that there is. A fault where
/// it is not of this journal.
fn last_shipped(feed: &Feed, end: &PartitionEnd) -> Result<u64, ShipFault> {
    let base = feed.reader.base()?.position;
    let PartitionEnd::Record(last) = end else {
        return Ok(base.sequence);
    };
    let record = JournalRecord::decode(last).map_err(|_| ShipFault::Foreign(ForeignEnd::Unreadable))?;
    if record.shard != feed.shard {
        return Err(ShipFault::Foreign(ForeignEnd::OtherShard(record.shard)));
    }
    if record.sequence <= base.sequence {
        let (last_number, released) = (record.sequence, base.sequence);
        return match last_number == released {
            true if ChainHash::of(last) == base.head => Ok(released),
            true => Err(ShipFault::Foreign(ForeignEnd::OtherRecord(released))),
            false => Err(ShipFault::Foreign(ForeignEnd::Released {
                last: last_number,
                released,
            })),
        };
    }
    match feed.reader.journal(record.sequence, 1)?.first() {
        Some(ours) if ours == last => Ok(record.sequence),
        Some(_) => Err(ShipFault::Foreign(ForeignEnd::OtherRecord(record.sequence))),
        None => Err(ShipFault::Foreign(ForeignEnd::Ahead(record.sequence))),
    }
}
