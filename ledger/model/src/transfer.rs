//! A transfer: one message that asked for money to move, and what was decided of it.

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

use crate::{
    AccountToken, AgreementNumber, Amount, BankSerial, BatchId, ChinaTime, Decision, DetailsDigest, InstitutionId,
    TransferCategory, TransferId,
};

/// Idempotency key: who sent it, of which category, under which id. At most one transfer has it (invariant L4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransferKey {
    pub issuer: InstitutionId,
    pub category: TransferCategory,
    pub id: TransferId,
}

impl TransferKey {
    /// 49 bytes: issuer, category, id. Their lengths are fixed, so the concatenation is unambiguous.
    pub fn bytes(&self) -> [u8; Self::LENGTH] {
        let mut key = [0; Self::LENGTH];
        let (issuer, rest) = key.split_at_mut(self.issuer.array().len());
        let (category, id) = rest.split_at_mut(self.category.array().len());
        issuer.copy_from_slice(self.issuer.array());
        category.copy_from_slice(self.category.array());
        id.copy_from_slice(self.id.array());
        key
    }

    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.bytes()).into()
    }

    pub const LENGTH: usize = 14 + 4 + 31;
}

/// In one piece: a key is hashed many times on its way.
impl Hash for TransferKey {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write(&self.bytes());
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransferKind {
    /// Debits the customer.
    Payment,
    /// Credits the customer back.
    Refund,
    /// Credits the customer.
    Payout,
    /// Takes another transfer back wholly; ordered by the bank.
    Reversal,
    /// Posts what is missing; ordered by the bank.
    Supplement,
}

impl TransferKind {
    pub const ALL: [Self; 5] = [
        Self::Payment,
        Self::Refund,
        Self::Payout,
        Self::Reversal,
        Self::Supplement,
    ];
    /// What the network's messages ask for.
    pub const OF_MESSAGES: [Self; 3] = [Self::Payment, Self::Refund, Self::Payout];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Refund => "refund",
            Self::Payout => "payout",
            Self::Reversal => "reversal",
            Self::Supplement => "supplement",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A decided transfer as the books keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub key: TransferKey,
    pub kind: TransferKind,
    pub amount: Amount,
    pub batch: BatchId,
    pub institution: InstitutionId,
    pub agreement: Option<AgreementNumber>,
    /// The customer's account, where one was found or named.
    pub account: Option<AccountToken>,
    /// Of a refund or reversal.
    pub original: Option<TransferKey>,
    pub details: DetailsDigest,
    pub decision: Decision,
    pub serial: BankSerial,
    /// `TrxFinishTm`.
    pub decided_at: ChinaTime,
}
