//! Two processes write the shards of one group.

use futures::future::{join_all, try_join_all};
use ledger_model::{Instruction, ShardId};

use super::{ACCOUNTS, ask_again, read};
use crate::bank::{SHARDS, payment, token};
use crate::journals::follow;
use crate::postgres::Group;
use crate::process::{Process, Section};
use crate::server::PORT;

const CLIENTS: u64 = 16;
const EACH: u64 = 30;

fn order(number: u64) -> (Instruction, u64) {
    let account = number % ACCOUNTS.end;
    (payment(number, account, 10), account)
}

fn shard_of(account: u64) -> ShardId {
    SHARDS.of_account(token(account))
}

/// An account, its agreement and each order leave one.
fn records_of(shard: ShardId) -> u64 {
    let ordered = (0..CLIENTS * EACH).map(|number| order(number).1);
    let accounts = ACCOUNTS.chain(ACCOUNTS).chain(ordered);
    let here = accounts.filter(|account| shard_of(*account) == shard);
    u64::try_from(here.count()).unwrap()
}

/// A client asks one and the other in turn, so what they write is interleaved. The streams are followed from before the
/// first order on, and are the same from both.
#[tokio::test(flavor = "multi_thread")]
async fn what_two_processes_write_is_one_journal_without_a_gap() {
    let directory = tempfile::tempdir().unwrap();
    let group = Group::new();
    let section = Section {
        name: "a",
        shards: &[0, 1, 2, 3],
        host: &format!("{}:{PORT}", group.server.host()),
        database: &group.settings.database,
    };
    let further = section.to_string();
    let one = Process::start_as(directory.path(), "one", &further).await;
    let two = Process::start_as(directory.path(), "two", &further).await;
    one.load(ACCOUNTS, "CNY1000.00").await;
    let ledgers = [one.client.clone(), two.client.clone()];
    let streams: Vec<_> = ledgers
        .iter()
        .flat_map(|ledger| SHARDS.all().map(move |shard| (ledger.clone(), shard)))
        .map(|(ledger, shard)| tokio::spawn(async move { follow(&ledger, shard, records_of(shard)).await }))
        .collect();

    let clients = (0..CLIENTS).map(|client| {
        let mut turns = ledgers.clone().into_iter().cycle();
        tokio::spawn(async move {
            for number in client * EACH..(client + 1) * EACH {
                ask_again(&turns.next().unwrap(), &order(number).0).await;
            }
        })
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
    let streams = try_join_all(streams).await.unwrap();
    let (of_one, of_two) = streams.split_at(streams.len() / 2);
    assert!(of_one == of_two, "two journals");
    let journals = read(&ledgers).await;
    assert!(
        journals.encoded().eq(of_one.iter().flatten()),
        "what was followed is what there is"
    );
    let orders: Vec<_> = (0..CLIENTS * EACH).map(order).collect();
    journals.check_posted_once(&orders);
    for process in [&one, &two] {
        process.balances();
    }
}
