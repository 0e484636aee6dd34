//! What the ledger is asked to post.

use crate::{
    AccountToken, AgreementNumber, Amount, BankSerial, BatchId, ChinaTime, DetailsDigest, InstitutionId, NameToken,
    Reversal, Supplement, TransferKey, TransferKind,
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
    /// Ordered by the bank itself, as is the next.
    Reversal(Reversal),
    Supplement(Supplement),
}

/// The field of that name, whatever the kind.
macro_rules! of_any_kind {
    ($instruction:ident . $field:ident) => {
        match $instruction {
            Instruction::Payment(payment) => payment.$field,
            Instruction::Refund(refund) => refund.$field,
            Instruction::Payout(payout) => payout.$field,
            Instruction::Reversal(reversal) => reversal.$field,
            Instruction::Supplement(supplement) => supplement.$field,
        }
    };
}

impl Instruction {
    pub fn key(&self) -> &TransferKey {
        match self {
            Self::Payment(payment) => &payment.key,
            Self::Refund(refund) => &refund.key,
            Self::Payout(payout) => &payout.key,
            Self::Reversal(reversal) => &reversal.key,
            Self::Supplement(supplement) => &supplement.key,
        }
    }

    pub const fn kind(&self) -> TransferKind {
        match self {
            Self::Payment(_) => TransferKind::Payment,
            Self::Refund(_) => TransferKind::Refund,
            Self::Payout(_) => TransferKind::Payout,
            Self::Reversal(_) => TransferKind::Reversal,
            Self::Supplement(_) => TransferKind::Supplement,
        }
    }

    /// The transfer it takes back, wholly or in part.
    pub const fn original(&self) -> Option<TransferKey> {
        match self {
            Self::Refund(refund) => Some(refund.original),
            Self::Reversal(reversal) => Some(reversal.original),
            Self::Payment(_) | Self::Payout(_) | Self::Supplement(_) => None,
        }
    }

    pub const fn amount(&self) -> Amount {
        of_any_kind!(self.amount)
    }

    pub const fn batch(&self) -> BatchId {
        of_any_kind!(self.batch)
    }

    pub const fn institution(&self) -> InstitutionId {
        of_any_kind!(self.institution)
    }

    pub const fn ordered_at(&self) -> ChinaTime {
        of_any_kind!(self.ordered_at)
    }

    pub const fn details(&self) -> DetailsDigest {
        of_any_kind!(self.details)
    }
}
