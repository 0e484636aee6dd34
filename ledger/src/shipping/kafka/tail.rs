//! What a partition ends with. Committed records only: of a transaction that is open or was aborted nothing is seen.

use std::time::Instant;

use ledger_model::ShardId;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::util::Timeout;

use super::client::{Context, client_config};
use super::{ANSWER_LIMIT, KafkaSettings, broker_fault};
use crate::shipping::{PartitionEnd, ShipFault};

/// Offsets looked at first, from the end on. Usually the last is the mark of a commit and the one before it a record.
const REACH_FIRST: i64 = 64;
/// How much further back each time nothing but marks and what was aborted was found.
const REACH_GROWS: i64 = 32;

pub(super) struct Tail {
    consumer: BaseConsumer<Context>,
    topic: String,
    partition: i32,
}

/// What a partition ends with, and where.
pub(super) struct Ending {
    pub(super) end: PartitionEnd,
    /// Offset the next thing written gets, or one before that.
    pub(super) offset: i64,
}

impl Tail {
    pub(super) fn open(settings: &KafkaSettings, shard: ShardId) -> Result<Self, ShipFault> {
        let mut config = client_config(settings);
        config
            // no group is joined and nothing is committed; the library wants a name all the same
            .set("group.id", "ledger-shipping")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "20");
        let consumer = config.create_with_context(Context::default());
        Ok(Self {
            consumer: consumer.map_err(broker_fault("make a consumer"))?,
            topic: settings.topic.clone(),
            partition: shard.number().into(),
        })
    }

    pub(super) fn ending(&self) -> Result<Ending, ShipFault> {
        let ends = self
            .consumer
            .fetch_watermarks(&self.topic, self.partition, ANSWER_LIMIT);
        let (first, offset) = ends.map_err(broker_fault("say where a partition ends"))?;
        let mut reach = REACH_FIRST;
        loop {
            let from = first.max(offset.saturating_sub(reach));
            if let Some(record) = self.last_between(from, offset)? {
                let end = PartitionEnd::Record(record);
                return Ok(Ending { end, offset });
            }
            if from <= first {
                let end = PartitionEnd::Empty;
                return Ok(Ending { end, offset });
            }
            reach = reach.saturating_mul(REACH_GROWS);
        }
    }

    fn last_between(&self, from: i64, end: i64) -> Result<Option<Vec<u8>>, ShipFault> {
        if from >= end {
            return Ok(None);
        }
        let faults = broker_fault("show what a partition ends with");
        let mut wanted = TopicPartitionList::new();
        wanted
            .add_partition_offset(&self.topic, self.partition, Offset::Offset(from))
            .map_err(&faults)?;
        self.consumer.assign(&wanted).map_err(&faults)?;
        let read = self.read_on(end);
        self.consumer.unassign().map_err(&faults)?;
        read.map_err(&faults)
    }

    fn read_on(&self, end: i64) -> Result<Option<Vec<u8>>, KafkaError> {
        let deadline = Instant::now() + ANSWER_LIMIT;
        let mut last = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.consumer.poll(Timeout::After(left)) {
                Some(Ok(message)) => {
                    last = Some(message.payload().unwrap_or_default().to_vec());
                    if message.offset() >= end.saturating_sub(1) {
                        return Ok(last);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(last),
                Some(Err(error)) => return Err(error),
                None => return Err(KafkaError::NoMessageReceived),
            }
        }
    }
}
