//! What is compared with: fjall as anybody would use it first. Three keyspaces, a batch for each group, synced; the same
//! accounts, keys and requests, as many of them. No engine, no chain, no evidence to compress or digest: only the rows of
//! a posting.

use std::path::Path;
use std::time::Instant;

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use hdrhistogram::Histogram;

use crate::Extent;
use crate::figures::{Figures, cpu_micros};
use crate::work::{SHARDS, Spread, Stretch, Work, token};

const GROUP: u64 = 256;
const RECORD_BYTES: usize = 400;

const STRETCH: Stretch = Stretch {
    first: 0,
    spread: Spread::Zipf,
};

pub(crate) fn run(directory: &Path, extent: Extent, figures: &mut Figures) {
    let shards = u64::from(SHARDS.count());
    let databases: Vec<Database> = (0..shards)
        .map(|shard| loaded(&directory.join(shard.to_string()), shard, extent.accounts))
        .collect();
    let (cpu, began) = (cpu_micros(), Instant::now());
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..shards)
            .zip(&databases)
            .map(|(shard, database)| {
                scope.spawn(move || post(database, shard, extent.measured / shards, extent.accounts))
            })
            .collect();
        let mut all: Histogram<u64> = Histogram::new(3).unwrap();
        for thread in threads {
            all.add(thread.join().unwrap()).unwrap();
        }
        all
    });
    let took = began.elapsed().as_secs_f64();
    figures.whole("fjall_postings_per_s", (extent.measured as f64 / took) as u64);
    figures.decimal(
        "fjall_cpu_us_per_posting",
        (cpu_micros() - cpu) as f64 / extent.measured as f64,
    );
    figures.latencies("fjall_commit", &all);
}

/// With the accounts of one shard.
fn loaded(path: &Path, shard: u64, accounts: u64) -> Database {
    let database = Database::builder(path).open().unwrap();
    let rows = database.keyspace("accounts", KeyspaceCreateOptions::default).unwrap();
    for account in (0..accounts).filter(|account| shard_of(*account) == shard) {
        rows.insert(token(account).bytes(), [0; 87]).unwrap();
    }
    database.persist(PersistMode::SyncAll).unwrap();
    database
}

fn shard_of(account: u64) -> u64 {
    SHARDS.of_account(token(account)).number().into()
}

/// A group's commit, in microseconds.
fn post(database: &Database, shard: u64, count: u64, accounts: u64) -> Histogram<u64> {
    let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default).unwrap();
    let (rows, transfers, journal) = (keyspace("accounts"), keyspace("transfers"), keyspace("journal"));
    let work = Work::new(accounts, ledger::clock::wall_clock()());
    let mut latencies = Histogram::new(3).unwrap();
    for group in 0..count / GROUP {
        let mut batch = database.batch().durability(Some(PersistMode::SyncAll));
        for place in 0..GROUP {
            let number = (group * GROUP + place) * 4 + shard;
            let key = work.instruction(STRETCH, number).key().bytes();
            assert!(transfers.get(key).unwrap().is_none());
            let account = token(work.account_of(STRETCH, number)).bytes();
            let row = rows.get(account).unwrap();
            let balance = row.map_or(0, |row| u64::from_be_bytes(row.first_chunk().copied().unwrap()));
            let mut row = [0; 87];
            row.iter_mut()
                .zip((balance + 1).to_be_bytes())
                .for_each(|(place, byte)| *place = byte);
            let mut record = work.evidence(number).signed;
            record.resize(record.len() + RECORD_BYTES, 7);
            batch.insert(&rows, account, row);
            batch.insert(&transfers, key, number.to_be_bytes());
            batch.insert(&journal, number.to_be_bytes(), record);
        }
        let began = Instant::now();
        batch.commit().unwrap();
        latencies.record(began.elapsed().as_micros() as u64).unwrap();
    }
    latencies
}
