//! `replicate` from the ledger's stream, `compare` and `wait`, with a stand-in for the ledger.

use std::path::Path;
use std::time::Duration;

use batch_clearing::catch_up::{self, Wanted};
use batch_clearing::compare;
use batch_clearing::config::Config;
use batch_clearing::database::{self, Purpose};
use batch_clearing::ledger_positions;
use batch_clearing::replicate::{self, Origin, ReplicateFault};
use operations::stop::{Stop, StopSwitch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::fake_ledger::FakeLedger;
use crate::server::Database;
use crate::{Test, sample};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("commands::replicates_and_follows_the_ledger", follows),
        Test::new("commands::goes_on_after_losing_the_ledger", ledger_lost),
        Test::new("commands::goes_on_after_losing_postgres", postgres_lost),
        Test::new("commands::a_broken_chain_ends_replication", broken_chain),
        Test::new("commands::compare_finds_what_differs", compares),
    ]
}

pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// A configuration file for this database and ledger.
pub(crate) fn config_text(database: &Database, ledger: &FakeLedger, addition: &str) -> String {
    format!(
        "bank = \"{}\"\npostgres = \"{}\"\nledger = \"{}\"\noperations.address = \"127.0.0.1:0\"\n{addition}",
        sample::bank(),
        database.url,
        ledger.socket()
    )
}

pub(crate) fn config(database: &Database, ledger: &FakeLedger, addition: &str) -> Config {
    let text = config_text(database, ledger, addition);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("batch-clearing.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(Path::new(&path)).unwrap()
}

pub(crate) struct Replication {
    switch: StopSwitch,
    running: JoinHandle<Result<(), ReplicateFault>>,
}

impl Replication {
    pub(crate) fn start(config: &Config, origin: Origin) -> Self {
        let (switch, stop) = Stop::by_hand();
        Self {
            switch,
            running: tokio::spawn(replicate::run(config.clone(), origin, stop)),
        }
    }

    pub(crate) async fn stop(self) {
        self.switch.pull();
        self.running.await.unwrap().unwrap();
    }
}

/// Waits until the copy has what the ledger has.
pub(crate) async fn caught_up(database: &Database, ledger: &FakeLedger) {
    let wanted = Wanted::of_ledger(&ledger_positions::ask(&ledger.client()).await.unwrap());
    let client = database::connect(&database.url, Purpose::Command).await.unwrap();
    catch_up::wait(&client, &wanted, Instant::now() + LIMIT).await.unwrap();
}

fn journals(length: usize) -> Vec<Vec<Vec<u8>>> {
    (0..4)
        .map(|shard| sample::journal(sample::shard(shard), length))
        .collect()
}

async fn agrees(database: &Database, ledger: &FakeLedger) {
    let mut client = database.connect().await;
    let report = compare::run(&mut client, &ledger.client(), None, LIMIT).await.unwrap();
    assert!(report.agrees, "{:?}", report.differing().collect::<Vec<_>>());
    assert_eq!((report.copies, report.shards), (2, 4));
}

async fn follows(database: Database) {
    let ledger = FakeLedger::start(journals(100));
    let config = config(&database, &ledger, "");
    let replication = Replication::start(&config, Origin::Ledger);
    caught_up(&database, &ledger).await;
    for shard in 0..4 {
        ledger.set(shard, sample::journal(sample::shard(shard), 150));
    }
    caught_up(&database, &ledger).await;
    agrees(&database, &ledger).await;
    replication.stop().await;
    assert_eq!(database.number("SELECT count(*) FROM journal_record").await, 600);
}

async fn ledger_lost(database: Database) {
    let ledger = FakeLedger::start(journals(50));
    let config = config(&database, &ledger, "");
    let replication = Replication::start(&config, Origin::Ledger);
    caught_up(&database, &ledger).await;
    let ledger = ledger.restart();
    ledger.set(2, sample::journal(sample::shard(2), 90));
    caught_up(&database, &ledger).await;
    agrees(&database, &ledger).await;
    replication.stop().await;
}

async fn postgres_lost(database: Database) {
    let ledger = FakeLedger::start(journals(2_000));
    let config = config(
        &database,
        &ledger,
        "[replicate]\nchunk_records_max = 20\ncommit_every_ms = 1",
    );
    let replication = Replication::start(&config, Origin::Ledger);
    // cuts every connection again and again while records are being copied
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for copied in [200, 2_000, 4_000] {
        while database
            .number("SELECT COALESCE(sum(sequence), 0)::bigint FROM replication_position")
            .await
            < copied
        {
            tokio::task::yield_now().await;
        }
        database.number(cut).await;
    }
    caught_up(&database, &ledger).await;
    agrees(&database, &ledger).await;
    replication.stop().await;
    assert_eq!(database.number("SELECT count(*) FROM journal_record").await, 8_000);
    assert_eq!(
        database
            .number("SELECT count(DISTINCT (shard, sequence)) FROM transfer")
            .await,
        4 * 1_998
    );
}

async fn broken_chain(database: Database) {
    let mut torn = sample::journal(sample::shard(0), 30);
    torn.remove(20);
    let ledger = FakeLedger::start(journals(1));
    let replication = Replication::start(&config(&database, &ledger, ""), Origin::Ledger);
    ledger.set(0, torn);
    let fault = replication.running.await.unwrap().unwrap_err();
    assert_eq!(fault.to_string(), "shard 0: record 22 where 21 was due");
    assert!(
        database
            .number("SELECT COALESCE(max(sequence), 0) FROM journal_record")
            .await
            <= 20
    );
}

async fn compares(database: Database) {
    let ledger = FakeLedger::start(journals(40));
    let replication = Replication::start(&config(&database, &ledger, ""), Origin::Ledger);
    caught_up(&database, &ledger).await;
    replication.stop().await;
    let check = async |expected: &[&str]| {
        let mut client = database.connect().await;
        let report = compare::run(&mut client, &ledger.client(), None, Duration::from_millis(100))
            .await
            .unwrap();
        let differing: Vec<_> = report
            .differing()
            .map(|line| format!("{} {}", line.shard, line.figure))
            .collect();
        assert_eq!(differing, expected);
        assert_eq!(report.agrees, expected.is_empty());
    };
    check(&[]).await;
    database
        .execute("UPDATE entry SET minor = minor + 1 WHERE shard = 1 AND sequence = 7 AND side = 'D'")
        .await;
    check(&["1 debit CNY"]).await;
    database
        .execute("DELETE FROM transfer WHERE shard = 2 AND sequence = 7")
        .await;
    check(&["1 debit CNY", "2 posted"]).await;
    database
        .execute("DELETE FROM journal_record WHERE shard = 3 AND sequence = 7")
        .await;
    check(&["1 debit CNY", "2 posted", "3 records"]).await;
    // a ledger that lost what it had shipped
    ledger.set(0, sample::journal(sample::shard(0), 39));
    check(&["1 debit CNY", "2 posted", "3 records", "0 last record"]).await;
}
