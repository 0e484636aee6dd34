//! One side of a posting.

use crate::{AccountToken, Amount, BatchId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Debit,
    Credit,
}

/// Accounts of the ledger. The network's clearing account is one sub-account per shard and batch, so that nothing
/// contends for it and a batch's net exists the moment its last posting commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LedgerAccount {
    Customer(AccountToken),
    NetworkClearing(BatchId),
    /// Counter-account of balances that were brought in when accounts were loaded.
    OpeningBalances,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub account: LedgerAccount,
    pub side: Side,
    pub amount: Amount,
}
