//! The record's bytes, version 1.
//!
//! ```text
//! version  shard  sequence  previous  committed_at  event  content of the event
//!    1       1       8         32          8          1    packed values, see ledger_model::Packed
//! ```
//!
//! Strict both ways: a record has one encoding, bytes that are not exactly one record of a known version are refused,
//! and no input panics. Version 1 is never changed: its golden bytes are in `golden/v1`.

use ledger_model::{Packed, ShardCount, ShardId, UnpackFault, Unpacker};

use crate::{ChainHash, Event, EvidenceDigest, JournalRecord};

/// First byte of every record written today.
pub const VERSION: u8 = 1;

/// Usual size of a decided transfer's record, so that encoding allocates once.
const RECORD_BYTES_USUAL: usize = 512;

const ACCOUNT_OPENED: u8 = 1;
const AGREEMENT_RECORDED: u8 = 2;
const TRANSFER_DECIDED: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    #[error("a journal record of version {0}, which this program does not know")]
    Version(u8),
    #[error("shard {0} of a journal record is not a shard number")]
    Shard(u8),
    #[error("event {0} of a journal record is not known")]
    Event(u8),
    #[error("a journal record does not read: {0}")]
    Content(#[from] UnpackFault),
}

impl JournalRecord {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(RECORD_BYTES_USUAL);
        out.extend_from_slice(&[VERSION, self.shard.number()]);
        self.sequence.pack(&mut out);
        out.extend_from_slice(&self.previous.0);
        self.committed_at.pack(&mut out);
        match &self.event {
            Event::AccountOpened { account, entries } => {
                out.push(ACCOUNT_OPENED);
                account.pack(&mut out);
                entries.pack(&mut out);
            }
            Event::AgreementRecorded { agreement } => {
                out.push(AGREEMENT_RECORDED);
                agreement.pack(&mut out);
            }
            Event::TransferDecided {
                transfer,
                entries,
                evidence,
            } => {
                out.push(TRANSFER_DECIDED);
                transfer.pack(&mut out);
                entries.pack(&mut out);
                out.extend_from_slice(&evidence.0);
            }
        }
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeFault> {
        let mut input = Unpacker::new(bytes);
        let version = input.take()?;
        if version != VERSION {
            return Err(DecodeFault::Version(version));
        }
        let record = Self {
            shard: shard(input.take()?)?,
            sequence: input.take()?,
            previous: ChainHash(hash(&mut input)?),
            committed_at: input.take()?,
            event: event(&mut input)?,
        };
        input.finish()?;
        Ok(record)
    }
}

fn event(input: &mut Unpacker<'_>) -> Result<Event, DecodeFault> {
    match input.take()? {
        ACCOUNT_OPENED => Ok(Event::AccountOpened {
            account: input.take()?,
            entries: input.take()?,
        }),
        AGREEMENT_RECORDED => Ok(Event::AgreementRecorded {
            agreement: input.take()?,
        }),
        TRANSFER_DECIDED => Ok(Event::TransferDecided {
            transfer: input.take()?,
            entries: input.take()?,
            evidence: EvidenceDigest(hash(input)?),
        }),
        unknown => Err(DecodeFault::Event(unknown)),
    }
}

fn shard(number: u8) -> Result<ShardId, DecodeFault> {
    let every_shard = ShardCount::new(ShardCount::MAX).expect("the most shards there can be is a count of shards");
    every_shard.shard(number).ok_or(DecodeFault::Shard(number))
}

fn hash(input: &mut Unpacker<'_>) -> Result<[u8; 32], UnpackFault> {
    input.bytes(32)?.try_into().map_err(|_| UnpackFault::CutShort)
}
