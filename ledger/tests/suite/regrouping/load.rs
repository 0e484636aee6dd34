//! A third group is added and the first removed while two ledgers are in use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use ledger::feed::Feed;
use ledger::hopping::regrouping::Standing;
use ledger::outcome::Outcome;
use ledger_journal::{Event, JournalRecord};
use ledger_model::{Transfer, TransferKey};

use super::site::{Process, Site, add, decided, ended, remove, runtime};
use crate::bank::{Running, SHARDS, WAIT, payment, payout, refund};
use crate::server::{FLEETING, Server, Wanted};

const ACCOUNTS: u64 = 24;
const CLIENTS: usize = 16;
const LAYOUT: [(&str, &[u8]); 2] = [("a", &[0, 1]), ("b", &[2, 3])];
/// Orders between two changes.
const BETWEEN: u64 = 400;

/// What goes on while groups change.
#[derive(Default)]
struct Load {
    next: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    fn goes_on(&self) {
        let reached = self.next.load(Ordering::SeqCst) + BETWEEN;
        let deadline = Instant::now() + 3 * WAIT;
        while self.next.load(Ordering::SeqCst) < reached {
            assert!(Instant::now() < deadline, "orders do not go on");
            std::thread::yield_now();
        }
    }
}

/// Payments, payouts, refunds of its own payments, and what it has sent before once more.
async fn client(running: Arc<Running>, load: Arc<Load>) -> BTreeMap<TransferKey, Transfer> {
    let mut answered = BTreeMap::new();
    let mut sent = Vec::new();
    let mut paid = Vec::new();
    while !load.stop.load(Ordering::SeqCst) {
        let number = load.next.fetch_add(1, Ordering::SeqCst);
        let account = number % ACCOUNTS;
        let order = match (number % 7, paid.pop()) {
            (0, Some((original, of))) => refund(number, original, of, 100, 60),
            (1 | 2, before) => {
                paid.extend(before);
                payout(number, account, 50)
            }
            (_, before) => {
                paid.extend(before);
                paid.push((number, account));
                payment(number, account, 100)
            }
        };
        let (transfer, _) = decided(&running, &order).await;
        answered.insert(transfer.key, transfer);
        sent.push(order);
        if number % 5 == 0 {
            let earlier = &sent[usize::try_from(number).unwrap() % sent.len()];
            let (again, repeat) = decided(&running, earlier).await;
            assert!(repeat, "{again:?}");
            assert_eq!(again, answered[earlier.key()], "the same answer as before");
        }
    }
    answered
}

/// As shipping does: every record, in order, without a gap.
async fn follow(mut feed: Feed, load: Arc<Load>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let is_last = load.stop.load(Ordering::SeqCst);
        let next = u64::try_from(all.len()).unwrap() + 1;
        let read = tokio::time::timeout(std::time::Duration::from_secs(1), feed.read(next)).await;
        match read {
            Ok(Ok(records)) => all.extend(records),
            Ok(Err(fault)) => assert!(matches!(fault, ledger::store::StoreFault::Unreachable(_)), "{fault:?}"),
            // nothing new
            Err(_) if is_last => return all,
            Err(_) => {}
        }
    }
}

fn moved(standing: Standing) -> Vec<(u8, String, String)> {
    match standing {
        Standing::Done(moved) => moved
            .into_iter()
            .map(|moved| (moved.shard, moved.from, moved.to))
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn step(shard: u8, from: &str, to: &str) -> (u8, String, String) {
    (shard, from.to_owned(), to.to_owned())
}

#[test]
fn groups_come_and_go_under_load_and_nothing_is_lost_or_doubled() {
    let servers = [(); 3].map(|()| {
        Arc::new(Server::start(Wanted {
            settings: &FLEETING,
            under: "/tmp",
            tcp_port: None,
        }))
    });
    let site = Site::over(&servers, &["a", "b", "c"]);
    // busy machines answer late; that is not what this is about
    let [one, other] = [(); 2].map(|()| site.process(&LAYOUT, 10_000));
    let runtime = runtime();
    runtime.block_on(one.running.load(0..ACCOUNTS, "CNY100000.00"));
    let before = payment(9_000_001, 1, 700);
    let (first_answer, _) = runtime.block_on(other.decided(&before));

    let load = Arc::new(Load::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|place| {
            let process = if place % 2 == 0 { &one } else { &other };
            runtime.spawn(client(Arc::clone(&process.running), Arc::clone(&load)))
        })
        .collect();
    let followers = SHARDS
        .all()
        .map(|shard| runtime.spawn(follow(other.running.ledger.feed(shard), Arc::clone(&load))));
    let followers: Vec<_> = followers.collect();

    load.goes_on();
    let added = moved(ended(one.regrouping.order(add("c"))));
    assert_eq!(added, [step(1, "a", "c")]);
    assert_eq!(one.shards(), "a 0, b 2 3, c 1");
    other.waits_for_shards("a 0, b 2 3, c 1");
    load.goes_on();
    let removed = moved(ended(other.regrouping.order(remove("a"))));
    assert_eq!(removed, [step(0, "a", "b")]);
    one.waits_for_shards("a, b 0 2 3, c 1");
    load.goes_on();
    load.stop.store(true, Ordering::SeqCst);

    let mut answered = BTreeMap::from([(first_answer.key, first_answer.clone())]);
    for client in clients {
        answered.extend(runtime.block_on(client).unwrap());
    }
    let followed: Vec<_> = followers
        .into_iter()
        .map(|follower| runtime.block_on(follower).unwrap())
        .collect();

    // what was there before the moves is known after them, to a ledger that begins now too
    let third = site.process(&[("b", &[0, 1, 2, 3]), ("c", &[])], 10_000);
    assert_eq!(third.shards(), "b 0 2 3, c 1");
    for process in [&one, &other, &third] {
        assert_eq!(runtime.block_on(process.decided(&before)), (first_answer.clone(), true));
        process.check_no_faults();
    }
    let given_back = refund(9_000_002, 9_000_001, 1, 700, 700);
    let (given_back, _) = runtime.block_on(third.decided(&given_back));
    for key in answered.keys() {
        let outcome = other.running.ledger.query(key);
        assert!(
            matches!(outcome, Outcome::Decided { repeat: true, .. }),
            "{key:?}: {outcome:?}"
        );
    }
    answered.insert(given_back.key, given_back);

    check_journals(&third, followed, &answered);
    let rows = "SELECT (SELECT count(*) FROM ledger.frame) + (SELECT count(*) FROM ledger.transfer) \
         + (SELECT count(*) FROM ledger.held)";
    assert_eq!(
        site.groups[0].sql(rows),
        "0",
        "nothing is left in the group that was removed"
    );
}

/// Each of the answered is in one journal, once, and what followed the journals has seen the same.
fn check_journals(process: &Process, followed: Vec<Vec<Vec<u8>>>, answered: &BTreeMap<TransferKey, Transfer>) {
    let mut posted = BTreeMap::new();
    for (shard, followed) in SHARDS.all().zip(followed) {
        let records = process.journal(shard);
        let followed: Vec<_> = followed
            .iter()
            .map(|record| JournalRecord::decode(record).unwrap())
            .collect();
        // the refund came after the followers had ended
        assert!(
            records.starts_with(&followed) && records.len() <= followed.len() + 1,
            "shard {shard}"
        );
        for record in records {
            if let Event::TransferDecided { transfer, .. } = record.event {
                assert_eq!(posted.insert(transfer.key, transfer), None, "posted once");
            }
        }
    }
    assert_eq!(&posted, answered);
}
