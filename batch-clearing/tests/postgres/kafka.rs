//! `replicate` from Kafka and the third copy, against the mock broker that the Kafka library brings.

use std::time::Duration;

use batch_clearing::compare;
use batch_clearing::config::{Config, KafkaTopic};
use batch_clearing::replicate::Origin;
use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

use crate::commands::{LIMIT, Replication, caught_up, config};
use crate::fake_ledger::FakeLedger;
use crate::server::Database;
use crate::{Test, sample};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("kafka::replicates_once_and_three_copies_agree", three_copies),
        Test::new("kafka::a_gap_in_the_topic_is_seen_by_both", gap),
    ]
}

const TOPIC: &str = "ledger.journal";
const SHARDS: u8 = 4;

struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
}

impl Broker {
    fn start() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic(TOPIC, SHARDS.into(), 1).unwrap();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .create()
            .unwrap();
        Self { cluster, producer }
    }

    fn produce(&self, shard: u8, records: &[Vec<u8>]) {
        for encoded in records {
            let record = BaseRecord::<(), [u8]>::to(TOPIC)
                .partition(shard.into())
                .payload(encoded);
            self.producer.send(record).map_err(|(fault, _)| fault).unwrap();
        }
        self.producer.flush(LIMIT).unwrap();
    }

    fn topic(&self) -> KafkaTopic {
        KafkaTopic {
            brokers: self.cluster.bootstrap_servers(),
            topic: TOPIC.to_owned(),
        }
    }
}

fn with_kafka(database: &Database, ledger: &FakeLedger, broker: &Broker) -> Config {
    Config {
        kafka: Some(broker.topic()),
        ..config(database, ledger, "")
    }
}

async fn three_copies(database: Database) {
    let broker = Broker::start();
    let journals: Vec<_> = (0..SHARDS)
        .map(|shard| sample::journal(sample::shard(shard), 200))
        .collect();
    let ledger = FakeLedger::start(journals.clone());
    for (shard, journal) in (0..).zip(&journals) {
        broker.produce(shard, &journal[..120]);
        // a producer that did not hear its acknowledgements
        broker.produce(shard, &journal[90..150]);
    }
    let config = with_kafka(&database, &ledger, &broker);
    let replication = Replication::start(&config, Origin::Kafka);
    while database
        .number("SELECT COALESCE(sum(sequence), 0)::bigint FROM replication_position")
        .await
        < 600
    {
        tokio::task::yield_now().await;
    }
    replication.stop().await;
    for (shard, journal) in (0..).zip(&journals) {
        broker.produce(shard, &journal[150..]);
    }
    let replication = Replication::start(&config, Origin::Kafka);
    caught_up(&database, &ledger).await;
    replication.stop().await;
    assert_eq!(database.number("SELECT count(*) FROM journal_record").await, 800);
    // 230 messages in each partition, read to the end
    assert_eq!(
        database
            .number("SELECT min(kafka_offset) FROM replication_position")
            .await,
        230
    );
    let mut client = database.connect().await;
    let kafka = broker.topic();
    let report = compare::run(&mut client, &ledger.client(), Some(&kafka), LIMIT)
        .await
        .unwrap();
    assert!(report.agrees, "{:?}", report.differing().collect::<Vec<_>>());
    assert_eq!((report.copies, report.records), (3, 800));
}

async fn gap(database: Database) {
    let broker = Broker::start();
    let journals: Vec<_> = (0..SHARDS)
        .map(|shard| sample::journal(sample::shard(shard), 20))
        .collect();
    let ledger = FakeLedger::start(journals.clone());
    for (shard, journal) in (0..).zip(&journals) {
        broker.produce(shard, &journal[..10]);
    }
    broker.produce(1, &journals[1][11..]);
    let config = with_kafka(&database, &ledger, &broker);
    let (_switch, stop) = operations::stop::Stop::by_hand();
    let fault = batch_clearing::replicate::run(config, Origin::Kafka, stop)
        .await
        .unwrap_err();
    assert_eq!(fault.to_string(), "shard 1: record 12 where 11 was due");
    let mut client = database.connect().await;
    let kafka = broker.topic();
    let report = compare::run(&mut client, &ledger.client(), Some(&kafka), Duration::from_secs(3))
        .await
        .unwrap();
    let read: Vec<_> = report
        .figures
        .iter()
        .filter(|line| line.figure == "read" && !line.agrees)
        .collect();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].kafka.as_deref(), Some("shard 1: record 12 where 11 was due"));
    assert!(!report.agrees);
}
