//! Rows of hops that are over go with the records of their transfers; those that are not stay.

use std::collections::BTreeSet;

use ledger::books::{Books, HopRow};
use ledger::engine::HopOrder;
use ledger::shard::group::{Working, wanted_by_closing, wanted_by_hop};
use ledger::store::Store;
use ledger::store::embedded::{EmbeddedStore, StoreOptions, check};
use ledger::view::Wanted;
use ledger_model::{ChinaTime, Hop, HopState, Instruction, Refusal};

use crate::bank::{SHARDS, elsewhere_than, first_of, now, payout, sealed};
use crate::postgres::Group;

const KEPT_DAYS: u32 = 10;
const DAY: i64 = 24 * 3600;

fn day(number: i64) -> ChinaTime {
    now().plus_seconds(number * DAY).unwrap()
}

/// A payout of that day, for an account of another shard.
fn of_day(store: &dyn Store, number: i64, id: u64) -> Instruction {
    let mut order = payout(id, elsewhere_than(first_of(store.state().shard)), 77);
    if let Instruction::Payout(payout) = &mut order {
        payout.key.id = format!("{}{id:016}0000000", day(number).date().compact())
            .parse()
            .unwrap();
    }
    order
}

fn work(store: &mut dyn Store, at: ChinaTime, wanted: Wanted, task: impl FnOnce(&mut Working)) {
    let mut working = Working::over(SHARDS, store.begin().unwrap(), at);
    let wanted = working.view().missing(wanted);
    let rows = store.fetch(&wanted).unwrap();
    working.view_mut().admit(wanted, rows);
    task(&mut working);
    store.commit(working.into_group(0).unwrap()).unwrap();
}

/// Taken in on a day, whatever day it is of.
fn take_in(store: &mut dyn Store, order: &Instruction, on: i64) {
    let home = SHARDS.all().find(|shard| *shard != store.state().shard).unwrap();
    let hop = Hop {
        home,
        attempt: 1,
        epoch: 1,
    };
    let mut wanted = Wanted::default();
    wanted_by_hop(order, &mut wanted);
    work(store, day(on), wanted, |working| {
        let order_of = HopOrder { hop, stand_in: None };
        working.accept_hop(order, sealed(order), None, &order_of).unwrap();
    });
}

fn row(store: &dyn Store, order: &Instruction) -> Option<HopRow> {
    let wanted = Wanted {
        hops: vec![*order.key()],
        ..Wanted::default()
    };
    store.fetch(&wanted).unwrap().hops.pop()
}

fn close(store: &mut dyn Store, order: &Instruction, on: i64, state: HopState) {
    let row = row(store, order).unwrap();
    let mut wanted = Wanted::default();
    wanted_by_closing(&row, &mut wanted);
    work(store, day(on), wanted, |working| {
        assert!(working.view().hop(order.key()).is_some());
        working.close_hop(order.key(), state).unwrap();
    });
}

/// `reopen` closes the store as a crash would.
fn check_forgets(mut store: Box<dyn Store>, reopen: &dyn Fn(Box<dyn Store>) -> Box<dyn Store>) {
    let orders: Vec<Instruction> = (1..=4).map(|id| of_day(store.as_ref(), 0, id)).collect();
    let later = of_day(store.as_ref(), 5, 5);
    for order in orders.iter().chain([&later]) {
        take_in(store.as_mut(), order, 0);
    }
    let [settled, compensated, unapplied, open] = [0, 1, 2, 3].map(|place: usize| orders[place].clone());
    for (order, state) in [
        (&settled, HopState::Settled),
        (&compensated, HopState::Compensated),
        (&unapplied, HopState::Unapplied(Refusal::AccountClosed)),
        (&later, HopState::Settled),
    ] {
        close(store.as_mut(), order, 0, state);
    }
    let all = [&settled, &compensated, &unapplied, &open, &later];
    let check = |store: &mut dyn Store, there: [bool; 5], what: &str| {
        let found = all.map(|order| row(store, order).is_some());
        assert_eq!(found, there, "{what}");
        let homes: BTreeSet<_> = SHARDS.all().collect();
        let [.., is_open, _] = there;
        store.begin().unwrap();
        let listed = store.open_hops(&homes, 9).unwrap().rows;
        let listed: Vec<_> = listed.iter().map(|row| row.transfer.key).collect();
        let expected: Vec<_> = is_open.then_some(*open.key()).into_iter().collect();
        assert_eq!(listed, expected, "{what}");
        assert_eq!(store.unapplied_hops(9).unwrap().len(), 1, "{what}");
        store.abandon();
    };
    // new ones are of their day, and are settled, so that nothing else is open
    let mut id = 100;
    let mut pass = |mut store: Box<dyn Store>, number: i64| -> Box<dyn Store> {
        for _ in 0..4 {
            id += 1;
            let order = of_day(store.as_ref(), number, id);
            take_in(store.as_mut(), &order, number);
            close(store.as_mut(), &order, number, HopState::Settled);
            store = if id % 2 == 0 { reopen(store) } else { store };
        }
        // what was due is gone with the first groups of a process
        id += 1;
        let order = of_day(store.as_ref(), number, id);
        take_in(store.as_mut(), &order, number);
        close(store.as_mut(), &order, number, HopState::Settled);
        store
    };
    store = pass(store, 11);
    check(store.as_mut(), [true; 5], "a day is kept to spare");
    store = pass(store, 12);
    check(store.as_mut(), [false, false, true, true, true], "over, and not");
    close(store.as_mut(), &open, 12, HopState::Settled);
    store = pass(store, 13);
    check(store.as_mut(), [false, false, true, false, true], "late");
    store = pass(store, 17);
    check(store.as_mut(), [false, false, true, false, false], "of another day");
    assert_eq!(
        store.reader().journal(1, usize::MAX).unwrap().len(),
        usize::try_from(store.state().sequence).unwrap(),
        "the journal keeps everything"
    );
}

#[test]
fn the_embedded_store_forgets_hops_that_are_over() {
    for snapshot_bytes in [1, 4 << 10, 1 << 20] {
        let directory = tempfile::tempdir().unwrap();
        let shard = SHARDS.shard(0).unwrap();
        for other in SHARDS.all() {
            drop(EmbeddedStore::open(directory.path(), SHARDS, other).unwrap());
        }
        let open = || -> Box<dyn Store> {
            let options = StoreOptions {
                kept_days: KEPT_DAYS,
                snapshot_bytes,
                ..StoreOptions::default()
            };
            Box::new(EmbeddedStore::open_with(directory.path(), SHARDS, shard, options).unwrap())
        };
        check_forgets(open(), &|store| {
            drop(store);
            check(directory.path()).unwrap();
            open()
        });
    }
}

#[test]
fn the_postgres_store_forgets_hops_that_are_over() {
    let mut group = Group::new();
    group.settings.kept_days = KEPT_DAYS;
    group.settings.pending_rows_max = 0;
    let shard = SHARDS.shard(0).unwrap();
    check_forgets(Box::new(group.open(shard)), &|store| {
        drop(store);
        Box::new(group.open(shard))
    });
}
