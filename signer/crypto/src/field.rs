//! The key of one message's encrypted fields, and the fields' encryption: ECB with PKCS#7, as the profile has it.
//!
//! ECB hides neither equal blocks nor tampering; it is the network's choice. The message's signature is what protects
//! the fields, so it is verified before any is opened.

use std::fmt;

use openssl::error::ErrorStack;
use openssl::symm::{Cipher, Crypter, Mode};
use subtle::Choice;
use zeroize::Zeroizing;

use crate::padding::{self, BLOCK_BYTES};
use crate::sm4::Sm4;
use crate::{CryptoFault, DoesNotOpen, Plaintext, Suite};

/// The symmetric key of one message. Wiped when dropped.
pub struct FieldKey {
    bytes: KeyBytes,
    /// False for the stand-in that an RSA envelope which does not open yields: it does all the work of a key, takes
    /// the time of a key and opens nothing.
    genuine: Choice,
}

enum KeyBytes {
    Rsa(Zeroizing<[u8; 32]>),
    Sm(Zeroizing<[u8; 16]>),
}

impl FieldKey {
    /// A new key from the operating system's generator.
    pub fn generate(suite: Suite) -> Result<Self, CryptoFault> {
        let mut key = Self::zero(suite);
        let bytes: &mut [u8] = match &mut key.bytes {
            KeyBytes::Rsa(bytes) => bytes.as_mut_slice(),
            KeyBytes::Sm(bytes) => bytes.as_mut_slice(),
        };
        getrandom::fill(bytes).map_err(CryptoFault::Randomness)?;
        Ok(key)
    }

    /// A key of known bytes: 32 for RSA's AES-256, 16 for SM4.
    pub fn from_bytes(suite: Suite, bytes: &[u8]) -> Option<Self> {
        let bytes = match suite {
            Suite::Rsa => KeyBytes::Rsa(Zeroizing::new(bytes.try_into().ok()?)),
            Suite::Sm => KeyBytes::Sm(Zeroizing::new(bytes.try_into().ok()?)),
        };
        Some(Self {
            bytes,
            genuine: Choice::from(1),
        })
    }

    /// What an RSA envelope yields: `bytes` are a stand-in unless `genuine`.
    pub(crate) fn from_rsa_envelope(bytes: Zeroizing<[u8; 32]>, genuine: Choice) -> Self {
        Self {
            bytes: KeyBytes::Rsa(bytes),
            genuine,
        }
    }

    pub fn suite(&self) -> Suite {
        match self.bytes {
            KeyBytes::Rsa(_) => Suite::Rsa,
            KeyBytes::Sm(_) => Suite::Sm,
        }
    }

    /// Pads and encrypts one field.
    pub fn encrypt(&self, plaintext: &[u8]) -> Vec<u8> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(plaintext.len() + BLOCK_BYTES));
        bytes.extend_from_slice(plaintext);
        padding::pad(&mut bytes);
        match &self.bytes {
            KeyBytes::Rsa(key) => {
                bytes = aes(Mode::Encrypt, key, &bytes).expect("whole blocks under a key of the right length encrypt");
            }
            KeyBytes::Sm(key) => sm4(Mode::Encrypt, key, &mut bytes),
        }
        std::mem::take(&mut *bytes)
    }

    /// Decrypts one field and takes its padding off.
    pub fn decrypt(&self, ciphertext: &[u8]) -> Result<Plaintext, DoesNotOpen> {
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK_BYTES) {
            return Err(DoesNotOpen);
        }
        let mut bytes = match &self.bytes {
            KeyBytes::Rsa(key) => aes(Mode::Decrypt, key, ciphertext).map_err(|_| DoesNotOpen)?,
            KeyBytes::Sm(key) => {
                let mut bytes = Zeroizing::new(ciphertext.to_vec());
                sm4(Mode::Decrypt, key, &mut bytes);
                bytes
            }
        };
        let len = padding::unpadded_len(&bytes, self.genuine)?;
        bytes.truncate(len);
        Ok(Plaintext::new(bytes))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        match &self.bytes {
            KeyBytes::Rsa(bytes) => bytes.as_slice(),
            KeyBytes::Sm(bytes) => bytes.as_slice(),
        }
    }

    fn zero(suite: Suite) -> Self {
        let bytes = match suite {
            Suite::Rsa => KeyBytes::Rsa(Zeroizing::default()),
            Suite::Sm => KeyBytes::Sm(Zeroizing::default()),
        };
        Self {
            bytes,
            genuine: Choice::from(1),
        }
    }
}

impl fmt::Debug for FieldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldKey({}, …)", self.suite())
    }
}

/// AES-256-ECB over whole blocks.
fn aes(mode: Mode, key: &[u8; 32], blocks: &[u8]) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let mut crypter = Crypter::new(Cipher::aes_256_ecb(), mode, key, None)?;
    crypter.pad(false);
    // The library wants room for one block more than it writes.
    let mut out = Zeroizing::new(vec![0; blocks.len() + BLOCK_BYTES]);
    let written = crypter.update(blocks, &mut out)?;
    out.truncate(written);
    Ok(out)
}

/// SM4-ECB over whole blocks, in place.
fn sm4(mode: Mode, key: &[u8; 16], blocks: &mut [u8]) {
    let cipher = Sm4::new(key);
    let (blocks, _) = blocks.as_chunks_mut::<BLOCK_BYTES>();
    for block in blocks {
        match mode {
            Mode::Encrypt => cipher.encrypt(block),
            Mode::Decrypt => cipher.decrypt(block),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197, appendix C.3.
    #[test]
    fn the_aes_256_example() {
        let key: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let block = hex::decode("00112233445566778899aabbccddeeff").unwrap();
        let sealed = aes(Mode::Encrypt, &key, &block).unwrap();
        assert_eq!(hex::encode(&*sealed), "8ea2b7ca516745bfeafc49904b496089");
        assert_eq!(*aes(Mode::Decrypt, &key, &sealed).unwrap(), block);
    }
}
