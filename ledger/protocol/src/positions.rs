//! How far the shards have come that a ledger could ask.

use crate::convert::Malformed;
use crate::reply::ShardPosition;
use crate::wire;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenPositions {
    /// In order.
    pub positions: Vec<ShardPosition>,
    /// Shards that could not be asked since the ledger began: nothing is known of them.
    pub unseen: Vec<u8>,
}

impl From<&SeenPositions> for wire::PositionsReply {
    fn from(seen: &SeenPositions) -> Self {
        Self {
            shards: seen.positions.iter().map(Into::into).collect(),
            unseen_shards: seen.unseen.iter().copied().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::PositionsReply> for SeenPositions {
    type Error = Malformed;

    fn try_from(reply: wire::PositionsReply) -> Result<Self, Malformed> {
        let unseen = reply.unseen_shards.into_iter();
        let unseen = unseen.map(|shard| u8::try_from(shard).map_err(|_| Malformed { field: "unseen_shards" }));
        let positions = reply.shards.into_iter().map(TryInto::try_into);
        Ok(Self {
            positions: positions.collect::<Result<_, _>>()?,
            unseen: unseen.collect::<Result<_, _>>()?,
        })
    }
}
