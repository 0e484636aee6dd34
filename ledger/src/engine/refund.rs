//! Refunds: credit a customer back, wholly or in part, for a payment that was posted.
//!
//! The agreement need not be in force any more: the customer gets the money back whatever became of it.

use ledger_model::{Refund, Refusal, Side, TransferKind};

use super::payout::takes_credits;
use super::posting::{against_clearing, posted};
use super::{Changes, Defect, Verdict, is_successful};
use crate::books::{Books, Remembered};

/// Days from the order of the payment to the order of its refund, at the most.
pub const REFUND_AGE_DAYS_MAX: i64 = 366;

pub(super) fn decide(books: &impl Books, refund: &Refund) -> Result<Verdict, Defect> {
    let original = books.transfer(&refund.original);
    let Some(original) = original.filter(|original| original.transfer.kind == TransferKind::Payment) else {
        return Ok(Verdict::refused(Refusal::OriginalNotFound, None));
    };
    let account = original.transfer.account;
    let refused = |refusal| Ok(Verdict::refused(refusal, account));
    if !is_successful(original) {
        return refused(Refusal::OriginalNotSuccessful);
    }
    if !is_as_said(original, refund) {
        return refused(Refusal::OriginalDiffers);
    }
    if original.reversed {
        return refused(Refusal::AlreadyReversed);
    }
    let age_days = refund.ordered_at.date().days_since(original.said.ordered_at.date());
    if age_days > REFUND_AGE_DAYS_MAX {
        return refused(Refusal::RefundTooLate);
    }
    let Some(held) = account.and_then(|token| books.account(&token)) else {
        return refused(Refusal::NoSuchAccount);
    };
    if let Err(refusal) = takes_credits(&held.account) {
        return refused(refusal);
    }
    let paid = original.transfer.amount;
    if refund.amount.currency() != paid.currency() {
        return refused(Refusal::CurrencyDiffers);
    }
    let refunded_minor = match original.refunded_minor.checked_add(refund.amount.minor()) {
        Some(sum) if sum <= paid.minor() => sum,
        _ => return refused(Refusal::RefundExceedsRest),
    };
    let entries = against_clearing(held.account.token, Side::Credit, refund.amount, refund.batch);
    let refunded = Some((refund.original, refunded_minor));
    posted(
        books,
        &held.account,
        entries,
        Changes {
            refunded,
            ..Changes::default()
        },
    )
}

/// What the message says of the original is what the books say.
fn is_as_said(original: &Remembered, refund: &Refund) -> bool {
    let transfer = &original.transfer;
    transfer.amount == refund.original_amount
        && refund.original_serial.is_none_or(|serial| serial == transfer.serial)
        && transfer.agreement == Some(refund.agreement)
        && transfer.institution == refund.institution
}
