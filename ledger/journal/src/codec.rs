//! The record's bytes, versions 1 and 2.
//!
//! ```text
//! version  shard  sequence  previous  committed_at  event  content of the event
//!    1       1       8         32          8          1    packed values, see ledger_model::Packed
//! ```
//!
//! Version 2 knows more events, and more kinds of transfer, refusals and ledger accounts than version 1; what version 1
//! can say has the same bytes in both but for the first. Strict both ways: a record has one encoding in each version
//! that can say it, bytes that are not exactly one record of a known version are refused, and no input panics. A version
//! is never changed once it was written anywhere: golden bytes of each are in `golden/`.

use ledger_model::{
    Decision, Entry, LedgerAccount, Packed, Refusal, ShardCount, ShardId, Transfer, TransferKind, UnpackFault, Unpacker,
};

use crate::{ChainHash, Event, EvidenceDigest, JournalRecord};

/// First byte of every record written today.
pub const VERSION: u8 = 2;

const VERSION_1: u8 = 1;

/// Usual size of a decided transfer's record, so that encoding allocates once.
const RECORD_BYTES_USUAL: usize = 512;

const ACCOUNT_OPENED: u8 = 1;
const AGREEMENT_RECORDED: u8 = 2;
const TRANSFER_DECIDED: u8 = 3;
const TRANSFER_HOPPED: u8 = 4;
const HOP_SETTLED: u8 = 5;
const HOP_CLOSED: u8 = 6;
const ADMINISTERED: u8 = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    #[error("a journal record of version {0}, which this program does not know")]
    Version(u8),
    #[error("shard {0} of a journal record is not a shard number")]
    Shard(u8),
    #[error("a journal record of version 1 says what only a later one can")]
    Later,
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
        encode_event(&self.event, &mut out);
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeFault> {
        let mut input = Unpacker::new(bytes);
        let version = input.take()?;
        if version != VERSION_1 && version != VERSION {
            return Err(DecodeFault::Version(version));
        }
        let record = Self {
            shard: shard(&mut input)?,
            sequence: input.take()?,
            previous: ChainHash(hash(&mut input)?),
            committed_at: input.take()?,
            event: event(&mut input)?,
        };
        input.finish()?;
        if version == VERSION_1 && !is_of_version_1(&record.event) {
            return Err(DecodeFault::Later);
        }
        Ok(record)
    }
}

fn encode_event(event: &Event, out: &mut Vec<u8>) {
    match event {
        Event::AccountOpened { account, entries } => {
            out.push(ACCOUNT_OPENED);
            account.pack(out);
            entries.pack(out);
        }
        Event::AgreementRecorded { agreement } => {
            out.push(AGREEMENT_RECORDED);
            agreement.pack(out);
        }
        Event::TransferDecided {
            transfer,
            entries,
            evidence,
        } => {
            out.push(TRANSFER_DECIDED);
            transfer.pack(out);
            entries.pack(out);
            out.extend_from_slice(&evidence.0);
        }
        Event::TransferHopped {
            transfer,
            entries,
            evidence,
            hop,
        } => {
            out.push(TRANSFER_HOPPED);
            transfer.pack(out);
            entries.pack(out);
            out.extend_from_slice(&evidence.0);
            hop.pack(out);
        }
        Event::HopSettled {
            transfer,
            decision,
            entries,
        } => {
            out.push(HOP_SETTLED);
            transfer.pack(out);
            decision.pack(out);
            entries.pack(out);
        }
        Event::HopClosed {
            transfer,
            state,
            entries,
        } => {
            out.push(HOP_CLOSED);
            transfer.pack(out);
            state.pack(out);
            entries.pack(out);
        }
        Event::Administered { act, operator, reason } => {
            out.push(ADMINISTERED);
            act.pack(out);
            operator.pack(out);
            reason.pack(out);
        }
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
        TRANSFER_HOPPED => Ok(Event::TransferHopped {
            transfer: input.take()?,
            entries: input.take()?,
            evidence: EvidenceDigest(hash(input)?),
            hop: input.take()?,
        }),
        HOP_SETTLED => Ok(Event::HopSettled {
            transfer: input.take()?,
            decision: input.take()?,
            entries: input.take()?,
        }),
        HOP_CLOSED => Ok(Event::HopClosed {
            transfer: input.take()?,
            state: input.take()?,
            entries: input.take()?,
        }),
        ADMINISTERED => Ok(Event::Administered {
            act: input.take()?,
            operator: input.take()?,
            reason: input.take()?,
        }),
        unknown => Err(DecodeFault::Event(unknown)),
    }
}

/// Whether version 1 had words for it.
fn is_of_version_1(event: &Event) -> bool {
    match event {
        Event::AccountOpened { entries, .. } => has_entries_of_version_1(entries),
        Event::AgreementRecorded { .. } => true,
        Event::TransferDecided { transfer, entries, .. } => {
            is_transfer_of_version_1(transfer) && has_entries_of_version_1(entries)
        }
        Event::TransferHopped { .. }
        | Event::HopSettled { .. }
        | Event::HopClosed { .. }
        | Event::Administered { .. } => false,
    }
}

fn has_entries_of_version_1(entries: &[Entry]) -> bool {
    entries.iter().all(|entry| match entry.account {
        LedgerAccount::Customer(_) | LedgerAccount::NetworkClearing(_) | LedgerAccount::OpeningBalances => true,
        LedgerAccount::Suspense | LedgerAccount::Fee | LedgerAccount::StandInAdvance => false,
    })
}

fn is_transfer_of_version_1(transfer: &Transfer) -> bool {
    let kind = match transfer.kind {
        TransferKind::Payment | TransferKind::Refund | TransferKind::Payout => true,
        TransferKind::Reversal | TransferKind::Supplement => false,
    };
    let later = [
        Refusal::AlreadyReversed,
        Refusal::OriginalRefunded,
        Refusal::OverAccountSingleAmount,
        Refusal::OverAccountDailyCount,
        Refusal::OverAccountDailyAmount,
        Refusal::BatchClosed,
    ];
    let decision = match transfer.decision {
        Decision::Posted => true,
        Decision::Refused(refusal) => !later.contains(&refusal),
    };
    kind && decision
}

fn shard(input: &mut Unpacker<'_>) -> Result<ShardId, DecodeFault> {
    let number: u8 = input.take()?;
    let every_shard = ShardCount::new(ShardCount::MAX).expect("the most shards there can be is a count of shards");
    every_shard.shard(number).ok_or(DecodeFault::Shard(number))
}

fn hash(input: &mut Unpacker<'_>) -> Result<[u8; 32], UnpackFault> {
    input.bytes(32)?.try_into().map_err(|_| UnpackFault::CutShort)
}
