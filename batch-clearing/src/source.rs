//! Where a shard's journal is read from: Kafka, or the ledger's own stream.
//!
//! A source delivers what comes after a position, in order. It may deliver records again and may stop with a fault at
//! any moment; that nothing is lost or doubled is the business of [`crate::chunk`] and [`crate::shard_writer`].

mod kafka;
mod ledger;
mod place;

use crate::chunk::Incoming;

pub use kafka::{KafkaReader, KafkaShard};
pub(crate) use kafka::{consumer_config, partition_count, shard_count};
pub use ledger::LedgerShard;

#[derive(Debug, thiserror::Error)]
pub enum SourceFault {
    #[error("Kafka: {doing} failed")]
    Kafka {
        doing: &'static str,
        #[source]
        source: rdkafka::error::KafkaError,
    },
    #[error("topic {topic} has {partitions} partitions; a ledger has 1 to 64 shards")]
    Partitions { topic: String, partitions: usize },
    #[error("a message without content in partition {partition} at offset {offset}")]
    NoContent { partition: i32, offset: i64 },
    #[error(
        "shard {shard}: the topic goes on with record {found} where {due} is due; replicate --from ledger until the copy \
         is past that place"
    )]
    Gap { shard: u8, due: u64, found: u64 },
    #[error("shard {shard}: what lies at offset {offset} is no record of a journal")]
    NoRecord {
        shard: u8,
        offset: i64,
        #[source]
        source: ledger_journal::DecodeFault,
    },
    #[error("the ledger's journal of shard {shard} cannot be read")]
    Ledger {
        shard: u8,
        #[source]
        source: ledger_protocol::LedgerFault,
    },
    #[error("the ledger ended its journal of shard {shard}")]
    LedgerEnded { shard: u8 },
}

impl SourceFault {
    /// Whether trying again later may help.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Kafka { .. } | Self::Ledger { .. } | Self::LedgerEnded { .. } => true,
            // a topic that does not exist yet has no partitions
            Self::Partitions { partitions, .. } => *partitions == 0,
            Self::NoContent { .. } | Self::Gap { .. } | Self::NoRecord { .. } => false,
        }
    }
}

/// One shard's journal from one position on.
pub trait ShardSource: Send + 'static {
    /// Waits for at least one record and adds what is there, up to about `more` records. Dropping the future before it
    /// is ready loses nothing.
    fn next(&mut self, into: &mut Vec<Incoming>, more: usize) -> impl Future<Output = Result<(), SourceFault>> + Send;
}

fn kafka_fault(doing: &'static str) -> impl Fn(rdkafka::error::KafkaError) -> SourceFault {
    move |source| SourceFault::Kafka { doing, source }
}
