//! A store whose commits are timed, as those of the library it is compared with are.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use hdrhistogram::Histogram;
use ledger::books::{HopRow, Remembered};
use ledger::state::ShardState;
use ledger::store::release::{Base, Release, ReleaseFault, Released};
use ledger::store::{Group, OpenHops, Reader, Store, StoreFault};
use ledger::view::{Rows, Wanted};
use ledger_model::{ShardId, TransferKey};

pub(crate) struct Timed {
    store: Box<dyn Store>,
    /// Microseconds.
    commits: Arc<Mutex<Histogram<u64>>>,
}

impl Timed {
    pub(crate) fn boxed(store: Box<dyn Store>, commits: Arc<Mutex<Histogram<u64>>>) -> Box<dyn Store> {
        Box::new(Self { store, commits })
    }
}

impl Store for Timed {
    fn begin(&mut self) -> Result<ShardState, StoreFault> {
        self.store.begin()
    }

    fn state(&self) -> &ShardState {
        self.store.state()
    }

    fn epoch(&self) -> u64 {
        self.store.epoch()
    }

    fn fence(&mut self) -> Result<u64, StoreFault> {
        self.store.fence()
    }

    fn fetch(&self, wanted: &Wanted) -> Result<Rows, StoreFault> {
        self.store.fetch(wanted)
    }

    fn open_hops(&self, homes: &BTreeSet<ShardId>, limit: usize) -> Result<OpenHops, StoreFault> {
        self.store.open_hops(homes, limit)
    }

    fn unapplied_hops(&self, limit: usize) -> Result<Vec<HopRow>, StoreFault> {
        self.store.unapplied_hops(limit)
    }

    fn commit(&mut self, group: Group) -> Result<(), StoreFault> {
        let began = Instant::now();
        let committed = self.store.commit(group);
        let took = began.elapsed().as_micros() as u64;
        self.commits.lock().unwrap().record(took).unwrap();
        committed
    }

    fn abandon(&mut self) {
        self.store.abandon();
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.store.reader()
    }

    fn base(&self) -> Arc<Base> {
        self.store.base()
    }

    fn release(&mut self, release: &Release) -> Result<Released, ReleaseFault> {
        self.store.release(release)
    }

    fn has_other_writers(&self) -> bool {
        self.store.has_other_writers()
    }

    fn elsewhere(&self, key: &TransferKey) -> Option<Remembered> {
        self.store.elsewhere(key)
    }

    fn is_seen(&self) -> bool {
        self.store.is_seen()
    }

    fn keeps_keys_with(&self, shard: ShardId) -> bool {
        self.store.keeps_keys_with(shard)
    }
}
