//! A ledger that starts while a group cannot be reached.

use std::sync::Arc;
use std::time::Instant;

use ledger::hopping::homecoming::Round;
use ledger::outcome::Outcome;
use ledger_protocol::NothingPosted;
use tokio::runtime::Runtime;

use super::fleet::Fleet;
use super::site::{Process, Site, runtime, shard};
use crate::bank::{SHARDS, WAIT, first_of, key, payment, payout};
use crate::server::{FLEETING, Server, Wanted};

const LAYOUT: [(&str, &[u8]); 2] = [("a", &[0, 1]), ("b", &[2, 3])];

fn servers() -> [Arc<Server>; 2] {
    [(); 2].map(|()| {
        Arc::new(Server::start(Wanted {
            settings: &FLEETING,
            under: "/tmp",
            tcp_port: None,
        }))
    })
}

/// Rounds until every group is used and nothing is open.
fn come_home(process: &Process, runtime: &Runtime) {
    let deadline = Instant::now() + WAIT;
    loop {
        let Round { open, .. } = runtime.block_on(process.homecoming.round());
        let groups = process.running.ledger.groups();
        if open == 0 && SHARDS.all().all(|shard| groups.is_used(shard)) {
            return;
        }
        assert!(Instant::now() < deadline, "the group does not come back");
    }
}

fn seen(process: &Process) -> Vec<u8> {
    let positions = process.running.ledger.positions();
    positions.iter().map(|position| position.shard).collect()
}

#[test]
fn the_shards_of_the_others_go_on_and_its_own_follow_when_it_is_back() {
    let servers = servers();
    let site = Site::over(&servers, &["a", "b"]);
    let runtime = runtime();
    let [of_a, of_b] = [0, 2].map(|number| first_of(shard(number)));
    let before = payment(1, of_b, 100);
    let answered = {
        let process = site.process(&LAYOUT, 2);
        runtime.block_on(process.running.load([of_a, of_b].into_iter(), "CNY1000.00"));
        let (answered, _) = runtime.block_on(process.decided(&before));
        process.running.ledger.stop();
        answered
    };
    servers[1].stop();

    let process = site.process(&LAYOUT, 2);
    let ledger = &process.running.ledger;
    assert_eq!((seen(&process), ledger.unseen()), (vec![0, 1], vec![2, 3]));
    assert_eq!(ledger.closed(), None, "through which date all are closed is not known");
    runtime.block_on(process.decided(&payment(2, of_a, 100)));
    let of_the_other = runtime.block_on(process.running.post(&payment(3, of_b, 100)));
    assert_eq!(of_the_other, Outcome::NothingPosted(NothingPosted::HomeDown));
    assert_eq!(ledger.query(&key("0110", 1)), Outcome::InProcess, "it may be there");
    // taken in by the other group
    let hopped = payout(4, of_b, 50);
    runtime.block_on(process.decided(&hopped));

    servers[1].start_again();
    come_home(&process, &runtime);
    assert_eq!((seen(&process), ledger.unseen()), (vec![0, 1, 2, 3], vec![]));
    assert!(ledger.closed().is_some());
    assert_eq!(runtime.block_on(process.decided(&before)), (answered, true));
    runtime.block_on(process.decided(&payment(3, of_b, 100)));
    let (_, repeat) = runtime.block_on(process.decided(&hopped));
    assert!(repeat);
    let standing = runtime.block_on(ledger.standing(crate::bank::token(of_b))).unwrap();
    assert_eq!(
        standing.balance.map(ledger_model::Money::minor),
        Some(100_000 - 100 - 100 + 50)
    );
    process.check_no_faults();
}

#[test]
fn shards_are_made_only_when_every_group_has_been_asked() {
    let servers = servers();
    let site = Site::over(&servers, &["a", "b"]);
    let runtime = runtime();
    servers[1].stop();
    let process = site.process(&LAYOUT, 2);
    assert_eq!(process.running.ledger.unseen(), [0, 1, 2, 3], "b may have all of them");
    let number = first_of(shard(0));
    let outcome = runtime.block_on(process.running.post(&payment(1, number, 100)));
    assert_eq!(outcome, Outcome::NothingPosted(NothingPosted::HomeDown));
    assert_eq!(site.groups[0].sql("SELECT count(*) FROM ledger.shard"), "0");

    servers[1].start_again();
    come_home(&process, &runtime);
    assert_eq!(process.shards(), "a 0 1, b 2 3");
    assert_eq!(seen(&process), [0, 1, 2, 3]);
    runtime.block_on(process.running.load([number].into_iter(), "CNY1000.00"));
    runtime.block_on(process.decided(&payment(1, number, 100)));
    assert_eq!(site.groups[1].sql("SELECT count(*) FROM ledger.shard"), "2");
    process.check_no_faults();
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_are_shown_of_the_others_and_its_own_as_unknown() {
    let servers = servers();
    let mut fleet = Fleet::start(&servers, &LAYOUT).await;
    let before = fleet.ledger().command(&["positions", "--json"]).json();
    fleet.kill();
    servers[1].stop();
    fleet.start_seeing(&[2, 3]).await;
    let shown = fleet.ledger().command(&["positions", "--json"]).json();
    let unknown = |shard: u8| serde_json::json!({ "shard": shard, "known": false });
    let expected = serde_json::json!([before[0], before[1], unknown(2), unknown(3)]);
    assert_eq!(shown, expected);
    assert_eq!(
        (shown[1]["known"].as_bool(), shown[1]["sequence"].as_u64() > Some(0)),
        (Some(true), true)
    );
    let text = fleet.ledger().command(&["positions"]);
    text.succeeds();
    let unknown = "unknown: its group could not be reached since the ledger began\n";
    assert_eq!(text.out.matches(unknown).count(), 2, "{}", text.out);
}
