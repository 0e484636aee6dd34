//! Hopping: a transfer taken in by another shard than its home, while its home cannot be reached.

use crate::{Refusal, ShardId};

/// Which attempt took the transfer in, and under which epoch of the shard that did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hop {
    /// Where the transfer belongs, and is settled once that shard is back.
    pub home: ShardId,
    /// 1 where home was known to be down, 2 where an attempt at home is in doubt.
    pub attempt: u8,
    /// Of the shard that took it in. A connection of an older epoch commits nothing any more.
    pub epoch: u64,
}

/// What became of a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HopState {
    /// Not settled at home yet.
    Open,
    /// Settled at home: suspense, or the advance, is even again.
    Settled,
    /// Posted at home by a late commit as well; what was posted here was taken back.
    Compensated,
    /// Refused at home. The money stays in suspense, or advanced, until an operator deals with it.
    Unapplied(Refusal),
}

impl HopState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Settled => "settled",
            Self::Compensated => "compensated",
            Self::Unapplied(_) => "unapplied",
        }
    }
}
