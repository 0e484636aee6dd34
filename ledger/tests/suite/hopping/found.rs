//! What the simulation of faults found, each by itself: an answer that was given is not taken back, whatever fails between.

use ledger::books::InternalAccount;
use ledger::outcome::Outcome;
use ledger::shard::Errand;
use ledger_model::{HopState, Instruction};

use super::server::Condition;
use super::site::{Site, of_a, of_b, of_c};
use super::stepped::Stepped;
use crate::bank::{payment, payout};

/// A site with accounts, and a ledger over it that is stepped by hand.
async fn site() -> (Site, Stepped) {
    let site = Site::start();
    let process = site.process();
    process.load(&[of_a(), of_b(), of_c()]).await;
    drop(process);
    let stepped = Stepped::over(&site);
    (site, stepped)
}

/// Everything that is asked for at the end is there once.
async fn comes_home(site: &Site, ledger: Stepped, asked: Vec<(Instruction, u64)>) {
    drop(ledger);
    let process = site.process();
    process.come_home().await;
    for (order, _) in &asked {
        process.posted(order).await;
    }
    site.check_posted_once(&asked);
    site.check_files();
}

#[tokio::test]
async fn a_hop_is_not_forgotten_when_its_group_falls_between_routing_and_work() {
    let (site, mut ledger) = site().await;
    let order = payout(1, of_a(), 700);
    ledger.lose(0);
    let serial = ledger.posted(&order, 2);
    ledger.recover(0);
    // while it was routed, the shard that took it in could be asked
    let mut again = ledger.send(&order);
    ledger.lose(1);
    ledger.step(0);
    assert_eq!(again.outcome(), Outcome::InProcess);
    ledger.recover(1);
    assert_eq!(ledger.posted(&order, 0), serial);
    comes_home(&site, ledger, vec![(order, of_a())]).await;
}

#[tokio::test]
async fn a_repeat_is_not_told_before_what_it_rests_on_is_durable() {
    for condition in [Condition::LosesCommits, Condition::CommitsLate] {
        let (site, mut ledger) = site().await;
        let order = payout(1, of_a(), 700);
        ledger.lose(0);
        let serial = ledger.posted(&order, 2);
        let row = ledger.open_in_b();
        ledger.recover(0);
        // settled and asked for again in one group, of which no answer comes
        let mut settled = ledger.ask(0, |reply| Errand::Settle { row, reply });
        let mut again = ledger.send(&order);
        site.becomes(0, condition);
        ledger.step(0);
        assert!(settled.try_recv().is_err());
        assert_eq!(again.outcome(), Outcome::InProcess, "{condition:?}");
        site.becomes(0, Condition::Works);
        ledger.recover(0);
        assert_eq!(ledger.posted(&order, 0), serial);
        comes_home(&site, ledger, vec![(order, of_a())]).await;
    }
}

#[tokio::test]
async fn where_nobody_stands_in_a_payment_waits_for_no_hop() {
    let (site, mut ledger) = site().await;
    let (order, paid, new) = (payout(1, of_a(), 700), payment(1, of_a(), 300), payout(2, of_a(), 100));
    ledger.lose(0);
    ledger.posted(&order, 2);
    ledger.recover(0);
    // both when b had fallen before it was sent, and when it falls before it is worked
    ledger.lose(1);
    ledger.posted(&paid, 0);
    let mut new = (ledger.send(&new), new);
    ledger.step(0);
    assert_eq!(new.0.outcome(), Outcome::InProcess);
    ledger.recover(1);
    let other = payment(2, of_a(), 200);
    let mut sent = ledger.send(&other);
    ledger.lose(1);
    ledger.step(0);
    assert!(matches!(sent.outcome(), Outcome::Decided { .. }));
    let asked = [order, paid, other, new.1].map(|order| (order, of_a()));
    comes_home(&site, ledger, asked.to_vec()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_not_told_a_posting_that_was_taken_back() {
    let site = Site::start();
    let (one, other) = (site.process(), site.process());
    one.load(&[of_c()]).await;
    let order = payout(1, of_c(), 700);
    let at_home = other.posted(&order).await;
    one.lose(2);
    // into a shard of a lower number than its home, where it is found first
    let hopped = one.posted(&order).await;
    assert_ne!(hopped, at_home);
    assert_eq!(site.internal(InternalAccount::Suspense), 700);
    one.come_home().await;
    site.check_posted_once(&[(order.clone(), of_c())]);
    let Outcome::Decided { transfer, .. } = one.running.ledger.query(order.key()) else {
        panic!("it is known")
    };
    assert_eq!(transfer.serial.to_string(), at_home);
    for process in [&one, &other] {
        assert_eq!(process.posted(&order).await, at_home);
    }
}

/// Another ledger has closed it since it was listed, so long ago that its row is gone.
#[tokio::test]
async fn a_close_that_comes_after_its_hop_was_forgotten_is_done() {
    let (_site, mut ledger) = site().await;
    ledger.lose(0);
    ledger.posted(&payout(1, of_a(), 700), 2);
    let mut row = ledger.open_in_b();
    row.transfer.key.id = "2020010200000000000000010000000".parse().unwrap();
    let state = HopState::Settled;
    let mut closed = ledger.ask(2, |reply| Errand::Close { row, state, reply });
    ledger.step(2);
    assert_eq!(closed.try_recv(), Ok(()));
}
