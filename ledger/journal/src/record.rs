//! What a record says.

use ledger_model::{
    Account, Administration, Agreement, ChinaTime, Decision, Entry, Hop, HopState, Operator, Reason, ShardId, Transfer,
};
use sha2::{Digest, Sha256};

use crate::ChainHash;

/// SHA-256 over the evidence kept with a transfer: signed bytes, signature and key serial, each after its length as
/// eight big-endian bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceDigest(pub [u8; 32]);

impl EvidenceDigest {
    pub fn over(signed: &[u8], signature: &[u8], signing_serial: &str) -> Self {
        let mut digest = Sha256::new();
        for part in [signed, signature, signing_serial.as_bytes()] {
            let length = u64::try_from(part.len()).expect("a length in memory fits 64 bits");
            digest.update(length.to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRecord {
    pub shard: ShardId,
    /// From 1, without gaps, per shard.
    pub sequence: u64,
    /// Hash of the record before; [`ChainHash::START`] for the first.
    pub previous: ChainHash,
    /// When the shard committed it.
    pub committed_at: ChinaTime,
    pub event: Event,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The account as it stands after opening; `entries` bring in its opening balance, none when it is zero.
    AccountOpened {
        account: Account,
        entries: Vec<Entry>,
    },
    AgreementRecorded {
        agreement: Agreement,
    },
    /// Refused transfers have no entries.
    TransferDecided {
        transfer: Transfer,
        entries: Vec<Entry>,
        evidence: EvidenceDigest,
    },
    /// Taken in for its home, which could not be reached, and answered as posted. The other side of its entries rests
    /// in suspense or is advanced. Version 2, as all that follow.
    TransferHopped {
        transfer: Transfer,
        entries: Vec<Entry>,
        evidence: EvidenceDigest,
        hop: Hop,
    },
    /// At home: what a hopped transfer came to there. `transfer` is what was answered, with the account it belongs to;
    /// `entries` take the money out of suspense, or pay the advance back; none where it is refused.
    HopSettled {
        transfer: Transfer,
        decision: Decision,
        entries: Vec<Entry>,
    },
    /// Where it was taken in: what became of it. `entries` take the posting back where it is compensated, and are none
    /// otherwise.
    HopClosed {
        transfer: Transfer,
        state: HopState,
        entries: Vec<Entry>,
    },
    Administered {
        act: Administration,
        operator: Operator,
        reason: Reason,
    },
}

impl Event {
    pub fn entries(&self) -> &[Entry] {
        match self {
            Self::AccountOpened { entries, .. }
            | Self::TransferDecided { entries, .. }
            | Self::TransferHopped { entries, .. }
            | Self::HopSettled { entries, .. }
            | Self::HopClosed { entries, .. } => entries,
            Self::AgreementRecorded { .. } | Self::Administered { .. } => &[],
        }
    }
}
