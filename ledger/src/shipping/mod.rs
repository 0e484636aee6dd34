//! Shipping: the committed journal to Kafka, partition = shard, in order, each record once, nothing lost.
//!
//! ```text
//!   journal ──read──▶ carrier ──one transaction──▶ partition       watch: lag, age, alarm
//!   (committed only)  (a thread for each shard,                    board: what is shown of it
//!                      a piece of bounded size)
//! ```
//!
//! What holds, whatever happens to the broker, the topic, or to other processes:
//! * A partition, read with isolation `read_committed`, is the beginning of **one** journal without a gap, and nothing
//!   else. Before it writes, a carrier takes the partition over, which shuts out whoever wrote before it, and then
//!   looks what the partition ends with; what is written after that and comes from elsewhere makes its transaction fail.
//! * A partition that ends with a record that is not of this journal is never written to.
//! * A partition that ends before what it had acknowledged (made anew, emptied, cut back) gets the rest again. Where the first
//!   records were released from the ledger's stores, an empty one begins with the first that is left; none ever has a gap.
//! * Kafka may be absent for as long as it likes: the journal waits on disk, and nothing but shipping waits with it. What
//!   a carrier holds in memory does not grow with the backlog.
//!
//! What it does not do: decide which of two ledgers is the right one. The first to ship a record that the other does not
//! have has won the topic, and the other says so.

mod alarm;
mod board;
mod carrier;
mod kafka;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ledger_model::{ShardCount, ShardId};
use tokio::runtime::Handle;

use self::watch::Watch;
use crate::clock::Clock;
use crate::feed::Feed;
use crate::meters::Meters;
use crate::router::Ledger;
use crate::store::StoreFault;

pub use self::alarm::LagLimits;
pub use self::board::Board;
pub use self::carrier::{Carrier, CarrierParts, Next};
pub use self::kafka::{KafkaSettings, kafka};

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
    #[error("partition {partition} of the topic has {found} replicas, {wanted} are configured")]
    Replicas { partition: i32, found: usize, wanted: u16 },
    #[error(
        "the topic takes no batch as large as one with record {sequence} ({bytes} bytes): its max.message.bytes is too low"
    )]
    TooLarge { sequence: u64, bytes: usize },
    #[error("{0}")]
    Foreign(ForeignEnd),
    #[error("another ledger ships this shard")]
    Fenced,
    #[error("the partition does not go on where this ledger left it")]
    Moved,
    #[error("the journal could not be read")]
    Journal(#[from] StoreFault),
}

/// Why a partition's end is not of this journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForeignEnd {
    #[error("the partition ends with something that is no record of a journal")]
    Unreadable,
    #[error("the partition ends with a record of shard {0}")]
    OtherShard(ShardId),
    #[error("the partition ends with record {0}, which this ledger's journal has not come to")]
    Ahead(u64),
    #[error("the partition ends with record {0}, and this ledger's journal has another under that number")]
    OtherRecord(u64),
    #[error(
        "the partition ends with record {last}, and this ledger released what follows it, up to record {released}; the topic \
         has to be made anew"
    )]
    Released { last: u64, released: u64 },
}

/// What a partition ends with, as far as it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionEnd {
    Empty,
    Record(Vec<u8>),
}

/// A connection to one shard's partition.
pub trait Broker: Send {
    /// The topic is there and is as it has to be; made if it was missing.
    fn prepare(&mut self, shards: ShardCount) -> Result<(), ShipFault>;

    /// What is in the partition last. After `take_over` nobody else changes it any more.
    fn end(&mut self) -> Result<PartitionEnd, ShipFault>;

    /// Shuts out whoever wrote to the partition before, and settles what it had under way.
    fn take_over(&mut self) -> Result<(), ShipFault>;

    /// Puts the records, of which the first is number `first`, at the partition's end: all of them, or after a fault
    /// all or none, which the next `take_over` settles. Never among records of somebody else.
    fn append(&mut self, first: u64, records: &[Vec<u8>]) -> Result<(), ShipFault>;
}

/// Connects to a shard's partition anew at each call.
pub type Connect = Box<dyn Fn(ShardId) -> Result<Box<dyn Broker>, ShipFault> + Send + Sync>;

/// What shipping is made of.
pub struct ShippingParts {
    pub connect: Connect,
    pub meters: Arc<Meters>,
    pub clock: Clock,
    pub lag_limits: LagLimits,
    /// How long nobody may have shipped what there is to ship before a ledger that stands by takes over.
    pub take_over_after: Duration,
}

/// As a rule: longer than a broker takes to choose a new leader.
pub const TAKE_OVER_AFTER: Duration = Duration::from_secs(10);

/// One shard's way to its partition.
#[derive(Debug, Clone)]
pub struct Route {
    pub feed: Feed,
    /// Number of the last record the partition holds, as far as is known.
    pub shipped: Arc<AtomicU64>,
}

/// Shipping that runs.
#[derive(Debug)]
pub struct Shipping {
    finish_by: Arc<FinishBy>,
    board: Arc<Board>,
    carriers: Vec<JoinHandle<()>>,
    watch: JoinHandle<()>,
}

/// What the carriers have in common.
struct Shared {
    shards: ShardCount,
    connect: Arc<Connect>,
    board: Arc<Board>,
    meters: Arc<Meters>,
    finish_by: Arc<FinishBy>,
    take_over_after: Duration,
}

/// Set once: ship what is committed by then, and end.
#[derive(Debug, Default)]
struct FinishBy {
    requested: AtomicBool,
    deadline: std::sync::OnceLock<Instant>,
}

impl Shipping {
    /// Ships a whole ledger, which shows from now on how that goes. Call inside a tokio runtime.
    pub fn start(ledger: &Ledger, parts: ShippingParts) -> std::io::Result<Self> {
        let routes = ledger.count().all().map(|shard| Route {
            feed: ledger.feed(shard),
            shipped: ledger.shard(shard).shipped(),
        });
        let shipping = Self::over(ledger.count(), routes.collect(), parts)?;
        ledger.show_shipping(Arc::clone(&shipping.board));
        Ok(shipping)
    }

    /// Ships these shards of a ledger that has `shards`. Call inside a tokio runtime.
    pub fn over(shards: ShardCount, routes: Vec<Route>, parts: ShippingParts) -> std::io::Result<Self> {
        let ShippingParts {
            connect,
            meters,
            clock,
            lag_limits,
            take_over_after,
        } = parts;
        let finish_by = Arc::new(FinishBy::default());
        let board = Arc::new(Board::new(
            routes.iter().map(|route| route.feed.shard),
            Arc::clone(&meters),
            Arc::clone(&clock),
        ));
        let watch = Watch {
            routes: routes.clone(),
            board: Arc::clone(&board),
            clock,
            limits: lag_limits,
            finish_by: Arc::clone(&finish_by),
        };
        let watch = std::thread::Builder::new()
            .name("shipping-watch".to_owned())
            .spawn(move || watch.run())?;
        let shared = Shared {
            shards,
            connect: Arc::new(connect),
            board: Arc::clone(&board),
            meters,
            finish_by: Arc::clone(&finish_by),
            take_over_after,
        };
        let mut carriers = Vec::with_capacity(routes.len());
        for route in routes {
            let name = format!("shipping-{}", route.feed.shard);
            let carrier = Carrier::of(route, &shared);
            let runtime = Handle::current();
            carriers.push(
                std::thread::Builder::new()
                    .name(name)
                    .spawn(move || carrier.run(&runtime))?,
            );
        }
        Ok(Self {
            finish_by,
            board,
            carriers,
            watch,
        })
    }

    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Ships what is committed, for `limit` at the most, and ends. A broker that does not answer may make it a little
    /// longer. Call off the executor.
    pub fn finish(self, limit: Duration) {
        let _set_once = self.finish_by.deadline.set(Instant::now() + limit);
        self.finish_by.requested.store(true, Ordering::Release);
        for thread in self.carriers.into_iter().chain([self.watch]) {
            if thread.join().is_err() {
                tracing::error!("shipping panicked; the journal is whole and is shipped at the next start");
            }
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

impl Route {
    fn shipped(&self) -> u64 {
        self.shipped.load(Ordering::Acquire)
    }
}

impl std::fmt::Debug for ShippingParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShippingParts")
            .field("lag_limits", &self.lag_limits)
            .finish_non_exhaustive()
    }
}
