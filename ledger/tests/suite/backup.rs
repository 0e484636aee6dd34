//! `ledger backup` and `ledger restore`, as processes, on a ledger under load and on files that are not what they should be.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ledger_model::ShardId;
use serde_json::Value;
use tokio::time::Instant;

use crate::bank::{SHARDS, WAIT, evidence, now, payment, payout};
use crate::embedded::{copy, open_all};
use crate::groups::{accounts, fill, fill_more, post_at};
use crate::process::{Process, Told};

const CLIENTS: u64 = 8;
const CUSTOMERS: u64 = 16;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn lines(shown: &Value, shard: ShardId) -> Value {
    shown["shards"][shard.index()]["lines"].clone()
}

fn sequence(shown: &Value, shard: ShardId) -> u64 {
    shown["shards"][shard.index()]["sequence"].as_u64().unwrap()
}

/// The stores under `copy` pass the check, and have the balances that those under `original` had at the same records.
fn is_as_it_was(copy: &Path, original: &Path) -> Value {
    let checked = Told::at_rest(copy, "check", &[]);
    assert_eq!((checked.code, checked.err.as_str()), (0, ""), "{checked:?}");
    let balance = Told::at_rest(copy, "trial-balance", &["--json"]).json();
    let mut arguments = vec!["--json".to_owned()];
    for shard in SHARDS.all() {
        arguments.extend(["--at".to_owned(), format!("{shard}={}", sequence(&balance, shard))]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let before = Told::at_rest(original, "trial-balance", &arguments).json();
    for shard in SHARDS.all() {
        assert_eq!(lines(&balance, shard), lines(&before, shard), "shard {shard}");
        let head = |shown: &Value| shown["shards"][shard.index()]["head"].clone();
        assert_eq!(head(&balance), head(&before), "shard {shard}");
    }
    balance
}

/// Posts until told to stop.
async fn load(client: ledger_protocol::LedgerClient, next: Arc<AtomicU64>, ended: Arc<AtomicBool>) {
    while !ended.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let instruction = match number % 3 {
            0 => payout(number, number % CUSTOMERS, 200),
            _ => payment(number, number % CUSTOMERS, 100),
        };
        client
            .post(instruction.clone(), evidence(&instruction), Instant::now() + WAIT)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_under_load_is_backed_up_and_restored_to_any_position() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let process = Process::start(directory.path()).await;
    process.load(0..CUSTOMERS, "CNY1000000.00").await;
    let (next, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let loads: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(load(process.client.clone(), Arc::clone(&next), Arc::clone(&ended))))
        .collect();
    let backup = place("backup");
    let mut before = 0;
    for round in 0..4 {
        follow_and_kill(&process, &backup, Duration::from_millis(40 * round)).await;
        let told = process.command(&["backup", "--output", text(&backup)]);
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
        let reached = next.load(Ordering::Relaxed);
        assert!(reached > before, "it posts in between");
        before = reached;
    }
    ended.store(true, Ordering::Relaxed);
    for load in loads {
        load.await.unwrap();
    }
    process.kill();
    let data = place("data");
    let backed_up = is_as_it_was(&backup, &data);

    let mut to = Vec::new();
    for shard in SHARDS.all() {
        to.extend([
            "--to".to_owned(),
            format!("{shard}={}", sequence(&backed_up, shard) / 2),
        ]);
    }
    let half = place("half");
    let arguments: Vec<&str> = to.iter().map(String::as_str).collect();
    let told = Told::by(
        [
            &["restore", "--from", text(&backup), "--directory", text(&half)],
            &arguments[..],
        ]
        .concat(),
    );
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
    let restored = is_as_it_was(&half, &data);
    for shard in SHARDS.all() {
        let (reached, asked) = (sequence(&restored, shard), sequence(&backed_up, shard) / 2);
        assert!(reached <= asked, "shard {shard}");
        let begin = format!("shard {shard}: restored to record {reached},");
        let line = told.out.lines().find(|line| line.starts_with(&begin));
        let line = line.unwrap_or_else(|| panic!("{}", told.out));
        let inside = format!("record {asked} is inside a group that ends with record ");
        assert_eq!(line.contains(&inside), reached < asked, "{line}");
    }
    // and it is a ledger again
    let again = tempfile::tempdir().unwrap();
    std::fs::rename(&half, again.path().join("data")).unwrap();
    let process = Process::start(again.path()).await;
    process.post(&payment(9_000_000, 1, 100)).await;
    let running = process.command(&["trial-balance"]);
    assert_eq!(running.out.matches("equal to the state").count(), 4, "{running:?}");
}

/// Starts a backup that follows, and kills it before long.
async fn follow_and_kill(process: &Process, backup: &Path, after: Duration) {
    let mut following = Command::new(env!("CARGO_BIN_EXE_ledger"))
        .arg("--config")
        .arg(&process.config)
        .args(["backup", "--follow", "--output"])
        .arg(backup)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + WAIT;
    while !backup.join("shard-00").join("log-000001").exists() {
        assert!(Instant::now() < deadline, "the backup does not begin");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // not a wait for anything: the moment of the kill is what is tried out
    tokio::time::sleep(after).await;
    following.kill().unwrap();
    following.wait().unwrap();
}

/// Four shards, the first with groups of several records, on two days; and their backup.
fn books(directory: &Path) {
    let mut stores = open_all(&directory.join("data"));
    fill(stores[0].as_mut(), 4);
    let next_day = "2026-03-03T08:00:00".parse().unwrap();
    post_at(stores[0].as_mut(), &[payment(90, accounts()[1], 12_345)], next_day).unwrap();
    drop(stores);
    let told = back_up(directory);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
}

fn back_up(directory: &Path) -> Told {
    let output = directory.join("backup");
    Told::at_rest(&directory.join("data"), "backup", &["--output", text(&output)])
}

fn restore(directory: &Path, to: &str, more: &[&str]) -> Told {
    let (from, to) = (directory.join("backup"), directory.join(to));
    Told::by([&["restore", "--from", text(&from), "--directory", text(&to)], more].concat())
}

#[test]
fn what_is_new_is_added_and_nothing_else_is_touched() {
    let directory = tempfile::tempdir().unwrap();
    books(directory.path());
    let log = directory.path().join("backup/shard-00/log-000001");
    let before = std::fs::read(&log).unwrap();
    let again = back_up(directory.path());
    assert!(
        again.out.contains("shard 0: at record 24,") && again.out.contains("; 0 groups of 0 bytes copied"),
        "{again:?}"
    );
    assert_eq!(std::fs::read(&log).unwrap(), before);
    let mut stores = open_all(&directory.path().join("data"));
    fill_more(stores[0].as_mut(), 5..7);
    drop(stores);
    let more = back_up(directory.path());
    assert!(
        more.out.contains("shard 0: at record 30,") && more.out.contains("; 2 groups of "),
        "{more:?}"
    );
    assert!(std::fs::read(&log).unwrap().starts_with(&before));
    is_as_it_was(&directory.path().join("backup"), &directory.path().join("data"));
}

#[test]
fn restores_to_a_group_or_a_time() {
    let directory = tempfile::tempdir().unwrap();
    books(directory.path());
    let check = |name: &str, more: &[&str], told: &str| {
        let restored = restore(directory.path(), name, more);
        assert_eq!((restored.code, restored.err.as_str()), (0, ""), "{restored:?}");
        assert!(restored.out.lines().next().unwrap().contains(told), "{restored:?}");
        is_as_it_was(&directory.path().join(name), &directory.path().join("data"));
    };
    check("all", &[], "shard 0: restored to record 24,");
    check("exact", &["--to", "0=14"], "shard 0: restored to record 14,");
    check(
        "inside",
        &["--to", "0=16"],
        "; record 16 is inside a group that ends with record 17",
    );
    check("nothing", &["--to", "0=0"], "shard 0: restored to record 0,");
    check(
        "first-day",
        &["--to-time", "2026-03-02T10:00:00"],
        "shard 0: restored to record 23,",
    );
    check(
        "before",
        &["--to-time", "2020-01-01T00:00:00"],
        "shard 0: restored to record 0,",
    );
    check("shard-1", &["--to", "1=0"], "shard 0: restored to record 24,");
}

#[test]
fn what_cannot_be_restored_or_backed_up_is_told() {
    let directory = tempfile::tempdir().unwrap();
    books(directory.path());
    let check = |more: &[&str], code, told: &str| restore(directory.path(), "new", more).fails(code, told);
    check(&["--to", "9=1"], 1, "there is no shard 9; the backup is of 4");
    check(&["--to", "0"], 2, "a position is SHARD=SEQUENCE");
    check(
        &["--to", "0=1", "--to-time", "2026-03-02T10:00:00"],
        2,
        "cannot be used with",
    );
    restore(directory.path(), "data", &[]).fails(1, "the directory is not empty");
    check(&["--to", "0=25"], 1, "the backup of shard 0 has come to record 24 only");
    // of another shard than the first, too: nothing is there that would stand in the way of the next try
    check(
        &["--to", "0=1", "--to", "3=999"],
        1,
        "the backup of shard 3 has come to record",
    );
    assert!(!directory.path().join("new").exists());
    Told::by(["backup", "--output", "nowhere"]).fails(2, "--config FILE is needed");
    let missing = directory.path().join("missing");
    Told::at_rest(&missing, "backup", &["--output", text(&missing)]).fails(1, "could not read its log");

    // another ledger's stores under the same name
    std::fs::rename(directory.path().join("data"), directory.path().join("kept")).unwrap();
    let mut stores = open_all(&directory.path().join("data"));
    fill(stores[0].as_mut(), 2);
    post_at(stores[0].as_mut(), &[payment(91, accounts()[2], 1)], now()).unwrap();
    drop(stores);
    back_up(directory.path()).fails(1, "not the beginning of this store");
    // while somebody has it open
    let stores = open_all(&directory.path().join("kept"));
    let output = directory.path().join("other");
    let taken = Told::at_rest(&directory.path().join("kept"), "backup", &["--output", text(&output)]);
    taken.fails(1, "another process has the store open");
    drop(stores);
}

#[test]
fn a_damaged_backup_is_refused_and_a_torn_one_gone_on_from() {
    let directory = tempfile::tempdir().unwrap();
    books(directory.path());
    let log = Path::new("backup/shard-00/log-000001");
    let whole = std::fs::read(directory.path().join(log)).unwrap();
    for place in [100, whole.len() / 2, whole.len() * 3 / 4] {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        std::fs::write(directory.path().join(log), damaged).unwrap();
        let name = format!("from-{place}");
        restore(directory.path(), &name, &[]).fails(5, "a frame of its log is damaged, and others follow it");
    }
    for kept in [10, 40, whole.len() / 2, whole.len() - 1] {
        std::fs::write(directory.path().join(log), &whole[..kept]).unwrap();
        let told = back_up(directory.path());
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{kept}: {told:?}");
        assert_eq!(std::fs::read(directory.path().join(log)).unwrap(), whole, "{kept}");
    }
    copy(&directory.path().join("backup"), &directory.path().join("copied"));
    is_as_it_was(&directory.path().join("copied"), &directory.path().join("data"));
    // damage in the stores is not carried over
    let store = directory.path().join("data/shard-00/log-000001");
    let mut bytes = std::fs::read(&store).unwrap();
    bytes[whole.len() / 2] ^= 1;
    std::fs::write(&store, bytes).unwrap();
    std::fs::remove_dir_all(directory.path().join("backup")).unwrap();
    back_up(directory.path()).fails(5, "a frame of its log is damaged, and others follow it");
}
