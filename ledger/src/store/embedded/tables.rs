//! The rows of a shard in memory.

use std::collections::BTreeMap;

use super::table::{Table, TableFault};
use crate::store::StoreFault;
use crate::store::row::{
    ACCOUNT_BYTES, AGREEMENT_BYTES, CLEARING_BYTES, Kinds, USAGE_BYTES, agreement_length, clearing_length,
    token_length, usage_day, usage_length,
};

pub(super) struct Tables {
    pub(super) accounts: Table<ACCOUNT_BYTES>,
    pub(super) agreements: Table<AGREEMENT_BYTES>,
    /// By day, so that a day can be forgotten whole.
    pub(super) usages: BTreeMap<u32, Table<USAGE_BYTES>>,
    pub(super) clearing: Table<CLEARING_BYTES>,
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
            clearing: Table::new(clearing_length),
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
        for row in &rows.clearing {
            self.clearing.put(row)?;
        }
        Ok(())
    }

    pub(super) fn usages(&mut self, day: u32) -> &mut Table<USAGE_BYTES> {
        self.usages.entry(day).or_insert_with(|| Table::new(usage_length))
    }

    /// Forgets what was used on the days before `first`.
    pub(super) fn expire_before(&mut self, first: u32) {
        if self.usages.keys().next().is_some_and(|day| *day < first) {
            self.usages = self.usages.split_off(&first);
        }
    }
}
