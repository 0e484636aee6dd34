//! The engine: what an instruction comes to, given the books. A pure function: no clock, no I/O, no randomness.
//!
//! A refusal is a result like any other and is remembered too. The rules stand in the order of
//! [`Refusal`](ledger_model::Refusal), so the first that holds is the one given. What the engine answers is complete:
//! entries, and every row as it stands afterwards; whoever calls it only writes that down, in one commit.
//!
//! Not here: whether the key was used before (see [`recognise`]) is asked first, by the caller, since the answer may lie
//! in another shard.

mod administration;
mod content;
mod hop;
mod limits;
mod opening;
mod payment;
mod payout;
mod posting;
mod refund;
mod reversal;
mod supplement;

use ledger_model::{
    AccountLimits, AccountToken, Agreement, AgreementNumber, BusinessDate, Decision, Entry, Instruction, Invariant,
    LedgerAccount, Refusal, TransferKey,
};

use crate::books::{Arrival, Books, HeldAccount, InternalKey, Remembered, Sides, Usage, UsageKey};

pub use administration::{Administered, administer};
pub use content::{Recognised, recognise};
pub use hop::{Accepted, Closed, HopOrder, Settlement, accept_hop, close_hop, settle_hop, state_after};
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
    /// `None` where an account has none any more.
    pub limits: Option<(AccountToken, Option<AccountLimits>)>,
    pub agreements: Vec<Agreement>,
    pub usages: Vec<(UsageKey, Usage)>,
    /// A payment and the sum refunded of it, minor units.
    pub refunded: Option<(TransferKey, i64)>,
    /// What is taken back wholly.
    pub reversed: Option<TransferKey>,
    pub internal: Vec<(InternalKey, Sides)>,
    pub closed_through: Option<BusinessDate>,
    pub totals: Vec<(ledger_model::Currency, Sides)>,
}

/// Whether the batch's business date is closed. What was taken in for another shard before is settled all the same: at the
/// network it is posted.
pub fn is_closed(books: &impl Books, instruction: &Instruction) -> bool {
    #[cfg(feature = "mutations")]
    if crate::mutation::is(crate::mutation::Mutation::DayReopened) {
        return false;
    }
    books
        .closed_through()
        .is_some_and(|closed| instruction.batch().date() <= closed)
}

/// Decides an instruction whose key is new.
pub fn decide(books: &impl Books, instruction: &Instruction) -> Result<Verdict, Defect> {
    if is_closed(books, instruction) {
        return Ok(Verdict::refused(Refusal::BatchClosed, None));
    }
    match instruction {
        Instruction::Payment(payment) => payment::decide(books, payment, LedgerAccount::NetworkClearing(payment.batch)),
        Instruction::Refund(refund) => refund::decide(books, refund),
        Instruction::Payout(payout) => payout::decide(books, payout, LedgerAccount::NetworkClearing(payout.batch)),
        Instruction::Reversal(reversal) => reversal::decide(books, reversal),
        Instruction::Supplement(supplement) => supplement::decide(books, supplement),
    }
}

/// Whether the money of a transfer moved in the books of its customer, which are these.
fn is_successful(original: &Remembered) -> bool {
    match (original.transfer.decision, original.arrival) {
        (Decision::Posted, Arrival::Direct | Arrival::Settled(Decision::Posted)) => true,
        // what was taken in for another shard is not this one's, and may yet be refused there
        (Decision::Posted, Arrival::Hopped | Arrival::Settled(Decision::Refused(_))) | (Decision::Refused(_), _) => {
            false
        }
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
        Instruction::Reversal(_) | Instruction::Supplement(_) => None,
    }
}

/// The account an instruction names by its token, if it does.
pub fn account_named(instruction: &Instruction) -> Option<AccountToken> {
    match instruction {
        Instruction::Payout(payout) => match payout.payee {
            ledger_model::Payee::Account { token, .. } => Some(token),
            ledger_model::Payee::Agreement(_) => None,
        },
        Instruction::Supplement(supplement) => Some(supplement.account),
        Instruction::Payment(_) | Instruction::Refund(_) | Instruction::Reversal(_) => None,
    }
}

impl Verdict {
    fn refused(refusal: Refusal, account: Option<AccountToken>) -> Self {
        Self {
            decision: Decision::Refused(refusal),
            account,
            entries: Vec::new(),
            changes: Changes::default(),
        }
    }
}
