//! Conversions of what reading commands ask: how an account stands, what is kept about a transfer.

use crate::convert::Malformed;
use crate::reply::{KeptEvidence, KeptRecord, Standing};
use crate::wire;

impl From<Standing> for wire::StandingReply {
    fn from(standing: Standing) -> Self {
        Self {
            shard: standing.shard.into(),
            sequence: standing.sequence,
            balance: standing.balance.map(Into::into),
        }
    }
}

impl TryFrom<wire::StandingReply> for Standing {
    type Error = Malformed;

    fn try_from(standing: wire::StandingReply) -> Result<Self, Malformed> {
        Ok(Self {
            shard: u8::try_from(standing.shard).map_err(|_| Malformed { field: "shard" })?,
            sequence: standing.sequence,
            balance: standing.balance.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<KeptEvidence> for wire::KeptEvidence {
    fn from(kept: KeptEvidence) -> Self {
        Self {
            shard: kept.shard.into(),
            sequence: kept.sequence,
            evidence: Some(kept.evidence.into()),
            records: kept.records,
            head_sequence: kept.head_sequence,
            head: kept.head.to_vec(),
        }
    }
}

impl TryFrom<wire::KeptEvidence> for KeptEvidence {
    type Error = Malformed;

    fn try_from(kept: wire::KeptEvidence) -> Result<Self, Malformed> {
        Ok(Self {
            shard: u8::try_from(kept.shard).map_err(|_| Malformed { field: "shard" })?,
            sequence: kept.sequence,
            evidence: kept.evidence.ok_or(Malformed { field: "evidence" })?.into(),
            records: kept.records,
            head_sequence: kept.head_sequence,
            head: kept.head.try_into().map_err(|_| Malformed { field: "head" })?,
        })
    }
}

impl From<KeptRecord> for wire::KeptRecord {
    fn from(kept: KeptRecord) -> Self {
        let KeptRecord { record, evidence } = kept;
        Self {
            record,
            evidence: evidence.map(Into::into),
        }
    }
}

impl From<wire::KeptRecord> for KeptRecord {
    fn from(kept: wire::KeptRecord) -> Self {
        let wire::KeptRecord { record, evidence } = kept;
        Self {
            record,
            evidence: evidence.map(Into::into),
        }
    }
}
