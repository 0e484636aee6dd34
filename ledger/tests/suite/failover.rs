//! A shard group that loses its primary: a real one with a standby that replicates from it and must have every commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ledger::outcome::Outcome;
use ledger::state::ShardState;
use ledger::store::postgres::PostgresStore;
use ledger::store::{Store, StoreFault};
use ledger_journal::Event;
use ledger_model::{Decision, ShardId, TransferKey};

use crate::bank::{Running, SHARDS, WAIT, first_of, key, payment};
use crate::postgres::{Group, balance, check_chain, host, open_account, post};
use crate::server::{FLEETING, Server, Wanted};

const SERVER: Wanted<'static> = Wanted {
    settings: &FLEETING,
    under: "/tmp",
    tcp_port: None,
};
/// Short enough for a test, long enough for a busy machine.
const CALL_LIMIT: Duration = Duration::from_secs(1);

/// A group of two servers.
struct Pair {
    standby: Server,
    group: Group,
}

impl Pair {
    fn start() -> Self {
        let primary = Arc::new(Server::start(SERVER));
        let mut group = Group::on(primary);
        let standby = group.server.standby(SERVER);
        group.settings.hosts.push(host(&standby));
        group.settings.call_limit = CALL_LIMIT;
        Self { standby, group }
    }

    fn lose_primary(&self) {
        self.group.server.kill();
        self.standby.promote();
    }
}

fn shard() -> ShardId {
    SHARDS.shard(0).unwrap()
}

/// Begins as soon as the group can be reached.
fn begun(store: &mut PostgresStore) -> ShardState {
    let deadline = Instant::now() + WAIT;
    loop {
        match store.begin() {
            Ok(state) => {
                store.abandon();
                return state;
            }
            Err(fault) => assert!(Instant::now() < deadline, "{fault:?}"),
        }
    }
}

fn in_doubt(store: &mut PostgresStore, number: u64) {
    let fault = post(store, &payment(1, number, 100)).unwrap_err();
    let StoreFault::InDoubt(cause) = fault else {
        panic!("{fault:?}");
    };
    // the server waits for its standby for ever, so it is the limit of the group that ended it
    assert_eq!(cause.to_string(), "PostgreSQL did not answer within 1000 ms");
    // its transaction still has the shard
    let fault = store.begin().unwrap_err();
    assert!(matches!(fault, StoreFault::Unreachable(_)), "{fault:?}");
}

#[test]
fn a_commit_that_waits_for_its_standby_is_in_doubt_and_is_there_when_the_standby_is() {
    let pair = Pair::start();
    let number = first_of(shard());
    let mut store = pair.group.open(shard());
    open_account(&mut store, number, "CNY1000.00");
    let epoch = store.epoch();
    pair.standby.stop();
    in_doubt(&mut store, number);
    pair.standby.start_again();
    assert_eq!(begun(&mut store).sequence, 3);
    assert!(store.epoch() > epoch, "whoever settles a doubt raises the epoch first");
    let again = post(&mut store, &payment(1, number, 100)).unwrap();
    assert!(matches!(again, Outcome::Decided { repeat: true, .. }), "{again:?}");
    assert_eq!(balance(&mut store, number), 100_000 - 100);
    check_chain(&mut store);
}

#[test]
fn a_commit_that_only_the_lost_primary_had_is_not_there_and_may_be_made_again() {
    let pair = Pair::start();
    let number = first_of(shard());
    let mut store = pair.group.open(shard());
    open_account(&mut store, number, "CNY1000.00");
    pair.standby.stop();
    in_doubt(&mut store, number);
    pair.group.server.kill();
    pair.standby.start_again();
    pair.standby.promote();
    assert_eq!(begun(&mut store).sequence, 2);
    let again = post(&mut store, &payment(1, number, 100)).unwrap();
    assert!(matches!(again, Outcome::Decided { repeat: false, .. }), "{again:?}");
    assert_eq!(balance(&mut store, number), 100_000 - 100);
    check_chain(&mut store);
}

/// Sends one payment after another, each until it is decided.
async fn send(running: Arc<Running>, next: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> BTreeMap<TransferKey, Decision> {
    let mut answered = BTreeMap::new();
    while !stop.load(Ordering::SeqCst) {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let instruction = payment(number, number % 20, 100);
        let deadline = Instant::now() + WAIT;
        loop {
            match running.post(&instruction).await {
                Outcome::Decided { transfer, .. } => {
                    answered.insert(transfer.key, transfer.decision);
                    break;
                }
                Outcome::NothingPosted(_) | Outcome::InProcess => assert!(Instant::now() < deadline),
                other => panic!("{other:?}"),
            }
        }
    }
    answered
}

#[test]
fn a_ledger_goes_on_with_the_standby_and_has_lost_nothing_it_answered() {
    let pair = Pair::start();
    let running = Arc::new(Running::start(pair.group.open_all()));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (next, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    runtime.block_on(running.load(0..20, "CNY100000.00"));
    let senders: Vec<_> = (0..16)
        .map(|_| runtime.spawn(send(Arc::clone(&running), Arc::clone(&next), Arc::clone(&stop))))
        .collect();
    let reached = |count: u64| {
        let deadline = Instant::now() + WAIT;
        while next.load(Ordering::SeqCst) < count {
            assert!(Instant::now() < deadline, "{} are sent", next.load(Ordering::SeqCst));
            std::thread::yield_now();
        }
    };
    reached(300);
    pair.lose_primary();
    reached(next.load(Ordering::SeqCst) + 300);
    stop.store(true, Ordering::SeqCst);
    let mut answered = BTreeMap::new();
    for sender in senders {
        answered.extend(runtime.block_on(sender).unwrap());
    }
    running.ledger.stop();
    assert_eq!(*running.faults.lock().unwrap(), Vec::<String>::new());

    let mut posted = BTreeMap::new();
    for shard in SHARDS.all() {
        for record in check_chain(&mut pair.group.open(shard)) {
            if let Event::TransferDecided { transfer, .. } = record.event {
                assert_eq!(posted.insert(transfer.key, transfer.decision), None, "posted once");
            }
        }
    }
    assert_eq!(posted, answered);
    assert!(answered.contains_key(&key("0110", 0)));
}
