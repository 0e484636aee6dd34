//! 201, agreement payment: debit the customer. Nothing is encrypted; the agreement number stands for the account.
//!
//! Mandatory: both institutions, `SgnNo`, `TrxId`, `TrxDtTm`, `TrxAmt`, `TrxCtgy`, `BatchId`. All else describes the
//! payment, may be absent or empty, and is bounded in length by the profile. `TrxDevcInf` is read as text.

use ledger_model::{AgreementNumber, Amount, BatchId, ChinaTime, InstitutionId, TransferCategory, TransferId};

use crate::fault::Fault;
use crate::tree::Group;
use crate::writer::Sink;
use crate::{AccountType, Text};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRequest {
    pub payer: PaymentPayer,
    /// `RPFlg`: which side of the transfer the bank is on, filled in by the network, echoed.
    pub rp_flag: Option<Text>,
    pub payee: PaymentPayee,
    pub reserve: ReserveFund,
    pub transfer: PaymentTransfer,
    pub order: Order,
    /// `BatchId`.
    pub batch: BatchId,
    /// `TrxDevcInf`.
    pub device: Option<Text>,
}

/// `PyerInf`: the bank's customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentPayer {
    /// `PyerAcctIssrId`: the bank.
    pub institution: InstitutionId,
    /// `PyerAcctTp`.
    pub account_type: Option<AccountType>,
    /// `SgnNo`.
    pub agreement: AgreementNumber,
    /// `PyerTrxTrmTp`.
    pub terminal_type: Option<Text>,
    /// `PyerTrxTrmNo`.
    pub terminal_number: Option<Text>,
}

/// `PyeeInf`: the merchant at the payment institution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentPayee {
    /// `PyeeAcctIssrId`: the payment institution, `InstgId` of the answer.
    pub institution: InstitutionId,
    /// `PyeeAcctId`.
    pub account: Option<Text>,
    /// `PyeeNm`.
    pub name: Option<Text>,
    /// `PyeeAcctTp`.
    pub account_type: Option<AccountType>,
    /// `PyeeCtryNo`.
    pub country: Option<Text>,
    /// `PyeeAreaNo`.
    pub area: Option<Text>,
    /// `PyeeTrxTrmTp`.
    pub terminal_type: Option<Text>,
    /// `PyeeTrxTrmNo`.
    pub terminal_number: Option<Text>,
}

/// `ResfdInf`: the payment institution's reserve fund account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReserveFund {
    /// `InstgAcctId`.
    pub account: Option<Text>,
    /// `InstgAcctNm`.
    pub name: Option<Text>,
    /// `ResfdAcctIssrId`.
    pub institution: Option<InstitutionId>,
}

/// `TrxInf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentTransfer {
    /// `TrxId`; its date is the date of `ordered_at`.
    pub id: TransferId,
    /// `TrxDtTm`.
    pub ordered_at: ChinaTime,
    /// `TrxAmt`.
    pub amount: Amount,
    /// `TrxCtgy`.
    pub category: TransferCategory,
    /// `BizTp`.
    pub business_type: Option<Text>,
    /// `AcctInTp`.
    pub account_input: Option<Text>,
}

/// `OrdrInf`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Order {
    /// `OrdrId`.
    pub id: Option<Text>,
    /// `OrdrDesc`.
    pub description: Option<Text>,
    /// `PltfrmNm`.
    pub platform: Option<Text>,
}

impl PaymentRequest {
    pub(crate) fn read(body: Group<'_>) -> Result<Self, Fault> {
        let lengths = &body.profile().lengths;
        Ok(Self {
            payer: PaymentPayer::read(body.group("PyerInf")?)?,
            rp_flag: body.text("RPFlg", lengths.rp_flag)?,
            payee: PaymentPayee::read(body.group("PyeeInf")?)?,
            reserve: ReserveFund::read(body)?,
            transfer: PaymentTransfer::read(body.group("TrxInf")?)?,
            order: Order::read(body)?,
            batch: body.name("BatchId")?,
            device: body.text("TrxDevcInf", lengths.device)?,
        })
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        self.payer.write(sink);
        sink.optional("RPFlg", self.rp_flag.as_ref());
        self.payee.write(sink);
        self.reserve.write(sink);
        self.transfer.write(sink);
        self.order.write(sink);
        sink.text("BatchId", self.batch.as_str());
        sink.optional("TrxDevcInf", self.device.as_ref());
    }
}

impl PaymentPayer {
    fn read(group: Group<'_>) -> Result<Self, Fault> {
        let lengths = &group.profile().lengths;
        Ok(Self {
            institution: group.name("PyerAcctIssrId")?,
            account_type: group.account_type("PyerAcctTp")?,
            agreement: group.name("SgnNo")?,
            terminal_type: group.text("PyerTrxTrmTp", lengths.terminal_type)?,
            terminal_number: group.text("PyerTrxTrmNo", lengths.terminal_number)?,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.group("PyerInf", |group| {
            group.text("PyerAcctIssrId", self.institution.as_str());
            group.optional("PyerAcctTp", self.account_type.as_ref());
            group.text("SgnNo", self.agreement.as_str());
            group.optional("PyerTrxTrmTp", self.terminal_type.as_ref());
            group.optional("PyerTrxTrmNo", self.terminal_number.as_ref());
        });
    }
}

impl PaymentPayee {
    fn read(group: Group<'_>) -> Result<Self, Fault> {
        let lengths = &group.profile().lengths;
        Ok(Self {
            institution: group.name("PyeeAcctIssrId")?,
            account: group.text("PyeeAcctId", lengths.account)?,
            name: group.text("PyeeNm", lengths.name)?,
            account_type: group.account_type("PyeeAcctTp")?,
            country: group.text("PyeeCtryNo", lengths.country)?,
            area: group.text("PyeeAreaNo", lengths.area)?,
            terminal_type: group.text("PyeeTrxTrmTp", lengths.terminal_type)?,
            terminal_number: group.text("PyeeTrxTrmNo", lengths.terminal_number)?,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.group("PyeeInf", |group| {
            group.text("PyeeAcctIssrId", self.institution.as_str());
            group.optional("PyeeAcctId", self.account.as_ref());
            group.optional("PyeeNm", self.name.as_ref());
            group.optional("PyeeAcctTp", self.account_type.as_ref());
            group.optional("PyeeCtryNo", self.country.as_ref());
            group.optional("PyeeAreaNo", self.area.as_ref());
            group.optional("PyeeTrxTrmTp", self.terminal_type.as_ref());
            group.optional("PyeeTrxTrmNo", self.terminal_number.as_ref());
        });
    }
}

impl ReserveFund {
    pub(crate) fn read(body: Group<'_>) -> Result<Self, Fault> {
        let Some(group) = body.child("ResfdInf")? else {
            return Ok(Self::default());
        };
        let lengths = &body.profile().lengths;
        Ok(Self {
            account: group.text("InstgAcctId", lengths.account)?,
            name: group.text("InstgAcctNm", lengths.name)?,
            institution: group.optional_name("ResfdAcctIssrId")?,
        })
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        if *self == Self::default() {
            return;
        }
        sink.group("ResfdInf", |group| {
            group.optional("InstgAcctId", self.account.as_ref());
            group.optional("InstgAcctNm", self.name.as_ref());
            group.optional("ResfdAcctIssrId", self.institution.as_ref());
        });
    }
}

impl PaymentTransfer {
    fn read(group: Group<'_>) -> Result<Self, Fault> {
        let lengths = &group.profile().lengths;
        let (id, ordered_at) = group.transfer_id_and_time()?;
        Ok(Self {
            id,
            ordered_at,
            amount: group.amount("TrxAmt")?,
            category: group.category(&group.profile().categories.payment)?,
            business_type: group.text("BizTp", lengths.business_type)?,
            account_input: group.text("AcctInTp", lengths.account_input)?,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.group("TrxInf", |group| {
            group.text("TrxId", self.id.as_str());
            group.display("TrxDtTm", self.ordered_at);
            group.display("TrxAmt", self.amount);
            group.text("TrxCtgy", self.category.as_str());
            group.optional("BizTp", self.business_type.as_ref());
            group.optional("AcctInTp", self.account_input.as_ref());
        });
    }
}

impl Order {
    fn read(body: Group<'_>) -> Result<Self, Fault> {
        let Some(group) = body.child("OrdrInf")? else {
            return Ok(Self::default());
        };
        let lengths = &body.profile().lengths;
        Ok(Self {
            id: group.text("OrdrId", lengths.order)?,
            description: group.text("OrdrDesc", lengths.order_description)?,
            platform: group.text("PltfrmNm", lengths.platform)?,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        if *self == Self::default() {
            return;
        }
        sink.group("OrdrInf", |group| {
            group.optional("OrdrId", self.id.as_ref());
            group.optional("OrdrDesc", self.description.as_ref());
            group.optional("PltfrmNm", self.platform.as_ref());
        });
    }
}
