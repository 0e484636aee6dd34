//! Tokens: what stands for an account number or a name outside the signer.

use std::fmt;

macro_rules! thirty_two_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            pub const fn bytes(self) -> [u8; 32] {
                self.0
            }

            /// From a slice that must be 32 bytes long.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// From 64 hexadecimal digits.
            pub fn from_hex(text: &str) -> Option<Self> {
                let mut bytes = [0; 32];
                if text.len() != 64 || !text.is_ascii() {
                    return None;
                }
                for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
                }
                Some(Self(bytes))
            }
        }

        /// 64 hexadecimal digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        /// The first 8 digits: enough to follow one through a log, too few to look it up elsewhere.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("…")
            }
        }
    };
}

thirty_two_bytes!(
    /// Stands for an account number: HMAC-SM3 under a key only the signer holds.
    AccountToken
);
thirty_two_bytes!(
    /// Stands for an account holder's name, likewise.
    NameToken
);
thirty_two_bytes!(
    /// SHA-256 over the business fields of a message that the ledger does not itself understand. Two messages with the
    /// same key are the same only if these agree too.
    DetailsDigest
);
