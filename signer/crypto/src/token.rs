//! Tokens: what leaves the signer in place of an account number, name, document number or mobile.
//!
//! A token is HMAC-SM3(key, label of the kind ‖ 0x00 ‖ plaintext). The same plaintext of the same kind always has the
//! same token; without the key it can be neither computed nor reversed, and tokens of two kinds cannot be compared.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sm3::Sm3;

use crate::{FieldKind, hexadecimal};

/// The key of all tokens. Holds the keyed state of the hash, which wipes itself.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sm3>);

impl TokenKey {
    pub const BYTES: usize = 32;

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let key = hexadecimal::decode(text)?;
        if key.len() != Self::BYTES {
            return None;
        }
        Hmac::new_from_slice(&key).ok().map(Self)
    }

    pub fn token(&self, kind: FieldKind, plaintext: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(kind.label().as_bytes());
        mac.update(&[0]);
        mac.update(plaintext);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}
