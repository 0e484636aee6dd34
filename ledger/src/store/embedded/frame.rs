//! A frame: one group as it stands in the log.
//!
//! ```text
//! header   magic 4 · body's length 4 · checksum 8 · group number 8 · first record's number 8 · count of records 4
//! body     state      length 2, packed
//!          items      count × (record's length 4 · said's length 1 · check 4 · record · said)
//!          keys       count 4 × (place among the items 4 · day 4 · hash 8)      what was decided, by its key
//!          refunded   count 4 × (day 4 · location 8 · minor units 8)            as it stands afterwards
//!          rows       accounts, agreements, usages, internal, limits: count 4 × (length 1 · row)
//!                     hops: count 4 × (length 2 · row)
//!          evidence   count 4 × (place 4 · length 4) · length plain 4 · all of it, zstd
//! ```
//!
//! Rows, sums and state are as they stand after the group, so a frame may be applied any number of times. The checksum
//! is XXH3 over everything after it. An item also has a check of its own, so that it can be read alone. The evidence of
//! a group is compressed together: its messages are alike, and are each other's dictionary.
//!
//! A frame of format 2 has another magic, and neither limits nor hops.

use ledger_model::{Packed, TransferKey, Unpacker};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::StoreFault;
use super::location::Location;
use crate::books::Remembered;
use crate::store::Group;
use crate::store::row::{Kinds, pack_pair, returned};

pub(super) const MAGIC: [u8; 4] = *b"LFR3";
const MAGIC_2: [u8; 4] = *b"LFR2";
/// What every magic begins with.
pub(super) const MAGIC_ANY: [u8; 3] = *b"LFR";
pub(super) const HEADER_BYTES: usize = 36;
/// Before the record of an item.
pub(super) const ITEM_HEADER_BYTES: usize = 9;
/// Of a body. The largest group there can be is `commit_batch_max` pieces of the largest evidence, compressed.
pub(super) const BODY_BYTES_MAX: u32 = 1 << 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// 2 or 3.
    format: u8,
    pub(super) body_bytes: u32,
    checksum: u64,
    pub(super) number: u64,
    /// Of its first record; where it has none, the number the next record will have.
    pub(super) first_sequence: u64,
    pub(super) records: u32,
}

/// What a decided transfer is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyDigest {
    /// The day in the transfer's id, `yyyyMMdd`.
    pub(super) day: u32,
    pub(super) hash: u64,
}

impl KeyDigest {
    pub(super) fn of(key: &TransferKey) -> Self {
        Self {
            day: key.id.date().number(),
            hash: xxh3_64(&key.bytes()),
        }
    }
}

/// What was taken back of a transfer, as `row::returned` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refunded {
    pub(super) day: u32,
    pub(super) location: Location,
    pub(super) minor: i64,
}

impl Header {
    /// `None` where no frame begins.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = match bytes.strip_prefix(&MAGIC) {
            Some(rest) => (3, rest),
            None => (2, bytes.strip_prefix(&MAGIC_2)?),
        };
        let mut input = Unpacker::new(rest);
        Some(Self {
            format,
            body_bytes: input.take().ok().filter(|length| *length <= BODY_BYTES_MAX)?,
            checksum: input.take().ok()?,
            number: input.take().ok()?,
            first_sequence: input.take().ok()?,
            records: input.take().ok()?,
        })
    }

    /// Header and body, in bytes.
    pub(super) fn frame_bytes(&self) -> u64 {
        u64::from(self.body_bytes) + u64::try_from(HEADER_BYTES).expect("a header is short")
    }

    /// `frame` begins with this header and is `frame_bytes` long.
    pub(super) fn is_sound(&self, frame: &[u8]) -> bool {
        #[cfg(feature = "mutations")]
        if crate::mutation::is(crate::mutation::Mutation::TornTailKept) {
            return true;
        }
        frame.get(16..).is_some_and(|checked| sum(checked) == self.checksum)
    }
}

fn sum(checked: &[u8]) -> u64 {
    xxh3_64_with_seed(checked, u64::from_be_bytes(*b"ledger 2"))
}

/// Of one item, over record and said.
fn check(item: &[u8]) -> u32 {
    u32::try_from(xxh3_64(item) & u64::from(u32::MAX)).expect("masked to 32 bits")
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    u32::try_from(length)
        .expect("no part of a group is as long as that")
        .pack(out);
}

/// Where a group will lie, and where what it refunds lies.
pub(super) struct Draft<'a> {
    pub(super) number: u64,
    /// Of refunds whose originals are not in this group.
    pub(super) refunded: &'a [Refunded],
    pub(super) compressor: &'a mut zstd::bulk::Compressor<'static>,
    pub(super) plain: &'a mut Vec<u8>,
}

impl Draft<'_> {
    /// Writes the frame of `group` into `out`, which is emptied first.
    pub(super) fn write(self, group: &Group, out: &mut Vec<u8>) -> Result<(), StoreFault> {
        let Self {
            number,
            refunded,
            compressor,
            plain,
        } = self;
        let first_sequence = group.first_sequence();
        out.clear();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 12]);
        number.pack(out);
        first_sequence.pack(out);
        put_length(out, group.records.len());
        let mut state = Vec::with_capacity(192);
        group.state.pack(&mut state);
        u16::try_from(state.len()).expect("a state is short").pack(out);
        out.extend_from_slice(&state);
        let decided = decided(group, first_sequence);
        for ((_, record), remembered) in group.records.iter().zip(&decided) {
            put_item(out, record, *remembered);
        }
        put_keys(out, &decided);
        put_refunded(out, refunded, &decided);
        put_rows(out, group);
        put_evidence(out, group, first_sequence, plain, compressor)?;
        let body = u32::try_from(out.len() - HEADER_BYTES).ok();
        let body = body.filter(|length| *length <= BODY_BYTES_MAX);
        let body = body.ok_or(StoreFault::TooLarge)?;
        fill(out, 4, &body.to_be_bytes());
        let checksum = sum(out.get(16..).expect("a frame is longer than its header"));
        fill(out, 8, &checksum.to_be_bytes());
        Ok(())
    }
}

fn fill(out: &mut [u8], from: usize, bytes: &[u8]) {
    let place = out.get_mut(from..from + bytes.len());
    place.expect("room was left for it").copy_from_slice(bytes);
}

/// What each record decided, where it decided a transfer.
fn decided(group: &Group, first_sequence: u64) -> Vec<Option<&Remembered>> {
    let mut decided = vec![None; group.records.len()];
    for remembered in &group.rows.transfers {
        let place = remembered.sequence.checked_sub(first_sequence);
        let place = place.and_then(|place| usize::try_from(place).ok());
        if let Some(place) = place.and_then(|place| decided.get_mut(place)) {
            *place = Some(remembered);
        }
    }
    decided
}

fn put_item(out: &mut Vec<u8>, record: &[u8], decided: Option<&Remembered>) {
    put_length(out, record.len());
    let marks = out.len();
    out.extend_from_slice(&[0; 5]);
    let item = out.len();
    out.extend_from_slice(record);
    if let Some(remembered) = decided {
        remembered.said.pack(out);
    }
    let said = u8::try_from(out.len() - item - record.len()).expect("what a message said beyond is short");
    let check = check(out.get(item..).expect("an item was just written"));
    fill(out, marks, &[said]);
    fill(out, marks + 1, &check.to_be_bytes());
}

fn put_keys(out: &mut Vec<u8>, decided: &[Option<&Remembered>]) {
    put_length(out, decided.iter().flatten().count());
    for (place, remembered) in (0_u32..).zip(decided) {
        if let Some(remembered) = remembered {
            let KeyDigest { day, hash } = KeyDigest::of(&remembered.transfer.key);
            place.pack(out);
            day.pack(out);
            hash.pack(out);
        }
    }
}

fn put_refunded(out: &mut Vec<u8>, before: &[Refunded], decided: &[Option<&Remembered>]) {
    let within = || {
        let places = (0_u32..).zip(decided);
        places.filter_map(|(place, remembered)| Some((place, remembered.filter(|row| returned(row) != 0)?)))
    };
    put_length(out, before.len() + within().count());
    for Refunded { day, location, minor } in before {
        day.pack(out);
        location.number().pack(out);
        minor.pack(out);
    }
    for (place, remembered) in within() {
        remembered.transfer.key.id.date().number().pack(out);
        Location::within_group(place).number().pack(out);
        returned(remembered).pack(out);
    }
}

fn put_rows(out: &mut Vec<u8>, group: &Group) {
    fn put<T>(out: &mut Vec<u8>, rows: &[T], pack: impl Fn(&T, &mut Vec<u8>)) {
        put_length(out, rows.len());
        for row in rows {
            let length = out.len();
            out.push(0);
            pack(row, out);
            let packed = u8::try_from(out.len() - length - 1).expect("a row is shorter than its slot");
            fill(out, length, &[packed]);
        }
    }
    let rows = &group.rows;
    put(out, &rows.accounts, Packed::pack);
    put(out, &rows.agreements, Packed::pack);
    put(out, &rows.usages, pack_pair);
    put(out, &rows.internal, pack_pair);
    put(out, &rows.limits, pack_pair);
    put_length(out, rows.hops.len());
    for row in &rows.hops {
        let length = out.len();
        out.extend_from_slice(&[0; 2]);
        row.pack(out);
        let packed = u16::try_from(out.len() - length - 2).expect("a row is shorter than its slot");
        fill(out, length, &packed.to_be_bytes());
    }
}

fn put_evidence(
    out: &mut Vec<u8>,
    group: &Group,
    first_sequence: u64,
    plain: &mut Vec<u8>,
    compressor: &mut zstd::bulk::Compressor<'static>,
) -> Result<(), StoreFault> {
    plain.clear();
    put_length(out, group.evidence.len());
    for (sequence, sealed) in &group.evidence {
        let place = u32::try_from(sequence.saturating_sub(first_sequence)).map_err(|_| StoreFault::TooLarge)?;
        place.pack(out);
        put_length(out, sealed.len());
        plain.extend_from_slice(sealed);
    }
    u32::try_from(plain.len()).map_err(|_| StoreFault::TooLarge)?.pack(out);
    if plain.is_empty() {
        return Ok(());
    }
    let packed = out.len();
    out.resize(packed + zstd::zstd_safe::compress_bound(plain.len()), 0);
    let room = out.get_mut(packed..).expect("just made");
    let length = compressor
        .compress_to_buffer(plain.as_slice(), room)
        .map_err(StoreFault::engine("compress evidence"))?;
    out.truncate(packed + length);
    Ok(())
}

/// A frame's body, read part by part; parts are slices of it.
pub(super) struct Frame<'a> {
    pub(super) header: Header,
    pub(super) state: &'a [u8],
    pub(super) items: Vec<Item<'a>>,
    pub(super) keys: Vec<(u32, KeyDigest)>,
    pub(super) refunded: Vec<Refunded>,
    pub(super) rows: Kinds<Vec<&'a [u8]>>,
    evidence: Vec<(u32, u32)>,
    plain_bytes: u32,
    packed: &'a [u8],
}

/// A record as it stands in a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    /// From the beginning of the frame, in bytes.
    pub(super) offset: u32,
    pub(super) record: &'a [u8],
    pub(super) said: &'a [u8],
}

const UNREADABLE: StoreFault = StoreFault::Inconsistent("a frame of its log does not read");

/// An item by itself; `None` where it is not what its check says. `offset` is what the item is given.
pub(super) fn item(bytes: &[u8], offset: u32) -> Option<Item<'_>> {
    let mut input = Unpacker::new(bytes);
    let (record, said, checked) = item_lengths(&mut input)?;
    let both = input.bytes(record + said).ok()?;
    let (record, said) = both.split_at_checked(record)?;
    (check(both) == checked).then_some(Item { offset, record, said })
}

/// Bytes of an item whose header these are.
pub(super) fn item_bytes(header: &[u8]) -> Option<usize> {
    let (record, said, _) = item_lengths(&mut Unpacker::new(header))?;
    Some(ITEM_HEADER_BYTES + record + said)
}

fn item_lengths(input: &mut Unpacker<'_>) -> Option<(usize, usize, u32)> {
    let record = usize::try_from(input.take::<u32>().ok()?).ok()?;
    let said = usize::from(input.take::<u8>().ok()?);
    Some((record, said, input.take().ok()?))
}

impl<'a> Frame<'a> {
    /// `frame` is sound by its header.
    pub(super) fn read(header: Header, frame: &'a [u8]) -> Result<Self, StoreFault> {
        Self::parse(header, frame).ok_or(UNREADABLE)
    }

    fn parse(header: Header, frame: &'a [u8]) -> Option<Self> {
        let mut input = Unpacker::new(frame.get(HEADER_BYTES..)?);
        let state = input.take::<u16>().ok()?;
        let state = input.bytes(usize::from(state)).ok()?;
        let mut offset = HEADER_BYTES + 2 + state.len();
        let mut items = Vec::with_capacity(usize::try_from(header.records.min(1 << 16)).ok()?);
        for _ in 0..header.records {
            let (record, said, _) = item_lengths(&mut input)?;
            items.push(Item {
                offset: u32::try_from(offset).ok()?,
                record: input.bytes(record).ok()?,
                said: input.bytes(said).ok()?,
            });
            offset += ITEM_HEADER_BYTES + record + said;
        }
        let keys = many(&mut input, |input| {
            let place = input.take().ok()?;
            let day = input.take().ok()?;
            let hash = input.take().ok()?;
            Some((place, KeyDigest { day, hash }))
        })?;
        let refunded = many(&mut input, |input| {
            Some(Refunded {
                day: input.take().ok()?,
                location: Location::from_number(input.take().ok()?),
                minor: input.take().ok()?,
            })
        })?;
        let later = header.format > 2;
        let rows = Kinds {
            accounts: row_slices(&mut input)?,
            agreements: row_slices(&mut input)?,
            usages: row_slices(&mut input)?,
            internal: row_slices(&mut input)?,
            limits: if later { row_slices(&mut input)? } else { Vec::new() },
            hops: if later {
                long_row_slices(&mut input)?
            } else {
                Vec::new()
            },
        };
        let evidence = many(&mut input, |input| Some((input.take().ok()?, input.take().ok()?)))?;
        Some(Self {
            header,
            state,
            items,
            keys,
            refunded,
            rows,
            evidence,
            plain_bytes: input.take().ok()?,
            packed: input.rest(),
        })
    }

    /// Evidence as it was sealed, by the numbers of its records.
    pub(super) fn evidence(&self) -> Result<Vec<(u64, Vec<u8>)>, StoreFault> {
        if self.evidence.is_empty() {
            return Ok(Vec::new());
        }
        let plain_bytes = usize::try_from(self.plain_bytes).map_err(|_| UNREADABLE)?;
        let plain =
            zstd::bulk::decompress(self.packed, plain_bytes).map_err(StoreFault::engine("decompress evidence"))?;
        let mut input = Unpacker::new(&plain);
        let mut all = Vec::with_capacity(self.evidence.len());
        for (place, length) in &self.evidence {
            let length = usize::try_from(*length).map_err(|_| UNREADABLE)?;
            let sealed = input.bytes(length).map_err(|_| UNREADABLE)?;
            all.push((self.header.first_sequence + u64::from(*place), sealed.to_vec()));
        }
        Ok(all)
    }
}

/// A count of four bytes, then the values; a count alone reserves nothing.
fn many<'a, T>(input: &mut Unpacker<'a>, read: impl Fn(&mut Unpacker<'a>) -> Option<T>) -> Option<Vec<T>> {
    let count = input.take::<u32>().ok()?;
    let mut values = Vec::with_capacity(usize::try_from(count.min(1 << 12)).ok()?);
    for _ in 0..count {
        values.push(read(input)?);
    }
    Some(values)
}

fn row_slices<'a>(input: &mut Unpacker<'a>) -> Option<Vec<&'a [u8]>> {
    many(input, |input| {
        let length = input.take::<u8>().ok()?;
        input.bytes(usize::from(length)).ok()
    })
}

fn long_row_slices<'a>(input: &mut Unpacker<'a>) -> Option<Vec<&'a [u8]>> {
    many(input, |input| {
        let length = input.take::<u16>().ok()?;
        input.bytes(usize::from(length)).ok()
    })
}
