//! Adjustments: what the bank orders itself when reconciliation finds the books wrong.

use crate::{AccountToken, Amount, BatchId, ChinaTime, DetailsDigest, InstitutionId, LedgerAccount, Side, TransferKey};

/// Undo a posted payment, refund, payout or supplement wholly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversal {
    /// Of the reversal itself; its issuer is the bank.
    pub key: TransferKey,
    /// The original's.
    pub amount: Amount,
    /// The batch the reversal counts in.
    pub batch: BatchId,
    /// The original's.
    pub institution: InstitutionId,
    pub original: TransferKey,
    pub ordered_at: ChinaTime,
    pub details: DetailsDigest,
}

/// Post what is missing, for a customer's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supplement {
    /// Its issuer is the bank.
    pub key: TransferKey,
    pub amount: Amount,
    pub batch: BatchId,
    pub institution: InstitutionId,
    pub account: AccountToken,
    /// Of the customer's account.
    pub side: Side,
    /// Where the other side is posted.
    pub against: SupplementAgainst,
    pub ordered_at: ChinaTime,
    pub details: DetailsDigest,
}

/// Where the other side of a supplement is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SupplementAgainst {
    /// The network's clearing account of the supplement's batch.
    NetworkClearing,
    Suspense,
    Fee,
    /// Of payments that were advanced: the customer's account gives or gets what an advance was never settled with.
    StandInAdvance,
}

impl SupplementAgainst {
    pub const ALL: [Self; 4] = [Self::NetworkClearing, Self::Suspense, Self::Fee, Self::StandInAdvance];

    pub const fn account(self, batch: BatchId) -> LedgerAccount {
        match self {
            Self::NetworkClearing => LedgerAccount::NetworkClearing(batch),
            Self::Suspense => LedgerAccount::Suspense,
            Self::Fee => LedgerAccount::Fee,
            Self::StandInAdvance => LedgerAccount::StandInAdvance,
        }
    }

    /// Stable name in files and between processes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NetworkClearing => "network_clearing",
            Self::Suspense => "suspense",
            Self::Fee => "fee",
            Self::StandInAdvance => "stand_in_advance",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|against| against.name() == name)
    }
}
