//! The journal from Kafka: partition n is shard n.
//!
//! One consumer with the partitions assigned by hand, each with a queue of its own. Offsets are kept with the rows in
//! PostgreSQL and never committed to a consumer group, so that the two cannot disagree, and are looked at before they are
//! used ([`super::place`]). One that vanishes while it is read from falls back to the start of the partition; the chain check
//! then drops what is known and stops at a gap. Only what is committed is read: the ledger ships in transactions.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use ledger_model::ShardId;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::stream_consumer::StreamPartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::place::places;
use super::{ShardSource, SourceFault, kafka_fault};
use crate::chunk::Incoming;
use crate::config::KafkaTopic;
use crate::shard_writer::StoredPosition;

const METADATA_LIMIT: Duration = Duration::from_secs(5);
/// A broker answers a fetch once it has this much, or after the wait below: fewer, fuller answers.
const FETCH_BYTES_MIN: &str = "32768";
const FETCH_WAIT_MS: &str = "20";
/// Read ahead of the writer, per partition.
const READ_AHEAD_KBYTES: &str = "8192";

/// A consumer and what drives its events.
pub struct KafkaReader {
    consumer: Arc<StreamConsumer>,
    topic: String,
}

pub struct KafkaShard {
    queue: StreamPartitionQueue<DefaultConsumerContext>,
    partition: i32,
}

/// Settings every consumer of this program has.
pub(crate) fn consumer_config(kafka: &KafkaTopic) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.brokers)
        .set("client.id", "batch-clearing")
        // the library wants a name to consume at all; no group is joined and no offset is committed
        .set("group.id", "batch-clearing")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("allow.auto.create.topics", "false")
        .set("reconnect.backoff.max.ms", "2000")
        .set("queued.max.messages.kbytes", READ_AHEAD_KBYTES);
    config
}

/// How many partitions the topic has: the number of shards. Blocks for at most some seconds.
pub(crate) fn partition_count(consumer: &BaseConsumer, topic: &str) -> Result<u8, SourceFault> {
    // asking for all topics does not make a missing one, as asking for it by name may
    let metadata = consumer.fetch_metadata(None, METADATA_LIMIT);
    let metadata = metadata.map_err(|source| SourceFault::Kafka {
        doing: "asking for the topic",
        source,
    })?;
    let partitions = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = partitions.map_or(0, |found| found.partitions().len());
    let usable = u8::try_from(partitions)
        .ok()
        .filter(|count| (1..=ledger_model::ShardCount::MAX).contains(count));
    usable.ok_or_else(|| SourceFault::Partitions {
        topic: topic.to_owned(),
        partitions,
    })
}

/// Asks the broker how many shards there are.
pub(crate) async fn shard_count(kafka: &KafkaTopic) -> Result<u8, SourceFault> {
    let kafka = kafka.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let created = consumer_config(&kafka).create::<BaseConsumer>();
        let consumer = created.map_err(|source| SourceFault::Kafka {
            doing: "creating a consumer",
            source,
        })?;
        partition_count(&consumer, &kafka.topic)
    });
    asked.await.expect("asking a broker does not panic")
}

impl KafkaReader {
    /// Assigns every shard's partition from the record on that is due.
    pub async fn open(
        kafka: &KafkaTopic,
        positions: &[StoredPosition],
    ) -> Result<(Self, Vec<KafkaShard>), SourceFault> {
        let fault = kafka_fault;
        let places = places(kafka, positions).await?;
        let mut config = consumer_config(kafka);
        config
            .set("fetch.min.bytes", FETCH_BYTES_MIN)
            .set("fetch.wait.max.ms", FETCH_WAIT_MS);
        let consumer: StreamConsumer = config.create().map_err(fault("creating a consumer"))?;
        let consumer = Arc::new(consumer);
        let mut assignment = TopicPartitionList::new();
        for (position, place) in positions.iter().zip(places) {
            let partition = partition_of(position.chain.shard);
            let from = Offset::Offset(place);
            let added = assignment.add_partition_offset(&kafka.topic, partition, from);
            added.map_err(fault("choosing a partition"))?;
        }
        consumer.assign(&assignment).map_err(fault("assigning partitions"))?;
        let mut shards = Vec::with_capacity(positions.len());
        for position in positions {
            let partition = partition_of(position.chain.shard);
            let queue = consumer.split_partition_queue(&kafka.topic, partition);
            let queue = queue
                .ok_or(rdkafka::error::KafkaError::Canceled)
                .map_err(fault("splitting partitions"))?;
            shards.push(KafkaShard { queue, partition });
        }
        Ok((
            Self {
                consumer,
                topic: kafka.topic.clone(),
            },
            shards,
        ))
    }

    /// Serves the consumer's own events: broker losses, which it mends itself, and errors worth a log line. Ends only
    /// with a fault.
    pub async fn serve(&self) -> SourceFault {
        loop {
            match self.consumer.recv().await {
                Ok(message) => {
                    // was under way before the partition got its queue; the position has not passed it, so start over
                    let place = (message.partition(), message.offset());
                    tracing::info!(
                        topic = self.topic,
                        ?place,
                        "a record came past its queue; reading again"
                    );
                    return SourceFault::Kafka {
                        doing: "splitting partitions",
                        source: rdkafka::error::KafkaError::Canceled,
                    };
                }
                Err(fault) => tracing::warn!(topic = self.topic, %fault, "Kafka"),
            }
        }
    }
}

impl ShardSource for KafkaShard {
    async fn next(&mut self, into: &mut Vec<Incoming>, more: usize) -> Result<(), SourceFault> {
        let first = self.queue.recv().await;
        into.push(incoming(first, self.partition)?);
        for _ in 1..more {
            let Some(next) = self.queue.recv().now_or_never() else {
                break;
            };
            into.push(incoming(next, self.partition)?);
        }
        Ok(())
    }
}

fn incoming(
    received: Result<BorrowedMessage<'_>, rdkafka::error::KafkaError>,
    partition: i32,
) -> Result<Incoming, SourceFault> {
    let message = received.map_err(|source| SourceFault::Kafka {
        doing: "reading a partition",
        source,
    })?;
    let offset = message.offset();
    let content = message.payload().ok_or(SourceFault::NoContent { partition, offset })?;
    Ok(Incoming {
        encoded: content.to_vec(),
        next_offset: offset.checked_add(1),
    })
}

pub(crate) fn partition_of(shard: ShardId) -> i32 {
    shard.number().into()
}

impl std::fmt::Debug for KafkaReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaReader")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for KafkaShard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaShard")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}
