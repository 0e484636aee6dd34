//! A shard group's server as a test double: stores that several ledgers may have open, and that fail as told.
//!
//! What it keeps to, as PostgreSQL does: whoever begins has the shard's lock until the commit; an epoch is raised by every
//! new connection; a commit of which the answer was lost is there, or not, before the next `begin` succeeds.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ledger::books::{HopRow, Remembered};
use ledger::hopping::homecoming::Probe;
use ledger::state::ShardState;
use ledger::store::embedded::EmbeddedStore;
use ledger::store::release::{Base, Release, ReleaseFault, Released};
use ledger::store::{Group, OpenHops, Reader, Store, StoreFault};
use ledger::view::{Rows, Wanted};
use ledger_model::{ShardId, TransferKey};

use crate::bank::SHARDS;

/// As a call of a database is bounded, only shorter.
const LOCK_LIMIT: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Works,
    Gone,
    /// As a standby, or a database that was recovered: it answers questions.
    ReadOnly,
    /// Commits are done, and their answers are lost.
    LosesAnswers,
    /// Commits are lost.
    LosesCommits,
    /// Commits are done when the next connection is made, and their answers are lost.
    CommitsLate,
}

/// A shard as its server keeps it.
struct Kept {
    store: Mutex<EmbeddedStore>,
    locked: Mutex<bool>,
    freed: Condvar,
    epoch: AtomicU64,
    late: Mutex<Option<Group>>,
}

pub(crate) struct Server {
    condition: Mutex<Condition>,
    shards: Vec<(ShardId, Arc<Kept>)>,
    pub(crate) probes: AtomicU64,
}

/// One connection of one ledger.
struct Connection {
    server: Arc<Server>,
    kept: Arc<Kept>,
    state: ShardState,
    reader: Arc<dyn Reader>,
    epoch: u64,
    is_open: bool,
    has_lock: bool,
}

struct ServerReader {
    server: Arc<Server>,
    reader: Arc<dyn Reader>,
}

fn unreachable() -> StoreFault {
    StoreFault::Unreachable("the server does not answer".into())
}

impl Server {
    pub(crate) fn start(directory: &Path, shards: &[u8]) -> Arc<Self> {
        let kept = |number: &u8| {
            let shard = SHARDS.shard(*number).unwrap();
            let store = EmbeddedStore::open_with(directory, SHARDS, shard, crate::groups::small()).unwrap();
            let kept = Kept {
                store: Mutex::new(store),
                locked: Mutex::new(false),
                freed: Condvar::new(),
                epoch: AtomicU64::new(0),
                late: Mutex::new(None),
            };
            (shard, Arc::new(kept))
        };
        Arc::new(Self {
            condition: Mutex::new(Condition::Works),
            shards: shards.iter().map(kept).collect(),
            probes: AtomicU64::new(0),
        })
    }

    pub(crate) fn becomes(&self, condition: Condition) {
        *self.condition.lock().unwrap() = condition;
    }

    fn condition(&self) -> Condition {
        *self.condition.lock().unwrap()
    }

    pub(crate) fn connect(self: &Arc<Self>, shard: ShardId) -> Box<dyn Store> {
        let (_, kept) = self.shards.iter().find(|(known, _)| *known == shard).unwrap();
        let (state, reader) = {
            let store = kept.store.lock().unwrap();
            (store.state().clone(), store.reader())
        };
        Box::new(Connection {
            server: Arc::clone(self),
            kept: Arc::clone(kept),
            state,
            reader,
            epoch: 0,
            is_open: false,
            has_lock: false,
        })
    }

    /// What the shard holds, whatever condition its server is in.
    pub(crate) fn look<T>(&self, shard: ShardId, look: impl FnOnce(&EmbeddedStore) -> T) -> T {
        let (_, kept) = self.shards.iter().find(|(known, _)| *known == shard).unwrap();
        look(&kept.store.lock().unwrap())
    }

    /// As another connection would, for as long as what is returned lives.
    pub(crate) fn hold(&self, shard: ShardId) -> Held {
        let (_, kept) = self.shards.iter().find(|(known, _)| *known == shard).unwrap();
        assert!(kept.lock());
        Held(Arc::clone(kept))
    }
}

/// A transaction held open.
pub(crate) struct Held(Arc<Kept>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.free();
    }
}

impl Kept {
    fn lock(&self) -> bool {
        let locked = self.locked.lock().unwrap();
        let (mut locked, waited) = self
            .freed
            .wait_timeout_while(locked, LOCK_LIMIT, |locked| *locked)
            .unwrap();
        if waited.timed_out() {
            return false;
        }
        *locked = true;
        true
    }

    fn free(&self) {
        *self.locked.lock().unwrap() = false;
        self.freed.notify_one();
    }
}

impl Probe for Server {
    fn write(&self) -> Result<(), StoreFault> {
        self.probes.fetch_add(1, Ordering::Relaxed);
        match self.condition() {
            Condition::Gone | Condition::ReadOnly => Err(unreachable()),
            Condition::Works | Condition::LosesAnswers | Condition::LosesCommits | Condition::CommitsLate => Ok(()),
        }
    }
}

impl Connection {
    fn lost(&mut self) {
        self.is_open = false;
        if std::mem::take(&mut self.has_lock) {
            self.kept.free();
        }
    }

    fn take(&mut self) -> Result<ShardState, StoreFault> {
        if self.has_lock {
            self.lost();
        }
        let refuses = matches!(self.server.condition(), Condition::Gone | Condition::ReadOnly);
        if refuses || !self.kept.lock() {
            self.is_open = false;
            return Err(unreachable());
        }
        self.has_lock = true;
        let mut store = self.kept.store.lock().unwrap();
        // it had the lock until now
        if let Some(late) = self.kept.late.lock().unwrap().take() {
            store.commit(late).unwrap();
        }
        if !self.is_open {
            self.is_open = true;
            self.kept.epoch.fetch_add(1, Ordering::AcqRel);
        }
        self.epoch = self.kept.epoch.load(Ordering::Acquire);
        self.state = store.begin().unwrap();
        Ok(self.state.clone())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.lost();
    }
}

impl Store for Connection {
    fn begin(&mut self) -> Result<ShardState, StoreFault> {
        self.take()
    }

    fn state(&self) -> &ShardState {
        &self.state
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn fence(&mut self) -> Result<u64, StoreFault> {
        self.lost();
        self.take()?;
        self.abandon();
        Ok(self.epoch)
    }

    fn fetch(&self, wanted: &Wanted) -> Result<Rows, StoreFault> {
        if self.server.condition() == Condition::Gone {
            return Err(unreachable());
        }
        self.kept.store.lock().unwrap().fetch(wanted)
    }

    fn open_hops(&self, homes: &BTreeSet<ShardId>, limit: usize) -> Result<OpenHops, StoreFault> {
        self.kept.store.lock().unwrap().open_hops(homes, limit)
    }

    fn unapplied_hops(&self, limit: usize) -> Result<Vec<HopRow>, StoreFault> {
        self.kept.store.lock().unwrap().unapplied_hops(limit)
    }

    fn commit(&mut self, group: Group) -> Result<(), StoreFault> {
        assert!(self.has_lock, "a group is begun before it is committed");
        let in_doubt = || StoreFault::InDoubt("the connection was lost".into());
        let condition = self.server.condition();
        let committed = match condition {
            Condition::Gone | Condition::ReadOnly => Err(unreachable()),
            Condition::LosesCommits => Err(in_doubt()),
            Condition::CommitsLate => {
                *self.kept.late.lock().unwrap() = Some(group);
                Err(in_doubt())
            }
            Condition::Works | Condition::LosesAnswers => {
                let mut store = self.kept.store.lock().unwrap();
                store.commit(group).unwrap();
                self.state = store.state().clone();
                Ok(())
            }
        };
        self.has_lock = false;
        self.kept.free();
        if condition != Condition::Works {
            self.is_open = false;
        }
        match committed {
            Ok(()) if condition == Condition::LosesAnswers => Err(in_doubt()),
            committed => committed,
        }
    }

    fn abandon(&mut self) {
        if std::mem::take(&mut self.has_lock) {
            self.kept.free();
        }
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(ServerReader {
            server: Arc::clone(&self.server),
            reader: Arc::clone(&self.reader),
        })
    }

    fn base(&self) -> Arc<Base> {
        self.kept.store.lock().unwrap().base()
    }

    fn release(&mut self, release: &Release) -> Result<Released, ReleaseFault> {
        self.kept.store.lock().unwrap().release(release)
    }

    fn is_seen(&self) -> bool {
        true
    }

    fn has_other_writers(&self) -> bool {
        false
    }

    fn keeps_keys_with(&self, _shard: ShardId) -> bool {
        false
    }

    fn elsewhere(&self, _key: &TransferKey) -> Option<Remembered> {
        None
    }
}

impl ServerReader {
    fn asked(&self) -> Result<&dyn Reader, StoreFault> {
        match self.server.condition() {
            Condition::Gone => Err(unreachable()),
            _ => Ok(self.reader.as_ref()),
        }
    }
}

impl Reader for ServerReader {
    fn committed(&self) -> Result<u64, StoreFault> {
        self.asked()?.committed()
    }

    fn base(&self) -> Result<Arc<Base>, StoreFault> {
        self.asked()?.base()
    }

    fn transfer(&self, key: &TransferKey) -> Result<Option<Remembered>, StoreFault> {
        self.asked()?.transfer(key)
    }

    fn journal(&self, from: u64, bytes_max: usize) -> Result<Vec<Vec<u8>>, StoreFault> {
        self.asked()?.journal(from, bytes_max)
    }

    fn evidence(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreFault> {
        self.asked()?.evidence(sequence)
    }
}
