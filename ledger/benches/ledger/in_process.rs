//! Postings by calls in this process: router, shards, engine and embedded store.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ledger::clock::wall_clock;
use ledger::meters::Meters;
use ledger::outcome::{Answer, Outcome, ReplyTo};
use ledger::router::{Ledger, LedgerParts};
use ledger::shard::ShardLimits;
use ledger::store::Store;
use ledger::store::embedded::{EmbeddedStore, KEPT_DAYS, StoreOptions};
use ledger_model::Decision;
use prometheus_client::registry::Registry;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::Extent;
use crate::figures::{Figures, cpu_micros, written_bytes};
use crate::timed::Timed;
use crate::work::{SHARDS, Spread, Stretch, Work};

/// Threads that generate load.
const CALLERS: u64 = 2;
/// Postings each has under way.
const WINDOW: usize = 512;
const LOADED_AT_ONCE: u64 = 2_000;
const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) const LIMITS: ShardLimits = ShardLimits {
    queue_max: 8192,
    commit_batch_max: 512,
    kept_days: KEPT_DAYS,
    calm_groups: ledger::shard::CALM_GROUPS,
};

/// A ledger with its books, and how far the work has come.
pub(crate) struct Running {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) runtime: Runtime,
    pub(crate) work: Arc<Work>,
    pub(crate) next: u64,
    /// Postings each caller has under way.
    window: usize,
    /// Of groups, microseconds each.
    commits: Arc<Mutex<Histogram<u64>>>,
}

pub(crate) fn open(directory: &Path) -> Vec<Box<dyn Store>> {
    std::thread::scope(|scope| {
        let opening: Vec<_> = SHARDS
            .all()
            .map(|shard| {
                scope
                    .spawn(move || EmbeddedStore::open_with(directory, SHARDS, shard, StoreOptions::default()).unwrap())
            })
            .collect();
        let opened = opening.into_iter().map(|thread| thread.join().unwrap());
        opened.map(|store| -> Box<dyn Store> { Box::new(store) }).collect()
    })
}

fn start(stores: Vec<Box<dyn Store>>) -> Arc<Ledger> {
    Ledger::start(LedgerParts {
        stores,
        shards: SHARDS,
        limits: LIMITS,
        clock: wall_clock(),
        meters: Meters::registered(&mut Registry::default()),
        fatal: Arc::new(|fault| panic!("{fault}: {fault:?}")),
    })
    .unwrap()
}

pub(crate) fn run(directory: &Path, extent: Extent, figures: &mut Figures) -> Running {
    let mut running = Running::over(open(directory), extent.accounts, WINDOW);
    let began = Instant::now();
    load(&running);
    figures.whole("accounts", extent.accounts);
    figures.decimal("load_accounts_s", began.elapsed().as_secs_f64());
    running.post(Spread::Zipf, extent.warm_up);
    running.reset_commits();
    let (cpu, written) = (cpu_micros(), written_bytes());
    let began = Instant::now();
    let latencies = running.post(Spread::Zipf, extent.measured);
    let took = began.elapsed().as_secs_f64();
    figures.whole("embedded_postings_per_s", (extent.measured as f64 / took) as u64);
    figures.latencies("embedded_commit", &running.commits());
    figures.latencies("embedded_posting", &latencies);
    figures.decimal(
        "embedded_cpu_us_per_posting",
        (cpu_micros() - cpu) as f64 / extent.measured as f64,
    );
    let bytes = (written_bytes() - written) / extent.measured;
    let payload = payload_bytes(&running);
    figures.whole("bytes_per_posting", bytes);
    figures.whole("payload_bytes", payload);
    figures.decimal("bytes_to_payload", bytes as f64 / payload as f64);
    running
}

/// Evidence as it was given, and the journal record: what a posting must keep.
fn payload_bytes(running: &Running) -> u64 {
    let evidence = running.work.evidence(1);
    let given = evidence.signed.len() + evidence.signature.len() + evidence.signing_serial.len();
    let feed = running.ledger.feed(SHARDS.shard(0).unwrap());
    let records = feed.reader.journal(feed.committed() - 1000, 1 << 18).unwrap();
    let record = records.iter().map(Vec::len).sum::<usize>() / records.len();
    (given + record) as u64
}

pub(crate) fn load(running: &Running) {
    let work = &running.work;
    let batches = (0..work.accounts).step_by(LOADED_AT_ONCE as usize);
    let loading = batches.map(|first| {
        let (ledger, work) = (Arc::clone(&running.ledger), Arc::clone(work));
        async move {
            let numbers = first..(first + LOADED_AT_ONCE).min(work.accounts);
            let accounts = numbers.clone().map(|number| (0, Work::account(number))).collect();
            let agreements = numbers.map(|number| (0, work.agreement(number))).collect();
            let reply = ledger.load(accounts, agreements).await.unwrap();
            assert!(reply.refused.is_empty(), "{:?}", reply.refused);
        }
    });
    running.runtime.block_on(async {
        use futures::StreamExt;
        futures::stream::iter(loading)
            .buffer_unordered(8)
            .for_each(|()| async {})
            .await;
    });
}

impl Running {
    /// A ledger over stores of which nothing is there yet.
    pub(crate) fn over(stores: Vec<Box<dyn Store>>, accounts: u64, window: usize) -> Self {
        let commits = Arc::new(Mutex::new(Histogram::new(3).unwrap()));
        let timed = stores
            .into_iter()
            .map(|store| Timed::boxed(store, Arc::clone(&commits)));
        Self {
            ledger: start(timed.collect()),
            runtime: Runtime::new().unwrap(),
            work: Arc::new(Work::new(accounts, wall_clock()())),
            next: 0,
            window,
            commits,
        }
    }

    /// How long groups took to commit, since the last reset.
    pub(crate) fn commits(&self) -> Histogram<u64> {
        self.commits.lock().unwrap().clone()
    }

    pub(crate) fn reset_commits(&self) {
        self.commits.lock().unwrap().reset();
    }

    /// Posts the next `count` pieces of work; every one must be posted. Latencies in microseconds.
    pub(crate) fn post(&mut self, spread: Spread, count: u64) -> Histogram<u64> {
        let stretch = Stretch {
            first: self.next,
            spread,
        };
        let next = AtomicU64::new(self.next);
        self.next += count;
        let end = self.next;
        let failed = AtomicBool::new(false);
        let mut all = Histogram::new(3).unwrap();
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..CALLERS)
                .map(|_| scope.spawn(|| self.call(stretch, &next, end, &failed)))
                .collect();
            for caller in callers {
                all.add(caller.join().unwrap()).unwrap();
            }
        });
        assert!(!failed.load(Ordering::Relaxed), "every piece of work is posted");
        all
    }

    fn call(&self, stretch: Stretch, next: &AtomicU64, end: u64, failed: &AtomicBool) -> Histogram<u64> {
        let _inside = self.runtime.enter();
        let (sender, mut answers) = mpsc::channel::<Answer>(self.window);
        let mut latencies = Histogram::new(3).unwrap();
        let mut sent = vec![Instant::now(); self.window];
        let mut free: Vec<u64> = (0..self.window as u64).collect();
        let mut done = false;
        loop {
            while !done && !free.is_empty() {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    done = true;
                    break;
                }
                let instruction = self.work.instruction(stretch, number);
                let evidence = self.work.evidence(number);
                let place = free.pop().unwrap();
                let now = Instant::now();
                *sent.get_mut(place as usize).unwrap() = now;
                let reply = ReplyTo {
                    number: place,
                    place: sender.clone().try_reserve_owned().unwrap(),
                };
                self.ledger.post(instruction, &evidence, now + DEADLINE, reply);
            }
            if free.len() == self.window {
                return latencies;
            }
            let mut answer = answers.blocking_recv();
            while let Some(Answer { number, outcome }) = answer {
                let posted = matches!(&outcome, Outcome::Decided { transfer, repeat: false } if transfer.decision == Decision::Posted);
                if !posted && !failed.swap(true, Ordering::Relaxed) {
                    eprintln!("{outcome:?}");
                }
                let took = sent.get(number as usize).unwrap().elapsed();
                latencies.record(took.as_micros() as u64).unwrap();
                free.push(number);
                answer = answers.try_recv().ok();
            }
        }
    }
}
