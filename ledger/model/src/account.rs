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

impl AccountStatus {
    pub const ALL: [Self; 4] = [Self::Open, Self::Frozen, Self::DebitBlocked, Self::Closed];

    /// Stable name in files and between processes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Frozen => "frozen",
            Self::DebitBlocked => "debit_blocked",
            Self::Closed => "closed",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgreementStatus {
    Normal,
    Rescinded,
}

impl AgreementStatus {
    pub const ALL: [Self; 2] = [Self::Normal, Self::Rescinded];

    /// Stable name in files and between processes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Rescinded => "rescinded",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
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
