//! Reversals: the bank takes a posted transfer back wholly.
//!
//! An account's state is not passed over for the bank's own orders: what is frozen is unfrozen first, by an operator who
//! says why. The day's limits are not given back.

use ledger_model::{Refusal, Reversal, Side, TransferKind};

use super::payment::takes_debits;
use super::payout::takes_credits;
use super::posting::{against, posted};
use super::{Changes, Defect, Verdict, is_successful};
use crate::books::{Books, Remembered};

pub(super) fn decide(books: &impl Books, reversal: &Reversal) -> Result<Verdict, Defect> {
    let original = books.transfer(&reversal.original);
    let Some(original) = original.filter(|original| original.transfer.kind != TransferKind::Reversal) else {
        return Ok(Verdict::refused(Refusal::OriginalNotFound, None));
    };
    let account = original.transfer.account;
    let refused = |refusal| Ok(Verdict::refused(refusal, account));
    if !is_successful(original) {
        return refused(Refusal::OriginalNotSuccessful);
    }
    let transfer = &original.transfer;
    if transfer.amount != reversal.amount || transfer.institution != reversal.institution {
        return refused(Refusal::OriginalDiffers);
    }
    if original.reversed {
        return refused(Refusal::AlreadyReversed);
    }
    if original.refunded_minor != 0 {
        return refused(Refusal::OriginalRefunded);
    }
    let Some(held) = account.and_then(|token| books.account(&token)) else {
        return refused(Refusal::NoSuchAccount);
    };
    let side = customer_side(original).other();
    let allowed = match side {
        Side::Credit => takes_credits(&held.account),
        Side::Debit => takes_debits(&held.account),
    };
    if let Err(refusal) = allowed {
        return refused(refusal);
    }
    if side == Side::Debit && held.account.balance.minor() < reversal.amount.minor() {
        return refused(Refusal::BalanceShort);
    }
    let other = match original.said.supplement {
        Some(posting) => posting.against.account(reversal.batch),
        None => ledger_model::LedgerAccount::NetworkClearing(reversal.batch),
    };
    let entries = against(held.account.token, side, reversal.amount, other);
    let changes = Changes {
        reversed: Some(reversal.original),
        refunded: given_back(books, original),
        ..Changes::default()
    };
    posted(books, &held.account, entries, changes)
}

/// On which side of the customer's account the original stands.
fn customer_side(original: &Remembered) -> Side {
    match (original.transfer.kind, original.said.supplement) {
        (_, Some(posting)) => posting.side,
        (TransferKind::Payment, None) => Side::Debit,
        (TransferKind::Refund | TransferKind::Payout | TransferKind::Supplement | TransferKind::Reversal, None) => {
            Side::Credit
        }
    }
}

/// What a refund gave back may be refunded again once the refund is reversed. The payment may be forgotten by then.
fn given_back(books: &impl Books, original: &Remembered) -> Option<(ledger_model::TransferKey, i64)> {
    let payment = books.transfer(&original.transfer.original?)?;
    let refunded_minor = payment.refunded_minor.checked_sub(original.transfer.amount.minor())?;
    Some((payment.transfer.key, refunded_minor))
}
