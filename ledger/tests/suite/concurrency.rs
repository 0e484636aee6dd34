//! Idempotency while things happen at once: over shards, in one shard, when the store fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ledger::outcome::{Outcome, ReplyTo};
use ledger::store::Store;
use ledger_model::{ContentField, Decision, Instruction, TransferKey};
use ledger_protocol::NothingPosted;
use tokio::sync::mpsc;

use crate::bank::{Running, SHARDS, elsewhere_than, evidence, key, payment, payout, token};
use crate::embedded::open_all;
use crate::memory::{Kept, MemoryStore, Trouble};

fn boxed(stores: Vec<MemoryStore>) -> Vec<Box<dyn Store>> {
    stores
        .into_iter()
        .map(|store| -> Box<dyn Store> { Box::new(store) })
        .collect()
}

/// Two accounts whose homes differ.
fn of_two_shards() -> (u64, u64) {
    (1, elsewhere_than(1))
}

fn as_key(instruction: &Instruction, new: TransferKey) -> Instruction {
    let mut instruction = instruction.clone();
    match &mut instruction {
        Instruction::Payment(payment) => payment.key = new,
        Instruction::Refund(refund) => refund.key = new,
        Instruction::Payout(payout) => payout.key = new,
        Instruction::Reversal(reversal) => reversal.key = new,
        Instruction::Supplement(supplement) => supplement.key = new,
    }
    instruction
}

fn posted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Decided { transfer, repeat: false } if transfer.decision == Decision::Posted)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_with_two_accounts_posts_once_whichever_comes_first() {
    let directory = tempfile::tempdir().unwrap();
    let running = Arc::new(Running::start(open_all(directory.path())));
    let (left, right) = of_two_shards();
    running.load([left, right].into_iter(), "CNY1000.00").await;
    for number in 0..200 {
        let race = [left, right].map(|account| {
            let running = Arc::clone(&running);
            tokio::spawn(async move { running.post(&payment(number, account, 100)).await })
        });
        let mut outcomes = Vec::new();
        for racer in race {
            outcomes.push(racer.await.unwrap());
        }
        let count = outcomes.iter().filter(|outcome| posted(outcome)).count();
        let conflict = outcomes.contains(&Outcome::Conflict(ContentField::Agreement));
        assert!(count == 1 && conflict, "{outcomes:?}");
    }
    let totals: u64 = running
        .ledger
        .positions()
        .iter()
        .map(|position| position.transfers_posted)
        .sum();
    assert_eq!(totals, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_many_times_at_once_posts_once() {
    let directory = tempfile::tempdir().unwrap();
    let running = Arc::new(Running::start(open_all(directory.path())));
    running.load(1..=1, "CNY1000.00").await;
    let racers: Vec<_> = (0..64)
        .map(|_| {
            let running = Arc::clone(&running);
            tokio::spawn(async move { running.post(&payment(1, 1, 100)).await })
        })
        .collect();
    let mut serials = Vec::new();
    let mut first = 0;
    for racer in racers {
        let Outcome::Decided { transfer, repeat } = racer.await.unwrap() else {
            panic!("every one is answered with the decision");
        };
        first += usize::from(!repeat);
        serials.push(transfer.serial);
    }
    serials.dedup();
    assert_eq!((first, serials.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_known_to_another_shard_is_never_posted_again() {
    let running = Running::start(boxed(MemoryStore::all()));
    let (left, right) = of_two_shards();
    running.load([left, right].into_iter(), "CNY1000.00").await;
    assert!(posted(&running.post(&payout(1, left, 500)).await));
    assert_eq!(
        running.post(&payout(1, right, 500)).await,
        Outcome::Conflict(ContentField::Account)
    );
    // an agreement that is not ours goes to a shard chosen by the key; that shard asks the others too
    let stray = as_key(&payment(1, left, 500), key("0120", 1));
    assert_eq!(running.post(&stray).await, Outcome::Conflict(ContentField::Kind));
}

/// A store whose commits a test holds up.
struct Held {
    running: Arc<Running>,
    trouble: Vec<Arc<Trouble>>,
    kept: Vec<Arc<std::sync::Mutex<Kept>>>,
}

async fn held() -> Held {
    let stores = MemoryStore::all();
    let trouble = stores.iter().map(|store| Arc::clone(&store.trouble)).collect();
    let kept = stores.iter().map(|store| Arc::clone(&store.kept)).collect();
    let running = Arc::new(Running::start(boxed(stores)));
    running.load(1..=1, "CNY1000.00").await;
    Held { running, trouble, kept }
}

/// Waits until a group is decided and its commit held up.
async fn held_up(trouble: &Trouble) {
    let deadline = std::time::Instant::now() + crate::bank::WAIT;
    while !trouble.holds_up_a_commit() {
        assert!(std::time::Instant::now() < deadline, "no commit came");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_key_is_in_flight_queries_and_resends_learn_nothing_early() {
    let Held { running, trouble, kept } = held().await;
    let home = SHARDS.of_account(token(1)).index();
    let pay = payment(1, 1, 100);
    let holding = trouble[home].hold();
    let first = tokio::spawn({
        let (running, pay) = (Arc::clone(&running), pay.clone());
        async move { running.post(&pay).await }
    });
    held_up(&trouble[home]).await;
    assert_eq!(running.ledger.query(pay.key()), Outcome::InProcess);
    let second = running.post_within(&pay, Duration::from_millis(30)).await;
    assert_eq!(
        second,
        Some(Outcome::InProcess),
        "its deadline ends the wait for the first"
    );
    assert!(kept[home].lock().unwrap().transfers.is_empty());
    let third = tokio::spawn({
        let (running, pay) = (Arc::clone(&running), pay.clone());
        async move { running.post(&pay).await }
    });
    drop(holding);
    let Outcome::Decided {
        transfer,
        repeat: false,
    } = first.await.unwrap()
    else {
        panic!("the first posts");
    };
    assert_eq!(
        third.await.unwrap(),
        Outcome::Decided {
            transfer: transfer.clone(),
            repeat: true
        }
    );
    assert_eq!(
        running.ledger.query(pay.key()),
        Outcome::Decided { transfer, repeat: true }
    );
    assert_eq!(running.ledger.query(&key("0110", 2)), Outcome::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_is_told_while_a_resend_of_it_is_under_way() {
    let Held { running, trouble, .. } = held().await;
    let home = SHARDS.of_account(token(1)).index();
    let old = payment(1, 1, 100);
    assert!(posted(&running.post(&old).await));
    let holding = trouble[home].hold();
    let busy = tokio::spawn({
        let running = Arc::clone(&running);
        async move { running.post(&payment(2, 1, 100)).await }
    });
    held_up(&trouble[home]).await;
    // claims the key before it returns, and waits behind the group that is held up
    let (sender, mut answers) = mpsc::channel(1);
    let place = sender.reserve_owned().await.unwrap();
    let deadline = std::time::Instant::now() + crate::bank::WAIT;
    let reply = ReplyTo { number: 1, place };
    running.ledger.post(old.clone(), &evidence(&old), deadline, reply);
    let told = running.ledger.query(old.key());
    assert!(matches!(told, Outcome::Decided { repeat: true, .. }), "{told:?}");
    drop(holding);
    assert!(posted(&busy.await.unwrap()));
    assert_eq!(answers.recv().await.unwrap().outcome, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_too_long_is_not_posted() {
    let Held { running, trouble, .. } = held().await;
    let home = SHARDS.of_account(token(1)).index();
    let holding = trouble[home].hold();
    let first = tokio::spawn({
        let running = Arc::clone(&running);
        async move { running.post(&payment(1, 1, 100)).await }
    });
    held_up(&trouble[home]).await;
    let late = tokio::spawn({
        let running = Arc::clone(&running);
        async move {
            running
                .post_within(&payment(2, 1, 100), Duration::from_millis(20))
                .await
        }
    });
    while running.ledger.query(&key("0110", 2)) != Outcome::InProcess && !late.is_finished() {
        tokio::task::yield_now().await;
    }
    let deadline = std::time::Instant::now() + Duration::from_millis(20);
    while std::time::Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    drop(holding);
    assert!(posted(&first.await.unwrap()));
    assert_eq!(
        late.await.unwrap(),
        Some(Outcome::NothingPosted(NothingPosted::Expired))
    );
    assert_eq!(running.ledger.query(&key("0110", 2)), Outcome::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_definitely() {
    let stores = MemoryStore::all();
    let trouble: Vec<_> = stores.iter().map(|store| Arc::clone(&store.trouble)).collect();
    let limits = ledger::shard::ShardLimits {
        queue_max: 1,
        commit_batch_max: 1,
        kept_days: 400,
        calm_groups: ledger::shard::CALM_GROUPS,
    };
    let running = Arc::new(Running::start_with(boxed(stores), limits));
    running.load(1..=1, "CNY1000.00").await;
    let home = SHARDS.of_account(token(1)).index();
    let holding = trouble[home].hold();
    let racers: Vec<_> = (0..8)
        .map(|number| {
            let running = Arc::clone(&running);
            tokio::spawn(async move { running.post(&payment(number, 1, 100)).await })
        })
        .collect();
    // one is being committed, at most one waits, the others find no room
    let deadline = std::time::Instant::now() + crate::bank::WAIT;
    while racers.iter().filter(|racer| racer.is_finished()).count() < 6 {
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
    drop(holding);
    let mut busy = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Outcome::NothingPosted(NothingPosted::Busy) => busy += 1,
            outcome => assert!(posted(&outcome), "{outcome:?}"),
        }
    }
    assert!((6..8).contains(&busy), "{busy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_read_post_nothing_and_harm_nothing() {
    let Held { running, trouble, .. } = held().await;
    let home = SHARDS.of_account(token(1)).index();
    trouble[home].fetch_fails.store(true, Ordering::SeqCst);
    let refused = running.post(&payment(1, 1, 100)).await;
    assert_eq!(refused, Outcome::NothingPosted(NothingPosted::Store));
    trouble[home].fetch_fails.store(false, Ordering::SeqCst);
    assert!(posted(&running.post(&payment(1, 1, 100)).await));
    assert_eq!(*running.faults.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_commit_that_failed_nothing_is_answered_and_nothing_denied() {
    for panics in [false, true] {
        let Held { running, trouble, .. } = held().await;
        let home = &trouble[SHARDS.of_account(token(1)).index()];
        home.commit_fails.store(!panics, Ordering::SeqCst);
        home.commit_panics.store(panics, Ordering::SeqCst);
        let pay = payment(1, 1, 100);
        assert_eq!(
            running.post_within(&pay, crate::bank::WAIT).await,
            None,
            "no answer at all"
        );
        assert_eq!(running.ledger.query(pay.key()), Outcome::InProcess, "it may be there");
        assert_eq!(running.post(&pay).await, Outcome::InProcess);
        let deadline = std::time::Instant::now() + crate::bank::WAIT;
        while running.faults.lock().unwrap().is_empty() {
            assert!(
                std::time::Instant::now() < deadline,
                "the process would have been ended"
            );
        }
        let told = running.faults.lock().unwrap().join("");
        assert!(
            told.contains(if panics {
                "panicked: told to panic"
            } else {
                "could not commit"
            }),
            "{told}"
        );
    }
}
