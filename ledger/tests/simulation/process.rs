//! One life of the ledger's process: the real router, claims and shards, stepped one at a time, on a clock that stands
//! still until it is told to go on.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use ledger::clock::Clock;
use ledger::meters::Meters;
use ledger::router::{Ledger, LedgerParts};
use ledger::shard::{Fatal, ShardLimits, ShardRun};
use ledger::store::Store;
use ledger_model::{ChinaTime, ShardCount};
use prometheus_client::registry::Registry;
use tokio::runtime::Runtime;

/// The time of a run, on the clocks that decide. Far ahead of the machine's own, which the router reads: to it no deadline
/// has passed, so what waits for a key waits until it is let go.
#[derive(Debug, Clone)]
pub(crate) struct RunClock {
    origin: Instant,
    china_seconds: Arc<AtomicI64>,
    began: i64,
    pub(crate) now_ms: u64,
}

const AHEAD: Duration = Duration::from_hours(24);

impl RunClock {
    pub(crate) fn starting(at: ChinaTime) -> Self {
        let began = at.unix_seconds();
        Self {
            origin: Instant::now() + AHEAD,
            china_seconds: Arc::new(AtomicI64::new(began)),
            began,
            now_ms: 1_000,
        }
    }

    pub(crate) fn instant(&self, ms: u64) -> Instant {
        self.origin + Duration::from_millis(ms)
    }

    pub(crate) fn now(&self) -> ChinaTime {
        ChinaTime::from_unix_seconds(self.china_seconds.load(Ordering::SeqCst)).unwrap()
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        let seconds = i64::try_from(self.now_ms / 1_000).unwrap();
        self.china_seconds.store(self.began + seconds, Ordering::SeqCst);
    }

    fn china(&self) -> Clock {
        let seconds = Arc::clone(&self.china_seconds);
        Arc::new(move || ChinaTime::from_unix_seconds(seconds.load(Ordering::SeqCst)).unwrap())
    }
}

/// What is dropped first has to end first.
pub(crate) struct Process {
    runtime: Runtime,
    /// `None` while it is being stepped.
    pub(crate) runs: Vec<Option<ShardRun>>,
    pub(crate) ledger: Arc<Ledger>,
}

thread_local! {
    /// Nobody reads them; making them anew for every process would take longer than most runs.
    static METERS: RefCell<Option<Arc<Meters>>> = const { RefCell::new(None) };
}

fn meters() -> Arc<Meters> {
    METERS.with_borrow_mut(|meters| {
        let meters = meters.get_or_insert_with(|| Meters::registered(&mut Registry::default()));
        Arc::clone(meters)
    })
}

impl Process {
    pub(crate) fn start(
        stores: Vec<Box<dyn Store>>,
        shards: ShardCount,
        limits: ShardLimits,
        clock: &RunClock,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        // nobody is asked to end a process that is stepped: whoever steps it is told
        let fatal: Fatal = Arc::new(|_| {});
        let (ledger, runs) = Ledger::assemble(LedgerParts {
            stores,
            shards,
            limits,
            clock: clock.china(),
            meters: meters(),
            fatal,
        });
        Self {
            runtime,
            runs: runs.into_iter().map(Some).collect(),
            ledger,
        }
    }

    /// Whatever waits for a key gets a turn.
    pub(crate) fn pump(&self) {
        self.runtime.block_on(async {
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Inside the runtime, as the service would call.
    pub(crate) fn inside<T>(&self, call: impl FnOnce(&Arc<Ledger>) -> T) -> T {
        let _inside = self.runtime.enter();
        call(&self.ledger)
    }
}
