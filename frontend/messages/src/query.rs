//! 301, status query: what became of a transfer.
//!
//! All three fields are mandatory. The category may be any of the network's, and the dates of `OriTrxId` and
//! `OriTrxDtTm` are not compared: a transfer that was refused for such a fault may still be asked for, and the answer is
//! that it is not found.

use ledger_model::{ChinaTime, TransferCategory, TransferId};

use crate::fault::Fault;
use crate::tree::Group;
use crate::writer::Sink;

/// `OriTrxInf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryRequest {
    /// `OriTrxCtgy`.
    pub category: TransferCategory,
    /// `OriTrxId`.
    pub id: TransferId,
    /// `OriTrxDtTm`.
    pub ordered_at: ChinaTime,
}

impl QueryRequest {
    pub(crate) fn read(body: Group<'_>) -> Result<Self, Fault> {
        let group = body.group("OriTrxInf")?;
        Ok(Self {
            category: group.name("OriTrxCtgy")?,
            id: group.name("OriTrxId")?,
            ordered_at: group.time("OriTrxDtTm")?,
        })
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        sink.group("OriTrxInf", |group| {
            group.text("OriTrxCtgy", self.category.as_str());
            group.text("OriTrxId", self.id.as_str());
            group.display("OriTrxDtTm", self.ordered_at);
        });
    }
}
