//! Why a move did not come to its end. After any of these the shard is whole in one group, or on its way between two; the
//! same move begun again, or whoever needs the shard, goes on from there.

use crate::store::StoreFault;

#[derive(Debug, thiserror::Error)]
pub enum MoveFault {
    /// Trying again may help.
    #[error("the group {group} cannot be reached, or did not answer in time")]
    Unreachable {
        group: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// One moves a shard at a time, whichever process it is in.
    #[error("another mover is at this shard")]
    TakenByAnother,
    #[error("the shard does not live in the group it is to be moved from")]
    NotHere,
    /// It was made for another count of shards, is of another version, or has such a shard already.
    #[error("the database of the group {group} is not another one of this ledger")]
    Foreign {
        group: String,
        #[source]
        source: StoreFault,
    },
    /// As was asked for.
    #[error("the move was stopped")]
    Stopped,
    #[error("what was moved does not read, or is not all there")]
    Content(#[source] StoreFault),
}

impl MoveFault {
    /// For an order that waits for the shard.
    pub(in crate::store::postgres) fn unreachable(self) -> StoreFault {
        StoreFault::Unreachable(Box::new(self))
    }
}
