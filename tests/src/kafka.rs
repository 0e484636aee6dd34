//! The real Kafka broker, as one node that is its own controller (`KRaft`), on the loopback.
//!
//! One node means one copy: what the broker has acknowledged is in the page cache of this machine. The ledger keeps
//! the journal durably itself and compares, so nothing depends on it here.

use std::io;
use std::net::TcpStream;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use ledger_journal::{DecodeFault, JournalRecord};
use rdkafka::ClientConfig;
use rdkafka::Message as _;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use thiserror::Error;

use crate::blocking::block_on;
use crate::layout::{Layout, LayoutFault, write_file};
use crate::part::Part;
use crate::ports::{Port, Ports};
use crate::process::{Launch, Lifetime};
use crate::settings::{SHARDS, TOPIC};
use crate::sources::{KafkaJars, Sources};

const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Offsets from the end within which the last record lies as a rule.
const LAST_WITHIN: i64 = 64;
/// Names the cluster in its own files; means nothing elsewhere.
const CLUSTER: &str = "Y2xlYXJpbmctbG9jYWwtMQ";
const HEAP: [&str; 2] = ["-Xms256m", "-Xmx512m"];

#[derive(Debug, Error)]
pub enum KafkaFault {
    #[error("java cannot be run: ./run up installs it on Debian")]
    Java(#[source] io::Error),
    #[error("Kafka's storage cannot be formatted: {0}")]
    Format(String),
    #[error("Kafka does not do what it is asked")]
    Request(#[from] KafkaError),
    #[error("topic {topic} cannot be made: {code}")]
    Topic {
        topic: &'static str,
        code: RDKafkaErrorCode,
    },
    #[error("partition {partition} holds something that is no record of a journal")]
    Record {
        partition: i32,
        #[source]
        source: DecodeFault,
    },
    #[error(transparent)]
    File(#[from] LayoutFault),
}

#[derive(Debug)]
pub struct Kafka {
    class_path: String,
    settings: PathBuf,
    log_settings: PathBuf,
}

impl Kafka {
    /// Writes its configuration and formats its storage unless that is done.
    pub fn prepare(layout: &Layout, ports: &Ports, sources: &Sources, jars: &KafkaJars) -> Result<Self, KafkaFault> {
        let data = layout.data(Part::Kafka);
        let kafka = Self {
            class_path: format!("{}/*", jars.directory.display()),
            settings: layout.etc("kafka.properties"),
            log_settings: sources.log_settings(),
        };
        write_file(&kafka.settings, &settings(ports, &data.display().to_string()))?;
        if !data.join("meta.properties").exists() {
            kafka.format()?;
        }
        Ok(kafka)
    }

    fn format(&self) -> Result<(), KafkaFault> {
        let mut command = Command::new("java");
        command.args(self.java_arguments(&["-Xmx128m", "-XX:TieredStopAtLevel=1"], "kafka.tools.StorageTool"));
        command.args(["format", "--standalone", "--ignore-formatted", "-t", CLUSTER, "-c"]);
        let output = command
            .arg(&self.settings)
            .stdin(Stdio::null())
            .output()
            .map_err(KafkaFault::Java)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(KafkaFault::Format(said.lines().last().unwrap_or_default().to_owned()))
    }

    fn java_arguments(&self, tuning: &[&str], class: &str) -> Vec<String> {
        let mut arguments: Vec<String> = tuning.iter().map(|option| (*option).to_owned()).collect();
        arguments.extend([
            "-XX:+UseSerialGC".to_owned(),
            format!("-Dlog4j2.configurationFile={}", self.log_settings.display()),
            "-cp".to_owned(),
            self.class_path.clone(),
            class.to_owned(),
        ]);
        arguments
    }

    pub fn launch(&self, layout: &Layout, lifetime: Lifetime) -> Launch {
        let mut arguments = self.java_arguments(&HEAP, "kafka.Kafka");
        arguments.push(self.settings.display().to_string());
        Launch {
            name: Part::Kafka.name(),
            program: "java".into(),
            arguments,
            environment: Vec::new(),
            user: None,
            lifetime,
            end: Part::Kafka.end(),
            log: layout.log(Part::Kafka),
            pid_file: layout.pid_file(Part::Kafka),
        }
    }
}

/// A partition for each shard; records are never dropped: the copy is compared with the ledger as a whole.
pub fn make_topic(ports: &Ports) -> Result<(), KafkaFault> {
    // asked first, since the client backs off for long after a refused connection
    TcpStream::connect(ports.address(Port::Kafka)).map_err(|_| KafkaError::ClientCreation("not there yet".into()))?;
    let admin: AdminClient<DefaultClientContext> = client(ports).create()?;
    let topic = NewTopic::new(TOPIC, i32::from(SHARDS), TopicReplication::Fixed(1))
        .set("retention.ms", "-1")
        .set("cleanup.policy", "delete");
    let options = AdminOptions::new()
        .operation_timeout(Some(REQUEST_LIMIT))
        .request_timeout(Some(REQUEST_LIMIT));
    let made = block_on(admin.create_topics([&topic], &options))?;
    match made.into_iter().find_map(Result::err) {
        None | Some((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
        Some((_, code)) => Err(KafkaFault::Topic { topic: TOPIC, code }),
    }
}

/// Records the topic holds, over all partitions, by the number of the last of each: they are numbered from 1. Offsets
/// count the marks of transactions as well. That each is there once is seen by reading them all ([`journal`]).
pub fn records(ports: &Ports) -> Result<u64, KafkaFault> {
    let mut sum = 0;
    for partition in 0..i32::from(SHARDS) {
        let last = read(ports, partition, Stretch::Last)?.pop();
        sum += last.map_or(Ok(0), |last| number(partition, &last))?;
    }
    Ok(sum)
}

/// Everything a partition holds, in order.
pub fn journal(ports: &Ports, partition: i32) -> Result<Vec<Vec<u8>>, KafkaFault> {
    read(ports, partition, Stretch::All)
}

fn number(partition: i32, encoded: &[u8]) -> Result<u64, KafkaFault> {
    let record = JournalRecord::decode(encoded).map_err(|source| KafkaFault::Record { partition, source })?;
    Ok(record.sequence)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stretch {
    All,
    /// At least the last record, where there is one.
    Last,
}

fn read(ports: &Ports, partition: i32, stretch: Stretch) -> Result<Vec<Vec<u8>>, KafkaFault> {
    let mut config = client(ports);
    // the library wants the name of a group to consume at all
    config
        .set("group.id", "system-tests")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create()?;
    let (low, high) = consumer.fetch_watermarks(TOPIC, partition, REQUEST_LIMIT)?;
    // behind the last record lies the mark of its transaction, and of some that were taken back
    let near = low.max(high.saturating_sub(LAST_WITHIN));
    let from = match stretch {
        Stretch::All => vec![low],
        Stretch::Last => vec![near, low],
    };
    for from in from.into_iter().filter(|from| *from < high) {
        let records = read_between(&consumer, partition, from..high)?;
        if !records.is_empty() {
            return Ok(records);
        }
    }
    Ok(Vec::new())
}

fn read_between(consumer: &BaseConsumer, partition: i32, offsets: Range<i64>) -> Result<Vec<Vec<u8>>, KafkaError> {
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_offset(TOPIC, partition, Offset::Offset(offsets.start))?;
    consumer.assign(&wanted)?;
    let mut records = Vec::new();
    loop {
        match consumer.poll(REQUEST_LIMIT) {
            // written since: with more coming all the time the end is never reached
            Some(Ok(message)) if message.offset() >= offsets.end => return Ok(records),
            Some(Ok(message)) => records.push(message.payload().unwrap_or_default().to_vec()),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(records),
            Some(Err(error)) => return Err(error),
            None => return Err(KafkaError::NoMessageReceived),
        }
    }
}

fn client(ports: &Ports) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", ports.address(Port::Kafka).to_string());
    config
}

fn settings(ports: &Ports, data: &str) -> String {
    let broker = ports.address(Port::Kafka);
    let controller = ports.address(Port::KafkaController);
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.bootstrap.servers={controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners=PLAINTEXT://{broker},CONTROLLER://{controller}\n\
         advertised.listeners=PLAINTEXT://{broker},CONTROLLER://{controller}\n\
         inter.broker.listener.name=PLAINTEXT\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={data}\n\
         auto.create.topics.enable=false\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n",
        data = data.replace('\\', "\\\\"),
    )
}
