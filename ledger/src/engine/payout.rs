//! Payouts: credit a bank account.

use ledger_model::{Account, AccountStatus, LedgerAccount, Payee, Payout, Refusal, Side};

use super::payment::usable;
use super::posting::{against, posted};
use super::{Changes, Defect, Verdict};
use crate::books::Books;

/// `other` is debited: the network's clearing account, or suspense where another shard took the payout in.
pub(super) fn decide(books: &impl Books, payout: &Payout, other: LedgerAccount) -> Result<Verdict, Defect> {
    let token = match payout.payee {
        Payee::Account { token, .. } => token,
        Payee::Agreement(number) => {
            let agreement = books.agreement(&number);
            match usable(agreement, payout.institution, payout.batch, payout.ordered_at) {
                Ok(agreement) => agreement.account,
                Err(refusal) => return Ok(Verdict::refused(refusal, agreement.map(|agreement| agreement.account))),
            }
        }
    };
    let refused = |refusal| Ok(Verdict::refused(refusal, Some(token)));
    let Some(held) = books.account(&token) else {
        return refused(Refusal::NoSuchAccount);
    };
    if let Payee::Account { name, .. } = payout.payee
        && name != held.account.name
    {
        return refused(Refusal::NameDiffers);
    }
    if let Err(refusal) = takes_credits(&held.account) {
        return refused(refusal);
    }
    if held.account.balance.currency() != payout.amount.currency() {
        return refused(Refusal::CurrencyDiffers);
    }
    let entries = against(token, Side::Credit, payout.amount, other);
    posted(books, &held.account, entries, Changes::default())
}

/// A debit-blocked account still takes credits.
pub(super) fn takes_credits(account: &Account) -> Result<(), Refusal> {
    match account.status {
        AccountStatus::Open | AccountStatus::DebitBlocked => Ok(()),
        AccountStatus::Closed => Err(Refusal::AccountClosed),
        AccountStatus::Frozen => Err(Refusal::AccountFrozen),
    }
}
