//! Releasing records that are archived from a shard's store, and where a journal begins because of it.

use ledger_model::{ChinaTime, Operator, Reason};

use super::acts::shard;
use crate::convert::{Malformed, text};
use crate::wire;

/// Release the records of one shard that an archive has, as far as nothing needs them any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseOrder {
    pub shard: u8,
    /// Number of the last record that the archive has of what is to go.
    pub through: u64,
    /// SHA-256 of it.
    pub head: [u8; 32],
    /// Only say what would be released.
    pub is_dry_run: bool,
    pub operator: Operator,
    pub reason: Reason,
}

/// What was released, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasedRecords {
    /// Number of the last record that was released before.
    pub before: u64,
    /// Of the last that is now.
    pub through: u64,
    /// SHA-256 of it.
    pub head: [u8; 32],
    /// Why not further; `None` where it went as far as it was ordered.
    pub kept_for: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Releasing {
    Released(ReleasedRecords),
    /// Nothing was released; why.
    Refused(String),
}

/// Where a journal begins: after this record, since those up to it were released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalBase {
    pub sequence: u64,
    /// SHA-256 of the record.
    pub head: [u8; 32],
    pub operator: Operator,
    pub reason: Reason,
    pub released_at: ChinaTime,
}

fn head(bytes: Vec<u8>) -> Result<[u8; 32], Malformed> {
    bytes.try_into().map_err(|_| Malformed { field: "head" })
}

impl From<&ReleaseOrder> for wire::ReleaseRequest {
    fn from(order: &ReleaseOrder) -> Self {
        Self {
            shard: order.shard.into(),
            through: order.through,
            head: order.head.to_vec(),
            dry_run: order.is_dry_run,
            operator: order.operator.to_string(),
            reason: order.reason.to_string(),
        }
    }
}

impl TryFrom<wire::ReleaseRequest> for ReleaseOrder {
    type Error = Malformed;

    fn try_from(request: wire::ReleaseRequest) -> Result<Self, Malformed> {
        Ok(Self {
            shard: shard(request.shard)?,
            through: request.through,
            head: head(request.head)?,
            is_dry_run: request.dry_run,
            operator: text("operator", &request.operator)?,
            reason: text("reason", &request.reason)?,
        })
    }
}

impl From<Releasing> for wire::ReleaseReply {
    fn from(releasing: Releasing) -> Self {
        use wire::release_reply::Outcome;
        let outcome = match releasing {
            Releasing::Released(released) => Outcome::Released(wire::ReleasedRecords {
                before: released.before,
                through: released.through,
                head: released.head.to_vec(),
                kept_for: released.kept_for.unwrap_or_default(),
            }),
            Releasing::Refused(reason) => Outcome::Refused(reason),
        };
        Self { outcome: Some(outcome) }
    }
}

impl TryFrom<wire::ReleaseReply> for Releasing {
    type Error = Malformed;

    fn try_from(reply: wire::ReleaseReply) -> Result<Self, Malformed> {
        use wire::release_reply::Outcome;
        Ok(match reply.outcome.ok_or(Malformed { field: "outcome" })? {
            Outcome::Released(released) => Self::Released(ReleasedRecords {
                before: released.before,
                through: released.through,
                head: head(released.head)?,
                kept_for: Some(released.kept_for).filter(|why| !why.is_empty()),
            }),
            Outcome::Refused(reason) => Self::Refused(reason),
        })
    }
}

impl From<&JournalBase> for wire::JournalBase {
    fn from(base: &JournalBase) -> Self {
        Self {
            sequence: base.sequence,
            head: base.head.to_vec(),
            operator: base.operator.to_string(),
            reason: base.reason.to_string(),
            released_at: base.released_at.to_string(),
        }
    }
}

impl TryFrom<wire::JournalBase> for JournalBase {
    type Error = Malformed;

    fn try_from(base: wire::JournalBase) -> Result<Self, Malformed> {
        Ok(Self {
            sequence: base.sequence,
            head: head(base.head)?,
            operator: text("operator", &base.operator)?,
            reason: text("reason", &base.reason)?,
            released_at: text("released_at", &base.released_at)?,
        })
    }
}
