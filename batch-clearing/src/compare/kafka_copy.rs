//! Kafka's copy: every record of the topic from the first on, its chain followed, duplicates dropped.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ledger_journal::JournalRecord;
use ledger_model::ShardId;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::config::KafkaTopic;
use crate::figures::{Figures, ShardFigures};
use crate::source::{self, SourceFault};

const POLL: Duration = Duration::from_millis(100);

/// Reads each shard's partition up to the record wanted, or until nothing has come for as long as `patience`.
pub(super) async fn read(
    kafka: &KafkaTopic,
    targets: &BTreeMap<ShardId, u64>,
    patience: Duration,
) -> Result<Figures, SourceFault> {
    let (kafka, targets) = (kafka.clone(), targets.clone());
    let reading = tokio::task::spawn_blocking(move || read_blocking(&kafka, &targets, patience));
    reading.await.expect("reading a topic does not panic")
}

fn read_blocking(
    kafka: &KafkaTopic,
    targets: &BTreeMap<ShardId, u64>,
    patience: Duration,
) -> Result<Figures, SourceFault> {
    let fault = |doing| move |source| SourceFault::Kafka { doing, source };
    let consumer: BaseConsumer = source::consumer_config(kafka)
        .create()
        .map_err(fault("creating a consumer"))?;
    let partitions = source::partition_count(&consumer, &kafka.topic)?;
    let mut assignment = TopicPartitionList::new();
    for shard in targets.keys().filter(|shard| shard.number() < partitions) {
        let added = assignment.add_partition_offset(&kafka.topic, shard.number().into(), Offset::Beginning);
        added.map_err(fault("choosing a partition"))?;
    }
    consumer.assign(&assignment).map_err(fault("assigning partitions"))?;
    let mut figures: Figures = targets
        .keys()
        .map(|shard| (*shard, ShardFigures::start(*shard)))
        .collect();
    let mut last_progress = Instant::now();
    while last_progress.elapsed() < patience && !is_complete(&figures, targets) {
        let Some(polled) = consumer.poll(POLL) else { continue };
        let message = match polled {
            Ok(message) => message,
            Err(fault) => {
                // losses of a broker are mended by the library; what they cost shows in the figures
                tracing::warn!(%fault, "Kafka");
                continue;
            }
        };
        let of_partition = figures
            .values_mut()
            .find(|held| i32::from(held.chain.shard.number()) == message.partition());
        let Some(held) = of_partition else { continue };
        if take(held, targets, message.payload().unwrap_or_default()) {
            last_progress = Instant::now();
        }
    }
    Ok(figures)
}

/// Whether the record moved the shard on.
fn take(held: &mut ShardFigures, targets: &BTreeMap<ShardId, u64>, encoded: &[u8]) -> bool {
    let wanted = targets.get(&held.chain.shard).copied().unwrap_or_default();
    if held.fault.is_some() || held.chain.sequence >= wanted {
        return false;
    }
    let before = held.chain.sequence;
    match JournalRecord::decode(encoded) {
        Ok(record) => held.fault = held.take(&record, encoded).err().map(|fault| fault.to_string()),
        Err(fault) => held.fault = Some(fault.to_string()),
    }
    held.chain.sequence > before
}

fn is_complete(figures: &Figures, targets: &BTreeMap<ShardId, u64>) -> bool {
    targets.iter().all(|(shard, wanted)| {
        figures
            .get(shard)
            .is_some_and(|held| held.fault.is_some() || held.chain.sequence >= *wanted)
    })
}
