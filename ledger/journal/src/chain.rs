//! The hash chain of a shard's journal.

use std::fmt;

use ledger_model::ShardId;
use sha2::{Digest, Sha256};

use crate::JournalRecord;

/// SHA-256 of a record's encoded bytes, which themselves hold the hash of the record before.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// What the first record of a shard names as its predecessor.
    pub const START: Self = Self([0; 32]);

    pub fn of(encoded: &[u8]) -> Self {
        Self(Sha256::digest(encoded).into())
    }
}

/// How far a reader has come in one shard: the number and hash of the last record it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainPosition {
    pub shard: ShardId,
    /// 0 before the first record.
    pub sequence: u64,
    pub head: ChainHash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    #[error("a record of shard {found} among those of shard {expected}")]
    OtherShard { expected: ShardId, found: ShardId },
    #[error("shard {shard}: record {found} where {expected} was due")]
    OutOfSequence { shard: ShardId, expected: u64, found: u64 },
    #[error("shard {shard}: record {sequence} does not follow from the one before it")]
    Broken { shard: ShardId, sequence: u64 },
}

impl ChainPosition {
    pub const fn start(shard: ShardId) -> Self {
        Self {
            shard,
            sequence: 0,
            head: ChainHash::START,
        }
    }

    /// Takes the next record; `encoded` are the bytes it was decoded from.
    pub fn follow(&self, record: &JournalRecord, encoded: &[u8]) -> Result<Self, ChainFault> {
        let shard = self.shard;
        if record.shard != shard {
            return Err(ChainFault::OtherShard {
                expected: shard,
                found: record.shard,
            });
        }
        let expected = self.sequence + 1;
        if record.sequence != expected {
            return Err(ChainFault::OutOfSequence {
                shard,
                expected,
                found: record.sequence,
            });
        }
        if record.previous != self.head {
            return Err(ChainFault::Broken {
                shard,
                sequence: record.sequence,
            });
        }
        Ok(Self {
            shard,
            sequence: expected,
            head: ChainHash::of(encoded),
        })
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}
