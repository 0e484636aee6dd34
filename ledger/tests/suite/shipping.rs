//! Shipping: over a broker that a test commands, and over librdkafka against its own mock cluster.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ledger::shipping::{Broker, Connect, KafkaSettings, PartitionEnd, Sent, ShipFault, Shipping, kafka};
use ledger::store::Store;
use ledger_journal::{ChainPosition, JournalRecord};
use ledger_model::{ShardCount, ShardId};
use rdkafka::mocking::MockCluster;

use crate::bank::{Running, SHARDS, WAIT, payment};
use crate::memory::MemoryStore;

/// What a topic holds, and how its broker behaves.
#[derive(Debug, Default)]
struct Topic {
    partitions: Vec<Vec<Vec<u8>>>,
    absent: bool,
    /// It does not say where its partitions end.
    silent: bool,
    /// Connections break after so many records.
    breaks_after: Option<usize>,
    /// Records taken and not yet acknowledged, at the most.
    room: usize,
    connections: usize,
}

struct Commanded {
    topic: Arc<Mutex<Topic>>,
    in_flight: VecDeque<(ShardId, u64, Vec<u8>)>,
    taken: usize,
}

fn broken(doing: &'static str) -> ShipFault {
    ShipFault::Broker {
        doing,
        source: Box::new(std::io::Error::other("told to break")),
    }
}

impl Broker for Commanded {
    fn prepare(&mut self, shards: ShardCount) -> Result<(), ShipFault> {
        let mut topic = self.topic.lock().unwrap();
        topic.partitions.resize(usize::from(shards.count()), Vec::new());
        Ok(())
    }

    fn end(&mut self, shard: ShardId) -> Result<PartitionEnd, ShipFault> {
        let topic = self.topic.lock().unwrap();
        if topic.silent {
            return Ok(PartitionEnd::Unknown);
        }
        Ok(topic.partitions[shard.index()]
            .last()
            .cloned()
            .map_or(PartitionEnd::Empty, PartitionEnd::Record))
    }

    fn send(&mut self, shard: ShardId, sequence: u64, record: &[u8]) -> Result<Sent, ShipFault> {
        if self.in_flight.len() >= self.topic.lock().unwrap().room {
            return Ok(Sent::Full);
        }
        self.in_flight.push_back((shard, sequence, record.to_vec()));
        Ok(Sent::Taken)
    }

    /// Keeps one record more than it acknowledges when it breaks: its sender cannot know.
    fn acknowledged(&mut self, _wait: Duration) -> Result<Vec<(ShardId, u64)>, ShipFault> {
        let mut topic = self.topic.lock().unwrap();
        let mut acknowledged = Vec::new();
        while let Some((shard, sequence, record)) = self.in_flight.pop_front() {
            topic.partitions[shard.index()].push(record);
            self.taken += 1;
            if topic.breaks_after.is_some_and(|limit| self.taken >= limit) {
                return Err(broken("keep a record"));
            }
            acknowledged.push((shard, sequence));
        }
        Ok(acknowledged)
    }
}

fn connect(topic: &Arc<Mutex<Topic>>) -> Connect {
    let topic = Arc::clone(topic);
    Box::new(move || {
        let mut held = topic.lock().unwrap();
        held.connections += 1;
        if held.absent {
            return Err(broken("be found"));
        }
        drop(held);
        Ok(Box::new(Commanded {
            topic: Arc::clone(&topic),
            in_flight: VecDeque::new(),
            taken: 0,
        }))
    })
}

fn memory() -> Vec<Box<dyn Store>> {
    MemoryStore::all()
        .into_iter()
        .map(|store| -> Box<dyn Store> { Box::new(store) })
        .collect()
}

async fn fill(running: &Running, numbers: std::ops::Range<u64>) {
    let instructions: Vec<_> = numbers.map(|number| payment(number, number % 8 + 1, 1)).collect();
    futures::future::join_all(instructions.iter().map(|instruction| running.post(instruction))).await;
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

fn all_shipped(running: &Running) -> bool {
    running
        .ledger
        .positions()
        .iter()
        .all(|position| position.shipped == position.sequence)
}

/// Every record is there, in order, the first time it appears; what is there twice is the same.
fn check_topic(running: &Running, partitions: &[Vec<Vec<u8>>]) {
    for (position, shard) in running.ledger.positions().iter().zip(SHARDS.all()) {
        let mut reader = ChainPosition::start(shard);
        for encoded in &partitions[shard.index()] {
            let record = JournalRecord::decode(encoded).unwrap();
            if record.sequence > reader.sequence {
                reader = reader.follow(&record, encoded).unwrap();
            }
        }
        assert_eq!((reader.sequence, reader.head.0), (position.sequence, position.head));
    }
}

/// Where the topic's end cannot be told some records are sent twice, and readers drop the second.
#[tokio::test(flavor = "multi_thread")]
async fn everything_committed_arrives_in_order_though_connections_break() {
    for silent in [false, true] {
        arrives_in_order_though_connections_break(silent).await;
    }
}

async fn arrives_in_order_though_connections_break(silent: bool) {
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let topic = Topic {
        breaks_after: Some(40),
        room: 16,
        silent,
        ..Topic::default()
    };
    let topic = Arc::new(Mutex::new(topic));
    let shipping = Shipping::start(&running.ledger, connect(&topic), Arc::clone(&running.meters)).unwrap();
    fill(&running, 0..100).await;
    wait_for("the first breaks", || topic.lock().unwrap().connections > 1);
    topic.lock().unwrap().breaks_after = None;
    wait_for("all is shipped", || all_shipped(&running));
    shipping.finish(WAIT);
    check_topic(&running, &topic.lock().unwrap().partitions);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_broker_blocks_nothing_and_loses_nothing() {
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let topic = Arc::new(Mutex::new(Topic {
        absent: true,
        room: 1000,
        ..Topic::default()
    }));
    let shipping = Shipping::start(&running.ledger, connect(&topic), Arc::clone(&running.meters)).unwrap();
    fill(&running, 0..50).await;
    assert!(!all_shipped(&running));
    topic.lock().unwrap().absent = false;
    wait_for("all is shipped", || all_shipped(&running));
    shipping.finish(WAIT);
    check_topic(&running, &topic.lock().unwrap().partitions);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_broker_does_not_hold_up_the_end() {
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let topic = Arc::new(Mutex::new(Topic {
        absent: true,
        ..Topic::default()
    }));
    let shipping = Shipping::start(&running.ledger, connect(&topic), Arc::clone(&running.meters)).unwrap();
    let began = Instant::now();
    shipping.finish(Duration::from_mins(1));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_topic_holds_already_is_not_sent_again() {
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let topic = Arc::new(Mutex::new(Topic {
        room: 1000,
        ..Topic::default()
    }));
    let first = Shipping::start(&running.ledger, connect(&topic), Arc::clone(&running.meters)).unwrap();
    wait_for("all is shipped", || all_shipped(&running));
    first.finish(WAIT);
    fill(&running, 0..30).await;
    let second = Shipping::start(&running.ledger, connect(&topic), Arc::clone(&running.meters)).unwrap();
    wait_for("all is shipped", || all_shipped(&running));
    second.finish(WAIT);
    let topic = topic.lock().unwrap();
    let held: usize = topic.partitions.iter().map(Vec::len).sum();
    assert_eq!(held, 16 + 30, "each record once");
    check_topic(&running, &topic.partitions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_topic_gets_everything_and_a_foreign_one_nothing() {
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let topic = Arc::new(Mutex::new(Topic {
        room: 1000,
        ..Topic::default()
    }));
    let first = Shipping::start(&running.ledger, connect(&topic), Arc::clone(&running.meters)).unwrap();
    wait_for("all is shipped", || all_shipped(&running));
    first.finish(WAIT);

    topic.lock().unwrap().partitions.clear();
    let second = Shipping::start(&running.ledger, connect(&topic), Arc::clone(&running.meters)).unwrap();
    wait_for("all is there again", || {
        topic.lock().unwrap().partitions.iter().map(Vec::len).sum::<usize>() == 16
    });
    second.finish(WAIT);
    check_topic(&running, &topic.lock().unwrap().partitions);

    let other = Running::start(memory());
    other.load(1..=9, "CNY55.00").await;
    let connections = topic.lock().unwrap().connections;
    let third = Shipping::start(&other.ledger, connect(&topic), Arc::clone(&other.meters)).unwrap();
    wait_for("it tries", || topic.lock().unwrap().connections > connections);
    third.finish(Duration::from_secs(1));
    assert_eq!(topic.lock().unwrap().partitions.iter().map(Vec::len).sum::<usize>(), 16);
    assert!(other.ledger.positions().iter().all(|position| position.shipped == 0));
}

/// librdkafka itself: idempotent producer, topic's end, shipped position.
#[tokio::test(flavor = "multi_thread")]
async fn ships_through_librdkafka() {
    let cluster = MockCluster::new(1).unwrap();
    cluster
        .create_topic("ledger.journal", i32::from(SHARDS.count()), 1)
        .unwrap();
    let settings = KafkaSettings {
        brokers: cluster.bootstrap_servers(),
        topic: "ledger.journal".to_owned(),
        replication: 1,
    };
    let connect = || kafka(settings.clone(), tokio::runtime::Handle::current());
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let first = Shipping::start(&running.ledger, connect(), Arc::clone(&running.meters)).unwrap();
    wait_for("all is shipped", || all_shipped(&running));
    fill(&running, 0..300).await;
    wait_for("all is shipped", || all_shipped(&running));
    first.finish(WAIT);
    fill(&running, 300..400).await;
    let second = Shipping::start(&running.ledger, connect(), Arc::clone(&running.meters)).unwrap();
    wait_for("all is shipped", || all_shipped(&running));
    second.finish(WAIT);
}
