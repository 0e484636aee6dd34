//! Two processes over the same two groups, each of which sees another of them gone.

use futures::future::{join, join_all};
use ledger_model::{HopState, Instruction, Transfer};
use ledger_protocol::{NothingPosted, PostReply};

use super::wire::Wire;
use super::{ACCOUNTS, HOMES, ask, ask_again, closed, over_two_groups, read, wait_home, wait_unseen};
use crate::bank::{SHARDS, payment, payout, token};
use crate::postgres::Group;
use crate::process::Process;

/// Of each way the two may follow each other.
const ORDERS: u64 = 12;

struct View {
    process: Process,
    wires: [Wire; 2],
}

impl View {
    async fn of(directory: &std::path::Path, name: &str, groups: [&Group; 2]) -> Self {
        let wires = [Wire::to(&groups[0].server).await, Wire::to(&groups[1].server).await];
        let hosts = [wires[0].host(), wires[1].host()];
        let groups = [(groups[0], hosts[0].as_str()), (groups[1], hosts[1].as_str())];
        let process = over_two_groups(directory, name, HOMES, groups).await;
        Self { process, wires }
    }

    /// Until it has noticed.
    async fn lose(&self, place: usize) {
        self.wires[place].cut();
        wait_unseen(&self.process.client, HOMES[place].1).await;
    }

    async fn ask(&self, order: &Instruction) -> PostReply {
        ask(&self.process.client, order).await
    }

    async fn posts(&self, order: &Instruction) -> Transfer {
        ask_again(&self.process.client, order).await
    }
}

fn is_in(place: usize, account: u64) -> bool {
    HOMES[place].1.contains(&SHARDS.of_account(token(account)).number())
}

/// Whichever order it is, one of them posts it at home and the other lets it hop.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_lets_hop_while_the_other_posts_it_at_home_posts_once() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (Group::new(), Group::new());
    let left = View::of(directory.path(), "left", [&a, &b]).await;
    let right = View::of(directory.path(), "right", [&a, &b]).await;
    left.process.load(ACCOUNTS, "CNY1000.00").await;
    left.lose(0).await;
    right.lose(1).await;

    let orders = |from: u64| {
        (from..from + ORDERS).map(|number| (payout(number, number % ACCOUNTS.end, 10), number % ACCOUNTS.end))
    };
    let mut all = Vec::new();
    for (order, account) in orders(0) {
        left.posts(&order).await;
        right.posts(&order).await;
        all.push((order, account));
    }
    for (order, account) in orders(ORDERS) {
        right.posts(&order).await;
        left.posts(&order).await;
        all.push((order, account));
    }
    let at_once: Vec<_> = orders(2 * ORDERS).collect();
    join_all(
        at_once
            .iter()
            .map(|(order, _)| join(left.posts(order), right.posts(order))),
    )
    .await;
    all.extend(at_once);
    // money that leaves an account does not hop: who has lost the home refuses it definitely
    let account = ACCOUNTS.clone().find(|account| is_in(0, *account)).unwrap();
    let pay = payment(1, account, 5);
    assert_eq!(left.ask(&pay).await, PostReply::NothingPosted(NothingPosted::HomeDown));
    right.posts(&pay).await;
    all.push((pay, account));

    for wire in left.wires.iter().chain(&right.wires) {
        wire.mend();
    }
    for view in [&left, &right] {
        wait_home(&view.process.client).await;
    }
    let journals = read(&[left.process.client.clone(), right.process.client.clone()]).await;
    journals.check_posted_once(&all);
    let hopped = usize::try_from(3 * ORDERS).unwrap();
    assert_eq!(closed(&journals), vec![HopState::Compensated; hopped]);
    for (order, _) in &all {
        let told = [left.posts(order).await, right.posts(order).await];
        assert_eq!(told[0], told[1], "both tell the home's posting");
    }
    for view in [&left, &right] {
        view.process.balances();
    }
}
