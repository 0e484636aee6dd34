//! Customer accounts and the agreements that stand for them in payments.

use crate::{AccountToken, AgreementNumber, Amount, BusinessDate, InstitutionId, Money, NameToken};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccountStatus {
    Open,
    /// Neither debits nor credits.
    Frozen,
    /// Credits only.
    DebitBlocked,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgreementStatus {
    Normal,
    Rescinded,
}

/// A customer's account. A liability of the bank: a credit raises `balance`, a debit lowers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub token: AccountToken,
    pub name: NameToken,
    pub status: AccountStatus,
    pub balance: Money,
}

/// What one agreement allows a payment institution to debit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementTerms {
    pub single_max: Amount,
    pub daily_max: Amount,
    pub daily_count_max: u32,
    /// Last day on which it may be used.
    pub expires: BusinessDate,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    pub number: AgreementNumber,
    pub account: AccountToken,
    pub institution: InstitutionId,
    pub status: AgreementStatus,
    pub terms: AgreementTerms,
}
