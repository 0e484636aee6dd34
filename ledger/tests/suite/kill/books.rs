//! What the journals say, and what it is held against.

use std::collections::BTreeMap;

use ledger_journal::{Event, JournalRecord};
use ledger_model::{AccountToken, LedgerAccount, Side, Transfer, TransferKey};

use super::orders::Ordered;
use crate::bank::token;

/// From the journals alone.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) transfers: BTreeMap<TransferKey, Transfer>,
    balances: BTreeMap<AccountToken, i64>,
}

impl Books {
    pub(super) fn take(&mut self, record: &JournalRecord) {
        for entry in record.event.entries() {
            if let LedgerAccount::Customer(token) = entry.account {
                let minor = entry.amount.minor();
                *self.balances.entry(token).or_default() += match entry.side {
                    Side::Credit => minor,
                    Side::Debit => -minor,
                };
            }
        }
        if let Event::TransferDecided { transfer, .. } = &record.event {
            let before = self.transfers.insert(transfer.key, transfer.clone());
            assert_eq!(before, None, "{:?} is there twice", transfer.key);
        }
    }

    /// What was answered is there as it was answered, and what is there was answered or is open.
    pub(super) fn compare(&self, ordered: &Ordered) {
        for (key, transfer) in &self.transfers {
            let told = ordered.answered.get(key);
            let open = ordered.unanswered.contains_key(key);
            assert!(told == Some(transfer) || open, "{transfer:?} was answered {told:?}");
        }
        for key in ordered.answered.keys() {
            assert!(
                self.transfers.contains_key(key),
                "{key:?} was answered and is not there"
            );
        }
    }

    /// Of each account by its number, as the state has it.
    pub(super) fn compare_balances(&self, state: impl Iterator<Item = (u64, i64)>) {
        for (number, balance) in state {
            assert_eq!(balance, self.balances[&token(number)], "account {number}");
        }
    }
}
