//! A store whose first records were released, of which something else is lost.

use std::path::Path;

use ledger::store::embedded::{EmbeddedStore, check};
use ledger::store::release::ReleaseMode;
use ledger::store::{Store, StoreFault};

use super::{numbers, open_accounts, order_all, until_releasable};
use crate::bank::SHARDS;
use crate::damage::{files, frames};
use crate::embedded::copy;
use crate::groups::{open, shard, small};

fn released() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path(), small()).unwrap();
    let mut fresh = numbers(shard());
    until_releasable(&mut store, 200, |store| open_accounts(store, &mut fresh));
    order_all(&mut store, ReleaseMode::Release);
    store.reader().clear().unwrap();
    directory
}

/// Opens a copy that was changed; nothing is made or removed where it is refused.
fn opened(made: &Path, change: impl Fn(&Path)) -> Result<EmbeddedStore, StoreFault> {
    let directory = tempfile::tempdir().unwrap();
    copy(made, directory.path());
    change(directory.path());
    let before = files(directory.path(), "");
    let opened = open(directory.path(), small());
    if opened.is_err() {
        assert_eq!(files(directory.path(), ""), before);
    }
    opened
}

#[track_caller]
fn refused(made: &Path, why: &str, change: impl Fn(&Path)) {
    let fault = opened(made, change).unwrap_err();
    assert!(fault.to_string().contains(why), "{fault}");
}

#[test]
fn a_base_that_is_not_what_it_was_is_refused_at_any_byte() {
    let made = released();
    let path = |directory: &Path| directory.join("shard-00/base");
    let sound = std::fs::read(path(made.path())).unwrap();
    for place in 0..sound.len() {
        refused(made.path(), "does not read", |directory| {
            let mut altered = sound.clone();
            altered[place] ^= 0x10;
            std::fs::write(path(directory), altered).unwrap();
        });
    }
    for length in [0, 1, sound.len() / 2, sound.len() - 1, sound.len() + 1, 5_000] {
        refused(made.path(), "does not read", |directory| {
            let mut altered = sound.clone();
            altered.resize(length, 0);
            std::fs::write(path(directory), altered).unwrap();
        });
    }
}

#[test]
fn a_base_that_is_lost_or_of_another_log_is_refused() {
    let made = released();
    // never taken for an empty directory
    refused(made.path(), "a segment of its log is missing", |directory| {
        std::fs::remove_file(directory.join("shard-00/base")).unwrap();
    });
    refused(made.path(), "a segment of its log is missing", |directory| {
        std::fs::remove_file(directory.join("shard-00/base")).unwrap();
        for path in files(directory, "snapshot-") {
            std::fs::remove_file(path).unwrap();
        }
    });
    refused(made.path(), "a segment of its log is missing", |directory| {
        std::fs::remove_file(files(directory, "log-").remove(1)).unwrap();
    });
    refused(made.path(), "a segment of its log is missing", |directory| {
        for path in files(directory, "log-") {
            std::fs::remove_file(path).unwrap();
        }
    });
    // of the same ledger, at another time
    let earlier = tempfile::tempdir().unwrap();
    copy(made.path(), earlier.path());
    let mut store = open(made.path(), small()).unwrap();
    let mut fresh = numbers(shard()).skip(20_000);
    let more = store.base().position.sequence + 200;
    until_releasable(&mut store, more, |store| open_accounts(store, &mut fresh));
    order_all(&mut store, ReleaseMode::Release);
    store.reader().clear().unwrap();
    drop(store);
    opened(made.path(), |_| {}).unwrap();
    refused(made.path(), "a segment of its log is missing", |directory| {
        std::fs::copy(earlier.path().join("shard-00/base"), directory.join("shard-00/base")).unwrap();
    });
    refused(earlier.path(), "a segment of its log is missing", |directory| {
        let base = std::fs::read(made.path().join("shard-00/base")).unwrap();
        std::fs::write(directory.join("shard-00/base"), base).unwrap();
        let last = files(directory, "log-").len();
        for path in files(directory, "log-").drain(1..last) {
            std::fs::remove_file(path).unwrap();
        }
    });
    let other = tempfile::tempdir().unwrap();
    std::fs::create_dir(other.path().join("shard-01")).unwrap();
    std::fs::copy(made.path().join("shard-00/base"), other.path().join("shard-01/base")).unwrap();
    let second = SHARDS.shard(1).unwrap();
    let fault = EmbeddedStore::open_with(other.path(), SHARDS, second, small()).unwrap_err();
    assert!(fault.to_string().contains("is of another shard"), "{fault}");
}

#[test]
fn one_of_two_snapshots_may_be_lost_and_not_both() {
    let made = released();
    let expected = open(made.path(), small()).unwrap().state().clone();
    let lose = |directory: &Path, which: &[usize], damages: bool| {
        let snapshots = files(directory, "snapshot-0");
        assert_eq!(snapshots.len(), 2);
        for place in which {
            if damages {
                let mut bytes = std::fs::read(&snapshots[*place]).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(&snapshots[*place], bytes).unwrap();
            } else {
                std::fs::remove_file(&snapshots[*place]).unwrap();
            }
        }
    };
    for damages in [true, false] {
        for one in [0, 1] {
            let store = opened(made.path(), |directory| lose(directory, &[one], damages)).unwrap();
            assert_eq!(*store.state(), expected);
        }
        refused(made.path(), "restore the store from its backup", |directory| {
            lose(directory, &[0, 1], damages);
        });
    }
}

/// Though it goes from the base on, and opening reads none of it.
#[test]
fn a_check_finds_what_was_altered_by_whoever_knows_the_form() {
    let made = released();
    for other in SHARDS.all().filter(|other| *other != shard()) {
        drop(EmbeddedStore::open_with(made.path(), SHARDS, other, small()).unwrap());
    }
    let state = open(made.path(), small()).unwrap().state().clone();
    let checked = check(made.path()).unwrap().remove(0);
    assert!(checked.released > 0);
    assert_eq!(checked.state, state);
    let log = files(made.path(), "log-").remove(1);
    let whole = std::fs::read(&log).unwrap();
    let places = frames(&whole);
    let balance = 100_000_i64.to_be_bytes();
    let frame = &whole[places[0]..places[1]];
    let found: Vec<usize> = (0..frame.len() - 8)
        .filter(|place| frame[*place..].starts_with(&balance))
        .collect();
    // in records and in rows
    for place in [found[0], found[found.len() - 1]] {
        let mut changed = whole.clone();
        changed[places[0] + place + 7] ^= 1;
        let sum =
            xxhash_rust::xxh3::xxh3_64_with_seed(&changed[places[0] + 16..places[1]], u64::from_be_bytes(*b"ledger 2"));
        changed[places[0] + 8..places[0] + 16].copy_from_slice(&sum.to_be_bytes());
        std::fs::write(&log, changed).unwrap();
        let found = check(made.path()).unwrap_err();
        assert!(
            matches!(found, StoreFault::Inconsistent(_) | StoreFault::Content { .. }),
            "{found}"
        );
    }
    std::fs::write(&log, whole).unwrap();
    check(made.path()).unwrap();
}
