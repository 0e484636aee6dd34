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

mod keys;
mod ranges;

use std::collections::VecDeque;

use ledger_model::{AccountLimits, AccountToken, ShardId};

pub(super) use self::keys::{Change, changes, hop, hops_between, is_open, is_unsettled, keys, unpack_hop, usages_from};
use self::keys::{Keyed, LimitsOf, Packing};
use self::ranges::Ranges;
pub(super) use self::ranges::{READ_MAX, Range};
use crate::books::{HeldAccount, InternalKey, Sides, Usage, UsageKey};
use crate::hash::FastMap;
use crate::store::StoreFault;
use crate::store::row::Pair;
use crate::view::{Rows, Wanted};

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
    ranges: Ranges,
}

/// What the database has to be asked for.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    pub(super) keys: Vec<Vec<u8>>,
    /// Up to [`READ_MAX`] keys of each.
    pub(super) ranges: Vec<Range>,
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
    pub(super) fn unknown(&mut self, mut keys: Vec<Vec<u8>>) -> Unknown {
        keys.retain(|key| {
            if let Some((key, value)) = self.older.remove_entry(key) {
                self.newer.insert(key, value);
            }
            matches!(self.find(key), Found::NotKnown)
        });
        let ranges = self.ranges.unknown(&keys);
        keys.retain(|key| !self.ranges.lacks(key));
        Unknown { keys, ranges }
    }

    /// Keys of a range as the table has them.
    pub(super) fn learn_range<'a>(&mut self, range: Range, keys: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.ranges.learn(range, keys);
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
            self.ranges.written(&key);
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
            self.ranges.written(&key);
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
