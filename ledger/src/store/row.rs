//! The stored form of rows, format 1. Keys order and are unique by themselves; values hold what the key does not.

use ledger_journal::{Event, JournalRecord};
use ledger_model::{Packed, TransferKey, UnpackFault, Unpacker};

use super::StoreFault;
use crate::books::{ClearingKey, HeldAccount, Remembered, Said, Sides, Usage, UsageKey};
use crate::state::ShardState;

/// The stored part of a [`Remembered`]; the transfer itself is in the journal record that decided it, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TransferRow {
    pub(super) sequence: u64,
    pub(super) refunded_minor: i64,
    pub(super) said: Said,
}

pub(super) fn pack<T: Packed>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    value.pack(&mut out);
    out
}

/// A whole value, nothing after it.
pub(super) fn unpack<T: Packed>(what: &'static str, bytes: &[u8]) -> Result<T, StoreFault> {
    let mut input = Unpacker::new(bytes);
    let value = input.take().map_err(StoreFault::content(what))?;
    input.finish().map_err(StoreFault::content(what))?;
    Ok(value)
}

impl TransferRow {
    pub(super) fn of(remembered: &Remembered) -> Self {
        let Remembered {
            sequence,
            said,
            refunded_minor,
            ..
        } = *remembered;
        Self {
            sequence,
            refunded_minor,
            said,
        }
    }

    /// `record` is the journal record that the row names.
    pub(super) fn with_record(self, key: &TransferKey, record: &[u8]) -> Result<Remembered, StoreFault> {
        let record = JournalRecord::decode(record).map_err(StoreFault::content("journal record"))?;
        match record.event {
            Event::TransferDecided { transfer, .. } if transfer.key == *key => {
                let Self {
                    sequence,
                    refunded_minor,
                    said,
                } = self;
                Ok(Remembered {
                    sequence,
                    transfer,
                    said,
                    refunded_minor,
                })
            }
            _ => Err(StoreFault::Inconsistent(
                "an idempotency record names a journal record of something else",
            )),
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
    TransferRow { sequence, refunded_minor, said }
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
