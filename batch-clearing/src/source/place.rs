//! Where in a shard's partition to go on reading.
//!
//! The offset kept with the rows is where the copy left off, in the topic as it was then. The topic may have been made
//! anew since, or emptied, and been filled again from the journal: then the same offset is another place. So what lies there
//! is looked at first, by its number: reading begins at the record that is due, found from the kept offset on, or else from
//! the partition's first on.

use std::time::Duration;

use ledger_journal::JournalRecord;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::kafka::{consumer_config, partition_of};
use super::{SourceFault, kafka_fault};
use crate::config::KafkaTopic;
use crate::shard_writer::StoredPosition;

const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What lies from some offset on.
enum Found {
    /// The record that is due, or the place where it will come to lie.
    Due(i64),
    /// A later record, and the one that is due nowhere before it.
    Gap(u64),
}

/// The offsets to read from, in the order of the positions.
pub(super) async fn places(kafka: &KafkaTopic, positions: &[StoredPosition]) -> Result<Vec<i64>, SourceFault> {
    let (kafka, positions) = (kafka.clone(), positions.to_owned());
    let looking = tokio::task::spawn_blocking(move || {
        let mut config = consumer_config(&kafka);
        config
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "20");
        let consumer = config.create().map_err(kafka_fault("creating a consumer"))?;
        let looked = positions
            .iter()
            .map(|position| place(&consumer, &kafka.topic, position));
        looked.collect()
    });
    looking.await.expect("looking for a record does not panic")
}

fn place(consumer: &BaseConsumer, topic: &str, position: &StoredPosition) -> Result<i64, SourceFault> {
    let partition = partition_of(position.chain.shard);
    let ends = consumer.fetch_watermarks(topic, partition, ANSWER_LIMIT);
    let (first, end) = ends.map_err(kafka_fault("asking how far a partition goes"))?;
    // the record before the kept offset is the last one taken, in the topic it was taken from
    let kept = position.kafka_offset.saturating_sub(1);
    let mut gap = None;
    for from in [kept, first] {
        if from < first || from > end {
            continue;
        }
        match look_from(consumer, topic, position, from..end)? {
            Found::Due(offset) => return Ok(offset),
            Found::Gap(found) => gap = Some(found),
        }
    }
    match gap {
        Some(found) => Err(SourceFault::Gap {
            shard: position.chain.shard.number(),
            due: position.chain.sequence.saturating_add(1),
            found,
        }),
        None => Ok(first),
    }
}

fn look_from(
    consumer: &BaseConsumer,
    topic: &str,
    position: &StoredPosition,
    offsets: std::ops::Range<i64>,
) -> Result<Found, SourceFault> {
    if offsets.is_empty() {
        return Ok(Found::Due(offsets.start));
    }
    let faults = |source| kafka_fault("looking for a record")(source);
    let mut wanted = TopicPartitionList::new();
    wanted
        .add_partition_offset(topic, partition_of(position.chain.shard), Offset::Offset(offsets.start))
        .map_err(faults)?;
    consumer.assign(&wanted).map_err(faults)?;
    let found = look_on(consumer, position, offsets.start);
    consumer.unassign().map_err(faults)?;
    found
}

fn look_on(consumer: &BaseConsumer, position: &StoredPosition, from: i64) -> Result<Found, SourceFault> {
    let (shard, taken) = (position.chain.shard.number(), position.chain.sequence);
    let mut next = from;
    loop {
        let message = match consumer.poll(ANSWER_LIMIT) {
            Some(Ok(message)) => message,
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Found::Due(next)),
            Some(Err(source)) => return Err(kafka_fault("looking for a record")(source)),
            None => return Err(kafka_fault("looking for a record")(KafkaError::NoMessageReceived)),
        };
        let record = JournalRecord::decode(message.payload().unwrap_or_default());
        let sequence = record
            .map_err(|source| SourceFault::NoRecord {
                shard,
                offset: message.offset(),
                source,
            })?
            .sequence;
        if sequence == taken.saturating_add(1) {
            return Ok(Found::Due(message.offset()));
        }
        if sequence > taken {
            return Ok(Found::Gap(sequence));
        }
        next = message.offset().saturating_add(1);
    }
}
