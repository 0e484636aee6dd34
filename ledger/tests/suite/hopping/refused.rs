//! Orders that their home had refused by itself before another shard took them in, and told them as posted.

use ledger::books::InternalAccount;
use ledger::hopping::selector::GroupState;
use ledger::outcome::Outcome;
use ledger::shard::Errand;
use ledger_model::{Account, AccountStatus, Decision, HopState, Instruction, Refusal};

use super::faults::ask;
use super::server::Condition;
use super::site::{Process, Site, of_a};
use super::stepped::Stepped;
use crate::bank::{account, payout};

/// An account of group a that takes nothing, and a payout to it that was refused.
async fn refused() -> (Site, Process, Instruction) {
    let site = Site::start();
    let process = site.process();
    let closed = Account {
        status: AccountStatus::Closed,
        ..account(of_a(), "CNY0.00")
    };
    let ledger = &process.running.ledger;
    ledger.load(vec![(0, closed)], Vec::new()).await.unwrap();
    let order = payout(1, of_a(), 700);
    let Outcome::Decided { transfer, .. } = process.running.post(&order).await else {
        panic!("it is decided")
    };
    assert_eq!(transfer.decision, Decision::Refused(Refusal::AccountClosed));
    (site, process, order)
}

fn queried(process: &Process, order: &Instruction) -> Option<String> {
    match process.running.ledger.query(order.key()) {
        Outcome::Decided { transfer, .. } => {
            assert_eq!(transfer.decision, Decision::Posted);
            Some(transfer.serial.to_string())
        }
        Outcome::InProcess => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_as_posted_is_not_told_as_refused_again() {
    let (site, process, order) = refused().await;
    process.lose(0);
    let serial = process.posted(&order).await;
    // the home is back, and has refused it
    process.recover(0);
    assert_eq!(process.posted(&order).await, serial);
    assert_eq!(queried(&process, &order), Some(serial.clone()));
    // the shard that took it in cannot be asked
    process.lose(1);
    assert_eq!(process.running.post(&order).await, Outcome::InProcess);
    assert_eq!(queried(&process, &order), None);
    process.come_home().await;
    // from then on its home knows, whoever can be asked
    process.lose(1);
    assert_eq!(process.posted(&order).await, serial);
    assert_eq!(queried(&process, &order), Some(serial.clone()));
    drop(process);
    let process = site.process();
    process.lose(1);
    assert_eq!(process.posted(&order).await, serial);
    assert_eq!(queried(&process, &order), Some(serial));
    site.check_files();
}

#[tokio::test]
async fn a_third_shard_does_not_tell_the_refusal_of_a_home_that_is_back() {
    let (site, process, order) = refused().await;
    drop(process);
    let mut ledger = Stepped::over(&site);
    ledger.lose(0);
    let serial = ledger.posted(&order, 2);
    // sent on to c, since neither the home nor b can be asked; before it is worked there the home is back
    ledger.lose(1);
    let mut again = ledger.send(&order);
    ledger.recover(0);
    ledger.step(3);
    assert_eq!(again.outcome(), Outcome::InProcess);
    ledger.recover(1);
    assert_eq!(ledger.posted(&order, 0), serial);
    assert_eq!(site.internal(InternalAccount::Suspense), 700);
}

/// Taken in by groups b and c; one of them is away when the other's hop comes home.
async fn check_twice(away: usize, begins_anew: bool) {
    let (site, process, order) = refused().await;
    process.lose(0);
    let mut serials = vec![process.posted(&order).await];
    process.lose(1);
    serials.push(process.posted(&order).await);
    assert_eq!(site.internal(InternalAccount::Suspense), 2 * 700);
    site.becomes(away, Condition::Gone);
    process.lose(away);
    while process.state(0) != GroupState::Up || process.state(3 - away) != GroupState::Up {
        process.homecoming.round().await;
    }
    process.homecoming.round().await;
    let process = if begins_anew {
        drop(process);
        site.process()
    } else {
        process
    };
    site.becomes(away, Condition::Works);
    for _ in 0..2 {
        process.come_home().await;
        assert_eq!(site.internal(InternalAccount::Suspense), 700, "{away} {begins_anew}");
    }
    let mut unapplied = Vec::new();
    for taker in [2, 3] {
        let listed = ask(&process, taker, |reply| Errand::ListUnapplied { limit: 9, reply });
        unapplied.extend(listed.await.unwrap());
    }
    let [row] = unapplied.as_slice() else {
        panic!("one hop counts: {unapplied:?}")
    };
    assert_eq!(row.state, HopState::Unapplied(Refusal::AccountClosed));
    let counts = row.transfer.serial.to_string();
    assert_eq!(counts, serials[2 - away], "the first that came home");
    assert_eq!(process.posted(&order).await, counts);
    assert_eq!(queried(&process, &order), Some(counts));
    assert_eq!(site.balance(of_a()), 0);
    site.check_files();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hops_of_one_order_one_waits_for_an_operator_and_the_other_is_taken_back() {
    for away in [1, 2] {
        for begins_anew in [false, true] {
            check_twice(away, begins_anew).await;
        }
    }
}

/// A hop whose home refuses the order in the group in which it is to settle it: with a record each, one after the other.
#[tokio::test]
async fn what_is_refused_and_settled_at_once_is_settled_in_a_group_of_its_own() {
    let site = Site::start();
    let order = payout(1, of_a(), 700);
    let mut one = Stepped::over(&site);
    one.lose(0);
    let serial = one.posted(&order, 2);
    let row = one.open_in_b();
    let mut other = Stepped::over(&site);
    other.lose(1);
    let mut refused = other.send(&order);
    let settle = |reply| {
        let row = row.clone();
        Errand::Settle { row, reply }
    };
    let mut settled = other.ask(0, settle);
    other.step(0);
    let Outcome::Decided { transfer, .. } = refused.outcome() else {
        panic!("it is decided")
    };
    assert_ne!(transfer.serial.to_string(), serial);
    assert!(settled.try_recv().is_err(), "it is asked again");
    let mut settled = other.ask(0, settle);
    other.step(0);
    assert!(matches!(settled.try_recv(), Ok(HopState::Unapplied(_))));
    site.check_files();
    assert_eq!(other.posted(&order, 0), serial);
}
