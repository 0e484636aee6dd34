//! What the ledger is asked to post.

use crate::{
    AccountToken, AgreementNumber, Amount, BankSerial, BatchId, ChinaTime, DetailsDigest, InstitutionId, NameToken,
    TransferKey, TransferKind,
};

/// Debit a customer under an agreement (message 201).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub key: TransferKey,
    pub amount: Amount,
    pub batch: BatchId,
    /// The payment institution on the other side.
    pub institution: InstitutionId,
    pub agreement: AgreementNumber,
    /// `TrxDtTm`.
    pub ordered_at: ChinaTime,
    pub details: DetailsDigest,
}

/// Credit a customer back, wholly or in part (message 205).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub key: TransferKey,
    pub amount: Amount,
    pub batch: BatchId,
    pub institution: InstitutionId,
    pub agreement: AgreementNumber,
    pub original: TransferKey,
    /// What the message says of the original; refused when the books say otherwise.
    pub original_amount: Amount,
    pub original_serial: Option<BankSerial>,
    pub ordered_at: ChinaTime,
    pub details: DetailsDigest,
}

/// Credit a bank account (message 211).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    pub key: TransferKey,
    pub amount: Amount,
    pub batch: BatchId,
    pub institution: InstitutionId,
    pub payee: Payee,
    pub ordered_at: ChinaTime,
    pub details: DetailsDigest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payee {
    Account { token: AccountToken, name: NameToken },
    Agreement(AgreementNumber),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    Payment(Payment),
    Refund(Refund),
    Payout(Payout),
}

impl Instruction {
    pub fn key(&self) -> &TransferKey {
        match self {
            Self::Payment(payment) => &payment.key,
            Self::Refund(refund) => &refund.key,
            Self::Payout(payout) => &payout.key,
        }
    }

    pub fn kind(&self) -> TransferKind {
        match self {
            Self::Payment(_) => TransferKind::Payment,
            Self::Refund(_) => TransferKind::Refund,
            Self::Payout(_) => TransferKind::Payout,
        }
    }

    pub fn amount(&self) -> Amount {
        match self {
            Self::Payment(payment) => payment.amount,
            Self::Refund(refund) => refund.amount,
            Self::Payout(payout) => payout.amount,
        }
    }

    pub fn batch(&self) -> BatchId {
        match self {
            Self::Payment(payment) => payment.batch,
            Self::Refund(refund) => refund.batch,
            Self::Payout(payout) => payout.batch,
        }
    }

    pub fn institution(&self) -> InstitutionId {
        match self {
            Self::Payment(payment) => payment.institution,
            Self::Refund(refund) => refund.institution,
            Self::Payout(payout) => payout.institution,
        }
    }

    pub fn details(&self) -> DetailsDigest {
        match self {
            Self::Payment(payment) => payment.details,
            Self::Refund(refund) => refund.details,
            Self::Payout(payout) => payout.details,
        }
    }
}
