//! Supplements: the bank posts what is missing, for a customer's account.
//!
//! As with reversals, an account's state holds for the bank's own orders too. Limits of payments do not: nobody pays here.

use ledger_model::{Refusal, Side, Supplement};

use super::payment::takes_debits;
use super::payout::takes_credits;
use super::posting::{against, posted};
use super::{Changes, Defect, Verdict};
use crate::books::Books;

pub(super) fn decide(books: &impl Books, supplement: &Supplement) -> Result<Verdict, Defect> {
    let token = supplement.account;
    let refused = |refusal| Ok(Verdict::refused(refusal, Some(token)));
    let Some(held) = books.account(&token) else {
        return refused(Refusal::NoSuchAccount);
    };
    let allowed = match supplement.side {
        Side::Credit => takes_credits(&held.account),
        Side::Debit => takes_debits(&held.account),
    };
    if let Err(refusal) = allowed {
        return refused(refusal);
    }
    let amount = supplement.amount;
    if held.account.balance.currency() != amount.currency() {
        return refused(Refusal::CurrencyDiffers);
    }
    if supplement.side == Side::Debit && held.account.balance.minor() < amount.minor() {
        return refused(Refusal::BalanceShort);
    }
    let other = supplement.against.account(supplement.batch);
    let entries = against(token, supplement.side, amount, other);
    posted(books, &held.account, entries, Changes::default())
}
