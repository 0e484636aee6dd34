//! Names the network and the bank give to things. Each is short ASCII text whose form is checked when it is built;
//! none allocates, since every message carries a dozen of them.

use std::fmt;
use std::str::FromStr;

use crate::{BusinessDate, ShardId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    #[error("an institution is 14 characters: C, Z or G and 13 digits or capital letters")]
    Institution,
    #[error("a transfer id is 31 characters: a date, 16 characters, one reserved, 6 control digits")]
    Transfer,
    #[error("a transfer category is 4 digits")]
    Category,
    #[error("a batch id is B, a date and 4 digits")]
    Batch,
    #[error("a bank serial is 1 to 32 letters and digits")]
    BankSerial,
    #[error("an agreement number is 1 to 34 letters and digits")]
    Agreement,
}

/// ASCII text of at most `N` bytes, held inline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Text<const N: usize> {
    bytes: [u8; N],
    length: u8,
}

impl<const N: usize> Text<N> {
    /// Letters and digits only, 1 to `N` of them.
    fn new(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > N || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let mut bytes = [0; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self {
            bytes,
            length: u8::try_from(text.len()).ok()?,
        })
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .expect("length is at most N, checked when built")
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("the constructor admits ASCII only")
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max:literal, $fault:expr, $form:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text<$max>);

        impl $name {
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl FromStr for $name {
            type Err = NameFault;

            fn from_str(text: &str) -> Result<Self, NameFault> {
                let form: fn(&str) -> bool = $form;
                Text::new(text).filter(|_| form(text)).map(Self).ok_or($fault)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

name!(
    /// A bank (`C…`), a payment institution (`Z…`) or the network (`G…`), 14 characters.
    InstitutionId,
    14,
    NameFault::Institution,
    |text| {
        text.len() == 14
            && text.starts_with(['C', 'Z', 'G'])
            && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
    }
);

name!(
    /// `TrxId`: `yyyyMMdd`, 16 characters, one reserved, 6 control digits.
    TransferId,
    31,
    NameFault::Transfer,
    |text| {
        text.len() == 31
            && date_at(text, 0).is_some()
            && text.get(25..).is_some_and(|control| control.bytes().all(|byte| byte.is_ascii_digit()))
    }
);

name!(
    /// `TrxCtgy`: what kind of transfer, in the network's four digits, such as `0110`.
    TransferCategory,
    4,
    NameFault::Category,
    |text| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit())
);

name!(
    /// `BatchId`: the network's clearing batch, `B`, date, 4 digits. Assigned by the network, never computed.
    BatchId,
    13,
    NameFault::Batch,
    |text| {
        text.len() == 13
            && text.starts_with('B')
            && date_at(text, 1).is_some()
            && text.get(9..).is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    }
);

name!(
    /// `DbtrBankId`/`CdtrBankId`: the serial this bank gave to a transfer.
    BankSerial,
    32,
    NameFault::BankSerial,
    |_| true
);

name!(
    /// `SgnNo`: the agreement that stands for an account in a payment. Numbers this bank issues carry the shard of the
    /// account and a check digit, see [`AgreementNumber::issue`]; others are still read, so that "no such agreement"
    /// can be said of them.
    AgreementNumber,
    34,
    NameFault::Agreement,
    |_| true
);

macro_rules! of_one_length {
    ($($name:ident $length:literal),*) => {
        $(impl $name {
            /// All of it: none is shorter.
            pub(crate) const fn array(&self) -> &[u8; $length] {
                &self.0.bytes
            }
        })*
    };
}

of_one_length!(InstitutionId 14, TransferCategory 4, TransferId 31);

fn date_at(text: &str, start: usize) -> Option<BusinessDate> {
    text.get(start..start + 8).and_then(|digits| digits.parse().ok())
}

impl TransferId {
    /// The day in the id; the profile wants it equal to the date of `TrxDtTm`.
    pub fn date(&self) -> BusinessDate {
        date_at(self.as_str(), 0).expect("checked when built")
    }
}

impl BatchId {
    pub fn date(&self) -> BusinessDate {
        date_at(self.as_str(), 1).expect("checked when built")
    }
}

/// Bank serial: `yyyyMMdd`, 2 digits of shard, 13 digits of journal sequence, Luhn check digit.
impl BankSerial {
    const ISSUED_LENGTH: usize = 24;

    pub fn issue(date: BusinessDate, shard: ShardId, sequence: u64) -> Self {
        let mut number = Decimal::<{ Self::ISSUED_LENGTH }>::default()
            .put(8, date.number().into())
            .put(2, shard.number().into())
            .put(13, sequence);
        number.checked().parse().expect("24 digits are a bank serial")
    }
}

/// Agreement number: `1`, 2 digits of shard, 15 digits of sequence, Luhn check digit.
impl AgreementNumber {
    const ISSUED_LENGTH: usize = 19;

    pub fn issue(shard: ShardId, sequence: u64) -> Self {
        let mut number = Decimal::<{ Self::ISSUED_LENGTH }>::default()
            .put(1, 1)
            .put(2, shard.number().into())
            .put(15, sequence);
        number.checked().parse().expect("19 digits are an agreement number")
    }

    /// The shard tag, where the number is one this bank issued: right length, check digit right.
    pub fn shard_tag(&self) -> Option<u8> {
        let text = self.as_str();
        let (check, digits) = text.as_bytes().split_last()?;
        let issued = text.len() == Self::ISSUED_LENGTH
            && text.starts_with('1')
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && *check == check_digit(digits);
        if issued { text.get(1..3)?.parse().ok() } else { None }
    }
}

/// A number that is issued, digit by digit. Nothing is allocated: every posting is given one and asked for one.
struct Decimal<const N: usize> {
    digits: [u8; N],
    written: usize,
}

impl<const N: usize> Default for Decimal<N> {
    fn default() -> Self {
        Self {
            digits: [b'0'; N],
            written: 0,
        }
    }
}

impl<const N: usize> Decimal<N> {
    /// The next part, so many digits long.
    fn put(mut self, width: usize, part: u64) -> Self {
        let mut left = part;
        let place = self.digits.get_mut(self.written..self.written + width);
        for digit in place.expect("the parts come to the length").iter_mut().rev() {
            *digit = b'0' + u8::try_from(left % 10).expect("a digit");
            left /= 10;
        }
        (left == 0)
            .then_some(())
            .expect("no shard or sequence has so many digits");
        self.written += width;
        self
    }

    /// With its check digit, which is the last.
    fn checked(&mut self) -> &str {
        let (check, digits) = self.digits.split_last_mut().expect("a number has digits");
        *check = check_digit(digits);
        std::str::from_utf8(&self.digits).expect("digits are text")
    }
}

/// By Luhn, as a digit.
fn check_digit(digits: &[u8]) -> u8 {
    let from_last = digits.iter().rev().enumerate();
    let sum: u32 = from_last
        .map(|(place, byte)| {
            let digit = u32::from(byte.wrapping_sub(b'0'));
            let doubled = if place % 2 == 0 { digit * 2 } else { digit };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    b'0' + u8::try_from((10 - sum % 10) % 10).expect("a digit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ShardCount;
    use proptest::prelude::*;

    fn check<T: FromStr>(text: &str, good: bool) {
        assert_eq!(
            text.parse::<T>().is_ok(),
            good,
            "{text:?} as {}",
            std::any::type_name::<T>()
        );
    }

    #[test]
    fn forms() {
        check::<InstitutionId>("G4000311000018", true);
        check::<InstitutionId>("Z2000133000019", true);
        check::<InstitutionId>("A4000311000018", false);
        check::<InstitutionId>("G400031100001", false);
        check::<TransferId>("2026030212345678901234560000001", true);
        check::<TransferId>("202603021234567890123456000000", false);
        check::<TransferId>("20260302123456789012345600000010", false);
        check::<TransferId>("2026133212345678901234560000001", false);
        check::<TransferId>("202603021234567890123456000000x", false);
        check::<BatchId>("B202603020001", true);
        check::<BatchId>("D202603020001", false);
        check::<BatchId>("B202602300001", false);
        check::<TransferCategory>("0110", true);
        check::<TransferCategory>("110", false);
        check::<BankSerial>("", false);
        check::<BankSerial>("A-1", false);
        check::<AgreementNumber>("X9", true);
    }

    #[test]
    fn issued_numbers_carry_their_shard() {
        let shard = ShardCount::new(64).unwrap().shard(37).unwrap();
        let number = AgreementNumber::issue(shard, 4_711);
        assert_eq!(number.as_str().len(), 19);
        assert_eq!(number.shard_tag(), Some(37));
        let mut single = number.as_str().to_owned();
        let first = if single.as_bytes()[10] == b'0' { "1" } else { "0" };
        single.replace_range(10..11, first);
        assert_eq!(single.parse::<AgreementNumber>().unwrap().shard_tag(), None);
    }

    proptest! {
        #[test]
        fn every_single_wrong_digit_is_found(sequence in 0..1_000_000_000_u64, place in 1..18_usize, digit in 0..10_u8) {
            let shard = ShardCount::new(4).unwrap().shard(3).unwrap();
            let number = AgreementNumber::issue(shard, sequence);
            let mut text = number.as_str().as_bytes().to_vec();
            let before = text[place];
            text[place] = b'0' + digit;
            let changed: AgreementNumber = std::str::from_utf8(&text).unwrap().parse().unwrap();
            prop_assert_eq!(changed.shard_tag().is_some(), before == text[place]);
        }
    }
}
