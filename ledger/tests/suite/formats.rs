//! Directories of each format there was, as the program of that time left them, open as what they were.
//!
//! Those of this format are made with `UPDATE_EXPECT=1`, once, before a new one begins: then they are left alone.

use std::path::{Path, PathBuf};

use ledger::books::InternalAccount;
use ledger::store::Store;
use ledger::store::embedded::{Checked, EmbeddedStore, check};
use ledger::view::Wanted;
use ledger_model::Currency;

use crate::bank::SHARDS;
use crate::embedded::copy;
use crate::further::{change_everything, holds_everything};
use crate::groups::{accounts, fill, fill_more, open, small};

/// What a directory holds in its first shard, as told when it was made; the other shards are empty.
struct Expected {
    name: &'static str,
    sequence: u64,
    head: &'static str,
    transfers_posted: u64,
    total_minor: i64,
}

const FORMAT_2: Expected = Expected {
    name: "format-2",
    sequence: 59,
    head: "0d86f8a3830684fd6aae02ea6808325fb6f502c6fc044ee3f6ce39eb52b35048",
    transfers_posted: 47,
    total_minor: 613_340,
};

const FORMAT_3: Expected = Expected {
    name: "format-3",
    sequence: 60,
    head: "6777541c9b31bea48f1729a8ae345d349810bae820fd093b19a4a103a9700446",
    transfers_posted: 38,
    total_minor: 611_693,
};

fn made(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Of which snapshots are kept or not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Snapshots {
    Kept,
    Lost,
}

fn a_copy_of(name: &str, snapshots: Snapshots) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    copy(&made(name), directory.path());
    if snapshots == Snapshots::Lost {
        for entry in std::fs::read_dir(directory.path().join("shard-00")).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with("snapshot-") {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    directory
}

fn check_state(checked: &Checked, expected: &Expected) {
    let state = &checked.state;
    assert_eq!(
        (state.sequence, state.head.to_string(), state.transfers_posted),
        (expected.sequence, expected.head.to_owned(), expected.transfers_posted)
    );
    let sides = state.totals[&Currency::CNY];
    assert_eq!(
        (sides.debit_minor, sides.credit_minor),
        (expected.total_minor, expected.total_minor)
    );
}

/// Opens as it was left, and goes on; what is written then is found again, and all of it checks.
fn goes_on(expected: &Expected, snapshots: Snapshots) {
    let directory = a_copy_of(expected.name, snapshots);
    check_state(&check(directory.path()).unwrap()[0], expected);
    let mut store = open(directory.path(), small()).unwrap();
    assert_eq!(store.state().sequence, expected.sequence);
    let opening = InternalAccount::OpeningBalances.in_currency(Currency::CNY);
    let wanted = Wanted {
        internal: vec![opening],
        ..Wanted::default()
    };
    let sums = store.fetch(&wanted).unwrap().internal;
    assert_eq!(
        sums[0].1.debit_minor, 600_000,
        "six accounts were opened with CNY1000.00 each"
    );
    fill_more(&mut store, 40..44);
    if expected.name == FORMAT_2.name {
        change_everything(&mut store, accounts()[0]);
    }
    holds_everything(&store, accounts()[0]);
    let after = store.state().clone();
    drop(store);
    assert_eq!(check(directory.path()).unwrap()[0].state, after);
    let store = open(directory.path(), small()).unwrap();
    assert_eq!(*store.state(), after);
    holds_everything(&store, accounts()[0]);
}

#[test]
fn a_directory_of_format_2_opens_and_goes_on() {
    goes_on(&FORMAT_2, Snapshots::Kept);
    goes_on(&FORMAT_2, Snapshots::Lost);
}

/// The program of format 2 would not know what is written now, and would take it for a torn end.
#[test]
fn nothing_is_written_into_a_segment_of_format_2() {
    let directory = a_copy_of(FORMAT_2.name, Snapshots::Kept);
    let mut store = open(directory.path(), small()).unwrap();
    fill_more(&mut store, 40..44);
    drop(store);
    for name in ["log-000001", "log-000002", "log-000003"] {
        let read = |directory: &Path| std::fs::read(directory.join("shard-00").join(name)).unwrap();
        assert_eq!(read(directory.path()), read(&made(FORMAT_2.name)), "{name}");
    }
    let next = std::fs::read(directory.path().join("shard-00/log-000004")).unwrap();
    assert_eq!(next[..8], *b"LSG2\0\0\0\x03");
}

#[test]
fn a_directory_of_format_3_opens_and_goes_on() {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        make(&made(FORMAT_3.name));
    }
    goes_on(&FORMAT_3, Snapshots::Kept);
    goes_on(&FORMAT_3, Snapshots::Lost);
}

/// Small, since it is kept for ever: without room that is only reserved.
fn make(directory: &Path) {
    let _nothing_was_there = std::fs::remove_dir_all(directory);
    for shard in SHARDS.all() {
        let mut store = EmbeddedStore::open_with(directory, SHARDS, shard, small()).unwrap();
        if shard.number() == 0 {
            fill(&mut store, 6);
            change_everything(&mut store, accounts()[0]);
            fill_more(&mut store, 20..26);
        }
        drop(store);
        let shard = directory.join(format!("shard-{:02}", shard.number()));
        std::fs::remove_file(shard.join("lock")).unwrap();
        for entry in std::fs::read_dir(shard).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            if path.file_name().unwrap().to_str().unwrap().starts_with("log-") {
                // a frame may end in zeros of its own
                std::fs::write(&path, &bytes[..(end + 64).min(bytes.len())]).unwrap();
            }
        }
    }
}
