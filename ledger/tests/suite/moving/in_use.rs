//! Orders go on while the shard moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use ledger::store::Store;
use ledger::store::postgres::{Move, MoveProgress, MoveStep};
use ledger_journal::Event;
use ledger_model::{Instruction, TransferKey};

use super::site::{Known, Site, account_of, begun, is_repeat, posted, run, shard};
use crate::bank::{SHARDS, WAIT, payment, refund, reversal};
use crate::hold::{Hold, Place};
use crate::postgres::{Group, balance, check_chain, post};

const WRITERS: u64 = 2;
const MINOR: i64 = 3;

/// Pays from the account of a shard, and gives back a part of every third payment some time later.
struct Writer {
    process: Arc<Known>,
    number: u8,
    first: u64,
}

/// What a writer was told is posted.
#[derive(Default)]
struct Told {
    payments: Vec<TransferKey>,
    refunds: Vec<TransferKey>,
}

impl Writer {
    fn write(&self, sent: &AtomicU64, stop: &AtomicBool) -> Told {
        let (mut store, from) = (self.process.open(shard(self.number)), account_of(self.number));
        let mut told = Told::default();
        for id in self.first.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let paid = payment(id, from, MINOR);
            posted(&mut store, &paid);
            told.payments.push(*paid.key());
            if id % 3 == 0 && told.payments.len() > 20 {
                let back = refund(id, id - 18, from, MINOR, 1);
                posted(&mut store, &back);
                told.refunds.push(*back.key());
            }
            sent.fetch_add(1, Ordering::SeqCst);
        }
        told
    }
}

fn reached(sent: &AtomicU64, count: u64) {
    let deadline = Instant::now() + 6 * WAIT;
    while sent.load(Ordering::SeqCst) < count {
        assert!(Instant::now() < deadline, "{} are sent", sent.load(Ordering::SeqCst));
        std::thread::yield_now();
    }
}

/// Everything that was told is in the journal once, nothing else is, and the balance is what it comes to.
fn check_told(site: &Site, number: u8, told: &[Told]) {
    let mut store = site.process().open(shard(number));
    let mut journalled: Vec<TransferKey> = Vec::new();
    for record in check_chain(&mut store) {
        if let Event::TransferDecided { transfer, .. } = record.event {
            assert_eq!(transfer.decision, ledger_model::Decision::Posted);
            journalled.push(transfer.key);
        }
    }
    let mut answered: Vec<TransferKey> = Vec::new();
    for told in told {
        answered.extend(told.payments.iter().chain(&told.refunds));
    }
    journalled.sort_unstable();
    answered.sort_unstable();
    assert_eq!(journalled, answered);
    let (payments, refunds) = told.iter().fold((0, 0), |(payments, refunds), told| {
        (payments + told.payments.len(), refunds + told.refunds.len())
    });
    let minor = |count: usize| i64::try_from(count).unwrap();
    assert_eq!(
        balance(&mut store, account_of(number)),
        100_000 - MINOR * minor(payments) + minor(refunds)
    );
    let reader = store.reader();
    for key in told.iter().flat_map(|told| &told.refunds) {
        let original = reader.transfer(key).unwrap().unwrap().transfer.original.unwrap();
        assert_eq!(reader.transfer(&original).unwrap().unwrap().refunded_minor, 1);
    }
}

#[test]
fn under_load_from_several_processes_nothing_is_lost_or_doubled() {
    // few enough for rows to be written and forgotten all the time
    let site = Site::with(|settings| {
        settings.pending_rows_max = 2;
        settings.remembered_rows_max = 4;
    });
    let (sent, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut told = std::thread::scope(|scope| {
        let mut writers = Vec::new();
        for number in [0, 1, 2] {
            for writer in 0..WRITERS {
                let writer = Writer {
                    process: site.process(),
                    number,
                    first: (u64::from(number) * WRITERS + writer) * 100_000,
                };
                let (sent, stop) = (&sent, &stop);
                writers.push((number, scope.spawn(move || writer.write(sent, stop))));
            }
        }
        reached(&sent, 150);
        run(site.to_b()).unwrap();
        reached(&sent, sent.load(Ordering::SeqCst) + 100);
        run(site.back_to_a()).unwrap();
        reached(&sent, sent.load(Ordering::SeqCst) + 100);
        run(site.to_b()).unwrap();
        reached(&sent, sent.load(Ordering::SeqCst) + 100);
        stop.store(true, Ordering::SeqCst);
        let ended = writers
            .into_iter()
            .map(|(number, writer)| (number, writer.join().unwrap()));
        ended.collect::<Vec<_>>()
    });
    for number in [0, 1, 2] {
        let (of_shard, others) = told.into_iter().partition::<Vec<_>, _>(|(of, _)| *of == number);
        let of_shard: Vec<Told> = of_shard.into_iter().map(|(_, told)| told).collect();
        check_told(&site, number, &of_shard);
        told = others;
    }
    site.check_moved();
}

#[test]
fn a_group_that_is_under_way_is_waited_for_and_comes_along() {
    let site = Site::start();
    let number = account_of(0);
    let mut store = site.process().open(shard(0));
    store.begin().unwrap();
    let (about_to, hand_over) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let moving = scope.spawn(|| {
            let mut told = |progress: MoveProgress| {
                if progress.step == MoveStep::HandingOver {
                    about_to.send(()).unwrap();
                }
            };
            site.to_b().run(&mut told, &|| false)
        });
        hand_over.recv_timeout(WAIT).unwrap();
        let deadline = Instant::now() + WAIT;
        let waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() \
             AND wait_event_type = 'Lock'";
        while site.a.sql(waits) != "t" {
            assert!(Instant::now() < deadline);
        }
        // whatever it is doing, the shard is this group's
        let rows = store.fetch(&ledger::view::Wanted::default()).unwrap();
        assert_eq!(rows, ledger::view::Rows::default());
        post(&mut store, &payment(1, number, 100)).unwrap();
        moving.join().unwrap().unwrap();
    });
    site.check_moved();
    assert_eq!(begun(&mut store), 3);
    assert!(is_repeat(&post(&mut store, &payment(1, number, 100)).unwrap()));
}

/// What is taken back of a transfer stands in its row alone, which was brought already.
#[test]
fn what_is_given_back_after_it_was_brought_comes_along() {
    let site = Site::start();
    let (mut store, number) = (site.process().open(shard(0)), account_of(0));
    let given = refund(11, 10, number, 2_000, 700);
    let all = [
        payment(10, number, 2_000),
        given.clone(),
        refund(12, 10, number, 2_000, 100),
        reversal(13, &given),
    ];
    for instruction in &all[..3] {
        post(&mut store, instruction).unwrap();
    }
    let mut pieces = 0;
    let mut told = |progress: MoveProgress| {
        // the first tells that it begins, the second of rows or of the first piece
        pieces += u32::from(progress.step == MoveStep::Copying && progress.done > 0);
        if pieces == 1 {
            pieces += 1;
            for instruction in &all[3..] {
                posted(&mut store, instruction);
            }
        }
    };
    site.to_b().run(&mut told, &|| false).unwrap();
    site.check_moved();
    let reader = site.process().open(shard(0)).reader();
    let found = |instruction: &Instruction| reader.transfer(instruction.key()).unwrap().unwrap();
    let [paid, given, ..] = all.each_ref().map(found);
    assert_eq!((paid.refunded_minor, given.reversed), (100, true));
}

#[test]
fn a_journal_of_many_pieces_moves_whole() {
    let site = Site::start();
    let mut store = site.process().open(shard(0));
    let number = account_of(0);
    for id in 0..400 {
        post(&mut store, &payment(id, number, 1)).unwrap();
    }
    // groups of a megabyte each, and more rows than are brought at a time
    site.a.sql(
        "UPDATE ledger.frame SET evidence = repeat('x', 1000000)::bytea WHERE shard = 0 AND last > 395; \
         INSERT INTO ledger.held SELECT decode('00ff', 'hex') || int4send(n), 'x' FROM generate_series(1, 12000) AS n",
    );
    let records = check_chain(&mut store);
    run(site.to_b()).unwrap();
    site.check_moved();
    assert_eq!(check_chain(&mut store), records);
    let counted = "SELECT concat_ws(' ', (SELECT count(*) FROM ledger.held WHERE get_byte(key, 0) = 0 AND \
         get_byte(key, 1) = 255), (SELECT sum(length(evidence)) FROM ledger.frame WHERE shard = 0 AND last > 395))";
    assert_eq!(site.b.sql(counted), "12000 7000000");
}

/// How many sessions wait for a lock that is no row's.
fn waiting(group: &Group) -> u32 {
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    group.sql(waiting).parse().unwrap()
}

/// Each would have locked a row that the other needs at its end.
#[test]
fn two_shards_that_change_places_do_not_wait_for_each_other() {
    let site = Site::start();
    let [a, b] = [&site.a, &site.b].map(|group| Arc::new(group.settings.clone()));
    let there = Move::new(shard(0), Arc::clone(&a), Arc::clone(&b), SHARDS);
    let back = Move::new(shard(2), b, a, SHARDS);
    let holds = [&site.a, &site.b].map(|group| Hold::at(Place::Marked, group));
    let steps = std::thread::scope(|scope| {
        let movers = [there, back].map(|mut moving| {
            scope.spawn(move || {
                let mut steps = Vec::new();
                let mut told = |progress: MoveProgress| {
                    if steps.last() != Some(&progress.step) {
                        steps.push(progress.step);
                    }
                };
                moving.run(&mut told, &|| false).map(|()| steps)
            })
        });
        let deadline = Instant::now() + WAIT;
        while waiting(&site.a) + waiting(&site.b) < 2 {
            assert!(Instant::now() < deadline, "they do not meet");
        }
        drop(holds);
        movers.map(|mover| mover.join().unwrap().unwrap())
    });
    let once = [MoveStep::Copying, MoveStep::HandingOver, MoveStep::Clearing];
    assert_eq!(steps, [once.to_vec(), once.to_vec()], "neither was tried again");
    site.check_moved();
    let process = site.process();
    for number in [0, 2] {
        posted(
            &mut process.open(shard(number)),
            &payment(1 + u64::from(number), account_of(number), 100),
        );
    }
}
