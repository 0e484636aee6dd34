//! What an operator of the bank does to accounts and agreements, and who did it why.

use std::fmt;
use std::str::FromStr;

use crate::{AccountStatus, AccountToken, AgreementNumber, AgreementStatus, AgreementTerms, Amount, BusinessDate};

/// What may be debited from an account in payments, whatever the agreement. Counted from when the account has limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountLimits {
    pub single_max: Amount,
    pub daily_max: Amount,
    pub daily_count_max: u32,
}

/// One act. Doing the same twice changes nothing the second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Administration {
    AccountStatus {
        account: AccountToken,
        status: AccountStatus,
    },
    /// `None` takes the limits away.
    AccountLimits {
        account: AccountToken,
        limits: Option<AccountLimits>,
    },
    AgreementStatus {
        number: AgreementNumber,
        status: AgreementStatus,
    },
    AgreementTerms {
        number: AgreementNumber,
        terms: AgreementTerms,
    },
    /// No order of a batch of this business date or an earlier one posts any more. Never taken back.
    CloseThrough { date: BusinessDate },
}

impl Administration {
    /// The account it names itself.
    pub const fn account(&self) -> Option<AccountToken> {
        match self {
            Self::AccountStatus { account, .. } | Self::AccountLimits { account, .. } => Some(*account),
            Self::AgreementStatus { .. } | Self::AgreementTerms { .. } | Self::CloseThrough { .. } => None,
        }
    }

    /// The agreement it names.
    pub const fn agreement(&self) -> Option<AgreementNumber> {
        match self {
            Self::AgreementStatus { number, .. } | Self::AgreementTerms { number, .. } => Some(*number),
            Self::AccountStatus { .. } | Self::AccountLimits { .. } | Self::CloseThrough { .. } => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemarkFault {
    #[error("an operator's name is 1 to {max} bytes on one line, without white space at either end", max = Operator::BYTES_MAX)]
    Operator,
    #[error("a reason is 1 to {max} bytes on one line, without white space at either end", max = Reason::BYTES_MAX)]
    Reason,
}

macro_rules! remark {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            pub const BYTES_MAX: usize = $max;

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = RemarkFault;

            fn from_str(text: &str) -> Result<Self, RemarkFault> {
                let good = !text.is_empty()
                    && text.len() <= Self::BYTES_MAX
                    && text.trim() == text
                    && !text.chars().any(char::is_control);
                good.then(|| Self(text.to_owned())).ok_or(RemarkFault::$name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

remark!(
    /// Who ordered it, as the bank names its people; kept in the journal for ever.
    Operator,
    64
);
remark!(
    /// Why; kept in the journal for ever, so nothing of a customer's belongs in it.
    Reason,
    200
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_one_line_within_their_bounds() {
        fn check(text: &str, good: bool) {
            assert_eq!(text.parse::<Operator>().is_ok(), good, "{text:?}");
        }
        check("li.wei", true);
        check("李伟 (night shift)", true);
        check("", false);
        check(" li.wei", false);
        check("li.wei\n", false);
        check("li\twei", false);
        check(&"x".repeat(64), true);
        check(&"x".repeat(65), false);
        assert_eq!("x".repeat(201).parse::<Reason>(), Err(RemarkFault::Reason));
    }
}
