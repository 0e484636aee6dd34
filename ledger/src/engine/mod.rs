//! The engine: what an instruction comes to, given the books. A pure function: no clock, no I/O, no randomness.
//!
//! A refusal is a result like any other and is remembered too. The rules stand in the order of
//! [`Refusal`](ledger_model::Refusal), so the first that holds is the one given. What the engine answers is complete:
//! entries, and every row as it stands afterwards; whoever calls it only writes that down, in one commit.
//!
//! Not here: whether the key was used before (see [`recognise`]) is asked first, by the caller, since the answer may lie
//! in another shard.

mod content;
mod opening;
mod payment;
mod payout;
mod posting;
mod refund;

use ledger_model::{AccountToken, Agreement, AgreementNumber, Decision, Entry, Instruction, Invariant, TransferKey};

use crate::books::{Books, ClearingKey, HeldAccount, Sides, Usage, UsageKey};

pub use content::{Recognised, recognise};
pub use opening::{Opened, Recorded, open_account, record_agreement};
pub use refund::REFUND_AGE_DAYS_MAX;

/// A broken invariant. Never answered to anybody: the process records it and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invariant {invariant} is broken: {what}")]
pub struct Defect {
    pub invariant: Invariant,
    pub what: &'static str,
}

/// What an instruction comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub decision: Decision,
    /// The customer's account, where one was found or named.
    pub account: Option<AccountToken>,
    /// None when refused.
    pub entries: Vec<Entry>,
    pub changes: Changes,
}

/// Rows as they stand afterwards. Nothing changes when refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub accounts: Vec<HeldAccount>,
    pub agreements: Vec<Agreement>,
    pub usage: Option<(UsageKey, Usage)>,
    /// A payment and the sum refunded of it, minor units.
    pub refunded: Option<(TransferKey, i64)>,
    pub clearing: Vec<(ClearingKey, Sides)>,
    pub totals: Vec<(ledger_model::Currency, Sides)>,
}

/// Decides an instruction whose key is new.
pub fn decide(books: &impl Books, instruction: &Instruction) -> Result<Verdict, Defect> {
    match instruction {
        Instruction::Payment(payment) => payment::decide(books, payment),
        Instruction::Refund(refund) => refund::decide(books, refund),
        Instruction::Payout(payout) => payout::decide(books, payout),
    }
}

/// The agreement an instruction names, if it names one.
pub fn agreement_named(instruction: &Instruction) -> Option<AgreementNumber> {
    match instruction {
        Instruction::Payment(payment) => Some(payment.agreement),
        Instruction::Refund(refund) => Some(refund.agreement),
        Instruction::Payout(payout) => match payout.payee {
            ledger_model::Payee::Agreement(number) => Some(number),
            ledger_model::Payee::Account { .. } => None,
        },
    }
}

/// The account an instruction names by its token, if it does.
pub fn account_named(instruction: &Instruction) -> Option<AccountToken> {
    match instruction {
        Instruction::Payout(payout) => match payout.payee {
            ledger_model::Payee::Account { token, .. } => Some(token),
            ledger_model::Payee::Agreement(_) => None,
        },
        Instruction::Payment(_) | Instruction::Refund(_) => None,
    }
}

impl Verdict {
    fn refused(refusal: ledger_model::Refusal, account: Option<AccountToken>) -> Self {
        Self {
            decision: Decision::Refused(refusal),
            account,
            entries: Vec::new(),
            changes: Changes::default(),
        }
    }
}
