//! A piece of a shard's journal as it is moved: groups that follow each other, with all they left behind in other tables.
//!
//! What is taken back of a transfer stands in its row alone, so a piece brings along the rows of earlier transfers that its
//! records refer to, as they stand when it is read: whatever changes them later has a record in a later piece. Transfers
//! that were kept long enough are in no table any more, and are not brought.

use std::collections::{BTreeMap, BTreeSet};

use ledger_journal::{ChainPosition, Event, JournalRecord};
use ledger_model::{ShardId, Transfer, TransferKind};
use tokio_postgres::Row;

use super::MoveFault;
use super::end::{End, Parameter};
use crate::store::StoreFault;
use crate::store::postgres::digest::Digest;
use crate::store::postgres::frame::{item, records, signed, unpack_rows, unsigned};
use crate::store::postgres::reader::column;

/// A piece comes to about this many bytes; a group is never divided.
const PIECE_BYTES: i64 = 2 << 20;

const FRAMES: &str = "SELECT first, last, items, rows, evidence FROM ( \
     SELECT first, last, items, rows, evidence, sum(size) OVER (ORDER BY last) - size AS before FROM ( \
     SELECT first, last, items, rows, evidence, octet_length(items) + octet_length(rows) + octet_length(evidence) AS size \
     FROM frame WHERE shard = $1 AND last > $2 ORDER BY last LIMIT 1024) AS frame \
     ) AS frame WHERE before < $3 ORDER BY last";

const KEPT: &str = "SELECT transfer.key, is_hopped, sequence, returned, place, length \
     FROM unnest($1::uuid[]) AS wanted (key) JOIN transfer ON transfer.key = wanted.key WHERE shard = $2";

/// The records that decided these transfers.
const DECIDED: &str = "SELECT substr(frame.items, transfer.place, transfer.length) \
     FROM unnest($1::uuid[]) AS wanted (key) JOIN transfer ON transfer.key = wanted.key \
     CROSS JOIN LATERAL (SELECT items FROM frame WHERE frame.shard = transfer.shard \
     AND frame.last >= transfer.sequence ORDER BY frame.last LIMIT 1) AS frame WHERE transfer.shard = $2";

pub(super) struct Piece {
    pub(super) frames: Vec<Row>,
    /// Where the journal is after it.
    pub(super) position: ChainPosition,
    pub(super) transfers: Vec<Kept>,
    /// Rows of the books by their key, as the last of these groups left them, of groups after a given record.
    pub(super) rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A row of `transfer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kept {
    pub(super) digest: Digest,
    pub(super) is_hopped: bool,
    pub(super) sequence: i64,
    pub(super) returned: i64,
    pub(super) place: i32,
    pub(super) length: i32,
}

/// Transfers that records name.
#[derive(Default)]
struct Named {
    /// Decided in them, or referred to.
    all: BTreeSet<Digest>,
    /// Originals of reversals, whose own originals change with them.
    reversed: BTreeSet<Digest>,
}

impl Piece {
    /// What follows `after`; `None` at the journal's end. Rows are those of groups after record `flushed`.
    pub(super) fn read(
        from: &End,
        shard: ShardId,
        after: ChainPosition,
        flushed: i64,
    ) -> Result<Option<Self>, MoveFault> {
        let number = i16::from(shard.number());
        let known = signed(after.sequence).map_err(MoveFault::Content)?;
        let frames = from.rows(FRAMES, &[&number, &known, &PIECE_BYTES])?;
        if frames.is_empty() {
            return Ok(None);
        }
        let mut named = Named::default();
        let mut position = after;
        let mut rows = BTreeMap::new();
        for frame in &frames {
            position = named.follow(position, frame).map_err(MoveFault::Content)?;
            let last: i64 = column(frame, 1).map_err(MoveFault::Content)?;
            if last > flushed {
                let changes = column(frame, 3).and_then(unpack_rows).map_err(MoveFault::Content)?;
                rows.extend(changes.into_iter().map(|change| (change.key, change.value)));
            }
        }
        named.add_originals_of_reversed(from, number)?;
        let wanted: Vec<Digest> = named.all.into_iter().collect();
        let kept = from.rows(KEPT, &[&wanted, &number])?;
        let mut transfers = kept.iter().map(Kept::of).collect::<Result<Vec<_>, _>>();
        if let Ok(transfers) = &mut transfers {
            transfers.sort_unstable();
        }
        Ok(Some(Self {
            frames,
            position,
            transfers: transfers.map_err(MoveFault::Content)?,
            rows,
        }))
    }
}

impl Kept {
    fn of(row: &Row) -> Result<Self, StoreFault> {
        Ok(Self {
            digest: column(row, 0)?,
            is_hopped: column(row, 1)?,
            sequence: column(row, 2)?,
            returned: column(row, 3)?,
            place: column(row, 4)?,
            length: column(row, 5)?,
        })
    }
}

impl Named {
    /// Goes through a group's records, which have to be those that follow.
    fn follow(&mut self, mut position: ChainPosition, frame: &Row) -> Result<ChainPosition, StoreFault> {
        let last = unsigned(column(frame, 1)?)?;
        for encoded in records(column(frame, 2)?)? {
            let record = JournalRecord::decode(encoded).map_err(StoreFault::content("journal record"))?;
            position = position
                .follow(&record, encoded)
                .map_err(StoreFault::content("journal"))?;
            if let Some(transfer) = decided(&record.event) {
                self.add(transfer);
            }
        }
        if position.sequence == last {
            return Ok(position);
        }
        Err(StoreFault::Inconsistent(
            "a group's records are not those it is said to have",
        ))
    }

    fn add(&mut self, transfer: &Transfer) {
        self.all.insert(Digest::of(&transfer.key));
        if let Some(original) = transfer.original.as_ref().map(Digest::of) {
            self.all.insert(original);
            if transfer.kind == TransferKind::Reversal {
                self.reversed.insert(original);
            }
        }
    }

    /// A refund that is reversed may be given again, so its payment's row changes too.
    fn add_originals_of_reversed(&mut self, from: &End, shard: i16) -> Result<(), MoveFault> {
        if self.reversed.is_empty() {
            return Ok(());
        }
        let reversed: Vec<Digest> = std::mem::take(&mut self.reversed).into_iter().collect();
        let wanted: [Parameter<'_>; 2] = [&reversed, &shard];
        for row in from.rows(DECIDED, &wanted)? {
            let stored = column(&row, 0).and_then(item).map_err(MoveFault::Content)?;
            let record = JournalRecord::decode(stored.record);
            let record = record.map_err(|fault| MoveFault::Content(StoreFault::content("journal record")(fault)))?;
            let original = decided(&record.event).and_then(|transfer| transfer.original);
            self.all.extend(original.as_ref().map(Digest::of));
        }
        Ok(())
    }
}

/// The digests of the transfers that were decided in a group, of its items.
pub(super) fn decided_in(items: &[u8]) -> Result<Vec<Digest>, StoreFault> {
    let mut digests = Vec::new();
    for encoded in records(items)? {
        let record = JournalRecord::decode(encoded).map_err(StoreFault::content("journal record"))?;
        digests.extend(decided(&record.event).map(|transfer| Digest::of(&transfer.key)));
    }
    Ok(digests)
}

/// The transfer that has its row from this event.
fn decided(event: &Event) -> Option<&Transfer> {
    match event {
        Event::TransferDecided { transfer, .. }
        | Event::TransferHopped { transfer, .. }
        | Event::HopSettled { transfer, .. } => Some(transfer),
        Event::AccountOpened { .. }
        | Event::AgreementRecorded { .. }
        | Event::HopClosed { .. }
        | Event::Administered { .. } => None,
    }
}
