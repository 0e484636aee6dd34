//! The trial balance of one shard: what every account of the chart comes to, from the first record to some position.
//!
//! Follows the chain as it goes, so that what is summed is the whole journal and nothing else. Turnovers are sums of
//! entries, checked: a sum that cannot be held is a fault, never wrapped.

use std::collections::BTreeMap;
use std::fmt;

use ledger_journal::{ChainFault, ChainHash, ChainPosition, Event, JournalRecord};
use ledger_model::{BatchId, ChinaTime, Currency, Decision, Entry, LedgerAccount, Money, ShardId};
use ledger_protocol::ShardPosition;

use crate::books::{InternalAccount, Sides};

/// A line of the trial balance: all customers, or one of the ledger's own accounts. What a single customer's account comes
/// to, a statement tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    Customers,
    Own(InternalAccount),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrialFault {
    #[error(transparent)]
    Chain(#[from] ChainFault),
    #[error("shard {shard}: record {sequence} debits and credits different money")]
    Unbalanced { shard: ShardId, sequence: u64 },
    #[error("shard {shard}: the sums up to record {sequence} are more than can be held")]
    OutOfRange { shard: ShardId, sequence: u64 },
}

/// Where the journal and the state do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    Sequence,
    Head,
    TransfersPosted,
    TransfersRefused,
    Sums,
    Internal,
    Customers,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialBalance {
    pub position: ChainPosition,
    /// When the last record was committed; none before the first.
    pub committed_at: Option<ChinaTime>,
    pub transfers_posted: u64,
    pub transfers_refused: u64,
    pub lines: BTreeMap<(Currency, Line), Sides>,
}

impl TrialBalance {
    pub const fn start(shard: ShardId) -> Self {
        Self {
            position: ChainPosition::start(shard),
            committed_at: None,
            transfers_posted: 0,
            transfers_refused: 0,
            lines: BTreeMap::new(),
        }
    }

    /// Takes the next record; `encoded` are the bytes it was decoded from.
    pub fn follow(&mut self, record: &JournalRecord, encoded: &[u8]) -> Result<(), TrialFault> {
        let (shard, sequence) = (record.shard, record.sequence);
        self.position = self.position.follow(record, encoded)?;
        self.committed_at = Some(record.committed_at);
        // what is settled or closed was counted where it was taken in
        if let Event::TransferDecided { transfer, .. } | Event::TransferHopped { transfer, .. } = &record.event {
            match transfer.decision {
                Decision::Posted => self.transfers_posted += 1,
                Decision::Refused(_) => self.transfers_refused += 1,
            }
        }
        let entries = record.event.entries();
        let out_of_range = TrialFault::OutOfRange { shard, sequence };
        for entry in entries {
            let line = (entry.amount.currency(), Line::of(entry.account));
            let sums = self.lines.entry(line).or_default();
            *sums = sums.plus(entry).ok_or(out_of_range)?;
        }
        let balanced = totals_of(entries)
            .ok_or(out_of_range)?
            .values()
            .all(|sums| sums.is_even());
        if balanced {
            Ok(())
        } else {
            Err(TrialFault::Unbalanced { shard, sequence })
        }
    }

    /// Over all lines; `None` where a sum cannot be held.
    pub fn totals(&self) -> Option<BTreeMap<Currency, Sides>> {
        let mut totals: BTreeMap<Currency, Sides> = BTreeMap::new();
        for ((currency, _), sums) in &self.lines {
            let total = totals.entry(*currency).or_default();
            *total = total.and(*sums)?;
        }
        Some(totals)
    }

    /// What differs from how the ledger itself says the shard stood at this position.
    pub fn differences(&self, state: &ShardPosition) -> Vec<Difference> {
        let sums = state.sums.iter().map(|sum| {
            let sides = Sides {
                debit_minor: sum.debit_minor,
                credit_minor: sum.credit_minor,
            };
            (sum.currency, sides)
        });
        let compared = [
            (Difference::Sequence, self.position.sequence == state.sequence),
            (Difference::Head, self.position.head == ChainHash(state.head)),
            (
                Difference::TransfersPosted,
                self.transfers_posted == state.transfers_posted,
            ),
            (
                Difference::TransfersRefused,
                self.transfers_refused == state.transfers_refused,
            ),
            (Difference::Sums, self.totals() == Some(sums.collect())),
        ];
        let differing = compared.into_iter().filter(|(_, same)| !same);
        differing.map(|(difference, _)| difference).collect()
    }
}

fn totals_of(entries: &[Entry]) -> Option<BTreeMap<Currency, Sides>> {
    let mut totals: BTreeMap<Currency, Sides> = BTreeMap::new();
    for entry in entries {
        let total = totals.entry(entry.amount.currency()).or_default();
        *total = total.plus(entry)?;
    }
    Some(totals)
}

impl Line {
    pub const fn of(account: LedgerAccount) -> Self {
        match InternalAccount::of(account) {
            Ok(account) => Self::Own(account),
            Err(_) => Self::Customers,
        }
    }

    /// Stable name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Own(InternalAccount::NetworkClearing(_)) => "network_clearing",
            Self::Own(InternalAccount::OpeningBalances) => "opening_balances",
            Self::Own(InternalAccount::Suspense) => "suspense",
            Self::Own(InternalAccount::Fee) => "fee",
            Self::Own(InternalAccount::StandInAdvance) => "stand_in_advance",
        }
    }

    pub const fn batch(self) -> Option<BatchId> {
        match self {
            Self::Own(InternalAccount::NetworkClearing(batch)) => Some(batch),
            Self::Customers | Self::Own(_) => None,
        }
    }
}

impl Sides {
    /// `None` where a sum cannot be held.
    pub fn and(self, other: Self) -> Option<Self> {
        Some(Self {
            debit_minor: self.debit_minor.checked_add(other.debit_minor)?,
            credit_minor: self.credit_minor.checked_add(other.credit_minor)?,
        })
    }

    pub const fn is_even(self) -> bool {
        self.debit_minor == self.credit_minor
    }

    /// Credits less debits: what a customer's account holds. `None` where it cannot be held.
    pub fn balance(self, currency: Currency) -> Option<Money> {
        let minor = self.credit_minor.checked_sub(self.debit_minor)?;
        Some(Money::new(minor, currency))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.batch() {
            Some(batch) => write!(f, "{} {batch}", self.name()),
            None => f.write_str(self.name()),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sequence => "the number of the last record",
            Self::Head => "the hash of the last record",
            Self::TransfersPosted => "the count of transfers posted",
            Self::TransfersRefused => "the count of transfers refused",
            Self::Sums => "the sums of debits and credits",
            Self::Internal => "the sums of the ledger's own accounts",
            Self::Customers => "the balances of the customers",
        })
    }
}
