//! Who else writes: another ledger of the same journal, one whose journal has parted, one that died, a stranger.

use std::sync::Arc;
use std::thread;

use ledger_protocol::ShipState;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::journal::{Journal, SHARDS, Store};
use crate::site::{Site, WAIT};

/// Several processes over one store: one ships; when it ends, another does.
pub(crate) fn one_ships_and_the_other_takes_over(site: &mut Site) {
    let journal = Journal::new();
    journal.grow(100, 1);
    let left = site.ship(&journal, "shared", Store::Shared);
    left.wait_shipped();
    left.wait_state(ShipState::Shipping);
    let right = site.ship(&journal, "shared", Store::Shared);
    right.wait_state(ShipState::StandingBy);
    for _ in 0..20 {
        journal.grow(50, 1);
        right.wait_shipped();
    }
    left.wait_state(ShipState::Shipping);
    right.wait_state(ShipState::StandingBy);
    left.finish();
    journal.grow(100, 1);
    right.wait_shipped();
    right.wait_state(ShipState::Shipping);
    right.finish();
    site.check_holds("shared", &journal);
}

/// A ledger that hangs within a transaction: what it left is taken back, and it cannot go on when it wakes up.
pub(crate) fn what_a_dead_ledger_left_open(site: &mut Site) {
    let journal = Journal::new();
    journal.grow(100, 1);
    let ships = site.ship(&journal, "open", Store::Own);
    ships.wait_shipped();
    ships.finish();

    let hung: BaseProducer = site
        .broker
        .client()
        .set("transactional.id", "open/shard-0")
        .create()
        .unwrap();
    hung.init_transactions(WAIT).unwrap();
    hung.begin_transaction().unwrap();
    let record = BaseRecord::<(), [u8]>::to("open").partition(0).payload(b"left open");
    hung.send(record).map_err(|(fault, _)| fault).unwrap();
    hung.flush(WAIT).unwrap();

    journal.grow(100, 1);
    let ships = site.ship(&journal, "open", Store::Own);
    ships.wait_shipped();
    let woken = hung.commit_transaction(WAIT).unwrap_err();
    assert!(woken.to_string().to_lowercase().contains("fenced"), "{woken}");
    journal.grow(10, 1);
    ships.wait_shipped();
    ships.finish();
    site.check_holds("open", &journal);
}

/// A directory that was copied and brought up on another machine: both believe they own the shards. Whichever ships the
/// first record that the other does not have has won; nothing of the other is ever among it.
pub(crate) fn two_journals_never_mix(site: &mut Site) {
    let left = Journal::new();
    left.grow(500, 1);
    let ships_left = site.ship(&left, "parted", Store::Own);
    ships_left.wait_shipped();
    let right = left.copied();
    let ships_right = site.ship(&right, "parted", Store::Own);
    let growing = [(&left, 2), (&right, 3)].map(|(journal, token)| {
        let journal = Arc::clone(journal);
        thread::spawn(move || {
            for _ in 0..300 {
                journal.grow(5, token);
                thread::yield_now();
            }
        })
    });
    for thread in growing {
        thread.join().unwrap();
    }
    for shard in SHARDS.all() {
        let place = shard.index();
        let won = |left: ShipState, right: ShipState| [left, right].contains(&ShipState::Foreign);
        crate::site::wait_for("one of them has won", || {
            won(ships_left.reports()[place].state, ships_right.reports()[place].state)
        });
        let left_won = ships_right.reports()[place].state == ShipState::Foreign;
        let winner = if left_won { &left } else { &right };
        crate::site::wait_for("the winner ships it all", || {
            winner.shipped(shard) >= winner.length(shard)
        });
        let held = site.broker.contents("parted", shard.number().into());
        assert!(
            held == winner.all(shard),
            "shard {shard} holds what is not the winner's journal"
        );
    }
    ships_left.finish();
    ships_right.finish();
}

/// Something else in the partition, while a ledger ships to it: it stops, and the stranger's record stays the last.
pub(crate) fn a_stranger_writes(site: &mut Site) {
    let journal = Journal::new();
    journal.grow(100, 1);
    let ships = site.ship(&journal, "stranger", Store::Own);
    ships.wait_shipped();
    for partition in 0..SHARDS.count() {
        site.broker.write("stranger", partition.into(), &[b"hello".to_vec()]);
    }
    journal.grow(100, 1);
    ships.wait_state(ShipState::Foreign);
    let why = "ends with something that is no record of a journal";
    ships.wait_all(why, |report| report.why.contains(why));
    ships.finish();
    for shard in SHARDS.all() {
        let held = site.broker.contents("stranger", shard.number().into());
        assert_eq!(held.last().unwrap(), b"hello");
        assert_eq!(held.len(), 101);
    }
}
