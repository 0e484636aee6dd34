//! A store whose first records were released: everything that can be told without them. Frames, chain, evidence, index and
//! what each group adds to the counts and sums of the group before it; and of rows, that those written last are those that
//! opening would find. What the rows come to from the first record on cannot be told here.

use std::collections::HashMap;

use ledger_journal::{Event, JournalRecord};
use ledger_model::Administration;

use super::{Fold, check_evidence, differs};
use crate::state::ShardState;
use crate::store::StoreFault;
use crate::store::embedded::frame::{Frame, Header, KeyDigest};
use crate::store::embedded::location::Location;
use crate::store::embedded::log::Written;
use crate::store::embedded::table::Table;
use crate::store::row::{Kinds, agreement_length, internal_length, token_length, transfer_key_length, unpack};

type LastRows = HashMap<Vec<u8>, Vec<u8>>;

/// What has been gone through so far.
pub(super) struct Later<'a> {
    pub(super) fold: Fold<'a>,
    /// Whether `fold` has the counts and sums: the first group tells them.
    is_begun: bool,
    rows: Kinds<LastRows>,
}

impl<'a> Later<'a> {
    /// `fold` is at the base.
    pub(super) fn over(fold: Fold<'a>) -> Self {
        Self {
            fold,
            is_begun: false,
            rows: Kinds::default(),
        }
    }

    pub(super) fn follow(&mut self, header: Header, bytes: &[u8], at: Written) -> Result<(), StoreFault> {
        let frame = Frame::read(header, bytes)?;
        let mut digests = Vec::new();
        let mut keys = Vec::new();
        for (place, item) in (0_u32..).zip(&frame.items) {
            let record = JournalRecord::decode(item.record).map_err(StoreFault::content("journal record"))?;
            let followed = self.fold.position.follow(&record, item.record);
            self.fold.position = followed.map_err(StoreFault::content("journal record"))?;
            self.add(&record)?;
            let key = match &record.event {
                Event::TransferDecided { transfer, evidence, .. }
                | Event::TransferHopped { transfer, evidence, .. } => {
                    digests.push((record.sequence, *evidence));
                    self.fold.count(transfer);
                    &transfer.key
                }
                Event::HopSettled { transfer, .. } => &transfer.key,
                Event::Administered {
                    act: Administration::CloseThrough { date },
                    ..
                } => {
                    self.fold.state.closed_through = Some(*date);
                    continue;
                }
                Event::AccountOpened { .. }
                | Event::AgreementRecorded { .. }
                | Event::HopClosed { .. }
                | Event::Administered { .. } => continue,
            };
            keys.push((place, KeyDigest::of(key)));
            let location = Location::new(at.segment, at.offset + item.offset);
            self.fold.is_indexed(key, location)?;
        }
        if keys != frame.keys {
            return Err(differs("the keys of a group are not those of its records"));
        }
        check_evidence(&frame, &digests)?;
        self.take_state(unpack("state", frame.state)?)?;
        self.take_rows(&frame.rows)
    }

    fn add(&mut self, record: &JournalRecord) -> Result<(), StoreFault> {
        for entry in record.event.entries() {
            let totals = self.fold.state.totals.entry(entry.amount.currency()).or_default();
            *totals = totals.plus(entry).ok_or(differs("a sum is more than can be held"))?;
        }
        Ok(())
    }

    fn take_state(&mut self, state: ShardState) -> Result<(), StoreFault> {
        let position = self.fold.position;
        let mut expected = if self.is_begun {
            self.fold.state.clone()
        } else {
            state.clone()
        };
        expected.sequence = position.sequence;
        expected.head = position.head;
        expected.shipped = state.shipped;
        if state != expected || state.check_balanced().is_err() {
            return Err(differs("the state after a group is not what its records come to"));
        }
        self.is_begun = true;
        self.fold.state = state;
        Ok(())
    }

    fn take_rows(&mut self, rows: &Kinds<Vec<&[u8]>>) -> Result<(), StoreFault> {
        fn take(last: &mut LastRows, rows: &[&[u8]], key_length: fn(&[u8]) -> usize) -> Result<(), StoreFault> {
            for row in rows {
                let key = row
                    .get(..key_length(row))
                    .ok_or(differs("a row is shorter than its key"))?;
                last.insert(key.to_vec(), row.to_vec());
            }
            Ok(())
        }
        let last = &mut self.rows;
        take(&mut last.accounts, &rows.accounts, token_length)?;
        take(&mut last.agreements, &rows.agreements, agreement_length)?;
        take(&mut last.internal, &rows.internal, internal_length)?;
        take(&mut last.limits, &rows.limits, token_length)?;
        take(&mut last.hops, &rows.hops, transfer_key_length)
    }

    /// What opening would find against what was written last.
    pub(super) fn compare(&self) -> Result<(), StoreFault> {
        fn is_found<const N: usize>(last: &LastRows, table: &Table<N>) -> Result<(), StoreFault> {
            let is_held = |(key, row): (&Vec<u8>, &Vec<u8>)| {
                let slot = table.find(key).and_then(|slot| slot.strip_prefix(row.as_slice()));
                slot.is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
            };
            if last.iter().all(is_held) {
                Ok(())
            } else {
                Err(differs("rows are not those that were written last"))
            }
        }
        let recovered = self.fold.recovered;
        if recovered.state != self.fold.state {
            return Err(differs("the state is not that after the last group"));
        }
        is_found(&self.rows.accounts, &recovered.tables.accounts)?;
        is_found(&self.rows.agreements, &recovered.tables.agreements)?;
        is_found(&self.rows.internal, &recovered.tables.internal)?;
        is_found(&self.rows.limits, &recovered.tables.limits)?;
        is_found(&self.rows.hops, &recovered.tables.hops)
    }
}
