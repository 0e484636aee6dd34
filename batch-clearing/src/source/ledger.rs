//! The journal straight from the ledger, for an installation without Kafka.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use ledger_protocol::{LedgerClient, LedgerFault};

use super::{ShardSource, SourceFault};
use crate::chunk::Incoming;
use crate::shard_writer::StoredPosition;

type Records = Pin<Box<dyn Stream<Item = Result<Vec<Vec<u8>>, LedgerFault>> + Send>>;

pub struct LedgerShard {
    shard: u8,
    records: Records,
}

impl LedgerShard {
    pub async fn open(client: &LedgerClient, position: &StoredPosition) -> Result<Self, SourceFault> {
        let shard = position.chain.shard.number();
        let from = position.chain.sequence + 1;
        let opened = client.journal(shard, from).await;
        let records = opened.map_err(|source| SourceFault::Ledger { shard, source })?;
        Ok(Self {
            shard,
            records: Box::pin(records),
        })
    }
}

impl ShardSource for LedgerShard {
    async fn next(&mut self, into: &mut Vec<Incoming>, _more: usize) -> Result<(), SourceFault> {
        let shard = self.shard;
        let chunk = self.records.next().await.ok_or(SourceFault::LedgerEnded { shard })?;
        let chunk = chunk.map_err(|source| SourceFault::Ledger { shard, source })?;
        into.extend(chunk.into_iter().map(|encoded| Incoming {
            encoded,
            next_offset: None,
        }));
        Ok(())
    }
}

impl std::fmt::Debug for LedgerShard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerShard")
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}
