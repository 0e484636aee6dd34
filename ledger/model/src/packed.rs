//! The packed binary form of every value the ledger keeps: what journal records and stored rows are made of.
//!
//! One value has one form: whatever unpacks packs to the same bytes again, so a hash over packed bytes is a hash over
//! the value. Numbers are big-endian, names of fixed length are bare, others carry one byte of length, options and
//! variants one byte of tag. Unpacking trusts nothing: no input panics, and nothing is allocated by a length that was
//! only claimed. Formats are versioned by whoever writes them down (journal, store), not here.

mod variants;

use std::str::FromStr;

use crate::{
    Account, AccountLimits, AccountStatus, AccountToken, Agreement, AgreementNumber, AgreementStatus, AgreementTerms,
    Amount, BankSerial, BatchId, BusinessDate, ChinaTime, Currency, Decision, DetailsDigest, Entry, Hop, InstitutionId,
    Money, NameToken, Operator, Reason, Refusal, ShardCount, ShardId, Side, SupplementAgainst, Transfer,
    TransferCategory, TransferId, TransferKey, TransferKind,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnpackFault {
    #[error("cut short")]
    CutShort,
    #[error("bytes after the end")]
    TrailingBytes,
    #[error("{tag} is not a {what}")]
    UnknownTag { what: &'static str, tag: u8 },
    #[error("not a {what}")]
    Form { what: &'static str },
}

/// A value with a packed form.
pub trait Packed: Sized {
    fn pack(&self, out: &mut Vec<u8>);

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault>;
}

/// Reads packed values from the front of a slice.
#[derive(Debug)]
pub struct Unpacker<'a> {
    rest: &'a [u8],
}

impl<'a> Unpacker<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn take<T: Packed>(&mut self) -> Result<T, UnpackFault> {
        T::unpack(self)
    }

    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], UnpackFault> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(UnpackFault::CutShort)?;
        self.rest = rest;
        Ok(taken)
    }

    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Something is left, and begins with this byte.
    pub fn next_is(&self, byte: u8) -> bool {
        self.rest.first() == Some(&byte)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Everything was read.
    pub fn finish(self) -> Result<(), UnpackFault> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(UnpackFault::TrailingBytes)
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], UnpackFault> {
        self.bytes(N)?.try_into().map_err(|_| UnpackFault::CutShort)
    }

    fn name<T: FromStr>(&mut self, length: usize, what: &'static str) -> Result<T, UnpackFault> {
        let text = std::str::from_utf8(self.bytes(length)?).map_err(|_| UnpackFault::Form { what })?;
        text.parse().map_err(|_| UnpackFault::Form { what })
    }
}

macro_rules! number {
    ($($type:ty),*) => {
        $(impl Packed for $type {
            fn pack(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
                input.array().map(Self::from_be_bytes)
            }
        })*
    };
}

number!(u8, u16, u32, u64, i64);

macro_rules! thirty_two_bytes {
    ($($type:ty),*) => {
        $(impl Packed for $type {
            fn pack(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.bytes());
            }

            fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
                input.array().map(Self::new)
            }
        })*
    };
}

thirty_two_bytes!(AccountToken, NameToken, DetailsDigest);

macro_rules! name_of_fixed_length {
    ($($type:ty, $length:literal, $what:literal;)*) => {
        $(impl Packed for $type {
            fn pack(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_str().as_bytes());
            }

            fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
                input.name($length, $what)
            }
        })*
    };
}

name_of_fixed_length! {
    Currency, 3, "currency";
    InstitutionId, 14, "institution";
    TransferId, 31, "transfer id";
    TransferCategory, 4, "transfer category";
    BatchId, 13, "batch id";
}

macro_rules! name_with_length {
    ($($type:ty, $what:literal;)*) => {
        $(impl Packed for $type {
            fn pack(&self, out: &mut Vec<u8>) {
                let text = self.as_str();
                out.push(u8::try_from(text.len()).expect("a name is shorter than 256"));
                out.extend_from_slice(text.as_bytes());
            }

            fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
                let length = input.take::<u8>()?;
                input.name(usize::from(length), $what)
            }
        })*
    };
}

name_with_length! {
    BankSerial, "bank serial";
    AgreementNumber, "agreement number";
    Operator, "operator";
    Reason, "reason";
}

/// Variants without content, each with the tag it has on disk for ever.
macro_rules! tagged {
    ($($type:ident, $what:literal: $($variant:ident = $tag:literal),*;)*) => {
        $(impl Packed for $type {
            fn pack(&self, out: &mut Vec<u8>) {
                out.push(match self {
                    $(Self::$variant => $tag,)*
                });
            }

            fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
                match input.take::<u8>()? {
                    $($tag => Ok(Self::$variant),)*
                    tag => Err(UnpackFault::UnknownTag { what: $what, tag }),
                }
            }
        })*
    };
}

tagged! {
    Side, "side": Debit = 1, Credit = 2;
    AccountStatus, "account status": Open = 1, Frozen = 2, DebitBlocked = 3, Closed = 4;
    AgreementStatus, "agreement status": Normal = 1, Rescinded = 2;
    TransferKind, "transfer kind": Payment = 1, Refund = 2, Payout = 3, Reversal = 4, Supplement = 5;
    SupplementAgainst, "counter-account": NetworkClearing = 1, Suspense = 2, Fee = 3,
        StandInAdvance = 4;
    Refusal, "refusal":
        NoSuchAgreement = 1, AgreementRescinded = 2, AgreementExpired = 3, OriginalNotFound = 4,
        OriginalNotSuccessful = 5, OriginalDiffers = 6, RefundTooLate = 7, NoSuchAccount = 8, NameDiffers = 9,
        AccountClosed = 10, AccountFrozen = 11, CurrencyDiffers = 12, OverSingleAmount = 13, OverDailyCount = 14,
        OverDailyAmount = 15, RefundExceedsRest = 16, BalanceShort = 17, BalanceOutOfRange = 18,
        OverAccountSingleAmount = 19, OverAccountDailyCount = 20, OverAccountDailyAmount = 21, AlreadyReversed = 22,
        OriginalRefunded = 23, BatchClosed = 24;
}

impl<T: Packed> Packed for Option<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.pack(out);
            }
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        match input.take::<u8>()? {
            0 => Ok(None),
            1 => input.take().map(Some),
            tag => Err(UnpackFault::UnknownTag {
                what: "presence mark",
                tag,
            }),
        }
    }
}

/// A count of four bytes, then the values.
impl<T: Packed> Packed for Vec<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        let count = u32::try_from(self.len()).expect("nothing the ledger keeps has four thousand million parts");
        count.pack(out);
        for value in self {
            value.pack(out);
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        // grows as values are read: a count alone reserves nothing
        let count = input.take::<u32>()?;
        let mut values = Self::new();
        for _ in 0..count {
            values.push(input.take()?);
        }
        Ok(values)
    }
}

/// Zero stands for posted, a refusal's own tag for refused.
impl Packed for Decision {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Self::Posted => out.push(0),
            Self::Refused(refusal) => refusal.pack(out),
        }
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        if input.next_is(0) {
            input.bytes(1)?;
            return Ok(Self::Posted);
        }
        input.take().map(Self::Refused)
    }
}

/// Minor units, then the currency.
impl Packed for Money {
    fn pack(&self, out: &mut Vec<u8>) {
        self.minor().pack(out);
        self.currency().pack(out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        Ok(Self::new(input.take()?, input.take()?))
    }
}

impl Packed for Amount {
    fn pack(&self, out: &mut Vec<u8>) {
        self.money().pack(out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        let money: Money = input.take()?;
        Self::new(money.minor(), money.currency()).map_err(|_| UnpackFault::Form { what: "amount" })
    }
}

/// Seconds since 1970-01-01T00:00:00Z; negative before.
impl Packed for ChinaTime {
    fn pack(&self, out: &mut Vec<u8>) {
        self.unix_seconds().pack(out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        Self::unpacked(input.take()?).ok_or(UnpackFault::Form { what: "time" })
    }
}

/// `yyyyMMdd` as a number of four bytes.
impl Packed for BusinessDate {
    fn pack(&self, out: &mut Vec<u8>) {
        self.number().pack(out);
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        Self::from_number(input.take()?).ok_or(UnpackFault::Form { what: "date" })
    }
}

/// Values made of values: their fields in the order written here.
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
    TransferKey { issuer, category, id }
    Account { token, name, status, balance }
    AccountLimits { single_max, daily_max, daily_count_max }
    AgreementTerms { single_max, daily_max, daily_count_max, expires }
    Agreement { number, account, institution, status, terms }
    Transfer {
        key, kind, amount, batch, institution, agreement, account, original, details, decision, serial, decided_at
    }
    Entry { account, side, amount }
    Hop { home, attempt, epoch }
}

impl Packed for ShardId {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(self.number());
    }

    fn unpack(input: &mut Unpacker<'_>) -> Result<Self, UnpackFault> {
        let every = ShardCount::new(ShardCount::MAX).expect("the most shards there can be is a count of shards");
        every.shard(input.take()?).ok_or(UnpackFault::Form { what: "shard" })
    }
}
