//! Moves that do not come to their end, and what becomes of the shard.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger::store::postgres::{MoveFault, MoveProgress, MoveStep, Residence};
use ledger::store::{Store, StoreFault};

use super::site::{
    Site, account_of, begun, everything_of_shard, is_repeat, let_open, posted, refuse_to_open, rows_of_shard, run,
    shard,
};
use crate::bank::{SHARDS, WAIT, payment, token};
use crate::further::{change_everything, holds_everything, is_replaced, refuse, replace_refusal};
use crate::postgres::{Group, balance, check_chain, post};
use crate::server::{FLEETING, Server, Wanted};

/// Runs, and is stopped when it asks for the n-th time.
fn run_until(site: &Site, asked: u32) -> Result<(), MoveFault> {
    let count = Cell::new(0);
    let stop = || {
        count.set(count.get() + 1);
        count.get() > asked
    };
    site.to_b().run(&mut |_| {}, &stop)
}

#[test]
fn stopped_anywhere_it_goes_on() {
    let mut stops = 0;
    for asked in 0.. {
        let site = Site::with(|settings| settings.pending_rows_max = 3);
        let process = site.process();
        let (mut store, number) = (process.open(shard(0)), account_of(0));
        post(&mut store, &payment(1, number, 100)).unwrap();
        let nobody = (number + 1..1_000).find(|other| SHARDS.of_account(token(*other)) == shard(0));
        let nobody = nobody.unwrap();
        refuse(&mut store, nobody, 6_001);
        match run_until(&site, asked) {
            Ok(()) => break,
            Err(MoveFault::Stopped) => stops += 1,
            Err(fault) => panic!("{fault:?}"),
        }
        // wherever it is, it is in use
        posted(&mut store, &payment(2, number, 100));
        change_everything(&mut store, number);
        replace_refusal(&mut store, nobody, 6_001);
        run(site.to_b()).unwrap();
        site.check_moved();
        begun(&mut store);
        holds_everything(&store, number);
        is_replaced(&store, nobody, 6_001);
        assert!(is_repeat(&posted(&mut store, &payment(1, number, 100))));
        assert!(is_repeat(&posted(&mut store, &payment(2, number, 100))));
        check_chain(&mut store);
    }
    assert!(stops > 4, "it was stopped at every step: {stops}");
}

/// From the beginning it would never come further than to the first pieces.
#[test]
fn a_move_that_breaks_off_again_and_again_comes_to_its_end() {
    const ASKED: u32 = 4;
    let site = Site::with(|settings| settings.pending_rows_max = 0);
    let (mut store, number) = (site.process().open(shard(0)), account_of(0));
    change_everything(&mut store, number);
    // a piece of its own each
    site.a.sql(
        "UPDATE ledger.frame SET evidence = repeat('x', 2200000)::bytea WHERE shard = 0 AND last IN \
         (SELECT last FROM ledger.frame WHERE shard = 0 ORDER BY last DESC LIMIT 6)",
    );
    let before = everything_of_shard(&site.a);
    let attempts = (1..40).find(|_| match run_until(&site, ASKED) {
        Ok(()) => true,
        Err(MoveFault::Stopped) => false,
        Err(fault) => panic!("{fault:?}"),
    });
    assert!(attempts > Some(2), "it was broken off: {attempts:?}");
    site.check_moved();
    assert!(everything_of_shard(&site.b) == before, "it is all there");
}

#[test]
fn what_is_on_its_way_is_read_and_whoever_needs_it_finishes() {
    let site = Site::start();
    let process = site.process();
    let (mut store, number) = (process.open(shard(0)), account_of(0));
    post(&mut store, &payment(1, number, 100)).unwrap();
    let reader = store.reader();
    refuse_to_open(&site.b);
    let broken = run(site.to_b());
    assert!(matches!(broken, Err(MoveFault::Unreachable { .. })), "{broken:?}");
    let [from, to] = [&site.a, &site.b].map(|group| group.settings.name.clone());
    let on_its_way = [Some(Residence::Moved { to }), Some(Residence::Arriving { from })];
    assert_eq!(site.residences(), on_its_way);
    let fresh = site.process().open_unread(shard(0));
    for reader in [&reader, &fresh.reader()] {
        assert_eq!(reader.committed().unwrap(), 3);
        assert!(reader.transfer(payment(1, number, 100).key()).unwrap().is_some());
    }
    let refused = post(&mut store, &payment(2, number, 100)).unwrap_err();
    assert!(matches!(refused, StoreFault::Unreachable(_)), "{refused:?}");
    let_open(&site.b);
    // no mover is there any more
    posted(&mut store, &payment(2, number, 100));
    assert_eq!(balance(&mut store, number), 100_000 - 200);
    assert_eq!(site.residences()[1], Some(Residence::Here));
    check_chain(&mut store);
    run(site.to_b()).unwrap();
    site.check_moved();
    assert_eq!(begun(&mut store), 4);
}

#[test]
fn what_is_on_its_way_is_finished_by_the_same_move() {
    let site = Site::start();
    let number = account_of(0);
    refuse_to_open(&site.b);
    assert!(run(site.to_b()).is_err());
    let_open(&site.b);
    run(site.to_b()).unwrap();
    site.check_moved();
    let mut store = site.process().open(shard(0));
    posted(&mut store, &payment(2, number, 100));
    assert_eq!(check_chain(&mut store).len(), 3);
}

/// The clearing that broke off left rows of the shard where it now comes again.
#[test]
fn what_is_left_of_an_earlier_stay_is_deleted_before_it_comes_again() {
    let site = Site::start();
    let (mut store, number) = (site.process().open(shard(0)), account_of(0));
    posted(&mut store, &payment(1, number, 100));
    run(site.to_b()).unwrap();
    let is_clearing = Cell::new(false);
    let mut told = |progress: MoveProgress| is_clearing.set(progress.step == MoveStep::Clearing);
    let broken = site.back_to_a().run(&mut told, &|| is_clearing.get());
    assert!(matches!(broken, Err(MoveFault::Stopped)), "{broken:?}");
    assert_ne!(rows_of_shard(&site.b), "0 0 0 0");
    posted(&mut store, &payment(2, number, 100));
    run(site.to_b()).unwrap();
    site.check_moved();
    assert_eq!(check_chain(&mut store).len(), 4);
    assert!(is_repeat(&posted(&mut store, &payment(1, number, 100))));
}

const SERVER: Wanted<'static> = Wanted {
    settings: &FLEETING,
    under: "/tmp",
    tcp_port: None,
};

/// Waits until something on the server waits for its standby.
fn wait_for_commit(group: &Group) {
    let deadline = Instant::now() + WAIT;
    while group.sql("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'") != "t" {
        assert!(Instant::now() < deadline);
    }
}

#[test]
fn a_mark_in_doubt_opens_nothing_and_is_found_later() {
    let primary = Arc::new(Server::start(SERVER));
    let a = Group::on(primary);
    let standby = a.server.standby(SERVER);
    let site = Site::of([a, Group::new()], |settings| {
        settings.call_limit = Duration::from_secs(1);
    });
    let number = account_of(0);
    let mut store = site.process().open(shard(0));
    posted(&mut store, &payment(1, number, 100));
    let mut is_stopped = false;
    let mut stop_standby = |progress: MoveProgress| {
        if progress.step == MoveStep::HandingOver && !std::mem::replace(&mut is_stopped, true) {
            standby.stop();
        }
    };
    let broken = site.to_b().run(&mut stop_standby, &|| false);
    assert!(matches!(broken, Err(MoveFault::Unreachable { .. })), "{broken:?}");
    wait_for_commit(&site.a);
    let opened = site
        .b
        .sql("SELECT count(*) FROM ledger.shard WHERE shard = 0 AND arrives_from IS NULL");
    assert_eq!(opened, "0", "before the mark is sure nothing is open");
    standby.start_again();
    let deadline = Instant::now() + WAIT;
    while let Err(fault) = run(site.to_b()) {
        assert!(Instant::now() < deadline, "{fault:?}");
    }
    site.check_moved();
    posted(&mut store, &payment(2, number, 100));
    assert!(is_repeat(&posted(&mut store, &payment(1, number, 100))));
    assert_eq!(check_chain(&mut store).len(), 4);
}
