//! 206, answer to a payment (201) or a refund (205).
//!
//! Three layers: `SysRtnInf` says whether the message could be handled, `BizStsCd` what the business outcome is, and
//! `TrxStatus` alone what became of the money. Mandatory in `BizInf`: `TrxCtgy`, `TrxId`, `TrxAmt`, `BatchId`,
//! `TrxStatus`, `InstgId`. The bank serial, the business code and `TrxFinishTm` are absent while the outcome is not
//! known (`TrxStatus` 02).

use ledger_model::{Amount, BatchId, ChinaTime, InstitutionId, TransferCategory, TransferId, TransferStatus};

use crate::fault::Fault;
use crate::tree::Group;
use crate::writer::Sink;
use crate::{BusinessReturn, SidedSerial, SystemReturn, Text};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferAnswer {
    pub system: SystemReturn,
    pub outcome: TransferOutcome,
}

/// `BizInf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferOutcome {
    /// `RPFlg`, as the request had it.
    pub rp_flag: Option<Text>,
    /// `TrxCtgy`.
    pub category: TransferCategory,
    /// `TrxId`.
    pub id: TransferId,
    /// `TrxAmt`.
    pub amount: Amount,
    /// `BatchId`.
    pub batch: BatchId,
    /// `DbtrBankId` of a payment, `CdtrBankId` of a refund.
    pub serial: Option<SidedSerial>,
    /// `TrxStatus`.
    pub status: TransferStatus,
    /// `BizStsCd`, `BizStsDesc`.
    pub business: Option<BusinessReturn>,
    /// `TrxFinishTm`.
    pub finished_at: Option<ChinaTime>,
    /// `InstgId`: the payment institution.
    pub institution: InstitutionId,
}

impl TransferAnswer {
    pub(crate) fn read(body: Group<'_>) -> Result<Self, Fault> {
        let system = SystemReturn::read(body)?;
        let group = body.group("BizInf")?;
        let outcome = TransferOutcome {
            rp_flag: group.text("RPFlg", body.profile().lengths.rp_flag)?,
            category: group.name("TrxCtgy")?,
            id: group.name("TrxId")?,
            amount: group.amount("TrxAmt")?,
            batch: group.name("BatchId")?,
            serial: SidedSerial::read(group)?,
            status: group.status("TrxStatus")?.ok_or_else(|| group.missing("TrxStatus"))?,
            business: BusinessReturn::read(group)?,
            finished_at: group.optional_time("TrxFinishTm")?,
            institution: group.name("InstgId")?,
        };
        Ok(Self { system, outcome })
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        self.system.write(sink);
        let outcome = &self.outcome;
        sink.group("BizInf", |group| {
            group.optional("RPFlg", outcome.rp_flag.as_ref());
            group.text("TrxCtgy", outcome.category.as_str());
            group.text("TrxId", outcome.id.as_str());
            group.display("TrxAmt", outcome.amount);
            group.text("BatchId", outcome.batch.as_str());
            SidedSerial::write(outcome.serial, group);
            group.text("TrxStatus", outcome.status.code());
            BusinessReturn::write(outcome.business.as_ref(), group);
            group.optional("TrxFinishTm", outcome.finished_at.as_ref());
            group.text("InstgId", outcome.institution.as_str());
        });
    }
}
