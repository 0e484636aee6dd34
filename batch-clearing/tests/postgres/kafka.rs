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
        Test::new("kafka::another_topic_goes_on_at_the_right_record", another_topic),
        Test::new("kafka::both_sources_make_the_same_copy", both_sources),
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
    assert!(
        fault
            .to_string()
            .starts_with("shard 1: the topic goes on with record 12 where 11 is due"),
        "{fault}"
    );
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

/// A topic that was made anew: the offset that was kept is of another record now, a later one or none at all.
async fn another_topic(database: Database) {
    let journals: Vec<_> = (0..SHARDS)
        .map(|shard| sample::journal(sample::shard(shard), 100))
        .collect();
    let ledger = FakeLedger::start(journals.clone());
    let first = Broker::start();
    for (shard, journal) in (0..).zip(&journals) {
        // as where much of it came twice: record 41 lies at offset 60
        first.produce(shard, &journal[..40]);
        first.produce(shard, &journal[20..40]);
    }
    let replication = Replication::start(&with_kafka(&database, &ledger, &first), Origin::Kafka);
    let offsets = "SELECT COALESCE(min(kafka_offset), 0) FROM replication_position";
    while database.number(offsets).await < 60 {
        tokio::task::yield_now().await;
    }
    replication.stop().await;
    let second = Broker::start();
    for (shard, journal) in (0..).zip(&journals) {
        // in one partition offset 60 is beyond the end, in the others it is record 61
        second.produce(shard, if shard == 0 { &journal[..50] } else { journal });
    }
    let replication = Replication::start(&with_kafka(&database, &ledger, &second), Origin::Kafka);
    while database.number(offsets).await < 50 || database.number("SELECT count(*) FROM journal_record").await < 350 {
        tokio::task::yield_now().await;
    }
    second.produce(0, &journals[0][50..]);
    caught_up(&database, &ledger).await;
    replication.stop().await;
    assert_eq!(database.number("SELECT count(*) FROM journal_record").await, 400);
}

/// Every byte of every table that says what was copied, in one text.
const COPY: &str = "SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (\
    SELECT 'r' || r::text AS line FROM journal_record r \
    UNION ALL SELECT 't' || t::text FROM transfer t \
    UNION ALL SELECT 'e' || e::text FROM entry e) lines";

/// From the ledger, from Kafka, and from one after the other: the copies are the same.
async fn both_sources(database: Database) {
    let journals: Vec<_> = (0..SHARDS)
        .map(|shard| sample::journal(sample::shard(shard), 150))
        .collect();
    let whole = FakeLedger::start(journals.clone());
    let half = FakeLedger::start(journals.iter().map(|journal| journal[..70].to_vec()));
    let broker = Broker::start();
    for (shard, journal) in (0..).zip(&journals) {
        broker.produce(shard, &journal[..70]);
    }
    let copy = async |steps: &[(Origin, &FakeLedger)]| {
        let own = database.another().await;
        for (origin, ledger) in steps {
            let replication = Replication::start(&with_kafka(&own, ledger, &broker), *origin);
            caught_up(&own, ledger).await;
            replication.stop().await;
        }
        own.text(COPY).await
    };
    let then_ledger = copy(&[(Origin::Kafka, &half), (Origin::Ledger, &whole)]).await;
    for (shard, journal) in (0..).zip(&journals) {
        broker.produce(shard, &journal[70..]);
    }
    let of_ledger = copy(&[(Origin::Ledger, &whole)]).await;
    assert_eq!(of_ledger.len(), 32);
    assert_eq!(copy(&[(Origin::Kafka, &whole)]).await, of_ledger, "from Kafka");
    assert_eq!(then_ledger, of_ledger, "from Kafka, then from the ledger");
    let then_kafka = copy(&[(Origin::Ledger, &half), (Origin::Kafka, &whole)]).await;
    assert_eq!(then_kafka, of_ledger, "from the ledger, then from Kafka");
}
