//! Real processes, a real disk, real load, and kill -9 at random moments. After each: every posting that was answered is
//! there once, every one that was not is there once or not at all and a resend settles it, balances and chain hold.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
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
fn check(directory: &Path, ledgered: &Ledgered) {
    let stores = open_all(&directory.join("data"));
    let mut seen = BTreeSet::new();
    let mut balances: BTreeMap<AccountToken, i64> = BTreeMap::new();
    for store in &stores {
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
    check_balances(&stores, &balances);
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
    let mut seeded = Seeded::from_environment();
    let given = std::env::var(KILLS_VARIABLE).ok();
    let mut left = given.map_or(KILLS, |kills| kills.parse().unwrap());
    while left > 0 {
        let kills = left.min(KILLS_OF_ONE_MAX);
        kill_one(&mut seeded, kills).await;
        left -= kills;
        eprintln!("{left} kills left");
    }
}

/// One ledger from empty books on, killed so many times.
async fn kill_one(seeded: &mut Seeded, kills: u32) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("ledger.sock");
    let config = format!(
        "listen = \"unix:{}\"\ndirectory = \"data\"\nkept_days = 3660\nsnapshot_mib = 1\n[operations]\naddress = \"127.0.0.1:0\"\n",
        socket.display()
    );
    let mut file = std::fs::File::create(directory.path().join("ledger.toml")).unwrap();
    file.write_all(config.as_bytes()).unwrap();
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
        let loads: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(load(client.clone(), Arc::clone(&next))))
            .collect();
        // not a wait for anything: the moment of the kill is what is tried out
        tokio::time::sleep(Duration::from_millis(seeded.within(LIFE_MS))).await;
        drop(process);
        for load in loads {
            let Ledgered { answered, unanswered } = load.await.unwrap();
            ledgered.answered.extend(answered);
            ledgered.unanswered.extend(unanswered);
        }
        check(directory.path(), &ledgered);
        assert!(
            ledgered.answered.len() > posted_before,
            "kill {kill}: it worked in between"
        );
        posted_before = ledgered.answered.len();
    }
    let posted = ledgered.answered.values();
    let posted = posted.filter(|transfer| transfer.decision == Decision::Posted).count();
    assert!(posted > 100, "the load posts");
    let checked = Command::new(env!("CARGO_BIN_EXE_ledger"))
        .args(["check", "--directory"])
        .arg(directory.path().join("data"))
        .output()
        .unwrap();
    let told = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success() && told.lines().count() == 4, "{told}");
}
