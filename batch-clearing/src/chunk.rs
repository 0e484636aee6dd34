//! A stretch of one shard's journal, checked and laid out for PostgreSQL.
//!
//! The chunk continues the position it was made for exactly: numbers without a gap and the hash chain unbroken (L5).
//! Records that were taken before are dropped by number, so a source may deliver as often as it likes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use ledger_journal::{ChainFault, ChainPosition, DecodeFault, Event, JournalRecord};
use ledger_model::{BatchId, BusinessDate, InstitutionId};

use crate::netting::{NetFault, Nets};
use crate::table_rows::{self, TableRows};

/// A record as a source delivered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub encoded: Vec<u8>,
    /// Where to go on reading after it, from a source that has offsets.
    pub next_offset: Option<i64>,
}

#[derive(Debug)]
pub struct Chunk {
    pub(crate) before: ChainPosition,
    pub(crate) after: ChainPosition,
    pub(crate) next_offset: Option<i64>,
    pub(crate) records: u64,
    pub(crate) duplicates: u64,
    /// Every business date among the rows, with the number of transfers decided for it.
    pub(crate) days: BTreeMap<BusinessDate, u64>,
    pub(crate) batches: BTreeSet<BatchId>,
    pub(crate) nets: Nets,
    pub(crate) rows: TableRows,
}

#[derive(Debug, thiserror::Error)]
pub enum ChunkFault {
    #[error("shard {shard}: a record after number {after} cannot be read")]
    Unreadable {
        shard: u8,
        after: u64,
        #[source]
        source: DecodeFault,
    },
    #[error(transparent)]
    Chain(#[from] ChainFault),
    #[error(transparent)]
    Net(#[from] NetFault),
}

impl Chunk {
    pub fn prepare(position: ChainPosition, incoming: &[Incoming], bank: InstitutionId) -> Result<Self, ChunkFault> {
        let mut chunk = Self {
            before: position,
            after: position,
            next_offset: None,
            records: 0,
            duplicates: 0,
            days: BTreeMap::new(),
            batches: BTreeSet::new(),
            nets: Nets::default(),
            rows: TableRows::new(),
        };
        for one in incoming {
            chunk.take(one, bank)?;
            chunk.next_offset = one.next_offset.or(chunk.next_offset);
        }
        Ok(chunk)
    }

    pub const fn records(&self) -> u64 {
        self.records
    }

    pub const fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Where the shard stands once the chunk is committed.
    pub const fn after(&self) -> ChainPosition {
        self.after
    }

    fn take(&mut self, one: &Incoming, bank: InstitutionId) -> Result<(), ChunkFault> {
        let (shard, after) = (self.after.shard.number(), self.after.sequence);
        let record =
            JournalRecord::decode(&one.encoded).map_err(|source| ChunkFault::Unreadable { shard, after, source })?;
        if record.shard == self.after.shard && record.sequence <= after {
            self.duplicates += 1;
            return Ok(());
        }
        self.after = self.after.follow(&record, &one.encoded)?;
        self.rows.push(&record, &one.encoded, self.after.head);
        let transfers_of_day = self.days.entry(table_rows::business_date(&record)).or_default();
        match &record.event {
            Event::TransferDecided { transfer, entries, .. } | Event::TransferHopped { transfer, entries, .. } => {
                *transfers_of_day += 1;
                self.batches.insert(transfer.batch);
                self.nets.take(bank, transfer, entries)?;
            }
            // a settlement moves nothing at the network
            Event::AccountOpened { .. }
            | Event::AgreementRecorded { .. }
            | Event::HopSettled { .. }
            | Event::Administered { .. } => {}
            Event::HopClosed { transfer, entries, .. } => self.nets.take_back(bank, transfer, entries)?,
        }
        self.records += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample;

    fn start() -> ChainPosition {
        ChainPosition::start(sample::shard(0))
    }

    fn incoming(records: &[Vec<u8>]) -> Vec<Incoming> {
        let numbered = (1..).zip(records);
        numbered
            .map(|(next, encoded)| Incoming {
                encoded: encoded.clone(),
                next_offset: Some(next),
            })
            .collect()
    }

    /// `places` of a journal of eight records, in the order delivered.
    fn check(places: &[usize], expected: Result<(u64, u64, u64), &str>) {
        let journal = sample::journal(sample::shard(0), 8);
        let delivered: Vec<_> = places.iter().map(|place| journal[*place].clone()).collect();
        let made = Chunk::prepare(start(), &incoming(&delivered), sample::bank());
        let said = made
            .map(|chunk| (chunk.after.sequence, chunk.records, chunk.duplicates))
            .map_err(|fault| fault.to_string());
        assert_eq!(said, expected.map_err(str::to_owned), "{places:?}");
    }

    #[test]
    fn in_order_without_gap_and_once() {
        check(&[], Ok((0, 0, 0)));
        check(&[0, 1, 2], Ok((3, 3, 0)));
        check(&[0, 0, 1, 1, 0, 2], Ok((3, 3, 3)));
        check(&[1], Err("shard 0: record 2 where 1 was due"));
        check(&[0, 1, 3], Err("shard 0: record 4 where 3 was due"));
    }

    #[test]
    fn other_shards_other_chains_and_other_bytes_are_refused() {
        let other = sample::journal(sample::shard(1), 1);
        let refused = |records: &[Vec<u8>]| {
            Chunk::prepare(start(), &incoming(records), sample::bank())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(refused(&other), "a record of shard 1 among those of shard 0");
        assert_eq!(refused(&[vec![99]]), "shard 0: a record after number 0 cannot be read");
        let (mine, stranger) = (
            sample::journal(sample::shard(0), 2),
            sample::journal_of_amount(sample::shard(0), 2, 7),
        );
        let forked = [mine[0].clone(), stranger[1].clone()];
        assert_eq!(
            refused(&forked),
            "shard 0: record 2 does not follow from the one before it"
        );
    }

    #[test]
    fn says_where_to_read_on_and_what_days_it_holds() {
        let journal = sample::journal(sample::shard(0), 6);
        let chunk = Chunk::prepare(start(), &incoming(&journal), sample::bank()).unwrap();
        assert_eq!(chunk.next_offset, Some(6));
        let transfers: u64 = chunk.days.values().sum();
        assert_eq!(transfers, 4, "the journal opens with an account and an agreement");
        assert_eq!(chunk.batches.len(), 1);
    }

    proptest! {
        #[test]
        fn however_it_is_cut_and_repeated_it_arrives_once(
            cuts in prop::collection::vec((1..6_usize, 0..4_usize), 1..12),
        ) {
            let journal = incoming(&sample::journal(sample::shard(0), 24));
            let mut position = start();
            let (mut taken, mut next) = (0, 0_usize);
            let mut nets = Nets::default();
            for (length, back) in cuts {
                let from = next.saturating_sub(back);
                let to = (from + length).min(journal.len());
                let chunk = Chunk::prepare(position, &journal[from..to], sample::bank()).unwrap();
                (position, taken, next) = (chunk.after, taken + chunk.records, next.max(to));
                for (key, sums) in chunk.nets.iter() {
                    nets.add(*key, *sums).unwrap();
                }
            }
            let whole = Chunk::prepare(start(), &journal[..next], sample::bank()).unwrap();
            prop_assert_eq!(position, whole.after);
            prop_assert_eq!(taken, whole.records);
            prop_assert_eq!(nets, whole.nets);
        }
    }
}
