//! The broker that is Kafka: an idempotent producer that waits for all replicas, and a consumer that looks where each
//! partition ends.
//!
//! Messages never expire in the producer: as long as the connection can come back they stay in its queue, in order. What
//! the producer gives up on is a fault, and a new producer starts from what was acknowledged.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ledger_model::{ShardCount, ShardId};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::{Offset, util::Timeout};
use tokio::runtime::Handle;

use super::{Broker, Connect, PartitionEnd, Sent, ShipFault};

/// For any single question to the broker.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// `host:port`, several joined by commas.
    pub brokers: String,
    pub topic: String,
    /// Of the topic, where it has to be made.
    pub replication: u16,
}

/// Connects to Kafka anew at each call. `runtime` waits for answers of the admin client.
pub fn kafka(settings: KafkaSettings, runtime: Handle) -> Connect {
    Box::new(move || {
        let faults = fault("make a producer");
        let context = Context::default();
        let producer = producer_config(&settings)
            .create_with_context(context.clone())
            .map_err(faults)?;
        Ok(Box::new(Kafka {
            settings: settings.clone(),
            runtime: runtime.clone(),
            producer,
            reports: context.reports,
        }))
    })
}

/// What the producer reported since it was last asked.
#[derive(Debug, Default)]
struct Reports {
    acknowledged: Vec<(i32, usize)>,
    failed: Option<KafkaError>,
}

/// Takes librdkafka's reports and log lines.
#[derive(Clone, Default)]
struct Context {
    reports: Arc<Mutex<Reports>>,
    lines: Arc<Mutex<Lines>>,
}

/// How much was told lately: a broker that is away for hours must not fill the log with the same few lines.
#[derive(Default)]
struct Lines {
    since: Option<Instant>,
    told: u32,
    kept_back: u32,
}

const LINES_MAX: u32 = 8;
const LINES_PERIOD: Duration = Duration::from_secs(30);

impl Lines {
    fn may_tell(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= LINES_PERIOD) {
            if self.kept_back > 0 {
                tracing::info!(target: "kafka", lines = self.kept_back, "more lines of the client were kept back");
            }
            *self = Self {
                since: Some(now),
                told: 0,
                kept_back: 0,
            };
        }
        let may = self.told < LINES_MAX;
        self.told += u32::from(may);
        self.kept_back += u32::from(!may);
        may
    }
}

impl Context {
    fn may_tell(&self) -> bool {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .may_tell(Instant::now())
    }
}

struct Kafka {
    settings: KafkaSettings,
    runtime: Handle,
    producer: BaseProducer<Context>,
    reports: Arc<Mutex<Reports>>,
}

fn fault(doing: &'static str) -> impl Fn(KafkaError) -> ShipFault {
    move |source| ShipFault::Broker {
        doing,
        source: Box::new(source),
    }
}

fn client_config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", "ledger")
        .set_log_level(RDKafkaLogLevel::Info);
    config.set("reconnect.backoff.max.ms", "2000");
    config
}

fn producer_config(settings: &KafkaSettings) -> ClientConfig {
    let mut config = client_config(settings);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", "0")
        .set("linger.ms", "2")
        .set("queue.buffering.max.kbytes", "32768");
    config
}

impl Kafka {
    fn partitions(&self) -> Result<usize, ShipFault> {
        // asking for all topics does not make a missing one, as asking for it by name may
        let metadata = self
            .producer
            .client()
            .fetch_metadata(None, ANSWER_LIMIT)
            .map_err(fault("list its topics"))?;
        let topic = metadata
            .topics()
            .iter()
            .find(|topic| topic.name() == self.settings.topic);
        Ok(topic.map_or(0, |topic| topic.partitions().len()))
    }

    fn create_topic(&self, partitions: u8) -> Result<(), ShipFault> {
        let faults = fault("make the topic");
        let admin = AdminClient::from_config_and_context(&client_config(&self.settings), Context::default());
        let admin = admin.map_err(&faults)?;
        let replication = TopicReplication::Fixed(self.settings.replication.into());
        let topic = NewTopic::new(&self.settings.topic, partitions.into(), replication);
        let options = AdminOptions::new()
            .operation_timeout(Some(ANSWER_LIMIT))
            .request_timeout(Some(ANSWER_LIMIT));
        let made = self
            .runtime
            .block_on(admin.create_topics([&topic], &options))
            .map_err(&faults)?;
        match made.into_iter().find_map(Result::err) {
            None | Some((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Some((_, code)) => Err(faults(KafkaError::AdminOp(code))),
        }
    }

    fn take_reports(&self) -> Reports {
        std::mem::take(&mut *self.reports.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Broker for Kafka {
    fn prepare(&mut self, shards: ShardCount) -> Result<(), ShipFault> {
        let wanted = shards.count();
        let mut found = self.partitions()?;
        if found == 0 {
            self.create_topic(wanted)?;
            tracing::info!(
                topic = self.settings.topic,
                partitions = wanted,
                "made the journal's topic"
            );
            found = self.partitions()?;
        }
        if found == usize::from(wanted) {
            Ok(())
        } else {
            Err(ShipFault::Partitions { found, wanted })
        }
    }

    fn end(&mut self, shard: ShardId) -> Result<PartitionEnd, ShipFault> {
        let faults = fault("say where a partition ends");
        let (topic, partition) = (&self.settings.topic, i32::from(shard.number()));
        let ends = self.producer.client().fetch_watermarks(topic, partition, ANSWER_LIMIT);
        let (first, end) = ends.map_err(&faults)?;
        if end <= first {
            return Ok(PartitionEnd::Empty);
        }
        let mut config = client_config(&self.settings);
        // no group is joined and nothing is committed; the library wants a name all the same
        config
            .set("group.id", "ledger-shipping")
            .set("enable.auto.commit", "false");
        let consumer: BaseConsumer<Context> = config.create_with_context(Context::default()).map_err(&faults)?;
        let mut wanted = TopicPartitionList::new();
        wanted
            .add_partition_offset(topic, partition, Offset::Offset(end - 1))
            .map_err(&faults)?;
        consumer.assign(&wanted).map_err(&faults)?;
        match consumer.poll(Timeout::After(ANSWER_LIMIT)) {
            Some(Ok(message)) => Ok(PartitionEnd::Record(message.payload().unwrap_or_default().to_vec())),
            Some(Err(error)) => Err(faults(error)),
            None => Ok(PartitionEnd::Unknown),
        }
    }

    fn send(&mut self, shard: ShardId, sequence: u64, record: &[u8]) -> Result<Sent, ShipFault> {
        let opaque = usize::try_from(sequence).expect("a record's number fits the machine's word");
        let message: BaseRecord<'_, (), [u8], usize> = BaseRecord::with_opaque_to(&self.settings.topic, opaque)
            .partition(shard.number().into())
            .payload(record);
        match self.producer.send(message) {
            Ok(()) => Ok(Sent::Taken),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(Sent::Full),
            Err((error, _)) => Err(fault("take a record")(error)),
        }
    }

    fn acknowledged(&mut self, wait: Duration) -> Result<Vec<(ShardId, u64)>, ShipFault> {
        self.producer.poll(wait);
        let Reports { acknowledged, failed } = self.take_reports();
        if let Some(error) = failed {
            return Err(fault("keep a record")(error));
        }
        let every_shard = ShardCount::new(ShardCount::MAX).expect("the most shards there can be is a count of shards");
        let read = acknowledged.into_iter().filter_map(|(partition, opaque)| {
            let shard = u8::try_from(partition)
                .ok()
                .and_then(|number| every_shard.shard(number))?;
            Some((shard, u64::try_from(opaque).ok()?))
        });
        Ok(read.collect())
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        if !self.may_tell() {
            return;
        }
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(target: "kafka", facility, "{text}");
            }
            RDKafkaLogLevel::Warning => tracing::warn!(target: "kafka", facility, "{text}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(target: "kafka", facility, "{text}"),
            RDKafkaLogLevel::Debug => tracing::debug!(target: "kafka", facility, "{text}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.reports.lock().unwrap_or_else(PoisonError::into_inner).failed = Some(error);
            tracing::error!(target: "kafka", reason, "the producer has failed for good");
        } else if self.may_tell() {
            tracing::warn!(target: "kafka", %error, reason, "the client reports trouble");
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, sequence: usize) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(message) => reports.acknowledged.push((message.partition(), sequence)),
            Err((error, _)) => reports.failed = Some(error.clone()),
        }
    }
}
