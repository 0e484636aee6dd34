//! Tokens: what leaves the signer in place of an account number, name, document number or mobile.
//!
//! A token is HMAC-SM3(key, label of the kind ‖ 0x00 ‖ plaintext). The same plaintext of the same kind always has the
//! same token; without the key it can be neither computed nor reversed, and tokens of two kinds cannot be compared.

use std::fmt;

use crate::sm3::Hmac;
use crate::{FieldKind, hexadecimal};

/// The key of all tokens. Holds the keyed state of the hash, which wipes itself.
#[derive(Clone)]
pub struct TokenKey(Hmac);

impl TokenKey {
    pub const BYTES: usize = 32;

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let key = hexadecimal::decode(text)?;
        if key.len() != Self::BYTES {
            return None;
        }
        Some(Self(Hmac::new(&key)))
    }

    pub fn token(&self, kind: FieldKind, plaintext: &[u8]) -> [u8; 32] {
        self.0.mac(&[kind.label().as_bytes(), &[0], plaintext])
    }

    /// Tokens in the order of the plaintexts; in lanes where the processor has them.
    pub fn tokens(&self, plaintexts: &[(FieldKind, &[u8])]) -> Vec<[u8; 32]> {
        let messages: Vec<[&[u8]; 3]> = plaintexts
            .iter()
            .map(|(kind, plaintext)| [kind.label().as_bytes(), &[0], plaintext])
            .collect();
        self.0.mac_all(&messages)
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}
