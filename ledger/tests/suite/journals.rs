//! The journals of a ledger from outside: by the journal stream of its process, or of each of several.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::future::join_all;
use ledger_journal::{ChainPosition, Event, JournalRecord};
use ledger_model::{Instruction, LedgerAccount, Money, ShardId, Side, TransferKey};
use ledger_protocol::LedgerClient;
use tokio::time::Instant;

use crate::bank::{SHARDS, WAIT, first_of, token};

/// What each key has moved: by account, credits less debits.
pub(crate) type Moved = BTreeMap<TransferKey, BTreeMap<LedgerAccount, i64>>;

/// All records, by shard and number.
pub(crate) struct Journals {
    encoded: Vec<Vec<u8>>,
    records: Vec<JournalRecord>,
}

/// Gapless and chained, and the same for all that are asked.
pub(crate) async fn read(ledgers: &[LedgerClient]) -> Journals {
    let mut journals = Journals {
        encoded: Vec::new(),
        records: Vec::new(),
    };
    for shard in SHARDS.all() {
        let told = join_all(ledgers.iter().map(|ledger| whole(ledger, shard))).await;
        let [(head, journal), others @ ..] = told.as_slice() else {
            panic!("somebody is asked");
        };
        for other in others {
            assert!(other == &(*head, journal.clone()), "two journals of shard {shard}");
        }
        let mut position = ChainPosition::start(shard);
        for encoded in journal {
            let record = JournalRecord::decode(encoded).unwrap();
            position = position.follow(&record, encoded).unwrap();
            journals.records.push(record);
        }
        assert_eq!(position.head.0, *head, "shard {shard}");
        journals.encoded.extend(journal.iter().cloned());
    }
    journals
}

/// All of a shard, as one process has it and tells that it has.
async fn whole(ledger: &LedgerClient, shard: ShardId) -> ([u8; 32], Vec<Vec<u8>>) {
    // a shard that is asked how an account stands finds out first what others have committed
    balance(ledger, first_of(shard)).await;
    let positions = ledger.positions().await.unwrap();
    let position = &positions[shard.index()];
    for sum in &position.sums {
        assert_eq!(sum.debit_minor, sum.credit_minor, "shard {shard}");
    }
    (position.head, follow(ledger, shard, position.sequence).await)
}

/// How an account stands; asked again where a server that is busy did not answer in time.
pub(crate) async fn balance(ledger: &LedgerClient, account: u64) -> i64 {
    let deadline = Instant::now() + WAIT;
    loop {
        match ledger.standing(token(account)).await {
            Ok(standing) => return standing.balance.map_or(0, Money::minor),
            Err(fault) => assert!(Instant::now() < deadline, "{fault}"),
        }
    }
}

/// Follows one shard's journal until it has so many records.
pub(crate) async fn follow(ledger: &LedgerClient, shard: ShardId, count: u64) -> Vec<Vec<u8>> {
    let count = usize::try_from(count).unwrap();
    let mut records: Vec<Vec<u8>> = Vec::new();
    let deadline = Instant::now() + WAIT;
    while records.len() < count {
        let next = u64::try_from(records.len() + 1).unwrap();
        let mut chunks = Box::pin(ledger.journal(shard.number(), next).await.unwrap());
        // a stream ends where a server that is busy did not answer in time
        while let Ok(Some(Ok(chunk))) = tokio::time::timeout_at(deadline, chunks.next()).await {
            records.extend(chunk);
            if records.len() >= count {
                break;
            }
        }
        assert!(
            Instant::now() < deadline,
            "shard {shard} stops after {} records",
            records.len()
        );
    }
    records.truncate(count);
    records
}

impl Journals {
    pub(crate) fn records(&self) -> impl Iterator<Item = &JournalRecord> {
        self.records.iter()
    }

    pub(crate) fn encoded(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.encoded.iter()
    }

    /// Each of these posted exactly once, its money where it belongs, nothing else moved, and nothing left on the way.
    pub(crate) fn check_posted_once(&self, asked: &[(Instruction, u64)]) {
        let moved = moved(self.records.iter());
        check_posted_once(&moved, asked);
        let stray: Vec<_> = moved
            .keys()
            .filter(|key| asked.iter().all(|(instruction, _)| instruction.key() != *key))
            .collect();
        assert!(stray.is_empty(), "nobody ordered {stray:?}");
        let entries = self.records.iter().flat_map(|record| record.event.entries());
        for account in [LedgerAccount::Suspense, LedgerAccount::StandInAdvance] {
            let of_account = entries.clone().filter(|entry| entry.account == account);
            let left: i64 = of_account.map(|entry| signed(entry.side, entry.amount.minor())).sum();
            assert_eq!(left, 0, "left in {account:?}");
        }
    }
}

pub(crate) fn moved<'a>(records: impl Iterator<Item = &'a JournalRecord>) -> Moved {
    let mut moved = Moved::new();
    for record in records {
        let key = match &record.event {
            Event::TransferDecided { transfer, .. }
            | Event::TransferHopped { transfer, .. }
            | Event::HopSettled { transfer, .. }
            | Event::HopClosed { transfer, .. } => transfer.key,
            Event::AccountOpened { .. } | Event::AgreementRecorded { .. } | Event::Administered { .. } => continue,
        };
        let sums = moved.entry(key).or_default();
        for entry in record.event.entries() {
            *sums.entry(entry.account).or_default() += signed(entry.side, entry.amount.minor());
        }
        sums.retain(|_, sum| *sum != 0);
    }
    moved
}

/// Each of these, with the account it is about.
pub(crate) fn check_posted_once(moved: &Moved, asked: &[(Instruction, u64)]) {
    for (instruction, number) in asked {
        let minor = instruction.amount().minor();
        let to_customer = match instruction {
            Instruction::Payment(_) => -minor,
            _ => minor,
        };
        let expected = BTreeMap::from([
            (LedgerAccount::Customer(token(*number)), to_customer),
            (LedgerAccount::NetworkClearing(instruction.batch()), -to_customer),
        ]);
        assert_eq!(moved[instruction.key()], expected, "{:?}", instruction.key());
    }
}

fn signed(side: Side, minor: i64) -> i64 {
    match side {
        Side::Credit => minor,
        Side::Debit => -minor,
    }
}
