//! SHA-256, as the audit log uses it: of a line for the chain, of what was signed or opened for the record. SHA-256 and not
//! SM3, so that an auditor needs nothing but `sha256sum`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Digits of a written digest.
    pub(crate) const DIGITS: usize = 64;
    /// Before the first record of a log.
    pub(crate) const NOTHING: Self = Self([0; 32]);

    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    /// In lower case only: a digest is written in one way.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "a digest is 64 lower-case hexadecimal digits";
        if text.len() != Self::DIGITS || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(RULE);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| RULE)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        hex::encode(digest.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
