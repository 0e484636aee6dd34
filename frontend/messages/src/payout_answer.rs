//! 213, answer to a payout (211): the outcome, then the request's groups again with its sensitive fields encrypted anew
//! for the network.
//!
//! `TrxStatus` is mandatory in `BizInf`; the business code and `TrxFinishTm` are absent while the outcome is not known.

use ledger_model::{ChinaTime, TransferStatus};

use crate::fault::Fault;
use crate::tree::Group;
use crate::writer::Sink;
use crate::{BusinessReturn, PayoutRequest, SystemReturn};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutAnswer {
    pub system: SystemReturn,
    pub outcome: PayoutOutcome,
    /// What was asked, its sensitive fields re-encrypted ([`PayoutRequest::with_sensitive`]).
    pub request: PayoutRequest,
}

/// `BizInf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutOutcome {
    /// `BizStsCd`, `BizStsDesc`.
    pub business: Option<BusinessReturn>,
    /// `TrxFinishTm`.
    pub finished_at: Option<ChinaTime>,
    /// `TrxStatus`.
    pub status: TransferStatus,
}

impl PayoutAnswer {
    pub(crate) fn read(body: Group<'_>) -> Result<Self, Fault> {
        let system = SystemReturn::read(body)?;
        let group = body.group("BizInf")?;
        let outcome = PayoutOutcome {
            business: BusinessReturn::read(group)?,
            finished_at: group.optional_time("TrxFinishTm")?,
            status: group.status("TrxStatus")?.ok_or_else(|| group.missing("TrxStatus"))?,
        };
        Ok(Self {
            system,
            outcome,
            request: PayoutRequest::read(body)?,
        })
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        self.system.write(sink);
        sink.group("BizInf", |group| {
            BusinessReturn::write(self.outcome.business.as_ref(), group);
            group.optional("TrxFinishTm", self.outcome.finished_at.as_ref());
            group.text("TrxStatus", self.outcome.status.code());
        });
        self.request.write(sink);
    }
}
