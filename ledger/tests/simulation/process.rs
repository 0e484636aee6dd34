//! One life of the ledger's process: the real router, claims and shards, stepped one at a time, on a clock that stands
//! still until it is told to go on.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ledger::clock::Clock;
use ledger::hopping::groups::{Groups, HoppingSettings, Ticks};
use ledger::hopping::homecoming::{Homecoming, Probes, Round};
use ledger::hopping::map::GroupMap;
use ledger::hopping::selector::{GroupState, Seen};
use ledger::meters::Meters;
use ledger::router::{Ledger, LedgerParts};
use ledger::shard::{Fatal, ShardLimits, ShardRun};
use ledger::store::Store;
use ledger_model::{ChinaTime, ShardCount};
use prometheus_client::registry::Registry;
use tokio::runtime::Runtime;

use crate::trouble::Trouble;

/// The time of a run, on the clocks that decide. Far ahead of the machine's own, which the router reads: to it no deadline
/// has passed, so what waits for a key waits until it is let go.
#[derive(Debug, Clone)]
pub(crate) struct RunClock {
    origin: Instant,
    china_seconds: Arc<AtomicI64>,
    began: i64,
    pub(crate) now_ms: u64,
    /// The same, for whoever reads it by itself.
    shared_ms: Arc<AtomicU64>,
}

const AHEAD: Duration = Duration::from_hours(24);
const START_MS: u64 = 1_000;

impl RunClock {
    pub(crate) fn starting(at: ChinaTime) -> Self {
        let began = at.unix_seconds();
        Self {
            origin: Instant::now() + AHEAD,
            china_seconds: Arc::new(AtomicI64::new(began)),
            began,
            now_ms: START_MS,
            shared_ms: Arc::new(AtomicU64::new(START_MS)),
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
        self.shared_ms.store(self.now_ms, Ordering::SeqCst);
        let seconds = i64::try_from(self.now_ms / 1_000).unwrap();
        self.china_seconds.store(self.began + seconds, Ordering::SeqCst);
    }

    /// The clock by which shard groups are judged. It also counts the time that calls waited, `waited_ms`: deadlines do
    /// not, so that a step takes no time.
    pub(crate) fn ticks(&self, waited_ms: Arc<AtomicU64>) -> Ticks {
        let (origin, now_ms) = (self.origin, Arc::clone(&self.shared_ms));
        Arc::new(move || {
            let ms = now_ms.load(Ordering::SeqCst) + waited_ms.load(Ordering::SeqCst);
            origin + Duration::from_millis(ms)
        })
    }

    pub(crate) fn china(&self) -> Clock {
        let seconds = Arc::clone(&self.china_seconds);
        Arc::new(move || ChinaTime::from_unix_seconds(seconds.load(Ordering::SeqCst)).unwrap())
    }
}

/// What is dropped first has to end first.
pub(crate) struct Process {
    /// A round of the homecoming that is under way: it goes on by one errand or so whenever it is polled.
    round: Option<Pin<Box<dyn Future<Output = Round>>>>,
    homecoming: Arc<Homecoming>,
    runtime: Runtime,
    /// `None` while it is being stepped.
    pub(crate) runs: Vec<Option<ShardRun>>,
    pub(crate) ledger: Arc<Ledger>,
}

/// What a process is made of.
pub(crate) struct ProcessParts<'a> {
    pub(crate) stores: Vec<Box<dyn Store>>,
    pub(crate) shards: ShardCount,
    pub(crate) limits: ShardLimits,
    pub(crate) clock: &'a RunClock,
    pub(crate) waited_ms: Arc<AtomicU64>,
    /// `None` where all shards are of one group that is never taken out.
    pub(crate) hopping: Option<(GroupMap, HoppingSettings)>,
}

thread_local! {
    /// Nobody reads them; making them anew for every process would take longer than most runs.
    static METERS: RefCell<Option<Arc<Meters>>> = const { RefCell::new(None) };
}

pub(crate) fn meters() -> Arc<Meters> {
    METERS.with_borrow_mut(|meters| {
        let meters = meters.get_or_insert_with(|| Meters::registered(&mut Registry::default()));
        Arc::clone(meters)
    })
}

impl Process {
    pub(crate) fn start(parts: ProcessParts<'_>) -> Self {
        let ProcessParts {
            stores,
            shards,
            limits,
            clock,
            waited_ms,
            hopping,
        } = parts;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        // nobody is asked to end a process that is stepped: whoever steps it is told
        let fatal: Fatal = Arc::new(|_| {});
        let groups = match hopping {
            Some((map, settings)) => Groups::new(map, settings, clock.ticks(waited_ms)),
            None => Groups::single(shards),
        };
        let parts = LedgerParts {
            stores,
            shards,
            limits,
            clock: clock.china(),
            meters: meters(),
            fatal,
        };
        let (ledger, runs) = Ledger::assemble_over(groups, parts);
        // whoever steps it probes the groups itself
        let homecoming = Homecoming::new(Arc::clone(&ledger), Probes::new(), clock.china(), meters());
        Self {
            round: None,
            homecoming: Arc::new(homecoming),
            runtime,
            runs: runs.into_iter().map(Some).collect(),
            ledger,
        }
    }

    /// The homecoming goes on as far as it can without another step of a shard; what a round did, once it has ended.
    pub(crate) fn bring_home(&mut self) -> Option<Round> {
        let homecoming = Arc::clone(&self.homecoming);
        let groups = self.ledger.groups();
        let mut ring = groups.map().groups();
        let is_recovering = ring.any(|group| groups.state(group) == GroupState::Recovering);
        let round = self
            .round
            .get_or_insert_with(|| Box::pin(async move { homecoming.round().await }));
        let context = &mut Context::from_waker(Waker::noop());
        let inside = self.runtime.enter();
        let mut polled = round.as_mut().poll(context);
        drop(inside);
        if polled.is_pending() && is_recovering {
            // on the one thread for it, so that what the round has it look at has been looked at before; and without a turn for
            // anybody else, who would have it or not as that thread is quick
            let (looked, is_over) = std::sync::mpsc::sync_channel(1);
            let _on_its_thread = self.runtime.spawn_blocking(move || looked.send(()));
            is_over.recv().unwrap();
            let _inside = self.runtime.enter();
            polled = round.as_mut().poll(context);
        }
        let Poll::Ready(round) = polled else {
            return None;
        };
        self.round = None;
        Some(round)
    }

    /// Whether errands may be in the queues.
    pub(crate) fn is_bringing_home(&self) -> bool {
        self.round.is_some()
    }

    /// Probes a group by its place in the ring; whether that could be written.
    pub(crate) fn probe(&self, place: usize, trouble: &Trouble) -> bool {
        let groups = self.ledger.groups();
        let began = groups.now();
        let wrote = !trouble.unreachable(place);
        let seen = if wrote { Seen::ProbeWrote } else { Seen::ProbeFailed };
        if let Some(group) = groups.map().groups().nth(place) {
            groups.see(group, seen, began);
        }
        wrote
    }

    /// Whether the process uses all groups, and knows of no hop that is open.
    pub(crate) fn is_settled(&self) -> bool {
        let groups = self.ledger.groups();
        let mut shards = self.ledger.count().all();
        groups.map().groups().all(|group| groups.state(group).is_used()) && !shards.any(|home| groups.may_be_open(home))
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
