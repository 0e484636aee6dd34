//! Rows of the books under their keys in the database: shard, kind, and the row's own packed key.

use ledger_model::{AccountToken, AgreementNumber, HopState, Packed, ShardId, TransferKey, UnpackFault, Unpacker};

use crate::books::{HopRow, InternalKey, UsageKey};
use crate::store::StoreFault;
use crate::store::row::{unpack, usage_day};
use crate::view::{Rows, Wanted};

/// A row by its key in the database: shard, kind, and its own packed key; what is after the key in the packed row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Change {
    pub(in super::super) key: Vec<u8>,
    pub(in super::super) value: Vec<u8>,
}

const ACCOUNT: u8 = 1;
const AGREEMENT: u8 = 2;
/// The day comes before the key, so that days expire as ranges.
pub(super) const USAGE: u8 = 3;
const INTERNAL: u8 = 4;
pub(super) const LIMITS: u8 = 5;
/// Always written to the table with their group, and told by `open_hop` while they are open.
const HOP: u8 = 6;

/// A row's key in the database.
pub(super) trait Keyed: Packed {
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
pub(super) struct LimitsOf(pub(super) AccountToken);

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

pub(super) struct Packing {
    pub(super) key: Vec<u8>,
    /// Where the row's own packed key begins in it.
    own: usize,
}

impl Packing {
    pub(super) fn of<K: Keyed>(shard: ShardId, key: &K) -> Self {
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

    pub(super) fn read<V: Packed>(&self, what: &'static str, value: &[u8]) -> Result<V, StoreFault> {
        unpack(what, &[self.own(), value].concat())
    }
}

/// The first key of usages of `day`: the days before lie below it, down to the key of day 0.
pub(in super::super) fn usages_from(shard: ShardId, day: u32) -> Vec<u8> {
    let mut key = vec![shard.number(), USAGE];
    day.pack(&mut key);
    key
}

/// The rows of a group but its transfers, each once, in the order of their keys.
pub(in super::super) fn changes(shard: ShardId, rows: &Rows) -> Vec<Change> {
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

pub(in super::super) fn hop(shard: ShardId, row: &HopRow) -> Change {
    Packing::of(shard, &row.transfer.key).change(|out| row.pack(out))
}

/// Every hop of the shard has a key from the first on and below the second.
pub(in super::super) const fn hops_between(shard: ShardId) -> [[u8; 2]; 2] {
    [[shard.number(), HOP], [shard.number(), HOP + 1]]
}

/// A hop as the database keeps it.
pub(in super::super) fn unpack_hop(key: &[u8], value: &[u8]) -> Result<HopRow, StoreFault> {
    let own = key.get(2..).unwrap_or_default();
    unpack("hop", &[own, value].concat())
}

pub(in super::super) fn is_open(row: &HopRow) -> bool {
    row.state == HopState::Open
}

/// It is open, or an operator has to deal with it.
pub(in super::super) const fn is_unsettled(row: &HopRow) -> bool {
    match row.state {
        HopState::Open | HopState::Unapplied(_) => true,
        HopState::Settled | HopState::Compensated => false,
    }
}

/// Keys of what is wanted, but for transfers.
pub(in super::super) fn keys(shard: ShardId, wanted: &Wanted) -> Vec<Vec<u8>> {
    let Wanted {
        accounts,
        agreements,
        transfers: _,
        new: _,
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
