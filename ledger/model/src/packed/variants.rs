//! Packed forms of values that are one of several things: a byte says which, then comes what that one holds.

use super::{Packed, UnpackFault, Unpacker};
use crate::{Administration, HopState, LedgerAccount, UsageSubject};

const SUBJECT_ACCOUNT: u8 = 0xFE;
const SUBJECT_STAND_IN: u8 = 0xFF;

impl Packed for LedgerAccount {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::Customer(token) => {
                out.push(1);
                token.pack(out);
            }
            Self::NetworkClearing(batch) => {
                out.push(2);
                batch.pack(out);
            }
            Self::OpeningBalances => out.push(3),
            Self::Suspense => out.push(4),
            Self::Fee => out.push(5),
            Self::StandInAdvance => out.push(6),
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        match input.take::<u8>()? {
            1 => input.take().map(Self::Customer),
            2 => input.take().map(Self::NetworkClearing),
            3 => Ok(Self::OpeningBalances),
            4 => Ok(Self::Suspense),
            5 => Ok(Self::Fee),
            6 => Ok(Self::StandInAdvance),
            tag => Err(UnpackFault::UnknownTag {
                what: "ledger account",
                tag,
            }),
        }
    }
}

impl Packed for HopState {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::Open => out.push(1),
            Self::Settled => out.push(2),
            Self::Compensated => out.push(3),
            Self::Unapplied(refusal) => {
                out.push(4);
                refusal.pack(out);
            }
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        match input.take::<u8>()? {
            1 => Ok(Self::Open),
            2 => Ok(Self::Settled),
            3 => Ok(Self::Compensated),
            4 => input.take().map(Self::Unapplied),
            tag => Err(UnpackFault::UnknownTag { what: "hop state", tag }),
        }
    }
}

impl Packed for Administration {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::AccountStatus { account, status } => {
                out.push(1);
                account.pack(out);
                status.pack(out);
            }
            Self::AccountLimits { account, limits } => {
                out.push(2);
                account.pack(out);
                limits.pack(out);
            }
            Self::AgreementStatus { number, status } => {
                out.push(3);
                number.pack(out);
                status.pack(out);
            }
            Self::AgreementTerms { number, terms } => {
                out.push(4);
                number.pack(out);
                terms.pack(out);
            }
            Self::CloseThrough { date } => {
                out.push(5);
                date.pack(out);
            }
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        match input.take::<u8>()? {
            1 => Ok(Self::AccountStatus {
                account: input.take()?,
                status: input.take()?,
            }),
            2 => Ok(Self::AccountLimits {
                account: input.take()?,
                limits: input.take()?,
            }),
            3 => Ok(Self::AgreementStatus {
                number: input.take()?,
                status: input.take()?,
            }),
            4 => Ok(Self::AgreementTerms {
                number: input.take()?,
                terms: input.take()?,
            }),
            5 => Ok(Self::CloseThrough { date: input.take()? }),
            tag => Err(UnpackFault::UnknownTag {
                what: "administration",
                tag,
            }),
        }
    }
}

/// An agreement is its number, which begins with its length, at most 34. Other subjects begin with a byte that is no
/// such length, so that rows written before there were others still read.
impl Packed for UsageSubject {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::Agreement(number) => number.pack(out),
            Self::Account(token) => {
                out.push(SUBJECT_ACCOUNT);
                token.pack(out);
            }
            Self::StandIn(number) => {
                out.push(SUBJECT_STAND_IN);
                number.pack(out);
            }
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        match input.rest.first().copied() {
            Some(SUBJECT_ACCOUNT) => {
                input.bytes(1)?;
                input.take().map(Self::Account)
            }
            Some(SUBJECT_STAND_IN) => {
                input.bytes(1)?;
                input.take().map(Self::StandIn)
            }
            _ => input.take().map(Self::Agreement),
        }
    }
}
