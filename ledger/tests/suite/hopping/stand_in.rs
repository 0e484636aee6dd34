//! Payments advanced by another group while their home is gone.

use futures::future::join_all;
use ledger::books::InternalAccount;
use ledger::outcome::Outcome;
use ledger_model::Instruction;
use ledger_protocol::NothingPosted;

use super::server::Condition;
use super::site::{Process, Site, of_a, of_b};
use crate::bank::{amount, payment, refund};

const HOME_DOWN: Outcome = Outcome::NothingPosted(NothingPosted::HomeDown);

async fn site() -> (Site, Process) {
    let site = Site::start();
    let process = site.process_standing_in(Some(amount("CNY10.00")));
    process.load(&[of_a(), of_b()]).await;
    (site, process)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_an_agreement_and_day_is_exact() {
    let (site, process) = site().await;
    process.lose(0);
    let payments: Vec<Instruction> = (1..=30).map(|number| payment(number, of_a(), 300)).collect();
    let outcomes = join_all(payments.iter().map(|payment| process.running.post(payment))).await;
    let taken: Vec<_> = payments
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| **outcome != HOME_DOWN)
        .map(|(payment, _)| (payment.clone(), of_a()))
        .collect();
    assert_eq!(taken.len(), 3, "CNY 10.00 is enough for three of CNY 3.00");
    // what is left is enough for one more, to the last cent
    assert_eq!(process.running.post(&payment(31, of_a(), 101)).await, HOME_DOWN);
    let last = payment(32, of_a(), 100);
    process.posted(&last).await;
    assert_eq!(process.running.post(&payment(33, of_a(), 1)).await, HOME_DOWN);
    assert_eq!(site.internal(InternalAccount::StandInAdvance), -1_000);
    process.come_home().await;
    let mut asked = taken;
    asked.push((last, of_a()));
    site.check_posted_once(&asked);
    assert_eq!(site.balance(of_a()), 100_000 - 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_next_group_stands_in() {
    let (site, process) = site().await;
    process.lose(0);
    process.lose(1);
    assert_eq!(process.running.post(&payment(1, of_a(), 1)).await, HOME_DOWN);
    process.come_home().await;
    process.posted(&payment(1, of_a(), 1)).await;
    site.check_posted_once(&[(payment(1, of_a(), 1), of_a())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_in_doubt_is_not_stood_in_for() {
    let (site, process) = site().await;
    site.becomes(0, Condition::CommitsLate);
    let pay = payment(1, of_a(), 300);
    assert_eq!(process.running.post(&pay).await, Outcome::InProcess);
    process.lose(0);
    let limit = std::time::Duration::from_millis(50);
    assert_eq!(process.running.post_within(&pay, limit).await, Some(Outcome::InProcess));
    site.becomes(0, Condition::Works);
    process.come_home().await;
    site.check_posted_once(&[(pay, of_a())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_what_was_advanced_waits_until_it_is_settled() {
    let (site, process) = site().await;
    process.lose(0);
    let pay = payment(1, of_a(), 300);
    process.posted(&pay).await;
    let back = refund(1, 1, of_a(), 300, 300);
    assert_eq!(process.running.post(&back).await, HOME_DOWN);
    // the home is back and does not know the payment yet: "original not found" would be final
    process.recover(0);
    assert_eq!(process.running.post(&back).await, Outcome::InProcess);
    process.come_home().await;
    process.posted(&back).await;
    assert_eq!(site.balance(of_a()), 100_000);
    site.check_even();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advance_that_the_home_paid_as_well_is_taken_back() {
    let (site, one) = site().await;
    let other = site.process();
    let pay = payment(1, of_a(), 300);
    other.posted(&pay).await;
    one.lose(0);
    one.posted(&pay).await;
    one.come_home().await;
    site.check_posted_once(&[(pay, of_a())]);
}
