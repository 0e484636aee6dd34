//! The stored form of rows, format 3. A row begins with its key; no key is the beginning of another.
//!
//! Every row of format 2 is one of format 3: an agreement's daily use and a batch's sums begin as they did, what is new
//! begins with bytes that neither could begin with.

use ledger_journal::{Event, JournalRecord};
use ledger_model::{Packed, TransferKey, UnpackFault, Unpacker};

use super::StoreFault;
use crate::books::{
    Arrival, HeldAccount, HopRow, InternalAccount, InternalKey, Remembered, Said, Sides, SupplementPosting, Usage,
    UsageKey,
};
use crate::state::ShardState;

/// Bytes of the longest row of each kind.
pub(super) const ACCOUNT_BYTES: usize = 87;
pub(super) const AGREEMENT_BYTES: usize = 112;
pub(super) const LIMITS_BYTES: usize = 59;
pub(super) const USAGE_BYTES: usize = 52;
pub(super) const INTERNAL_BYTES: usize = 32;
pub(super) const HOP_BYTES: usize = 384;

const DAY_BYTES: usize = 4;
/// What the daily use of anything but an agreement begins with; see `ledger_model::UsageSubject`.
const SUBJECT_ACCOUNT: u8 = 0xFE;
const SUBJECT_STAND_IN: u8 = 0xFF;
/// What stands for the sum refunded of a transfer that was reversed.
pub(super) const REVERSED: i64 = -1;

/// Something of each kind of row that is held in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kinds<T> {
    pub(super) accounts: T,
    pub(super) agreements: T,
    pub(super) usages: T,
    pub(super) internal: T,
    pub(super) limits: T,
    pub(super) hops: T,
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
    let subject = match row.first() {
        Some(&SUBJECT_ACCOUNT) => 1 + 32,
        Some(&SUBJECT_STAND_IN) => 1 + agreement_length(row.get(1..).unwrap_or_default()),
        Some(_) | None => agreement_length(row),
    };
    subject + DAY_BYTES
}

pub(super) fn internal_length(row: &[u8]) -> usize {
    let account = match row.first() {
        // a batch id is its own tag
        Some(b'B') => 13,
        Some(_) | None => 1,
    };
    account + 3
}

pub(super) fn transfer_key_length(_row: &[u8]) -> usize {
    TransferKey::LENGTH
}

/// The day a usage row is of, `yyyyMMdd`.
pub(super) fn usage_day(row: &[u8]) -> Option<u32> {
    let day = row.get(usage_length(row).checked_sub(DAY_BYTES)?..usage_length(row))?;
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

/// What was taken back of a transfer, as one number: the sum refunded in minor units, or that it was reversed.
pub(super) const fn returned(remembered: &Remembered) -> i64 {
    if remembered.reversed {
        REVERSED
    } else {
        remembered.refunded_minor
    }
}

/// What is held under `key`; `None` where the record is of another key. `returned` is as [`returned`] gives it.
pub(super) fn remembered(
    key: &TransferKey,
    stored: StoredRecord<'_>,
    returned: i64,
) -> Result<Option<Remembered>, StoreFault> {
    let record = JournalRecord::decode(stored.record).map_err(StoreFault::content("journal record"))?;
    let (transfer, arrival) = match record.event {
        Event::TransferDecided { transfer, .. } => (transfer, Arrival::Direct),
        Event::TransferHopped { transfer, .. } => (transfer, Arrival::Hopped),
        Event::HopSettled { transfer, decision, .. } => (transfer, Arrival::Settled(decision)),
        Event::AccountOpened { .. }
        | Event::AgreementRecorded { .. }
        | Event::HopClosed { .. }
        | Event::Administered { .. } => {
            return Err(StoreFault::Inconsistent("an idempotency record names something else"));
        }
    };
    if transfer.key != *key {
        return Ok(None);
    }
    Ok(Some(Remembered {
        sequence: record.sequence,
        transfer,
        said: unpack("rest of a message", stored.said)?,
        arrival,
        refunded_minor: returned.max(0),
        reversed: returned == REVERSED,
    }))
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
    UsageKey { subject, date }
    Usage { count, sum_minor }
    InternalKey { account, currency }
    Sides { debit_minor, credit_minor }
    SupplementPosting { side, against }
    HopRow { transfer, hop, state, said }
}

/// A batch id begins with its letter, the others are one byte.
impl Packed for InternalAccount {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::NetworkClearing(batch) => batch.pack(out),
            Self::OpeningBalances => out.push(1),
            Self::Suspense => out.push(2),
            Self::Fee => out.push(3),
            Self::StandInAdvance => out.push(4),
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        if input.next_is(b'B') {
            return input.take().map(Self::NetworkClearing);
        }
        match input.take::<u8>()? {
            1 => Ok(Self::OpeningBalances),
            2 => Ok(Self::Suspense),
            3 => Ok(Self::Fee),
            4 => Ok(Self::StandInAdvance),
            tag => Err(UnpackFault::UnknownTag {
                what: "internal account",
                tag,
            }),
        }
    }
}

/// Always the last of what it is part of: what only a supplement says is there only where it was said, so that what was
/// written before there were any still reads. A zero, as fills up a slot, says nothing either.
impl Packed for Said {
    fn pack(&self, out: &mut Vec<u8>) {
        self.ordered_at.pack(out);
        self.name.pack(out);
        self.original_amount.pack(out);
        self.original_serial.pack(out);
        if let Some(posting) = self.supplement {
            posting.pack(out);
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        Ok(Self {
            ordered_at: input.take()?,
            name: input.take()?,
            original_amount: input.take()?,
            original_serial: input.take()?,
            supplement: if input.is_empty() || input.next_is(0) {
                None
            } else {
                Some(input.take()?)
            },
        })
    }
}

impl Packed for Arrival {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::Direct => out.push(1),
            Self::Hopped => out.push(2),
            Self::Settled(decision) => {
                out.push(3);
                decision.pack(out);
            }
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        match input.take::<u8>()? {
            1 => Ok(Self::Direct),
            2 => Ok(Self::Hopped),
            3 => input.take().map(Self::Settled),
            tag => Err(UnpackFault::UnknownTag { what: "arrival", tag }),
        }
    }
}

/// Always the whole of what it is written to: the date is there only once one was closed.
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
        if let Some(date) = self.closed_through {
            date.pack(out);
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
        state.closed_through = if input.is_empty() { None } else { Some(input.take()?) };
        Ok(state)
    }
}
