//! One side of a posting.

use crate::{AccountToken, Amount, BatchId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Debit,
    Credit,
}

impl Side {
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Debit => Self::Credit,
            Self::Credit => Self::Debit,
        }
    }

    /// Stable name in files and between processes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debit => "debit",
            Self::Credit => "credit",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Debit, Self::Credit].into_iter().find(|side| side.name() == name)
    }
}

/// The chart of accounts. The network's clearing account is one sub-account per shard and batch, so that nothing
/// contends for it and a batch's net exists the moment its last posting commits.
///
/// Money rests in suspense, or is advanced, only while the home of a customer's account cannot be reached: over all
/// shards each of the two comes to zero once every hop is settled, but for those that were refused at home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LedgerAccount {
    Customer(AccountToken),
    NetworkClearing(BatchId),
    /// Counter-account of balances that were brought in when accounts were loaded.
    OpeningBalances,
    /// A liability: credited for a customer elsewhere, until it is settled at home.
    Suspense,
    /// Income of the bank.
    Fee,
    /// An asset: what the bank paid for a customer elsewhere, until it is settled at home.
    StandInAdvance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub account: LedgerAccount,
    pub side: Side,
    pub amount: Amount,
}
