//! A million postings by 64 clients on 100 accounts, through the service of a real process that is killed right after the
//! last answer. The journal is then replayed one record after the other by what is written here alone, and must come to
//! every answer that was given and to every balance in the books.
//!
//! Accounts run dry all the time, so an order of events other than the journal's would show: each refusal is held against
//! the balance at its place, each posting too.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../suite/bank.rs"]
#[allow(dead_code, reason = "the bank of the suite, of which little is needed here")]
mod bank;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use futures::future::{join, join_all};
use ledger::store::Store;
use ledger::store::embedded::EmbeddedStore;
use ledger::view::Wanted;
use ledger_journal::{ChainPosition, Event, JournalRecord};
use ledger_model::{
    AccountToken, Decision, Entry, Instruction, LedgerAccount, Refusal, Side, Transfer, TransferKey, TransferKind,
};
use ledger_protocol::{LedgerClient, LoadBatch, PostReply};
use operations::endpoint::Endpoint;
use tokio::time::{Duration, Instant};

use crate::bank::{SHARDS, account, agreement, evidence, payment, payout, token};

const POSTINGS: u64 = 1_000_000;
const CLIENTS: usize = 64;
/// Each has under way.
const WINDOW: usize = 24;
const ACCOUNTS: u64 = 100;
const OPENING: i64 = 10_000;
/// One message in so many is sent by two clients at once.
const TWICE_EVERY: u64 = 50;
/// On a machine that does much else besides.
const LIMIT: Duration = Duration::from_mins(20);

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        self.0.wait().unwrap();
    }
}

fn start(directory: &Path) -> Ended {
    let config = "listen = \"unix:ledger.sock\"\ndirectory = \"data\"\nkept_days = 3660\nlog = \"error\"\n\
        [operations]\naddress = \"127.0.0.1:0\"\n";
    std::fs::write(directory.join("ledger.toml"), config).unwrap();
    let program = Command::new(env!("CARGO_BIN_EXE_ledger"))
        .arg("--config")
        .arg(directory.join("ledger.toml"))
        .arg("serve")
        .spawn();
    Ended(program.unwrap())
}

/// Splitmix64.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Five payments for three payouts of as much on average.
fn instruction(number: u64) -> Instruction {
    let drawn = mixed(number);
    let of = drawn % ACCOUNTS;
    let minor = 1 + i64::try_from(drawn >> 32 & 0x7FF).unwrap();
    if drawn >> 16 & 7 < 5 {
        payment(number, of, minor)
    } else {
        payout(number, of, minor)
    }
}

async fn answered(client: &LedgerClient, instruction: Instruction) -> (Transfer, bool) {
    let evidence = evidence(&instruction);
    match client.post(instruction, evidence, Instant::now() + LIMIT).await {
        PostReply::Decided { transfer, repeat } => (transfer, repeat),
        other => panic!("every one is decided: {other:?}"),
    }
}

/// Posts until there is nothing left; `other` is the client that sends what is sent twice.
async fn post(client: LedgerClient, other: LedgerClient, next: Arc<AtomicU64>) -> Vec<Transfer> {
    let mut all = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= POSTINGS {
            return all;
        }
        let transfer = if number.is_multiple_of(TWICE_EVERY) {
            let both = join(
                answered(&client, instruction(number)),
                answered(&other, instruction(number)),
            );
            let ((left, left_repeats), (right, right_repeats)) = both.await;
            assert!(left == right && left_repeats != right_repeats, "{left:?} {right:?}");
            left
        } else {
            let (transfer, repeat) = answered(&client, instruction(number)).await;
            assert!(!repeat, "{transfer:?}");
            transfer
        };
        all.push(transfer);
    }
}

async fn open_books(client: &LedgerClient) {
    let deadline = Instant::now() + LIMIT;
    while client.positions().await.is_err() {
        assert!(Instant::now() < deadline, "the ledger does not start");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let batch = LoadBatch {
        accounts: (0..ACCOUNTS).map(|number| account(number, "CNY100.00")).collect(),
        agreements: (0..ACCOUNTS).map(agreement).collect(),
    };
    let mut replies = client.load(futures::stream::iter([batch])).await.unwrap();
    assert_eq!(replies.next().await.unwrap().unwrap().refused, []);
}

/// What the journal comes to, replayed in its order.
#[derive(Default)]
struct Replayed {
    balances: BTreeMap<AccountToken, i64>,
    decided: BTreeMap<TransferKey, Transfer>,
    refused: u64,
}

impl Replayed {
    fn take(&mut self, event: Event) {
        match event {
            Event::AccountOpened { account, entries } => {
                assert_eq!(account.balance.minor(), OPENING);
                self.enter(&entries);
            }
            Event::TransferDecided { transfer, entries, .. } => self.decided(transfer, &entries),
            _ => {}
        }
    }

    fn decided(&mut self, transfer: Transfer, entries: &[Entry]) {
        let balance = self.balances[&transfer.account.unwrap()];
        let enough = transfer.kind == TransferKind::Payout || balance >= transfer.amount.minor();
        let expected = if enough {
            Decision::Posted
        } else {
            Decision::Refused(Refusal::BalanceShort)
        };
        assert_eq!(transfer.decision, expected, "{transfer:?} with a balance of {balance}");
        assert_eq!(entries.is_empty(), !enough, "{transfer:?}");
        self.refused += u64::from(!enough);
        self.enter(entries);
        let moved = self.balances[&transfer.account.unwrap()] - balance;
        let due = match (enough, transfer.kind) {
            (false, _) => 0,
            (true, TransferKind::Payout) => transfer.amount.minor(),
            (true, _) => -transfer.amount.minor(),
        };
        assert_eq!(moved, due, "{transfer:?}");
        let before = self.decided.insert(transfer.key, transfer);
        assert_eq!(before, None, "a key is decided once");
    }

    fn enter(&mut self, entries: &[Entry]) {
        let mut sum = 0;
        for entry in entries {
            let minor = match entry.side {
                Side::Credit => entry.amount.minor(),
                Side::Debit => -entry.amount.minor(),
            };
            sum += minor;
            if let LedgerAccount::Customer(token) = entry.account {
                let balance = self.balances.entry(token).or_default();
                *balance += minor;
                assert!(*balance >= 0, "{token} falls below zero");
            }
        }
        assert_eq!(sum, 0, "debits equal credits");
    }
}

fn replay(stores: &[EmbeddedStore]) -> Replayed {
    let mut replayed = Replayed::default();
    for store in stores {
        let reader = store.reader();
        let mut position = ChainPosition::start(store.state().shard);
        while position.sequence < store.state().sequence {
            for encoded in reader.journal(position.sequence + 1, 1 << 20).unwrap() {
                let record = JournalRecord::decode(&encoded).unwrap();
                position = position.follow(&record, &encoded).unwrap();
                replayed.take(record.event);
            }
        }
        assert_eq!(position.head, store.state().head);
    }
    replayed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_postings_of_64_clients_are_what_one_after_the_other_would_be() {
    let directory = tempfile::tempdir().unwrap();
    let process = start(directory.path());
    let endpoint = Endpoint::unix(directory.path().join("ledger.sock"));
    let clients: Vec<LedgerClient> = (0..CLIENTS)
        .map(|_| LedgerClient::connect(&endpoint).unwrap())
        .collect();
    open_books(&clients[0]).await;
    let next = Arc::new(AtomicU64::new(0));
    let posting = (0..CLIENTS * WINDOW).map(|place| {
        let (client, other) = (&clients[place % CLIENTS], &clients[(place + 1) % CLIENTS]);
        tokio::spawn(post(client.clone(), other.clone(), Arc::clone(&next)))
    });
    let posted = join_all(posting.collect::<Vec<_>>()).await;
    drop(process);

    let data = directory.path().join("data");
    let stores: Vec<EmbeddedStore> = SHARDS
        .all()
        .map(|shard| EmbeddedStore::open(&data, SHARDS, shard).unwrap())
        .collect();
    let mut replayed = replay(&stores);
    assert!(
        replayed.refused > POSTINGS / 100,
        "accounts run dry: {}",
        replayed.refused
    );
    for transfer in posted.into_iter().flat_map(Result::unwrap) {
        assert_eq!(replayed.decided.remove(&transfer.key), Some(transfer));
    }
    assert!(replayed.decided.is_empty(), "nothing is there that was not answered");
    for number in 0..ACCOUNTS {
        let wanted = Wanted {
            accounts: vec![token(number)],
            ..Wanted::default()
        };
        let held = stores.iter().flat_map(|store| store.fetch(&wanted).unwrap().accounts);
        let held: Vec<i64> = held.map(|held| held.account.balance.minor()).collect();
        assert_eq!(held, [replayed.balances[&token(number)]], "account {number}");
    }
}
