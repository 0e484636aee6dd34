//! What the embedded store makes of files that are torn, damaged, old or missing, and of days that have passed.

use std::path::{Path, PathBuf};

use ledger::store::embedded::{EmbeddedStore, StoreOptions, check};
use ledger::store::{Store, StoreFault};
use ledger_model::{ChinaTime, Instruction};
use proptest::prelude::*;

use crate::bank::{SHARDS, WAIT, key, payment, refund};
use crate::embedded::copy;
use crate::groups::{
    ACCOUNTS, accounts, fill, fill_more, held, instruction, open, open_books, post, post_at, shard, small,
};
use crate::memory::MemoryStore;

/// Where files named `beginning…` are, in order.
pub(crate) fn files(directory: &Path, beginning: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.join("shard-00")).unwrap();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(beginning))
        .collect();
    found.sort();
    found
}

/// One segment is enough, and no snapshot.
fn plain() -> StoreOptions {
    StoreOptions {
        segment_bytes_max: 64 << 10,
        ..StoreOptions::default()
    }
}

/// Where each frame of a log begins, and where the last ends.
pub(crate) fn frames(log: &[u8]) -> Vec<usize> {
    let mut places = vec![32];
    while log
        .get(places[places.len() - 1]..)
        .is_some_and(|rest| rest.starts_with(b"LFR3"))
    {
        let at = places[places.len() - 1];
        let body = u32::from_be_bytes(log[at + 4..at + 8].try_into().unwrap());
        places.push(at + 36 + usize::try_from(body).unwrap());
    }
    places
}

#[test]
fn a_frame_torn_at_any_byte_is_cut_off_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), plain()).unwrap();
    let before = fill(&mut store, 2);
    let expected = held(&store, &before);
    let last = payment(900, accounts()[0], 5);
    post(&mut store, std::slice::from_ref(&last)).unwrap();
    let mut all = before.clone();
    all.push(last.clone());
    let whole = held(&store, &all);
    drop(store);
    let log = files(directory.path(), "log-").remove(0);
    let bytes = std::fs::read(&log).unwrap();
    let places = frames(&bytes);
    let [.., begins, ends] = places[..] else {
        panic!("there are frames");
    };
    for kept in begins..=ends {
        let mut torn = bytes.clone();
        torn[kept..].fill(0);
        std::fs::write(&log, &torn).unwrap();
        let mut store = open(directory.path(), plain()).unwrap();
        // a frame that ends in zeros may be whole without them
        if store.state().sequence == whole.sequence() {
            assert_eq!(held(&store, &all), whole);
            continue;
        }
        assert_eq!(held(&store, &before), expected, "torn at {kept}");
        assert!(kept < ends, "the whole frame is there");
        if kept % 97 == 0 {
            post(&mut store, std::slice::from_ref(&last)).unwrap();
            drop(store);
            let store = open(directory.path(), plain()).unwrap();
            assert_eq!(held(&store, &all), whole, "it goes on after the cut");
        }
    }
}

#[test]
fn damage_before_other_frames_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), plain()).unwrap();
    fill(&mut store, 4);
    drop(store);
    let log = files(directory.path(), "log-").remove(0);
    let bytes = std::fs::read(&log).unwrap();
    let places = frames(&bytes);
    let last = places[places.len() - 2];
    for place in (32..last).step_by(11) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x10;
        std::fs::write(&log, &damaged).unwrap();
        let refused = open(directory.path(), plain()).unwrap_err();
        assert!(matches!(refused, StoreFault::Inconsistent(_)), "at {place}: {refused}");
    }
    let mut cut = bytes[..places[2]].to_vec();
    cut.extend_from_slice(&bytes[places[3]..]);
    std::fs::write(&log, &cut).unwrap();
    let refused = open(directory.path(), plain()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the store contradicts itself: a group of its log is missing"
    );
}

#[test]
fn a_missing_segment_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), small()).unwrap();
    fill(&mut store, 40);
    drop(store);
    for snapshot in files(directory.path(), "snapshot-") {
        std::fs::remove_file(snapshot).unwrap();
    }
    let logs = files(directory.path(), "log-");
    assert!(logs.len() > 3, "{logs:?}");
    std::fs::remove_file(&logs[1]).unwrap();
    // the first alone would open: what follows it must not be overlooked, nor written over
    let refused = open(directory.path(), small()).unwrap_err();
    assert!(matches!(refused, StoreFault::Inconsistent(_)), "{refused}");
}

/// Commits until two snapshots are there, neither of the first group.
fn fill_until_snapshots(store: &mut dyn Store, directory: &Path) -> Vec<Instruction> {
    let mut all = fill(store, 10);
    let deadline = std::time::Instant::now() + WAIT;
    let mut group = 10;
    loop {
        let snapshots = files(directory, "snapshot-0");
        if snapshots.len() == 2 && !snapshots[0].ends_with("snapshot-0000000000000001") {
            return all;
        }
        assert!(std::time::Instant::now() < deadline, "{snapshots:?}");
        all.extend(fill_more(store, group..group + 1));
        group += 1;
    }
}

#[test]
fn a_snapshot_torn_missing_or_old_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), small()).unwrap();
    let all = fill_until_snapshots(&mut store, directory.path());
    let expected = held(&store, &all);
    drop(store);
    let snapshots = files(directory.path(), "snapshot-0");
    let [older, newer] = &snapshots[..] else {
        panic!("two are kept: {snapshots:?}");
    };
    let check = |what: &str| {
        let again = tempfile::tempdir().unwrap();
        copy(directory.path(), again.path());
        let store = open(again.path(), small()).unwrap();
        assert_eq!(held(&store, &all), expected, "{what}");
    };
    check("the newest");
    let bytes = std::fs::read(newer).unwrap();
    std::fs::write(newer, &bytes[..bytes.len() / 2]).unwrap();
    check("the newest is torn");
    std::fs::remove_file(newer).unwrap();
    check("an older one");
    let mut damaged = std::fs::read(older).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(older, damaged).unwrap();
    check("the older is damaged");
    std::fs::remove_file(older).unwrap();
    check("none");
}

#[test]
fn a_log_that_ends_before_its_snapshot_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let options = || StoreOptions {
        snapshot_bytes: 1,
        segment_bytes_max: 8 << 20,
        ..StoreOptions::default()
    };
    let mut store = open(directory.path(), options()).unwrap();
    fill_until_snapshots(&mut store, directory.path());
    drop(store);
    let log = files(directory.path(), "log-").remove(0);
    let mut bytes = std::fs::read(&log).unwrap();
    let places = frames(&bytes);
    bytes[places[1]..].fill(0);
    std::fs::write(&log, &bytes).unwrap();
    let refused = open(directory.path(), options()).unwrap_err();
    assert!(matches!(refused, StoreFault::Inconsistent(_)), "{refused}");
}

#[test]
fn a_store_that_is_checked_is_what_its_records_come_to() {
    // of one shard alone, as `check` goes through all
    let directory = tempfile::tempdir().unwrap();
    for shard in SHARDS.all() {
        drop(EmbeddedStore::open(directory.path(), SHARDS, shard).unwrap());
    }
    std::fs::remove_dir_all(directory.path().join("shard-00")).unwrap();
    let mut store = open(directory.path(), small()).unwrap();
    let sequence = {
        fill(&mut store, 30);
        store.state().sequence
    };
    assert!(matches!(check(directory.path()), Err(StoreFault::Taken)));
    drop(store);
    let checked = check(directory.path()).unwrap();
    assert_eq!((checked.len(), checked[0].state.sequence), (4, sequence));
    for snapshot in files(directory.path(), "snapshot-") {
        std::fs::remove_file(snapshot).unwrap();
    }
    // a balance in a frame, with a checksum that is right: whoever changes it knows the format
    let log = files(directory.path(), "log-").remove(0);
    let whole = std::fs::read(&log).unwrap();
    let places = frames(&whole);
    let balance = 100_000_i64.to_be_bytes();
    let frame = &whole[places[0]..places[1]];
    let found: Vec<usize> = (0..frame.len() - 8)
        .filter(|place| frame[*place..].starts_with(&balance))
        .collect();
    assert!(found.len() > 3 * ACCOUNTS, "in records and in rows: {}", found.len());
    for place in [found[0], found[found.len() - 1]] {
        let mut changed = whole.clone();
        changed[places[0] + place + 7] ^= 1;
        let sum =
            xxhash_rust::xxh3::xxh3_64_with_seed(&changed[places[0] + 16..places[1]], u64::from_be_bytes(*b"ledger 2"));
        changed[places[0] + 8..places[0] + 16].copy_from_slice(&sum.to_be_bytes());
        std::fs::write(&log, changed).unwrap();
        let found = check(directory.path()).unwrap_err();
        assert!(
            matches!(found, StoreFault::Inconsistent(_) | StoreFault::Content { .. }),
            "{found}"
        );
    }
}

#[test]
fn idempotency_records_expire_by_the_day_of_their_id() {
    let directory = tempfile::tempdir().unwrap();
    let options = || StoreOptions {
        kept_days: 2,
        ..small()
    };
    let mut store = open(directory.path(), options()).unwrap();
    open_books(&mut store);
    let payer = accounts()[0];
    let at = |text: &str| -> ChinaTime { text.parse().unwrap() };
    post(&mut store, &[payment(1, payer, 700)]).unwrap();
    let later = |day: &str, number: u64| -> Instruction {
        let mut later = payment(number, payer, 1);
        if let Instruction::Payment(payment) = &mut later {
            payment.key.id = format!("{day}{number:016}0000000").parse().unwrap();
        }
        later
    };
    let check = |store: &dyn Store, there: bool, what: &str| {
        let found = store.reader().transfer(&key("0110", 1)).unwrap();
        assert_eq!(found.is_some(), there, "{what}");
    };
    // kept for two days and one to spare
    post_at(&mut store, &[later("20260305", 2)], at("2026-03-05T00:00:01")).unwrap();
    check(&store, true, "three days later");
    // a refund still finds it
    post_at(&mut store, &[refund(3, 1, payer, 700, 100)], at("2026-03-05T00:00:02")).unwrap();
    let refunded = store.reader().transfer(&key("0110", 1)).unwrap().unwrap();
    assert_eq!(refunded.refunded_minor, 100);
    post_at(&mut store, &[later("20260306", 4)], at("2026-03-06T00:00:00")).unwrap();
    check(&store, false, "four days later");
    assert!(store.reader().transfer(later("20260305", 2).key()).unwrap().is_some());
    assert_eq!(
        store.reader().journal(1, usize::MAX).unwrap().len(),
        usize::try_from(store.state().sequence).unwrap(),
        "the journal keeps everything"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The memory store is the model. Groups are cut, and the store is killed, anywhere.
    #[test]
    fn any_groups_are_there_after_any_reopening(
        groups in prop::collection::vec((prop::collection::vec((0_u8..4, 0_usize..6, 0_u64..60, 1_i64..40_000), 1..9), any::<bool>()), 1..40),
        segment_kib in 4_u64..40,
        snapshot_kib in 1_u64..20,
    ) {
        let options = || StoreOptions {
            segment_bytes_max: segment_kib << 10,
            snapshot_bytes: snapshot_kib << 10,
            ..StoreOptions::default()
        };
        let directory = tempfile::tempdir().unwrap();
        let mut model = MemoryStore::new(shard());
        let mut store = open(directory.path(), options()).unwrap();
        open_books(&mut model);
        open_books(&mut store);
        let mut all: Vec<Instruction> = Vec::new();
        for (asked, reopens) in groups {
            let instructions: Vec<Instruction> = asked.into_iter().map(instruction).collect();
            post(&mut model, &instructions).unwrap();
            post(&mut store, &instructions).unwrap();
            all.extend(instructions);
            if reopens {
                drop(store);
                store = open(directory.path(), options()).unwrap();
            }
        }
        prop_assert_eq!(held(&store, &all), held(&model, &all));
        drop(store);
        let store = open(directory.path(), options()).unwrap();
        prop_assert_eq!(held(&store, &all), held(&model, &all));
    }
}
