//! A commit at home that comes later than anybody waits for it.

use std::sync::Arc;

use futures::future::join;
use ledger_model::HopState;
use ledger_protocol::{PostReply, QueryReply};
use tokio::time::Instant;

use super::{ACCOUNTS, ask, ask_again, closed, over_two_groups, posted, read, wait_home, wait_unseen};
use crate::bank::{SHARDS, WAIT, first_of, payment, payout};
use crate::postgres::Group;
use crate::server::{FLEETING, PORT, Server, Wanted};

/// Nothing is ordered of the shard between those whose commits wait.
const HOMES: [(&str, &[u8]); 2] = [("a", &[0, 1, 2]), ("b", &[3])];
const SERVER: Wanted<'static> = Wanted {
    settings: &FLEETING,
    under: "/tmp",
    tcp_port: None,
};

/// The home's standby does not answer, so that its commits wait, while the home itself is there all the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_comes_after_its_payout_hopped_is_found_and_the_hop_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let [home, other] = [Server::start(SERVER), Server::start(SERVER)].map(|server| Group::on(Arc::new(server)));
    let standby = home.server.standby(SERVER);
    let hosts = [&home, &other].map(|group| format!("{}:{PORT}", group.server.host()));
    let groups = [(&home, hosts[0].as_str()), (&other, hosts[1].as_str())];
    let ledger = over_two_groups(directory.path(), "ledger", HOMES, groups).await;
    ledger.load(ACCOUNTS, "CNY1000.00").await;
    let [pays, gets] = [0, 2].map(|shard| first_of(SHARDS.shard(shard).unwrap()));
    let (pay, out) = (payment(1, pays, 300), payout(1, gets, 700));
    let query = async || ledger.client.query(*pay.key(), Instant::now() + WAIT).await;
    let at_home = || home.sql("SELECT count(*) FROM ledger.transfer");

    let epoch_of_idle = || home.sql("SELECT epoch FROM ledger.shard WHERE shard = 1");
    let epoch = epoch_of_idle();

    standby.freeze();
    let (paid, hopped) = join(ask(&ledger.client, &pay), ask_again(&ledger.client, &out)).await;
    assert_eq!(paid, PostReply::Unknown, "whether it was posted is not known");
    wait_unseen(&ledger.client, HOMES[0].1).await;
    assert_eq!(query().await, QueryReply::InProcess);
    let hops = ledger.client.hops().await.unwrap();
    let waiting: Vec<_> = hops.hops.iter().map(|hop| (&hop.transfer, hop.attempt)).collect();
    assert_eq!(waiting, [(&hopped, 2)], "it may be at home as well");
    assert_eq!(at_home(), "0", "nobody sees the commits that wait");
    standby.thaw();

    wait_home(&ledger.client).await;
    assert_eq!(at_home(), "2", "both were posted after all");
    assert_ne!(
        epoch_of_idle(),
        epoch,
        "every shard of a group that comes back is fenced first"
    );
    let journals = read(std::slice::from_ref(&ledger.client)).await;
    assert_eq!(closed(&journals), [HopState::Compensated]);
    journals.check_posted_once(&[(pay.clone(), pays), (out.clone(), gets)]);
    let (settled, repeat) = posted(ask(&ledger.client, &pay).await);
    assert!(repeat, "what was in process is settled: it came late");
    assert_eq!(query().await, QueryReply::Found(settled));
    let (own, repeat) = posted(ask(&ledger.client, &out).await);
    assert!(repeat && own.serial != hopped.serial, "the home's own posting stands");
    ledger.balances();
    ledger.command(&["hops"]).succeeds();
}
