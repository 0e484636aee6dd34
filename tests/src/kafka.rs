//! The real Kafka broker, as one node that is its own controller (`KRaft`), on the loopback.
//!
//! One node means one copy: what the broker has acknowledged is in the page cache of this machine. The ledger keeps
//! the journal durably itself and compares, so nothing depends on it here.

use std::io;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use thiserror::Error;

use crate::blocking::block_on;
use crate::layout::{Layout, LayoutFault, write_file};
use crate::part::Part;
use crate::ports::{Port, Ports};
use crate::process::{Launch, Lifetime};
use crate::settings::{SHARDS, TOPIC};
use crate::sources::{KafkaJars, Sources};

const REQUEST_LIMIT: Duration = Duration::from_secs(10);
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

/// Records the topic holds, over all partitions.
pub fn records(ports: &Ports) -> Result<u64, KafkaFault> {
    let consumer: BaseConsumer = client(ports).create()?;
    let mut sum = 0;
    for partition in 0..i32::from(SHARDS) {
        let (low, high) = consumer.fetch_watermarks(TOPIC, partition, REQUEST_LIMIT)?;
        sum += u64::try_from(high.saturating_sub(low)).unwrap_or(0);
    }
    Ok(sum)
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
