//! What a digital envelope holds: the number of the suite's field cipher, a bar, the field key (profile section 4).
//!
//! The length is fixed by the suite, so an opener knows it beforehand and has nothing to look for.

use zeroize::Zeroizing;

use crate::{DoesNotOpen, FieldKey, Suite};

pub(crate) const PREFIX_BYTES: usize = 3;

pub(crate) const fn prefix(suite: Suite) -> &'static [u8; PREFIX_BYTES] {
    match suite {
        Suite::Rsa => b"01|",
        Suite::Sm => b"02|",
    }
}

/// Bytes of the envelope's plaintext.
pub(crate) const fn plaintext_bytes(suite: Suite) -> usize {
    PREFIX_BYTES + suite.field_key_bytes()
}

/// The plaintext that carries `key`.
pub(crate) fn write(key: &FieldKey) -> Zeroizing<Vec<u8>> {
    let mut plaintext = Zeroizing::new(Vec::with_capacity(plaintext_bytes(key.suite())));
    plaintext.extend_from_slice(prefix(key.suite()));
    plaintext.extend_from_slice(key.expose());
    plaintext
}

/// The key that an authenticated plaintext carries.
pub(crate) fn read(suite: Suite, plaintext: &[u8]) -> Result<FieldKey, DoesNotOpen> {
    let key = plaintext.strip_prefix(prefix(suite)).ok_or(DoesNotOpen)?;
    FieldKey::from_bytes(suite, key).ok_or(DoesNotOpen)
}
