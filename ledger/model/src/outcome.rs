//! What came of an instruction.

/// A business refusal, in order of precedence: where several hold, the first is given. The wire code of each is data
/// of the frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    // which batch is meant
    /// The bank has closed the batch's business date.
    BatchClosed,
    // which agreement, original or account is meant
    NoSuchAgreement,
    AgreementRescinded,
    AgreementExpired,
    OriginalNotFound,
    OriginalNotSuccessful,
    /// Amount, serial, agreement or institution named for the original are not those in the books.
    OriginalDiffers,
    /// What was taken back wholly is neither refunded nor reversed again.
    AlreadyReversed,
    /// A payment of which something was refunded is not reversed before its refunds are.
    OriginalRefunded,
    RefundTooLate,
    NoSuchAccount,
    NameDiffers,
    // what state the account is in
    AccountClosed,
    AccountFrozen,
    // how much
    CurrencyDiffers,
    OverSingleAmount,
    OverDailyCount,
    OverDailyAmount,
    /// Over the limits of the account, whatever the agreement allows.
    OverAccountSingleAmount,
    OverAccountDailyCount,
    OverAccountDailyAmount,
    RefundExceedsRest,
    BalanceShort,
    /// The books cannot hold the sum.
    BalanceOutOfRange,
}

impl Refusal {
    /// In order of precedence.
    pub const ALL: [Self; 24] = [
        Self::BatchClosed,
        Self::NoSuchAgreement,
        Self::AgreementRescinded,
        Self::AgreementExpired,
        Self::OriginalNotFound,
        Self::OriginalNotSuccessful,
        Self::OriginalDiffers,
        Self::AlreadyReversed,
        Self::OriginalRefunded,
        Self::RefundTooLate,
        Self::NoSuchAccount,
        Self::NameDiffers,
        Self::AccountClosed,
        Self::AccountFrozen,
        Self::CurrencyDiffers,
        Self::OverSingleAmount,
        Self::OverDailyCount,
        Self::OverDailyAmount,
        Self::OverAccountSingleAmount,
        Self::OverAccountDailyCount,
        Self::OverAccountDailyAmount,
        Self::RefundExceedsRest,
        Self::BalanceShort,
        Self::BalanceOutOfRange,
    ];

    /// Stable name in journals, tables and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BatchClosed => "batch_closed",
            Self::NoSuchAgreement => "no_such_agreement",
            Self::AgreementRescinded => "agreement_rescinded",
            Self::AgreementExpired => "agreement_expired",
            Self::OriginalNotFound => "original_not_found",
            Self::OriginalNotSuccessful => "original_not_successful",
            Self::OriginalDiffers => "original_differs",
            Self::AlreadyReversed => "already_reversed",
            Self::OriginalRefunded => "original_refunded",
            Self::RefundTooLate => "refund_too_late",
            Self::NoSuchAccount => "no_such_account",
            Self::NameDiffers => "name_differs",
            Self::AccountClosed => "account_closed",
            Self::AccountFrozen => "account_frozen",
            Self::CurrencyDiffers => "currency_differs",
            Self::OverSingleAmount => "over_single_amount",
            Self::OverDailyCount => "over_daily_count",
            Self::OverDailyAmount => "over_daily_amount",
            Self::OverAccountSingleAmount => "over_account_single_amount",
            Self::OverAccountDailyCount => "over_account_daily_count",
            Self::OverAccountDailyAmount => "over_account_daily_amount",
            Self::RefundExceedsRest => "refund_exceeds_rest",
            Self::BalanceShort => "balance_short",
            Self::BalanceOutOfRange => "balance_out_of_range",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.name() == name)
    }
}

/// What the ledger decided once and for all of a transfer. A resend of the same content gets it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Posted,
    Refused(Refusal),
}

/// State of the money, the only thing that decides success (`TrxStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransferStatus {
    /// `00`
    Success,
    /// `01`
    Failed,
    /// `02`: not known yet.
    InProcess,
}

impl TransferStatus {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Success => "00",
            Self::Failed => "01",
            Self::InProcess => "02",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Success, Self::Failed, Self::InProcess]
            .into_iter()
            .find(|status| status.code() == code)
    }
}

impl Decision {
    pub const fn status(self) -> TransferStatus {
        match self {
            Self::Posted => TransferStatus::Success,
            Self::Refused(_) => TransferStatus::Failed,
        }
    }
}

/// The first business field in which a message differs from the one already decided under the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentField {
    Kind,
    Amount,
    Batch,
    Institution,
    Agreement,
    Account,
    Original,
    /// Which way a supplement goes.
    Side,
    /// Where its other side is posted.
    Against,
    Details,
}

impl ContentField {
    pub const ALL: [Self; 10] = [
        Self::Kind,
        Self::Amount,
        Self::Batch,
        Self::Institution,
        Self::Agreement,
        Self::Account,
        Self::Original,
        Self::Side,
        Self::Against,
        Self::Details,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Amount => "amount",
            Self::Batch => "batch",
            Self::Institution => "institution",
            Self::Agreement => "agreement",
            Self::Account => "account",
            Self::Original => "original",
            Self::Side => "side",
            Self::Against => "against",
            Self::Details => "details",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_precedence_is_declaration_order() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_name(refusal.name()), Some(refusal));
        }
        assert!(Refusal::ALL.is_sorted());
        for field in ContentField::ALL {
            assert_eq!(ContentField::from_name(field.name()), Some(field));
        }
    }
}
