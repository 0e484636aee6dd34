//! Payments: debit a customer under an agreement.

use ledger_model::{
    AccountStatus, Agreement, AgreementStatus, BatchId, ChinaTime, InstitutionId, Payment, Refusal, Side,
};

use super::posting::{against_clearing, posted};
use super::{Changes, Defect, Verdict};
use crate::books::{Books, Usage, UsageKey};

pub(super) fn decide(books: &impl Books, payment: &Payment) -> Result<Verdict, Defect> {
    let amount = payment.amount;
    let agreement = books.agreement(&payment.agreement);
    let agreement = match usable(agreement, payment.institution, payment.batch, payment.ordered_at) {
        Ok(agreement) => agreement,
        Err(refusal) => return Ok(Verdict::refused(refusal, agreement.map(|agreement| agreement.account))),
    };
    let refused = |refusal| Ok(Verdict::refused(refusal, Some(agreement.account)));
    let Some(held) = books.account(&agreement.account) else {
        return refused(Refusal::NoSuchAccount);
    };
    match held.account.status {
        AccountStatus::Open => {}
        AccountStatus::Closed => return refused(Refusal::AccountClosed),
        AccountStatus::Frozen | AccountStatus::DebitBlocked => return refused(Refusal::AccountFrozen),
    }
    let terms = &agreement.terms;
    let currencies = [
        held.account.balance.currency(),
        terms.single_max.currency(),
        terms.daily_max.currency(),
    ];
    if currencies.iter().any(|currency| *currency != amount.currency()) {
        return refused(Refusal::CurrencyDiffers);
    }
    if amount.minor() > terms.single_max.minor() {
        return refused(Refusal::OverSingleAmount);
    }
    let key = UsageKey {
        agreement: agreement.number,
        date: payment.ordered_at.date(),
    };
    let used = books.usage(&key);
    let count = match used.count.checked_add(1) {
        Some(count) if count <= terms.daily_count_max => count,
        _ => return refused(Refusal::OverDailyCount),
    };
    let sum_minor = match used.sum_minor.checked_add(amount.minor()) {
        Some(sum) if sum <= terms.daily_max.minor() => sum,
        _ => return refused(Refusal::OverDailyAmount),
    };
    if held.account.balance.minor() < amount.minor() {
        return refused(Refusal::BalanceShort);
    }
    let entries = against_clearing(held.account.token, Side::Debit, amount, payment.batch);
    let usage = Some((key, Usage { count, sum_minor }));
    posted(
        books,
        &held.account,
        entries,
        Changes {
            usage,
            ..Changes::default()
        },
    )
}

/// The agreement, if it stands for an account: known, of this institution, neither rescinded nor expired on the day
/// of the order or of the batch.
pub(super) fn usable(
    agreement: Option<&Agreement>,
    institution: InstitutionId,
    batch: BatchId,
    ordered_at: ChinaTime,
) -> Result<&Agreement, Refusal> {
    let agreement = agreement.filter(|agreement| agreement.institution == institution);
    let agreement = agreement.ok_or(Refusal::NoSuchAgreement)?;
    match agreement.status {
        AgreementStatus::Normal => {}
        AgreementStatus::Rescinded => return Err(Refusal::AgreementRescinded),
    }
    if ordered_at.date().max(batch.date()) > agreement.terms.expires {
        return Err(Refusal::AgreementExpired);
    }
    Ok(agreement)
}
