//! Rows as the database keeps them, and those of them that this process holds in memory.
//!
//! A group's rows are written with its journal, whole, in one piece (`frame`). Their table follows: a row is written there when
//! it has been pending long enough, so that one that changes again and again is written once for many groups.
//!
//! ```text
//!   groups   ……… flushed ┃ ……………………… last
//!   table    has them    ┃ may not have them: what they changed is pending, here and in every process that writes
//! ```
//!
//! Invariant: for every group up to `flushed` the table holds what it left behind, or something newer. So a process that
//! begins reads the groups after `flushed`, and has every row: pending, or in the table. What another process commits is
//! taken in the same way before the next group is begun.

use std::collections::VecDeque;

use ledger_model::{
    AccountLimits, AccountToken, AgreementNumber, HopState, Packed, ShardId, TransferKey, UnpackFault, Unpacker,
};

use crate::books::{HeldAccount, HopRow, InternalKey, Sides, Usage, UsageKey};
use crate::hash::FastMap;
use crate::store::StoreFault;
use crate::store::row::{Pair, unpack, usage_day};
use crate::view::{Rows, Wanted};

/// A row by its key in the database: shard, kind, and its own packed key; what is after the key in the packed row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Change {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

const ACCOUNT: u8 = 1;
const AGREEMENT: u8 = 2;
/// The day comes before the key, so that days expire as ranges.
const USAGE: u8 = 3;
const INTERNAL: u8 = 4;
const LIMITS: u8 = 5;
/// Always written to the table with their group, and told by `open_hop` while they are open.
const HOP: u8 = 6;

/// A row's key in the database.
trait Keyed: Packed {
    const KIND: u8;

    fn day(_packed: &[u8]) -> Option<u32> {
        None
    }
}

impl Keyed for AccountToken {
    const KIND: u8 = ACCOUNT;
}

impl Keyed for AgreementNumber {
    const KIND: u8 = AGREEMENT;
}

impl Keyed for UsageKey {
    const KIND: u8 = USAGE;

    fn day(packed: &[u8]) -> Option<u32> {
        usage_day(packed)
    }
}

impl Keyed for InternalKey {
    const KIND: u8 = INTERNAL;
}

impl Keyed for TransferKey {
    const KIND: u8 = HOP;
}

/// The account whose limits they are.
struct LimitsOf(AccountToken);

impl Packed for LimitsOf {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        input.take().map(Self)
    }
}

impl Keyed for LimitsOf {
    const KIND: u8 = LIMITS;
}

struct Packing {
    key: Vec<u8>,
    /// Where the row's own packed key begins in it.
    own: usize,
}

impl Packing {
    fn of<K: Keyed>(shard: ShardId, key: &K) -> Self {
        let mut own = Vec::with_capacity(64);
        key.pack(&mut own);
        let mut packed = vec![shard.number(), K::KIND];
        if let Some(day) = K::day(&own) {
            day.pack(&mut packed);
        }
        let begins = packed.len();
        packed.extend_from_slice(&own);
        Self {
            key: packed,
            own: begins,
        }
    }

    fn own(&self) -> &[u8] {
        self.key.get(self.own..).unwrap_or_default()
    }

    fn change(self, pack: impl FnOnce(&mut Vec<u8>)) -> Change {
        let mut row = Vec::with_capacity(128);
        pack(&mut row);
        let value = row
            .strip_prefix(self.own())
            .expect("a row begins with its key")
            .to_vec();
        Change { key: self.key, value }
    }

    fn read<V: Packed>(&self, what: &'static str, value: &[u8]) -> Result<V, StoreFault> {
        unpack(what, &[self.own(), value].concat())
    }
}

/// The first key of usages of `day`: the days before lie below it, down to the key of day 0.
pub(super) fn usages_from(shard: ShardId, day: u32) -> Vec<u8> {
    let mut key = vec![shard.number(), USAGE];
    day.pack(&mut key);
    key
}

/// The rows of a group but its transfers, each once, in the order of their keys.
pub(super) fn changes(shard: ShardId, rows: &Rows) -> Vec<Change> {
    let Rows {
        accounts,
        agreements,
        transfers: _,
        usages,
        internal,
        limits,
        hops,
    } = rows;
    let mut all = Vec::with_capacity(accounts.len() + agreements.len() + usages.len() + internal.len());
    for row in accounts {
        all.push(Packing::of(shard, &row.account.token).change(|out| row.pack(out)));
    }
    for row in agreements {
        all.push(Packing::of(shard, &row.number).change(|out| row.pack(out)));
    }
    for (key, usage) in usages {
        all.push(Packing::of(shard, key).change(|out| {
            key.pack(out);
            usage.pack(out);
        }));
    }
    for (key, sums) in internal {
        all.push(Packing::of(shard, key).change(|out| {
            key.pack(out);
            sums.pack(out);
        }));
    }
    for (token, limits) in limits {
        all.push(Packing::of(shard, &LimitsOf(*token)).change(|out| {
            token.pack(out);
            limits.pack(out);
        }));
    }
    for row in hops {
        all.push(hop(shard, row));
    }
    all.sort_unstable();
    all
}

pub(super) fn hop(shard: ShardId, row: &HopRow) -> Change {
    Packing::of(shard, &row.transfer.key).change(|out| row.pack(out))
}

/// Every hop of the shard has a key from the first on and below the second.
pub(super) const fn hops_between(shard: ShardId) -> [[u8; 2]; 2] {
    [[shard.number(), HOP], [shard.number(), HOP + 1]]
}

/// A hop as the database keeps it.
pub(super) fn unpack_hop(key: &[u8], value: &[u8]) -> Result<HopRow, StoreFault> {
    let own = key.get(2..).unwrap_or_default();
    unpack("hop", &[own, value].concat())
}

pub(super) fn is_open(row: &HopRow) -> bool {
    row.state == HopState::Open
}

/// It is open, or an operator has to deal with it.
pub(super) const fn is_unsettled(row: &HopRow) -> bool {
    match row.state {
        HopState::Open | HopState::Unapplied(_) => true,
        HopState::Settled | HopState::Compensated => false,
    }
}

/// Keys of what is wanted, but for transfers.
pub(super) fn keys(shard: ShardId, wanted: &Wanted) -> Vec<Vec<u8>> {
    let Wanted {
        accounts,
        agreements,
        transfers: _,
        usages,
        internal,
        limits,
        hops,
    } = wanted;
    let mut all = Vec::with_capacity(accounts.len() + agreements.len() + usages.len() + internal.len());
    all.extend(accounts.iter().map(|key| Packing::of(shard, key).key));
    all.extend(agreements.iter().map(|key| Packing::of(shard, key).key));
    all.extend(usages.iter().map(|key| Packing::of(shard, key).key));
    all.extend(internal.iter().map(|key| Packing::of(shard, key).key));
    all.extend(limits.iter().map(|token| Packing::of(shard, &LimitsOf(*token)).key));
    all.extend(hops.iter().map(|key| Packing::of(shard, key).key));
    all
}

#[derive(Debug)]
struct Pending {
    value: Vec<u8>,
    /// The last record of the last group that changed it.
    changed: u64,
}

/// What is in memory of a shard's rows.
#[derive(Debug, Default)]
pub(super) struct Held {
    pending: FastMap<Vec<u8>, Pending>,
    /// Each pending row once, by the first record of the group that made it so.
    order: VecDeque<(u64, Vec<u8>)>,
    /// As they stand in the table, `None` where they are not there. What is not looked at goes with `older`.
    newer: FastMap<Vec<u8>, Option<Vec<u8>>>,
    older: FastMap<Vec<u8>, Option<Vec<u8>>>,
}

/// How much is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeldLimits {
    pub(super) pending_max: usize,
    pub(super) remembered_max: usize,
}

/// A group's place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// Rows to be written to the table with a group.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) rows: Vec<Change>,
    /// How many of `order` that leaves behind.
    taken: usize,
    /// The table has all up to this record then.
    pub(super) flushed: u64,
}

/// What memory says of a key.
enum Found<'a> {
    Row(&'a [u8]),
    /// There is none.
    NoRow,
    /// The database has to be asked.
    NotKnown,
}

impl Held {
    fn find(&self, key: &[u8]) -> Found<'_> {
        if let Some(pending) = self.pending.get(key) {
            return Found::Row(&pending.value);
        }
        match self.newer.get(key).or_else(|| self.older.get(key)) {
            Some(Some(value)) => Found::Row(value),
            Some(None) => Found::NoRow,
            None => Found::NotKnown,
        }
    }

    /// Those of `keys` that the database has to be asked for.
    pub(super) fn unknown(&mut self, mut keys: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        keys.retain(|key| {
            if let Some((key, value)) = self.older.remove_entry(key) {
                self.newer.insert(key, value);
            }
            matches!(self.find(key), Found::NotKnown)
        });
        keys
    }

    /// Rows as the table has them.
    pub(super) fn learn(&mut self, limits: HeldLimits, keys: Vec<Vec<u8>>, found: Vec<Change>) {
        self.newer.extend(keys.into_iter().map(|key| (key, None)));
        self.newer
            .extend(found.into_iter().map(|row| (row.key, Some(row.value))));
        self.age(limits);
    }

    fn age(&mut self, limits: HeldLimits) {
        if self.newer.len() > limits.remembered_max / 2 {
            self.older = std::mem::take(&mut self.newer);
        }
    }

    /// What is wanted of rows that were all asked for, but for transfers.
    pub(super) fn rows(&self, shard: ShardId, wanted: &Wanted) -> Result<Rows, StoreFault> {
        Ok(Rows {
            accounts: self.of_kind(shard, &wanted.accounts, |at, value| {
                at.read::<HeldAccount>("account", value)
            })?,
            agreements: self.of_kind(shard, &wanted.agreements, |at, value| at.read("agreement", value))?,
            transfers: Vec::new(),
            usages: self.of_kind(shard, &wanted.usages, |at, value| {
                let Pair(key, usage) = at.read::<Pair<UsageKey, Usage>>("usage", value)?;
                Ok((key, usage))
            })?,
            internal: self.of_kind(shard, &wanted.internal, |at, value| {
                let Pair(key, sums) = at.read::<Pair<InternalKey, Sides>>("internal account", value)?;
                Ok((key, sums))
            })?,
            limits: self.limits(shard, &wanted.limits)?,
            hops: self.of_kind(shard, &wanted.hops, |at, value| at.read("hop", value))?,
        })
    }

    fn limits(
        &self,
        shard: ShardId,
        wanted: &[AccountToken],
    ) -> Result<Vec<(AccountToken, Option<AccountLimits>)>, StoreFault> {
        let wanted: Vec<_> = wanted.iter().map(|token| LimitsOf(*token)).collect();
        self.of_kind(shard, &wanted, |at, value| {
            let Pair(token, limits) = at.read::<Pair<AccountToken, Option<AccountLimits>>>("limits", value)?;
            Ok((token, limits))
        })
    }

    fn of_kind<K: Keyed, V>(
        &self,
        shard: ShardId,
        wanted: &[K],
        read: impl Fn(&Packing, &[u8]) -> Result<V, StoreFault>,
    ) -> Result<Vec<V>, StoreFault> {
        let mut rows = Vec::with_capacity(wanted.len());
        for key in wanted {
            let at = Packing::of(shard, key);
            if let Found::Row(value) = self.find(&at.key) {
                rows.push(read(&at, value)?);
            }
        }
        Ok(rows)
    }

    /// What is to be written to the table together with a group at `span` that makes these changes, so that no more than
    /// `pending_max` rows stay pending.
    pub(super) fn due(&self, limits: HeldLimits, changes: &[Change], span: Span) -> Due {
        let excess = (self.pending.len() + changes.len()).saturating_sub(limits.pending_max);
        let taken = excess.min(self.order.len());
        let mut rows = Vec::with_capacity(taken);
        for (_, key) in self.order.iter().take(taken) {
            let value = match changes.binary_search_by(|change| change.key.cmp(key)) {
                Ok(place) => changes.get(place).map(|change| &change.value),
                Err(_) => self.pending.get(key).map(|pending| &pending.value),
            };
            rows.extend(value.map(|value| Change {
                key: key.clone(),
                value: value.clone(),
            }));
        }
        rows.sort_unstable();
        let left = self.order.get(taken).map_or(span.first, |(first, _)| *first);
        Due {
            rows,
            taken,
            flushed: left - 1,
        }
    }

    /// The group was committed, and what was due with it is in the table.
    pub(super) fn committed(&mut self, limits: HeldLimits, due: Due, changes: Vec<Change>, span: Span) {
        for (_, key) in self.order.drain(..due.taken) {
            self.pending.remove(&key);
        }
        self.apply(changes, span);
        // a row that changed in this group is pending again: to the table's eye nothing is lost, it is written once more
        for Change { key, value } in due.rows {
            if !self.pending.contains_key(&key) {
                self.newer.insert(key, Some(value));
            }
        }
        self.age(limits);
    }

    /// Takes in what a group changed.
    pub(super) fn apply(&mut self, changes: Vec<Change>, span: Span) {
        for Change { key, value } in changes {
            self.newer.remove(&key);
            self.older.remove(&key);
            let pending = Pending {
                value,
                changed: span.last,
            };
            if self.pending.insert(key.clone(), pending).is_none() {
                self.order.push_back((span.first, key));
            }
        }
    }

    /// The table has everything up to this record: another process wrote it there.
    pub(super) fn flushed(&mut self, flushed: u64) {
        let due = self.order.iter().take_while(|(first, _)| *first <= flushed).count();
        let mut still = Vec::new();
        for (_, key) in self.order.drain(..due) {
            match self.pending.get(&key) {
                Some(pending) if pending.changed > flushed => still.push(key),
                Some(_) | None => {
                    let written = self.pending.remove(&key);
                    self.newer.insert(key, written.map(|pending| pending.value));
                }
            }
        }
        for key in still {
            self.order.push_front((flushed + 1, key));
        }
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}
