//! 302, answer to a status query (301): what became of the original.
//!
//! The query's own code and the original's are two things: `SysRtnInf` is of the query, `BizInf` of the original.
//!
//! | original | `BizInf` |
//! |---|---|
//! | not found | `BizStsCd` (`PB530001`) and `BizStsDesc` only; no `TrxStatus` |
//! | known | `TrxStatus`; all else as far as it is known, nothing of it while in process |
//! | the query could not be answered | absent |

use ledger_model::{Amount, BatchId, ChinaTime, TransferStatus};

use crate::fault::Fault;
use crate::tree::Group;
use crate::writer::Sink;
use crate::{BusinessReturn, SidedSerial, SystemReturn};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryAnswer {
    pub system: SystemReturn,
    /// `None` where the query itself could not be answered.
    pub original: Option<OriginalOutcome>,
}

/// `BizInf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginalOutcome {
    NotFound(BusinessReturn),
    Known(KnownTransfer),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTransfer {
    /// `TrxStatus`.
    pub status: TransferStatus,
    /// `BizStsCd`, `BizStsDesc`.
    pub business: Option<BusinessReturn>,
    /// `DbtrBankId` of a payment, `CdtrBankId` of a refund or payout.
    pub serial: Option<SidedSerial>,
    /// `BatchId`.
    pub batch: Option<BatchId>,
    /// `TrxAmt`.
    pub amount: Option<Amount>,
    /// `TrxFinishTm`.
    pub finished_at: Option<ChinaTime>,
}

impl QueryAnswer {
    pub(crate) fn read(body: Group<'_>) -> Result<Self, Fault> {
        let system = SystemReturn::read(body)?;
        let original = body.child("BizInf")?.map(OriginalOutcome::read).transpose()?;
        Ok(Self { system, original })
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        self.system.write(sink);
        if let Some(original) = &self.original {
            sink.group("BizInf", |group| original.write(group));
        }
    }
}

impl OriginalOutcome {
    fn read(group: Group<'_>) -> Result<Self, Fault> {
        let business = BusinessReturn::read(group)?;
        let Some(status) = group.status("TrxStatus")? else {
            return Ok(Self::NotFound(business.ok_or_else(|| group.missing("BizStsCd"))?));
        };
        Ok(Self::Known(KnownTransfer {
            status,
            business,
            serial: SidedSerial::read(group)?,
            batch: group.optional_name("BatchId")?,
            amount: group.optional_amount("TrxAmt")?,
            finished_at: group.optional_time("TrxFinishTm")?,
        }))
    }

    fn write(&self, sink: &mut impl Sink) {
        match self {
            Self::NotFound(business) => BusinessReturn::write(Some(business), sink),
            Self::Known(known) => {
                sink.text("TrxStatus", known.status.code());
                BusinessReturn::write(known.business.as_ref(), sink);
                SidedSerial::write(known.serial, sink);
                sink.optional("BatchId", known.batch.as_ref());
                sink.optional("TrxAmt", known.amount.as_ref());
                sink.optional("TrxFinishTm", known.finished_at.as_ref());
            }
        }
    }
}
