//! 205, refund of a payment: credit the customer back. The roles are swapped: the payer is the payment institution.
//!
//! Mandatory: both institutions, `SgnNo`, `TrxCtgy`, `TrxId` (the refund's own), `TrxDtTm`, `TrxAmt`, `OriTrxId`,
//! `OriTrxAmt`, `BatchId`. The original's bank serial may be absent; where it is there, the books must agree with it.
//! The original's category is not in the message: [`crate::Profile::original_category`] gives it.

use ledger_model::{
    AgreementNumber, Amount, BankSerial, BatchId, ChinaTime, InstitutionId, TransferCategory, TransferId,
};

use crate::fault::Fault;
use crate::tree::Group;
use crate::writer::Sink;
use crate::{AccountType, MessageReason, ReserveFund, Text};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    pub payer: RefundPayer,
    pub payee: RefundPayee,
    pub reserve: ReserveFund,
    pub transfer: RefundTransfer,
    pub original: RefundOriginal,
    /// `BatchId`.
    pub batch: BatchId,
    /// `RPFlg`: which side of the transfer the bank is on, filled in by the network, echoed.
    pub rp_flag: Option<Text>,
}

/// `PyerInf`: the merchant at the payment institution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundPayer {
    /// `PyerAcctIssrId`: the payment institution, `InstgId` of the answer.
    pub institution: InstitutionId,
    /// `PyerAcctId`.
    pub account: Option<Text>,
    /// `PyerAcctTp`.
    pub account_type: Option<AccountType>,
}

/// `PyeeInf`: the bank's customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundPayee {
    /// `PyeeAcctIssrId`: the bank.
    pub institution: InstitutionId,
    /// `PyeeAcctTp`.
    pub account_type: Option<AccountType>,
    /// `SgnNo`.
    pub agreement: AgreementNumber,
}

/// `TrxInf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundTransfer {
    /// `TrxCtgy`.
    pub category: TransferCategory,
    /// `TrxId`, the refund's own; its date is the date of `ordered_at`.
    pub id: TransferId,
    /// `TrxDtTm`.
    pub ordered_at: ChinaTime,
    /// `TrxAmt`.
    pub amount: Amount,
}

/// `OriTrxInf`: the payment to give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundOriginal {
    /// `OriTrxId`.
    pub id: TransferId,
    /// `OriDbtrBankId`.
    pub serial: Option<BankSerial>,
    /// `OriTrxAmt`.
    pub amount: Amount,
}

impl RefundRequest {
    pub(crate) fn read(body: Group<'_>) -> Result<Self, Fault> {
        Ok(Self {
            payer: RefundPayer::read(body.group("PyerInf")?)?,
            payee: RefundPayee::read(body.group("PyeeInf")?)?,
            reserve: ReserveFund::read(body)?,
            transfer: RefundTransfer::read(body.group("TrxInf")?)?,
            original: RefundOriginal::read(body.group("OriTrxInf")?)?,
            batch: body.name("BatchId")?,
            rp_flag: body.text("RPFlg", body.profile().lengths.rp_flag)?,
        })
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        self.payer.write(sink);
        self.payee.write(sink);
        self.reserve.write(sink);
        self.transfer.write(sink);
        self.original.write(sink);
        sink.text("BatchId", self.batch.as_str());
        sink.optional("RPFlg", self.rp_flag.as_ref());
    }
}

impl RefundPayer {
    fn read(group: Group<'_>) -> Result<Self, Fault> {
        Ok(Self {
            institution: group.name("PyerAcctIssrId")?,
            account: group.text("PyerAcctId", group.profile().lengths.account)?,
            account_type: group.account_type("PyerAcctTp")?,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.group("PyerInf", |group| {
            group.text("PyerAcctIssrId", self.institution.as_str());
            group.optional("PyerAcctId", self.account.as_ref());
            group.optional("PyerAcctTp", self.account_type.as_ref());
        });
    }
}

impl RefundPayee {
    fn read(group: Group<'_>) -> Result<Self, Fault> {
        Ok(Self {
            institution: group.name("PyeeAcctIssrId")?,
            account_type: group.account_type("PyeeAcctTp")?,
            agreement: group.name("SgnNo")?,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.group("PyeeInf", |group| {
            group.text("PyeeAcctIssrId", self.institution.as_str());
            group.optional("PyeeAcctTp", self.account_type.as_ref());
            group.text("SgnNo", self.agreement.as_str());
        });
    }
}

impl RefundTransfer {
    fn read(group: Group<'_>) -> Result<Self, Fault> {
        let category: TransferCategory = group.name("TrxCtgy")?;
        if group.profile().original_category(&category).is_none() {
            return Err(group.fault_at("TrxCtgy", MessageReason::CategoryNotAccepted));
        }
        let (id, ordered_at) = group.transfer_id_and_time()?;
        Ok(Self {
            category,
            id,
            ordered_at,
            amount: group.amount("TrxAmt")?,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.group("TrxInf", |group| {
            group.text("TrxCtgy", self.category.as_str());
            group.text("TrxId", self.id.as_str());
            group.display("TrxDtTm", self.ordered_at);
            group.display("TrxAmt", self.amount);
        });
    }
}

impl RefundOriginal {
    fn read(group: Group<'_>) -> Result<Self, Fault> {
        Ok(Self {
            id: group.name("OriTrxId")?,
            serial: group.optional_name("OriDbtrBankId")?,
            amount: group.amount("OriTrxAmt")?,
        })
    }

    fn write(&self, sink: &mut impl Sink) {
        sink.group("OriTrxInf", |group| {
            group.text("OriTrxId", self.id.as_str());
            group.optional("OriDbtrBankId", self.serial.as_ref());
            group.display("OriTrxAmt", self.amount);
        });
    }
}
