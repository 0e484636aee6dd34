//! Values of single elements that the ledger does not know: free text, account types, ciphertexts.
//!
//! What others wrote about people and accounts stands in [`Text`] and [`EncryptedText`]; both print their length only
//! when debugged, so that a log line cannot carry a name or an account number by accident.

use std::fmt;
use std::str::FromStr;

/// Text somebody else wrote: not empty, no control characters, nothing XML could not carry. How long it may be is the
/// profile's business and is checked where it is read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a text is not empty and has no control characters")]
pub struct TextFault;

/// `PyerAcctTp` and its like: two digits. Which of them are in use is a list of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountType([u8; 2]);

/// The ciphertext of one field, decoded from base64. Only the signer can open it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EncryptedText(pub Vec<u8>);

/// The encrypted fields of a payout, in the order in which they are handed out and taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SensitiveField {
    PyerAcctNo,
    PyerAcctNm,
    PyeeBkNo,
    PyeeBkNm,
}

impl Text {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Text {
    type Err = TextFault;

    fn from_str(text: &str) -> Result<Self, TextFault> {
        if text.is_empty() || !text.chars().all(may_stand_in_text) {
            return Err(TextFault);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Neither a control character nor one of the two that XML excludes.
pub(crate) fn may_stand_in_text(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{FFFE}' | '\u{FFFF}')
}

impl AccountType {
    pub const PERSONAL_DEBIT: Self = Self(*b"00");
    pub const CREDIT_CARD: Self = Self(*b"01");
    pub const SEMI_CREDIT: Self = Self(*b"02");
    pub const PERSONAL_PAYMENT: Self = Self(*b"03");
    pub const CORPORATE_PAYMENT: Self = Self(*b"04");
    pub const CORPORATE_BANK: Self = Self(*b"05");
    pub const RESERVE: Self = Self(*b"06");
    pub const PASSBOOK: Self = Self(*b"07");
    pub const OTHER: Self = Self(*b"99");

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the constructor admits digits only")
    }
}

impl FromStr for AccountType {
    type Err = TextFault;

    fn from_str(text: &str) -> Result<Self, TextFault> {
        let digits: [u8; 2] = text.as_bytes().try_into().map_err(|_| TextFault)?;
        if digits.iter().all(u8::is_ascii_digit) {
            Ok(Self(digits))
        } else {
            Err(TextFault)
        }
    }
}

impl SensitiveField {
    pub const ALL: [Self; 4] = [Self::PyerAcctNo, Self::PyerAcctNm, Self::PyeeBkNo, Self::PyeeBkNm];

    /// An account number, else an account holder's name.
    pub const fn is_account_number(self) -> bool {
        match self {
            Self::PyerAcctNo | Self::PyeeBkNo => true,
            Self::PyerAcctNm | Self::PyeeBkNm => false,
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for AccountType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

impl fmt::Debug for EncryptedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptedText({} bytes)", self.0.len())
    }
}
