//! The three parts of a committed group as they stand in its row of `frame`.
//!
//! ```text
//! items     for each record: record's length 4 · said's length 2 · record · said
//! rows      count 4 × (key's length 2 · value's length 2 · key · value)         as they stand after the group
//! evidence  length plain 4 · zstd of: count 4 × (place among the items 4 · length 4) · all of it
//! ```
//!
//! Items lie there as they are, so that one is read without the others. The evidence of a group is compressed together:
//! its messages are alike.

use ledger_model::{Decision, Packed, Unpacker};

use super::digest::Digest;
use super::held::Change;
use crate::books::Arrival;
use crate::store::row::{StoredRecord, returned};
use crate::store::{Group, StoreFault};

const ITEM_HEADER_BYTES: usize = 6;
const COMPRESSION_LEVEL: i32 = 1;

/// A transfer the group decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Decided {
    pub(super) digest: Digest,
    pub(super) sequence: i64,
    /// What was taken back of it, see `row::returned`.
    pub(super) returned: i64,
    pub(super) is_hopped: bool,
    /// A hop that its home refuses, perhaps after it had refused the order by itself: then it takes the place of that.
    pub(super) may_replace: bool,
    /// Of its item, from the beginning of the items, counted from 1 as SQL does.
    pub(super) place: i32,
    pub(super) length: i32,
}

/// The items, and where those of decided transfers lie among them.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) bytes: Vec<u8>,
    pub(super) decided: Vec<Decided>,
}

const UNREADABLE: StoreFault = StoreFault::Inconsistent("a group in the journal does not read");

impl Items {
    pub(super) fn of(group: &Group) -> Result<Self, StoreFault> {
        let first = group.first_sequence();
        let mut items = Self::default();
        let new = group.rows.transfers.iter().filter(|row| row.sequence >= first);
        let mut new = new.peekable();
        for (sequence, record) in &group.records {
            let from = items.bytes.len();
            length_of(record.len())?.pack(&mut items.bytes);
            items.bytes.extend_from_slice(&[0; 2]);
            items.bytes.extend_from_slice(record);
            let Some(row) = new.next_if(|row| row.sequence == *sequence) else {
                continue;
            };
            row.said.pack(&mut items.bytes);
            let length = items.bytes.len() - from;
            let said = length - ITEM_HEADER_BYTES - record.len();
            let said = u16::try_from(said).map_err(|_| StoreFault::TooLarge)?;
            let mark = items.bytes.get_mut(from + 4..from + ITEM_HEADER_BYTES);
            mark.ok_or(UNREADABLE)?.copy_from_slice(&said.to_be_bytes());
            items.decided.push(Decided {
                digest: Digest::of(&row.transfer.key),
                sequence: signed(*sequence)?,
                returned: returned(row),
                is_hopped: row.arrival == Arrival::Hopped,
                may_replace: matches!(row.arrival, Arrival::Settled(Decision::Refused(_))),
                place: i32::try_from(from + 1).map_err(|_| StoreFault::TooLarge)?,
                length: i32::try_from(length).map_err(|_| StoreFault::TooLarge)?,
            });
        }
        if new.next().is_some() {
            return Err(StoreFault::Inconsistent("a transfer was decided without a record"));
        }
        items.decided.sort_unstable();
        Ok(items)
    }
}

/// The records among items, in order.
pub(super) fn records(items: &[u8]) -> Result<Vec<&[u8]>, StoreFault> {
    let mut input = Unpacker::new(items);
    let mut records = Vec::new();
    while let Ok(length) = input.take::<u32>() {
        records.push(rest_of_item(&mut input, length)?.record);
    }
    input.finish().map_err(|_| UNREADABLE)?;
    Ok(records)
}

/// One item by itself.
pub(super) fn item(bytes: &[u8]) -> Result<StoredRecord<'_>, StoreFault> {
    let mut input = Unpacker::new(bytes);
    let length = input.take().map_err(|_| UNREADABLE)?;
    let item = rest_of_item(&mut input, length)?;
    input.finish().map_err(|_| UNREADABLE)?;
    Ok(item)
}

fn rest_of_item<'a>(input: &mut Unpacker<'a>, record: u32) -> Result<StoredRecord<'a>, StoreFault> {
    let said: u16 = input.take().map_err(|_| UNREADABLE)?;
    let record = usize::try_from(record).map_err(|_| UNREADABLE)?;
    Ok(StoredRecord {
        record: input.bytes(record).map_err(|_| UNREADABLE)?,
        said: input.bytes(usize::from(said)).map_err(|_| UNREADABLE)?,
    })
}

pub(super) fn pack_rows(changes: &[Change]) -> Result<Vec<u8>, StoreFault> {
    let mut out = Vec::with_capacity(4 + changes.len() * 128);
    length_of(changes.len())?.pack(&mut out);
    for Change { key, value } in changes {
        for part in [key, value] {
            u16::try_from(part.len())
                .map_err(|_| StoreFault::TooLarge)?
                .pack(&mut out);
        }
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }
    Ok(out)
}

pub(super) fn unpack_rows(bytes: &[u8]) -> Result<Vec<Change>, StoreFault> {
    let mut input = Unpacker::new(bytes);
    let mut changes = Vec::new();
    for _ in 0..input.take::<u32>().map_err(|_| UNREADABLE)? {
        let key: u16 = input.take().map_err(|_| UNREADABLE)?;
        let value: u16 = input.take().map_err(|_| UNREADABLE)?;
        changes.push(Change {
            key: input.bytes(usize::from(key)).map_err(|_| UNREADABLE)?.to_vec(),
            value: input.bytes(usize::from(value)).map_err(|_| UNREADABLE)?.to_vec(),
        });
    }
    input.finish().map_err(|_| UNREADABLE)?;
    Ok(changes)
}

pub(super) fn pack_evidence(group: &Group) -> Result<Vec<u8>, StoreFault> {
    if group.evidence.is_empty() {
        return Ok(Vec::new());
    }
    let first = group.first_sequence();
    let sealed: usize = group.evidence.iter().map(|(_, sealed)| sealed.len()).sum();
    let mut plain = Vec::with_capacity(4 + group.evidence.len() * 8 + sealed);
    length_of(group.evidence.len())?.pack(&mut plain);
    for (sequence, sealed) in &group.evidence {
        let place = sequence.saturating_sub(first);
        u32::try_from(place).map_err(|_| StoreFault::TooLarge)?.pack(&mut plain);
        length_of(sealed.len())?.pack(&mut plain);
    }
    for (_, sealed) in &group.evidence {
        plain.extend_from_slice(sealed);
    }
    let mut out = Vec::with_capacity(plain.len() / 2);
    length_of(plain.len())?.pack(&mut out);
    let compressed = zstd::bulk::compress(&plain, COMPRESSION_LEVEL);
    out.extend(compressed.map_err(StoreFault::engine("compress evidence"))?);
    Ok(out)
}

/// Evidence of record `sequence` in a group that begins with record `first`.
pub(super) fn evidence_of(packed: &[u8], first: u64, sequence: u64) -> Result<Option<Vec<u8>>, StoreFault> {
    let mut all = all_evidence(packed, first)?.into_iter();
    Ok(all.find(|(number, _)| *number == sequence).map(|(_, sealed)| sealed))
}

/// Evidence of a group that begins with record `first`, by the numbers of its records.
pub(super) fn all_evidence(packed: &[u8], first: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreFault> {
    if packed.is_empty() {
        return Ok(Vec::new());
    }
    let mut input = Unpacker::new(packed);
    let length: u32 = input.take().map_err(|_| UNREADABLE)?;
    let length = usize::try_from(length).map_err(|_| UNREADABLE)?;
    let plain = zstd::bulk::decompress(input.rest(), length).map_err(StoreFault::engine("decompress evidence"))?;
    let mut input = Unpacker::new(&plain);
    let mut lengths = Vec::new();
    for _ in 0..input.take::<u32>().map_err(|_| UNREADABLE)? {
        let place: u32 = input.take().map_err(|_| UNREADABLE)?;
        lengths.push((first + u64::from(place), input.take::<u32>().map_err(|_| UNREADABLE)?));
    }
    let sealed = lengths.into_iter().map(|(number, length)| {
        let length = usize::try_from(length).map_err(|_| UNREADABLE)?;
        Ok((number, input.bytes(length).map_err(|_| UNREADABLE)?.to_vec()))
    });
    sealed.collect()
}

fn length_of(length: usize) -> Result<u32, StoreFault> {
    u32::try_from(length).map_err(|_| StoreFault::TooLarge)
}

/// As PostgreSQL counts.
pub(super) fn signed(number: u64) -> Result<i64, StoreFault> {
    i64::try_from(number).map_err(|_| StoreFault::TooLarge)
}

pub(super) fn unsigned(number: i64) -> Result<u64, StoreFault> {
    u64::try_from(number).map_err(|_| StoreFault::Inconsistent("a number that counts is negative"))
}
