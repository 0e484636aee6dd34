//! The embedded store: conformance, crashes, and directories that are not what they should be.

use std::path::Path;

use ledger::store::embedded::EmbeddedStore;
use ledger::store::{Store, StoreFault};
use ledger_model::{ShardCount, ShardId};

use crate::bank::{Running, SHARDS, payment};
use crate::conformance::conforms;

pub(crate) fn open_all(directory: &Path) -> Vec<Box<dyn Store>> {
    let open = |shard| -> Box<dyn Store> { Box::new(EmbeddedStore::open(directory, SHARDS, shard).unwrap()) };
    SHARDS.all().map(open).collect()
}

fn shard(count: u8, number: u8) -> (ShardCount, ShardId) {
    let count = ShardCount::new(count).unwrap();
    (count, count.shard(number).unwrap())
}

/// What a power failure would leave: the files as they are, while the process still has them open.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn conforms_over_crashes() {
    let directory = tempfile::tempdir().unwrap();
    for shard in SHARDS.all() {
        let generation = std::cell::Cell::new(0);
        let at = |generation: u32| directory.path().join(format!("{shard}-{generation}"));
        let store = EmbeddedStore::open(&at(0), SHARDS, shard).unwrap();
        conforms(Box::new(store), &|store| {
            let now = generation.get();
            generation.set(now + 1);
            copy(&at(now), &at(now + 1));
            drop(store);
            Box::new(EmbeddedStore::open(&at(now + 1), SHARDS, shard).unwrap())
        });
    }
}

#[test]
fn refuses_a_directory_of_another_shard_or_count() {
    let directory = tempfile::tempdir().unwrap();
    let (count, first) = shard(4, 0);
    drop(EmbeddedStore::open(directory.path(), count, first).unwrap());
    drop(EmbeddedStore::open(directory.path(), count, first).unwrap());
    let (fewer, first_of_two) = shard(2, 0);
    let refused = EmbeddedStore::open(directory.path(), fewer, first_of_two).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the store was created for shard 0 of 4, not for shard 0 of 2"
    );
    std::fs::rename(directory.path().join("shard-00"), directory.path().join("shard-01")).unwrap();
    let (count, second) = shard(4, 1);
    let refused = EmbeddedStore::open(directory.path(), count, second).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the store was created for shard 0 of 4, not for shard 1 of 4"
    );
}

#[test]
fn refuses_another_format() {
    let directory = tempfile::tempdir().unwrap();
    let (count, first) = shard(4, 0);
    let path = directory.path().join("shard-00");
    drop(fjall::Database::builder(&path).open().unwrap());
    let refused = EmbeddedStore::open(directory.path(), count, first).unwrap_err();
    assert!(matches!(refused, StoreFault::OldFormat), "{refused}");
    std::fs::remove_dir_all(&path).unwrap();

    drop(EmbeddedStore::open(directory.path(), count, first).unwrap());
    let log = path.join("log-000001");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[7] = 4;
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes[..24]);
    bytes[24..32].copy_from_slice(&sum.to_be_bytes());
    std::fs::write(&log, bytes).unwrap();
    let refused = EmbeddedStore::open(directory.path(), count, first).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the store is of format 4; this program reads and writes format 3"
    );
}

#[test]
fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let (count, first) = shard(4, 0);
    let held = EmbeddedStore::open(directory.path(), count, first).unwrap();
    let refused = EmbeddedStore::open(directory.path(), count, first).unwrap_err();
    assert!(matches!(refused, StoreFault::Taken), "{refused}");
    drop(held);
    drop(EmbeddedStore::open(directory.path(), count, first).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_goes_on_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(open_all(directory.path()));
    running.load(1..=20, "CNY100.00").await;
    let mut first = Vec::new();
    for number in 1..=20 {
        first.push(running.post(&payment(number, number, 700)).await);
    }
    let before = running.ledger.positions();
    drop(running);

    let running = Running::start(open_all(directory.path()));
    assert_eq!(running.ledger.positions(), before);
    for (number, before) in (1..=20).zip(first) {
        let ledger::outcome::Outcome::Decided {
            transfer,
            repeat: false,
        } = before
        else {
            panic!("{before:?}");
        };
        let again = running.post(&payment(number, number, 700)).await;
        assert_eq!(again, ledger::outcome::Outcome::Decided { transfer, repeat: true });
    }
    assert_eq!(running.ledger.positions(), before, "repeats leave no trace");
    assert_eq!(*running.faults.lock().unwrap(), Vec::<String>::new());
}
