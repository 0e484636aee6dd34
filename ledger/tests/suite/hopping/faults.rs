//! A home that fails in every way, and what its orders come to.

use ledger::books::InternalAccount;
use ledger::hopping::selector::GroupState;
use ledger::outcome::Outcome;
use ledger::shard::Errand;
use ledger_model::{AccountStatus, Decision, HopState, Instruction};
use ledger_protocol::NothingPosted;
use tokio::sync::oneshot;

use super::server::Condition;
use super::site::{Process, Site, group, of_a, of_b, of_c, shard};
use crate::bank::{account, payment, payout, refund};

const HOME_DOWN: Outcome = Outcome::NothingPosted(NothingPosted::HomeDown);

async fn site() -> (Site, Process) {
    let site = Site::start();
    let process = site.process();
    process.load(&[of_a(), of_b(), of_c()]).await;
    (site, process)
}

/// An errand done for whoever asks, as the homecoming does it.
pub(crate) async fn ask<T>(
    process: &Process,
    number: u8,
    errand: impl FnOnce(oneshot::Sender<T>) -> Errand,
) -> Option<T> {
    let (reply, done) = oneshot::channel();
    process.running.ledger.shard(shard(number)).errand(errand(reply));
    done.await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_home_is_gone_payouts_hop_and_the_rest_is_refused_definitely() {
    let (site, process) = site().await;
    let before = payment(1, of_a(), 500);
    process.posted(&before).await;
    site.becomes(0, Condition::Gone);
    // from the very first: it was turned away with nothing posted
    let hopped: Vec<_> = (10..16).map(|number| payout(number, of_a(), 700)).collect();
    let mut serials = Vec::new();
    for payout in &hopped {
        serials.push(process.posted(payout).await);
    }
    assert_eq!(process.running.post(&payment(2, of_a(), 100)).await, HOME_DOWN);
    assert_eq!(process.running.post(&refund(1, 1, of_a(), 500, 100)).await, HOME_DOWN);
    assert_eq!(process.state(0), GroupState::Down);
    // the others go on
    let elsewhere = [(payment(3, of_b(), 200), of_b()), (payout(20, of_c(), 300), of_c())];
    for (order, _) in &elsewhere {
        process.posted(order).await;
    }
    assert_eq!(site.internal(InternalAccount::Suspense), 6 * 700);

    site.becomes(0, Condition::Works);
    process.come_home().await;
    let mut asked: Vec<(Instruction, u64)> = hopped.iter().map(|payout| (payout.clone(), of_a())).collect();
    asked.extend(elsewhere);
    asked.push((before, of_a()));
    site.check_posted_once(&asked);
    assert_eq!(site.balance(of_a()), 100_000 - 500 + 6 * 700);
    for (payout, serial) in hopped.iter().zip(serials) {
        assert_eq!(process.posted(payout).await, serial, "a resend gets what was answered");
    }
    site.check_posted_once(&asked);
    process.posted(&refund(1, 1, of_a(), 500, 100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_denies_nothing_while_a_group_is_gone() {
    let (site, process) = site().await;
    let (here, hopped, unknown) = (payout(1, of_b(), 1), payout(2, of_a(), 1), payout(3, of_a(), 1));
    process.posted(&here).await;
    let query = |order: &Instruction| process.running.ledger.query(order.key());
    assert_eq!(query(&unknown), Outcome::NotFound);
    site.becomes(0, Condition::Gone);
    assert_eq!(query(&unknown), Outcome::InProcess);
    process.posted(&hopped).await;
    process.lose(0);
    assert_eq!(query(&unknown), Outcome::InProcess);
    assert!(matches!(query(&here), Outcome::Decided { .. }));
    assert!(matches!(query(&hopped), Outcome::Decided { .. }));
    site.becomes(0, Condition::Works);
    process.come_home().await;
    assert_eq!(query(&unknown), Outcome::NotFound);
    assert!(matches!(query(&hopped), Outcome::Decided { .. }));
}

/// A commit of which no answer comes, with a payout and a payment in it.
async fn check_in_doubt(condition: Condition, paid: bool) {
    let (site, process) = site().await;
    let (out, pay) = (payout(1, of_a(), 700), payment(1, of_a(), 500));
    site.becomes(0, condition);
    let serial = process.posted(&out).await;
    assert_eq!(process.running.post(&pay).await, Outcome::InProcess, "{condition:?}");
    assert_eq!(process.state(0), GroupState::Down);
    // its key stays taken until the home has been asked
    let limit = std::time::Duration::from_millis(50);
    let again = process.running.post_within(&pay, limit).await.unwrap();
    assert_eq!(again, Outcome::InProcess);
    site.becomes(0, Condition::Works);
    process.come_home().await;
    site.check_posted_once(&[(out.clone(), of_a())]);
    assert_eq!(site.moved().contains_key(pay.key()), paid, "{condition:?}");
    // a resend settles what was in process, and repeats what was answered
    process.posted(&pay).await;
    // what came late was answered by the shard that took it in, and is the home's own from then on
    let again = process.posted(&out).await;
    assert_eq!(again == serial, condition != Condition::CommitsLate, "{condition:?}");
    site.check_posted_once(&[(out, of_a()), (pay, of_a())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_doubt_posts_once_whether_it_was_lost_or_came_late() {
    check_in_doubt(Condition::LosesCommits, false).await;
    check_in_doubt(Condition::LosesAnswers, true).await;
    check_in_doubt(Condition::CommitsLate, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_only_answers_questions_stays_out() {
    let (site, process) = site().await;
    site.becomes(0, Condition::Gone);
    process.posted(&payout(1, of_a(), 700)).await;
    process.lose(0);
    // it was recovered, and cannot be written
    site.becomes(0, Condition::ReadOnly);
    for _ in 0..5 {
        process.homecoming.round().await;
        assert_eq!(process.state(0), GroupState::Down);
    }
    assert_eq!(process.running.post(&payment(1, of_a(), 1)).await, HOME_DOWN);
    site.becomes(0, Condition::Works);
    process.come_home().await;
    site.check_posted_once(&[(payout(1, of_a(), 700), of_a())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_gets_the_same_answer_before_during_and_after_settlement() {
    let (site, process) = site().await;
    let order = payout(1, of_a(), 700);
    process.lose(0);
    let serial = process.posted(&order).await;
    let resend = async || assert_eq!(process.posted(&order).await, serial);
    resend().await;
    let homes = [shard(0)].into();
    let listed = ask(&process, 2, |reply| Errand::ListOpen { homes, limit: 9, reply })
        .await
        .unwrap();
    let [row] = listed.rows.as_slice() else {
        panic!("one hop is open")
    };
    // the home is back, and settles; the hop is not closed yet
    while process.state(0) != GroupState::Recovering {
        let groups = process.running.ledger.groups();
        groups.see(group(0), ledger::hopping::selector::Seen::ProbeWrote, groups.now());
    }
    resend().await;
    let groups = process.running.ledger.groups();
    groups.see(group(0), ledger::hopping::selector::Seen::Fenced, groups.now());
    resend().await;
    let settle = || {
        ask(&process, 0, |reply| Errand::Settle {
            row: Box::new(row.clone()),
            reply,
        })
    };
    assert_eq!(settle().await, Some(HopState::Settled));
    resend().await;
    assert_eq!(settle().await, Some(HopState::Settled), "settled once, told twice");
    let state = HopState::Settled;
    for _ in 0..2 {
        let row = Box::new(row.clone());
        ask(&process, 2, |reply| Errand::Close { row, state, reply })
            .await
            .unwrap();
        resend().await;
    }
    site.check_posted_once(&[(order.clone(), of_a())]);
    assert!(matches!(
        process.running.ledger.query(order.key()),
        Outcome::Decided { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_dies_between_two_steps_is_made_good_by_the_next() {
    // after the listing alone, after settling, after closing
    for steps in 0..3 {
        let (site, process) = site().await;
        let order = payout(1, of_a(), 700);
        process.lose(0);
        process.posted(&order).await;
        let homes = [shard(0)].into();
        let listed = ask(&process, 2, |reply| Errand::ListOpen { homes, limit: 9, reply })
            .await
            .unwrap();
        drop(process);
        let process = site.process();
        if steps > 0 {
            let row = Box::new(listed.rows[0].clone());
            let settled = row.clone();
            let state = ask(&process, 0, |reply| Errand::Settle { row: settled, reply })
                .await
                .unwrap();
            if steps > 1 {
                ask(&process, 2, |reply| Errand::Close { row, state, reply })
                    .await
                    .unwrap();
            }
        }
        drop(process);
        let process = site.process();
        process.come_home().await;
        site.check_posted_once(&[(order, of_a())]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_hops_while_another_posts_at_home() {
    let (site, one) = site().await;
    let other = site.process();
    let (direct_first, hop_first) = (payout(1, of_a(), 700), payout(2, of_a(), 300));
    one.lose(0);
    other.posted(&direct_first).await;
    one.posted(&direct_first).await;
    // group b is lost to the other, which therefore does not see the hop
    one.posted(&hop_first).await;
    other.lose(1);
    other.posted(&hop_first).await;
    one.come_home().await;
    other.come_home().await;
    site.check_posted_once(&[(direct_first, of_a()), (hop_first, of_a())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_hopped_twice_is_settled_once_and_taken_back_once() {
    let (site, process) = site().await;
    let order = payout(1, of_a(), 700);
    process.lose(0);
    process.posted(&order).await;
    process.lose(1);
    let serial = process.posted(&order).await;
    assert_eq!(process.posted(&order).await, serial);
    assert_eq!(site.internal(InternalAccount::Suspense), 2 * 700);
    process.come_home().await;
    site.check_posted_once(&[(order, of_a())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_hopped_into_a_group_that_is_gone_now_is_not_decided_anew() {
    let (site, process) = site().await;
    let (hopped, new) = (payout(1, of_a(), 700), payout(2, of_a(), 300));
    site.becomes(0, Condition::Gone);
    let serial = process.posted(&hopped).await;
    process.lose(0);
    // the home comes back when the shard that took it in has gone
    process.lose(1);
    site.becomes(1, Condition::Gone);
    site.becomes(0, Condition::Works);
    while process.state(0) != GroupState::Up {
        process.homecoming.round().await;
    }
    for order in [&hopped, &new] {
        assert_eq!(process.running.post(order).await, Outcome::InProcess);
        assert_eq!(process.running.ledger.query(order.key()), Outcome::InProcess);
    }
    process.posted(&payment(1, of_a(), 100)).await;
    site.becomes(1, Condition::Works);
    process.come_home().await;
    assert_eq!(process.posted(&hopped).await, serial);
    process.posted(&new).await;
    site.check_posted_once(&[(hopped, of_a()), (new, of_a())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_home_refuses_waits_for_an_operator() {
    let site = Site::start();
    let process = site.process();
    let closed = ledger_model::Account {
        status: AccountStatus::Closed,
        ..account(of_a(), "CNY0.00")
    };
    process
        .running
        .ledger
        .load(vec![(0, closed)], Vec::new())
        .await
        .unwrap();
    let order = payout(1, of_a(), 700);
    process.lose(0);
    let serial = process.posted(&order).await;
    process.come_home().await;
    assert_eq!(site.internal(InternalAccount::Suspense), 700);
    assert_eq!(site.balance(of_a()), 0);
    let unapplied = ask(&process, 2, |reply| Errand::ListUnapplied { limit: 9, reply })
        .await
        .unwrap();
    let states: Vec<HopState> = unapplied.iter().map(|row| row.state).collect();
    assert_eq!(states, [HopState::Unapplied(ledger_model::Refusal::AccountClosed)]);
    // the network was told that it was posted, and is told so again
    assert_eq!(process.posted(&order).await, serial);
    let Outcome::Decided { transfer, .. } = process.running.ledger.query(order.key()) else {
        panic!("it is known")
    };
    assert_eq!(transfer.decision, Decision::Posted);
    process.come_home().await;
    assert_eq!(site.internal(InternalAccount::Suspense), 700);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_group_that_is_down() {
    let (site, process) = site().await;
    process.lose(0);
    // whoever asked its servers would wait for this
    let held = [0, 1].map(|number| site.servers[0].hold(shard(number)));
    let orders: Vec<Instruction> = (0..200).map(|number| payout(number, of_a(), 1)).collect();
    for order in &orders {
        process.posted(order).await;
        assert_eq!(process.running.post(&payment(1, of_a(), 1)).await, HOME_DOWN);
    }
    assert_eq!(process.state(0), GroupState::Down);
    drop(held);
    process.come_home().await;
    let asked: Vec<_> = orders.into_iter().map(|order| (order, of_a())).collect();
    site.check_posted_once(&asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_flapping_home_every_answer_holds() {
    let conditions = [
        Condition::Gone,
        Condition::Works,
        Condition::CommitsLate,
        Condition::ReadOnly,
        Condition::Works,
        Condition::LosesAnswers,
        Condition::LosesCommits,
        Condition::Works,
    ];
    let (site, process) = site().await;
    let (mut posted, mut open) = (Vec::new(), Vec::new());
    let mut number = 100;
    for condition in conditions.iter().cycle().take(40) {
        site.becomes(0, *condition);
        for _ in 0..3 {
            number += 1;
            for order in [payout(number, of_a(), 10), payment(number, of_a(), 3)] {
                match process
                    .running
                    .post_within(&order, std::time::Duration::from_secs(5))
                    .await
                    .unwrap()
                {
                    Outcome::Decided { .. } => posted.push((order, of_a())),
                    _ => open.push((order, of_a())),
                }
            }
            process.homecoming.round().await;
        }
    }
    site.becomes(0, Condition::Works);
    process.come_home().await;
    site.check_posted_once(&posted);
    assert!(!open.is_empty() && posted.len() > open.len());
    for (order, _) in &open {
        process.posted(order).await;
    }
    posted.extend(open);
    site.check_posted_once(&posted);
}
