//! Payments: debit a customer under an agreement.

use ledger_model::{
    Account, AccountStatus, Agreement, AgreementStatus, BatchId, ChinaTime, InstitutionId, LedgerAccount, Payment,
    Refusal, Side, UsageSubject,
};

use super::limits::{Crossed, of_terms, one_more};
use super::posting::{against, posted};
use super::{Changes, Defect, Verdict};
use crate::books::{Books, UsageKey};

/// `other` is credited: the network's clearing account, or the advance where another shard stood in.
pub(super) fn decide(books: &impl Books, payment: &Payment, other: LedgerAccount) -> Result<Verdict, Defect> {
    let amount = payment.amount;
    let agreement = books.agreement(&payment.agreement);
    let agreement = match usable(agreement, payment.institution, payment.batch, payment.ordered_at) {
        Ok(agreement) => agreement,
        Err(refusal) => return Ok(Verdict::refused(refusal, agreement.map(|agreement| agreement.account))),
    };
    let token = agreement.account;
    let refused = |refusal| Ok(Verdict::refused(refusal, Some(token)));
    let Some(held) = books.account(&token) else {
        return refused(Refusal::NoSuchAccount);
    };
    if let Err(refusal) = takes_debits(&held.account) {
        return refused(refusal);
    }
    let limits = books.limits(&token);
    let bounds = [Some(of_terms(&agreement.terms)), limits];
    let mut currencies = bounds.iter().flatten();
    if held.account.balance.currency() != amount.currency()
        || currencies.any(|bound| {
            bound.single_max.currency() != amount.currency() || bound.daily_max.currency() != amount.currency()
        })
    {
        return refused(Refusal::CurrencyDiffers);
    }
    let date = payment.ordered_at.date();
    let mut usages = Vec::with_capacity(2);
    let subject = UsageSubject::Agreement(agreement.number);
    let key = UsageKey { subject, date };
    match one_more(books.usage(&key), amount, &of_terms(&agreement.terms)) {
        Ok(usage) => usages.push((key, usage)),
        Err(crossed) => return refused(over_agreement(crossed)),
    }
    if let Some(limits) = limits {
        let subject = UsageSubject::Account(token);
        let key = UsageKey { subject, date };
        match one_more(books.usage(&key), amount, &limits) {
            Ok(usage) => usages.push((key, usage)),
            Err(crossed) => return refused(over_account(crossed)),
        }
    }
    if held.account.balance.minor() < amount.minor() {
        return refused(Refusal::BalanceShort);
    }
    let entries = against(token, Side::Debit, amount, other);
    posted(
        books,
        &held.account,
        entries,
        Changes {
            usages,
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

pub(super) const fn takes_debits(account: &Account) -> Result<(), Refusal> {
    match account.status {
        AccountStatus::Open => Ok(()),
        AccountStatus::Closed => Err(Refusal::AccountClosed),
        AccountStatus::Frozen | AccountStatus::DebitBlocked => Err(Refusal::AccountFrozen),
    }
}

const fn over_agreement(crossed: Crossed) -> Refusal {
    match crossed {
        Crossed::Single => Refusal::OverSingleAmount,
        Crossed::DailyCount => Refusal::OverDailyCount,
        Crossed::DailyAmount => Refusal::OverDailyAmount,
    }
}

const fn over_account(crossed: Crossed) -> Refusal {
    match crossed {
        Crossed::Single => Refusal::OverAccountSingleAmount,
        Crossed::DailyCount => Refusal::OverAccountDailyCount,
        Crossed::DailyAmount => Refusal::OverAccountDailyAmount,
    }
}
