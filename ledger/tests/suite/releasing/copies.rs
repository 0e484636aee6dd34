//! Backups of a store whose first records were released: begun before, and after.

use std::path::Path;

use ledger::store::embedded::{Copies, CopyFault, EmbeddedStore, Extent, StoreOptions, check};
use ledger::store::release::ReleaseMode;
use ledger::store::{Store, StoreFault};
use ledger_journal::ChainPosition;
use ledger_model::ShardId;

use super::{begins_at, is_released, numbers, open_accounts, order, order_all, position, until_releasable};
use crate::bank::SHARDS;
use crate::embedded::copy;
use crate::groups::{open, shard, small};

/// Enough to be released, the more is written, in the first shard; and the others, empty.
fn store(directory: &Path, records: u64) -> (EmbeddedStore, impl Iterator<Item = u64> + use<>) {
    for other in SHARDS.all().filter(|other| *other != shard()) {
        drop(EmbeddedStore::open_with(directory, SHARDS, other, small()).unwrap());
    }
    let mut store = open(directory, small()).unwrap();
    let mut fresh = numbers(shard());
    until_releasable(&mut store, records, |store| open_accounts(store, &mut fresh));
    (store, fresh)
}

fn released(store: &mut EmbeddedStore) -> ChainPosition {
    let released = order_all(store, ReleaseMode::Release);
    store.reader().clear().unwrap();
    released.base
}

fn back_up(from: &Path, to: &Path, extent: Extent) -> Result<ledger::store::embedded::Copied, CopyFault> {
    Copies::resumed(from, to).unwrap().copy(shard(), extent, |_| {})
}

fn committed(store: &EmbeddedStore) -> Extent {
    Extent::Committed(store.state().sequence)
}

/// What a copy opens as, and where, which has to be kept as long.
fn opened(directory: &Path) -> (tempfile::TempDir, EmbeddedStore) {
    let again = tempfile::tempdir().unwrap();
    copy(directory, again.path());
    let store = open(again.path(), small()).unwrap();
    (again, store)
}

fn of_store(store: &EmbeddedStore, from: u64) -> Vec<Vec<u8>> {
    store.reader().journal(from, usize::MAX).unwrap()
}

#[test]
fn a_backup_that_has_what_was_released_keeps_it_and_is_added_to() {
    let made = tempfile::tempdir().unwrap();
    let backup = tempfile::tempdir().unwrap();
    let data = made.path();
    let (mut store, mut fresh) = store(data, 100);
    back_up(data, backup.path(), committed(&store)).unwrap();
    let all = of_store(&store, 1);
    let base = released(&mut store);
    for _ in 0..20 {
        open_accounts(&mut store, &mut fresh);
        back_up(data, backup.path(), committed(&store)).unwrap();
    }
    let (_kept, copied) = opened(backup.path());
    assert_eq!(copied.state(), store.state());
    let whole = of_store(&copied, 1);
    assert_eq!(whole[..all.len()], all);
    assert_eq!(
        whole[usize::try_from(base.sequence).unwrap()..],
        of_store(&store, base.sequence + 1)
    );
    // from its first record on, as if nothing had been released
    let full = tempfile::tempdir().unwrap();
    for other in ["shard-01", "shard-02", "shard-03"] {
        copy(&data.join(other), &full.path().join(other));
    }
    copy(&backup.path().join("shard-00"), &full.path().join("shard-00"));
    let checked = check(full.path()).unwrap().remove(0);
    assert_eq!((checked.released, checked.state), (0, store.state().clone()));
    drop(store);
    let checked = check(data).unwrap().remove(0);
    assert_eq!(
        (checked.released, checked.state),
        (base.sequence, copied.state().clone())
    );
}

#[test]
fn a_backup_that_ends_before_what_is_left_is_not_added_to() {
    let made = tempfile::tempdir().unwrap();
    let data = made.path();
    drop(store(data, 200));
    // to every group up to a little beyond the base, on stores at rest
    let rest = tempfile::tempdir().unwrap();
    copy(data, rest.path());
    let mut store = open(data, small()).unwrap();
    let base = released(&mut store);
    let mut ends = Vec::new();
    for record in (base.sequence - 80..=base.sequence + 60).step_by(20) {
        let backup = tempfile::tempdir().unwrap();
        back_up(rest.path(), backup.path(), Extent::Record(record)).unwrap();
        let added = back_up(data, backup.path(), committed(&store));
        ends.push((record, added.is_ok()));
        match added {
            Ok(_) => assert_eq!(opened(backup.path()).1.state(), store.state()),
            Err(CopyFault::Released { reached, through }) => {
                assert_eq!((reached, through), (record, base.sequence));
            }
            Err(other) => panic!("{other}"),
        }
    }
    let expected = |record: &u64| *record >= base.sequence;
    assert!(
        ends.iter().all(|(record, added)| *added == expected(record)),
        "{base:?}: {ends:?}"
    );
    assert!(
        ends.iter().any(|(record, _)| *record == base.sequence),
        "exactly where the store begins"
    );
}

#[test]
fn a_backup_that_is_begun_afterwards_has_base_and_snapshot() {
    let made = tempfile::tempdir().unwrap();
    let data = made.path();
    let (mut store, mut fresh) = store(data, 100);
    released(&mut store);
    let backup = tempfile::tempdir().unwrap();
    let in_backup = |name: &str| backup.path().join("shard-00").join(name);
    for round in 0..30 {
        back_up(data, backup.path(), committed(&store)).unwrap();
        let (_kept, copied) = opened(backup.path());
        assert_eq!(copied.state(), store.state());
        begins_at(&copied, &store.base());
        open_accounts(&mut store, &mut fresh);
        assert_eq!(std::fs::metadata(in_backup("log-000001")).unwrap().len(), 32);
        if round == 20 {
            // as where it was killed before the snapshot was there: no store, and says so, until it is gone on with
            for entry in std::fs::read_dir(backup.path().join("shard-00")).unwrap() {
                let path = entry.unwrap().path();
                if path.to_str().unwrap().contains("snapshot-") {
                    std::fs::remove_file(path).unwrap();
                }
            }
            let refused = open(backup.path(), small()).unwrap_err();
            assert!(matches!(refused, StoreFault::NoSnapshot { .. }), "{refused}");
            std::fs::write(in_backup("snapshot-next"), b"LSN2").unwrap();
        }
    }
    // the store goes on to release; the backup keeps what it has
    let before = store.base().position.sequence;
    until_releasable(&mut store, before + 100, |store| open_accounts(store, &mut fresh));
    back_up(data, backup.path(), committed(&store)).unwrap();
    released(&mut store);
    open_accounts(&mut store, &mut fresh);
    back_up(data, backup.path(), committed(&store)).unwrap();
    let (_kept, copied) = opened(backup.path());
    assert_eq!(
        (copied.state(), copied.base().position.sequence),
        (store.state(), before)
    );
    is_released(copied.reader().journal(before, 1), before);
}

#[test]
fn it_is_restored_to_any_record_from_its_snapshot_on() {
    let made = tempfile::tempdir().unwrap();
    let data = made.path();
    let (mut store, mut fresh) = store(data, 100);
    released(&mut store);
    for _ in 0..10 {
        open_accounts(&mut store, &mut fresh);
    }
    let backup = tempfile::tempdir().unwrap();
    back_up(data, backup.path(), committed(&store)).unwrap();
    let of_first = |copies: &Copies| copies.earliest(shard()).unwrap().unwrap().record;
    let restored = tempfile::tempdir().unwrap();
    let to = |name: &str| Copies::fresh(backup.path(), &restored.path().join(name)).unwrap();
    let earliest = of_first(&to("asked"));
    assert!(earliest > store.base().position.sequence && earliest < store.state().sequence);
    for (name, record) in [
        ("first", earliest),
        ("later", earliest + 25),
        ("last", store.state().sequence),
    ] {
        let copied = to(name).copy(shard(), Extent::Record(record), |_| {}).unwrap();
        let again = open(&restored.path().join(name), small()).unwrap();
        let there = again.state();
        assert_eq!(
            (there.sequence, there.head),
            (copied.position.sequence, copied.position.head)
        );
        assert!(there.sequence <= record && there.sequence + 20 > record);
        assert_eq!(position(&store, there.sequence).head, there.head);
        begins_at(&again, &store.base());
    }
    let too_early = to("early").copy(shard(), Extent::Record(earliest - 1), |_| {});
    assert!(matches!(too_early, Err(CopyFault::NoSnapshot)), "{too_early:?}");
    let of_another: ShardId = SHARDS.shard(1).unwrap();
    drop(EmbeddedStore::open_with(backup.path(), SHARDS, of_another, StoreOptions::default()).unwrap());
    assert!(
        Copies::resumed(backup.path(), data)
            .unwrap()
            .earliest(of_another)
            .unwrap()
            .is_none()
    );
    let mut again = open(&restored.path().join("later"), small()).unwrap();
    let refused = order(&mut again, store.base().position, None, ReleaseMode::Release).unwrap();
    assert_eq!(refused.base, store.base().position, "it is a store like any other");
}
