//! Secrets that are handed over as bytes: they print nothing and are wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

/// The passphrase of a private-key file.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Copies it to the start of `room` and says how long it is; nothing of it where there is no room for all.
    pub(crate) fn copy_to(&self, room: &mut [u8]) -> usize {
        match room.get_mut(..self.0.len()) {
            Some(room) => {
                room.copy_from_slice(&self.0);
                room.len()
            }
            None => 0,
        }
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// A decrypted field.
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    pub(crate) fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves. They must not be logged, stored or sent.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext(…)")
    }
}
