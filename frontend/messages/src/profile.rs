//! Every value of the profile that is our own decision or that an operator may have to change, in one place.
//!
//! An operator who holds the network's specification changes values here; no other file of this crate has a literal
//! bound or a list of categories. [`Profile::default`] is what ships.

use ledger_model::{ChinaTime, Currency, TransferCategory};

use crate::AccountType;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Where the network posts its messages.
    pub path: String,
    /// A larger body is refused before anything is read.
    pub body_bytes_max: usize,
    /// `SndDt` may lie this far before or after now.
    pub clock_skew_seconds_max: i64,
    /// A refund may come this long after its original.
    pub refund_days_max: u32,
    /// The network expects an answer within this time and queries after it.
    pub reply_ms_max: u32,
    /// Elements inside each other; `root` is the first.
    pub depth_max: usize,
    /// Elements of one message, known and unknown.
    pub elements_max: usize,
    /// Bytes of one element's text after decoding, before the field's own limit.
    pub text_bytes_max: usize,
    /// Bytes of an element's name.
    pub name_bytes_max: usize,
    /// Currencies that are handled.
    pub currencies: Vec<Currency>,
    pub categories: Categories,
    /// Account types in use.
    pub account_types: Vec<AccountType>,
    pub lengths: Lengths,
}

/// `TrxCtgy` accepted per message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories {
    /// 201.
    pub payment: Vec<TransferCategory>,
    /// 205, each with the category of the payment it gives back.
    pub refund: Vec<RefundCategory>,
    /// 211.
    pub payout: Vec<TransferCategory>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefundCategory {
    pub refund: TransferCategory,
    pub original: TransferCategory,
}

/// The longest each free field may be: characters, or bytes where the name says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lengths {
    /// `SignSN`, `NcrptnSN`.
    pub certificate_serial: usize,
    /// `DgtlEnvlp`, decoded.
    pub envelope_bytes: usize,
    /// One encrypted field, decoded.
    pub encrypted_bytes: usize,
    /// `RPFlg`.
    pub rp_flag: usize,
    /// `PyeeAcctId`, `PyerAcctId`, `InstgAcctId`, `PyerBkNo`.
    pub account: usize,
    /// `PyeeNm`, `InstgAcctNm`, `PyerBkNm`, merchant names.
    pub name: usize,
    /// `PyeeCtryNo`.
    pub country: usize,
    /// `PyeeAreaNo`.
    pub area: usize,
    /// `PyerTrxTrmTp`, `PyeeTrxTrmTp`, `TrxTrmTp`.
    pub terminal_type: usize,
    /// `PyerTrxTrmNo`, `PyeeTrxTrmNo`, `TrxTrmNo`.
    pub terminal_number: usize,
    /// `BizTp`.
    pub business_type: usize,
    /// `AcctInTp`.
    pub account_input: usize,
    /// `OrdrId`.
    pub order: usize,
    /// `OrdrDesc`.
    pub order_description: usize,
    /// `PltfrmNm`.
    pub platform: usize,
    /// `TrxDevcInf`.
    pub device: usize,
    /// Merchant number.
    pub merchant: usize,
    /// `TrxSmmry`, `TrxPrps`.
    pub summary: usize,
    /// `SysRtnDesc`, `BizStsDesc`.
    pub description: usize,
}

impl Profile {
    /// Whether a message stamped `sent_at` is neither stale nor from the future.
    pub fn is_timely(&self, sent_at: ChinaTime, now: ChinaTime) -> bool {
        now.seconds_since(sent_at).abs() <= self.clock_skew_seconds_max
    }

    /// The category a refund's original has; `None` where `refund` is not one of a refund.
    pub fn original_category(&self, refund: &TransferCategory) -> Option<TransferCategory> {
        self.categories
            .refund
            .iter()
            .find(|pair| pair.refund == *refund)
            .map(|pair| pair.original)
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            path: "/preSvr".to_owned(),
            body_bytes_max: 65_536,
            clock_skew_seconds_max: 15 * 60,
            refund_days_max: 366,
            reply_ms_max: 3_000,
            depth_max: 8,
            elements_max: 256,
            text_bytes_max: 4_096,
            name_bytes_max: 64,
            currencies: vec![Currency::CNY],
            categories: Categories::default(),
            account_types: vec![
                AccountType::PERSONAL_DEBIT,
                AccountType::CREDIT_CARD,
                AccountType::SEMI_CREDIT,
                AccountType::PERSONAL_PAYMENT,
                AccountType::CORPORATE_PAYMENT,
                AccountType::CORPORATE_BANK,
                AccountType::RESERVE,
                AccountType::PASSBOOK,
                AccountType::OTHER,
            ],
            lengths: Lengths::default(),
        }
    }
}

impl Default for Categories {
    fn default() -> Self {
        let category = |digits: &str| digits.parse().expect("four digits are a category");
        let pair = |refund: &str, original: &str| RefundCategory {
            refund: category(refund),
            original: category(original),
        };
        Self {
            payment: vec![category("0110"), category("0116"), category("0117")],
            refund: vec![pair("0121", "0110"), pair("0127", "0116"), pair("0128", "0117")],
            payout: vec![category("0120")],
        }
    }
}

impl Default for Lengths {
    fn default() -> Self {
        Self {
            certificate_serial: 40,
            envelope_bytes: 1_024,
            encrypted_bytes: 1_024,
            rp_flag: 4,
            account: 64,
            name: 128,
            country: 3,
            area: 8,
            terminal_type: 4,
            terminal_number: 64,
            business_type: 8,
            account_input: 8,
            order: 64,
            order_description: 256,
            platform: 128,
            device: 512,
            merchant: 32,
            summary: 256,
            description: 128,
        }
    }
}
