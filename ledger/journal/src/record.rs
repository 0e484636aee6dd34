//! What a record says.

use ledger_model::{Account, Agreement, ChinaTime, Entry, ShardId, Transfer};

use crate::ChainHash;

/// SHA-256 over the evidence kept with a transfer: length-prefixed signed bytes, signature and key serial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceDigest(pub [u8; 32]);

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
}

impl Event {
    pub fn entries(&self) -> &[Entry] {
        match self {
            Self::AccountOpened { entries, .. } | Self::TransferDecided { entries, .. } => entries,
            Self::AgreementRecorded { .. } => &[],
        }
    }
}
