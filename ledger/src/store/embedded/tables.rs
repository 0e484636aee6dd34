//! The rows of a shard in memory.

use std::collections::BTreeMap;

use super::table::{Table, TableFault};
use crate::books::{HeldAccount, HopRow, InternalAccount, InternalKey, Sides};
use crate::store::StoreFault;
use crate::store::row::{
    ACCOUNT_BYTES, AGREEMENT_BYTES, HOP_BYTES, INTERNAL_BYTES, Kinds, LIMITS_BYTES, USAGE_BYTES, agreement_length,
    internal_length, pack_pair, token_length, transfer_key_length, unpack_slot, usage_day, usage_length,
};

pub(super) struct Tables {
    pub(super) accounts: Table<ACCOUNT_BYTES>,
    pub(super) agreements: Table<AGREEMENT_BYTES>,
    /// By day, so that a day can be forgotten whole.
    pub(super) usages: BTreeMap<u32, Table<USAGE_BYTES>>,
    pub(super) internal: Table<INTERNAL_BYTES>,
    pub(super) limits: Table<LIMITS_BYTES>,
    pub(super) hops: Table<HOP_BYTES>,
}

impl From<TableFault> for StoreFault {
    fn from(source: TableFault) -> Self {
        Self::content("row")(source)
    }
}

impl Tables {
    pub(super) fn new() -> Self {
        Self {
            accounts: Table::new(token_length),
            agreements: Table::new(agreement_length),
            usages: BTreeMap::new(),
            internal: Table::new(internal_length),
            limits: Table::new(token_length),
            hops: Table::new(transfer_key_length),
        }
    }

    /// Rows as they stand now, in place of those before.
    pub(super) fn apply(&mut self, rows: &Kinds<Vec<&[u8]>>) -> Result<(), StoreFault> {
        for row in &rows.accounts {
            self.accounts.put(row)?;
        }
        for row in &rows.agreements {
            self.agreements.put(row)?;
        }
        for row in &rows.usages {
            let day = usage_day(row).ok_or(TableFault::TooShort)?;
            self.usages(day).put(row)?;
        }
        for row in &rows.internal {
            self.internal.put(row)?;
        }
        for row in &rows.limits {
            self.limits.put(row)?;
        }
        for row in &rows.hops {
            self.hops.put(row)?;
        }
        Ok(())
    }

    pub(super) fn usages(&mut self, day: u32) -> &mut Table<USAGE_BYTES> {
        self.usages.entry(day).or_insert_with(|| Table::new(usage_length))
    }

    /// Format 2 did not keep the sums of opening balances: they are what the accounts were opened with.
    pub(super) fn complete_opening_balances(&mut self) -> Result<(), StoreFault> {
        const ENDLESS: StoreFault = StoreFault::Inconsistent("the opening balances are more than can be held");
        let mut opened: BTreeMap<InternalKey, Sides> = BTreeMap::new();
        for row in self.accounts.rows() {
            let held: HeldAccount = unpack_slot("account", row)?;
            let key = InternalAccount::OpeningBalances.in_currency(held.opened_with.currency());
            let sums = opened.entry(key).or_default();
            let sum = sums.debit_minor.checked_add(held.opened_with.minor());
            sums.debit_minor = sum.ok_or(ENDLESS)?;
        }
        for (key, sums) in opened {
            let mut row = Vec::with_capacity(INTERNAL_BYTES);
            pack_pair(&(key, sums), &mut row);
            let there = row.get(..internal_length(&row)).and_then(|key| self.internal.find(key));
            if there.is_none() && sums != Sides::default() {
                self.internal.put(&row)?;
            }
        }
        Ok(())
    }

    /// Forgets what was used on the days before `first`, and the hops of those days that are over.
    pub(super) fn expire_before(&mut self, first: u32) {
        if self.usages.keys().next().is_some_and(|day| *day < first) {
            self.usages = self.usages.split_off(&first);
        }
        // there are few, if any: where one process holds all shards, none hops
        let rows = self.hops.rows().map(|row| unpack_slot::<HopRow>("hop", row));
        let over = rows.filter_map(Result::ok).filter(|row| {
            let day = row.transfer.key.id.date().number();
            day < first && row.is_over()
        });
        let over: Vec<_> = over.map(|row| row.transfer.key.bytes()).collect();
        for key in over {
            self.hops.remove(&key);
        }
    }
}
