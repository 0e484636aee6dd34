//! Bringing in accounts and agreements.

use ledger_model::{Account, AccountLimits, AccountStatus, Agreement, AgreementStatus, AgreementTerms, Money};

use crate::convert::{Malformed, number, text, token};
use crate::wire;

/// Accounts come before the agreements that stand for them, in this batch or an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBatch<A = Account> {
    /// `balance` is the opening balance; it may be zero. Accounts, or [`NewAccount`]s.
    pub accounts: Vec<A>,
    pub agreements: Vec<Agreement>,
}

impl<A> Default for LoadBatch<A> {
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            agreements: Vec::new(),
        }
    }
}

/// An account, and the limits it is to have from the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    pub account: Account,
    /// `None`: none are said, and one that is there keeps its own.
    pub limits: Option<AccountLimits>,
}

impl From<Account> for NewAccount {
    fn from(account: Account) -> Self {
        Self { account, limits: None }
    }
}

/// Of one batch, once it is durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReply {
    pub accounts: u64,
    pub agreements: u64,
    /// Already there with the same content.
    pub unchanged: u64,
    /// Already there with another status, limits or terms, which stay as they are.
    pub kept: u64,
    pub refused: Vec<RefusedItem>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedItem {
    /// Place in the batch, from 0: its accounts first, then its agreements.
    pub place: u32,
    pub reason: String,
}

impl From<&Account> for wire::NewAccount {
    fn from(account: &Account) -> Self {
        Self {
            token: account.token.bytes().to_vec(),
            name: account.name.bytes().to_vec(),
            status: account.status.name().to_owned(),
            opening_balance: Some(account.balance.into()),
            limits: None,
        }
    }
}

impl From<&NewAccount> for wire::NewAccount {
    fn from(new: &NewAccount) -> Self {
        let NewAccount { account, limits } = new;
        Self {
            limits: limits.map(Into::into),
            ..account.into()
        }
    }
}

impl TryFrom<wire::NewAccount> for NewAccount {
    type Error = Malformed;

    fn try_from(mut new: wire::NewAccount) -> Result<Self, Malformed> {
        let limits = new.limits.take().map(crate::administration::limits).transpose()?;
        Ok(Self {
            account: new.try_into()?,
            limits,
        })
    }
}

impl TryFrom<wire::NewAccount> for Account {
    type Error = Malformed;

    fn try_from(account: wire::NewAccount) -> Result<Self, Malformed> {
        let balance: Money = account
            .opening_balance
            .ok_or(Malformed {
                field: "opening_balance",
            })?
            .try_into()?;
        Ok(Self {
            token: token("token", &account.token)?,
            name: token("name", &account.name)?,
            status: AccountStatus::from_name(&account.status).ok_or(Malformed { field: "status" })?,
            balance,
        })
    }
}

impl From<&Agreement> for wire::NewAgreement {
    fn from(agreement: &Agreement) -> Self {
        let AgreementTerms {
            single_max,
            daily_max,
            daily_count_max,
            expires,
        } = agreement.terms;
        Self {
            number: agreement.number.to_string(),
            account: agreement.account.bytes().to_vec(),
            institution: agreement.institution.to_string(),
            status: agreement.status.name().to_owned(),
            single_max: Some(single_max.into()),
            daily_max: Some(daily_max.into()),
            daily_count_max,
            expires: expires.to_string(),
        }
    }
}

impl TryFrom<wire::NewAgreement> for Agreement {
    type Error = Malformed;

    fn try_from(agreement: wire::NewAgreement) -> Result<Self, Malformed> {
        Ok(Self {
            number: text("number", &agreement.number)?,
            account: token("account", &agreement.account)?,
            institution: text("institution", &agreement.institution)?,
            status: AgreementStatus::from_name(&agreement.status).ok_or(Malformed { field: "status" })?,
            terms: AgreementTerms {
                single_max: number("single_max", agreement.single_max)?,
                daily_max: number("daily_max", agreement.daily_max)?,
                daily_count_max: agreement.daily_count_max,
                expires: text("expires", &agreement.expires)?,
            },
        })
    }
}

impl<A> From<&LoadBatch<A>> for wire::LoadBatch
where
    wire::NewAccount: for<'a> From<&'a A>,
{
    fn from(batch: &LoadBatch<A>) -> Self {
        Self {
            accounts: batch.accounts.iter().map(Into::into).collect(),
            agreements: batch.agreements.iter().map(Into::into).collect(),
        }
    }
}

impl From<LoadReply> for wire::LoadReply {
    fn from(reply: LoadReply) -> Self {
        let refused = reply.refused.into_iter();
        Self {
            accounts: reply.accounts,
            agreements: reply.agreements,
            unchanged: reply.unchanged,
            kept: reply.kept,
            refused: refused
                .map(|RefusedItem { place, reason }| wire::RefusedItem { place, reason })
                .collect(),
        }
    }
}

impl From<wire::LoadReply> for LoadReply {
    fn from(reply: wire::LoadReply) -> Self {
        let refused = reply.refused.into_iter();
        Self {
            accounts: reply.accounts,
            agreements: reply.agreements,
            unchanged: reply.unchanged,
            kept: reply.kept,
            refused: refused
                .map(|wire::RefusedItem { place, reason }| RefusedItem { place, reason })
                .collect(),
        }
    }
}
