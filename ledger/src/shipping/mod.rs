//! Shipping: the committed journal to Kafka, partition = shard, in order, nothing lost.
//!
//! ```text
//!   journal ──read──▶ lane ──send──▶ Kafka ──acknowledged──▶ lane ──▶ shipped position, kept by the shard
//!   (committed only)   (a window, bounded)                            with its next commit
//! ```
//!
//! One thread for all shards. Kafka may be absent for as long as it likes: the journal waits on disk, and nothing but
//! shipping waits with it. Whatever goes wrong with the connection ends in a new one, which first looks where the topic
//! ends, so that what is there already is not sent again; where that cannot be told, records are sent twice and readers
//! drop the second by its number. A topic whose last record is not of this journal is never written to.

mod kafka;
mod lane;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ledger_journal::JournalRecord;
use ledger_model::{ShardCount, ShardId};

use self::lane::Lane;
use crate::feed::Feed;
use crate::meters::Meters;
use crate::router::Ledger;
use crate::store::StoreFault;

pub use self::kafka::{KafkaSettings, kafka};

/// Records sent and not acknowledged, at the most, for each shard.
const WINDOW_MAX: u64 = 4096;
/// Bytes of records read ahead of sending, about, for each shard.
const READ_BYTES: usize = 256 << 10;
/// How long a thread with nothing to send waits before it looks again.
const PAUSE: Duration = Duration::from_millis(5);
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
pub enum ShipFault {
    #[error("the broker could not {doing}")]
    Broker {
        doing: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the topic has {found} partitions, the ledger {wanted} shards")]
    Partitions { found: usize, wanted: u8 },
    #[error("partition {0} ends with a record that is not of this ledger's journal")]
    Foreign(ShardId),
    #[error("partition {0} was acknowledged out of order")]
    OutOfOrder(ShardId),
    #[error("the journal could not be read")]
    Journal(#[from] StoreFault),
}

/// Whether a record was taken to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Taken,
    /// Full for now.
    Full,
}

/// What a partition ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionEnd {
    Empty,
    Record(Vec<u8>),
    /// It could not be told in time.
    Unknown,
}

/// Where the journal goes: a connection to a topic with one partition for each shard. What it took it sends in order,
/// and it says when a record is safe.
pub trait Broker {
    /// The topic is there and has the right partitions; made if it was missing.
    fn prepare(&mut self, shards: ShardCount) -> Result<(), ShipFault>;

    /// What is in a partition last.
    fn end(&mut self, shard: ShardId) -> Result<PartitionEnd, ShipFault>;

    fn send(&mut self, shard: ShardId, sequence: u64, record: &[u8]) -> Result<Sent, ShipFault>;

    /// Records acknowledged since, waiting `wait` for the first. A fault means that some never will be.
    fn acknowledged(&mut self, wait: Duration) -> Result<Vec<(ShardId, u64)>, ShipFault>;
}

pub type Connect = Box<dyn Fn() -> Result<Box<dyn Broker>, ShipFault> + Send>;

/// Shipping that runs.
#[derive(Debug)]
pub struct Shipping {
    finish_by: Arc<FinishBy>,
    thread: JoinHandle<()>,
}

/// Set once: ship what is committed by then, and end.
#[derive(Debug, Default)]
struct FinishBy {
    requested: AtomicBool,
    deadline: std::sync::OnceLock<Instant>,
}

struct Shipper {
    shards: ShardCount,
    routes: Vec<Route>,
    connect: Connect,
    meters: Arc<Meters>,
    finish_by: Arc<FinishBy>,
}

/// One shard's way to its partition.
struct Route {
    feed: Feed,
    shipped: Arc<AtomicU64>,
    lane: Lane,
}

impl Shipping {
    pub fn start(ledger: &Ledger, connect: Connect, meters: Arc<Meters>) -> std::io::Result<Self> {
        let finish_by = Arc::new(FinishBy::default());
        let routes = ledger.count().all().map(|shard| {
            let shipped = ledger.shard(shard).shipped();
            let lane = Lane::after(shipped.load(Ordering::Acquire));
            Route {
                feed: ledger.feed(shard),
                shipped,
                lane,
            }
        });
        let mut shipper = Shipper {
            shards: ledger.count(),
            routes: routes.collect(),
            connect,
            meters,
            finish_by: Arc::clone(&finish_by),
        };
        let thread = std::thread::Builder::new()
            .name("shipping".to_owned())
            .spawn(move || shipper.run())?;
        Ok(Self { finish_by, thread })
    }

    /// Ships what is committed, for `limit` at the most, and ends.
    pub fn finish(self, limit: Duration) {
        let _set_once = self.finish_by.deadline.set(Instant::now() + limit);
        self.finish_by.requested.store(true, Ordering::Release);
        if self.thread.join().is_err() {
            tracing::error!("shipping panicked; the journal is whole and is shipped at the next start");
        }
    }
}

impl FinishBy {
    fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    fn is_over(&self) -> bool {
        self.is_requested() && self.deadline.get().is_none_or(|deadline| Instant::now() >= *deadline)
    }
}

impl Shipper {
    fn run(&mut self) {
        let mut pause = RETRY_FIRST;
        loop {
            let began = Instant::now();
            match self.ship() {
                Ok(()) => return,
                Err(fault) => {
                    let cause = std::error::Error::source(&fault).map(ToString::to_string);
                    tracing::warn!(%fault, cause, "shipping stands still; the journal waits");
                }
            }
            if self.finish_by.is_requested() {
                tracing::warn!("stopped without a broker; the journal is shipped at the next start");
                return;
            }
            // a connection that held was good: start over quickly
            pause = if began.elapsed() > RETRY_MOST {
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
            self.note_lag();
            std::thread::sleep(PAUSE);
        }
    }

    /// Shown also while there is no broker to ship to.
    fn note_lag(&self) {
        for route in &self.routes {
            route.note(&self.meters, 0);
        }
    }

    /// The life of one connection. Ends well only when it was asked to finish.
    fn ship(&mut self) -> Result<(), ShipFault> {
        self.note_lag();
        let mut broker = (self.connect)()?;
        broker.prepare(self.shards)?;
        for route in &mut self.routes {
            let end = broker.end(route.feed.shard)?;
            route.lane = resume(&route.feed, route.shipped.load(Ordering::Acquire), end)?;
            route.note(&self.meters, 0);
        }
        tracing::info!("shipping to the broker");
        loop {
            let mut idle = true;
            for route in &mut self.routes {
                idle &= route.send(broker.as_mut())?;
            }
            let wait = if idle { PAUSE } else { Duration::ZERO };
            let mut counts = vec![0_u64; self.routes.len()];
            for (shard, sequence) in broker.acknowledged(wait)? {
                let route = self.routes.get_mut(shard.index()).ok_or(ShipFault::Foreign(shard))?;
                route
                    .lane
                    .acknowledged(sequence)
                    .map_err(|_| ShipFault::OutOfOrder(shard))?;
                if let Some(count) = counts.get_mut(shard.index()) {
                    *count += 1;
                }
            }
            for (route, count) in self.routes.iter().zip(counts) {
                route.note(&self.meters, count);
            }
            let all_shipped = self
                .routes
                .iter()
                .all(|route| route.lane.shipped() >= route.feed.committed());
            if self.finish_by.is_requested() && all_shipped {
                return Ok(());
            }
            if self.finish_by.is_over() {
                tracing::warn!("stopped before all of the journal was shipped; the rest is shipped at the next start");
                return Ok(());
            }
        }
    }
}

impl Route {
    /// Sends what the window and the broker take; whether there was nothing to send.
    fn send(&mut self, broker: &mut dyn Broker) -> Result<bool, ShipFault> {
        let shard = self.feed.shard;
        if self.lane.wants_records(WINDOW_MAX) && self.lane.next_to_read() <= self.feed.committed() {
            let records = self.feed.reader.journal(self.lane.next_to_read(), READ_BYTES)?;
            self.lane.read(records);
        }
        let mut idle = true;
        while let Some((sequence, record)) = self.lane.next_to_send(WINDOW_MAX) {
            match broker.send(shard, sequence, record)? {
                Sent::Taken => self.lane.sent(),
                Sent::Full => break,
            }
            idle = false;
        }
        Ok(idle)
    }

    /// Makes known how far this shard has come.
    fn note(&self, meters: &Meters, count: u64) {
        let shipped = self.lane.shipped();
        self.shipped.store(shipped, Ordering::Release);
        meters.shipped(self.feed.shard, count, self.feed.committed().saturating_sub(shipped));
    }
}

/// Where to go on, given what is known to be shipped and what the partition ends with.
fn resume(feed: &Feed, shipped: u64, end: PartitionEnd) -> Result<Lane, ShipFault> {
    let shard = feed.shard;
    let last = match end {
        PartitionEnd::Record(last) => last,
        PartitionEnd::Unknown => return Ok(Lane::after(shipped)),
        PartitionEnd::Empty => {
            if shipped > 0 {
                tracing::warn!(%shard, shipped, "the partition is empty; the journal is sent from its start");
            }
            return Ok(Lane::after(0));
        }
    };
    let record = JournalRecord::decode(&last).map_err(|_| ShipFault::Foreign(shard))?;
    let ours = feed.reader.journal(record.sequence, 1)?;
    if record.shard != shard || ours.first() != Some(&last) {
        return Err(ShipFault::Foreign(shard));
    }
    Ok(Lane::after(record.sequence))
}
