//! Real processes, a real disk, real load, and kill -9 at random moments. After each: every posting that was answered is
//! there once, every one that was not is there once or not at all and a resend settles it, balances and chain hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use ledger::books::HeldAccount;
use ledger::store::Store;
use ledger::view::Wanted;
use ledger_journal::{ChainPosition, Event, JournalRecord};
use ledger_model::{AccountToken, Decision, Instruction, LedgerAccount, Side, Transfer, TransferKey};
use ledger_protocol::{LedgerClient, LoadBatch, PostReply};
use operations::endpoint::Endpoint;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use tokio::time::Instant;

use crate::bank::{WAIT, account, agreement, evidence, payment, payout, refund, token};
use crate::embedded::open_all;
use crate::postgres::Group;

/// A seed of one's own may be given here.
const SEED_VARIABLE: &str = "LEDGER_KILL_SEED";
/// Another number of kills may be given here, for a long run.
const KILLS_VARIABLE: &str = "LEDGER_KILLS";
const KILLS: u32 = 25;
/// Of one ledger; the next one begins with empty books, since after each kill all there is is checked.
const KILLS_OF_ONE_MAX: u32 = 50;
const ACCOUNTS: u64 = 40;
const CLIENTS: u64 = 24;
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
}

/// What was sent and what came of it, over all lives of the process.
#[derive(Default)]
struct Ledgered {
    answered: BTreeMap<TransferKey, Transfer>,
    unanswered: BTreeMap<TransferKey, Instruction>,
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        self.0.wait().unwrap();
    }
}

/// Where the books are.
pub(crate) enum Kept {
    Embedded,
    Postgres(Group),
}

impl Kept {
    /// What the configuration says of it.
    fn configured(&self) -> String {
        match self {
            Self::Embedded => String::new(),
            Self::Postgres(group) => group.configured(),
        }
    }

    /// Waits, so not on an executor's thread.
    fn open(&self, directory: &Path) -> Vec<Box<dyn Store>> {
        match self {
            Self::Embedded => open_all(&directory.join("data")),
            Self::Postgres(group) => group.open_all(),
        }
    }
}

fn start(directory: &Path) -> Killed {
    let log = std::fs::File::options()
        .append(true)
        .create(true)
        .open(directory.join("ledger.log"))
        .unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_ledger"))
        .arg("--config")
        .arg(directory.join("ledger.toml"))
        .arg("serve")
        .stderr(Stdio::from(log))
        .spawn()
        .unwrap();
    Killed(child)
}

fn instruction(number: u64) -> Instruction {
    let place = number % ACCOUNTS;
    match number % 8 {
        // of the payment eight before, perhaps never posted
        7 if number > 8 => refund(number, number - 9, (number - 9) % ACCOUNTS, 300, 10),
        5 => payout(number, place, 200),
        _ => payment(number, place, 300),
    }
}

/// Sends until the connection is lost; whatever was not answered then is not known.
async fn load(client: LedgerClient, next: Arc<AtomicU64>) -> Ledgered {
    let mut ledgered = Ledgered::default();
    loop {
        let instruction = instruction(next.fetch_add(1, Ordering::Relaxed));
        match client
            .post(instruction.clone(), evidence(&instruction), Instant::now() + WAIT)
            .await
        {
            PostReply::Decided {
                transfer,
                repeat: false,
            } => {
                ledgered.answered.insert(transfer.key, transfer);
            }
            PostReply::Unknown | PostReply::NothingPosted(_) => {
                ledgered.unanswered.insert(*instruction.key(), instruction);
                return ledgered;
            }
            other => panic!("a new key is posted once: {other:?}"),
        }
    }
}

/// Waits until the process answers, then has it settle what was left open.
async fn settle(client: &LedgerClient, ledgered: &mut Ledgered) {
    let deadline = Instant::now() + WAIT;
    while client.positions().await.is_err() {
        assert!(Instant::now() < deadline, "the ledger does not start");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for (key, instruction) in std::mem::take(&mut ledgered.unanswered) {
        let reply = client
            .post(instruction.clone(), evidence(&instruction), Instant::now() + WAIT)
            .await;
        let PostReply::Decided { transfer, .. } = reply else {
            panic!("a resend settles it: {reply:?}");
        };
        ledgered.answered.insert(key, transfer);
    }
}

/// Reads the books as the next process would find them.
fn check(kept: &Kept, directory: &Path, ledgered: &Ledgered) {
    // a store may wait, which an executor's thread must not
    std::thread::scope(|scope| {
        let checking = scope.spawn(|| check_books(&kept.open(directory), ledgered));
        checking.join().unwrap();
    });
}

fn check_books(stores: &[Box<dyn Store>], ledgered: &Ledgered) {
    let mut seen = BTreeSet::new();
    let mut balances: BTreeMap<AccountToken, i64> = BTreeMap::new();
    for store in stores {
        let reader = store.reader();
        let mut position = ChainPosition::start(store.state().shard);
        while position.sequence < store.state().sequence {
            for encoded in reader.journal(position.sequence + 1, 1 << 20).unwrap() {
                let record = JournalRecord::decode(&encoded).unwrap();
                position = position.follow(&record, &encoded).unwrap();
                for entry in record.event.entries() {
                    if let LedgerAccount::Customer(token) = entry.account {
                        let minor = entry.amount.minor();
                        *balances.entry(token).or_default() += match entry.side {
                            Side::Credit => minor,
                            Side::Debit => -minor,
                        };
                    }
                }
                if let Event::TransferDecided { transfer, .. } = record.event {
                    assert!(seen.insert(transfer.key), "{:?} is there twice", transfer.key);
                    let told = ledgered.answered.get(&transfer.key);
                    let open = ledgered.unanswered.contains_key(&transfer.key);
                    assert!(told == Some(&transfer) || open, "{transfer:?} was answered {told:?}");
                    assert_eq!(reader.transfer(&transfer.key).unwrap().unwrap().transfer, transfer);
                }
            }
        }
        assert_eq!(position.head, store.state().head);
        store.state().check_balanced().unwrap();
    }
    for key in ledgered.answered.keys() {
        assert!(seen.contains(key), "{key:?} was answered and is not there");
    }
    check_balances(stores, &balances);
}

fn check_balances(stores: &[Box<dyn Store>], balances: &BTreeMap<AccountToken, i64>) {
    for number in 0..ACCOUNTS {
        let wanted = Wanted {
            accounts: vec![token(number)],
            ..Wanted::default()
        };
        let rows = stores.iter().flat_map(|store| store.fetch(&wanted).unwrap().accounts);
        let [HeldAccount { account, .. }] = &rows.collect::<Vec<_>>()[..] else {
            panic!("account {number} is there once");
        };
        assert_eq!(account.balance.minor(), balances[&account.token], "account {number}");
    }
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
async fn killed_at_any_moment_it_forgets_nothing_it_answered() {
    kill_all(|| Kept::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_with_its_books_in_postgres_it_forgets_nothing_either() {
    kill_all(|| Kept::Postgres(Group::new())).await;
}

async fn kill_all(empty: impl Fn() -> Kept) {
    let mut seeded = Seeded::from_environment();
    let given = std::env::var(KILLS_VARIABLE).ok();
    let mut left = given.map_or(KILLS, |kills| kills.parse().unwrap());
    while left > 0 {
        let kills = left.min(KILLS_OF_ONE_MAX);
        kill_one(&empty(), &mut seeded, kills).await;
        left -= kills;
        eprintln!("{left} kills left");
    }
}

/// Waits until so many orders are sent.
async fn sent(next: &AtomicU64, count: u64) {
    let deadline = Instant::now() + WAIT;
    while next.load(Ordering::Relaxed) < count {
        assert!(Instant::now() < deadline, "orders are worked");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Writes the configuration of a process; its socket.
fn configure(directory: &Path, kept: &Kept) -> PathBuf {
    let socket = directory.join("ledger.sock");
    let config = format!(
        "listen = \"unix:{}\"\ndirectory = \"data\"\nkept_days = 3660\nsnapshot_mib = 1\n[operations]\naddress = \"127.0.0.1:0\"\n{}",
        socket.display(),
        kept.configured()
    );
    std::fs::write(directory.join("ledger.toml"), config).unwrap();
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_serve_one_group_and_one_goes_on_when_the_other_is_killed() {
    const EACH_TIME: u64 = 400;
    let kept = Kept::Postgres(Group::new());
    let next = Arc::new(AtomicU64::new(0));
    let mut ledgered = Ledgered::default();
    let mut running = Vec::new();
    for _ in 0..2 {
        let directory = tempfile::tempdir().unwrap();
        let socket = configure(directory.path(), &kept);
        let process = start(directory.path());
        let client = LedgerClient::connect(&Endpoint::unix(&socket)).unwrap();
        settle(&client, &mut ledgered).await;
        running.push((directory, process, client));
    }
    open_books(&running[0].2).await;
    let loads: Vec<_> = (0..CLIENTS)
        .flat_map(|_| running.iter().map(|(_, _, client)| client.clone()))
        .map(|client| tokio::spawn(load(client, Arc::clone(&next))))
        .collect();
    for count in [EACH_TIME, 2 * EACH_TIME] {
        sent(&next, count).await;
        drop(running.remove(0).1);
    }
    for load in loads {
        let Ledgered { answered, unanswered } = load.await.unwrap();
        ledgered.answered.extend(answered);
        ledgered.unanswered.extend(unanswered);
    }
    let directory = tempfile::tempdir().unwrap();
    check(&kept, directory.path(), &ledgered);
    let client = LedgerClient::connect(&Endpoint::unix(configure(directory.path(), &kept))).unwrap();
    let process = start(directory.path());
    settle(&client, &mut ledgered).await;
    drop(process);
    check(&kept, directory.path(), &ledgered);
}

/// One ledger from empty books on, killed so many times.
async fn kill_one(kept: &Kept, seeded: &mut Seeded, kills: u32) {
    let directory = tempfile::tempdir().unwrap();
    let socket = configure(directory.path(), kept);
    let next = Arc::new(AtomicU64::new(0));
    let mut ledgered = Ledgered::default();
    let mut posted_before = 0;
    for kill in 0..kills {
        let process = start(directory.path());
        let client = LedgerClient::connect(&Endpoint::unix(&socket)).unwrap();
        settle(&client, &mut ledgered).await;
        if kill == 0 {
            open_books(&client).await;
        }
        let before = next.load(Ordering::Relaxed);
        let loads: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(load(client.clone(), Arc::clone(&next))))
            .collect();
        // one client at least has been answered
        sent(&next, before + CLIENTS + 1).await;
        // not a wait for anything: the moment of the kill is what is tried out
        tokio::time::sleep(Duration::from_millis(seeded.within(LIFE_MS))).await;
        drop(process);
        for load in loads {
            let Ledgered { answered, unanswered } = load.await.unwrap();
            ledgered.answered.extend(answered);
            ledgered.unanswered.extend(unanswered);
        }
        check(kept, directory.path(), &ledgered);
        assert!(
            ledgered.answered.len() > posted_before,
            "kill {kill}: it worked in between"
        );
        posted_before = ledgered.answered.len();
    }
    let posted = ledgered.answered.values();
    let posted = posted.filter(|transfer| transfer.decision == Decision::Posted).count();
    assert!(posted > 100, "the load posts");
    if let Kept::Postgres(_) = kept {
        return;
    }
    let checked = Command::new(env!("CARGO_BIN_EXE_ledger"))
        .args(["check", "--directory"])
        .arg(directory.path().join("data"))
        .output()
        .unwrap();
    let told = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success() && told.lines().count() == 4, "{told}");
}
