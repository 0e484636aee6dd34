//! The broker that is Kafka: for each shard a transactional producer, whose id is the shard's own, and a consumer that
//! looks where the partition ends.
//!
//! Why transactions, and not only an idempotent producer: the broker gives a transactional id to one producer at a
//! time, and refuses what older ones still send. Nothing else in Kafka keeps a second ledger out of a partition. They
//! also make a piece of the journal appear wholly or not at all, so that what is in doubt is settled by the next producer,
//! and a piece can be taken back when it turns out to lie where it must not.
//!
//! What they cost: a mark in the partition for each piece, which takes an offset (readers must not count offsets); some
//! writes of the broker for each piece; and a piece that a dead ledger left open keeps readers waiting until another
//! takes over, or for `TRANSACTION_MS`.

mod client;
mod tail;

use std::time::{Duration, Instant};

use ledger_model::{ShardCount, ShardId};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio::runtime::Handle;

use self::client::{Context, client_config};
use self::tail::{Ending, Tail};
use super::{Broker, Connect, PartitionEnd, ShipFault};

/// For any single question to the broker.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// For a piece to reach all replicas, and for its commit.
const APPEND_LIMIT: Duration = Duration::from_secs(15);
/// For the broker to settle what an older producer had under way.
const TAKE_OVER_LIMIT: Duration = Duration::from_secs(10);
/// After this long without an end the broker aborts a transaction.
const TRANSACTION_MS: &str = "30000";
const MESSAGE_MS: &str = "15000";
/// Records in the library's queue; the rest of a piece waits for room.
const QUEUE_MESSAGES_MAX: &str = "2000";
/// Between two looks for a topic that was made a moment ago.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// `host:port`, several joined by commas.
    pub brokers: String,
    pub topic: String,
    /// Of the topic, at the least.
    pub replication: u16,
}

/// Connects to a shard's partition anew at each call. `runtime` waits for answers of the admin client.
pub fn kafka(settings: KafkaSettings, runtime: Handle) -> Connect {
    Box::new(move |shard| {
        let context = Context::default();
        let mut config = client_config(&settings);
        config
            .set("transactional.id", format!("{}/shard-{shard}", settings.topic))
            .set("transaction.timeout.ms", TRANSACTION_MS)
            .set("message.timeout.ms", MESSAGE_MS)
            .set("queue.buffering.max.messages", QUEUE_MESSAGES_MAX)
            .set("linger.ms", "2");
        let producer = config.create_with_context(context.clone());
        Ok(Box::new(Kafka {
            tail: Tail::open(&settings, shard)?,
            settings: settings.clone(),
            shard,
            runtime: runtime.clone(),
            producer: producer.map_err(broker_fault("make a producer"))?,
            context,
            place: Place::NotBefore(0),
        }))
    })
}

struct Kafka {
    settings: KafkaSettings,
    shard: ShardId,
    runtime: Handle,
    producer: BaseProducer<Context>,
    context: Context,
    tail: Tail,
    place: Place,
}

/// Where the next record has to come to lie in the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// As far as was looked; marks may follow.
    NotBefore(i64),
    /// After a record of ours, with nothing but the mark of its commit between.
    After(i64),
}

impl Place {
    /// After records with these offsets; `None` where they do not follow, or not one from the other.
    fn after(self, offsets: &[i64]) -> Option<Self> {
        let (first, last) = (*offsets.first()?, *offsets.last()?);
        let follows = match self {
            Self::NotBefore(end) => first >= end,
            Self::After(before) => (1..=2).contains(&first.checked_sub(before)?),
        };
        let in_a_row = offsets.iter().zip(first..).all(|(offset, due)| *offset == due);
        (follows && in_a_row).then_some(Self::After(last))
    }
}

fn broker_fault(doing: &'static str) -> impl Fn(KafkaError) -> ShipFault {
    move |source| ShipFault::Broker {
        doing,
        source: Box::new(source),
    }
}

impl Kafka {
    /// What a fault of the producer comes to: shut out by another, or trouble with the broker.
    fn fault(&self, doing: &'static str) -> impl Fn(KafkaError) -> ShipFault {
        let fatal = self.producer.client().fatal_error().map(|(code, _)| code);
        move |error| match fatal.or_else(|| error.rdkafka_error_code()) {
            Some(
                RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch,
            ) => ShipFault::Fenced,
            _ => broker_fault(doing)(error),
        }
    }

    /// Replicas of each partition of the topic; none where there is no topic.
    fn partitions(&self) -> Result<Vec<(i32, usize)>, ShipFault> {
        // asking for all topics does not make a missing one, as asking for it by name may
        let metadata = self.producer.client().fetch_metadata(None, ANSWER_LIMIT);
        let metadata = metadata.map_err(broker_fault("list its topics"))?;
        let mut topics = metadata.topics().iter();
        let topic = topics.find(|topic| topic.name() == self.settings.topic);
        let partitions = topic.map(|topic| {
            let partitions = topic.partitions().iter();
            partitions
                .map(|partition| (partition.id(), partition.replicas().len()))
                .collect()
        });
        Ok(partitions.unwrap_or_default())
    }

    fn create_topic(&self, partitions: u8) -> Result<(), ShipFault> {
        let faults = broker_fault("make the topic");
        let admin = AdminClient::from_config_and_context(&client_config(&self.settings), Context::default());
        let admin = admin.map_err(&faults)?;
        let replication = TopicReplication::Fixed(self.settings.replication.into());
        // the copy is compared with the journal as a whole, so nothing of it may go
        let topic = NewTopic::new(&self.settings.topic, partitions.into(), replication)
            .set("retention.ms", "-1")
            .set("cleanup.policy", "delete");
        let options = AdminOptions::new()
            .operation_timeout(Some(ANSWER_LIMIT))
            .request_timeout(Some(ANSWER_LIMIT));
        let made = self
            .runtime
            .block_on(admin.create_topics([&topic], &options))
            .map_err(&faults)?;
        match made.into_iter().find_map(Result::err) {
            Some((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Some((_, code)) => Err(faults(KafkaError::AdminOp(code))),
            None => {
                tracing::info!(topic = self.settings.topic, partitions, "made the journal's topic");
                Ok(())
            }
        }
    }

    /// Sends the records within a transaction, and waits until all replicas have them.
    fn send(&self, first: u64, records: &[Vec<u8>]) -> Result<Vec<i64>, ShipFault> {
        let deadline = Instant::now() + APPEND_LIMIT;
        for (sequence, record) in (first..).zip(records) {
            self.send_one(sequence, record, deadline)?;
        }
        loop {
            self.producer.poll(PAUSE);
            let mut reports = self.context.reports();
            if let Some(error) = reports.failed.take() {
                drop(reports);
                return Err(match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::MessageSizeTooLarge) => too_large(first, records),
                    _ => self.fault("keep a record")(error),
                });
            }
            if reports.offsets.len() >= records.len() {
                return Ok(std::mem::take(&mut reports.offsets));
            }
            drop(reports);
            if Instant::now() >= deadline {
                return Err(self.fault("keep a record in time")(KafkaError::Canceled));
            }
        }
    }

    fn send_one(&self, sequence: u64, record: &[u8], deadline: Instant) -> Result<(), ShipFault> {
        let mut message: BaseRecord<'_, (), [u8]> = BaseRecord::to(&self.settings.topic)
            .partition(self.shard.number().into())
            .payload(record);
        loop {
            match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    self.producer.poll(PAUSE);
                    message = back;
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => {
                    let bytes = record.len();
                    return Err(ShipFault::TooLarge { sequence, bytes });
                }
                Err((error, _)) => return Err(self.fault("take a record")(error)),
            }
        }
    }

    /// Takes back what was sent. Where that shows that another has the partition, that is what there is to tell.
    fn abort(&self, fault: ShipFault) -> ShipFault {
        let aborted = self.producer.abort_transaction(APPEND_LIMIT);
        match aborted.map_err(self.fault("take a piece back")) {
            Err(ShipFault::Fenced) => ShipFault::Fenced,
            Ok(()) | Err(_) => fault,
        }
    }
}

/// The broker refuses a batch and does not say which record is the largest.
fn too_large(first: u64, records: &[Vec<u8>]) -> ShipFault {
    let numbered = (first..).zip(records);
    let (sequence, bytes) = numbered
        .map(|(sequence, record)| (sequence, record.len()))
        .max_by_key(|(_, bytes)| *bytes)
        .unwrap_or((first, 0));
    ShipFault::TooLarge { sequence, bytes }
}

impl Broker for Kafka {
    fn prepare(&mut self, shards: ShardCount) -> Result<(), ShipFault> {
        let wanted = shards.count();
        let mut found = self.partitions()?;
        if found.is_empty() {
            self.create_topic(wanted)?;
            let deadline = Instant::now() + ANSWER_LIMIT;
            while found.is_empty() && Instant::now() < deadline {
                std::thread::sleep(PAUSE);
                found = self.partitions()?;
            }
        }
        if found.len() != usize::from(wanted) {
            let found = found.len();
            return Err(ShipFault::Partitions { found, wanted });
        }
        let wanted = self.settings.replication;
        match found.iter().find(|(_, replicas)| *replicas < usize::from(wanted)) {
            None => Ok(()),
            Some((partition, found)) => Err(ShipFault::Replicas {
                partition: *partition,
                found: *found,
                wanted,
            }),
        }
    }

    fn end(&mut self) -> Result<PartitionEnd, ShipFault> {
        let Ending { end, offset } = self.tail.ending()?;
        if matches!(self.place, Place::NotBefore(_)) {
            self.place = Place::NotBefore(offset);
        }
        Ok(end)
    }

    fn take_over(&mut self) -> Result<(), ShipFault> {
        self.producer
            .init_transactions(TAKE_OVER_LIMIT)
            .map_err(self.fault("give a partition to this ledger"))
    }

    fn append(&mut self, first: u64, records: &[Vec<u8>]) -> Result<(), ShipFault> {
        self.producer
            .begin_transaction()
            .map_err(self.fault("begin a transaction"))?;
        let offsets = match self.send(first, records) {
            Ok(offsets) => offsets,
            Err(fault) => return Err(self.abort(fault)),
        };
        let Some(place) = self.place.after(&offsets) else {
            return Err(self.abort(ShipFault::Moved));
        };
        self.producer
            .commit_transaction(APPEND_LIMIT)
            .map_err(self.fault("commit a transaction"))?;
        self.place = place;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_lies_after_the_one_before_and_in_a_row() {
        let check = |place: Place, offsets: &[i64], expected: Option<i64>| {
            assert_eq!(
                place.after(offsets),
                expected.map(Place::After),
                "{offsets:?} {place:?}"
            );
        };
        check(Place::NotBefore(10), &[9, 10], None);
        check(Place::NotBefore(10), &[10, 11], Some(11));
        check(Place::NotBefore(10), &[13], Some(13));
        check(Place::After(10), &[10], None);
        check(Place::After(10), &[11], Some(11));
        check(Place::After(10), &[12, 13, 14], Some(14));
        check(Place::After(10), &[13], None);
        check(Place::After(10), &[0, 1], None);
        check(Place::After(10), &[12, 14], None);
        check(Place::After(10), &[12, 11], None);
        check(Place::After(10), &[-1], None);
        check(Place::After(10), &[], None);
    }
}
