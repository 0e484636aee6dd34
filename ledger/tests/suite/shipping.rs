//! Shipping: over a broker that a test commands, and over librdkafka against its own mock cluster. The real broker is in
//! `tests/tests/shipping`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ledger::books::Remembered;
use ledger::shipping::{
    Board, Broker, Connect, KafkaSettings, LagLimits, PartitionEnd, Route, ShipFault, Shipping, ShippingParts, kafka,
};
use ledger::store::release::Base;
use ledger::store::{Reader, Store, StoreFault};
use ledger_journal::{ChainPosition, JournalRecord};
use ledger_model::{ShardCount, ShardId, TransferKey};
use ledger_protocol::{ShipReport, ShipState};
use rdkafka::mocking::MockCluster;

use crate::bank::{Running, SHARDS, WAIT, now, payment};
use crate::memory::MemoryStore;
use crate::releasing::release;

const LIMITS: LagLimits = LagLimits {
    records: 1_000_000,
    seconds: 60,
};
const TAKE_OVER_AFTER: Duration = Duration::from_millis(500);

/// What a topic holds, and how its broker behaves.
#[derive(Debug, Default)]
struct Topic {
    partitions: Vec<Vec<Vec<u8>>>,
    /// Which connection may write.
    owners: Vec<usize>,
    absent: bool,
    /// Every so many pieces one is kept and its sender never told, and the one after that is lost.
    breaks_every: Option<usize>,
    pieces: usize,
    connections: usize,
}

impl Topic {
    fn held(&self) -> usize {
        self.partitions.iter().map(Vec::len).sum()
    }
}

struct Commanded {
    topic: Arc<Mutex<Topic>>,
    shard: ShardId,
    number: usize,
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
        topic.owners.resize(usize::from(shards.count()), 0);
        Ok(())
    }

    fn end(&mut self) -> Result<PartitionEnd, ShipFault> {
        let topic = self.topic.lock().unwrap();
        let partition = topic
            .partitions
            .get(self.shard.index())
            .ok_or(broken("find the topic"))?;
        Ok(partition
            .last()
            .cloned()
            .map_or(PartitionEnd::Empty, PartitionEnd::Record))
    }

    fn take_over(&mut self) -> Result<(), ShipFault> {
        self.topic.lock().unwrap().owners[self.shard.index()] = self.number;
        Ok(())
    }

    fn append(&mut self, _first: u64, records: &[Vec<u8>]) -> Result<(), ShipFault> {
        let mut topic = self.topic.lock().unwrap();
        if topic.absent {
            return Err(broken("be found"));
        }
        if topic.owners.get(self.shard.index()).ok_or(broken("find the topic"))? != &self.number {
            return Err(ShipFault::Fenced);
        }
        topic.pieces += 1;
        let place = topic.breaks_every.map(|every| topic.pieces % every);
        if place == Some(0) {
            return Err(broken("keep a record"));
        }
        topic.partitions[self.shard.index()].extend_from_slice(records);
        if place == Some(1) {
            return Err(broken("say that it kept a record"));
        }
        Ok(())
    }
}

fn connect(topic: &Arc<Mutex<Topic>>) -> Connect {
    let topic = Arc::clone(topic);
    Box::new(move |shard| {
        let mut held = topic.lock().unwrap();
        held.connections += 1;
        if held.absent {
            return Err(broken("be found"));
        }
        let number = held.connections;
        drop(held);
        Ok(Box::new(Commanded {
            topic: Arc::clone(&topic),
            shard,
            number,
        }))
    })
}

fn parts(running: &Running, connect: Connect) -> ShippingParts {
    ShippingParts {
        connect,
        meters: Arc::clone(&running.meters),
        clock: Arc::new(now),
        lag_limits: LIMITS,
        take_over_after: TAKE_OVER_AFTER,
    }
}

fn start(running: &Running, topic: &Arc<Mutex<Topic>>) -> Shipping {
    Shipping::start(&running.ledger, parts(running, connect(topic))).unwrap()
}

fn reports(board: &Board) -> Vec<ShipReport> {
    SHARDS.all().filter_map(|shard| board.report(shard)).collect()
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

/// Every record is there, once and in order.
fn check_topic(running: &Running, partitions: &[Vec<Vec<u8>>]) {
    for (position, shard) in running.ledger.positions().iter().zip(SHARDS.all()) {
        let mut reader = ChainPosition::start(shard);
        for encoded in &partitions[shard.index()] {
            reader = reader
                .follow(&JournalRecord::decode(encoded).unwrap(), encoded)
                .unwrap();
        }
        assert_eq!((reader.sequence, reader.head.0), (position.sequence, position.head));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_committed_arrives_once_and_in_order_though_connections_break() {
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let topic = Topic {
        breaks_every: Some(4),
        ..Topic::default()
    };
    let topic = Arc::new(Mutex::new(topic));
    let shipping = start(&running, &topic);
    for block in 0..5 {
        fill(&running, block * 20..(block + 1) * 20).await;
        let broken = topic.lock().unwrap().connections;
        wait_for("another breaks", || topic.lock().unwrap().connections > broken);
    }
    wait_for("all is shipped", || all_shipped(&running));
    shipping.finish(WAIT);
    let topic = topic.lock().unwrap();
    assert_eq!(topic.held(), 16 + 100, "each record once");
    check_topic(&running, &topic.partitions);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_broker_blocks_nothing_and_loses_nothing() {
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let topic = Arc::new(Mutex::new(Topic {
        absent: true,
        ..Topic::default()
    }));
    let shipping = start(&running, &topic);
    fill(&running, 0..50).await;
    wait_for("it is shown", || {
        let shown = reports(&shipping.board());
        shown
            .iter()
            .all(|report| report.state == ShipState::Unreachable && !report.why.is_empty())
    });
    assert!(!all_shipped(&running));
    topic.lock().unwrap().absent = false;
    wait_for("all is shipped", || all_shipped(&running));
    let position = &running.ledger.positions()[0];
    assert_eq!(position.shipping.as_ref().unwrap().state, ShipState::Shipping);
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
    let shipping = start(&running, &topic);
    let began = Instant::now();
    shipping.finish(Duration::from_mins(1));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_topic_holds_already_is_not_sent_again() {
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let topic = Arc::default();
    let first = start(&running, &topic);
    wait_for("all is shipped", || all_shipped(&running));
    first.finish(WAIT);
    fill(&running, 0..30).await;
    let second = start(&running, &topic);
    wait_for("all is shipped", || all_shipped(&running));
    second.finish(WAIT);
    let topic = topic.lock().unwrap();
    assert_eq!(topic.held(), 16 + 30, "each record once");
    check_topic(&running, &topic.partitions);
}

/// Cut back or emptied while a ledger ships to it or lies idle: the rest is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_partition_has_lost_is_sent_again() {
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let topic: Arc<Mutex<Topic>> = Arc::default();
    let shipping = start(&running, &topic);
    wait_for("all is shipped", || all_shipped(&running));
    for left in [0, 1] {
        for partition in &mut topic.lock().unwrap().partitions {
            partition.truncate(left);
        }
        wait_for("all is there again", || topic.lock().unwrap().held() == 16);
        wait_for("all is shipped", || all_shipped(&running));
    }
    shipping.finish(WAIT);
    check_topic(&running, &topic.lock().unwrap().partitions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_partition_gets_nothing() {
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let topic = Arc::default();
    let first = start(&running, &topic);
    wait_for("all is shipped", || all_shipped(&running));
    first.finish(WAIT);

    let other = Running::start(memory());
    other.load(1..=9, "CNY55.00").await;
    let second = start(&other, &topic);
    let foreign = |report: &ShipReport| {
        report.state == ShipState::Foreign
            && report
                .why
                .contains("this ledger's journal has another under that number")
    };
    wait_for("it says so", || reports(&second.board()).iter().all(foreign));
    second.finish(Duration::from_secs(1));
    assert_eq!(topic.lock().unwrap().held(), 16);
    assert!(other.ledger.positions().iter().all(|position| position.shipped == 0));
}

/// A reader of a store that other processes write as well.
struct Shared(Arc<dyn Reader>);

impl Reader for Shared {
    fn committed(&self) -> Result<u64, StoreFault> {
        self.0.committed()
    }

    fn base(&self) -> Result<Arc<Base>, StoreFault> {
        self.0.base()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn transfer(&self, key: &TransferKey) -> Result<Option<Remembered>, StoreFault> {
        self.0.transfer(key)
    }

    fn journal(&self, from: u64, bytes_max: usize) -> Result<Vec<Vec<u8>>, StoreFault> {
        self.0.journal(from, bytes_max)
    }

    fn evidence(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreFault> {
        self.0.evidence(sequence)
    }
}

/// Two processes over the same stores: one ships, and when it ends the other goes on.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_ships_and_another_takes_over() {
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let topic = Arc::default();
    let ledger = || {
        let routes = SHARDS.all().map(|shard| {
            let mut feed = running.ledger.feed(shard);
            feed.reader = Arc::new(Shared(feed.reader));
            let shipped = Arc::default();
            Route { feed, shipped }
        });
        Shipping::over(SHARDS, routes.collect(), parts(&running, connect(&topic))).unwrap()
    };
    let held = |count| wait_for("it is shipped", || topic.lock().unwrap().held() == count);
    let left = ledger();
    held(16);
    let right = ledger();
    let is = |shipping: &Shipping, state| {
        let board = shipping.board();
        wait_for("it is shown", || {
            reports(&board).iter().all(|report| report.state == state)
        });
    };
    is(&right, ShipState::StandingBy);
    fill(&running, 0..40).await;
    held(16 + 40);
    is(&left, ShipState::Shipping);
    is(&right, ShipState::StandingBy);
    left.finish(WAIT);
    fill(&running, 40..100).await;
    held(16 + 100);
    is(&right, ShipState::Shipping);
    right.finish(WAIT);
    check_topic(&running, &topic.lock().unwrap().partitions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_grows_old_is_an_alarm_until_it_is_gone() {
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let topic = Arc::new(Mutex::new(Topic {
        absent: true,
        ..Topic::default()
    }));
    let seconds_later = Arc::new(AtomicI64::new(0));
    let later = Arc::clone(&seconds_later);
    let parts = ShippingParts {
        clock: Arc::new(move || now().plus_seconds(later.load(Ordering::Relaxed)).unwrap()),
        ..parts(&running, connect(&topic))
    };
    let shipping = Shipping::start(&running.ledger, parts).unwrap();
    let board = shipping.board();
    let shown = |alarm, lag_seconds| {
        wait_for("it is shown", || {
            let shown = reports(&board);
            shown
                .iter()
                .all(|report| (report.alarm, report.lag_seconds) == (alarm, lag_seconds))
        });
    };
    seconds_later.store(59, Ordering::Relaxed);
    shown(false, 59);
    seconds_later.store(61, Ordering::Relaxed);
    shown(true, 61);
    topic.lock().unwrap().absent = false;
    shown(false, 0);
    shipping.finish(WAIT);
}

/// librdkafka itself: transactions, the topic's end, shipped position.
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
    let start = |running: &Running| {
        let connect = kafka(settings.clone(), tokio::runtime::Handle::current());
        Shipping::start(&running.ledger, parts(running, connect)).unwrap()
    };
    let running = Running::start(memory());
    running.load(1..=8, "CNY100.00").await;
    let first = start(&running);
    wait_for("all is shipped", || all_shipped(&running));
    fill(&running, 0..300).await;
    wait_for("all is shipped", || all_shipped(&running));
    first.finish(WAIT);
    fill(&running, 300..400).await;
    let second = start(&running);
    wait_for("all is shipped", || all_shipped(&running));
    second.finish(WAIT);
}

/// Where the first records were released: an empty partition begins with the first that is left, one that ends where they
/// ended goes on, and one that would have a gap is not written to.
#[tokio::test(flavor = "multi_thread")]
async fn no_partition_has_a_gap_where_records_were_released() {
    let running = Running::start(memory());
    running.load(1..=16, "CNY100.00").await;
    let all: Vec<Vec<Vec<u8>>> = SHARDS
        .all()
        .map(|shard| running.ledger.feed(shard).reader.journal(1, usize::MAX).unwrap())
        .collect();
    for (shard, journal) in SHARDS.all().zip(&all) {
        assert!(journal.len() > 3);
        release(&running, shard, u64::try_from(journal.len() - 2).unwrap()).await;
    }
    let ends_with = |place: usize| {
        let partitions = all.iter().map(|journal| vec![journal[journal.len() - place].clone()]);
        Arc::new(Mutex::new(Topic {
            partitions: partitions.collect(),
            owners: vec![0; all.len()],
            ..Topic::default()
        }))
    };
    for (topic, expected) in [(Arc::default(), 2), (ends_with(3), 3)] {
        let shipping = start(&running, &topic);
        wait_for("what is left is shipped", || all_shipped(&running));
        shipping.finish(WAIT);
        for (partition, journal) in topic.lock().unwrap().partitions.iter().zip(&all) {
            assert_eq!(*partition, journal[journal.len() - expected..]);
        }
    }
    let behind = ends_with(4);
    let shipping = start(&running, &behind);
    let refused = |report: &ShipReport| report.why.contains("the topic has to be made anew");
    wait_for("it says so", || reports(&shipping.board()).iter().all(refused));
    shipping.finish(Duration::from_secs(1));
    assert_eq!(behind.lock().unwrap().held(), all.len());
}

/// What Kafka has not got is not released, whoever ships.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_shipped_is_not_released() {
    let running = Running::start(memory());
    running.load(1..=16, "CNY100.00").await;
    let topic = Arc::new(Mutex::new(Topic {
        absent: true,
        ..Topic::default()
    }));
    let shipping = start(&running, &topic);
    let shard = SHARDS.all().next().unwrap();
    let last = running.ledger.positions()[0].sequence;
    let told = release(&running, shard, last).await;
    assert_eq!(
        (told.through, told.kept_for.as_deref()),
        (0, Some("Kafka has come to record 0 only"))
    );
    topic.lock().unwrap().absent = false;
    wait_for("all is shipped", || all_shipped(&running));
    let told = release(&running, shard, last).await;
    assert_eq!((told.through, told.kept_for), (last, None));
    shipping.finish(WAIT);
}
