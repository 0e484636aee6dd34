//! Hopping: what another shard does for a home that cannot be reached, and how it is settled there afterwards.
//!
//! ```text
//!   taken in (another shard)                       settled (home)                       closed (the other shard)
//!   payout   Dr network clearing  Cr suspense  ──▶ Dr suspense  Cr customer        ──▶ nothing to post
//!   payment  Dr advance   Cr network clearing  ──▶ Dr customer  Cr advance         ──▶ nothing to post
//!                                                  refused: nothing posted         ──▶ unapplied, money stays
//!                                                  a late commit posted it already ──▶ the first posting taken back
//!                                                  or refused it: the first hop that comes home is written down in its
//!                                                  place and unapplied     ──▶ every other hop taken back
//! ```
//!
//! Each step finds out whether it was taken before, and then changes nothing: a crash between two of them is repeated.
//! Which shard takes a transfer in, and when, is decided by whoever calls this.

use ledger_model::{
    AccountLimits, Decision, Entry, Hop, HopState, Instruction, Invariant, LedgerAccount, Payee, Payment, Payout, Side,
    TransferKind, UsageSubject,
};

use super::limits::one_more;
use super::posting::post;
use super::{Changes, Defect, Verdict, payment, payout};
use crate::books::{Arrival, Books, HopRow, UsageKey};

/// How a transfer is to be taken in for its home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HopOrder {
    pub hop: Hop,
    /// What may be advanced under one agreement, singly and in a day; `None`: nothing is.
    pub stand_in: Option<AccountLimits>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every one is posted")]
pub enum Accepted {
    Posted {
        entries: Vec<Entry>,
        changes: Changes,
    },
    /// Nothing is posted and nothing remembered: only its home can decide it.
    Declined,
}

/// Takes in a transfer whose key is new.
pub fn accept_hop(books: &impl Books, instruction: &Instruction, order: &HopOrder) -> Result<Accepted, Defect> {
    let mut changes = Changes::default();
    let (debit, credit) = match instruction {
        Instruction::Payout(payout) => (LedgerAccount::NetworkClearing(payout.batch), LedgerAccount::Suspense),
        Instruction::Payment(payment) => {
            let Some(limits) = order.stand_in else {
                return Ok(Accepted::Declined);
            };
            let key = UsageKey {
                subject: UsageSubject::StandIn(payment.agreement),
                date: payment.ordered_at.date(),
            };
            let currency = payment.amount.currency();
            let same = limits.single_max.currency() == currency && limits.daily_max.currency() == currency;
            match one_more(books.usage(&key), payment.amount, &limits) {
                #[cfg(feature = "mutations")]
                Err(_) if same && crate::mutation::is(crate::mutation::Mutation::StandInLimitIgnored) => {}
                Ok(usage) if same => changes.usages.push((key, usage)),
                _ => return Ok(Accepted::Declined),
            }
            (
                LedgerAccount::StandInAdvance,
                LedgerAccount::NetworkClearing(payment.batch),
            )
        }
        Instruction::Refund(_) | Instruction::Reversal(_) | Instruction::Supplement(_) => {
            return Ok(Accepted::Declined);
        }
    };
    let amount = instruction.amount();
    let entries = vec![
        Entry {
            account: debit,
            side: Side::Debit,
            amount,
        },
        Entry {
            account: credit,
            side: Side::Credit,
            amount,
        },
    ];
    Ok(match post(books, &entries, changes)? {
        Ok(changes) => Accepted::Posted { entries, changes },
        Err(_out_of_range) => Accepted::Declined,
    })
}

/// What a hop comes to at home.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every one is decided")]
pub enum Settlement {
    /// To be written down at home under the transfer's own key.
    Decided(Verdict),
    /// Home knows the key already: this is what the hop is closed with, and nothing is to be written.
    Known(HopState),
}

/// Decides at home. The rules are those of any payment or payout; the money comes out of suspense, or goes to the advance.
pub fn settle_hop(books: &impl Books, row: &HopRow) -> Result<Settlement, Defect> {
    if let Some(known) = books.transfer(&row.transfer.key) {
        return match (known.arrival, known.transfer.decision) {
            (Arrival::Settled(decision), _) if known.transfer.serial == row.transfer.serial => {
                Ok(Settlement::Known(state_after(decision)))
            }
            // it hopped twice, and the other hop is the one that counts; or a late commit had posted it
            (Arrival::Settled(_), _) | (Arrival::Direct, Decision::Posted) => {
                Ok(Settlement::Known(HopState::Compensated))
            }
            // home refused it by itself: then nobody has the money yet, and the first hop that comes home is the one that
            // counts. Written down in place of what home had said, so that the next one is taken back.
            (Arrival::Direct, refused @ Decision::Refused(_)) => Ok(Settlement::Decided(Verdict {
                decision: refused,
                account: None,
                entries: Vec::new(),
                changes: Changes::default(),
            })),
            (Arrival::Hopped, _) => Err(broken("a hop is settled in a shard that took it in")),
        };
    }
    let verdict = match instruction_of(row)? {
        Instruction::Payment(payment) => payment::decide(books, &payment, LedgerAccount::StandInAdvance)?,
        Instruction::Payout(payout) => payout::decide(books, &payout, LedgerAccount::Suspense)?,
        Instruction::Refund(_) | Instruction::Reversal(_) | Instruction::Supplement(_) => {
            return Err(broken("what never hops has hopped"));
        }
    };
    Ok(Settlement::Decided(verdict))
}

/// What a hop is closed with, once this was decided at home.
pub const fn state_after(decision: Decision) -> HopState {
    match decision {
        Decision::Posted => HopState::Settled,
        Decision::Refused(refusal) => HopState::Unapplied(refusal),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every one is new")]
pub enum Closed {
    New { entries: Vec<Entry>, changes: Changes },
    Unchanged,
}

/// Closes a hop where it was taken in; `state` is what came of it at home.
pub fn close_hop(books: &impl Books, row: &HopRow, state: HopState) -> Result<Closed, Defect> {
    if row.state == state {
        return Ok(Closed::Unchanged);
    }
    match (row.state, state) {
        (HopState::Open, HopState::Settled | HopState::Unapplied(_)) => Ok(Closed::New {
            entries: Vec::new(),
            changes: Changes::default(),
        }),
        (HopState::Open, HopState::Compensated) => {
            let entries = taken_back(row)?;
            match post(books, &entries, Changes::default())? {
                Ok(changes) => Ok(Closed::New { entries, changes }),
                Err(_out_of_range) => Err(broken("the books cannot hold a hop that is taken back")),
            }
        }
        (HopState::Open | HopState::Settled | HopState::Compensated | HopState::Unapplied(_), _) => {
            Err(broken("a hop is closed twice, and differently"))
        }
    }
}

/// The entries of its taking in, the other way round.
fn taken_back(row: &HopRow) -> Result<Vec<Entry>, Defect> {
    let clearing = LedgerAccount::NetworkClearing(row.transfer.batch);
    let (debit, credit) = match row.transfer.kind {
        TransferKind::Payout => (LedgerAccount::Suspense, clearing),
        TransferKind::Payment => (clearing, LedgerAccount::StandInAdvance),
        TransferKind::Refund | TransferKind::Reversal | TransferKind::Supplement => {
            return Err(broken("what never hops has hopped"));
        }
    };
    let sides = [(debit, Side::Debit), (credit, Side::Credit)];
    let entries = sides.map(|(account, side)| Entry {
        account,
        side,
        amount: row.transfer.amount,
    });
    Ok(entries.to_vec())
}

/// As it was asked for.
fn instruction_of(row: &HopRow) -> Result<Instruction, Defect> {
    let transfer = &row.transfer;
    let missing = || broken("a hop does not say whom it is for");
    match transfer.kind {
        TransferKind::Payment => Ok(Instruction::Payment(Payment {
            key: transfer.key,
            amount: transfer.amount,
            batch: transfer.batch,
            institution: transfer.institution,
            agreement: transfer.agreement.ok_or_else(missing)?,
            ordered_at: row.said.ordered_at,
            details: transfer.details,
        })),
        TransferKind::Payout => {
            let payee = match (transfer.agreement, transfer.account, row.said.name) {
                (Some(agreement), _, _) => Payee::Agreement(agreement),
                (None, Some(token), Some(name)) => Payee::Account { token, name },
                (None, _, _) => return Err(missing()),
            };
            Ok(Instruction::Payout(Payout {
                key: transfer.key,
                amount: transfer.amount,
                batch: transfer.batch,
                institution: transfer.institution,
                payee,
                ordered_at: row.said.ordered_at,
                details: transfer.details,
            }))
        }
        TransferKind::Refund | TransferKind::Reversal | TransferKind::Supplement => {
            Err(broken("what never hops has hopped"))
        }
    }
}

const fn broken(what: &'static str) -> Defect {
    Defect {
        invariant: Invariant::L4,
        what,
    }
}
