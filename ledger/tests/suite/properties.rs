//! Whatever is asked, in whatever order and however grouped, the invariants hold, and the journal alone gives the books.

use std::collections::BTreeMap;

use ledger::books::{InternalAccount, Sides};
use ledger::outcome::Outcome;
use ledger::store::Store;
use ledger_journal::{ChainPosition, Event, JournalRecord};
use ledger_model::{AccountToken, BatchId, Decision, Entry, Instruction, LedgerAccount, Side, TransferKey};
use proptest::prelude::*;

use crate::bank::{Running, SHARDS, payment, payout, refund};
use crate::memory::{Kept, MemoryStore};

const ACCOUNTS: u64 = 6;
const OPENING_MINOR: i64 = 10_000;

#[derive(Debug, Clone)]
enum Asked {
    Pay {
        number: u64,
        from: u64,
        minor: i64,
    },
    Refund {
        number: u64,
        original: u64,
        of: u64,
        original_minor: i64,
        minor: i64,
    },
    Payout {
        number: u64,
        to: u64,
        minor: i64,
    },
}

impl Asked {
    fn instruction(&self) -> Instruction {
        match *self {
            Self::Pay { number, from, minor } => payment(number, from, minor),
            Self::Refund {
                number,
                original,
                of,
                original_minor,
                minor,
            } => refund(number, original, of, original_minor, minor),
            Self::Payout { number, to, minor } => payout(number, to, minor),
        }
    }
}

/// Few numbers and few sums, so that repeats, conflicts and refunds of what exists are frequent. Account 7 is unknown.
fn any_asked() -> impl Strategy<Value = Asked> {
    let minor = || prop::sample::select(vec![1_i64, 100, 2_500, 9_999, 20_000]);
    let who = || 1..=ACCOUNTS + 1;
    prop_oneof![
        3 => (0..24_u64, who(), minor()).prop_map(|(number, from, minor)| Asked::Pay { number, from, minor }),
        2 => (0..24_u64, 0..24_u64, who(), minor(), minor()).prop_map(|(number, original, of, original_minor, minor)| {
            Asked::Refund { number, original, of, original_minor, minor }
        }),
        1 => (0..12_u64, who(), minor()).prop_map(|(number, to, minor)| Asked::Payout { number, to, minor }),
    ]
}

/// The books as the journal alone tells them.
#[derive(Debug, Default)]
struct Replayed {
    balances: BTreeMap<AccountToken, i64>,
    clearing: BTreeMap<BatchId, Sides>,
    totals: Sides,
    decided: BTreeMap<TransferKey, u64>,
    posted: u64,
    refused: u64,
}

impl Replayed {
    fn take(&mut self, entry: &Entry) {
        self.totals = self.totals.plus(entry).unwrap();
        let signed = match entry.side {
            Side::Credit => entry.amount.minor(),
            Side::Debit => -entry.amount.minor(),
        };
        match entry.account {
            LedgerAccount::Customer(token) => {
                let balance = self.balances.entry(token).or_default();
                *balance += signed;
                assert!(*balance >= 0, "L3");
            }
            LedgerAccount::NetworkClearing(batch) => {
                let sums = self.clearing.entry(batch).or_default();
                *sums = sums.plus(entry).unwrap();
            }
            LedgerAccount::OpeningBalances
            | LedgerAccount::Suspense
            | LedgerAccount::Fee
            | LedgerAccount::StandInAdvance => {}
        }
    }

    fn of(journal: &[Vec<u8>], mut position: ChainPosition) -> (Self, ChainPosition) {
        let mut replayed = Self::default();
        for encoded in journal {
            let record = JournalRecord::decode(encoded).unwrap();
            position = position.follow(&record, encoded).expect("L5");
            let mut sides = Sides::default();
            for entry in record.event.entries() {
                replayed.take(entry);
                sides = sides.plus(entry).unwrap();
            }
            assert_eq!(sides.debit_minor, sides.credit_minor, "L1");
            if let Event::TransferDecided { transfer, entries, .. } = record.event {
                assert_eq!(replayed.decided.insert(transfer.key, record.sequence), None, "L4");
                assert_eq!(entries.is_empty(), transfer.decision != Decision::Posted);
                *if entries.is_empty() {
                    &mut replayed.refused
                } else {
                    &mut replayed.posted
                } += 1;
            }
        }
        assert_eq!(replayed.totals.debit_minor, replayed.totals.credit_minor, "L2");
        (replayed, position)
    }
}

/// Asks everything, some of it at once, and gives what came of each.
fn ask_all(asked: &[Asked], at_once: usize) -> (Vec<Outcome>, Vec<Kept>, Vec<ledger_protocol::ShardPosition>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stores = MemoryStore::all();
        let kept: Vec<_> = stores.iter().map(|store| std::sync::Arc::clone(&store.kept)).collect();
        let boxed = stores.into_iter().map(|store| -> Box<dyn Store> { Box::new(store) });
        let running = Running::start(boxed.collect());
        running.load(1..=ACCOUNTS, "CNY100.00").await;
        let mut outcomes = Vec::new();
        for group in asked.chunks(at_once) {
            let instructions: Vec<_> = group.iter().map(Asked::instruction).collect();
            let posts = instructions.iter().map(|instruction| running.post(instruction));
            outcomes.extend(futures::future::join_all(posts).await);
        }
        let positions = running.ledger.positions();
        assert_eq!(*running.faults.lock().unwrap(), Vec::<String>::new());
        drop(running);
        let kept = kept.into_iter().map(|kept| std::mem::take(&mut *kept.lock().unwrap()));
        (outcomes, kept.collect(), positions)
    })
}

fn check(asked: &[Asked], at_once: usize) {
    let (outcomes, kept, positions) = ask_all(asked, at_once);
    let mut decided: BTreeMap<TransferKey, u64> = BTreeMap::new();
    let mut in_accounts = 0;
    let mut in_clearing = 0;
    for ((kept, position), shard) in kept.iter().zip(&positions).zip(SHARDS.all()) {
        let (replayed, end) = Replayed::of(&kept.journal, ChainPosition::start(shard));
        assert_eq!((end.sequence, end.head.0), (position.sequence, position.head), "L5");
        assert_eq!(
            (replayed.posted, replayed.refused),
            (position.transfers_posted, position.transfers_refused)
        );
        for held in kept.accounts.values() {
            let balance = replayed.balances.get(&held.account.token).copied().unwrap_or_default();
            assert_eq!(
                held.account.balance.minor(),
                balance,
                "the journal alone gives the balance"
            );
            in_accounts += balance;
        }
        for (key, sums) in &kept.internal {
            let InternalAccount::NetworkClearing(batch) = key.account else {
                continue;
            };
            assert_eq!(
                replayed.clearing.get(&batch),
                Some(sums),
                "the journal alone gives the batch's sums"
            );
            in_clearing += sums.credit_minor - sums.debit_minor;
        }
        for (key, sequence) in &replayed.decided {
            assert_eq!(decided.insert(*key, *sequence), None, "L4 over all shards");
            assert_eq!(kept.transfers[key].sequence, *sequence);
            assert!(kept.evidence.contains_key(sequence));
        }
        refunds_stay_within_what_was_paid(kept);
    }
    assert_eq!(
        in_accounts + in_clearing,
        i64::try_from(ACCOUNTS).unwrap() * OPENING_MINOR,
        "no money comes or goes"
    );
    for (asked, outcome) in asked.iter().zip(&outcomes) {
        let key = *asked.instruction().key();
        match outcome {
            Outcome::Decided { .. } | Outcome::Conflict(_) => assert!(decided.contains_key(&key)),
            other => panic!("{asked:?}: {other:?}"),
        }
    }
    let firsts = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::Decided { repeat: false, .. }))
        .count();
    assert_eq!(
        firsts,
        decided.len(),
        "each key is decided once, and its decision told once as new"
    );
}

fn refunds_stay_within_what_was_paid(kept: &Kept) {
    let mut refunded: BTreeMap<TransferKey, i64> = BTreeMap::new();
    for remembered in kept.transfers.values() {
        let transfer = &remembered.transfer;
        if let (Some(original), Decision::Posted) = (transfer.original, transfer.decision) {
            *refunded.entry(original).or_default() += transfer.amount.minor();
        }
    }
    for (key, remembered) in &kept.transfers {
        let sum = refunded.get(key).copied().unwrap_or_default();
        assert_eq!(remembered.refunded_minor, sum);
        assert!(sum <= remembered.transfer.amount.minor());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn invariants_hold_in_sequence(asked in prop::collection::vec(any_asked(), 1..60)) {
        check(&asked, 1);
    }

    #[test]
    fn invariants_hold_at_once(asked in prop::collection::vec(any_asked(), 1..80), at_once in 2..40_usize) {
        check(&asked, at_once);
    }
}
