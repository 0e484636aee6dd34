//! The journals of a ledger from outside: by the journal stream of its process, or of each of several.

use futures::StreamExt;
use ledger_journal::{ChainPosition, JournalRecord};
use ledger_model::{ShardCount, ShardId};
use ledger_protocol::LedgerClient;

use crate::bank::WAIT;

/// Every record of every shard, by shard and number: gapless and chained, and the same for all that are asked, each of
/// which knows what there is.
pub(crate) async fn read(ledgers: &[LedgerClient], shards: ShardCount) -> Vec<JournalRecord> {
    let mut all = Vec::new();
    for shard in shards.all() {
        let mut told = Vec::new();
        for ledger in ledgers {
            let positions = ledger.positions().await.unwrap();
            let position = &positions[shard.index()];
            for sum in &position.sums {
                assert_eq!(sum.debit_minor, sum.credit_minor, "shard {shard}");
            }
            told.push((position.head, follow(ledger, shard, position.sequence).await));
        }
        let (head, journal) = told.pop().unwrap();
        for other in told {
            assert!(other == (head, journal.clone()), "two journals of shard {shard}");
        }
        let mut position = ChainPosition::start(shard);
        for encoded in journal {
            let record = JournalRecord::decode(&encoded).unwrap();
            position = position.follow(&record, &encoded).unwrap();
            all.push(record);
        }
        assert_eq!(position.head.0, head, "shard {shard}");
    }
    all
}

/// Follows one shard's journal until it has so many records.
pub(crate) async fn follow(ledger: &LedgerClient, shard: ShardId, count: u64) -> Vec<Vec<u8>> {
    let count = usize::try_from(count).unwrap();
    let mut records = Vec::new();
    if count == 0 {
        return records;
    }
    let mut chunks = Box::pin(ledger.journal(shard.number(), 1).await.unwrap());
    while records.len() < count {
        let chunk = tokio::time::timeout(WAIT, chunks.next()).await;
        let chunk = chunk.unwrap_or_else(|_| panic!("shard {shard} stops after {} records", records.len()));
        records.extend(chunk.unwrap().unwrap());
    }
    records.truncate(count);
    records
}
