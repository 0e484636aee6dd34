//! Real processes, a real disk, real load, and kill -9 at random moments. After each: every posting that was answered is
//! there once, every one that was not is there once or not at all and a resend settles it, balances and chain hold.
//!
//! Over both stores. Over PostgreSQL the server is killed too, alone or just before a ledger, and two ledgers may serve one
//! shard group.

mod books;
mod orders;
mod over_postgres;
mod stalled;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use ledger::books::HeldAccount;
use ledger::store::Store;
use ledger::view::Wanted;
use ledger_journal::{ChainPosition, JournalRecord};
use ledger_protocol::{LedgerClient, LoadBatch};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use self::books::Books;
use self::orders::{Load, Ordered};
use crate::bank::{account, agreement, token};
use crate::embedded::open_all;
use crate::process::Process;

/// A seed of one's own may be given here.
const SEED_VARIABLE: &str = "LEDGER_KILL_SEED";
/// Another number of kills may be given here, for a long run.
const KILLS_VARIABLE: &str = "LEDGER_KILLS";
const KILLS: u32 = 25;
/// Of one ledger; the next one begins with empty books, since after each kill all there is is checked.
const KILLS_OF_ONE_MAX: u32 = 50;
const ACCOUNTS: u64 = 40;
/// A process lives between these under load, milliseconds.
const LIFE_MS: std::ops::Range<u64> = 20..400;

struct Seeded(TestRng);

impl Seeded {
    fn from_environment() -> Self {
        let given = std::env::var(SEED_VARIABLE)
            .ok()
            .and_then(|text| text.parse::<u64>().ok());
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let seed = given.unwrap_or(u64::from(since.subsec_nanos()));
        eprintln!("{SEED_VARIABLE}={seed}");
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.0.next_u64() % (range.end - range.start)
    }

    fn one_of<'a>(&mut self, names: &[&'a str]) -> &'a str {
        let count = u64::try_from(names.len()).unwrap();
        names[usize::try_from(self.within(0..count)).unwrap()]
    }

    /// Not a wait for anything: the moment of a kill is what is tried out.
    async fn live(&mut self, range: std::ops::Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.within(range))).await;
    }
}

/// So many kills, or as many as are asked for, in pieces that each begin with empty books.
fn pieces(kills: u32) -> impl Iterator<Item = u32> {
    let given = std::env::var(KILLS_VARIABLE).ok();
    let mut left = given.map_or(kills, |kills| kills.parse().unwrap());
    std::iter::from_fn(move || {
        let piece = left.min(KILLS_OF_ONE_MAX);
        left -= piece;
        eprintln!("{left} kills left after {piece}");
        (piece > 0).then_some(piece)
    })
}

async fn open_books(client: &LedgerClient) {
    let batch = LoadBatch {
        accounts: (0..ACCOUNTS).map(|number| account(number, "CNY1000000.00")).collect(),
        agreements: (0..ACCOUNTS).map(agreement).collect(),
    };
    let mut replies = client.load(futures::stream::iter([batch])).await.unwrap();
    let reply = replies.next().await.unwrap().unwrap();
    assert_eq!(reply.refused, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_killed_at_any_moment_it_forgets_nothing_it_answered() {
    let mut seeded = Seeded::from_environment();
    for kills in pieces(KILLS) {
        kill_embedded(&mut seeded, kills).await;
    }
}

/// One ledger from empty books on, killed so many times.
async fn kill_embedded(seeded: &mut Seeded, kills: u32) {
    let directory = tempfile::tempdir().unwrap();
    let mut ordered = Ordered::default();
    for kill in 0..kills {
        let process = Process::start_as(directory.path(), "ledger", "snapshot_mib = 1\n").await;
        ordered.settle(std::slice::from_ref(&process.client)).await;
        if kill == 0 {
            open_books(&process.client).await;
        }
        let load = Load::start(std::slice::from_ref(&process.client), &mut ordered);
        seeded.live(LIFE_MS).await;
        process.kill();
        ordered.extend(load.lost().await);
        check_at_rest(&directory.path().join("data"), &ordered);
    }
    ordered.check_posted();
    let checked = Command::new(env!("CARGO_BIN_EXE_ledger"))
        .args(["check", "--directory"])
        .arg(directory.path().join("data"))
        .output()
        .unwrap();
    let told = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success() && told.lines().count() == 4, "{told}");
}

/// Reads the books as the next process would find them.
fn check_at_rest(directory: &Path, ordered: &Ordered) {
    let stores = open_all(directory);
    let mut books = Books::default();
    for store in &stores {
        let reader = store.reader();
        let mut position = ChainPosition::start(store.state().shard);
        while position.sequence < store.state().sequence {
            for encoded in reader.journal(position.sequence + 1, 1 << 20).unwrap() {
                let record = JournalRecord::decode(&encoded).unwrap();
                position = position.follow(&record, &encoded).unwrap();
                books.take(&record);
            }
        }
        assert_eq!(position.head, store.state().head);
        store.state().check_balanced().unwrap();
    }
    for (key, transfer) in &books.transfers {
        let found = stores.iter().filter_map(|store| store.reader().transfer(key).unwrap());
        let found: Vec<_> = found.map(|row| row.transfer).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), [transfer]);
    }
    books.compare(ordered);
    books.compare_balances((0..ACCOUNTS).map(|number| (number, balance_at_rest(&stores, number))));
}

fn balance_at_rest(stores: &[Box<dyn Store>], number: u64) -> i64 {
    let wanted = Wanted {
        accounts: vec![token(number)],
        ..Wanted::default()
    };
    let rows = stores.iter().flat_map(|store| store.fetch(&wanted).unwrap().accounts);
    let [HeldAccount { account, .. }] = &rows.collect::<Vec<_>>()[..] else {
        panic!("account {number} is there once");
    };
    account.balance.minor()
}
