//! What an operator does to accounts and agreements. Doing it twice changes nothing the second time.

use ledger_model::{
    AccountLimits, AccountStatus, AccountToken, Administration, AgreementNumber, AgreementStatus, AgreementTerms,
    Amount, BusinessDate,
};

use super::Changes;
use crate::books::{Books, HeldAccount};

const NO_ACCOUNT: Administered = Administered::Refused("the account is not there");
const NO_AGREEMENT: Administered = Administered::Refused("the agreement is not there");

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every one changes something")]
pub enum Administered {
    Changed(Changes),
    Unchanged,
    Refused(&'static str),
}

pub fn administer(books: &impl Books, act: &Administration) -> Administered {
    match act {
        Administration::AccountStatus { account, status } => account_status(books, account, *status),
        Administration::AccountLimits { account, limits } => account_limits(books, account, *limits),
        Administration::AgreementStatus { number, status } => agreement_status(books, number, *status),
        Administration::AgreementTerms { number, terms } => agreement_terms(books, number, terms),
        Administration::CloseThrough { date } => close_through(books, *date),
    }
}

/// Whether the date has ended is known to whoever has the calendar.
fn close_through(books: &impl Books, date: BusinessDate) -> Administered {
    if books.closed_through() >= Some(date) {
        return Administered::Unchanged;
    }
    Administered::Changed(Changes {
        closed_through: Some(date),
        ..Changes::default()
    })
}

fn account_status(books: &impl Books, token: &AccountToken, status: AccountStatus) -> Administered {
    let Some(held) = books.account(token) else {
        return NO_ACCOUNT;
    };
    let account = &held.account;
    match (account.status, status) {
        (now, then) if now == then => Administered::Unchanged,
        (AccountStatus::Closed, _) => Administered::Refused("a closed account stays closed"),
        (_, AccountStatus::Closed) if account.balance.minor() != 0 => {
            Administered::Refused("an account that holds money is not closed")
        }
        (AccountStatus::Open | AccountStatus::Frozen | AccountStatus::DebitBlocked, _) => {
            let mut changed: HeldAccount = held.clone();
            changed.account.status = status;
            Administered::Changed(Changes {
                accounts: vec![changed],
                ..Changes::default()
            })
        }
    }
}

fn account_limits(books: &impl Books, token: &AccountToken, limits: Option<AccountLimits>) -> Administered {
    let Some(held) = books.account(token) else {
        return NO_ACCOUNT;
    };
    if books.limits(token) == limits {
        return Administered::Unchanged;
    }
    let currency = held.account.balance.currency();
    let of_the_account = |amount: Amount| amount.currency() == currency;
    if limits.is_some_and(|limits| !of_the_account(limits.single_max) || !of_the_account(limits.daily_max)) {
        return Administered::Refused("the limits are in another currency than the account");
    }
    Administered::Changed(Changes {
        limits: Some((*token, limits)),
        ..Changes::default()
    })
}

/// A rescission made in error may be taken back.
fn agreement_status(books: &impl Books, number: &AgreementNumber, status: AgreementStatus) -> Administered {
    let Some(agreement) = books.agreement(number) else {
        return NO_AGREEMENT;
    };
    if agreement.status == status {
        return Administered::Unchanged;
    }
    let mut changed = agreement.clone();
    changed.status = status;
    Administered::Changed(Changes {
        agreements: vec![changed],
        ..Changes::default()
    })
}

fn agreement_terms(books: &impl Books, number: &AgreementNumber, terms: &AgreementTerms) -> Administered {
    let Some(agreement) = books.agreement(number) else {
        return NO_AGREEMENT;
    };
    if agreement.terms == *terms {
        return Administered::Unchanged;
    }
    let currency = agreement.terms.single_max.currency();
    if terms.single_max.currency() != currency || terms.daily_max.currency() != currency {
        return Administered::Refused("the terms are in another currency than before");
    }
    let mut changed = agreement.clone();
    changed.terms = terms.clone();
    Administered::Changed(Changes {
        agreements: vec![changed],
        ..Changes::default()
    })
}
