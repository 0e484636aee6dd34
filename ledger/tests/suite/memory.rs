//! A store that keeps everything in memory, fast and inspectable, and that can be told to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use ledger::books::{HeldAccount, HopRow, InternalKey, Remembered, Sides, Usage, UsageKey};
use ledger::state::ShardState;
use ledger::store::{Group, OpenHops, Reader, Store, StoreFault};
use ledger::view::{Rows, Wanted};
use ledger_model::{AccountLimits, AccountToken, Agreement, AgreementNumber, HopState, ShardId, TransferKey};

use crate::bank::SHARDS;

#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) accounts: BTreeMap<AccountToken, HeldAccount>,
    pub(crate) agreements: BTreeMap<AgreementNumber, Agreement>,
    pub(crate) transfers: BTreeMap<TransferKey, Remembered>,
    pub(crate) usages: BTreeMap<UsageKey, Usage>,
    pub(crate) internal: BTreeMap<InternalKey, Sides>,
    pub(crate) limits: BTreeMap<AccountToken, Option<AccountLimits>>,
    pub(crate) hops: BTreeMap<TransferKey, HopRow>,
    pub(crate) journal: Vec<Vec<u8>>,
    pub(crate) evidence: BTreeMap<u64, Vec<u8>>,
}

/// What goes wrong, when it is told to.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) fetch_fails: AtomicBool,
    pub(crate) commit_fails: AtomicBool,
    pub(crate) commit_panics: AtomicBool,
    /// Whether commits are held up.
    held: Mutex<bool>,
    let_go: Condvar,
    /// A commit is being held up now.
    waits: AtomicBool,
}

/// Holds up commits.
#[derive(Debug)]
pub(crate) struct Holding(Arc<Trouble>);

impl Drop for Holding {
    fn drop(&mut self) {
        *self.0.held.lock().unwrap() = false;
        self.0.let_go.notify_all();
    }
}

impl Trouble {
    /// Commits wait from now on, until what is returned is dropped.
    pub(crate) fn hold(self: &Arc<Self>) -> Holding {
        *self.held.lock().unwrap() = true;
        Holding(Arc::clone(self))
    }

    pub(crate) fn holds_up_a_commit(&self) -> bool {
        self.waits.load(Ordering::SeqCst)
    }

    fn wait(&self) {
        let held = self.held.lock().unwrap();
        self.waits.store(*held, Ordering::SeqCst);
        drop(self.let_go.wait_while(held, |held| *held).unwrap());
        self.waits.store(false, Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub(crate) struct MemoryStore {
    state: ShardState,
    pub(crate) kept: Arc<Mutex<Kept>>,
    pub(crate) trouble: Arc<Trouble>,
}

struct MemoryReader(Arc<Mutex<Kept>>);

impl MemoryStore {
    pub(crate) fn new(shard: ShardId) -> Self {
        Self {
            state: ShardState::empty(shard),
            kept: Arc::default(),
            trouble: Arc::default(),
        }
    }

    /// One for each shard.
    pub(crate) fn all() -> Vec<Self> {
        SHARDS.all().map(Self::new).collect()
    }
}

fn fault(doing: &'static str) -> StoreFault {
    StoreFault::Engine {
        doing,
        source: Box::new(std::io::Error::other("told to fail")),
    }
}

fn found<K: Ord, V: Clone>(rows: &BTreeMap<K, V>, wanted: &[K]) -> Vec<V> {
    wanted.iter().filter_map(|key| rows.get(key).cloned()).collect()
}

fn found_pairs<K: Ord + Copy, V: Copy>(rows: &BTreeMap<K, V>, wanted: &[K]) -> Vec<(K, V)> {
    wanted
        .iter()
        .filter_map(|key| rows.get(key).map(|row| (*key, *row)))
        .collect()
}

impl Store for MemoryStore {
    fn begin(&mut self) -> Result<ShardState, StoreFault> {
        Ok(self.state.clone())
    }

    fn abandon(&mut self) {}

    fn state(&self) -> &ShardState {
        &self.state
    }

    fn fetch(&self, wanted: &Wanted) -> Result<Rows, StoreFault> {
        if self.trouble.fetch_fails.load(Ordering::SeqCst) {
            return Err(fault("look up a row"));
        }
        let kept = self.kept.lock().unwrap();
        Ok(Rows {
            accounts: found(&kept.accounts, &wanted.accounts),
            agreements: found(&kept.agreements, &wanted.agreements),
            transfers: found(&kept.transfers, &[&wanted.transfers[..], &wanted.new].concat()),
            usages: found_pairs(&kept.usages, &wanted.usages),
            internal: found_pairs(&kept.internal, &wanted.internal),
            limits: found_pairs(&kept.limits, &wanted.limits),
            hops: found(&kept.hops, &wanted.hops),
        })
    }

    fn open_hops(&self, homes: &BTreeSet<ShardId>, limit: usize) -> Result<OpenHops, StoreFault> {
        let kept = self.kept.lock().unwrap();
        let open = kept.hops.values().filter(|row| row.state == HopState::Open);
        Ok(OpenHops::among(open.cloned(), homes, limit))
    }

    fn unapplied_hops(&self, limit: usize) -> Result<Vec<HopRow>, StoreFault> {
        let kept = self.kept.lock().unwrap();
        let refused = kept
            .hops
            .values()
            .filter(|row| matches!(row.state, HopState::Unapplied(_)));
        Ok(refused.take(limit).cloned().collect())
    }

    fn commit(&mut self, group: Group) -> Result<(), StoreFault> {
        self.trouble.wait();
        if self.trouble.commit_fails.load(Ordering::SeqCst) {
            return Err(fault("commit a group"));
        }
        assert!(!self.trouble.commit_panics.load(Ordering::SeqCst), "told to panic");
        let Group {
            rows,
            records,
            evidence,
            state,
        } = group;
        let mut kept = self.kept.lock().unwrap();
        kept.accounts
            .extend(rows.accounts.into_iter().map(|row| (row.account.token, row)));
        kept.agreements
            .extend(rows.agreements.into_iter().map(|row| (row.number, row)));
        kept.transfers
            .extend(rows.transfers.into_iter().map(|row| (row.transfer.key, row)));
        kept.usages.extend(rows.usages);
        kept.internal.extend(rows.internal);
        kept.limits.extend(rows.limits);
        kept.hops
            .extend(rows.hops.into_iter().map(|row| (row.transfer.key, row)));
        kept.evidence.extend(evidence);
        for (sequence, record) in records {
            kept.journal.push(record);
            assert_eq!(u64::try_from(kept.journal.len()).unwrap(), sequence);
        }
        self.state = state;
        Ok(())
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(MemoryReader(Arc::clone(&self.kept)))
    }

    fn epoch(&self) -> u64 {
        0
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

impl Reader for MemoryReader {
    fn committed(&self) -> Result<u64, StoreFault> {
        Ok(u64::try_from(self.0.lock().unwrap().journal.len()).unwrap())
    }

    fn transfer(&self, key: &TransferKey) -> Result<Option<Remembered>, StoreFault> {
        Ok(self.0.lock().unwrap().transfers.get(key).cloned())
    }

    fn journal(&self, from: u64, bytes_max: usize) -> Result<Vec<Vec<u8>>, StoreFault> {
        let kept = self.0.lock().unwrap();
        let mut bytes = 0;
        let mut records = Vec::new();
        for record in kept.journal.iter().skip(usize::try_from(from - 1).unwrap()) {
            bytes += record.len();
            records.push(record.clone());
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(records)
    }

    fn evidence(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.0.lock().unwrap().evidence.get(&sequence).cloned())
    }
}
