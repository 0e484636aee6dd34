//! What the books say after a drill: from the journals alone, over all shards.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use ledger_journal::{Event, JournalRecord};
use ledger_model::{HopState, Instruction, LedgerAccount, Side, TransferKey};
use ledger_protocol::LedgerClient;

use super::DrillFault;
use super::load::{Asked, Told};

/// Counts from the journals of all shards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) records: u64,
    pub(super) posted: u64,
    pub(super) hopped: u64,
    pub(super) settled: u64,
    pub(super) compensated: u64,
    pub(super) unapplied: u64,
}

/// All that was moved, credits less debits, minor units.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) counts: Counts,
    by_key: BTreeMap<TransferKey, BTreeMap<LedgerAccount, i64>>,
    serials: BTreeMap<TransferKey, Vec<String>>,
    sums: BTreeMap<&'static str, i64>,
    /// Shards whose debits and credits differ.
    uneven_shards: u64,
}

/// What differs; empty when all is as it must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Differences {
    /// Orders whose money is not exactly once where it belongs.
    pub(super) orders: u64,
    /// Answers whose serial is in no book.
    pub(super) serials: u64,
    /// Transfers in the books that nobody ordered.
    pub(super) strangers: u64,
    pub(super) uneven_shards: u64,
    pub(super) suspense_minor: i64,
    pub(super) advance_minor: i64,
}

impl Differences {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads every journal up to where it stands now.
pub(super) async fn read(client: &LedgerClient) -> Result<Books, DrillFault> {
    let mut books = Books::default();
    for position in client.positions().await? {
        let differs = |sum: &ledger_protocol::CurrencySum| sum.debit_minor != sum.credit_minor;
        books.uneven_shards += u64::from(position.sums.iter().any(differs));
        if position.sequence == 0 {
            continue;
        }
        let mut chunks = Box::pin(client.journal(position.shard, 1).await?);
        let mut read = 0;
        while read < position.sequence {
            let chunk = chunks.next().await.ok_or(DrillFault::JournalEnds(position.shard))??;
            for record in chunk {
                let record = JournalRecord::decode(&record)?;
                read = record.sequence;
                if read <= position.sequence {
                    books.take(&record.event);
                }
            }
        }
    }
    Ok(books)
}

impl Books {
    fn take(&mut self, event: &Event) {
        self.counts.records += 1;
        for entry in event.entries() {
            let minor = signed(entry.side, entry.amount.minor());
            let name = match entry.account {
                LedgerAccount::Suspense => "suspense",
                LedgerAccount::StandInAdvance => "advance",
                _ => continue,
            };
            *self.sums.entry(name).or_default() += minor;
        }
        let transfer = match event {
            Event::TransferDecided { transfer, .. } => {
                self.counts.posted += 1;
                transfer
            }
            Event::TransferHopped { transfer, .. } => {
                self.counts.hopped += 1;
                transfer
            }
            Event::HopSettled { transfer, .. } => transfer,
            Event::HopClosed { transfer, state, .. } => {
                match state {
                    HopState::Settled => self.counts.settled += 1,
                    HopState::Compensated => self.counts.compensated += 1,
                    HopState::Unapplied(_) => self.counts.unapplied += 1,
                    HopState::Open => {}
                }
                transfer
            }
            Event::AccountOpened { .. } | Event::AgreementRecorded { .. } | Event::Administered { .. } => return,
        };
        self.serials
            .entry(transfer.key)
            .or_default()
            .push(transfer.serial.to_string());
        let moved = self.by_key.entry(transfer.key).or_default();
        for entry in event.entries() {
            *moved.entry(entry.account).or_default() += signed(entry.side, entry.amount.minor());
        }
        moved.retain(|_, minor| *minor != 0);
    }

    /// Every order exactly once, its money with the customer and the network, nothing on the way.
    pub(super) fn compare(&self, asked: &[Asked]) -> Differences {
        let mut differences = Differences {
            uneven_shards: self.uneven_shards,
            suspense_minor: self.sums.get("suspense").copied().unwrap_or_default(),
            advance_minor: self.sums.get("advance").copied().unwrap_or_default(),
            ..Differences::default()
        };
        for asked in asked {
            let instruction = &asked.order.instruction;
            let minor = instruction.amount().minor();
            let to_customer = match instruction {
                Instruction::Payment(_) => -minor,
                _ => minor,
            };
            let expected = BTreeMap::from([
                (LedgerAccount::Customer(asked.order.account), to_customer),
                (LedgerAccount::NetworkClearing(instruction.batch()), -to_customer),
            ]);
            differences.orders += u64::from(self.by_key.get(instruction.key()) != Some(&expected));
            if let Told::Posted(serial) = &asked.told {
                let known = self.serials.get(instruction.key());
                differences.serials += u64::from(!known.is_some_and(|serials| serials.contains(serial)));
            }
        }
        let strangers = self.by_key.len().saturating_sub(asked.len());
        differences.strangers = u64::try_from(strangers).unwrap_or(u64::MAX);
        differences
    }
}

const fn signed(side: Side, minor: i64) -> i64 {
    match side {
        Side::Credit => minor,
        Side::Debit => -minor,
    }
}
