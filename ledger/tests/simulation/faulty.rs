//! The faulty store: a test double that loses, delays and doubts what is written, as a power failure or a lost
//! connection would, and that says of itself what is durable.
//!
//! A group on its way is not there for anybody until it is durable. A crash loses it or finds it there, whole. A commit in
//! doubt is there, is lost, or gets there any time before the next `begin` or fence, which settles it. A shard belongs to a
//! shard group, and nothing answers while that is down. With no faults it is simply a store; the conformance suite runs
//! against it. What torn bytes come to is the affair of the embedded store on a faulty disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use ledger::books::{Arrival, HeldAccount, HopRow, InternalKey, Remembered, Sides, Usage, UsageKey};
use ledger::state::ShardState;
use ledger::store::{Group, OpenHops, Reader, Store, StoreFault};
use ledger::view::{Rows, Wanted};
use ledger_model::{AccountLimits, AccountToken, Agreement, AgreementNumber, HopState, ShardId, TransferKey};

use crate::trouble::{CommitFate, Trouble};

/// What outlives a process.
#[derive(Debug, Clone)]
pub(crate) struct Platter {
    held: Arc<Mutex<Held>>,
    /// Place of its shard group in the ring.
    group: usize,
    /// New keys are not looked for: a commit that adds one that is there is refused.
    refuses_taken: bool,
}

#[derive(Debug)]
struct Held {
    state: ShardState,
    /// Raised by every new session that writes.
    epoch: u64,
    accounts: BTreeMap<AccountToken, HeldAccount>,
    limits: BTreeMap<AccountToken, Option<AccountLimits>>,
    agreements: BTreeMap<AgreementNumber, Agreement>,
    transfers: BTreeMap<TransferKey, Remembered>,
    hops: BTreeMap<TransferKey, HopRow>,
    usages: BTreeMap<UsageKey, Usage>,
    internal: BTreeMap<InternalKey, Sides>,
    journal: Vec<Vec<u8>>,
    evidence: BTreeMap<u64, Vec<u8>>,
    under_way: UnderWay,
}

#[derive(Debug)]
enum UnderWay {
    Nothing,
    /// Written and not synced.
    Written(Box<Group>),
    /// Whoever sent it gave up waiting, and it has not got there yet.
    Late {
        group: Box<Group>,
        /// It commits under this one or not at all.
        epoch: u64,
    },
}

impl Platter {
    #[allow(dead_code, reason = "the conformance suite uses it")]
    pub(crate) fn new(shard: ShardId) -> Self {
        Self::in_group(shard, 0)
    }

    pub(crate) fn in_group(shard: ShardId, group: usize) -> Self {
        let held = Arc::new(Mutex::new(Held {
            state: ShardState::empty(shard),
            epoch: 0,
            accounts: BTreeMap::new(),
            limits: BTreeMap::new(),
            agreements: BTreeMap::new(),
            transfers: BTreeMap::new(),
            hops: BTreeMap::new(),
            usages: BTreeMap::new(),
            internal: BTreeMap::new(),
            journal: Vec::new(),
            evidence: BTreeMap::new(),
            under_way: UnderWay::Nothing,
        }));
        Self {
            held,
            group,
            refuses_taken: false,
        }
    }

    pub(crate) fn refusing_taken(self, refuses_taken: bool) -> Self {
        Self { refuses_taken, ..self }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    pub(crate) fn open(&self, trouble: &Trouble) -> FaultyStore {
        let state = self.held().state.clone();
        FaultyStore {
            platter: self.clone(),
            state,
            session: None,
            epoch: 0,
            trouble: trouble.clone(),
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.held().epoch
    }

    /// Number of the last record that would survive a crash now.
    pub(crate) fn durable(&self) -> u64 {
        self.held().state.sequence
    }

    /// Whether the key is in a group that nobody waits for any more and that may still get there.
    pub(crate) fn may_appear(&self, key: &TransferKey) -> bool {
        match &self.held().under_way {
            UnderWay::Late { group, .. } => group.rows.transfers.iter().any(|row| row.transfer.key == *key),
            UnderWay::Nothing | UnderWay::Written(_) => false,
        }
    }

    /// A key that may still get there.
    pub(crate) fn late_key(&self) -> Option<TransferKey> {
        match &self.held().under_way {
            UnderWay::Late { group, .. } => group.rows.transfers.first().map(|row| row.transfer.key),
            UnderWay::Nothing | UnderWay::Written(_) => None,
        }
    }

    /// A late group, if there is one, gets there now.
    pub(crate) fn late_gets_there(&self) -> bool {
        let mut held = self.held();
        match std::mem::replace(&mut held.under_way, UnderWay::Nothing) {
            UnderWay::Late { group, epoch } => {
                assert_eq!(epoch, held.epoch, "whoever raises the epoch settles what is under way");
                held.apply(*group);
                true
            }
            other => {
                held.under_way = other;
                false
            }
        }
    }

    fn may_read(&self, trouble: &Trouble) -> Result<(), StoreFault> {
        if trouble.unreachable(self.group) || trouble.read_fails() {
            return Err(StoreFault::Unreachable(Box::new(told_to_fail())));
        }
        Ok(())
    }

    fn raise_epoch(&self) -> u64 {
        let mut held = self.held();
        held.epoch += 1;
        held.epoch
    }

    /// What is under way is there or lost for good.
    pub(crate) fn settle(&self, trouble: &Trouble) {
        let mut held = self.held();
        match std::mem::replace(&mut held.under_way, UnderWay::Nothing) {
            UnderWay::Nothing => {}
            UnderWay::Written(group) | UnderWay::Late { group, .. } => {
                if trouble.one_of([true, false]) {
                    held.apply(*group);
                }
            }
        }
    }
}

impl Held {
    /// Whether a group adds a transfer that is there.
    fn has_one_of(&self, group: &Group) -> bool {
        let first = group.first_sequence();
        let mut new = group.rows.transfers.iter().filter(|row| row.sequence >= first);
        new.any(|row| row.arrival == Arrival::Direct && self.would_meet(&row.transfer.key))
    }

    /// Whether a new transfer of the key would meet one.
    fn would_meet(&self, key: &TransferKey) -> bool {
        self.transfers
            .get(key)
            .is_some_and(|row| row.arrival != Arrival::Hopped)
    }

    fn apply(&mut self, group: Group) {
        let Group {
            rows,
            records,
            evidence,
            state,
        } = group;
        let Rows {
            accounts,
            limits,
            agreements,
            transfers,
            hops,
            usages,
            internal,
        } = rows;
        let accounts = accounts.into_iter().map(|row| (row.account.token, row));
        self.accounts.extend(accounts);
        let agreements = agreements.into_iter().map(|row| (row.number, row));
        self.agreements.extend(agreements);
        let transfers = transfers.into_iter().map(|row| (row.transfer.key, row));
        self.transfers.extend(transfers);
        self.limits.extend(limits);
        let hops = hops.into_iter().map(|row| (row.transfer.key, row));
        self.hops.extend(hops);
        self.usages.extend(usages);
        self.internal.extend(internal);
        self.evidence.extend(evidence);
        self.journal.extend(records.into_iter().map(|(_, record)| record));
        self.state = state;
    }
}

#[derive(Debug)]
pub(crate) struct FaultyStore {
    platter: Platter,
    state: ShardState,
    /// Epoch of the session there is, none where it was lost.
    session: Option<u64>,
    /// Under which the shard was last taken.
    epoch: u64,
    trouble: Trouble,
}

struct FaultyReader {
    platter: Platter,
    trouble: Trouble,
}

fn told_to_fail() -> io::Error {
    io::Error::other("told to fail")
}

fn crashed() -> StoreFault {
    StoreFault::Engine {
        doing: "go on after a crash",
        source: Box::new(told_to_fail()),
    }
}

fn found<K: Ord, V: Clone>(rows: &BTreeMap<K, V>, wanted: &[K]) -> Vec<V> {
    wanted.iter().filter_map(|key| rows.get(key).cloned()).collect()
}

fn found_pairs<K: Ord + Copy, V: Copy>(rows: &BTreeMap<K, V>, wanted: &[K]) -> Vec<(K, V)> {
    let pairs = wanted.iter().filter_map(|key| rows.get(key).map(|row| (*key, *row)));
    pairs.collect()
}

impl FaultyStore {
    fn is_written(&self) -> bool {
        matches!(self.platter.held().under_way, UnderWay::Written(_))
    }

    fn take_written(&self) -> Group {
        let mut held = self.platter.held();
        match std::mem::replace(&mut held.under_way, UnderWay::Nothing) {
            UnderWay::Written(group) => *group,
            other => panic!("{other:?} where a group was written"),
        }
    }

    fn becomes(&mut self, fate: CommitFate) -> Result<(), StoreFault> {
        match fate {
            CommitFate::Durable => {
                let group = self.take_written();
                self.state = group.state.clone();
                self.platter.held().apply(group);
                self.trouble.moment();
                if self.trouble.is_crashed() {
                    return Err(crashed());
                }
                Ok(())
            }
            CommitFate::NotWritten => {
                drop(self.take_written());
                Err(StoreFault::NotWritten(io::ErrorKind::StorageFull.into()))
            }
            CommitFate::Unreachable => {
                drop(self.take_written());
                self.session = None;
                Err(StoreFault::Unreachable(Box::new(told_to_fail())))
            }
            CommitFate::InDoubtThere | CommitFate::InDoubtLost | CommitFate::InDoubtLate => {
                let group = self.take_written();
                self.session = None;
                let mut held = self.platter.held();
                match fate {
                    CommitFate::InDoubtThere => held.apply(group),
                    CommitFate::InDoubtLate => {
                        let epoch = held.epoch;
                        let group = Box::new(group);
                        held.under_way = UnderWay::Late { group, epoch };
                    }
                    _ => {}
                }
                Err(StoreFault::InDoubt(Box::new(told_to_fail())))
            }
            CommitFate::Crash => {
                self.trouble.set_crashed(true);
                Err(crashed())
            }
        }
    }
}

impl Store for FaultyStore {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn fence(&mut self) -> Result<u64, StoreFault> {
        self.session = None;
        self.begin()?;
        self.abandon();
        Ok(self.epoch)
    }

    fn begin(&mut self) -> Result<ShardState, StoreFault> {
        if self.trouble.unreachable(self.platter.group) {
            self.session = None;
            return Err(StoreFault::Unreachable(Box::new(told_to_fail())));
        }
        if self.trouble.begin_fails() {
            return Err(StoreFault::Unreachable(Box::new(told_to_fail())));
        }
        assert!(!self.is_written(), "one group at a time");
        self.platter.settle(&self.trouble);
        self.epoch = match self.session {
            Some(epoch) => epoch,
            None => self.platter.raise_epoch(),
        };
        self.session = Some(self.epoch);
        self.state = self.platter.held().state.clone();
        Ok(self.state.clone())
    }

    fn abandon(&mut self) {}

    fn state(&self) -> &ShardState {
        &self.state
    }

    fn fetch(&self, wanted: &Wanted) -> Result<Rows, StoreFault> {
        self.platter.may_read(&self.trouble)?;
        let held = self.platter.held();
        let Wanted {
            accounts,
            limits,
            agreements,
            transfers,
            new,
            hops,
            usages,
            internal,
        } = wanted;
        let mut transfers = found(&held.transfers, transfers);
        let is_shown = |key: &TransferKey| !self.platter.refuses_taken || !held.would_meet(key);
        transfers.extend(
            new.iter()
                .filter(|key| is_shown(key))
                .filter_map(|key| held.transfers.get(key).cloned()),
        );
        Ok(Rows {
            accounts: found(&held.accounts, accounts),
            limits: found_pairs(&held.limits, limits),
            agreements: found(&held.agreements, agreements),
            transfers,
            hops: found(&held.hops, hops),
            usages: found_pairs(&held.usages, usages),
            internal: found_pairs(&held.internal, internal),
        })
    }

    fn open_hops(&self, homes: &BTreeSet<ShardId>, limit: usize) -> Result<OpenHops, StoreFault> {
        self.platter.may_read(&self.trouble)?;
        let held = self.platter.held();
        let open = held.hops.values().filter(|row| row.state == HopState::Open);
        Ok(OpenHops::among(open.cloned(), homes, limit))
    }

    fn unapplied_hops(&self, limit: usize) -> Result<Vec<HopRow>, StoreFault> {
        self.platter.may_read(&self.trouble)?;
        let held = self.platter.held();
        let refused = held
            .hops
            .values()
            .filter(|row| matches!(row.state, HopState::Unapplied(_)));
        Ok(refused.take(limit).cloned().collect())
    }

    fn commit(&mut self, group: Group) -> Result<(), StoreFault> {
        if self.platter.refuses_taken && self.platter.held().has_one_of(&group) {
            self.trouble.key_was_taken();
            return Err(StoreFault::KeyTaken);
        }
        self.platter.held().under_way = UnderWay::Written(Box::new(group));
        self.trouble.moment();
        if self.trouble.is_crashed() {
            return Err(crashed());
        }
        let fate = self.trouble.commit_fate(self.platter.group);
        self.becomes(fate)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(FaultyReader {
            platter: self.platter.clone(),
            trouble: self.trouble.clone(),
        })
    }

    fn is_seen(&self) -> bool {
        true
    }

    fn has_other_writers(&self) -> bool {
        self.platter.refuses_taken
    }

    fn keeps_keys_with(&self, _shard: ShardId) -> bool {
        false
    }

    fn elsewhere(&self, _key: &TransferKey) -> Option<Remembered> {
        None
    }
}

impl FaultyReader {
    fn readable(&self) -> Result<MutexGuard<'_, Held>, StoreFault> {
        self.platter.may_read(&self.trouble)?;
        Ok(self.platter.held())
    }
}

impl Reader for FaultyReader {
    fn committed(&self) -> Result<u64, StoreFault> {
        Ok(self.readable()?.state.sequence)
    }

    fn transfer(&self, key: &TransferKey) -> Result<Option<Remembered>, StoreFault> {
        Ok(self.readable()?.transfers.get(key).cloned())
    }

    fn journal(&self, from: u64, bytes_max: usize) -> Result<Vec<Vec<u8>>, StoreFault> {
        let held = self.readable()?;
        let mut bytes = 0;
        let mut records: Vec<Vec<u8>> = Vec::new();
        let skipped = usize::try_from(from.saturating_sub(1)).unwrap();
        for record in held.journal.iter().skip(skipped) {
            if !records.is_empty() && bytes >= bytes_max {
                break;
            }
            bytes += record.len();
            records.push(record.clone());
        }
        Ok(records)
    }

    fn evidence(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(self.readable()?.evidence.get(&sequence).cloned())
    }
}
