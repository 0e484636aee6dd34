//! The real broker, and what an administrator or a stranger does to its topics.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use system_tests::blocking::block_on;
use system_tests::kafka::Kafka;
use system_tests::layout::Layout;
use system_tests::part::Part;
use system_tests::ports::{Port, Ports};
use system_tests::process::{Lifetime, Process, Signal};
use tempfile::TempDir;

use crate::journal::SHARDS;
use crate::site::{self, wait_for};

const ANSWER_LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Broker {
    kafka: Kafka,
    layout: Layout,
    ports: Ports,
    process: Option<Process>,
    _directory: TempDir,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("shipping-").tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let sources = site::sources().unwrap();
        let ports = Ports::free(std::process::id().wrapping_mul(64)).unwrap();
        let kafka = Kafka::prepare(&layout, &ports, &sources, &sources.kafka().unwrap()).unwrap();
        Self {
            kafka,
            layout,
            ports,
            process: None,
            _directory: directory,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.ports.address(Port::Kafka).to_string()
    }

    /// As a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop(Signal::Kill, ANSWER_LIMIT).unwrap();
        }
    }

    /// Starts it unless it runs.
    pub(crate) fn bring_back(&mut self) {
        if self.process.is_none() {
            let launch = self.kafka.launch(&self.layout, Lifetime::OfThisProcess);
            self.process = Some(Process::start(&launch).unwrap());
        }
        let address = self.ports.address(Port::Kafka);
        wait_for("the broker listens", || std::net::TcpStream::connect(address).is_ok());
        wait_for("the broker answers", || {
            let consumer: BaseConsumer = self.client().create().unwrap();
            consumer.fetch_metadata(None, ANSWER_LIMIT).is_ok()
        });
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address());
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    pub(crate) fn make(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            new = new.set(key, value);
        }
        let made = block_on(self.admin().create_topics([&new], &options())).unwrap();
        for made in made {
            match made {
                // a ledger that ships to it was faster
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => panic!("{topic} is not made: {code}"),
            }
        }
    }

    pub(crate) fn make_right(&self, topic: &str) {
        self.make(topic, SHARDS.count().into(), &[]);
    }

    pub(crate) fn delete(&self, topic: &str) {
        let deleted = block_on(self.admin().delete_topics(&[topic], &options())).unwrap();
        for topic in deleted {
            topic.unwrap();
        }
    }

    /// Drops what lies before these offsets, as `kafka-delete-records` does; -1 for everything.
    pub(crate) fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut offsets = TopicPartitionList::new();
        let before = if before < 0 {
            Offset::End
        } else {
            Offset::Offset(before)
        };
        offsets.add_partition_offset(topic, partition, before).unwrap();
        let deleted = block_on(self.admin().delete_records(&offsets, &options())).unwrap();
        assert!(deleted.elements().iter().all(|element| element.error().is_ok()));
    }

    /// What a reader of committed records finds, in order. Nothing where there is no topic.
    pub(crate) fn contents(&self, topic: &str, partition: i32) -> Vec<Vec<u8>> {
        let mut config = self.client();
        config
            .set("group.id", "shipping-tests")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().unwrap();
        let Ok((low, high)) = consumer.fetch_watermarks(topic, partition, ANSWER_LIMIT) else {
            return Vec::new();
        };
        let mut records = Vec::new();
        if low == high {
            return records;
        }
        let mut wanted = TopicPartitionList::new();
        wanted
            .add_partition_offset(topic, partition, Offset::Offset(low))
            .unwrap();
        consumer.assign(&wanted).unwrap();
        loop {
            match consumer.poll(ANSWER_LIMIT).expect("the broker delivers") {
                // written since: with more coming all the time the end is never reached
                Ok(message) if message.offset() >= high => return records,
                Ok(message) => records.push(message.payload().unwrap_or_default().to_vec()),
                Err(KafkaError::PartitionEOF(_)) => return records,
                Err(fault) => panic!("reading {topic}: {fault}"),
            }
        }
    }

    /// As anybody could who reaches the broker.
    pub(crate) fn write(&self, topic: &str, partition: i32, records: &[Vec<u8>]) {
        let producer: BaseProducer = self.client().create().unwrap();
        for record in records {
            let message: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic).partition(partition).payload(record);
            producer.send(message).map_err(|(fault, _)| fault).unwrap();
        }
        producer.flush(ANSWER_LIMIT).unwrap();
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(ANSWER_LIMIT))
        .request_timeout(Some(ANSWER_LIMIT))
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            let _gone_already = process.stop(Part::Kafka.end(), ANSWER_LIMIT);
        }
    }
}
