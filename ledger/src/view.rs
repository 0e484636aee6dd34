//! The books as one group of postings sees them: rows fetched from the store, with what the group changed so far laid
//! over them. Nothing of it is written before the whole group is.
//!
//! ```text
//!   store ──fetch──▶ rows ──▶ decide ──changes──▶ rows, marked ──▶ commit
//!                     ▲                              │
//!                     └──── the next in the group ◀──┘
//! ```
//!
//! A row is asked for before it is read. That it is not there and that it was not asked for are two things: the second
//! is a defect of this program, never taken for "no such account".

use std::collections::BTreeMap;
use std::hash::Hash;

use ledger_model::{AccountLimits, AccountToken, Agreement, AgreementNumber, BusinessDate, Currency, TransferKey};

use crate::books::{Books, HeldAccount, HopRow, InternalKey, Remembered, Sides, Usage, UsageKey};
use crate::engine::Changes;
use crate::hash::FastMap;
use crate::state::ShardState;

const FETCHED: &str = "every row an instruction may touch is fetched before it is decided";

#[derive(Debug)]
struct Slot<V> {
    value: Option<V>,
    changed: bool,
}

/// Their order is nobody's: what leaves a view is put in order first.
type Slots<K, V> = FastMap<K, Slot<V>>;

/// Rows to be fetched; each kind in the order of its keys, which is the order a store locks them in.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub accounts: Vec<AccountToken>,
    pub limits: Vec<AccountToken>,
    pub agreements: Vec<AgreementNumber>,
    pub transfers: Vec<TransferKey>,
    /// Keys of transfers that the group adds if they are not there. A store that refuses such a group where one of them is
    /// there ([`StoreFault::KeyTaken`](crate::store::StoreFault::KeyTaken)) need not look for them.
    pub new: Vec<TransferKey>,
    pub hops: Vec<TransferKey>,
    pub usages: Vec<UsageKey>,
    pub internal: Vec<InternalKey>,
}

/// Rows that were there.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rows {
    pub accounts: Vec<HeldAccount>,
    /// `None` where an account had limits once and has none any more.
    pub limits: Vec<(AccountToken, Option<AccountLimits>)>,
    pub agreements: Vec<Agreement>,
    pub transfers: Vec<Remembered>,
    pub hops: Vec<HopRow>,
    pub usages: Vec<(UsageKey, Usage)>,
    pub internal: Vec<(InternalKey, Sides)>,
}

#[derive(Debug, Default)]
pub struct View {
    accounts: Slots<AccountToken, HeldAccount>,
    limits: Slots<AccountToken, Option<AccountLimits>>,
    agreements: Slots<AgreementNumber, Agreement>,
    transfers: Slots<TransferKey, Remembered>,
    hops: Slots<TransferKey, HopRow>,
    usages: Slots<UsageKey, Usage>,
    internal: Slots<InternalKey, Sides>,
    closed_through: Option<BusinessDate>,
    totals: BTreeMap<Currency, Sides>,
}

impl Wanted {
    pub fn is_empty(&self) -> bool {
        let Self {
            accounts,
            limits,
            agreements,
            transfers,
            new,
            hops,
            usages,
            internal,
        } = self;
        let by_account = accounts.is_empty() && limits.is_empty() && agreements.is_empty();
        let by_transfer = transfers.is_empty() && new.is_empty() && hops.is_empty();
        by_account && by_transfer && usages.is_empty() && internal.is_empty()
    }

    /// Each key once, in order.
    fn ordered(&mut self) {
        fn order<K: Ord>(keys: &mut Vec<K>) {
            keys.sort_unstable();
            keys.dedup();
        }
        order(&mut self.accounts);
        order(&mut self.limits);
        order(&mut self.agreements);
        order(&mut self.transfers);
        order(&mut self.new);
        let looked_for = &self.transfers;
        self.new.retain(|key| looked_for.binary_search(key).is_err());
        order(&mut self.hops);
        order(&mut self.usages);
        order(&mut self.internal);
    }
}

impl View {
    /// A view over a shard that knows this of itself.
    pub fn over(state: &ShardState) -> Self {
        Self {
            closed_through: state.closed_through,
            totals: state.totals.clone(),
            ..Self::default()
        }
    }

    /// What of `wanted` has still to be fetched.
    pub fn missing(&self, mut wanted: Wanted) -> Wanted {
        wanted.accounts.retain(|key| !self.accounts.contains_key(key));
        wanted.limits.retain(|key| !self.limits.contains_key(key));
        wanted.agreements.retain(|key| !self.agreements.contains_key(key));
        wanted.transfers.retain(|key| !self.transfers.contains_key(key));
        wanted.new.retain(|key| !self.transfers.contains_key(key));
        wanted.hops.retain(|key| !self.hops.contains_key(key));
        wanted.usages.retain(|key| !self.usages.contains_key(key));
        wanted.internal.retain(|key| !self.internal.contains_key(key));
        wanted.ordered();
        wanted
    }

    /// Takes in what was fetched for `wanted`; what is not among `rows` is not there.
    pub fn admit(&mut self, wanted: Wanted, rows: Rows) {
        fn admit<K: Hash + Eq, V>(slots: &mut Slots<K, V>, wanted: Vec<K>, found: impl Iterator<Item = (K, V)>) {
            slots.reserve(wanted.len());
            let absent = wanted.into_iter().map(|key| (key, None));
            for (key, value) in absent.chain(found.map(|(key, value)| (key, Some(value)))) {
                slots.insert(key, Slot { value, changed: false });
            }
        }
        admit(
            &mut self.accounts,
            wanted.accounts,
            rows.accounts.into_iter().map(|row| (row.account.token, row)),
        );
        admit(&mut self.limits, wanted.limits, rows.limits.into_iter());
        admit(
            &mut self.agreements,
            wanted.agreements,
            rows.agreements.into_iter().map(|row| (row.number, row)),
        );
        admit(
            &mut self.transfers,
            [wanted.transfers, wanted.new].concat(),
            rows.transfers.into_iter().map(|row| (row.transfer.key, row)),
        );
        admit(
            &mut self.hops,
            wanted.hops,
            rows.hops.into_iter().map(|row| (row.transfer.key, row)),
        );
        admit(&mut self.usages, wanted.usages, rows.usages.into_iter());
        admit(&mut self.internal, wanted.internal, rows.internal.into_iter());
    }

    /// Lays the changes of one decision over the rows.
    pub fn apply(&mut self, changes: Changes) {
        let Changes {
            accounts,
            limits,
            agreements,
            usages,
            refunded,
            reversed,
            internal,
            closed_through,
            totals,
        } = changes;
        for row in accounts {
            put(&mut self.accounts, row.account.token, row);
        }
        if let Some((token, limits)) = limits {
            put(&mut self.limits, token, limits);
        }
        for row in agreements {
            put(&mut self.agreements, row.number, row);
        }
        for (key, usage) in usages {
            put(&mut self.usages, key, usage);
        }
        if let Some((key, refunded_minor)) = refunded {
            self.original(&key).refunded_minor = refunded_minor;
        }
        if let Some(key) = reversed {
            self.original(&key).reversed = true;
        }
        for (key, sums) in internal {
            put(&mut self.internal, key, sums);
        }
        self.closed_through = closed_through.or(self.closed_through);
        self.totals.extend(totals);
    }

    /// A transfer of which something is taken back.
    fn original(&mut self, key: &TransferKey) -> &mut Remembered {
        let slot = self.transfers.get_mut(key).expect(FETCHED);
        slot.changed = true;
        let held = slot.value.as_mut();
        held.expect("only a transfer that is there is taken back")
    }

    pub fn remember(&mut self, transfer: Remembered) {
        put(&mut self.transfers, transfer.transfer.key, transfer);
    }

    pub fn put_hop(&mut self, row: HopRow) {
        put(&mut self.hops, row.transfer.key, row);
    }

    pub fn all_totals(&self) -> &BTreeMap<Currency, Sides> {
        &self.totals
    }

    /// The rows that changed, transfers in the order they were decided, the others in the order of their keys.
    pub fn into_changed(self) -> Rows {
        fn changed<K: Ord, V>(slots: Slots<K, V>) -> Vec<(K, V)> {
            let slots = slots.into_iter().filter(|(_, slot)| slot.changed);
            let rows = slots.filter_map(|(key, slot)| slot.value.map(|value| (key, value)));
            let mut rows: Vec<(K, V)> = rows.collect();
            rows.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
            rows
        }
        let mut transfers: Vec<Remembered> = self
            .transfers
            .into_values()
            .filter(|slot| slot.changed)
            .filter_map(|slot| slot.value)
            .collect();
        transfers.sort_unstable_by_key(|row| row.sequence);
        Rows {
            accounts: changed(self.accounts).into_iter().map(|(_, row)| row).collect(),
            limits: changed(self.limits),
            agreements: changed(self.agreements).into_iter().map(|(_, row)| row).collect(),
            transfers,
            hops: changed(self.hops).into_iter().map(|(_, row)| row).collect(),
            usages: changed(self.usages),
            internal: changed(self.internal),
        }
    }
}

fn put<K: Hash + Eq, V>(slots: &mut Slots<K, V>, key: K, value: V) {
    slots.insert(
        key,
        Slot {
            value: Some(value),
            changed: true,
        },
    );
}

fn fetched<'a, K: Hash + Eq, V>(slots: &'a Slots<K, V>, key: &K) -> Option<&'a V> {
    slots.get(key).expect(FETCHED).value.as_ref()
}

impl Books for View {
    fn account(&self, token: &AccountToken) -> Option<&HeldAccount> {
        fetched(&self.accounts, token)
    }

    fn limits(&self, token: &AccountToken) -> Option<AccountLimits> {
        fetched(&self.limits, token).copied().flatten()
    }

    fn agreement(&self, number: &AgreementNumber) -> Option<&Agreement> {
        fetched(&self.agreements, number)
    }

    fn transfer(&self, key: &TransferKey) -> Option<&Remembered> {
        fetched(&self.transfers, key)
    }

    fn hop(&self, key: &TransferKey) -> Option<&HopRow> {
        fetched(&self.hops, key)
    }

    fn usage(&self, key: &UsageKey) -> Usage {
        fetched(&self.usages, key).copied().unwrap_or_default()
    }

    fn internal(&self, key: &InternalKey) -> Sides {
        fetched(&self.internal, key).copied().unwrap_or_default()
    }

    fn closed_through(&self) -> Option<BusinessDate> {
        self.closed_through
    }

    fn totals(&self, currency: Currency) -> Sides {
        self.totals.get(&currency).copied().unwrap_or_default()
    }
}
