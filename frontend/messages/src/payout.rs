//! 211, payout: credit a bank account. Account numbers and names of both sides are encrypted for the bank.
//!
//! Mandatory: `PyerAcctIssrId` of the payer, `PyeeBkId`, the payee by agreement (`PyeeSgnNo`) or by account
//! (`PyeeBkNo` and `PyeeBkNm`, both), never by both; `TrxCtgy`, `TrxId`, `TrxDtTm`, `TrxAmt`, `BatchId`. All else
//! describes. Ciphertexts need the header's digital envelope.
//!
//! The public facts name a merchant's number, name and short name and "terminal fields" without their elements; ours
//! are `MrchntNo`, `MrchntNm`, `MrchntShrtNm` in `PyerInf` and `TrxTrmTp`, `TrxTrmNo` in `TrxInf`.

use ledger_model::{AgreementNumber, Amount, BatchId, ChinaTime, InstitutionId, TransferCategory, TransferId};

use crate::fault::Fault;
use crate::tree::Group;
use crate::writer::Sink;
use crate::{AccountType, EncryptedText, MessageReason, SensitiveField, Text};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutRequest {
    pub payer_bank: PayoutBank,
    pub payer: PayoutPayer,
    pub payee: PayoutPayee,
    pub transfer: PayoutTransfer,
}

/// `PyerAcctInf`: where the payment institution's money lies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PayoutBank {
    /// `PyerBkId`.
    pub institution: Option<InstitutionId>,
    /// `PyerBkNo`.
    pub account: Option<Text>,
    /// `PyerBkNm`.
    pub name: Option<Text>,
}

/// `PyerInf`: who pays out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutPayer {
    /// `PyerAcctIssrId`: the payment institution.
    pub institution: InstitutionId,
    /// `PyerAcctTp`.
    pub account_type: Option<AccountType>,
    /// `PyerAcctNo`.
    pub account: Option<EncryptedText>,
    /// `PyerAcctNm`.
    pub name: Option<EncryptedText>,
    pub merchant: Merchant,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merchant {
    /// `MrchntNo`.
    pub number: Option<Text>,
    /// `MrchntNm`.
    pub name: Option<Text>,
    /// `MrchntShrtNm`.
    pub short_name: Option<Text>,
}

/// `PyeeAcctInf`: the bank's customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutPayee {
    /// `PyeeAcctTp`.
    pub account_type: Option<AccountType>,
    /// `PyeeBkId`: the bank.
    pub institution: InstitutionId,
    pub account: PayoutPayeeAccount,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayoutPayeeAccount {
    /// `PyeeSgnNo`.
    Agreement(AgreementNumber),
    /// `PyeeBkNo`, `PyeeBkNm`.
    Account { number: EncryptedText, name: EncryptedText },
}

/// `TrxInf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutTransfer {
    /// `RPFlg`: which side of the transfer the bank is on, filled in by the network, echoed.
    pub rp_flag: Option<Text>,
    /// `TrxCtgy`.
    pub category: TransferCategory,
    /// `BizTp`.
    pub business_type: Option<Text>,
    /// `TrxId`; its date is the date of `ordered_at`.
    pub id: TransferId,
    /// `TrxDtTm`.
    pub ordered_at: ChinaTime,
    /// `TrxAmt`.
    pub amount: Amount,
    /// `BatchId`.
    pub batch: BatchId,
    /// `TrxSmmry`.
    pub summary: Option<Text>,
    /// `TrxPrps`.
    pub purpose: Option<Text>,
    /// `TrxTrmTp`.
    pub terminal_type: Option<Text>,
    /// `TrxTrmNo`.
    pub terminal_number: Option<Text>,
}

impl PayoutRequest {
    pub(crate) fn read(body: Group<'_>) -> Result<Self, Fault> {
        Ok(Self {
            payer_bank: PayoutBank::read(body)?,
            payer: PayoutPayer::read(body.group("PyerInf")?)?,
            payee: PayoutPayee::read(body.group("PyeeAcctInf")?)?,
            transfer: PayoutTransfer::read(body.group("TrxInf")?)?,
        })
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        self.payer_bank.write(sink);
        self.payer.write(sink);
        self.payee.write(sink);
        self.transfer.write(sink);
    }

    /// The encrypted fields that are there, in the order of [`SensitiveField::ALL`].
    pub fn sensitive(&self) -> Vec<(SensitiveField, &EncryptedText)> {
        let (number, name) = match &self.payee.account {
            PayoutPayeeAccount::Agreement(_) => (None, None),
            PayoutPayeeAccount::Account { number, name } => (Some(number), Some(name)),
        };
        let places = [self.payer.account.as_ref(), self.payer.name.as_ref(), number, name];
        let named = SensitiveField::ALL.into_iter().zip(places);
        named
            .filter_map(|(field, place)| place.map(|text| (field, text)))
            .collect()
    }

    /// The same groups with the fields of [`Self::sensitive`] replaced, one for one and in the same order: what an
    /// answer repeats after re-encryption. `None` unless there are exactly as many.
    #[must_use]
    pub fn with_sensitive(mut self, replacements: Vec<EncryptedText>) -> Option<Self> {
        let mut replacements = replacements.into_iter();
        let mut places: Vec<&mut EncryptedText> = Vec::new();
        places.extend(self.payer.account.as_mut());
        places.extend(self.payer.name.as_mut());
        if let PayoutPayeeAccount::Account { number, name } = &mut self.payee.account {
            places.extend([number, name]);
        }
        for place in places {
            *place = replacements.next()?;
        }
        replacements.next().is_none().then_some(self)
    }
}

impl PayoutBank {
    fn read(body: Group<'_>) -> Result<Self, Fault> {
        let Some(group) = body.child("PyerAcctInf")? else {
            return Ok(Self::default());
        };
        let lengths = &body.profile().lengths;
        Ok(Self {
            institution: group.optional_name("PyerBkId")?,
            account: group.text("PyerBkNo", lengths.account)?,
            name: group.text("PyerBkNm", lengths.name)?,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        if *self == Self::default() {
            return;
        }
        sink.group("PyerAcctInf", |group| {
            group.optional("PyerBkId", self.institution.as_ref());
            group.optional("PyerBkNo", self.account.as_ref());
            group.optional("PyerBkNm", self.name.as_ref());
        });
    }
}

impl PayoutPayer {
    fn read(group: Group<'_>) -> Result<Self, Fault> {
        let lengths = &group.profile().lengths;
        Ok(Self {
            institution: group.name("PyerAcctIssrId")?,
            account_type: group.account_type("PyerAcctTp")?,
            account: group.encrypted("PyerAcctNo")?,
            name: group.encrypted("PyerAcctNm")?,
            merchant: Merchant {
                number: group.text("MrchntNo", lengths.merchant)?,
                name: group.text("MrchntNm", lengths.name)?,
                short_name: group.text("MrchntShrtNm", lengths.name)?,
            },
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.group("PyerInf", |group| {
            group.text("PyerAcctIssrId", self.institution.as_str());
            group.optional("PyerAcctTp", self.account_type.as_ref());
            group.encrypted("PyerAcctNo", self.account.as_ref());
            group.encrypted("PyerAcctNm", self.name.as_ref());
            group.optional("MrchntNo", self.merchant.number.as_ref());
            group.optional("MrchntNm", self.merchant.name.as_ref());
            group.optional("MrchntShrtNm", self.merchant.short_name.as_ref());
        });
    }
}

impl PayoutPayee {
    fn read(group: Group<'_>) -> Result<Self, Fault> {
        Ok(Self {
            account_type: group.account_type("PyeeAcctTp")?,
            institution: group.name("PyeeBkId")?,
            account: PayoutPayeeAccount::read(group)?,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.group("PyeeAcctInf", |group| {
            group.optional("PyeeAcctTp", self.account_type.as_ref());
            group.text("PyeeBkId", self.institution.as_str());
            match &self.account {
                PayoutPayeeAccount::Agreement(agreement) => group.text("PyeeSgnNo", agreement.as_str()),
                PayoutPayeeAccount::Account { number, name } => {
                    group.encrypted("PyeeBkNo", Some(number));
                    group.encrypted("PyeeBkNm", Some(name));
                }
            }
        });
    }
}

impl PayoutPayeeAccount {
    fn read(group: Group<'_>) -> Result<Self, Fault> {
        let agreement = group.optional_name("PyeeSgnNo")?;
        match (agreement, group.encrypted("PyeeBkNo")?, group.encrypted("PyeeBkNm")?) {
            (Some(agreement), None, None) => Ok(Self::Agreement(agreement)),
            (None, Some(number), Some(name)) => Ok(Self::Account { number, name }),
            (None, Some(_), None) => Err(group.missing("PyeeBkNm")),
            (None, None, _) => Err(group.missing("PyeeBkNo")),
            (Some(_), _, _) => Err(group.fault(MessageReason::PayeeNamedTwice)),
        }
    }
}

impl PayoutTransfer {
    fn read(group: Group<'_>) -> Result<Self, Fault> {
        let lengths = &group.profile().lengths;
        let (id, ordered_at) = group.transfer_id_and_time()?;
        Ok(Self {
            rp_flag: group.text("RPFlg", lengths.rp_flag)?,
            category: group.category(&group.profile().categories.payout)?,
            business_type: group.text("BizTp", lengths.business_type)?,
            id,
            ordered_at,
            amount: group.amount("TrxAmt")?,
            batch: group.name("BatchId")?,
            summary: group.text("TrxSmmry", lengths.summary)?,
            purpose: group.text("TrxPrps", lengths.summary)?,
            terminal_type: group.text("TrxTrmTp", lengths.terminal_type)?,
            terminal_number: group.text("TrxTrmNo", lengths.terminal_number)?,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.group("TrxInf", |group| {
            group.optional("RPFlg", self.rp_flag.as_ref());
            group.text("TrxCtgy", self.category.as_str());
            group.optional("BizTp", self.business_type.as_ref());
            group.text("TrxId", self.id.as_str());
            group.display("TrxDtTm", self.ordered_at);
            group.display("TrxAmt", self.amount);
            group.text("BatchId", self.batch.as_str());
            group.optional("TrxSmmry", self.summary.as_ref());
            group.optional("TrxPrps", self.purpose.as_ref());
            group.optional("TrxTrmTp", self.terminal_type.as_ref());
            group.optional("TrxTrmNo", self.terminal_number.as_ref());
        });
    }
}
