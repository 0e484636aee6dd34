//! The stored form of rows, format 2. A row begins with its key; no key is the beginning of another.

use ledger_journal::{Event, JournalRecord};
use ledger_model::{Packed, TransferKey, UnpackFault, Unpacker};

use super::StoreFault;
use crate::books::{ClearingKey, HeldAccount, Remembered, Said, Sides, Usage, UsageKey};
use crate::state::ShardState;

/// Bytes of the longest row of each kind.
pub(super) const ACCOUNT_BYTES: usize = 87;
pub(super) const AGREEMENT_BYTES: usize = 112;
pub(super) const USAGE_BYTES: usize = 51;
pub(super) const CLEARING_BYTES: usize = 32;

/// Something of each kind of row that is held in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kinds<T> {
    pub(super) accounts: T,
    pub(super) agreements: T,
    pub(super) usages: T,
    pub(super) clearing: T,
}

pub(super) fn pack_pair<K: Packed, V: Packed>(pair: &(K, V), out: &mut Vec<u8>) {
    pair.0.pack(out);
    pair.1.pack(out);
}

/// A key's length in a row that begins with it; of a row too short for its key, more than the row has.
pub(super) fn token_length(_row: &[u8]) -> usize {
    32
}

pub(super) fn agreement_length(row: &[u8]) -> usize {
    row.first().map_or(1, |length| 1 + usize::from(*length))
}

pub(super) fn usage_length(row: &[u8]) -> usize {
    agreement_length(row) + 4
}

pub(super) fn clearing_length(_row: &[u8]) -> usize {
    16
}

/// The day a usage row is of, `yyyyMMdd`.
pub(super) fn usage_day(row: &[u8]) -> Option<u32> {
    let day = row.get(agreement_length(row)..usage_length(row))?;
    day.try_into().ok().map(u32::from_be_bytes)
}

/// A whole value, nothing after it.
pub(super) fn unpack<T: Packed>(what: &'static str, bytes: &[u8]) -> Result<T, StoreFault> {
    let mut input = Unpacker::new(bytes);
    let value = input.take().map_err(StoreFault::content(what))?;
    input.finish().map_err(StoreFault::content(what))?;
    Ok(value)
}

/// A value and the zeros that fill its slot.
pub(super) fn unpack_slot<T: Packed>(what: &'static str, slot: &[u8]) -> Result<T, StoreFault> {
    let mut input = Unpacker::new(slot);
    let value = input.take().map_err(StoreFault::content(what))?;
    if input.rest().iter().any(|byte| *byte != 0) {
        return Err(StoreFault::Inconsistent("a row does not fill its slot as it should"));
    }
    Ok(value)
}

/// A key and its value, unpacked together.
pub(super) struct Pair<K, V>(pub(super) K, pub(super) V);

impl<K: Packed, V: Packed> Packed for Pair<K, V> {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
        self.1.pack(out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        Ok(Self(input.take()?, input.take()?))
    }
}

/// A record that decided a transfer as it is stored, and what the message said beyond it.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredRecord<'a> {
    pub(super) record: &'a [u8],
    pub(super) said: &'a [u8],
}

/// What is held under `key`; `None` where the record is of another key.
pub(super) fn remembered(
    key: &TransferKey,
    stored: StoredRecord<'_>,
    refunded_minor: i64,
) -> Result<Option<Remembered>, StoreFault> {
    let record = JournalRecord::decode(stored.record).map_err(StoreFault::content("journal record"))?;
    match record.event {
        Event::TransferDecided { transfer, .. } if transfer.key == *key => Ok(Some(Remembered {
            sequence: record.sequence,
            transfer,
            said: unpack("rest of a message", stored.said)?,
            refunded_minor,
        })),
        Event::TransferDecided { .. } => Ok(None),
        Event::AccountOpened { .. } | Event::AgreementRecorded { .. } => {
            Err(StoreFault::Inconsistent("an idempotency record names something else"))
        }
    }
}

macro_rules! fields {
    ($($type:ident { $($field:ident),* })*) => {
        $(impl Packed for $type {
            fn pack(&self, out: &mut Vec<u8>) {
                $(self.$field.pack(out);)*
            }

            fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
                $(let $field = input.take()?;)*
                Ok(Self { $($field),* })
            }
        })*
    };
}

fields! {
    HeldAccount { account, opened_with }
    Said { ordered_at, name, original_amount, original_serial }
    UsageKey { agreement, date }
    Usage { count, sum_minor }
    ClearingKey { batch, currency }
    Sides { debit_minor, credit_minor }
}

impl Packed for ShardState {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(self.shard.number());
        self.sequence.pack(out);
        out.extend_from_slice(&self.head.0);
        self.shipped.pack(out);
        self.transfers_posted.pack(out);
        self.transfers_refused.pack(out);
        let count = u16::try_from(self.totals.len()).expect("there are fewer currencies than that");
        count.pack(out);
        for (currency, sides) in &self.totals {
            currency.pack(out);
            sides.pack(out);
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        let every_shard = ledger_model::ShardCount::new(ledger_model::ShardCount::MAX);
        let number: u8 = input.take()?;
        let shard = every_shard
            .and_then(|count| count.shard(number))
            .ok_or(UnpackFault::Form { what: "shard" })?;
        let mut state = Self::empty(shard);
        state.sequence = input.take()?;
        let head = input.bytes(32)?.try_into().map_err(|_| UnpackFault::CutShort)?;
        state.head = ledger_journal::ChainHash(head);
        state.shipped = input.take()?;
        state.transfers_posted = input.take()?;
        state.transfers_refused = input.take()?;
        for _ in 0..input.take::<u16>()? {
            state.totals.insert(input.take()?, input.take()?);
        }
        Ok(state)
    }
}
