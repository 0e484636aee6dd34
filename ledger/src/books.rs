//! The rows the books are made of, and the view of them that a decision is taken over.
//!
//! Rows are values. Where they are kept is the store's affair, which of them changed in a group is the affair of
//! [`View`](crate::view::View); the engine only reads.

use ledger_model::{
    Account, AccountToken, Agreement, AgreementNumber, Amount, BankSerial, BatchId, BusinessDate, ChinaTime, Currency,
    Instruction, Money, NameToken, Payee, Transfer, TransferKey,
};

/// An account as it stands, and what it was opened with, so that a second load of the same file is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAccount {
    pub account: Account,
    pub opened_with: Money,
}

/// The idempotency record: a decided transfer, and what its message said beyond it, so that a resend of the same
/// content can be told from another message under the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Number of the journal record that decided it.
    pub sequence: u64,
    pub transfer: Transfer,
    pub said: Said,
    /// Sum of the refunds posted for it, in minor units of its currency.
    pub refunded_minor: i64,
}

/// Fields of an instruction that the transfer in the books does not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    pub ordered_at: ChinaTime,
    /// Of a payout to an account.
    pub name: Option<NameToken>,
    /// Of a refund.
    pub original_amount: Option<Amount>,
    pub original_serial: Option<BankSerial>,
}

/// What an agreement was used for in a day is counted under this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageKey {
    pub agreement: AgreementNumber,
    pub date: BusinessDate,
}

/// Payments posted under an agreement in a day; minor units of the agreement's currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub count: u32,
    pub sum_minor: i64,
}

/// The network clearing sub-account of a batch, one for each currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClearingKey {
    pub batch: BatchId,
    pub currency: Currency,
}

/// Sums of one side and the other, minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sides {
    pub debit_minor: i64,
    pub credit_minor: i64,
}

/// What the engine reads. Every row an instruction may touch has been brought in before it is decided.
pub trait Books {
    fn account(&self, token: &AccountToken) -> Option<&HeldAccount>;
    fn agreement(&self, number: &AgreementNumber) -> Option<&Agreement>;
    fn transfer(&self, key: &TransferKey) -> Option<&Remembered>;
    /// Zero where nothing was used yet.
    fn usage(&self, key: &UsageKey) -> Usage;
    /// Zero where nothing was posted yet.
    fn clearing(&self, key: &ClearingKey) -> Sides;
    /// Over all entries of the shard.
    fn totals(&self, currency: Currency) -> Sides;
}

impl Said {
    pub fn by(instruction: &Instruction) -> Self {
        match instruction {
            Instruction::Payment(payment) => Self {
                ordered_at: payment.ordered_at,
                name: None,
                original_amount: None,
                original_serial: None,
            },
            Instruction::Refund(refund) => Self {
                ordered_at: refund.ordered_at,
                name: None,
                original_amount: Some(refund.original_amount),
                original_serial: refund.original_serial,
            },
            Instruction::Payout(payout) => {
                let name = match payout.payee {
                    Payee::Account { name, .. } => Some(name),
                    Payee::Agreement(_) => None,
                };
                Self {
                    ordered_at: payout.ordered_at,
                    name,
                    original_amount: None,
                    original_serial: None,
                }
            }
        }
    }
}
