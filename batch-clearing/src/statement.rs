//! The network's clearing files of a day: what they say, read with every check that one file alone allows.
//!
//! A bad file stops only itself. It is reported by name and reason as a [`FileFault`] and none of its lines count.

mod archive;
mod day;
mod lines;
mod notice;
mod seal;

use std::str::FromStr;

use ledger_model::{
    Amount, BankSerial, BatchId, Currency, InstitutionId, Money, Side, TransferCategory, TransferId, TransferStatus,
};
use serde::{Deserialize, Serialize};

pub use day::{DayFiles, DayPlace, read_day};
pub use lines::{LinesFault, read_lines};
pub use notice::{Notice, NoticeFault, read_notice};
pub use seal::{DayKey, SealFault};

/// How both sides name a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransferName {
    pub id: TransferId,
    pub category: TransferCategory,
}

/// One transfer as the network states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementLine {
    pub name: TransferName,
    pub batch: BatchId,
    pub amount: Amount,
    /// For this bank: debit, it owes.
    pub direction: Side,
    /// The payment institution on the other side.
    pub institution: InstitutionId,
    /// `Success` or `Failed`; a statement holds final states only.
    pub status: TransferStatus,
    /// What the network was told; not every line has one.
    pub serial: Option<BankSerial>,
}

/// A file that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFault {
    pub file: String,
    pub reason: String,
}

/// A total or net amount of the network's files: as [`Amount`], but may be zero.
pub(crate) fn total(text: &str) -> Option<Money> {
    match text.split_at_checked(3) {
        Some((code, "0.00")) => Currency::from_str(code).ok().map(Money::zero),
        Some(_) | None => text.parse::<Amount>().ok().map(Amount::money),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_may_be_zero_but_not_negative() {
        assert_eq!(total("CNY0.00"), Some(Money::zero(Currency::CNY)));
        assert_eq!(total("CNY12.30"), Some(Money::new(1230, Currency::CNY)));
        for refused in ["CNY-1.00", "CNY0", "cny0.00", "0.00", "", "CNY00.00"] {
            assert_eq!(total(refused), None, "{refused:?}");
        }
    }
}
