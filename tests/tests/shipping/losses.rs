//! What a topic loses is sent again from the journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ledger_protocol::ShipState;

use crate::journal::{Journal, SHARDS, Store};
use crate::site::{Site, wait_for};

/// Gone while the ledger has nothing to ship: it is made again, and filled.
pub(crate) fn deleted(site: &mut Site) {
    let journal = Journal::new();
    journal.grow(500, 1);
    let ships = site.ship(&journal, "deleted", Store::Own);
    ships.wait_shipped();
    site.broker.delete("deleted");
    site.wait_holds("deleted", &journal);
    ships.wait_shipped();
    ships.finish();
    site.check_holds("deleted", &journal);
}

/// Deleted and made anew by an administrator while records flow.
pub(crate) fn made_anew_under_load(site: &mut Site) {
    site.broker.make_right("anew");
    let journal = Journal::new();
    let ships = site.ship(&journal, "anew", Store::Own);
    let (grows, until) = (Arc::clone(&journal), Arc::new(AtomicBool::new(false)));
    let end = Arc::clone(&until);
    let load = thread::spawn(move || {
        while !end.load(Ordering::Relaxed) {
            grows.grow(20, 1);
            thread::sleep(Duration::from_millis(5));
        }
    });
    for _ in 0..2 {
        wait_for("it flows", || SHARDS.all().all(|shard| journal.shipped(shard) > 500));
        site.broker.delete("anew");
        site.broker.make_right("anew");
        wait_for("it is there again", || {
            let (shard, held) = (SHARDS.shard(0).unwrap(), site.broker.contents("anew", 0));
            held.len() > 500 && held[..] == journal.all(shard)[..held.len()]
        });
    }
    until.store(true, Ordering::Relaxed);
    load.join().unwrap();
    ships.wait_shipped();
    ships.finish();
    site.check_holds("anew", &journal);
}

/// All records dropped: sent again. Only older ones dropped: that is a matter between the administrator and the readers.
pub(crate) fn emptied(site: &mut Site) {
    let journal = Journal::new();
    journal.grow(500, 1);
    let ships = site.ship(&journal, "emptied", Store::Own);
    ships.wait_shipped();
    for shard in SHARDS.all() {
        site.broker.delete_records("emptied", shard.number().into(), 100);
    }
    journal.grow(10, 1);
    ships.wait_shipped();
    for shard in SHARDS.all() {
        let held = site.broker.contents("emptied", shard.number().into());
        assert!(held == journal.all(shard)[100..], "{} records", held.len());
        site.broker.delete_records("emptied", shard.number().into(), -1);
    }
    site.wait_holds("emptied", &journal);
    ships.wait_state(ShipState::Shipping);
    ships.finish();
}

/// As after the choice of a leader that did not have it all.
pub(crate) fn cut_back(site: &mut Site) {
    let journal = Journal::new();
    journal.grow(500, 1);
    let ships = site.ship(&journal, "cut", Store::Own);
    ships.wait_shipped();
    ships.finish();
    site.broker.delete("cut");
    site.broker.make_right("cut");
    for shard in SHARDS.all() {
        let left = &journal.all(shard)[..200];
        site.broker.write("cut", shard.number().into(), left);
    }
    journal.grow(10, 1);
    let ships = site.ship(&journal, "cut", Store::Own);
    ships.wait_shipped();
    ships.finish();
    site.check_holds("cut", &journal);
}
