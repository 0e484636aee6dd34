//! Why records stay in the embedded store though they are archived, and when they go.

use ledger::store::Store;
use ledger::store::embedded::{EmbeddedStore, StoreOptions};
use ledger::store::release::{KeptFor, ReleaseMode};
use ledger_model::{ChinaTime, HopState, Instruction};

use super::{numbers, open_accounts, order_all, until_releasable};
use crate::bank::{SHARDS, WAIT, elsewhere_than, payment, payout};
use crate::further::{close, take_in};
use crate::groups::{accounts, open, open_books, post, post_at, shard, small};

fn two_days() -> StoreOptions {
    StoreOptions {
        kept_days: 2,
        ..small()
    }
}

fn at(text: &str) -> ChinaTime {
    text.parse().unwrap()
}

/// A payment of that day, by its id.
fn paid_on(day: &str, number: u64) -> Instruction {
    let mut paid = payment(number, accounts()[0], 1);
    if let Instruction::Payment(payment) = &mut paid {
        payment.key.id = format!("{day}{number:016}0000000").parse().unwrap();
    }
    paid
}

/// Until the first records are kept for this, and nothing else.
fn until_kept_for(store: &mut dyn Store, why: KeptFor, mut step: impl FnMut(&mut dyn Store)) {
    let deadline = std::time::Instant::now() + WAIT;
    loop {
        step(store);
        let released = order_all(store, ReleaseMode::Release);
        assert_eq!(released.base.sequence, 0);
        if released.kept_for == Some(why) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{released:?}");
    }
}

fn begun(directory: &std::path::Path, options: StoreOptions) -> (EmbeddedStore, impl Iterator<Item = u64> + use<>) {
    let mut store = open(directory, options).unwrap();
    open_books(&mut store);
    (store, numbers(shard()).skip(accounts().len()))
}

#[test]
fn until_a_resend_would_not_be_worked_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, mut fresh) = begun(directory.path(), two_days());
    let first = paid_on("20260302", 1);
    post(&mut store, std::slice::from_ref(&first)).unwrap();
    let why = KeptFor::Repeats {
        of: "2026-03-02".parse().unwrap(),
        until: "2026-03-06".parse().unwrap(),
    };
    until_kept_for(&mut store, why, |store| open_accounts(store, &mut fresh));
    post_at(&mut store, &[paid_on("20260305", 2)], at("2026-03-05T23:59:59")).unwrap();
    until_kept_for(&mut store, why, |_| {});
    assert!(store.reader().transfer(first.key()).unwrap().is_some());
    post_at(&mut store, &[paid_on("20260306", 3)], at("2026-03-06T00:00:00")).unwrap();
    until_releasable(&mut store, 1, |store| open_accounts(store, &mut fresh));
    let released = order_all(&mut store, ReleaseMode::Release);
    assert!(released.base.sequence > 0);
    // a start with an older snapshot does not find them again, and finds what is kept
    drop(store);
    let store = open(directory.path(), two_days()).unwrap();
    assert_eq!(store.reader().transfer(first.key()).unwrap(), None);
    for kept in [paid_on("20260305", 2), paid_on("20260306", 3)] {
        assert!(store.reader().transfer(kept.key()).unwrap().is_some());
    }
}

/// Long after its key was forgotten.
fn with_hop(directory: &std::path::Path, hop: &Instruction) -> (EmbeddedStore, impl Iterator<Item = u64> + use<>) {
    let (mut store, mut fresh) = begun(directory, two_days());
    take_in(&mut store, std::slice::from_ref(hop));
    for _ in 0..12 {
        open_accounts(&mut store, &mut fresh);
    }
    post_at(&mut store, &[paid_on("20260310", 10)], at("2026-03-10T10:00:00")).unwrap();
    assert_eq!(store.reader().transfer(hop.key()).unwrap(), None);
    (store, fresh)
}

#[test]
fn until_what_was_taken_in_for_another_shard_is_at_rest() {
    let answered = crate::bank::now();
    let hop = payout(1, elsewhere_than(accounts()[0]), 50);
    let directory = tempfile::tempdir().unwrap();
    let (mut store, mut fresh) = with_hop(directory.path(), &hop);
    until_kept_for(&mut store, KeptFor::Hop { answered }, |store| {
        open_accounts(store, &mut fresh);
    });
    close(&mut store, &hop, HopState::Settled);
    until_releasable(&mut store, 1, |store| open_accounts(store, &mut fresh));

    let directory = tempfile::tempdir().unwrap();
    let (mut store, mut fresh) = with_hop(directory.path(), &hop);
    let refusal = ledger_model::Refusal::AccountClosed;
    close(&mut store, &hop, HopState::Unapplied(refusal));
    until_kept_for(&mut store, KeptFor::Hop { answered }, |store| {
        open_accounts(store, &mut fresh);
    });
}

#[test]
fn until_two_snapshots_need_them_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let once = StoreOptions {
        snapshot_bytes: u64::MAX,
        ..small()
    };
    let mut store = open(directory.path(), once).unwrap();
    let mut fresh = numbers(shard());
    until_kept_for(&mut store, KeptFor::Recovery, |store| {
        for _ in 0..9 {
            open_accounts(store, &mut fresh);
        }
    });
    drop(store);
    // the newest is damaged: that is one, and the one before it is needed
    let mut store = open(directory.path(), small()).unwrap();
    until_releasable(&mut store, 1, |store| open_accounts(store, &mut fresh));
    let snapshots = || {
        let listed = std::fs::read_dir(directory.path().join("shard-00")).unwrap();
        let mut paths: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("snapshot-0"));
        paths.sort();
        paths
    };
    drop(store);
    for path in snapshots() {
        let sound = std::fs::read(&path).unwrap();
        std::fs::write(&path, &sound[..sound.len() - 1]).unwrap();
        let mut store = open(directory.path(), small()).unwrap();
        let told = order_all(&mut store, ReleaseMode::Release);
        assert_eq!((told.base.sequence, told.kept_for), (0, Some(KeptFor::Recovery)));
        drop(store);
        std::fs::write(&path, sound).unwrap();
    }
    let mut store = open(directory.path(), small()).unwrap();
    assert!(order_all(&mut store, ReleaseMode::Release).base.sequence > 0);
    assert_eq!(store.base().position.shard, SHARDS.shard(0).unwrap());
}
